"""The forms in which parameters are handed to a shell, brought to one: (name, tensor, rule, group).

    model.named_parameters()                      one rule for all, or a table name -> rule
    model.parameters()                            one rule for all; the tensors are called param_0, param_1, ...
    [{"params": ..., "lr": 1e-4, ...}, ...]       torch's groups: fields of the rule that differ, or a "rule" of its own

"initial_lr" is kept beside them, for a schedule that is made with last_epoch != -1. A key of a group that no level of its
rule has is an error, because it would have no effect.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from numbers import Real
from typing import Any, NamedTuple

from torch import Tensor

from sandbox.optimizers.base import Rule
from sandbox.shells.assignment import assign

Parameters = Iterable[tuple[str, Tensor]] | Iterable[Tensor] | Iterable[dict[str, Any]]
Rules = Rule | Mapping[str, Rule]
PLACE = {"params", "param_names", "rule"}  # keys of a group that say which tensors, not how
KEPT = {"seed", "skipped", "initial_lr"}  # those of a shell's own group, and of a schedule, that are no setting of a rule


class Group(NamedTuple):
    """A group of the caller. seed: what it says of it."""

    number: int
    seed: int | None = None
    initial_lr: float | Tensor | None = None


class Member(NamedTuple):
    name: str
    w: Tensor
    rule: Rule
    group: Group


def members(parameters: Parameters, rules: Rules, *, taken: int = 0) -> list[Member]:
    """One entry per parameter, in the order given. taken: how many parameters the shell has already.

    Raises ValueError where a name is missing, invented or used twice, and where a group is empty or has a key without effect.
    """
    given = list(parameters)
    if not given:
        raise ValueError("a shell needs at least one parameter, got none; an exhausted generator looks like this too")
    if not any(isinstance(x, Mapping) for x in given):
        named = _named(given, taken)
        assigned = assign([name for name, _ in named], rules)
        return _unique([Member(name, w, assigned[name], Group(taken)) for name, w in named])
    found: list[Member] = []
    for i, group in enumerate(given):
        found += _of_group(group, rules, place=taken + i, taken=taken + len(found))
    names = [m.name for m in found]
    if isinstance(rules, Mapping) and (unknown := sorted(set(rules) - set(names))):
        raise ValueError(f"rules must name parameters of the groups alone, got {unknown[:5]}, {len(unknown)} of which no group has")
    return _unique(found)


def _of_group(group: Mapping[str, Any], rules: Rules, *, place: int, taken: int) -> list[Member]:
    tensors = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
    if not tensors:
        raise ValueError(f"every group must have parameters, got none in group {place}; leave it out")
    names = group.get("param_names")
    named = list(zip(names, tensors, strict=True)) if names else _named(tensors, taken)
    if "rule" in group:
        rules = group["rule"]
    elif isinstance(rules, Mapping):
        rules = {name: rules[name] for name, _ in named if name in rules}
    assigned = assign([name for name, _ in named], rules)
    changed = {key: value for key, value in group.items() if key not in PLACE | KEPT}
    for key in {"lr", "initial_lr"} & set(group):
        require_number(key, group[key], named[0][0])
    of = Group(place, group.get("seed"), group.get("initial_lr"))
    return [Member(name, w, overridden(assigned[name], changed), of) for name, w in named]


def require_number(key: str, value: Any, name: str) -> None:
    """Raises ValueError for a rate that is no number, such as text, or is infinite. A tensor on an accelerator is not waited for."""
    if not isinstance(value, Real | Tensor):
        raise ValueError(f"{key} must be a number or a 0-dim tensor, got {value!r} in the group of {name}; convert it with float()")
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"{key} must be one number, got a tensor of shape {tuple(value.shape)} in the group of {name}; use groups")
    if not (isinstance(value, Tensor) and value.device.type != "cpu") and math.isinf(float(value)):
        raise ValueError(f"{key} must be finite, got {float(value)} in the group of {name}; look at the schedule")


def _named(given: list[Any], taken: int) -> list[tuple[str, Tensor]]:
    return [x if isinstance(x, tuple) else (f"param_{taken + i}", x) for i, x in enumerate(given)]


def _unique(found: list[Member]) -> list[Member]:
    n_names, n_tensors = len({m.name for m in found}), len({id(m.w) for m in found})
    if not len(found) == n_names == n_tensors:
        raise ValueError(
            f"every tensor must be named once, got {n_names} names for {n_tensors} tensors in {len(found)} places; "
            "named_parameters() lists a tied tensor under its first name"
        )
    return found


def overridden(rule: Rule, changed: Mapping[str, Any]) -> Rule:
    """`rule` with other settings, checked as at its making; a field that a wrapper lacks is looked for in its `inner`.

    Raises ValueError where no level has the field, or where the rule refuses the value.
    """
    for key, value in changed.items():
        rule = _replaced(rule, key, value)
    return rule


def _replaced(rule: Rule, key: str, value: Any) -> Rule:
    if key in getattr(rule, "__dataclass_fields__", {}):
        return replace(rule, **{key: value})
    if hasattr(rule, "inner"):
        return replace(rule, inner=_replaced(rule.inner, key, value))
    raise ValueError(
        f"{type(rule).__name__} has no field {key!r}, so setting it to {value!r} in a group would have no effect; leave it out"
    )


def live(rule: Rule) -> dict[str, Any]:
    """The settings that a group may change between two steps: every number and pair of numbers of the rule and of the
    rules inside it, the outermost where two levels share a name. Counts (rank, update_gap, ...) are fixed.
    """
    inner = live(rule.inner) if hasattr(rule, "inner") else {}
    own = {name: getattr(rule, name) for name, f in getattr(rule, "__dataclass_fields__", {}).items() if "float" in str(f.type)}
    return inner | own
