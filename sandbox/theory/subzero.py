"""SubZero: two-point gradients along mu P z in a random subspace, P^T P = I_q, E P P^T = (q/d) I, z ~ N(0, I_q), mu^2 = d/q.

    one matrix m x n, rank r:   P z = U Z V^T,   q = r^2,   d = m n,   mu = sqrt(m n) / r

Symbols: d, q as above; F = steps between two refreshes; n = directions; L = smoothness; rows, columns, rank of one matrix;
flatness = tr (G G^T)^2 / |G|^4 of the gradient matrix G, in [1 / rank of G, 1].
Sources: Yu et al. (2024), 2410.08989, Theorem 2 (recalled; its moments second-hand through AIM-ZO, eq. 10); the rest derived.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.zeroth_order import n
from sandbox.theory.zeroth_order_edge import L
from sandbox.theory.zeroth_order_pairings import d
from sandbox.theory.zeroth_order_rate import Delta, K

q, rows, columns, rank, flatness = sympy.symbols("q rows columns rank flatness", real=True)
F = sympy.Symbol("F", integer=True)
SUBSPACE = (q >= 1, q <= d)
MATRIX = (rank >= 1, rank <= rows, rank <= columns, rows >= 2, columns >= 2, flatness > 0, flatness <= 1)
COSINE = "E cos^2 between the estimate and the gradient"
PERIOD = "factor of E |x|^2 per refresh period on L |x|^2 / 2"
PROOF = "proofs/proof_subzero_cosine.py"
SPREAD_PROOF = "proofs/proof_subzero_captured_energy.py"
REFRESH_PROOF = "proofs/proof_subzero_refresh.py"

cosine = Bound(
    name="subzero.cosine",
    quantity=COSINE,
    value=1 / d,
    requires=SUBSPACE,
    kind="exact",
    source="derived; the same as MeZO's, whatever the rank: no gain that the paper's figure suggests",
    proof=PROOF,
)

cosine_limit = Bound(
    name="subzero.cosine_limit",
    quantity="E cos^2 between the estimate and the gradient, mean over the directions of the gradient",
    value=n / d,
    requires=(n >= 1, n <= d),
    kind="upper",
    source="derived; any law of n directions drawn without looking; equality for n orthogonal ones, and for every law at n = 1",
    proof=PROOF,
)

projected_cosine = Bound(
    name="subzero.projected_cosine",
    quantity="E cos^2 between the estimate and the projected gradient",
    value=1 / q,
    requires=SUBSPACE,
    kind="exact",
    source="Yu et al., Theorem 2 (recalled): against P P^T g and not against g",
    proof=PROOF,
)

second_moment = Bound(
    name="subzero.second_moment",
    quantity="E |ghat|^2 / |grad f|^2",
    value=d * (1 + 2 / q),
    requires=SUBSPACE,
    kind="exact",
    source="derived; mu^2 = d/q; never below MeZO's d + 2",
    proof=PROOF,
)


def pair_weights(side: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """E Pi_ij Pi_kl = x [ij][kl] + y ([ik][jl] + [il][jk]) of a uniform projector of this rank."""
    y = rank * (side - rank) / (side * (side - 1) * (side + 2))
    return (rank**2 - 2 * y * side) / side**2, y


_x_m, _y_m = pair_weights(rows)
_x_n, _y_n = pair_weights(columns)
captured_square = Bound(
    name="subzero.captured_square",
    quantity="E (|U^T G V|^2 / |G|^2)^2",
    value=_x_m * _x_n + 2 * flatness * (_x_m * _y_n + _y_m * _x_n) + 2 * _y_m * _y_n * (1 + flatness),
    requires=MATRIX,
    kind="exact",
    source="derived; the mean is r^2 / (m n) whatever G is, and a gradient of low rank only makes it vary more",
    proof=SPREAD_PROOF,
)

refresh_factor = Bound(
    name="subzero.refresh_factor",
    quantity=PERIOD,
    value=1 - q / d * (1 - (1 - 1 / (q + 2)) ** F),
    requires=(*SUBSPACE, F >= 1),
    kind="exact",
    source="derived; step lr mu^2 = 1 / (L (q+2)), the best one inside the subspace",
    proof=REFRESH_PROOF,
)

stall = Bound(
    name="subzero.stall",
    quantity=PERIOD,
    value=1 - q / d,
    requires=SUBSPACE,
    kind="lower",
    source="derived; whatever is done inside the subspace, and however long; equality for exact minimisation there",
    proof=REFRESH_PROOF,
)

edge = Bound(
    name="subzero.edge",
    quantity="largest learning rate at which E |x|^2 contracts",
    value=2 * q / (d * (q + 2) * L),
    requires=(*SUBSPACE, L > 0),
    kind="exact",
    source="derived; L |x|^2 / 2, mu^2 = d/q, every F; smaller than MeZO's by (1 + 2/d) / (1 + 2/q)",
    proof=REFRESH_PROOF,
)

refreshed_gradient = Bound(
    name="subzero.refreshed_gradient",
    quantity="mean of E |grad f|^2 over the steps at which the subspace is new",
    value=2 * L * d * (1 + 2 / q) * F * Delta / K,
    requires=(*SUBSPACE, F >= 1, L > 0, Delta >= 0, K >= F),
    kind="upper",
    source="derived; exact slopes, any L-smooth f, lr = q / (d (q+2) L); attained at F = 1; the paper has fixed P, or O(d) (second-hand)",
    proof=REFRESH_PROOF,
)
