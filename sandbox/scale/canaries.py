"""Before money is spent: the card's ten losses with this job's arithmetic, and what the card foresees of the target.

Code canary: the card's own small model, ten steps, with the dtype, kernels, compiler flags and shards of this job; a job that trains
a Llama of Hugging Face runs the small Llama as one of theirs too. A job in bfloat16 runs it twice, in the card's dtype first: rounding to
bfloat16 hides a wrong second beta, which the card's own tolerance does not. A job that is the card's own run is its own code canary.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sandbox.handoff.canary import difference, judged_in_bfloat16
from sandbox.handoff.schema import CANARY_STEPS, Card
from sandbox.models.hugging_face import as_theirs, our_name
from sandbox.models.initial import initial
from sandbox.models.llama import LlamaConfig
from sandbox.scale.data import Drawn
from sandbox.scale.job import Job, Ranks
from sandbox.scale.loop import Run
from sandbox.scale.making import made
from sandbox.scale.model import Trainee
from sandbox.scale.plan import Plan


class CanaryFailed(Exception):
    """The run is not what the card was measured with; the message says where."""


def code_canary(plan: Plan, job: Job, ranks: Ranks, say: Callable[[str], None]) -> None:
    """Raises CanaryFailed where the ten losses of the card do not come out."""
    exact = replace(job, precision="card")
    check(plan.card, ten(small_run(plan, exact, ranks)), plan.card.canary.rtol, say)
    if job.precision != "card":
        rounded = small_run(plan, exact, ranks, lambda w: w.bfloat16().to(w.dtype))
        count, rtol = judged_in_bfloat16(plan.card.canary, ten(rounded))
        check(plan.card, ten(small_run(plan, job, ranks))[:count], rtol, say, f" in {job.precision}")


def ten(run: Run) -> list[float]:
    """Its first ten losses, or fewer where one is not finite."""
    for _ in range(CANARY_STEPS):
        if not math.isfinite(run.step()):
            break
    return run.losses


def small_run(plan: Plan, job: Job, ranks: Ranks, rounded: Callable[[Tensor], Tensor] = Tensor.clone) -> Run:
    """The card's own run, made the way of this job; its rows are too few to be added up in passes. rounded: of the initial weights."""
    recipe, seed = plan.recipe, plan.card.canary.seed
    config, dtype = recipe.problem.model, getattr(torch, recipe.problem.dtype)
    start, rules = initial(config, seed, dtype), recipe.rules
    theirs = plan.trainee.foreign is not None and isinstance(config, LlamaConfig) and plan.trainee.foreign.model_type == "llama"
    trainee = Trainee(config, as_theirs(config)) if theirs else Trainee(config)
    ours = our_name if theirs else str
    rules = {name: rules[ours(name)] for name in trainee.shapes}
    small = Plan(plan.card, recipe, trainee, recipe.problem, rules, {}, recipe.schedule, plan.shell, CANARY_STEPS, seed)
    once = Job(device=job.device, precision=job.precision, recompute=job.recompute, compile=job.compile)
    return made(small, lambda name: rounded(start[ours(name)]), Drawn(recipe.problem, seed), once, ranks)


def check(card: Card, losses: list[float], rtol: float, say: Callable[[str], None], where: str = "") -> None:
    """Raises CanaryFailed."""
    problem = difference(card.canary, losses, rtol)
    if problem:
        raise CanaryFailed(problem)
    say(f"the first {len(losses)} losses{where} are those of the card (rtol {rtol:.3g})")
