"""The optimizer of a card for somebody else's training loop: the shell itself, a `torch.optim.Optimizer`.

    from sandbox.handoff import optimizer, scheduler
    made = optimizer(Path("adalomo.json"), model)                  # ours, a Llama or GPT-2 of Hugging Face, any whose roles are known
    Trainer(model, args, optimizers=(made, scheduler(Path("adalomo.json"), made)), train_dataset=...)

It is the code that the card was measured with, not a translation of it: nothing is lost or renamed on the way. The trainer around it can
still change the numbers. What must be switched off there: clipping (`max_grad_norm=0.0` in TrainingArguments; its default is 1.0), weight
decay of its own (there is none when it is given an optimizer), and for the fused shell, accumulation and clipping altogether.

The model comes with its own initial numbers. At another width the rates of a card with a parametrisation are those for numbers drawn as its
own model's, with the factors of the parametrisation: `sandbox train` draws them so, a trainer that draws by `initializer_range` does not.

Each tensor gets the rule of its role. Draws of frames follow the order of the card's own model: the tensors of another model are put in
that order by (layer, kind, how many of the kind came before in the layer), so that the same weights under other names see the same bases.
A model that keeps several matrices as one (GPT-2: query, key, value) gets the rule of the first for all of them: entrywise rules and
Adam-mini give the same numbers, factors and bases are those of the one matrix, and drawn bases are others.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from sandbox.handoff.reading import read
from sandbox.handoff.recipe import MODELS
from sandbox.handoff.rules import as_record, rules_of
from sandbox.handoff.schema import Card
from sandbox.handoff.target_rules import Model, rules_at
from sandbox.models.initial import roles_of, shapes_of
from sandbox.models.roles import Role, roles
from sandbox.optimizers.base import Rule
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.gwt import GWT
from sandbox.run import Schedule
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

SHELLS = {"stepwise": Stepwise, "fused": Fused}
FIRST = ("embedding", "position")  # tensors outside the layers that come before them; all others come after
SQUARE = {"short": 1, "long": 0}  # sides of a square matrix that is stored the other way round
Place = tuple[int, int, str, int]


def optimizer(
    card: Card | Path,
    model: nn.Module,
    *,
    lr: float | None = None,
    rank: int | None = None,
    overrides: Mapping[str, Role] | None = None,
    seed: int | None = None,
    **options: Any,
) -> torch.optim.Optimizer:
    """The card's shell over the trainable tensors of a model. lr, rank: in the place of what the card predicts for the model's width.

    overrides: roles of tensors that no table knows.  seed: of the draws of frames; the card's canary's by default.  options: the shell's
    own, as `state_dtype=torch.float32, rounding="stochastic"` for bfloat16 weights.

    Raises ValueError for a card that was changed, a tensor whose role is not known, and, with the words "no rule", for a model that the
    card says nothing about.
    """
    card = usable(card)
    rules = rules_for(card, model, lr=lr, rank=rank, overrides=overrides)
    tensors = dict(model.named_parameters())
    named = [(name, tensors[name]) for name in rules]
    return SHELLS[card.optimizer.shell](named, rules, seed=card.canary.seed if seed is None else seed, **options)


def rules_for(
    card: Card, model: nn.Module, *, lr: float | None = None, rank: int | None = None, overrides: Mapping[str, Role] | None = None
) -> dict[str, Rule]:
    """The rule of every trainable tensor of a model, in the order of the card's own model. Raises ValueError as `optimizer` does."""
    config = as_record(card.model, MODELS)
    own = Model(roles_of(config), shapes_of(config), config.width)
    rules = rules_of(card.optimizer, tuple(own.shapes))
    theirs = described(model, overrides)
    same = lr is None and rank is None and theirs.shapes == own.shapes
    found = rules if same else turned(rules_at(card, own, rules, theirs, lr, rank=rank), theirs)
    trainable = {name for name, w in model.named_parameters() if w.requires_grad}
    return {name: found[name] for name in in_order(own.roles, theirs.roles) if name in trainable}


def turned(rules: Mapping[str, Rule], model: Model) -> dict[str, Rule]:
    """Frames on square matrices that are stored with their inputs first: the shorter side is the other one there.

    Raises ValueError for a frame that takes a side by its place, which is another side of such a matrix.
    """
    return {name: _turned(name, rule, model.roles[name], model.shapes[name]) for name, rule in rules.items()}


def _turned(name: str, rule: Rule, role: Role, shape: tuple[int, ...]) -> Rule:
    inner = getattr(rule, "inner", None)
    if inner is None or (role.input_dims, role.output_dims) != ((0,), (1,)):
        return rule
    if isinstance(rule, GWT):
        raise ValueError(f"no rule: GWT acts along the last axis, and {name} is stored with its inputs first; use a model of linear layers")
    square = shape[0] == shape[1]
    if isinstance(rule, CESGC) and square:
        raise ValueError(
            f"no rule: CESGC takes the first side of a square matrix, and {name} is stored with its inputs first; use linear layers"
        )
    side = SQUARE.get(getattr(rule, "side", None)) if square else None
    changes = {} if side is None else {"side": side}
    return replace(rule, inner=_turned(name, inner, role, shape), **changes)


def usable(card: Card | Path) -> Card:
    """The card of a file. Raises ValueError where there is none, and for one that was changed."""
    if isinstance(card, Card):
        return card
    found, problems = read(card)
    if problems:
        raise ValueError(f"the card may not be used: {problems[0]}")
    return found


def scheduler(card: Card | Path, made: torch.optim.Optimizer) -> LambdaLR:
    """The card's schedule as torch's; constant where the card has none. Raises ValueError as `usable` does."""
    card = usable(card)
    factor = Schedule(**card.schedule.model_dump()) if card.schedule else lambda k: 1.0
    return LambdaLR(made, factor)


def described(model: nn.Module, overrides: Mapping[str, Role] | None = None) -> Model:
    """Roles, shapes and width of a module. Raises ValueError where a role, or the table of tokens, is missing."""
    found = roles(model, overrides)
    shapes = {name: tuple(w.shape) for name, w in model.named_parameters()}
    tables = [name for name, role in found.items() if role.kind == "embedding"]
    if not tables:
        raise ValueError(
            f"the width of a model is that of its table of tokens, and none of its {len(found)} tensors is of the kind 'embedding'"
        )
    return Model(found, shapes, shapes[tables[0]][found[tables[0]].output_dims[0]])


def in_order(own: Mapping[str, Role], theirs: Mapping[str, Role]) -> list[str]:
    """The names of `theirs` in the order that the tensors of `own` with the same place have."""
    here = places(theirs)
    rank: dict[tuple[int, str, int], int] = {}
    for part, _, kind, n in places(own).values():
        rank.setdefault((part, kind, n), len(rank))
    return sorted(theirs, key=lambda name: (*here[name][:2], rank.get((here[name][0], *here[name][2:]), len(rank))))


def places(of: Mapping[str, Role]) -> dict[str, Place]:
    """(before, in or after the layers; number of the layer; kind; how many of the kind came before) of every tensor."""
    seen: Counter[tuple[int, int, str]] = Counter()
    found = {}
    for name, role in of.items():
        number = re.search(r"\.(\d+)\.", name)
        layer = int(number[1]) if number else 0
        part = 1 if number else 0 if role.kind in FIRST else 2
        found[name] = (part, layer, role.kind, seen[part, layer, role.kind])
        seen[part, layer, role.kind] += 1
    return found
