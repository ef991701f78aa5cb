"""Variants of the zeroth-order step on smooth functions: signs, accept-if-better, and one-point feedback with a residual.

    signed slope     x - lr sign(s) z            E f falls by lr sqrt(2/pi) |g| - lr^2 tr(H) / 2          Gaussian z
    signed entries   x - lr sign(s z)            ... by lr (2/pi) sum_i g_i arcsin(g_i / |g|) - lr^2 tr(H) / 2
    conservative     the best of x, x -+ lr s z; on a quadratic the step is taken where lr z^T H z < 2, its opposite never
    residual         ghat_t = [f(x_t + eps z_t) - f(x_(t-1) + eps z_(t-1))] / eps  z_t

Symbols: grad = |grad f|; lr; tr_H; L; d; eps; c = the largest accepted |z|^2, 2 / (lr L); Delta = f(x_0) - E f(x_K), K = steps.
Source: derived; ZO-Bench (2402.11592; its code was read) for the three variants, MeZO (2305.17333), appendix B.5, for the residual.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.zeroth_order import eps
from sandbox.theory.zeroth_order_edge import L, lr
from sandbox.theory.zeroth_order_pairings import d, tr_H
from sandbox.theory.zeroth_order_rate import Delta, K

grad = sympy.Symbol("grad", real=True)
FALL = "E [f(x) - f(x+)], Gaussian directions, exact slopes"
MEAN_NORM = "mean of E |grad f| over K steps"
SIGN_PROOF = "proofs/proof_zeroth_order_sign.py"
CONSERVATIVE_PROOF = "proofs/proof_zeroth_order_conservative.py"
RESIDUAL_PROOF = "proofs/proof_zeroth_order_residual.py"
STEP = (lr > 0, tr_H >= 0, grad >= 0)
SMOOTH = (d >= 1, L > 0, Delta >= 0, K >= 1, lr > 0)

signed_slope_fall = Bound(
    name="zeroth_order_steps.signed_slope_fall",
    quantity=FALL,
    value=lr * sympy.sqrt(2 / sympy.pi) * grad - lr**2 * tr_H / 2,
    requires=STEP,
    kind="exact",
    source="derived; a quadratic of Hessian H, the sign of the slope times the whole direction; the released code of ZO-Bench",
    proof=SIGN_PROOF,
)

signed_entries_fall = Bound(
    name="zeroth_order_steps.signed_entries_fall",
    quantity=FALL,
    value=lr * 2 / sympy.pi * grad - lr**2 * tr_H / 2,
    requires=STEP,
    kind="lower",
    source="derived; a quadratic of Hessian H, the sign of every entry; at most pi/2 times the first part; equality for flat g, d -> oo",
    proof=SIGN_PROOF,
)

signed_slope_floor = Bound(
    name="zeroth_order_steps.signed_slope_floor",
    quantity="|x| on L |x|^2 / 2 at which E |x|^2 stops falling",
    value=sympy.sqrt(sympy.pi / 8) * lr * d,
    requires=(lr > 0, d >= 1),
    kind="exact",
    source="derived; whatever the curvature is",
    proof=SIGN_PROOF,
)

signed_slope_rate = Bound(
    name="zeroth_order_steps.signed_slope_rate",
    quantity=MEAN_NORM,
    value=sympy.sqrt(sympy.pi / 2) * (Delta / (K * lr) + lr * L * d / 2),
    requires=SMOOTH,
    kind="exact",
    source="derived; any L-smooth f; equality on L |x|^2 / 2 in every dimension",
    proof=SIGN_PROOF,
)

signed_entries_rate = Bound(
    name="zeroth_order_steps.signed_entries_rate",
    quantity=MEAN_NORM,
    value=sympy.pi / 2 * (Delta / (K * lr) + lr * L * d / 2),
    requires=SMOOTH,
    kind="upper",
    source="derived; any L-smooth f; no constant below pi/2 serves all dimensions",
    proof=SIGN_PROOF,
)

conservative_limit = Bound(
    name="zeroth_order_steps.conservative_limit",
    quantity="E [f(x) - f(x+)] of one accepted or refused step over |grad f|^2, on L |x|^2 / 2",
    value=1 / (2 * L * d),
    requires=(L > 0, d >= 1),
    kind="upper",
    source="derived; any law that is invariant under rotations, any lr; equality for directions of one length at lr = 1/(L d)",
    proof=CONSERVATIVE_PROOF,
)

_c = sympy.Symbol("c", positive=True)


def chi_square(degrees: sympy.Expr) -> sympy.Expr:
    """Distribution function of chi^2 with this many degrees of freedom, at c."""
    return sympy.lowergamma(degrees / 2, _c / 2) / sympy.gamma(degrees / 2)


acceptance = Bound(
    name="zeroth_order_steps.acceptance",
    quantity="probability that a conservative step is taken on L |x|^2 / 2",
    value=chi_square(d).subs(_c, 2 / (lr * L)),
    requires=(L > 0, d >= 1, lr > 0),
    kind="exact",
    source="derived; Gaussian directions; whatever the gradient is; signs and the sphere: 1 below lr = 2/(L d), 0 above",
    proof=CONSERVATIVE_PROOF,
)

conservative_fall = Bound(
    name="zeroth_order_steps.conservative_fall",
    quantity="E [f(x) - f(x+)] of one conservative step over lr |grad f|^2, on L |x|^2 / 2",
    value=(chi_square(d + 2) - (d + 2) / _c * chi_square(d + 4)).subs(_c, 2 / (lr * L)),
    requires=(L > 0, d >= 1, lr > 0),
    kind="exact",
    source="derived; Gaussian directions; for plain ZO-SGD 1 - (d+2) lr L / 2, negative beyond its edge",
    proof=CONSERVATIVE_PROOF,
)

residual_second_moment = Bound(
    name="zeroth_order_steps.residual_second_moment",
    quantity="stationary E |ghat|^2 / |grad f|^2 on a linear function",
    value=d + 2 + d * (eps**2 + lr**2 * grad**2) / (eps**2 - lr**2 * grad**2),
    requires=(d >= 1, eps > 0, lr >= 0, grad > 0, lr * grad < eps),
    kind="exact",
    source="derived; Gaussian directions; 2 d + 2 as lr -> 0, against d + 2 of two points, and unbounded as lr |grad f| -> eps",
    proof=RESIDUAL_PROOF,
)

residual_edge = Bound(
    name="zeroth_order_steps.residual_edge",
    quantity="largest lr at which the variance of a residual slope stays bounded on a linear function",
    value=eps / grad,
    requires=(eps > 0, grad > 0),
    kind="exact",
    source="derived; no curvature is involved: the loss must move less per step than a perturbation moves it",
    proof=RESIDUAL_PROOF,
)
