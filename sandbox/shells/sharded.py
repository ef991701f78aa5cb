"""The sharded way to run a step: local arithmetic on every rank, and few large messages in the place of many small ones.

DTensor decides once per rule and kind of tensor what is computed where (see `local_step`). The steps then run on the local
tensors alone, side by side over the tensors of the model, and the sums over ranks that wait at the same point travel
together (see `lockstep`). So AdamW and Adam-mini by rows send nothing, and AdaLomo sends two messages for a bucket of
tensors in the place of four for each.

The stepwise and the fused shell move DTensors this way, the fused shell one tensor at a time. The numbers are those of the
plain step but for the order of sums. The state lies in DTensors, so checkpoints of torch.distributed see it as it is; its
local parts are replaced at every step, so a state_dict that is kept must be copied, as with torch.optim.

Every rank must move the same tensors in the same order. What is not sharded moves in the plain way, and so does what
has another precision than its own.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.sharding import local, placed, placements
from sandbox.shells.execution import Block, Plain, leaf_keys
from sandbox.shells.lockstep import Program, together
from sandbox.shells.moving import Move, changed, ready
from sandbox.shells.slot import AS_GIVEN

BUCKET = 2**25  # entries of all ranks that move side by side: their temporaries are alive together
STEPS: dict[Any, Any] = {}  # kind of block -> its trace; every optimizer of this process uses the same ones


class Met(NamedTuple):
    """What a weight was moved with last, and what that has settled."""

    kind: tuple[Any, ...]
    leaves: list[Any]
    keys: list[str]
    step: Any
    parts: list[Any]

    def holds(self, block: Block, g: Tensor) -> bool:
        """Whether it still fits: an equal rule, the very tensors, a gradient of the same kind."""
        same = self.kind == (block.rule, block.settings.fields, g.dtype)
        return same and all(block.entry[key] is x for key, x in zip(self.keys, self.leaves, strict=True) if isinstance(x, Tensor))


class Sharded:
    """Moves blocks; one trace per rule and kind of tensor, made when the process first meets it (some 0.1 s each)."""

    def __init__(self) -> None:
        self._met: dict[Tensor, Met] = {}

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """A copy prepares its tensors anew."""
        return Sharded, ()

    @torch.no_grad()
    def move(self, moves: Sequence[Move]) -> None:
        """One step of every slot, with its refresh where it is due."""
        now = {id(m.rule): changed(m) for m in moves if _in_lockstep(m)}
        for m in moves:
            if not _in_lockstep(m):
                m.slot.move(m.w, m.g, m.rule, m.entry)
        self.move_all([ready(m, now[id(m.rule)]) for m in moves if _in_lockstep(m)])
        for m in moves:
            if _in_lockstep(m):
                m.entry["step"] = m.entry.get("step", 0) + 1

    @torch.no_grad()
    def move_all(self, blocks: Sequence[Block]) -> None:
        """Moves the weights and brings their entries up to date."""
        for bucket in buckets(blocks):
            together([self._program(block) for block in bucket])

    def forget(self, w: Tensor) -> None:
        """Lets go of the state that w was moved with last, where another has taken its place and the next step is far."""
        self._met.pop(w, None)

    def _program(self, block: Block) -> Program:
        if not placements(block.w):
            Plain().move_all([block])
            return
        from sandbox.shells.local_step import renewed

        g, w = placed(block.g, block.w), local(block.w)
        met = self._settled(block, g)
        old = [block.entry[key] for key in met.keys]
        inputs = [x if part is None else part.inner for x, part in zip(old, met.parts, strict=True)]
        delta, *new = yield from met.step.stages.program([w, local(g), *inputs, *block.settings.numbers])
        w.add_(delta)
        block.entry.update(zip(met.keys, map(renewed, new, old, met.parts, met.step.leaves), strict=True))

    def _settled(self, block: Block, g: Tensor) -> Met:
        met = self._met.get(block.w)
        if met is None or not met.holds(block, g):
            from sandbox.shells.local_step import key, part, trace

            keys = leaf_keys(block.structure)
            old = [block.entry[key] for key in keys]
            kind = key(block, g, old)
            if kind not in STEPS:
                STEPS[kind] = trace(block, g)
            step = STEPS[kind]
            parts = [part(x, place) for x, place in zip(old, step.leaves, strict=True)]
            met = self._met[block.w] = Met((block.rule, block.settings.fields, g.dtype), old, keys, step, parts)
        return met


def _in_lockstep(m: Move) -> bool:
    return bool(placements(m.w)) and m.slot.precision == AS_GIVEN and m.w.numel() > 0


def buckets(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Consecutive blocks of at most BUCKET entries together, or of one block; the same cuts on every rank."""
    bucket: list[Block] = []
    size = 0
    for block in blocks:
        if bucket and size + block.w.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(block)
        size += block.w.numel()
    if bucket:
        yield bucket
