"""The update g / sqrt(V1) of a factored second moment (Adafactor, AdaLomo): its angle to the gradient, its size, and where it stalls.

    V1 = R C^T / S of the averaged g^2,   u = g / sqrt(V1),   clipped to RMS(u) <= d = 1,   step = lr s of RMS at most

Symbols: spread = sqrt(largest / smallest entry of V1) (of v, for a vector), read off the state as
sqrt(max r max c / (min r min c)); rows, cols; size = entries on the diagonal of a square matrix; small, large = smallest
and other entries of a diagonal gradient, in loss / param; flat = slope that does not change, in loss / param; length =
sum of lr s over the steps, in param; scale = eps1 / g^2.
Source of the update: Shazeer & Stern (1804.04235; second-hand); the statements are derived, T6 to T8, T14 of the project's notes.
"""

import sympy

from sandbox.theory.base import Bound

spread, rows, cols, size, small, large, flat, length, scale = sympy.symbols(
    "spread rows cols size small large flat length scale", real=True
)
DIAGONAL = (size >= 1, small > 0, large >= small)
FREEZE = "proofs/proof_factored_freeze.py"

angle = Bound(
    name="factored_update.angle",
    quantity="cosine between the gradient and its normalised update",
    value=2 * sympy.sqrt(spread) / (1 + spread),
    requires=(spread >= 1,),
    kind="lower",
    source="derived; Kantorovich's inequality; attained by AdaLomo's first step on a diagonal gradient of two entries",
    proof="proofs/proof_factored_angle.py",
)

first_rms = Bound(
    name="factored_update.first_rms",
    quantity="RMS of the first normalised update, before it is clipped",
    value=sympy.sqrt((rows + cols - 1) / (rows * cols)),
    requires=(rows >= 1, cols >= 1),
    kind="lower",
    source="derived; no row and no column all 0; equality for a single row or column, approached by one dominant entry whose row and "
    "column alone are not 0; no upper limit: a diagonal gradient has |g| / g_k",
    proof="proofs/proof_factored_first_step.py",
)

scale_shortfall = Bound(
    name="factored_update.scale_shortfall",
    quantity="relative shortfall of an entry of the first update of a vector, for eps1 added to g^2",
    value=scale / 2,
    requires=(scale >= 0,),
    kind="upper",
    source="derived; scale = eps1 / g^2, so that the loss drops out up to 1e-30 / (2 g^2); approached for scale -> 0",
    proof="proofs/proof_factored_first_step.py",
)

inverse_step = Bound(
    name="factored_update.inverse_step",
    quantity="step at the smallest gradient / (lr max(eps2, RMS(w)))",
    value=size / sympy.sqrt(1 + (size - 1) * small**2 / large**2),
    requires=DIAGONAL,
    kind="exact",
    source="derived; square diagonal gradient, one entry small and the others large; at most `size`, its limit for small -> 0",
    proof=FREEZE,
)

equal_share = Bound(
    name="factored_update.equal_share",
    quantity="first-order decrease of the loss by one entry of a diagonal gradient / (lr max(eps2, RMS(w)))",
    value=size * small / sympy.sqrt(1 + (size - 1) * small**2 / large**2),
    requires=DIAGONAL,
    kind="exact",
    source="derived; the same for every entry, whatever its gradient; at most size * small",
    proof=FREEZE,
)

frozen_decrease = Bound(
    name="factored_update.frozen_decrease",
    quantity="decrease of the loss of one steep entry of a diagonal in a run",
    value=size * flat * length,
    requires=(size >= 2, flat >= 0, length >= 0),
    kind="upper",
    source="derived; beside an entry of constant slope `flat`, whatever the curvature of the steep one, as long as its gradient does "
    "not grow; AdaLomo's averages included; approached for flat -> 0. So no rate in L, Delta0, lr and the steps alone exists",
    proof=FREEZE,
)
