"""Clipped and normalised gradient descent on L-smooth functions, convex or not.

    clipped      w+ = w - lr min(1, c / |g|) g,   c = max_norm         (LOMO's gradient norm clipping, section 3.3.1)
    normalised   w+ = w - gamma g / |g|

Symbols: t = lr L; c and gamma in loss / param and param; Delta0 = f(w_0) - inf f; decrease = f(w_0) - f(w_K). The noise of
`clipping_centre` is A with probability p and -A p / (1 - p) else, which has mean 0.
"""

import sympy

from sandbox.theory import gradient_descent
from sandbox.theory.base import Bound
from sandbox.theory.gradient_descent import STEP, Delta0, K, L, lr

gamma, c, decrease, A, p = sympy.symbols("gamma c decrease A p", real=True)
t = lr * L
NORMALISED = (L > 0, gamma > 0, K >= 1)
MEAN = "mean gradient norm"
SUM = "sum of min(|g|^2, c |g|) over the decrease of the loss"
CLIPPED_PROOF = "proofs/proof_clipped_steps.py"
NORMALISED_PROOF = "proofs/proof_normalised_steps.py"

clipped_sum = Bound(
    name="normalised.clipped_sum",
    quantity=SUM,
    value=gradient_descent.gradient_sum.value,
    requires=(*STEP, c > 0),
    kind="exact",
    source="derived; the constant of steps without clipping, attained where nothing is clipped",
    proof=CLIPPED_PROOF,
)

recalled_clipped_sum = Bound(
    name="normalised.recalled_clipped_sum",
    quantity=SUM,
    value=2 / lr,
    requires=(L > 0, lr > 0, t <= 1, c > 0),
    kind="upper",
    source="usual form for t <= 1; twice as large as clipped_sum for short steps, and equal to it at t = 1",
)

clipped_min = Bound(
    name="normalised.clipped_min",
    quantity="least gradient norm of K clipped steps",
    value=sympy.Max(sympy.sqrt(gradient_descent.gradient_sum.value * Delta0 / K), gradient_descent.gradient_sum.value * Delta0 / (c * K)),
    requires=(*STEP, c > 0, Delta0 >= 0, K >= 1),
    kind="upper",
    source="derived from clipped_sum",
    proof=CLIPPED_PROOF,
)

clipping_centre = Bound(
    name="normalised.clipping_centre",
    quantity="where the expected clipped gradient of w^2 / 2 with skewed noise is zero",
    value=p * (A - c) / (1 - p),
    requires=(p > 0, p <= sympy.Rational(1, 2), c > 0, A > c),
    kind="exact",
    source="derived; clipping makes unbiased noise biased: without it the centre is 0",
    proof=CLIPPED_PROOF,
)

normalised_mean = Bound(
    name="normalised.normalised_mean",
    quantity=MEAN,
    value=decrease / (K * gamma) + L * gamma / 2,
    requires=NORMALISED,
    kind="exact",
    source="textbook argument; equality at every step on L w^2 / 2 in one dimension, those across the minimum too",
    proof=NORMALISED_PROOF,
)

normalised_best_step = Bound(
    name="normalised.normalised_best_step",
    quantity="step length with the least guaranteed mean gradient norm",
    value=sympy.sqrt(2 * Delta0 / (K * L)),
    requires=(L > 0, Delta0 > 0, K >= 1),
    kind="exact",
    source="derived: the minimiser of normalised_mean with Delta0 for the decrease",
    proof=NORMALISED_PROOF,
)

normalised_best_mean = Bound(
    name="normalised.normalised_best_mean",
    quantity=MEAN,
    value=sympy.sqrt(2 * L * Delta0 / K),
    requires=(L > 0, Delta0 > 0, K >= 1),
    kind="upper",
    source="derived: normalised_mean at normalised_best_step",
    proof=NORMALISED_PROOF,
)

normalised_floor = Bound(
    name="normalised.normalised_floor",
    quantity="plateau of the gradient norm",
    value=L * gamma / 2,
    requires=NORMALISED[:2],
    kind="exact",
    source="derived; attained by the oscillation between gamma / 2 and -gamma / 2 on L w^2 / 2",
    proof=NORMALISED_PROOF,
)
