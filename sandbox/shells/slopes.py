"""Which slopes the in-place shell cannot use: decided before the first weight moves, one tensor at a time.

    g = sum of c z over the N directions that move a tensor,   c = slope / N

A direction is bad where c is not finite, and where N directions like it make a gradient N c z that is bad in the sense of
`sandbox.shells.gradients`: its squares have no finite sum in the dtype of the state, and a second moment would be infinite for
ever. That is a slope beyond about 1e16 for 1e6 entries whose state is float32 or bfloat16, and beyond 256 / max |z| in float16.

A bound clears a direction at the cost of a comparison: |N c| max |z| < limit / 2, with the half for the rounding of g, and

    rademacher   |z| = 1         gaussian   |z| <= 16         sphere   |z| <= 16 times what gave it its length, near 1
    low rank     |mu U Z V^T| <= mu |Z|_F <= mu r max |Z|

A direction that it does not clear is drawn once more and looked at, so the bounds need not be close; a step is not left out
because of them. A Gaussian number beyond 16 has probability 1.3e-57.
"""

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from sandbox.perturbations.in_chunks import InChunks
from sandbox.shells.gradients import bad_entries, limit
from sandbox.shells.slot import Slot


def bad_slopes(coefficients: Sequence[float], here: InChunks, of: Mapping[Tensor, Slot]) -> dict[int, str]:
    """Number of a bad direction -> what is wrong with its slope, the end of a sentence."""
    bad = {i: "is not finite" for i, c in enumerate(coefficients) if not math.isfinite(c)}
    for w, slot in of.items():
        touching = here.touching(slot.name)
        for i in touching:
            if i not in bad and not _squares(i, coefficients[i] * len(touching), here, w, slot):
                bad[i] = f"gives {slot.name} a gradient whose squares have no finite sum in {slot.kept}"
    return bad


def _squares(i: int, c: float, here: InChunks, w: Tensor, slot: Slot) -> bool:
    """Whether the gradient c z has a finite sum of squares in the dtype of the state."""
    if abs(c) * here.largest(i, slot.name, w) < limit(slot.kept, w.numel()) / 2:
        return True
    return bad_entries([here.combined(slot.name, w, {i: c})], [slot.kept]) == [0]


def complaint(bad: Mapping[int, str], coefficients: Sequence[float], step: int) -> str:
    """The sentence for bad directions, no weight having moved."""
    first = min(bad)
    return (
        f"{len(bad)} of {len(coefficients)} directions cannot be used at step {step}: the slope along direction {first}, "
        f"{coefficients[first]:.3g}, {bad[first]}; no weight was moved; "
        "lower the learning rate or look at the loss, or choose nonfinite='skip', 'zero' or 'pass'"
    )
