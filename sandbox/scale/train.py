"""Full training from a settings card: in one process, or sharded over the ranks that torchrun has started.

The same rules, shells and draws as in a sandbox run, on the card's own model or on another one. The first ten losses of the card must
come out here, in this job's arithmetic, and what the card foresees of the target must be seen, or the run stops before it spends more.

Written: OUT/losses.csv (step, nats per token) and OUT/weights.safetensors at the end, each whole or not at all; OUT/checkpoints on the
way; OUT/tensorboard where it is asked for.
"""

import csv
import io
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sandbox.handoff.schema import CANARY_STEPS
from sandbox.outputs import require_writable
from sandbox.scale import checkpoint
from sandbox.scale.canaries import CanaryFailed, check, code_canary
from sandbox.scale.data import DataEnded, Source, source_of
from sandbox.scale.foresee import Held, held, with_bands
from sandbox.scale.job import Job, Ranks, ranks_of
from sandbox.scale.loop import Pace, Run, peak_of
from sandbox.scale.making import run_of, weights_of
from sandbox.scale.memory import require_memory
from sandbox.scale.plan import Plan, plan_of
from sandbox.scale.record import Record
from sandbox.scale.watch import Watch

__all__ = ["CanaryFailed", "Trained", "train"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """losses: before every step, nats per token.  held_out: after the last one; None where nothing was trained.  files: written.

    pace: of the steps after the first eleven, which the canaries look at.
    """

    losses: tuple[float, ...]
    held_out: float | None
    files: tuple[Path, ...]
    pace: "Measured | None" = field(default=None, compare=False)


@dataclass(frozen=True)
class Measured:
    """tokens_per_second: of all ranks.  mfu: None where the peak of the device is not known.  peak_bytes: most that the allocator of this
    rank's CUDA device has handed out; None elsewhere.
    """

    tokens_per_second: float
    mfu: float | None
    peak_bytes: int | None


def train(path: Path, *, say: Say = print, **options: Any) -> Trained:
    """One training from the card. options: see `sandbox.scale.job.Job`. Every rank gets the same result; rank 0 speaks and writes.

    Raises, before the first step, ValueError for a card that may not be used (seal, verdicts, text), for options that do not go
    together, for a device, memory or text that is not there, and for a folder that cannot be written; CanaryFailed where the first
    losses differ from the card's, where something leaves the bands of the target, or a loss is not finite.
    """
    job = Job(**options)
    with ranks_of(job) as ranks:
        return _train(path, job, ranks, say if ranks.rank == 0 else _silent)


def _train(path: Path, job: Job, ranks: Ranks, say: Say) -> Trained:
    plan = plan_of(path, job, ranks)
    _require_place(job, ranks)
    source = source_of(job.text, job.tokenizer, plan.problem, seed=plan.seed, steps=plan.steps)
    kept = _kept(plan, job, ranks, say)
    width = f" on {ranks.world} ranks" if ranks.world > 1 else ""
    say(f"{path}: {plan.steps} steps on {job.device}{width}, {plan.trainee.parameters:,} parameters")
    for note in plan.notes:
        say(note)
    if job.foresee is not None:
        return _foretold(plan, source, job, ranks, say)
    require_memory(plan, job, ranks)
    inline = job.is_the_cards_own and kept is None and job.precision == "card"
    if not inline:
        code_canary(plan, job, ranks, say)
    run = run_of(plan, source, job, ranks)
    if kept is not None:
        checkpoint.load(kept[0], run.model, run.optimizer, ranks)
        run.losses = list(kept[1]["losses"])
        say(f"goes on after step {len(run.losses)} of {plan.steps}, from {kept[0]}")
    elif job.out is not None:
        checkpoint.forget(job.out / "checkpoints", ranks)
    pace = _walk(plan, run, job, say, inline, held(plan, run, say) if kept is None else None)
    held_out = run.held_out()
    say(f"held-out loss {held_out:.4f} nats per token")
    weights = weights_of(run.model, ranks) if job.out is not None else {}
    files = save(job.out, run.losses, weights) if job.out is not None and ranks.rank == 0 else ()
    if job.out is not None:
        checkpoint.finish(job.out / "checkpoints", plan.steps, ranks)  # after the files: until then the checkpoints are all there is
    return Trained(tuple(run.losses), held_out, files, pace)


def _foretold(plan: Plan, source: Source, job: Job, ranks: Ranks, say: Say) -> Trained:
    """Trains nothing but narrow models, and writes the card with their bands. Raises ValueError on several ranks."""
    if ranks.mesh is not None or job.foresee is None:
        raise ValueError(f"bands are foreseen in one process in the card's dtype, not on {ranks.world} ranks in {job.precision!r}")
    with_bands(plan, source, job, ranks, job.foresee, say)
    return Trained((), None, (job.foresee,))


def _walk(plan: Plan, run: Run, job: Job, say: Say, inline: bool, guard: tuple[Watch, Held] | None) -> Measured:
    """The steps that are left. inline: the first of them are the code canary.  guard: holds the first of them to the card's bands."""
    every, left = max(1, plan.steps // 20), lambda: plan.steps - len(run.losses)
    pace, start = _pace(plan, run, job), len(run.losses)
    record = Record(job, run.ranks, say)
    while left():
        loss = _step(plan, run, job, guard[0] if guard else run)
        pace.made()
        made = len(run.losses)
        _guarded(plan, run, job, say, inline, guard)
        if made % every == 0:
            say(f"step {made} of {plan.steps}: {loss:.4f} nats per token, {pace.line(left())}")
        record(made, {"loss": loss, "tokens per second": pace.tokens_per_second} | ({"MFU": pace.mfu} if pace.mfu else {}))
        if job.validate_every and made % job.validate_every == 0:
            value = run.held_out()
            say(f"step {made} of {plan.steps}: held-out loss {value:.4f} nats per token")
            record(made, {"held-out loss": value})
        if job.checkpoint_every and made % job.checkpoint_every == 0 and left():
            _keep(plan, run, job)
        if made == start + CANARY_STEPS + 1 and left():
            pace = _pace(plan, run, job)
    record.close()
    on_cuda = run.ranks.device.type == "cuda"
    return Measured(pace.tokens_per_second, pace.mfu, torch.cuda.max_memory_allocated(run.ranks.device) if on_cuda else None)


def _pace(plan: Plan, run: Run, job: Job) -> Pace:
    """A clock, and the device's own count of memory, from now on."""
    if run.ranks.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.ranks.device)
    tokens = plan.problem.batch_size * plan.problem.model.context
    return Pace(plan.trainee, tokens, run.ranks, peak_of(run.ranks.device, job.precision, job.peak_tflops))


def _guarded(plan: Plan, run: Run, job: Job, say: Say, inline: bool, guard: tuple[Watch, Held] | None) -> None:
    """Raises CanaryFailed after a step that must not be followed by another."""
    made, loss = len(run.losses), run.losses[-1]
    if inline and made == min(CANARY_STEPS, plan.steps):
        check(plan.card, run.losses, plan.card.canary.rtol, say)
    if not math.isfinite(loss):
        kept = "the checkpoints before it are kept" if job.checkpoint_every and made > job.checkpoint_every else "nothing was written"
        raise CanaryFailed(f"the loss before step {made - 1} is {loss}; {made - 1} steps were made, {kept}")
    if guard and made <= CANARY_STEPS + 1:
        guard[1].check()


def _step(plan: Plan, run: Run, job: Job, stepped: Run | Watch) -> float:
    try:
        return stepped.step()
    except DataEnded as end:
        if job.out is not None and run.losses:
            _keep(plan, run, job)
        raise ValueError(f"{end}; {len(run.losses)} of {plan.steps} steps were made, and what they have learned is kept") from end


def _keep(plan: Plan, run: Run, job: Job) -> None:
    if job.out is not None:
        progress = {"losses": run.losses, "job": plan.settings(job)}
        checkpoint.save(job.out / "checkpoints", len(run.losses), run.model, run.optimizer, progress, run.ranks)


def _kept(plan: Plan, job: Job, ranks: Ranks, say: Say) -> tuple[Path, dict[str, Any]] | None:
    """The checkpoint to go on from; none where a finished job has made so many steps. Raises ValueError where it is another job's."""
    if job.out is None or job.start == "fresh":
        return None
    folder = job.out / "checkpoints"
    done = checkpoint.finished(folder)
    found = checkpoint.newest(folder, say) if done < plan.steps else None
    if found is None or found[1]["step"] > plan.steps:
        return None
    if done and found[1]["job"] != plan.settings(job):
        return None
    checkpoint.require_same_job(found[0], found[1]["job"], plan.settings(job))
    return found


def _require_place(job: Job, ranks: Ranks) -> None:
    """Raises ValueError, on all ranks, where the folder cannot be written."""
    problem = None
    if job.out is not None and ranks.rank == 0:
        try:
            require_writable(job.out)
        except ValueError as error:
            problem = str(error)
    if problem := ranks.agree(problem):
        raise ValueError(problem)


def _silent(text: str) -> None:
    """What ranks other than the first say."""


def save(out: Path, losses: list[float], weights: Mapping[str, Tensor]) -> tuple[Path, ...]:
    """losses.csv and weights.safetensors below `out`."""
    from safetensors.torch import save as as_bytes

    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerows([("step", "loss"), *((k, repr(loss)) for k, loss in enumerate(losses))])
    content = as_bytes({name: w.contiguous() for name, w in weights.items()})
    return (_put(out / "losses.csv", table.getvalue().encode()), _put(out / "weights.safetensors", content))


def _put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        waiting.write_bytes(content)
        os.replace(waiting, path)
    finally:
        waiting.unlink(missing_ok=True)
    return path
