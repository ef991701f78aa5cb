"""What all claims about transfer have in common: the sweep, its exponent, and what the predicted rate costs at a new width.

The margin of an exponent is 0.25: half of the 1/2 that lies between the rules on offer (0, -1/2, -1), and a factor of 2, one step of the
grid, at 16 times the width.
"""

import math
from dataclasses import replace
from typing import Any

from sandbox.fit import Mean
from sandbox.handoff.sweep import Carried, Swept
from sandbox.handoff.transfer import Regret
from sandbox.handoff.transfer_runs import BASE_WIDTH, VOCAB, Setting, measure
from sandbox.ledger.claim import Claim, Found
from sandbox.verdict import Outcome

WIDTHS, TEST_WIDTH = (32, 64, 128, 256), 512
SEEDS, FRESH = (0, 1, 2), (100, 101, 102, 103)
CAP = math.log(VOCAB)  # nats per token, what guessing costs
MARGIN, LIMIT = 0.25, 0.02  # of an exponent; nats per token
SECONDS = {32: 1.3, 64: 1.8, 128: 3.5, 256: 9.7, 512: 31.0}  # a run of AdamW on one core, without other work beside it
NAMES = {
    "adamw": "AdamW",
    "adam-mini": "Adam-mini",
    "adalomo": "AdaLomo",
    "came": "CAME",
    "galore": "GaLore",
    "rso": "RSO",
    "gwt": "GWT",
}
CENTRES = {"adamw": 0.012, "adam-mini": 0.014, "adalomo": 0.1, "came": 0.001, "galore": 0.06, "rso": 0.016, "gwt": 0.014}
SOURCES = {
    "adamw": ("Yang et al. (2022), https://arxiv.org/abs/2203.03466, table 3: hidden rates of Adam fall like 1 / width", "recalled"),
    "galore": ("derived: coordinate check of one hidden matrix; nothing published that we know of", "derived"),
}
DERIVED = ("derived: first-order count of its class, sandbox/handoff/parametrisation.py; nothing published that we know of", "derived")


def swept(setting: Setting, centre: float, **fields: Any) -> Swept:
    return Swept(**({"setting": setting, "points": WIDTHS, "seeds": SEEDS, "centre": centre, "cap": CAP, "base": BASE_WIDTH} | fields))


def claim(setting: Setting, fields: dict[str, Any]) -> Claim:
    """What every claim of a sweep has, and these fields."""
    source, known = SOURCES.get(setting.method, DERIVED)
    common = {
        "source": source,
        "known": known,
        "dossier": "transfer T1",
        "tier": "study",
        "measure": measure,
        "subject": f"transfer.{setting.method}",
    }
    return Claim(**(common | fields))


def exponent(setting: Setting, plan: Swept, predicted: Outcome, **fields: Any) -> Claim:
    """A claim about the exponent of a sweep, by default: that it is 0, as a parametrisation that is right makes it."""
    common = {
        "id": f"{setting.method}.lr-transfer",
        "statement": f"with the width factors of its class {NAMES[setting.method]} has one best learning rate at all widths",
        "kind": "parity",
        "margin": MARGIN,
        "cost_s": round(1.1 * len(SEEDS) * plan.rates * sum(SECONDS.get(point, SECONDS[64]) for point in plan.points)),
        "quantity": f"d log best learning rate / d log {plan.along.replace('_', ' ')}",
        "plan": plan,
        "estimate": Mean("exponent"),
        "predicted": predicted,
    }
    return claim(setting, common | fields)


def regret(setting: Setting, plan: Swept, predicted: Outcome) -> Claim:
    """The claim that the rate which the sweep predicts for the width 512 costs at most 0.02 nats there."""
    common = {
        "id": f"{setting.method}.lr-regret",
        "statement": f"the rate that widths up to 256 predict for {NAMES[setting.method]} at {TEST_WIDTH} costs at most {LIMIT} nats there",
        "source": "derived: the sandbox's own goal for a rule that is handed on",
        "known": "derived",
        "dossier": "transfer T2",
        "kind": "upper",
        "limit": LIMIT,
        "cost_s": round(len(FRESH) * 3 * SECONDS[TEST_WIDTH]),
        "quantity": f"loss at the predicted rate at width {TEST_WIDTH} above the least of the parabola, nats per token",
        "plan": Carried(plan, TEST_WIDTH, FRESH),
        "estimate": Regret(CAP),
        "predicted": predicted,
    }
    return claim(setting, common)


def width_claims(
    method: str, transfer: Outcome, cost: Outcome, transfer_found: Found | None = None, cost_found: Found | None = None
) -> tuple[Claim, Claim]:
    """Both claims about a method in the parametrisation `mu`."""
    setting = Setting(method)
    plan = swept(setting, CENTRES[method])
    return exponent(setting, plan, transfer, found=transfer_found), replace(regret(setting, plan, cost), found=cost_found)


def scaling(method: str, along: str, points: tuple[float, ...], predicted: Outcome, **fields: Any) -> Claim:
    """A claim about how the best rate at the base width moves with another field of the setting; the first grid is around its centre."""
    what = along.removeprefix("weight_")
    plan = swept(Setting(method), CENTRES[method], along=along, points=points, base=points[1])
    common = {"id": f"{method}.lr-{what}", "dossier": "transfer T3", "subject": f"transfer.{method}.{what}"}
    return exponent(Setting(method), plan, predicted, **(common | fields))
