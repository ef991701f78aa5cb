"""The two-point gradient ghat = (1/n) sum_j s_j z_j with exact slopes s_j = z_j^T g: how much it scatters.

Slopes are exact for a central difference on a quadratic, whatever eps is, and for a forward gradient anywhere.

    E |ghat|^2 = q |g|^2,   q = (pair (d + 2) + own + (n - 1) scale^2) / n                  independent directions of one law

Symbols: d = perturbed entries, n = directions averaged, B = blocks, p = probability of being kept, kept = entries kept; eps = the
perturbation; slope_variance = variance of the error of one slope; g2 = |g|^2; tr_H = tr H and tr_HH = tr H^2 of the Hessian.
Sources: MeZO (Malladi et al. 2023, 2305.17333), Lemma 2 (read: the sphere); the rest derived. ZO-Bench (2402.11592): its code was read.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.zeroth_order_pairings import Law, d, g2, kept, mean, p, tr_H, tr_HH

n, B, eps, slope_variance = sympy.symbols("n B eps slope_variance", real=True)
SIZES = (d >= 1, n >= 1)
RATIO = "E |ghat|^2 / |grad f|^2"
PROOF = "proofs/proof_two_point_moments.py"
LEAST_PROOF = "proofs/proof_two_point_least_scatter.py"
BLOCK_PROOF = "proofs/proof_two_point_blocks.py"


def scatter(law: Law) -> sympy.Expr:
    """E |ghat|^2 / |g|^2 of n independent directions: one that pairs with itself, and n - 1 others."""
    return (mean(law, "G1") / g2 + (n - 1) * law.scale**2) / n


gaussian_second_moment = Bound(
    name="zeroth_order.gaussian_second_moment",
    quantity=RATIO,
    value=(d + n + 1) / n,
    requires=SIZES,
    kind="exact",
    source="derived; MeZO's appendix has the same",
    proof=PROOF,
)

sphere_second_moment = Bound(
    name="zeroth_order.sphere_second_moment",
    quantity=RATIO,
    value=(d + n - 1) / n,
    requires=SIZES,
    kind="exact",
    source="MeZO, Lemma 2 (read); the sphere of radius sqrt d and independent signs have the same",
    proof=PROOF,
)

random_mask_second_moment = Bound(
    name="zeroth_order.random_mask_second_moment",
    quantity="E |ghat|^2 / |E ghat|^2, one Gaussian direction, each entry kept with probability p",
    value=d - 1 + 3 / p,
    requires=(d >= 1, p > 0, p <= 1),
    kind="exact",
    source="derived; our dossier has d + 2 d / kept, which is that of a fixed number of kept entries",
    proof=PROOF,
)

counted_mask_second_moment = Bound(
    name="zeroth_order.counted_mask_second_moment",
    quantity="E |ghat|^2 / |E ghat|^2, one Gaussian direction, a random set of `kept` entries",
    value=d + 2 * d / kept,
    requires=(d >= 2, kept >= 1, kept <= d),
    kind="exact",
    source="derived",
    proof=PROOF,
)

one_sided_excess = Bound(
    name="zeroth_order.one_sided_excess",
    quantity="E |ghat|^2 of a one-sided difference less that of a central one, one Gaussian direction, on a quadratic",
    value=eps**2 / 4 * (d + 4) * (tr_H**2 + 2 * tr_HH),
    requires=(d >= 1, eps > 0),
    kind="exact",
    source="derived",
    proof=PROOF,
)

noise_excess = Bound(
    name="zeroth_order.noise_excess",
    quantity="E |ghat|^2 less that without noise, directions with E z z^T = I",
    value=d * slope_variance / n,
    requires=(*SIZES, slope_variance >= 0),
    kind="exact",
    source="derived; losses with independent errors of variance s^2: slope_variance = s^2 / (2 eps^2) central, 2 s^2 / eps^2 one-sided",
    proof=PROOF,
)

least_scatter = Bound(
    name="zeroth_order.least_scatter",
    quantity="E |ghat|^2 / |grad f|^2, mean over the directions of the gradient",
    value=d / n,
    requires=(n >= 1, n <= d),
    kind="lower",
    source="derived; any joint law of n directions with E ghat = grad f; equality where they are orthogonal, of length sqrt d",
    proof=LEAST_PROOF,
)

least_independent_scatter = Bound(
    name="zeroth_order.least_independent_scatter",
    quantity="E |ghat|^2 / |grad f|^2, mean over the directions of the gradient, independent directions of one law",
    value=(d + n - 1) / n,
    requires=SIZES,
    kind="lower",
    source="derived; equality exactly where |z|^2 = d always: sphere, signs, scaled coordinates, and no Gaussian",
    proof=LEAST_PROOF,
)

gaussian_blocks = Bound(
    name="zeroth_order.gaussian_blocks",
    quantity=RATIO,
    value=d / B + 2,
    requires=(B >= 1, B <= d),
    kind="exact",
    source="derived; B equal blocks, each with its own slope; ZO-Bench reports a gain",
    proof=BLOCK_PROOF,
)

sphere_blocks = Bound(
    name="zeroth_order.sphere_blocks",
    quantity=RATIO,
    value=d / B,
    requires=(B >= 1, B <= d),
    kind="exact",
    source="derived; B equal blocks, each on its own sphere (or of signs); it meets least_scatter at n = B",
    proof=BLOCK_PROOF,
)
