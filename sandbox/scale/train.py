"""Full training from a settings card, in one process, on a CPU or one CUDA device: the same rules, shells and model.

The first ten losses must be those of the card, or the run stops before it spends more. Weights and everything random
are drawn in float64 on the CPU, cast, and then moved, so the device decides the place of the arithmetic and nothing
else.

Written at the end, each file whole or not at all: OUT/losses.csv (step, nats per token) and OUT/weights.safetensors.
"""

import csv
import io
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from sandbox.handoff.canary import difference
from sandbox.handoff.reading import read
from sandbox.handoff.recipe import Recipe, recipe_of
from sandbox.handoff.schema import CANARY_STEPS, Card
from sandbox.handoff.verify import text_problems, weak
from sandbox.outputs import require_writable
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

Device = Literal["cpu", "cuda"]
SHELLS = {"stepwise": Stepwise, "fused": Fused}


class CanaryFailed(Exception):
    """The first losses are not those of the card; the message says where."""


@dataclass(frozen=True)
class Trained:
    """losses: before every step, nats per token.  held_out: after the last one.  files: what was written."""

    losses: tuple[float, ...]
    held_out: float
    files: tuple[Path, ...]


def train(
    path: Path,
    *,
    steps: int | None = None,
    device: Device = "cpu",
    out: Path | None = None,
    say: Callable[[str], None] = print,
) -> Trained:
    """Trains from a card. steps: how many, the card's number by default.  out: where files go; None writes none.

    Raises, before the first step, ValueError for a card that may not be used (seal, verdicts, text), for a device that is not
    there, for steps < 1 and for a folder that cannot be written; CanaryFailed where the first losses differ from the card's,
    or a loss is not finite.
    """
    card, recipe = usable(path, device)
    steps = recipe.steps if steps is None else steps
    if steps < 1:
        raise ValueError(f"training needs steps >= 1, got {steps}")
    if out is not None:
        require_writable(out)
    leaves, losses = start(recipe, card.canary.seed, device), []
    every = max(1, steps // 20)
    say(f"{path}: {steps} steps on {device}, {sum(w.numel() for w in leaves.values()):,} parameters")
    for k, loss in enumerate(walk(recipe, leaves, card.canary.seed, steps=steps)):
        losses.append(loss)
        if k + 1 == min(CANARY_STEPS, steps):
            _check(card, losses, say)
        if not math.isfinite(loss):
            raise CanaryFailed(f"the loss before step {k} is {loss}; {k} steps were made, nothing was written")
        if (k + 1) % every == 0:
            say(f"step {k + 1} of {steps}: {loss:.4f} nats per token")
    held_out = _held_out(recipe, leaves)
    say(f"held-out loss {held_out:.4f} nats per token")
    return Trained(tuple(losses), held_out, save(out, losses, leaves) if out is not None else ())


def usable(path: Path, device: Device) -> tuple[Card, Recipe]:
    """The card and what it says to run. Raises ValueError with everything that forbids its use."""
    if device not in ("cpu", "cuda"):
        raise ValueError(f"the device must be 'cpu' or 'cuda', got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device 'cuda' needs a CUDA device and a CUDA build of torch, and torch {torch.__version__} sees none; use device 'cpu'"
        )
    card, problems = read(path)
    problems += weak(card)
    recipe = recipe_of(card, (path.parent,))
    problems += text_problems(card, recipe.problem.text)
    if problems:
        raise ValueError(f"{path} may not be used: {'; '.join(problems)}")
    return card, recipe


def start(recipe: Recipe, seed: int, device: Device) -> dict[str, nn.Parameter]:
    """The initial weights of the seed on the device."""
    return {name: nn.Parameter(w.to(device)) for name, w in recipe.problem.start(seed).items()}


def walk(recipe: Recipe, leaves: dict[str, nn.Parameter], seed: int, *, steps: int) -> Iterator[float]:
    """Makes the steps on the leaves, and yields the loss before each of them."""
    problem, place = recipe.problem, next(iter(leaves.values())).device
    optimizer = SHELLS[recipe.shell](leaves.items(), recipe.rules, seed=seed, nonfinite="pass")  # the canary speaks first
    base = [group["lr"] for group in optimizer.param_groups]
    for k in range(steps):
        factor = recipe.schedule(k) if recipe.schedule else 1.0
        for group, lr in zip(optimizer.param_groups, base, strict=True):
            group["lr"] = lr * factor
        optimizer.zero_grad()
        loss = problem.loss(leaves, problem.batch(seed, k).to(place))
        loss.backward()
        optimizer.step()
        yield float(loss.detach())


def save(out: Path, losses: list[float], leaves: dict[str, Tensor]) -> tuple[Path, ...]:
    """losses.csv and weights.safetensors below `out`."""
    from safetensors.torch import save as as_bytes

    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerows([("step", "loss"), *((k, repr(loss)) for k, loss in enumerate(losses))])
    weights = as_bytes({name: w.detach().cpu().contiguous() for name, w in leaves.items()})
    return (_put(out / "losses.csv", table.getvalue().encode()), _put(out / "weights.safetensors", weights))


def _put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    waiting.write_bytes(content)
    os.replace(waiting, path)
    return path


def _check(card: Card, losses: list[float], say: Callable[[str], None]) -> None:
    problem = difference(card.canary, losses)
    if problem:
        raise CanaryFailed(problem)
    say(f"the first {len(losses)} losses are those of the card (rtol {card.canary.rtol:g})")


def _held_out(recipe: Recipe, leaves: dict[str, nn.Parameter]) -> float:
    """On the CPU, where the held-out windows are."""
    return recipe.problem.held_out({name: w.detach().cpu() for name, w in leaves.items()})
