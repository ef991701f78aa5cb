"""GoLore's counterexample (B = 0) in closed form: a basis from the gradient, a random one, and one drawn by importance.

f(X) = |X_top|^2 / 2, X_top = the first n - r rows of X (n, n); the stochastic gradient adds xi sigma I_r in the corner that
f does not see (sandbox/problems/golore_counterexample.py). X_11 starts at s I, X_12 at 0, and |grad f|^2 = |X_top|^2.

Symbols: n, r sizes; sigma, s in loss / param; lr of gradient descent in the subspace; move = 1 - (1 - lr)^update_gap, the share
that a chosen singular value loses between two refreshes; K = refreshes.
Pi = projection on r uniformly random directions of n:  o = E Pi_ij^2,  q = E (Pi_tt^2)_ii over the top rows.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import r

n, sigma, lr, s, move = sympy.symbols("n sigma lr s move", real=True)
K = sympy.Symbol("K", integer=True)

SIZES = (r >= 1, r < n)
MOVES = (sigma > 0, move > 0, move < 1)
STALL_PROOF = "proofs/proof_projection_stall.py"
FLOOR_PROOF = "proofs/proof_projection_golore_floor.py"
I3S_PROOF = "proofs/proof_projection_i3s.py"
PLATEAU = "mean squared gradient norm of f on the plateau"
GROWTH = "growth of the mean inverse singular value of the gradient per refresh"
PAPER = "He et al. (2024), https://arxiv.org/abs/2410.11289, first theorem, second-hand: that an instance exists; this one derived"

o = r * (n - r) / (n * (n - 1) * (n + 2))
q = r * (r + 2) / (n * (n + 2)) + (n - r - 1) * o

galore_stall = Bound(
    name="projections_golore.galore_stall",
    quantity="squared gradient norm of f where it is farthest from its start",
    value=(n - r) * s**2,
    requires=(*SIZES, s > 0, s < sigma),
    kind="exact",
    source=PAPER,
    proof=STALL_PROOF,
)

golore_factor = Bound(
    name="projections_golore.golore_factor",
    quantity="factor per step of the excess of the mean squared gradient norm over its plateau",
    value=1 - 2 * lr * r / n + lr**2 * q,
    requires=(*SIZES, lr > 0),
    kind="exact",
    source="derived; gradient descent on Pi G with a fresh Pi every step",
    proof=FLOOR_PROOF,
)

golore_floor = Bound(
    name="projections_golore.golore_floor",
    quantity=PLATEAU,
    value=lr * sigma**2 * r * (n - r) * o / (2 * r / n - lr * q),
    requires=(*SIZES, sigma > 0, lr > 0, lr * q < 2 * r / n),
    kind="exact",
    source="derived; gradient descent on Pi G with a fresh Pi every step",
    proof=FLOOR_PROOF,
)

golore_small_floor = Bound(
    name="projections_golore.golore_small_floor",
    quantity=PLATEAU,
    value=lr * sigma**2 * r * (n - r) ** 2 / (2 * (n - 1) * (n + 2)),
    requires=golore_floor.requires,
    kind="lower",
    source="derived; the floor for small lr, and below it for every lr",
    proof=FLOOR_PROOF,
)

_i3s_growth = sympy.harmonic(r) * move / ((1 - move) * sigma)
i3s_growth = Bound(
    name="projections_golore.i3s_growth",
    quantity=GROWTH,
    value=_i3s_growth,
    requires=(r >= 1, *MOVES),
    kind="upper",
    source="derived; importance sampling by singular values, whatever they are; approached as they go to 0",
    proof=I3S_PROOF,
)

i3s_gradient = Bound(
    name="projections_golore.i3s_gradient",
    quantity="mean squared gradient norm of f after K refreshes",
    value=(n - r) / (1 / s + K * _i3s_growth) ** 2,
    requires=(*SIZES, *MOVES, s > 0, K >= 0),
    kind="lower",
    source="derived: no linear rate; the guarantees of I3S and SARA (second-hand) suppose inclusion probabilities bounded below",
    proof=I3S_PROOF,
)

galore_normal_growth = Bound(
    name="projections_golore.galore_normal_growth",
    quantity=GROWTH,
    value=r / (n - r) * sympy.sqrt(2 / sympy.pi) * move / ((1 - move) * sigma),
    requires=(*SIZES, 2 * r <= n, *MOVES),
    kind="upper",
    source="derived; GaLore with xi ~ N(0, 1) at the refresh; approached as singular values go to 0",
    proof=I3S_PROOF,
)
