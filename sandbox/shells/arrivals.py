"""Which tensors have got a gradient since the last step, and in which backward: what the fused shell refuses goes by it."""

from typing import Literal

from torch import Tensor

from sandbox.shells.slot import Slot


class Arrivals:
    """of: index of a slot -> number of the backward.  left_out: the backwards in which a gradient was left out."""

    def __init__(self) -> None:
        self.of: dict[int, int] = {}
        self.left_out: set[int] = set()

    def refusal(self, slot: Slot, g: Tensor | None, backward: int) -> str:
        """Of a gradient that is gone, or the second one of its tensor."""
        if g is None:
            return f"the gradient of {slot.name} was gone before the fused shell saw it; remove() the other shell on this tensor"
        again = "the same backward" if self.of[slot.index] == backward else "another backward"
        return f"{slot.name} got a second gradient before step(), in {again}: {_REASON[again]}"

    def forget(self, backward: int) -> None:
        """As if that backward had not been."""
        self.of = {index: n for index, n in self.of.items() if n != backward}
        self.left_out.discard(backward)


_REASON: dict[Literal["the same backward", "another backward"], str] = {
    "the same backward": "re-entrant checkpointing of a shared tensor gives it in parts, and the first part is applied already; "
    "use use_reentrant=False, or the stepwise shell",
    "another backward": "the fused shell has already applied the first, so it cannot accumulate; "
    "call step() after every backward, or use the stepwise shell",
}
