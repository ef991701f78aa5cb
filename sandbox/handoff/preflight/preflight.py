"""Will it fit: memory of one rank by category, the largest batch, what moves, and the least time; for one system or all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import torch

from sandbox.handoff.preflight.asked import MOST_BATCH, Ask
from sandbox.handoff.preflight.hardware import GB
from sandbox.handoff.preflight.moments import Moment, Rank, forward_mode, moments
from sandbox.handoff.preflight.roofline import assumptions, offloaded, roofline, sent
from sandbox.handoff.preflight.systems import Model, System, system
from sandbox.handoff.preflight.traces import Traces, model_of
from sandbox.memory.timeline import Timeline

STRIDE = 4  # from one batch that is tried to the next
MOST_TRIES = 12  # batches between two of those


@dataclass(frozen=True)
class Preflight:
    """Of one system. bytes: of one rank at the peak, by category.  at: the moment of the peak.  largest_batch: of all ranks; 0 where even
    one sequence a rank does not fit, None without a card.

    least_memory: bytes that a card needs for one sequence a rank.  saved: all that forward keeps for backward.  whole: bytes of states that
    every rank has, so that more ranks do not shrink them.
    sent: bytes of one rank.  bus: seconds and bytes with the states in CPU memory.  seconds: of a step, at the peaks of the card.
    """

    system: str
    way: str
    bytes: Moment
    peak: int
    at: str
    fits: bool
    largest_batch: int | None
    least_memory: int
    saved: int
    sent: dict[str, int]
    bus: dict[str, float]
    seconds: dict[str, float]
    tokens_per_second: float | None
    whole: int

    def as_json(self) -> dict[str, Any]:
        return {"id": self.system} | asdict(self)


@dataclass(frozen=True)
class Refused:
    """A system that cannot train this model, and why."""

    system: str
    why: str

    def as_json(self) -> dict[str, Any]:
        return {"id": self.system, "system": self.system, "refused": self.why}


class Flight:
    """One question, asked of as many systems as one likes; what was run for one serves the others."""

    def __init__(self, ask: Ask) -> None:
        self.ask, self.model = ask, model_of(ask)
        self.traces = Traces(ask, self.model)

    @property
    def parameters(self) -> int:
        return sum(map(prod, self.model.shapes.values()))

    def of(self, chosen: System, *, exact: bool = True) -> Preflight:
        """exact: see `_largest`. Raises ValueError where the system does not fit the model."""
        ask, rank = self.ask, Rank(self.ask, self.model, chosen)
        peak_of = self._peaks(rank)
        at, held = peak_of(ask.sequences)
        peak, least = sum(held.values()), sum(peak_of(1)[1].values())
        saved = self._saved(chosen)
        times = roofline(rank, ask.card, saved) if ask.card else None
        return Preflight(
            chosen.name,
            chosen.way,
            held,
            peak,
            at,
            ask.card is None or peak <= ask.card.memory,
            self._largest(peak_of, ask.card.memory, exact=exact) if ask.card else None,
            least,
            saved,
            asdict(sent(rank)) | {"total": sent(rank).total},
            _bus(rank, peak - held["states"]),
            {} if times is None else asdict(times) | {"least": times.least, "most": times.most},
            None if times is None else ask.batch * ask.tokens / times.least,
            _whole(rank),
        )

    def each(self, names: Sequence[str], rank: int | None, say: Callable[[str], None]) -> Iterator[Preflight | Refused]:
        """One system after the other, the largest batch of each by its first answer; those that do not fit the model say why.

        say: is told the name before its turn.
        """
        for name in names:
            say(name)
            try:
                yield self.of(system(name, self.model, rank), exact=False)
            except ValueError as error:
                yield Refused(name, str(error))

    def notes(self) -> list[str]:
        """What the numbers rest on."""
        ask, layers = self.ask, self.ask.target.config.layers
        run = self.traces.depth
        how = (
            f"{run} of {layers} blocks were run on fake tensors, the rest told from them"
            if run < layers
            else f"all {layers} blocks were run"
        )
        uneven = sum(shape[0] % ask.world > 0 for shape in self.model.shapes.values())
        sharded = (
            f"FSDP2 over {ask.world} rank{'' if ask.world == 1 else 's'}, block by block, the root stays gathered"
            + (f" ({uneven} tensors have rows that the ranks do not divide: this is the first rank, which has most)" if uneven else "")
            if ask.is_sharded
            else "one rank, nothing sharded"
        )
        whose = (
            "modules of Hugging Face with the fused kernel of attention" if ask.target.code == "hugging face" else "modules of this package"
        )
        lines = [
            f"{whose}; {how}; operations of CPU kernels, so CUDA's own workspaces and fragmentation are not in it",
            f"{sharded}; weights, gradients and states in {ask.weights}, but for rules that keep float32 themselves; "
            f"arithmetic in {ask.compute}",
            "systems that run in place, or forward, have the whole model on every rank, "
            f"with weights in {ask.compute} in place and in float32 forward",
        ]
        return lines + (assumptions(ask, ask.card) if ask.card else [])

    def _peaks(self, rank: Rank) -> Callable[[int], tuple[str, Moment]]:
        """A number of sequences of one rank -> the moment of the peak, and its bytes."""

        def peak(sequences: int) -> tuple[str, Moment]:
            if rank.system.way == "forward mode":
                return forward_mode(self.ask, rank.system, self.model, sequences)
            line = self.traces.of(rank.system, sequences)
            return max(moments(rank, line, sequences), key=lambda moment: sum(moment[1].values()))

        return peak

    def _largest(self, peak_of: Callable[[int], tuple[str, Moment]], memory: int, *, exact: bool) -> int:
        """Sequences of all ranks. A peak is the largest of sums that are linear in the batch, so it lies below every chord: what fits
        by the chord between two batches fits, and the answer is found from below; not exact: the first such answer, which may be
        a little short.
        """

        def peak(sequences: int) -> int:
            return sum(peak_of(sequences)[1].values())

        low, high = (1, peak(1)), (2, peak(2))
        if low[1] > memory:
            return 0
        while high[1] <= memory and high[0] < MOST_BATCH:
            low, high = high, (STRIDE * high[0], peak(STRIDE * high[0]))
        for _ in range(MOST_TRIES if exact else 1):
            share = (memory - low[1]) / max(1, high[1] - low[1])
            most = max(low[0], min(high[0] - 1, int(low[0] + share * (high[0] - low[0]))))
            if not exact or high[0] - low[0] == 1:
                break
            if (here := peak(most)) > memory:  # by the rounding of sizes alone
                high = most, here
            elif (beyond := peak(most + 1)) > memory:
                break
            else:
                low = most + 1, beyond
        return most * self.ask.world

    def _saved(self, chosen: System) -> int:
        if chosen.way in ("in place", "forward mode"):
            return 0
        line: Timeline = self.traces.of(chosen, self.ask.sequences)
        return next(segment.at_end.saved for segment in line if segment.name == "loss")


def _whole(rank: Rank) -> int:
    """x of x + (all - x) / world, which is what a rank keeps; 0 on one rank."""
    world = rank.ask.world
    alone = replace(rank, ask=replace(rank.ask, world=1, batch=rank.ask.sequences))
    return 0 if world == 1 else max(0, (world * rank.states() - alone.states()) // (world - 1))


def _bus(rank: Rank, without_states: int) -> dict[str, float]:
    """Bytes each way and seconds, for both places of the update; peak: of the card then."""
    cpu, gpu = offloaded(rank, "on the CPU"), offloaded(rank, "on the GPU")
    card = rank.ask.card
    found: dict[str, float] = {"update_on_cpu": cpu.to_cpu, "update_on_gpu": gpu.to_cpu, "peak_without_states": without_states}
    if card:
        found |= {"seconds_on_cpu": cpu.seconds(card.bus), "seconds_on_gpu": gpu.seconds(card.bus)}
    return found


def of_card(path: Path, model: Model, ask: Ask, rank: int | None = None) -> System:
    """The system of a settings card, for the tensors of the target. rank: of every frame, in the place of what the card says.

    Raises ValueError for a card that may not be used, or whose rules do not fit the target.
    """
    from sandbox.handoff.for_trainers import rules_for
    from sandbox.handoff.reading import read
    from sandbox.handoff.verify import weak

    card, problems = read(path)
    if problems := [*problems, *weak(card)]:
        raise ValueError(
            f"the card {str(path)!r} may not be used: {problems[0]}; `sandbox card verify` says everything that is wrong with it"
        )
    with torch.device("meta"):
        module = ask.target.build(ask.target.config.layers)
    rules = rules_for(card, module, lr=1.0, rank=rank)  # memory does not ask for the rate
    return System(path.stem, card.optimizer.shell, {name: rules[name] for name in model.shapes})


def least_words(found: Preflight, ask: Ask) -> str | None:
    """Why it does not fit, and what would do; None where it fits."""
    if found.fits or ask.card is None:
        return None
    most = found.largest_batch or 0
    instead = (
        f"a batch of {most} fits" if most else f"not even one sequence a rank does: that needs {found.least_memory / GB:.1f} GB a card"
    )
    return (
        f"{found.system} needs {found.peak / GB:.1f} GB for a batch of {ask.batch} on a card of {ask.card.memory / GB:.1f} GB; "
        f"the smallest card that would do has {found.peak / GB:.1f} GB; on this one {instead}"
    )
