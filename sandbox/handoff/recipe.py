"""What is trained and how: as objects for those who run it, as the parts of a card for those who hand it on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sandbox.handoff.plain_text import printable
from sandbox.handoff.rules import as_data, as_record, optimizer_part, rules_of
from sandbox.handoff.schema import Card, DataPart, OptimizerPart, ParametrisationPart, SchedulePart
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem
from sandbox.models.llama import LlamaConfig
from sandbox.models.text import KJV, corpus
from sandbox.models.tokenizers import BytePairs, Characters, Kept
from sandbox.optimizers.base import Rule
from sandbox.run import Schedule

MODELS = {"GPTConfig": GPTConfig, "LlamaConfig": LlamaConfig}
TOKENIZERS = {"BytePairs": BytePairs, "Characters": Characters, "Kept": Kept}

MOST_LAYERS, MOST_ENTRIES, MOST_TOKENS = 500, 10**9, 10**6


@dataclass(frozen=True)
class Recipe:
    """steps: of the whole training.  schedule: multiplier of lr, None for a constant one.

    rules: as they run.  lr_factors: what of a tensor's lr is a factor of the parametrisation; it is in `rules` already.
    """

    problem: LanguageProblem
    rules: Rule | Mapping[str, Rule]
    steps: int
    shell: Literal["stepwise", "fused"] = "stepwise"
    schedule: Schedule | None = None
    lr_factors: Mapping[str, float] | None = None
    parametrisation: ParametrisationPart | None = None


@dataclass(frozen=True)
class Parts:
    """The parts of a card that say what to run; evidence, canary and forecast are not among them."""

    optimizer: OptimizerPart
    schedule: SchedulePart | None
    model: dict
    data: DataPart
    parametrisation: ParametrisationPart | None = None


def parts_of(recipe: Recipe) -> Parts:
    """Raises ValueError where a card cannot say it: another problem than language, an unknown rule, two frames."""
    problem = recipe.problem
    if not isinstance(problem, LanguageProblem):
        raise ValueError(f"a card is for a LanguageProblem, got {type(problem).__name__}")
    schedule = recipe.schedule
    return Parts(
        optimizer_part(rule_of_each(recipe), recipe.shell, recipe.lr_factors),
        SchedulePart(total=schedule.total, warmup=schedule.warmup, floor=schedule.floor) if schedule else None,
        as_data(problem.model, MODELS),
        DataPart(
            sha256=corpus(problem.text).digest,
            text=problem.text,
            part=problem.part,
            tokenizer=as_data(problem.tokenizer, TOKENIZERS),
            batch=problem.batch_size,
            context=problem.model.context,
            steps=recipe.steps,
            held_out_tokens=problem.held_out_tokens,
            dtype=problem.dtype,
        ),
        recipe.parametrisation,
    )


def recipe_of(card: Card | Parts, folders: tuple[Path, ...] | None = None) -> Recipe:
    """The objects that a card describes. folders: where its text and its tokenizer may lie, beside the working folder; None: anywhere,
    for a card that was made here and not read.

    Raises ValueError for types, fields or values that no class here takes, and where the text or a partition does not
    fit.
    """
    data, model = card.data, as_record(card.model, MODELS)
    if model.context != data.context:
        raise ValueError(f"the card's data has context {data.context} but its model {model.context}; they must be equal")
    require_small(model, data)
    require_base_width(card.parametrisation, model)
    tokenizer = as_record(data.tokenizer, TOKENIZERS)
    if isinstance(tokenizer, Kept):
        tokenizer = Kept(located(str(tokenizer.path), folders))
    problem = LanguageProblem(
        model,
        text=located(data.text, folders),
        tokenizer=tokenizer,
        part=data.part,
        batch_size=data.batch,
        held_out_tokens=data.held_out_tokens,
        dtype=data.dtype,
    )
    rules = rules_of(card.optimizer, tuple(problem.shapes))
    schedule = Schedule(**card.schedule.model_dump()) if card.schedule else None
    factors = {name: tensor.lr_factor for name, tensor in (card.optimizer.partition or {}).items()}
    return whole(Recipe(problem, rules, data.steps, card.optimizer.shell, schedule, factors, card.parametrisation))


def require_small(model: GPTConfig | LlamaConfig, data: DataPart) -> None:
    """A card's own model is one that any machine repeats ten steps of: refused before anything of its size is allocated."""
    attention, ffn = 4 * model.width**2, 3 * model.width * max(model.hidden, model.width)
    entries, tokens = model.layers * (attention + ffn) + 2 * (model.vocab + model.context) * model.width, data.batch * data.context
    if model.layers > MOST_LAYERS or entries > MOST_ENTRIES or tokens > MOST_TOKENS:
        raise ValueError(
            f"a card's own model is small, for every machine repeats ten steps of it: {model.layers:,} layers, about {entries:,} weights "
            f"and {tokens:,} tokens a step exceed {MOST_LAYERS:,}, {MOST_ENTRIES:,} or {MOST_TOKENS:,}"
        )


def require_base_width(part: ParametrisationPart | None, model: GPTConfig | LlamaConfig) -> None:
    """The card's own model is where all factors are 1, so that its start is the configuration's own."""
    if part is not None and part.name != "standard" and part.base_width != model.width:
        raise ValueError(f"a card's own model has the base width of its parametrisation, {part.base_width}, got width {model.width}")


def whole(recipe: Recipe) -> Recipe:
    """The same recipe with every tensor's rule and factor written out; no factors where all of them are 1."""
    given = recipe.lr_factors or {}
    factors = {name: given.get(name, 1.0) for name in recipe.problem.shapes}
    uneven = factors if any(factor != 1 for factor in factors.values()) else None
    return replace(recipe, rules=rule_of_each(recipe), lr_factors=uneven)


def rule_of_each(recipe: Recipe) -> dict[str, Rule]:
    """The rules tensor by tensor, in the order of the model."""
    rules, names = recipe.rules, recipe.problem.shapes
    return {name: rules[name] for name in names} if isinstance(rules, Mapping) else dict.fromkeys(names, rules)


def located(text: str, folders: tuple[Path, ...] | None) -> str:
    """The packaged text by its name, or a path below the working folder or one of `folders`; None: the path as it is, for it is ours.

    Raises ValueError for a path that leads out of those folders: an absolute one, "..", or a link.
    """
    if text == KJV or folders is None:
        return text
    places = (Path.cwd(), *folders)
    found = [(folder, folder / text) for folder in places if os.path.exists(folder / text)]
    for folder, path in found:
        if all(_regular(file) and file.resolve().is_relative_to(folder.resolve()) for file in (path, *_files(path))):
            return str(path) if folder != Path.cwd() else text
    allowed = ", ".join(dict.fromkeys(str(folder.resolve()) for folder in places))
    if found:
        raise ValueError(f"the card's file {printable(text)!r} leads out of {allowed}, where a card may read; put a copy into one of them")
    raise ValueError(f"the card's file {printable(text)!r} does not exist in {allowed}; put it there, or name its folder with --root")


def _regular(path: Path) -> bool:
    return path.is_file() or path.is_dir()


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.txt")) if path.is_dir() else []
