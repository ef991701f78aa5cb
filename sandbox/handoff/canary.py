"""Ten steps that another machine must repeat before it spends money, and the memory that the run will take.

The weights are drawn in float64 on the CPU and then cast, so every machine starts from the same numbers. Measured on
one and two threads: ten float32 losses are within 1.6e-7 (relative) of float64; a learning rate that is 10 % off moves
them by 3e-4 to 2e-3 even in warm-up. The tolerance 1e-5 lies between, with a factor of 60 for other processors' sums
and 29 before such a mistake would pass.

bfloat16 has a tolerance of its own, max(2^-8, 16 d): its unit in the last place, and d = what rounding the initial weights to bfloat16
once does to the ten losses. Measured on 42 runs (AdamW, AdaLomo, CAME; widths 16 and 32; learning rates up to where ten losses rise):
where d stays below 2^-8, off by 3.2e-3 at most, and by 7.2e-3 = 9 d in one run of CAME. Beyond that the runs are chaotic (off by up to
29 %), and their losses are not judged.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch

from sandbox.handoff.recipe import Recipe
from sandbox.handoff.schema import CANARY_STEPS, CanaryPart
from sandbox.ledger.code_version import code_version
from sandbox.memory.forecasts import fused_forecast, stepwise_forecast
from sandbox.memory.meters import saved_bytes
from sandbox.run import run

RTOL = 1e-5
EPS_BFLOAT16, MANY_ROUNDINGS = 2.0**-8, 16


@cache
def canary_code() -> str:
    """Version of everything that the ten losses depend on: this file's imports, and torch."""
    return code_version(Path(__file__).resolve())


def canary(recipe: Recipe, seed: int = 0) -> CanaryPart:
    """Losses before the first ten steps."""
    return CanaryPart(seed=seed, losses=first_losses(recipe, seed), rtol=RTOL, code=canary_code())


def first_losses(recipe: Recipe, seed: int) -> list[float]:
    trace = run(recipe.problem, recipe.rules, steps=CANARY_STEPS, seed=seed, shell=recipe.shell, schedule=recipe.schedule)
    return [float(loss) for loss in trace.loss]


def difference(expected: CanaryPart, losses: Sequence[float], rtol: float | None = None) -> str | None:
    """The sentence that says where losses leave the canary; None where all of them are within its tolerance, or within rtol."""
    rtol = expected.rtol if rtol is None else rtol
    ours, theirs = np.asarray(losses[:CANARY_STEPS], float), np.asarray(expected.losses[: len(losses)])
    off = np.abs(ours - theirs) > rtol * np.abs(theirs)
    off |= ~np.isfinite(ours)
    if not off.any():
        return None
    k = int(off.argmax())
    return (
        f"the canary must be reproduced to rtol {rtol:g}, but the loss before step {k} is {ours[k]:.9g} "
        f"and the card has {theirs[k]:.9g} (seed {expected.seed}); "
        "this machine, code or text does not run what the card was measured with"
    )


def judged_in_bfloat16(expected: CanaryPart, rounded: Sequence[float]) -> tuple[int, float]:
    """How many of the ten losses can be judged in bfloat16, and how far they may be off, relative.

    rounded: the losses in the card's dtype from initial weights that were rounded to bfloat16 once. From where that alone moves them by
    more than the unit in the last place of bfloat16 on, the run is too sensitive for its losses to be told apart.
    """
    off = np.abs(np.asarray(rounded) / np.asarray(expected.losses[: len(rounded)]) - 1)
    calm = off <= EPS_BFLOAT16
    count = len(off) if calm.all() else max(1, int(calm.argmin()))
    return count, max(EPS_BFLOAT16, MANY_ROUNDINGS * float(off[:count].max()))


def forecast(recipe: Recipe) -> dict[str, int]:
    """Bytes by category for the card's own model: from shapes, and the activations as autograd really saves them."""
    problem = recipe.problem
    element = torch.empty(0, dtype=getattr(torch, problem.dtype)).element_size()
    tied = [name for name, role in problem.roles.items() if role.tied_to]
    formula = {"stepwise": stepwise_forecast, "fused": fused_forecast}[recipe.shell]
    bytes_ = formula(problem.shapes, recipe.rules, element=element, tied=tied)
    leaves = {name: w.requires_grad_() for name, w in problem.start(0).items()}
    batch = problem.batch(0, 0)
    activations = saved_bytes(lambda: problem.loss(leaves, batch), leaves.values())
    return {"weights": bytes_.weights, "gradients": bytes_.gradients, "state": bytes_.state, "activations": activations}
