"""Gradient descent (and LOMO, which is the same update) on L-smooth functions.

Symbols: L, mu in loss / param^2; lr in param^2 / loss; K = steps; Delta0 = f(w_0) - inf f, in loss; v = noise variance
E|xi|^2. All symbols are real, and every sign that a statement needs stands in `requires`, where a run can fail it. The three contraction
factors are for every mu-strongly convex, L-smooth f; a convex quadratic attains them.
"""

import sympy

from sandbox.theory.base import Bound

L, mu, lr, Delta0, v = sympy.symbols("L mu lr Delta0 v", real=True)
K = sympy.Symbol("K", integer=True)

STEP = (L > 0, lr > 0, lr * L < 2)
STRONGLY_CONVEX = (mu > 0, mu <= L)
PROOF = "proofs/proof_gradient_descent_factor.py"
MIN_PROOF = "proofs/proof_gradient_min.py"
KNOWN = "known, Abbaszadehpeivasti, de Klerk, Zamani (2022), https://arxiv.org/abs/2104.05468 (second-hand)"

t = lr * L
MIN_STEP = (L > 0, lr > 0, t**2 <= 3)
LONG_STEP = (L > 0, lr > 0, t**2 >= 3, t < 2)
SHARE = t * sympy.Min(4 - t, 4 - t**2)  # 4 times what one step gives of the loss for a squared gradient, times L
LEAST = "least squared gradient norm of the K + 1 iterates"
LEAST_OVER_DECREASE = LEAST + " over the decrease of the loss"

loss_factor = Bound(
    name="gradient_descent.loss_factor",
    quantity="loss factor per step",
    value=sympy.Max((1 - lr * mu) ** 2, (1 - lr * L) ** 2),
    requires=(*STRONGLY_CONVEX, *STEP),
    kind="exact",
    source="Taylor, Hendrickx, Glineur (2018), https://arxiv.org/abs/1705.04398, Theorem 3.3 (number recalled); proved again, any such f",
    proof=PROOF,
)

distance_factor = Bound(
    name="gradient_descent.distance_factor",
    quantity="distance factor per step",
    value=sympy.Max(1 - lr * mu, lr * L - 1),
    requires=(*STRONGLY_CONVEX, *STEP),
    kind="exact",
    source="classical, Polyak (1987), section 1.4 (recalled); proved again, any such f",
    proof=PROOF,
)

best_distance_factor = Bound(
    name="gradient_descent.best_distance_factor",
    quantity="distance factor per step",
    value=(L - mu) / (L + mu),
    requires=STRONGLY_CONVEX,
    kind="exact",
    source="classical; the step 2 / (L + mu)",
    proof=PROOF,
)

gradient_sum = Bound(
    name="gradient_descent.gradient_sum",
    quantity="sum of squared gradient norms over the decrease of the loss",
    value=2 / (lr * (2 - lr * L)),
    requires=STEP,
    kind="exact",
    source="derived; any L-smooth f, nonconvex too; equality on L w^2 / 2",
    proof="proofs/proof_gradient_sum.py",
)

gradient_sum_from_gap = Bound(
    name="gradient_descent.gradient_sum_from_gap",
    quantity="sum of squared gradient norms",
    value=2 * L * Delta0 * (1 - (1 - lr * L) ** (2 * K)) / (1 - (1 - lr * L) ** 2),
    requires=(*STEP, Delta0 >= 0, K >= 1),
    kind="exact",
    source="derived, by induction over K; equality on L w^2 / 2 for every K",
    proof="proofs/proof_gradient_sum_from_gap.py",
)

gradient_min = Bound(
    name="gradient_descent.gradient_min",
    quantity=LEAST_OVER_DECREASE,
    value=4 * L / (K * SHARE),
    requires=(*MIN_STEP, K >= 1),
    kind="exact",
    source=f"{KNOWN}; proved again; a zigzag of slopes attains it, t <= 1, and a turning gradient beyond, for every K",
    proof=MIN_PROOF,
)

gradient_min_from_gap = Bound(
    name="gradient_descent.gradient_min_from_gap",
    quantity=LEAST,
    value=4 * L * Delta0 / (K * SHARE + 2),
    requires=(*MIN_STEP, Delta0 >= 0, K >= 1),
    kind="exact",
    source=f"{KNOWN}; proved again; attained for every K by a zigzag of slopes, t <= 1, and a turning gradient beyond",
    proof=MIN_PROOF,
)

gradient_min_long = Bound(
    name="gradient_descent.gradient_min_long",
    quantity=LEAST_OVER_DECREASE,
    value=2 * L * (t - 1) ** 2 / (K * t * (2 - t)),
    requires=(*LONG_STEP, K >= 1),
    kind="upper",
    source="derived; already without the first iterate; exact for K = 1, where L w^2 / 2 attains it",
    proof=MIN_PROOF,
)

gradient_min_long_from_gap = Bound(
    name="gradient_descent.gradient_min_long_from_gap",
    quantity=LEAST,
    value=2 * L * Delta0 * (t - 1) ** 2 / (K * t * (2 - t) + (t - 1) ** 2),
    requires=(*LONG_STEP, Delta0 >= 0, K >= 1),
    kind="upper",
    source="derived; already without the first iterate; exact for K = 1, where L w^2 / 2 attains it",
    proof=MIN_PROOF,
)

noisy_gradient_mean = Bound(
    name="gradient_descent.noisy_gradient_mean",
    quantity="mean squared gradient norm",
    value=(2 * Delta0 / (K * lr) + lr * L * v) / (2 - lr * L),
    requires=(*STEP, Delta0 >= 0, v >= 0, K >= 1),
    kind="upper",
    source="derived; textbook argument; with f(w_0) - E f(w_K) for Delta0 an equality on L |w|^2 / 2",
    proof="proofs/proof_noisy_gradient.py",
)
