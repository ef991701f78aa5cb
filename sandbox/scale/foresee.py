"""The target canary of a job: its bands from small widths, on a laptop, and the job held to them, where it is big.

sandbox train CARD --model BIG.json --text FOLDER --foresee BIG-CARD.json      trains narrow models, writes the card with its bands
sandbox train BIG-CARD.json --model BIG.json --text FOLDER                     is stopped where it leaves them
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sandbox.handoff.reading import write
from sandbox.handoff.recipe import MODELS
from sandbox.handoff.rules import as_data
from sandbox.handoff.schema import CANARY_STEPS, Card, TargetPart, sealed
from sandbox.handoff.target import STEPS, bytes_problem, foreseen, loss_problem, narrowed, ratio_problem
from sandbox.handoff.target_rules import predicted_lr
from sandbox.memory.forecasts import fused_forecast, stepwise_forecast
from sandbox.optimizers.base import Rule
from sandbox.scale.canaries import CanaryFailed
from sandbox.scale.data import Source
from sandbox.scale.job import Job, Ranks
from sandbox.scale.making import run_of
from sandbox.scale.memory import tensors_of
from sandbox.scale.model import Trainee
from sandbox.scale.plan import Plan, settings_at
from sandbox.scale.watch import Watch, whole_everywhere

SEEDS = 3
TOKENS = 2048  # of a step of a narrow model: the first rows of a batch of the job; fewer tokens only make the bands wider
WIDTHS = (32, 64, 128)  # of a card without a transfer rule that says which; those above half of the target's are left out


@dataclass(frozen=True)
class Part:
    """Batches of a source from step `first` on, without their last rows; a text that ends before is read from its beginning."""

    source: Source
    rows: int
    first: int

    def batch(self, step: int) -> Tensor:
        end = getattr(self.source, "steps", None)
        step += self.first
        return self.source.batch(step % end if end else step)[: self.rows]

    def held_out(self) -> Tensor:
        return self.source.held_out()


def with_bands(plan: Plan, source: Source, job: Job, ranks: Ranks, path: Path, say: Callable[[str], None]) -> Card:
    """Writes the card with the bands of this job's model. Raises ValueError, with the words "no rule", where no width can be foreseen."""
    target = bands(plan, source, job, ranks, say)
    data = plan.card.as_json() | {"target": target.model_dump(mode="json")}
    del data["digest"]
    card = sealed(data)
    write(card, path)
    say(f"wrote {path}, with {2 + len(STEPS) * len(target.update_ratio)} bands for {target.parameters:,} parameters")
    return card


def bands(plan: Plan, source: Source, job: Job, ranks: Ranks, say: Callable[[str], None]) -> TargetPart:
    config, seen = plan.trainee.config, {}
    for width in ladder(plan):
        seen[width] = [_seen(plan, source, job, ranks, width, seed) for seed in range(SEEDS)]
        losses = ", ".join(f"{run.loss_10:.4f}" for run in seen[width])
        say(f"width {width}: loss {losses} nats per token after ten steps")
    shapes, element = plan.trainee.shapes, torch.empty(0, dtype=getattr(torch, plan.problem.dtype)).element_size()
    forecast = (fused_forecast if plan.shell == "fused" else stepwise_forecast)(shapes, plan.rules, element=element)
    fixed = {
        "model": as_data(config, MODELS),
        "parameters": plan.trainee.parameters,
        "state_bytes": forecast.state,
        "gradient_bytes": forecast.gradients,
    }
    return foreseen(seen, config.width, fixed)


def ladder(plan: Plan) -> list[int]:
    """Widths to be trained: those of the transfer rule, or the target's own where the card knows no other."""
    rule, target = (plan.card.transfer or {}).get("lr"), plan.trainee.config.width
    if target == plan.recipe.problem.model.width:
        return [target]
    widths = [width for width in (rule.widths if rule else WIDTHS) if width <= target // 2]
    if len(widths) < 2:
        raise ValueError(f"no rule: bands for width {target} need at least two widths up to {target // 2}, and the card has {widths}")
    return widths


def _seen(plan: Plan, source: Source, job: Job, ranks: Ranks, width: int, seed: int) -> Any:
    """Ten steps and the loss after them, in one process in the card's dtype."""
    trainee = Trainee(narrowed(plan.trainee.config, width))
    rules, init = narrow_settings(plan, job, trainee)
    small = replace(plan, trainee=trainee, rules=rules, init=init, seed=seed)
    alone = Job(model=job.model, shell=job.shell, device=job.device)
    part = Part(source, max(1, TOKENS // plan.trainee.config.context), (CANARY_STEPS + 1) * seed)
    run = run_of(small, part, alone, ranks)
    watch = Watch(run, trainee.roles)
    for _ in range(CANARY_STEPS + 1):
        watch.step()
    return watch.seen()


def narrow_settings(plan: Plan, job: Job, narrow: Trainee) -> tuple[dict[str, Rule], dict[str, float]]:
    """Rules and factors of the initial scale of a narrow model: what goes with the rate and the rank that the job names at its own width.

    A rate that is so many times the predicted one is as many times it here; a rank follows the card's exponent, or the width.
    """
    card, width, target, lr, rank = plan.card, narrow.config.width, plan.trainee.config.width, job.lr, job.rank
    if lr is not None and width != target:
        lr *= predicted_lr(card, width) / predicted_lr(card, target)
    if rank is not None:
        said = card.parametrisation.rank_exponent if card.parametrisation else None
        rank = max(1, round(rank * (width / target) ** (1.0 if said is None else said)))
    return settings_at(card, plan.recipe, narrow, lr, rank)


class Held:
    """A run that is held to the bands of its card, step by step."""

    def __init__(self, plan: Plan, watch: Watch, run: Any, target: TargetPart, say: Callable[[str], None]) -> None:
        self._watch, self._run, self._say = watch, run, say
        self._target = in_layers(plan, target) if plan.shell == "subspace" else target
        self._shell = plan.shell
        self._framed = sorted({plan.trainee.roles[name].kind for name, rule in plan.rules.items() if hasattr(rule, "inner")})

    def check(self) -> None:
        """To be called after every step. Raises CanaryFailed where something is outside its band."""
        made = len(self._run.losses)
        for problem in (*self._losses(made), *(self._bytes() if made == 1 else ()), *self._updates(made)):
            if problem:
                raise CanaryFailed(problem)
        if made == CANARY_STEPS + 1:
            self._say("the first ten steps lie in the bands that the card foresees for this model")

    def _losses(self, made: int) -> list[str | None]:
        bands = {1: (0, self._target.loss_0), CANARY_STEPS + 1: (CANARY_STEPS, self._target.loss_10)}
        return [loss_problem(band, step, self._run.losses[step]) for step, band in [bands[made]]] if made in bands else []

    def _updates(self, made: int) -> list[str | None]:
        step = str(made)
        if step not in STEPS:
            return []
        now = {kind: ratios[step] for kind, ratios in self._watch.ratios.items() if step in ratios}
        return [ratio_problem(self._target.update_ratio, step, now, self._framed)]

    def _bytes(self) -> list[str | None]:
        target, world = self._target, self._run.ranks.world
        everywhere = whole_everywhere(self._run.optimizer) * (world - 1)
        found = self._watch.gradients
        grads = None if self._shell == "fused" else bytes_problem("gradients", target.gradient_bytes, target.gradient_bytes, found, world)
        return [bytes_problem("states", target.state_bytes, target.state_bytes + everywhere, self._watch.states, world), grads]


def in_layers(plan: Plan, target: TargetPart) -> TargetPart:
    """Bands, which are those of plain weights, for layers in subspaces: coefficients have smaller gradients, and P and B are no states."""
    tensors, element = tensors_of(plan), torch.empty(0, dtype=getattr(torch, plan.problem.dtype)).element_size()
    plain = stepwise_forecast(plan.trainee.shapes, plan.rules, element=element)
    ours = stepwise_forecast(tensors.shapes, tensors.rules, element=element)
    fewer = {"state_bytes": plain.state - ours.state, "gradient_bytes": plain.gradients - ours.gradients}
    return target.model_copy(update={name: getattr(target, name) - less for name, less in fewer.items()})


def held(plan: Plan, run: Any, say: Callable[[str], None]) -> tuple[Watch, Held] | None:
    """What holds the run to its card; None, said, where the card foresees another model or nothing."""
    target = plan.card.target
    if target is None or target.model != as_data(plan.trainee.config, MODELS):
        if not plan.is_own:
            say("the card has no bands for this model, so only its ten losses guard the run; make them with --foresee")
        return None
    watch = Watch(run, plan.trainee.roles)
    return watch, Held(plan, watch, run, target, say)
