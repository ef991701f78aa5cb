"""Which rule moves which tensor: an explicit table that covers every parameter exactly once."""

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.optimizers.base import Rule


def assign(names: Iterable[str], rules: Rule | Mapping[str, Rule]) -> dict[str, Rule]:
    """The rule of each name, in the order of `names`; one rule alone is given to all.

    Raises ValueError where the table misses a name or has one that no parameter has, and for something that is no rule.
    """
    names = list(names)
    for rule in rules.values() if isinstance(rules, Mapping) else (rules,):
        _require_rule(rule)
    if not isinstance(rules, Mapping):
        return dict.fromkeys(names, rules)
    missing, unknown = [n for n in names if n not in rules], [n for n in rules if n not in set(names)]
    if missing or unknown:
        raise ValueError(
            f"rules must name each of the {len(names)} parameters exactly once: "
            f"{len(missing)} without a rule ({_listed(missing)}), {len(unknown)} unknown ({_listed(unknown)}); "
            "take the names from named_parameters(), where a tied tensor appears once"
        )
    return {name: rules[name] for name in names}


def _require_rule(rule: Any) -> None:
    if isinstance(rule, type) or not (hasattr(rule, "init") and hasattr(rule, "step")):
        raise ValueError(f"a rule is a value with settings, such as Adam(lr=1e-3), got {rule!r}; torch's own optimizers go to `foreign`")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "none"
