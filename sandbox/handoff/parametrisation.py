"""How the initial weights and the learning rates of a model follow its width n, relative to a base width n0.

    standard   the model's own initial weights, one learning rate for every tensor
    mu         at n0 the same as standard, and elsewhere
                   matrices inside (hidden)       standard deviation ~ n^-1/2, variance 1 / fan-in    rate x (n / n0)^e
                   the head, untied               standard deviation ~ n^-1                           rate x (n / n0)^e
                   tables, norm gains, biases     as at n0                                            rate as at n0

with e by class of rule, from a first-order count: a step of entries of size d, aligned with its input, moves an output by n d.

    class              step of an entry             e hidden  e head
    adam               lr, whatever the width       -1        -1       Adam, AdamW, Adam-mini, CAME, and these inside GWT and RSO
    parameter-scaled   lr RMS(w)                    -1/2      0        AdaLomo: RMS(w) falls like n^-1/2 inside and n^-1 in the head
    low-rank           lr, in few directions        -1/2      -        GaLore: what its projector sees of a gradient counts; measured
                                                                       at fixed rank (see Departures)

Methods that nobody swept have no rule here and are refused.

Sources: Yang et al. (2022), Tensor Programs V, https://arxiv.org/abs/2203.03466, table 3 (recalled), for Adam; Everett et al. (2024),
https://arxiv.org/abs/2407.05872 (recalled). Of the other classes nothing is published that we know of: the exponents are those of a
coordinate check of one hidden matrix, which experiments/handoff_transfer_*.py test by sweeps. A sweep measures what is left of an
exponent, and a card holds both: at another width the rate is that of the card's rule times the factor from here.
Departures: -1/2 of the low-rank class was seen at fixed rank, and rank n/8 gave -0.59; it is used for all ranks.
A head that is tied to the table of tokens counts as a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sandbox.models.language import LanguageProblem
from sandbox.models.roles import Role
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule, with_fields
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.parameter_scale import levels
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.weight_decay import WeightDecay

Name = Literal["standard", "mu"]
RuleClass = Literal["adam", "parameter-scaled", "low-rank"]
Law = Literal["normal", "lecun"]

HIDDEN = frozenset(
    {"query", "key", "value", "query_key_value", "query_key_value_by_head", "attention_out", "ffn_in", "ffn_gate", "ffn_out", "hidden"}
)
TABLES = frozenset({"embedding", "position"})
CONSTANT = TABLES | {"norm", "bias"}
EXPONENTS: Mapping[RuleClass, Mapping[str, float]] = {
    "adam": {"hidden": -1.0, "head": -1.0},
    "parameter-scaled": {"hidden": -0.5, "head": 0.0},
    "low-rank": {"hidden": -0.5},
}
ADAM_LIKE = (Adam, AdamW, AdamMini, CAME)
WRAPPERS = (GaLore, GWT, RSO, WeightDecay)


@dataclass(frozen=True)
class Parametrisation:
    """Raises ValueError for a name that is none, and for a base width below 1."""

    name: Name
    base_width: int

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            raise ValueError(f"a parametrisation is one of {', '.join(get_args(Name))}, got {self.name!r}")
        if type(self.base_width) is not int or self.base_width < 1:
            raise ValueError(f"the base width of a parametrisation must be an int >= 1, got {self.base_width!r}")


def rule_class(rule: Any) -> RuleClass:
    """Which row of the table a rule belongs to. Raises ValueError, with the words "no rule", for one that was not swept."""
    *wrappers, innermost = levels(rule)
    known = all(isinstance(one, WRAPPERS) for one in wrappers)
    if known and isinstance(innermost, AdaLomo) and innermost.parameter_scale == "weight" and not framed(wrappers):
        return "parameter-scaled"
    if known and isinstance(innermost, ADAM_LIKE):
        return "low-rank" if any(isinstance(one, GaLore) for one in wrappers) else "adam"
    names = " around ".join(type(one).__name__ for one in levels(rule))
    swept = "AdamW, Adam-mini, AdaLomo, CAME, GaLore, RSO and GWT"
    raise ValueError(f"no rule: how the learning rate of {names} follows the width was not measured; it was for {swept}")


def framed(wrappers: list[Any]) -> bool:
    return any(not isinstance(one, WeightDecay) for one in wrappers)


def lr_exponent(kind: str, parametrisation: Parametrisation, of: RuleClass) -> float:
    """d log lr / d log width of a tensor of this kind. Raises ValueError where a tensor of this kind has no rule."""
    place = place_of(kind)
    if parametrisation.name == "standard" or place == "constant":
        return 0.0
    if place not in EXPONENTS[of]:
        raise ValueError(
            f"no rule: a tensor of kind {kind!r} was never trained by a rule of the class {of!r}; give it a rule without frame"
        )
    return EXPONENTS[of][place]


def lr_factor(kind: str, width: int, parametrisation: Parametrisation, of: RuleClass) -> float:
    """What the learning rate of a tensor of this kind is multiplied by at this width."""
    return relative(width, parametrisation) ** lr_exponent(kind, parametrisation, of)


def init_factor(kind: str, width: int, parametrisation: Parametrisation, *, law: Law = "normal") -> float:
    """What a tensor's initial weights are multiplied by at this width.

    law: how the model draws them by itself, as `init` of its configuration: "normal" knows no width, "lecun" divides matrices by the
    root of their fan-in and tables by that of the width.
    """
    place, ratio = place_of(kind), relative(width, parametrisation)
    if parametrisation.name == "standard":
        return 1.0
    if law == "lecun":
        return {"hidden": 1.0, "head": ratio**-0.5, "constant": ratio**0.5 if kind in TABLES else 1.0}[place]
    return {"hidden": ratio**-0.5, "head": 1 / ratio, "constant": 1.0}[place]


def place_of(kind: str) -> Literal["hidden", "head", "constant"]:
    """Raises ValueError, with the words "no rule", for kinds that were never swept (convolutions, experts, routers, LoRA)."""
    if kind in HIDDEN:
        return "hidden"
    if kind == "head":
        return "head"
    if kind in CONSTANT:
        return "constant"
    raise ValueError(f"no rule: how a tensor of kind {kind!r} follows the width was not measured; give each tensor its settings by hand")


def relative(width: int, parametrisation: Parametrisation) -> float:
    """n / n0. Raises ValueError for a width below 1."""
    if width < 1:
        raise ValueError(f"a width must be >= 1, got {width}")
    return width / parametrisation.base_width


def at_width(rules: Mapping[str, Rule], roles: Mapping[str, Role], width: int, parametrisation: Parametrisation) -> dict[str, Rule]:
    """The rules, given with the rate of the base width, with that of this width, tensor by tensor."""
    if parametrisation.name == "standard":
        return dict(rules)
    factors = {name: lr_factor(roles[name].kind, width, parametrisation, rule_class(rule)) for name, rule in rules.items()}
    return {name: with_fields(rule, lr=learning_rate(rule) * factors[name]) for name, rule in rules.items()}


def exponents(rules: Mapping[str, Rule], roles: Mapping[str, Role], parametrisation: Parametrisation) -> dict[str, float]:
    """Kind -> exponent of the learning rate, what a card holds."""
    if parametrisation.name == "standard":
        return {roles[name].kind: 0.0 for name in rules}
    return {roles[name].kind: lr_exponent(roles[name].kind, parametrisation, rule_class(rule)) for name, rule in rules.items()}


@dataclass(frozen=True)
class Parametrised:
    """A language problem whose start is multiplied, tensor by tensor, as the parametrisation wants it at the model's width."""

    problem: LanguageProblem
    parametrisation: Parametrisation

    @property
    def facts(self) -> Any:
        """Nothing that theory may assume."""
        return self.problem.facts

    @property
    def factors(self) -> dict[str, float]:
        model = self.problem.model
        kinds = {name: role.kind for name, role in self.problem.roles.items()}
        return {name: init_factor(kind, model.width, self.parametrisation, law=model.init) for name, kind in kinds.items()}

    def start(self, seed: int) -> dict[str, Tensor]:
        return {name: w * factor for (name, w), factor in zip(self.problem.start(seed).items(), self.factors.values(), strict=True)}

    def batch(self, seed: int, step: int) -> Tensor:
        return self.problem.batch(seed, step)

    def loss(self, params: dict[str, Tensor], batch: Tensor) -> Tensor:
        return self.problem.loss(params, batch)

    def held_out(self, params: dict[str, Tensor]) -> float:
        with torch.no_grad():
            return self.problem.held_out(params)
