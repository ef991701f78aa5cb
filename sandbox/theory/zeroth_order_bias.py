"""How far the mean of a two-point gradient is from the gradient, where f is no quadratic; and the best eps against noise.

    E ghat - grad f = integral_0^eps s E grad(Laplacian f)(w + s z) ds                              Gaussian z, heat equation
                    = (eps^2/2) grad(Laplacian f)(w)                                                for polynomials of degree <= 4

Symbols: L2 = Lipschitz constant of the Hessian (spectral norm), in loss / param^3; d = perturbed entries; eps in param;
curvature_slope = |grad(Laplacian f)|; loss_variance = variance of the error of one loss; n = directions.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.zeroth_order import eps, n
from sandbox.theory.zeroth_order_pairings import d

L2, curvature_slope, loss_variance = sympy.symbols("L2 curvature_slope loss_variance", real=True)
SMOOTH = (eps > 0, L2 >= 0)
BIAS = "|E ghat - grad f|, Gaussian directions"
PROOF = "proofs/proof_two_point_bias.py"
EPS_PROOF = "proofs/proof_zeroth_order_best_eps.py"

low_dimensional_bias = Bound(
    name="zeroth_order_bias.low_dimensional_bias",
    quantity=BIAS,
    value=eps**2 / 2 * L2 * ((d + 2) / 3) ** sympy.Rational(3, 2),
    requires=(*SMOOTH, d >= 1, d <= 10),
    kind="exact",
    source="derived; attained by a cubic",
    proof=PROOF,
)

bias = Bound(
    name="zeroth_order_bias.bias",
    quantity=BIAS,
    value=eps**2 / 2 * L2 * (d - 2),
    requires=(*SMOOTH, d >= 10),
    kind="exact",
    source="derived; attained by the cubic 3 |x|^2 x_1 - 4 x_1^3; smaller than the classical bound by d/3",
    proof=PROOF,
)

classical_bias = Bound(
    name="zeroth_order_bias.classical_bias",
    quantity=BIAS,
    value=eps**2 / 6 * L2 * (d + 4) ** 2,
    requires=(*SMOOTH, d >= 1),
    kind="upper",
    source="Nesterov & Spokoiny (2017), Random gradient-free minimization of convex functions, Lemma 3 (recalled); SubZero's with q for d",
)

quartic_bias = Bound(
    name="zeroth_order_bias.quartic_bias",
    quantity=BIAS,
    value=eps**2 / 2 * curvature_slope,
    requires=(eps > 0, curvature_slope >= 0),
    kind="exact",
    source="derived; polynomials of degree at most 4, central or one-sided",
    proof=PROOF,
)

sphere_quartic_bias = Bound(
    name="zeroth_order_bias.sphere_quartic_bias",
    quantity="|E ghat - grad f|, directions on the sphere",
    value=eps**2 / 2 * curvature_slope * d / (d + 2),
    requires=(eps > 0, curvature_slope >= 0, d >= 1),
    kind="exact",
    source="derived; polynomials of degree at most 4",
    proof=PROOF,
)

least_error = Bound(
    name="zeroth_order_bias.least_error",
    quantity="squared bias + variance due to noisy losses, best eps of a central difference",
    value=sympy.Rational(3, 4) * (curvature_slope * d * loss_variance / n) ** sympy.Rational(2, 3),
    requires=(d >= 1, n >= 1, curvature_slope > 0, loss_variance > 0),
    kind="exact",
    source="derived; polynomials of degree at most 4, Gaussian directions",
    proof=EPS_PROOF,
)

best_eps = Bound(
    name="zeroth_order_bias.best_eps",
    quantity="eps of the least squared bias + variance due to noisy losses",
    value=(d * loss_variance / (n * curvature_slope**2)) ** sympy.Rational(1, 6),
    requires=(d >= 1, n >= 1, curvature_slope > 0, loss_variance > 0),
    kind="exact",
    source="derived; loss_variance = spacing^2 / 12 where losses are rounded",
    proof=EPS_PROOF,
)
