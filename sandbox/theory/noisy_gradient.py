"""Stochastic gradient descent (and LOMO on minibatches): w+ = w - lr (grad f(w) + xi), E xi = 0, E|xi|^2 = v given w.

Symbols: t = lr L; v = noise variance E|xi|^2 of the whole vector, in (loss / param)^2; Delta0 = f(w_0) - inf f; R = |w_0 - w_star|;
bias = |E xi|, in loss / param. f is L-smooth; the bounds with mu or R are for mu-strongly convex f. `noisy_gradient_mean` of
gradient_descent is the bound that `best_step` minimises.
"""

import sympy

from sandbox.theory import gradient_descent
from sandbox.theory.base import Bound
from sandbox.theory.gradient_descent import STEP, STRONGLY_CONVEX, Delta0, K, L, lr, v

R, bias = sympy.symbols("R bias", real=True)
t = lr * L
D = 2 * L * Delta0 / K
ROOT = sympy.sqrt(D**2 + 4 * v * D)
GIVEN = (L > 0, Delta0 > 0, v > 0, K >= 1)
MEAN = "mean squared gradient norm"
PLATEAU = "plateau of the mean squared gradient norm"
PROOF = "proofs/proof_noisy_gradient.py"
from_gap = gradient_descent.gradient_sum_from_gap.value
share = from_gap / (2 * L * Delta0)  # (1 - rho^K) / (1 - rho), rho = (1 - t)^2
q2 = gradient_descent.distance_factor.value**2

best_step = Bound(
    name="noisy_gradient.best_step",
    quantity="learning rate with the least guaranteed mean squared gradient norm",
    value=(ROOT - D) / (2 * v * L),
    requires=GIVEN,
    kind="exact",
    source="derived: the minimiser of noisy_gradient_mean; always below 1 / L",
    proof=PROOF,
)

best_mean = Bound(
    name="noisy_gradient.best_mean",
    quantity=MEAN,
    value=(D + ROOT) / 2,
    requires=GIVEN,
    kind="upper",
    source="derived: noisy_gradient_mean at best_step",
    proof=PROOF,
)

recalled_mean = Bound(
    name="noisy_gradient.recalled_mean",
    quantity=MEAN,
    value=D + 2 * sympy.sqrt(v * D),
    requires=GIVEN,
    kind="upper",
    source="textbook, Ghadimi, Lan (2013), https://arxiv.org/abs/1309.5549 (recalled), with min(1 / L, sqrt(2 Delta0 / (L v K)))",
)

sum_from_gap = Bound(
    name="noisy_gradient.sum_from_gap",
    quantity="sum of expected squared gradient norms",
    value=from_gap + v * t**2 * (K - share) / (1 - (1 - t) ** 2),
    requires=(*STEP, Delta0 >= 0, v >= 0, K >= 1),
    kind="exact",
    source="derived, by induction over K; equality on L |w|^2 / 2 for every K",
    proof=PROOF,
)

floor = Bound(
    name="noisy_gradient.floor",
    quantity=PLATEAU,
    value=t * v / (2 - t),
    requires=(*STEP, v >= 0),
    kind="exact",
    source="derived: what one more step adds to sum_from_gap in the end; equality on L |w|^2 / 2",
    proof=PROOF,
)

distance = Bound(
    name="noisy_gradient.distance",
    quantity="expected squared distance to the minimiser after K steps",
    value=q2**K * R**2 + lr**2 * v * (1 - q2**K) / (1 - q2),
    requires=(*STRONGLY_CONVEX, *STEP, R >= 0, v >= 0, K >= 1),
    kind="exact",
    source="derived; with projection onto a convex set that holds the minimiser too; equality on mu w^2 / 2 for a short step, on "
    "L w^2 / 2 for a long one",
    proof=PROOF,
)

biased_floor = Bound(
    name="noisy_gradient.biased_floor",
    quantity=PLATEAU,
    value=t * v / (2 - t) + bias**2,
    requires=(*STEP, v >= 0, bias >= 0),
    kind="exact",
    source="derived; on L |w|^2 / 2 alone, with noise of mean bias and variance v about it",
    proof=PROOF,
)
