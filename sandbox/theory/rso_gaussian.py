"""RSO with Gaussian P: entries N(0, 1/r), so P^T P is not (m/r) I, and the constant of the theorem no longer holds.

On f = L |W|^2 / 2 one exact round lets f fall, on average over P, by |grad f|^2 / (2 L m) * E sum_i [1 - (1 + t
x_i)^-2], where the x_i are the eigenvalues of (r/m) P^T P. As r, m grow with r/m = c they follow the Marchenko-Pastur
law (mean 1, support [(1 - sqrt c)^2, (1 + sqrt c)^2]), so relative to the Stiefel law, where x = 1,

    factor(t, c) = [1 - (1+t)^-2] / E [1 - (1 + t x)^-2]  >  1         (Jensen: 1 - (1 + t x)^-2 is concave)

E (1 + t x)^-2 in closed form: with w = 1/t it is -w^2 S'(w), S(w) = E 1/(x + w) = (q - (1 - c + w)) / (2 c w), the
Stieltjes transform, q = sqrt((1 - c + w)^2 + 4 c w). At finite size the factor is a little larger (1.092 at m = 12, r
= 3, against 1.070).

Source: V. Marchenko, L. Pastur (1967) for the law (recalled); the rest derived. Symbols: t = eta Lhat, c = r/m.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import INEXACT_RATIO, RATIO, SIZES, constant, m, r, t
from sandbox.theory.rso_inner_steps import step

c, share = sympy.symbols("c share", real=True)
PROOF = "proofs/proof_rso_gaussian_isotropic.py"
SAFE_PROOF = "proofs/proof_rso_gaussian_safe.py"
_w = sympy.Symbol("w", positive=True)
_q = sympy.sqrt((1 - c + _w) ** 2 + 4 * c * _w)
_stieltjes = (_q - (1 - c + _w)) / (2 * c * _w)
_second = (-(_w**2) * sympy.diff(_stieltjes, _w)).subs(_w, 1 / t)  # E (1 + t x)^-2

factor = Bound(
    name="rso_gaussian.factor",
    quantity="exact-subproblem constant relative to Stiefel sampling",
    value=(1 - (1 + t) ** -2) / (1 - _second),
    requires=(t > 0, c > 0, c <= 1),
    kind="exact",
    source="derived; the isotropic quadratic, limit of large m at fixed c = r/m; for t < 1 conjectured to be the worst f, "
    "which costs at most 0.5 % more at t = 1/2, c = 1/4 (rso_gaussian_losses)",
    proof=PROOF,
)

constant_on_isotropic = Bound(
    name="rso_gaussian.constant_on_isotropic",
    quantity=RATIO,
    value=constant * factor.value,
    requires=factor.requires,
    kind="exact",
    source=factor.source,
    proof=PROOF,
)

stable_aspect = Bound(
    name="rso_gaussian.stable_aspect",
    quantity="largest r/m at which the subproblem stays convex in the worst case",
    value=(sympy.sqrt(1 / t) - 1) ** 2,
    requires=(t > 0, t < 1),
    kind="exact",
    source="derived; lam_max((r/m) P^T P) -> (1 + sqrt c)^2 must stay below 1/t; (sqrt 2 - 1)^2 = 0.1716 at t = 1/2",
    proof=PROOF,
)

any_law = Bound(
    name="rso_gaussian.any_law",
    quantity=INEXACT_RATIO,
    value=2 / share,
    requires=(share > 0, share < 1),
    kind="exact",
    source="derived; share = E mean_i t x_i / (1 + t x_i), any law of P that a rotation of W does not change; equality at B = 0 on "
    "L |W|^2 / 2; holds for every smooth f and the global argmin, where eps = 0",
    proof=SAFE_PROOF,
)

safe_constant = Bound(
    name="rso_gaussian.safe_constant",
    quantity=INEXACT_RATIO,
    value=2 / (1 - (_w * _stieltjes).subs(_w, 1 / t)),
    requires=(t > 0, c > 0, c <= 1),
    kind="exact",
    source="derived; any_law for Gaussian P, limit of large m at fixed c = r/m; 6.34 at t = 1/2, c = 1/4, where Stiefel has 6",
    proof=SAFE_PROOF,
)

one_step = Bound(
    name="rso_gaussian.one_step",
    quantity=RATIO,
    value=2 / (step * (2 - step * (m + r + 1) / m)),
    requires=(step > 0, step * (m + r + 1) < 2 * m, *SIZES),
    kind="exact",
    source="derived; one inner step of length step / Lhat, Gaussian P, every smooth f, every m and r; equality on L |W|^2 / 2; at best "
    "2 (1 + (r + 1) / m) where Stiefel has 2",
    proof=SAFE_PROOF,
)
