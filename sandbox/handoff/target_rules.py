"""The settings of a card on another model: which rule each of its tensors gets, by what the tensor is.

    kind of tensor -> (framed or not, Adam-mini's cut or none)      as on the card's own model, the same for all tensors of a kind
    lr of a tensor  = the card's lr of that kind  x  lr(n) / lr(card)  x  (n / own width)^exponent of the kind
    lr(n)           = base_value (n / base_width)^value             the card's transfer rule
    rank of a frame = the card's  x  (n / own width)^rank exponent, rounded

A card without a transfer rule says "no rule" and is not carried to another width, unless a learning rate is named; so does one with
frames that have a rank, where it does not say how that follows the width, unless a rank is named. A kind that the card's
model lacks takes the settings of a kin: a fused query-key-value those of the query, a bias those of a norm's gains.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from sandbox.handoff.parametrisation import Parametrisation, lr_exponent, place_of, rule_class
from sandbox.handoff.schema import Card
from sandbox.models.cuts import Version, adam_mini
from sandbox.models.roles import Role
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import Rule, with_fields
from sandbox.optimizers.parameter_scale import levels
from sandbox.optimizers.settings import learning_rate

KIN = {
    "query_key_value": "query", "query_key_value_by_head": "query", "position": "embedding", "bias": "norm", "ffn_gate": "ffn_in",
    "head": "embedding", "embedding": "head",
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """roles, shapes: by name.  width: of the residual stream."""

    roles: Mapping[str, Role]
    shapes: Mapping[str, tuple[int, ...]]
    width: int


def predicted_lr(card: Card, width: int) -> float:
    """The learning rate of the card's rule at this width. Raises ValueError, with the words "no rule", where nothing was measured."""
    rule = (card.transfer or {}).get("lr")
    if rule is None:
        raise ValueError(
            f"no rule: the card does not say how the learning rate of {card.optimizer.rule['type']} follows the width, and the model is "
            f"{width} wide; give --lr, or a card with a transfer rule (`sandbox tune`)"
        )
    return rule.base_value * (width / rule.base_width) ** rule.value


def rules_at(
    card: Card, own: Model, rules: Mapping[str, Rule], other: Model, lr: float | None = None, *, rank: int | None = None
) -> dict[str, Rule]:
    """The rule of every tensor of `other`. rules: of the card's own model.  lr, rank: in the place of the predicted ones.

    Raises ValueError, with the words "no rule", for a width that the card says nothing about and for a kind of tensor that has no kin.
    """
    here = float(card.optimizer.rule["lr"])
    if lr is None:
        lr = here if other.width == own.width else predicted_lr(card, other.width)
    kinds = _by_kind(own, rules)
    version = _version(own, rules)
    found = {}

    def ranked(was: int) -> int:
        return rank or rank_at(card, was, own.width, other.width)

    for name, role in other.roles.items():
        first = _of_kind(kinds, role.kind)
        factor = lr / here * (other.width / own.width) ** _exponent(card, role.kind, rules[first])
        rule = with_rank(_turned(rules[first], own.roles[first], role), ranked)
        found[name] = with_rate(_cut(rule, name, version, other), factor)
    return found


def with_rate(rule: Rule, factor: float) -> Rule:
    """The rule with its learning rate times the factor."""
    return rule if factor == 1 else with_fields(rule, lr=learning_rate(rule) * factor)


def with_rank(rule: Rule, new: Callable[[int], int]) -> Rule:
    """The rule with new(rank) in the place of the rank of every frame that has one."""
    inner = getattr(rule, "inner", None)
    if inner is None:
        return rule
    rank = getattr(rule, "rank", None)
    return replace(rule, inner=with_rank(inner, new), **({} if rank is None else {"rank": new(rank)}))


def rank_at(card: Card, rank: int, own_width: int, width: int) -> int:
    """The rank at another width. Raises ValueError, with the words "no rule", where the card does not say it."""
    if width == own_width:
        return rank
    exponent = card.parametrisation.rank_exponent if card.parametrisation else None
    if exponent is None:
        raise ValueError(
            f"no rule: the card has a frame of rank {rank} at width {own_width} and does not say how the rank follows the width, and the "
            f"model is {width} wide; give --rank, or a card made anew from its claims (`sandbox card create`)"
        )
    return max(1, round(rank * (width / own_width) ** exponent))


def frame_at(card: Card, width: int) -> dict[str, Any] | None:
    """The card's frames as data, with their ranks at another width. Raises ValueError as `rank_at` does."""

    def scaled(data: dict[str, Any]) -> dict[str, Any]:
        rank = {"rank": rank_at(card, data["rank"], card.model["width"], width)} if "rank" in data else {}
        return data | rank | ({"inner": scaled(data["inner"])} if "inner" in data else {})

    return None if card.optimizer.frame is None else scaled(card.optimizer.frame)


def _exponent(card: Card, kind: str, rule: Rule) -> float:
    """Of the rate of a kind: the card's, or a kin's of the same place, or what the parametrisation says of the rule's class."""
    part = card.parametrisation
    if part is None:
        return 0.0
    kin = KIN.get(kind, kind)
    for known in (kind, kin):
        if known in part.exponents and place_of(known) == place_of(kind):
            return part.exponents[known]
    if part.name == "standard":
        return 0.0
    return lr_exponent(kind, Parametrisation(part.name, part.base_width), rule_class(rule))


def _by_kind(own: Model, rules: Mapping[str, Rule]) -> dict[str, str]:
    """Kind -> its first tensor. Raises ValueError where tensors of one kind have unlike rules."""
    first: dict[str, str] = {}
    for name, role in own.roles.items():
        leader = first.setdefault(role.kind, name)
        if _plain(rules[leader]) != _plain(rules[name]):
            raise ValueError(
                f"no rule: the card treats {leader} and {name}, both of kind {role.kind!r}, unlike, so it says nothing about other models"
            )
    return first


def _plain(rule: Rule) -> Any:
    """A rule without the blocks of one tensor."""
    inner = getattr(rule, "inner", None)
    if isinstance(rule, AdamMini):
        return replace(rule, n_blocks=1, dim=0)
    return rule if inner is None else replace(rule, inner=_plain(inner))


def _of_kind(kinds: Mapping[str, str], kind: str) -> str:
    found = kinds.get(kind) or kinds.get(KIN.get(kind, kind))
    if found is None:
        raise ValueError(f"no rule: the model has a tensor of kind {kind!r}, and the card's own has {sorted(kinds)}")
    return found


def _version(own: Model, rules: Mapping[str, Rule]) -> Version | None:
    """Which of Adam-mini's partitions the card has; None where it has none or only whole tensors.

    Raises ValueError for a partition that is nobody's: it cannot be repeated on another model.
    """
    cut = {name: levels(rule)[-1] for name, rule in rules.items() if isinstance(levels(rule)[-1], AdamMini)}
    if all(rule.n_blocks == 1 for rule in cut.values()):
        return None
    for version in get_args(Version):
        blocks = adam_mini(own.roles, own.shapes, version=version)
        if all((rule.n_blocks, rule.dim) == (blocks[name].n_blocks, blocks[name].dim) for name, rule in cut.items()):
            return version
    raise ValueError("no rule: the card's blocks are none of Adam-mini's partitions, so they cannot be made on another model")


def _cut(rule: Rule, name: str, version: Version | None, other: Model) -> Rule:
    if version is None or not isinstance(levels(rule)[-1], AdamMini):
        return rule
    blocks = adam_mini({name: other.roles[name]}, {name: other.shapes[name]}, version=version)[name]
    return with_fields(rule, n_blocks=blocks.n_blocks, dim=blocks.dim)


def _turned(rule: Rule, was: Role, now: Role) -> Rule:
    """A frame that names its side by number, for a tensor that is stored the other way round (inputs first)."""
    if was.input_dims == now.input_dims or not hasattr(rule, "inner"):
        return rule
    inner = _turned(rule.inner, was, now)
    side = getattr(rule, "side", None)
    return replace(rule, inner=inner, side=1 - side) if side in (0, 1) else replace(rule, inner=inner)
