"""Checkpoints by torch.distributed.checkpoint: each rank writes its part, and any number of ranks can go on from it.

    OUT/checkpoints/step-00000200/    the parts; progress.json: the steps made, the losses, the job; whole.json: the size of every file

A checkpoint is written aside, as `.step-00000200`, and renamed when all of it is there, so one that is interrupted costs nothing. The
newest whole one is used; the two newest are kept, and taken away where a job begins anew. Batches, draws and dropout are functions of
(seed, step), so no state of a random generator has to be kept.
"""

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from sandbox.scale.job import Ranks

KEPT = 2
PROGRESS, WHOLE, FINISHED = "progress.json", "whole.json", "finished.json"


def save(folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, progress: dict[str, Any], ranks: Ranks) -> None:
    """All ranks call it together. progress: plain data; `step` is put beside it. Raises ValueError, on all ranks, where a disk is full."""
    aside, final = folder / f".step-{step:08d}", folder / f"step-{step:08d}"
    if ranks.rank == 0:
        shutil.rmtree(aside, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    ranks.wait()
    state = {"model": get_model_state_dict(model), "optimizer": get_optimizer_state_dict(model, optimizer)}
    try:
        with quietly():
            dcp.save(state, checkpoint_id=aside, no_dist=ranks.mesh is None)
    except CheckpointException as error:  # no Exception of Python's; all ranks get it
        if ranks.rank == 0:
            shutil.rmtree(aside, ignore_errors=True)
        raise ValueError(
            f"the checkpoint {final} could not be written ({reason(error)}); those before it are kept, and the same command goes on from "
            "the newest of them: make room, or choose another --out"
        ) from error
    ranks.wait()
    if ranks.rank == 0:
        (aside / PROGRESS).write_text(json.dumps(progress | {"step": step}))
        (aside / WHOLE).write_text(json.dumps({file.name: file.stat().st_size for file in sorted(aside.iterdir())}))
        shutil.rmtree(final, ignore_errors=True)
        os.replace(aside, final)
        for old in steps_in(folder)[:-KEPT]:
            shutil.rmtree(old)
    ranks.wait()


def reason(error: CheckpointException) -> str:
    """What the system said, or the first line of what torch did."""
    first = next(iter(error.failures.values()))[0]
    cause: BaseException | None = first
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    return (cause.strerror if isinstance(cause, OSError) else None) or next(iter(str(first).splitlines()), type(first).__name__)


@contextmanager
def quietly() -> Iterator[None]:
    """torch says that one process without a group is one process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled, unavailable or uninitialized")
        yield


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, ranks: Ranks) -> None:
    """Fills the model and the optimizer, which are fresh, on whatever number of ranks they lie."""
    for w in [w for w, entry in optimizer.state.items() if not entry]:
        del optimizer.state[w]  # torch takes an entry that is empty for a state
    state = {"optimizer": get_optimizer_state_dict(model, optimizer)}  # takes a step of zero gradients, to have a state to fill
    state["model"] = get_model_state_dict(model)
    with quietly():
        dcp.load(state, checkpoint_id=path, no_dist=ranks.mesh is None)
    set_model_state_dict(model, state["model"])
    set_optimizer_state_dict(model, optimizer, state["optimizer"])


def newest(folder: Path, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]] | None:
    """The newest whole checkpoint and its progress. A damaged one is said and passed over."""
    for path in reversed(steps_in(folder)):
        problem = damage(path)
        if problem is None:
            return path, json.loads((path / PROGRESS).read_text())
        say(f"the checkpoint {path} is not whole ({problem}), so the one before it is used")
    return None


def finished(folder: Path) -> int:
    """Steps of the job that came to its end with these checkpoints; 0 where none did."""
    try:
        return int(json.loads((folder / FINISHED).read_text())["steps"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def finish(folder: Path, steps: int, ranks: Ranks) -> None:
    """Says that the job is done: the same call then trains anew, and more steps go on from here."""
    if ranks.rank == 0 and folder.is_dir():
        (folder / FINISHED).write_text(json.dumps({"steps": steps}))


def forget(folder: Path, ranks: Ranks) -> None:
    """Takes the checkpoints of an earlier job away."""
    if ranks.rank == 0:
        shutil.rmtree(folder, ignore_errors=True)
    ranks.wait()


def steps_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def damage(path: Path) -> str | None:
    """What is missing of a checkpoint."""
    try:
        sizes = json.loads((path / WHOLE).read_text())
        said = json.loads((path / PROGRESS).read_text())
    except (OSError, ValueError) as error:
        return " ".join(str(error).split())
    if not (isinstance(sizes, dict) and isinstance(said, dict) and isinstance(said.get("job"), dict) and _told(said)):
        return f"{WHOLE} or {PROGRESS} holds something else than was written"
    for name, size in sizes.items():
        found = (path / name).stat().st_size if (path / name).is_file() else 0
        if found != size:
            return f"{name} has {found} of {size} bytes"
    return None


def _told(progress: dict[str, Any]) -> bool:
    """Whether there is a loss for every step made."""
    losses, step = progress.get("losses"), progress.get("step")
    return isinstance(losses, list) and type(step) is int and len(losses) == step and all(type(loss) in (int, float) for loss in losses)


def require_same_job(path: Path, kept: dict[str, Any], job: dict[str, Any]) -> None:
    """Raises ValueError where the checkpoint belongs to another card or to other settings."""
    other = [f"{key} {kept.get(key)!r} there and {value!r} now" for key, value in job.items() if kept.get(key) != value]
    if other:
        raise ValueError(f"{path} is a checkpoint of another job: {'; '.join(other)}; choose another --out, or --fresh to train anew")
