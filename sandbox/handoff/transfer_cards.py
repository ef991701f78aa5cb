"""Cards of the sweeps: the model of the base width at its best rate, with the rule for other widths and what it costs at a tested one.

    ("METHOD-width", rests on METHOD.lr-transfer)          the exponent, its interval, no regret
    ("METHOD-width-tested", rests on METHOD.lr-regret)     the same with the regret at width 512

Such a card is written while its claim holds, so a method whose sweep says otherwise has none.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.handoff.parametrisation import exponents
from sandbox.handoff.transfer_runs import BASE_WIDTH, Setting, problem_of, rules_of
from sandbox.ledger.tuning import round_rate
from sandbox.optimizers.parameter_scale import levels
from sandbox.run import Schedule

RANK_EXPONENT = 1.0  # ranks of the sweeps are width / 4
CardTuple = tuple[str, tuple[str, ...], Any]


def cards(method: str) -> tuple[CardTuple, CardTuple]:
    return (
        (f"{method}-width", (f"{method}.lr-transfer",), recipe),
        (f"{method}-width-tested", (f"{method}.lr-regret",), recipe),
    )


def recipe(setting: Setting, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Recipe and the transfer part, from a sample of a sweep or of its test."""
    rule = dict(values["rule"])
    at_base = replace(setting, width=BASE_WIDTH, lr=round_rate(rule["base_value"]))
    wrapped = problem_of(at_base)
    problem, n = wrapped.problem, setting.steps
    rules = rules_of(at_base, problem)
    kinds = exponents(rules, problem.roles, wrapped.parametrisation)
    return {
        "problem": problem,
        "rules": rules,
        "steps": n,
        "schedule": Schedule(n, warmup=n // 10, floor=0.1),
        "parametrisation": {
            "name": setting.parametrisation,
            "base_width": BASE_WIDTH,
            "exponents": kinds,
            "rank_exponent": RANK_EXPONENT if any(hasattr(one, "rank") for rule in rules.values() for one in levels(rule)) else None,
        },
        "transfer": {"lr": rule | {"regret": values.get("regret")}},
    }
