"""Which way a shell runs its steps: execution = "plain", "recorded" or "compiled".

    Stepwise(model.named_parameters(), AdamW(1e-3), execution="compiled")

plain      the pure step as it is written; new tensors for every operation
recorded   the same operations without the temporaries (see `recorded`); no compiler, any device
compiled   C++ loops, all tensors in one call (see `compiled`); needs a C++ compiler, float32 or float64 on the CPU

Initial states and refreshes of frames are always plain. What a way cannot take (a sharded tensor, a precision other than that of
the weight, for loops also matrix products) moves in the next simpler one.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from torch import Tensor
from torch.autograd.graph import increment_version

from sandbox.optimizers.base import Rule
from sandbox.optimizers.sharding import placements
from sandbox.shells.compiled import Compiled
from sandbox.shells.execution import is_ordinary
from sandbox.shells.moving import Move, changed, ready
from sandbox.shells.recorded import Recorded
from sandbox.shells.sharded import Sharded
from sandbox.shells.slot import AS_GIVEN, Slot

MoveOne = Callable[[Tensor, Tensor, Rule, dict[str, Any]], None]
Execution = Literal["plain", "recorded", "compiled"]


class Ways:
    """Moves tensors in one way. Raises ValueError where there is no such way, NoCompiler where it needs a compiler."""

    def __init__(self, execution: Execution) -> None:
        if execution not in get_args(Execution):
            raise ValueError(f"execution must be one of {', '.join(get_args(Execution))}, got {execution!r}")
        self._execution, self._sharded = execution, Sharded()
        self._way = {"plain": lambda: None, "recorded": Recorded, "compiled": Compiled}[execution]()

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """A copy prepares its tensors anew."""
        return Ways, (self._execution,)

    def alone(self, slot: Slot, w: Tensor) -> MoveOne:
        """What moves one slot by (w, g, rule, entry), under no_grad: the slot itself, where there is nothing to sort."""
        if self._way is None and not placements(w):
            return slot.move
        return lambda w, g, rule, entry: self.move([Move(slot, w, g, rule, entry)])

    def forget(self, w: Tensor) -> None:
        """To be called where the state of a sharded w is another one between two steps; the old one would stay until the next."""
        self._sharded.forget(w)

    def move(self, moves: Sequence[Move]) -> None:
        """One step of every slot, with its refresh where it is due."""
        self._sharded.move([m for m in moves if not self._takes(m)])
        mine = [m for m in moves if self._takes(m)]
        if not mine:
            return
        now = {id(m.rule): changed(m) for m in mine}
        self._way.move_all([ready(m, now[id(m.rule)]) for m in mine])
        increment_version([m.w for m in mine])  # loops write unseen by autograd, which must refuse a graph that has kept the old weight
        for m in mine:
            m.entry["step"] = m.entry.get("step", 0) + 1

    def _takes(self, m: Move) -> bool:
        return self._way is not None and is_ordinary(m.w) and m.slot.precision == AS_GIVEN and m.w.numel() > 0
