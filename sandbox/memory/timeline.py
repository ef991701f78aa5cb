"""The course of a training step as segments between points that have names, each with the most that was alive in it, by kind.

    kind            communication   gathered weights, buffers of messages between ranks
                    saved           what the forward pass keeps for backward: alive when it ends
                    other           everything else: gradients of activations, partial results, recomputed activations

A segment of the backward pass ends where the gradient of a tensor is complete. It has two peaks, so that one record serves both ways
of training: `freed`, where every gradient is used and freed as soon as it is complete (fused), and `held`, where gradients stay until
the step (stepwise); `held` leaves them out, and `adds` says what each segment's end adds to them.

Blocks are alike, so every kind is linear in the number of the block and of blocks, and a step of D blocks tells one of L: first and last
block as they are, the others from those inside. Three blocks inside have two intervals, which must agree; what belongs to no
block grows as a step of D - 1 blocks says. Where they do not agree nothing is extrapolated.

Source: own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sandbox.memory.live import Event, Size

LEAST_DEPTH = 5  # blocks from which more can be told: first, three inside, last


class Parts(NamedTuple):
    """Bytes by kind."""

    communication: int = 0
    saved: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        return sum(self)

    def plus(self, step: "Parts", times: float = 1) -> "Parts":
        return Parts(*(round(a + times * b) for a, b in zip(self, step, strict=True)))

    def minus(self, other: "Parts") -> "Parts":
        return self.plus(other, -1)


@dataclass(frozen=True)
class Segment:
    """name: without the number of its block.  block: that number, or None.  at_end: what is alive at the point where it ends.

    adds: bytes of the gradient that is complete there.
    """

    name: str
    block: int | None
    freed: Parts
    held: Parts
    at_end: Parts
    adds: int = 0


Timeline = tuple[Segment, ...]


def timeline(events: Sequence[Event], blocks: str, ends: str = "loss") -> Timeline:
    """Segments of a record. blocks: how names of tensors of block i begin, before "i.".  ends: the mark at which forward ends."""
    kept, kinds = _alive_at(events, ends), {}
    arrived: set[int] = set()
    now, peaks, segments = {"freed": Parts(), "held": Parts()}, {"freed": Parts(), "held": Parts()}, []
    sizes: dict[int, int] = {}
    for event in events:
        if isinstance(event, Size):
            old, sizes[event.serial] = sizes.get(event.serial, 0), event.size
            kind = kinds.setdefault(event.serial, _kind(event, kept))
            if event.kind == "communication" and kind == "other":
                kind = kinds[event.serial] = "communication"  # filled again: no birth of another kind has bytes before that
            change = Parts(**{kind: event.size - old})
            for way in ("freed",) if event.serial in arrived else ("freed", "held"):
                now[way] = now[way].plus(change)
                if now[way].total > peaks[way].total:
                    peaks[way] = now[way]
        else:
            adds = 0
            if event.arrived is not None and event.arrived not in arrived:
                arrived.add(event.arrived)
                adds = sizes[event.arrived]
                now["held"] = now["held"].minus(Parts(**{kinds[event.arrived]: adds}))
            name, block = _place(event.name, blocks)
            segments.append(Segment(name, block, peaks["freed"], peaks["held"], now["freed"], adds))
            peaks = dict(now)
    return tuple(segments)


def extrapolated(shallow: Timeline, deep: Timeline, depth: int, layers: int) -> Timeline:
    """The timeline of `layers` blocks, from those of depth - 1 and depth.

    Raises ValueError where the blocks inside are not alike.
    """
    if depth < LEAST_DEPTH or layers < depth:
        raise ValueError(f"a step of {depth} blocks tells one of at least as many, from {LEAST_DEPTH} on, not one of {layers}")
    per_block = _per_block(deep, depth)
    made: list[Segment] = []
    for run in _runs(deep):
        if run[0].block is None:
            made += _outside(run, shallow, layers - depth)
        else:
            made += _inside(run, per_block, depth, layers)
    return tuple(made)


def held_gradients(line: Timeline) -> list[int]:
    """Bytes of the gradients that are there during each segment, all kept."""
    total, found = 0, []
    for segment in line:
        found.append(total)
        total += segment.adds
    return found


def _alive_at(events: Sequence[Event], mark: str) -> set[int]:
    alive: dict[int, int] = {}
    for event in events:
        if isinstance(event, Size):
            alive[event.serial] = event.size
        elif event.name == mark:
            return {serial for serial, size in alive.items() if size}
    raise ValueError(f"the record has no mark {mark!r}")


def _kind(event: Size, kept: set[int]) -> str:
    if event.kind == "communication":
        return "communication"
    return "saved" if event.serial in kept else "other"


def _place(name: str, blocks: str) -> tuple[str, int | None]:
    """A name without the number of its block, and that number."""
    if not name.startswith(blocks):
        return name, None
    number, _, rest = name.removeprefix(blocks).partition(".")
    return f"{blocks}*.{rest}", int(number)


def _runs(line: Timeline) -> list[list[Segment]]:
    """Neighbours that all belong to blocks, or all to none."""
    runs: list[list[Segment]] = []
    for segment in line:
        if runs and (runs[-1][-1].block is None) == (segment.block is None):
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return runs


Growth = dict[str, tuple[Parts, Parts, Parts]]


def _per_block(line: Timeline, depth: int) -> Growth:
    """How much more each segment of a block has than that of the block before, for the blocks inside."""
    place = {(s.name, s.block): s for s in line if s.block is not None}
    found: Growth = {}
    for name in dict.fromkeys(s.name for s in line if s.block is not None):
        steps = []
        for block in range(1, depth - 2):
            try:
                steps.append(_difference(place[name, block + 1], place[name, block]))
            except KeyError:
                raise ValueError(
                    f"{name} is not in every block, so the step of a deeper model cannot be told from one of {depth}"
                ) from None
        if len(set(steps)) > 1:
            raise ValueError(
                f"blocks 1 .. {depth - 2} must add alike for a deeper model to be told from {depth} blocks, but {name} grows by "
                f"{sum(steps[0][0]):,} and by {sum(steps[1][0]):,} bytes"
            )
        found[name] = steps[0]
    return found


def _difference(a: Segment, b: Segment) -> tuple[Parts, Parts, Parts]:
    return a.freed.minus(b.freed), a.held.minus(b.held), a.at_end.minus(b.at_end)


def _moved(segment: Segment, growth: tuple[Parts, Parts, Parts], times: int, block: int | None) -> Segment:
    freed, held, end = growth
    return replace(
        segment,
        block=block,
        freed=segment.freed.plus(freed, times),
        held=segment.held.plus(held, times),
        at_end=segment.at_end.plus(end, times),
    )


def _inside(run: list[Segment], per_block: Growth, depth: int, layers: int) -> list[Segment]:
    """The segments of all blocks, forwards or backwards."""
    of: dict[int, list[Segment]] = {}
    for segment in run:
        of.setdefault(segment.block, []).append(segment)
    order = list(of)
    told = {0: 0} | {i: min(i, 2) for i in range(1, layers - 1)} | {layers - 1: depth - 1}
    made: list[Segment] = []
    for i in range(layers) if order[0] < order[-1] else reversed(range(layers)):
        source = told[i]
        made += [_moved(segment, per_block[segment.name], i - source, i) for segment in of.get(source, [])]
    return made


def _outside(run: list[Segment], shallow: Timeline, times: int) -> list[Segment]:
    before = {(s.name, s.adds): s for s in shallow if s.block is None}
    try:
        return [_moved(s, _difference(s, before[s.name, s.adds]), times, None) for s in run]
    except KeyError as missing:
        raise ValueError(f"a step with one block less has no {missing.args[0][0]!r}, so a deeper one cannot be told") from None
