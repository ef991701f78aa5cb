"""RSO with subproblems that are solved to an accuracy: relative in value, relative or absolute in the residual, and the best weighting.

    F(B) = f(W + P B) + |B|^2 / (2 eta)
    value      F(B) - min F <= w^2 (F(0) - min F)
    residual   |grad F(B)| <= s |grad F(0)|,   or  E|grad F(B)|^2 <= delta2

decrease = the mean fall of the loss per round, in loss; D = the weight of delta2 against it, a number; other letters as in rso.py.
Relative accuracies leave no floor. All constants are attained on a quadratic of curvature Lhat, and t < 1 makes F convex.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.rso import RATIO, SIZES, STIEFEL, L, L_hat, eps, t

w, s, D, decrease = sympy.symbols("w s D decrease", real=True)
CONVEX = (t > 0, t < 1)
_margin = (1 + t**2) * s**2 - (2 * t**3 + 4 * t**2 + 2 * t + 4) * s + 3 - t**2


def relative(accuracy: sympy.Expr) -> sympy.Expr:
    """2 / (1 - q^2), q = (1 + accuracy t) / (1 + t): what is left of w in a round on the steepest quadratic."""
    return 2 * (1 + t) ** 2 / (t * (1 - accuracy) * (2 + t + accuracy * t))


relative_value = Bound(
    name="rso_inexact.relative_value",
    quantity=RATIO,
    value=relative(w),
    requires=(*CONVEX, w >= 0, w < 1, *STIEFEL),
    kind="exact",
    source="derived; no floor; C(t) at w = 0; equality on L |W|^2 / 2",
    proof="proofs/proof_rso_relative_value.py",
)

relative_residual = Bound(
    name="rso_inexact.relative_residual",
    quantity=RATIO,
    value=relative(s),
    requires=(*CONVEX, s >= 0, s < 1, _margin >= 0, *STIEFEL),
    kind="exact",
    source="derived; no floor; s <= (25 - 9 sqrt 5) / 10 = 0.4875 at t = 1/2; it fails for every s beyond; equality on L |W|^2 / 2",
    proof="proofs/proof_rso_relative_residual.py",
)

absolute_residual = Bound(
    name="rso_inexact.absolute_residual",
    quantity="sum of squared gradient norms over Lhat times (decrease of the loss + D delta2 / Lhat per round)",
    value=2 * (2 * D * (1 + t) ** 2 - t**2) / (t * (2 * D * (2 + t) - t)),
    requires=(*CONVEX, 4 * (3 - t**2) * D**2 - 8 * t * D + t**2 >= 0, (3 - t**2) * D > t, *STIEFEL),
    kind="exact",
    source="derived; D >= 1 is enough for every t; it fails for every D outside; falls to C(t) as D grows; equality on L |W|^2 / 2",
    proof="proofs/proof_rso_absolute_residual.py",
)

_progress = (1 + t) * sympy.sqrt((2 + t) * decrease + (1 + t) * eps)
accuracy_envelope = Bound(
    name="rso_inexact.accuracy_envelope",
    quantity="mean squared gradient norm",
    value=2 * L_hat / (t * (2 + t) ** 2) * (_progress + sympy.sqrt((1 + t) * eps)) ** 2,
    requires=(*CONVEX, L > 0, eps >= 0, decrease >= 0, *SIZES, *STIEFEL),
    kind="exact",
    source="derived: the infimum of weighted_inexact_constant over a; C(t) Lhat decrease at eps = 0, the floor at decrease = 0",
    proof="proofs/proof_rso_accuracy_envelope.py",
)
