"""Gradient descent on convex L-smooth functions after K steps: how close the last iterate is.

Symbols: t = lr L; R = |w_0 - w_star|, in param; Delta0 = f(w_0) - f_star, in loss. Conditions that no constant expresses: f convex
and L-smooth, with a minimiser w_star.

The three bounds come from two sums, derived here (s = k t):

    V_k = |w_k - w_star|^2 + 2 s (f(w_k) - f_star) / L + s (s + 1) |grad f(w_k)|^2 / L^2
    D_k = f(w_k) - f_star + s |grad f(w_k)|^2 / L

For t <= 3/2 no step increases D, and none but the first can increase V, which after two steps is below its start again; while t^2 <= 2
the first does not either. At L = t = 1 V + D is the known potential (2k+1)(f - f_star) + k (k+2) |grad f|^2 + |w - w_star|^2.
Each bound fails beyond its domain, the first and the last at K = 1, the second at K = 1 and 2; what may hold there is conjectured, and
proved in part in `gradient_descent_long_steps`.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.gradient_descent import Delta0, K, L, lr

R = sympy.Symbol("R", real=True)
t = lr * L

HALFWAY = sympy.Rational(3, 2)
CONVEX = (L > 0, lr > 0, K >= 1)
LOSS = "loss above its minimum after K steps"
GRADIENT = "squared gradient norm after K steps"
PROOF = "proofs/proof_gradient_descent_convex.py"
PAPER = "Drori, Teboulle (2014), https://arxiv.org/abs/1206.3209, Theorem 3.1 (number recalled): t <= 1"
ANY = (
    "conjecture, after Taylor, Hendrickx, Glineur (2017), https://arxiv.org/abs/1502.05666; agrees with semidefinite programs up to K = 10"
)

loss_from_distance = Bound(
    name="gradient_descent_convex.loss_from_distance",
    quantity=LOSS,
    value=L * R**2 / (4 * K * t + 2),
    requires=(*CONVEX, t <= HALFWAY, R >= 0),
    kind="exact",
    source=f"{PAPER}; proved again by a potential of our own for t <= 3/2, where it ends; a Huber function attains it for every K",
    proof=PROOF,
)

gradient_from_distance = Bound(
    name="gradient_descent_convex.gradient_from_distance",
    quantity=GRADIENT,
    value=L**2 * R**2 / (K * t + 1) ** 2,
    requires=(*CONVEX, t <= HALFWAY, t**2 <= 2 + (K - 1) / sympy.Integer(4), R >= 0),  # t^2 <= 2 for K = 1, t <= 3/2 beyond
    kind="exact",
    source="derived, by the same potential; a Huber function attains it for every K",
    proof=PROOF,
)

gradient_from_gap = Bound(
    name="gradient_descent_convex.gradient_from_gap",
    quantity=GRADIENT,
    value=2 * L * Delta0 / (2 * K * t + 1),
    requires=(*CONVEX, t <= HALFWAY, Delta0 >= 0),
    kind="exact",
    source="derived, by a potential of its own; a Huber function attains it for every K",
    proof=PROOF,
)

textbook_loss = Bound(
    name="gradient_descent_convex.textbook_loss",
    quantity=LOSS,
    value=R**2 / (2 * K * lr),
    requires=(*CONVEX, t <= 1, R >= 0),
    kind="upper",
    source="textbook (Bubeck 2015, section 3.2, recalled); more than twice loss_from_distance",
)

any_loss = Bound(
    name="gradient_descent_convex.any_loss",
    quantity=LOSS,
    value=L * R**2 * sympy.Max(1 / (4 * K * t + 2), (1 - t) ** (2 * K) / 2),
    requires=(*CONVEX, t < 2, R >= 0),
    kind="upper",
    source=ANY,
)

any_gradient = Bound(
    name="gradient_descent_convex.any_gradient",
    quantity=GRADIENT,
    value=L**2 * R**2 * sympy.Max(1 / (K * t + 1) ** 2, (1 - t) ** (2 * K)),
    requires=(*CONVEX, t < 2, R >= 0),
    kind="upper",
    source=ANY,
)

any_gradient_from_gap = Bound(
    name="gradient_descent_convex.any_gradient_from_gap",
    quantity=GRADIENT,
    value=2 * L * Delta0 * sympy.Max(1 / (2 * K * t + 1), (1 - t) ** (2 * K)),
    requires=(*CONVEX, t < 2, Delta0 >= 0),
    kind="upper",
    source=ANY,
)
