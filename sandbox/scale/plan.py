"""What a card and a job come to: model, rules, schedule, data, all checked before a tensor of the model is there."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sandbox.handoff.for_trainers import turned
from sandbox.handoff.parametrisation import Parametrisation, init_factor
from sandbox.handoff.reading import read
from sandbox.handoff.recipe import Recipe, Schedule, recipe_of
from sandbox.handoff.schema import Card
from sandbox.handoff.target_rules import Model, rules_at, with_rank, with_rate
from sandbox.handoff.verify import text_problems, weak
from sandbox.models.language import LanguageProblem
from sandbox.optimizers.base import Rule
from sandbox.optimizers.parameter_scale import levels
from sandbox.scale.job import Job, Ranks
from sandbox.scale.model import Config, Trainee, trainee_of

FAR = 2  # times as many steps, or as few, move the best rate by its root, 1.4: what a grid of factors of 2 just sees


@dataclass(frozen=True)
class Plan:
    """problem: the card's, with the model, batch and context of the job.  init: factors of the initial scale, by name.

    notes: what a user should read before the first step.
    """

    card: Card
    recipe: Recipe
    trainee: Trainee
    problem: LanguageProblem
    rules: Mapping[str, Rule]
    init: Mapping[str, float]
    schedule: Schedule | None
    shell: str
    steps: int
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        """Whether the model is the card's own."""
        return self.trainee.foreign is None and self.trainee.config == self.recipe.problem.model

    def settings(self, job: Job) -> dict[str, Any]:
        """All that the numbers depend on, as plain data: whether a checkpoint belongs to this job."""
        names = ("model", "text", "tokenizer", "batch", "context", "lr", "precision", "accumulate")
        kept = {"card": self.card.digest, "seed": self.seed, "layers": "subspace" if self.shell == "subspace" else "plain"}
        length = {"steps": self.steps} if job.model else {}  # the schedule is stretched to it then
        ranks = {"rank": job.rank} if job.rank else {}
        return kept | length | ranks | {name: getattr(job, name) for name in names}


def usable(path: Path) -> tuple[Card, Recipe]:
    """The card and what it says to run. Raises ValueError with everything that forbids its use."""
    card, problems = read(path)
    problems += weak(card)
    recipe = recipe_of(card, (path.parent,))
    problems += text_problems(card, recipe.problem.text)
    if problems:
        raise ValueError(f"{path} may not be used: {'; '.join(problems)}")
    return card, recipe


def plan_of(path: Path, job: Job, ranks: Ranks) -> Plan:
    """Raises ValueError for a card, a model or options that cannot be used, or not together."""
    card, recipe = usable(path)
    own = recipe.problem.model
    trainee, notes = drawn_as_the_card_says(trainee_of(job.model, own, job.context), card, own)
    shell, steps = job.shell or recipe.shell, job.steps or recipe.steps
    problem = replace(recipe.problem, model=trainee.config, batch_size=job.batch or recipe.problem.batch_size)
    require_shares(problem.batch_size, job, ranks)
    require_shell(shell, job)
    require_rank(recipe.rules, job.rank)
    return Plan(
        card,
        recipe,
        trainee,
        problem,
        _rules(card, recipe, trainee, job),
        _init(card, trainee) if job.model else {},
        stretched(recipe.schedule, steps) if job.model else recipe.schedule,
        shell,
        steps,
        card.canary.seed if job.seed is None else job.seed,
        notes + length_note(recipe, job, steps),
    )


def drawn_as_the_card_says(trainee: Trainee, card: Card, own: Config) -> tuple[Trainee, tuple[str, ...]]:
    """The model with the law of initial numbers of the card's own, and what to say of it.

    Factors of initial scales and of rates hold for numbers that are drawn as they were where they were measured, not by the
    `initializer_range` of another configuration. Numbers that come from a folder stay, and so does a model where the card has no factors.
    """
    config = trainee.config
    if card.parametrisation is None or trainee.folder is not None or spread_of(config) == spread_of(own):
        return trainee, ()
    ours, theirs = (f"std {one.std:g}" if one.init == "normal" else one.init for one in (own, config))
    note = f"initial numbers are drawn by {ours}, as the card's rates were measured, not by {theirs} as the configuration says"
    return replace(trainee, config=replace(config, init=own.init, std=own.std)), (note,)


def spread_of(config: Config) -> tuple[str, float]:
    return config.init, config.std if config.init == "normal" else 0.0


def length_note(recipe: Recipe, job: Job, steps: int) -> tuple[str, ...]:
    """What to say where the schedule is stretched to a length at which nobody has looked for the best rate."""
    own = recipe.steps
    if job.model is None or job.lr is not None or own / FAR < steps < own * FAR:
        return ()
    return (
        f"the card's rate was chosen over {own} steps and this job makes {steps:,}: from 50 to 800 steps the best rates of AdamW and "
        f"AdaLomo fell with the root of the number of steps (claims adamw.lr-steps, adalomo.lr-steps), which would be times "
        f"{math.sqrt(own / steps):.2g} here, where nobody has measured it; --lr names another rate",
    )


def require_shares(batch: int, job: Job, ranks: Ranks) -> None:
    """Raises ValueError where the windows of a step cannot be dealt out evenly."""
    parts = ranks.world * job.accumulate
    if batch % parts:
        raise ValueError(
            f"the {batch} windows of a step must be a multiple of {ranks.world} ranks x {job.accumulate} passes = {parts}: "
            f"give --batch {-(-batch // parts) * parts}, or another number of ranks"
        )


def require_shell(shell: str, job: Job) -> None:
    """Raises ValueError where the shell cannot do what the job asks for."""
    if shell == "fused" and job.accumulate > 1:
        raise ValueError(
            f"the fused shell frees every gradient once it is applied, so it cannot add up {job.accumulate} passes; "
            "give --accumulate 1, or --shell stepwise"
        )


def stretched(schedule: Schedule | None, steps: int) -> Schedule | None:
    """The same shape over another number of steps."""
    if schedule is None or schedule.total == steps:
        return schedule
    return replace(schedule, total=steps, warmup=round(schedule.warmup * steps / max(schedule.total, 1)))


def _rules(card: Card, recipe: Recipe, trainee: Trainee, job: Job) -> dict[str, Rule]:
    if job.model is not None:
        return settings_at(card, recipe, trainee, job.lr, job.rank)[0]
    factor = 1.0 if job.lr is None else job.lr / float(card.optimizer.rule["lr"])
    rules = {name: with_rate(rule, factor) for name, rule in recipe.rules.items()}
    return {name: with_rank(rule, lambda rank: job.rank or rank) for name, rule in rules.items()}


def require_rank(rules: Mapping[str, Rule], rank: int | None) -> None:
    """Raises ValueError where a rank was named and nothing has one."""
    if rank is not None and not any(hasattr(one, "rank") for rule in rules.values() for one in levels(rule)):
        raise ValueError(f"rank {rank} was given, but the card's rules have no frame with a rank; leave --rank out")


def settings_at(
    card: Card, recipe: Recipe, trainee: Trainee, lr: float | None, rank: int | None = None
) -> tuple[dict[str, Rule], dict[str, float]]:
    """Rules and factors of the initial scale for another model than the card's own. Raises ValueError as `rules_at` does."""
    own = Model(recipe.problem.roles, recipe.problem.shapes, recipe.problem.model.width)
    other = Model(trainee.roles, trainee.shapes, trainee.config.width)
    return turned(rules_at(card, own, recipe.rules, other, lr, rank=rank), other), _init(card, trainee)


def _init(card: Card, trainee: Trainee) -> dict[str, float]:
    part, config = card.parametrisation, trainee.config
    if part is None:
        return {}
    parametrisation = Parametrisation(part.name, part.base_width)
    return {name: init_factor(role.kind, config.width, parametrisation, law=config.init) for name, role in trainee.roles.items()}
