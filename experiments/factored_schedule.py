"""Question: how many squared gradients does the second moment of AdaLomo and Adafactor average, and do their weights sum to 1?

Claims: adalomo.averages.least             the decay 1 - t^-c keeps at least T^c averages at step T, c = 1/2 and 4/5
        adalomo.averages.least.attained    ... exactly T for c = 1, the plain mean
        adalomo.averages.most              ... and at most 2 T^c - 1
        adalomo.averages.most.attained     ... which no memory, c = 0, attains
        adalomo.averages.beyond            T^c averages for c = 2, too: no
        adalomo.averages.beyond.first      there the first gradient keeps the weight (T + 1) / (2 T), half of it for ever
        adalomo.averages.sum               the weights sum to 1 from the first step on
        adalomo.averages.sum.constant      ... with a constant decay, as AdaLomo's figure prints it, too: no
        adalomo.averages.sum.constant.law  ... they sum to 1 - b^T
Proof:  proofs/proof_factored_schedule.py
Cost:   1 s on one CPU core
Run:    sandbox check adalomo.averages.least adalomo.averages.most adalomo.averages.sum

The weights are read off the rule's own state: at step t entry t of a vector (row t of a matrix) alone has a gradient, which is 1.
The theorem is about numbers t and c alone, so that no other instance is more realistic. Everything is deterministic; all predictions
were committed before the first run of these settings.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.theory import factorisation_noise
from sandbox.verdict import Outcome

CONSTANT = 0.9  # the decay of Adam's second moment here


@dataclass(frozen=True)
class Schedule:
    """c: of the decay 1 - t^-c.  steps: T.  keeper: AdaLomo's moment of a vector or of a matrix, or Adam's, whose decay is constant."""

    c: float
    steps: int
    keeper: Literal["vector", "matrix", "adam"] = "vector"


def weights(setting: Schedule) -> Tensor:
    """(T,) what the moment after step T holds of the squared gradient of step t."""
    shape = (setting.steps, 2) if setting.keeper == "matrix" else (setting.steps,)
    rule = Adam(1.0, (0.0, CONSTANT)) if setting.keeper == "adam" else AdaLomo(1.0, eps=(0.0, 1e-3), decay_rate=-setting.c)
    w = torch.ones(shape, dtype=torch.float64)
    state = rule.init(w)
    for t in range(setting.steps):
        g = torch.zeros_like(w)
        g[t] = 1.0
        _, state = rule.step(g, state, w)
    return state.r if setting.keeper == "matrix" else state.v


def kept(setting: Schedule, seed: int) -> dict[str, float]:
    share = weights(setting)
    return {"averages": float(1 / share.square().sum()), "sum": float(share.sum()), "first": float(share[0])}


def scope(setting: Schedule) -> str | None:
    if setting.keeper == "adam":
        return "the decay is constant, and the theorem is about 1 - t^-c"
    return f"c = {setting.c} is above 1" if setting.c > 1 else None


def power(setting: Schedule) -> dict[str, float]:
    return {"power": float(setting.steps) ** setting.c}


BETWEEN = tuple(Schedule(c, T, keeper) for c in (0.5, 0.8) for T in (3, 30, 300) for keeper in ("vector", "matrix"))
BEYOND = tuple(Schedule(2.0, T) for T in (2, 30))
ADAM = tuple(Schedule(0.0, T, "adam") for T in (1, 5, 40))
of_weights = partial(
    Claim,
    source="derived; the schedule is that of Adafactor (arXiv:1804.04235), section 7.2 (second-hand)",
    known="derived",
    dossier="lomo T4",
    tier="quick",
    cost_s=0.1,
    measure=per_seed(kept),
    subject="adalomo.averages",
    tau=1e-10,  # some hundred roundings of 1e-16
)
LEAST = dict(
    kind="lower",
    quantity=factorisation_noise.averages_least.quantity,
    estimate=Range("averages"),
    bound=factorisation_noise.averages_least,
    constants=power,
    scope=scope,
)
MOST = LEAST | dict(kind="upper", bound=factorisation_noise.averages_most)
SUM = dict(kind="equality", quantity="sum of the weights of the squared gradients", estimate=Range("sum"))
CLAIMS = (
    of_weights(
        id="adalomo.averages.least",
        statement="With the decay 1 - t^-c, 0 <= c <= 1, the second moment at step T is the mean of at least T^c squared gradients.",
        plan=Grid((*BETWEEN, *BEYOND, *ADAM), seeds=(0,)),
        predicted=Outcome.HOLDS,
        **LEAST,
    ),
    of_weights(
        id="adalomo.averages.least.attained",
        statement="... and of exactly T for c = 1.",
        plan=Grid((Schedule(1.0, 2), Schedule(1.0, 50), Schedule(1.0, 50, "matrix")), seeds=(0,)),
        predicted=Outcome.ATTAINED,
        **LEAST,
    ),
    of_weights(
        id="adalomo.averages.most",
        statement="... and of at most 2 T^c - 1.",
        plan=Grid((*BETWEEN, *BEYOND, *ADAM), seeds=(0,)),
        predicted=Outcome.HOLDS,
        **MOST,
    ),
    of_weights(
        id="adalomo.averages.most.attained",
        statement="... which is 1 for c = 0, a moment without memory.",
        plan=Grid((Schedule(0.0, 2), Schedule(0.0, 50), Schedule(0.0, 50, "matrix")), seeds=(0,)),
        predicted=Outcome.ATTAINED,
        **MOST,
    ),
    of_weights(
        id="adalomo.averages.beyond",
        theorems=("factored_schedule",),
        statement="With c = 2 the second moment is the mean of at least T^2 squared gradients.",
        plan=Grid(BEYOND, seeds=(0,)),
        limit=lambda s: float(s.steps) ** s.c,
        predicted=Outcome.VIOLATED,  # there are only T of them, and the first keeps half of the weight
        **{key: value for key, value in LEAST.items() if key not in ("bound", "constants", "scope")},
    ),
    of_weights(
        id="adalomo.averages.beyond.first",
        theorems=("factored_schedule",),
        statement="With c = 2 the first squared gradient keeps the weight (T + 1) / (2 T).",
        kind="equality",
        quantity="weight of the first squared gradient",
        plan=Grid(BEYOND, seeds=(0,)),
        estimate=Range("first"),
        limit=lambda s: (s.steps + 1) / (2 * s.steps),
        predicted=Outcome.HOLDS,
    ),
    of_weights(
        id="adalomo.averages.sum",
        theorems=("factored_schedule",),
        statement="The weights sum to 1 at every step, without a correction for the start.",
        plan=Grid(BETWEEN, seeds=(0,)),
        limit=1.0,
        predicted=Outcome.HOLDS,
        **SUM,
    ),
    of_weights(
        id="adalomo.averages.sum.constant",
        theorems=("factored_schedule",),
        statement="With a constant decay the weights sum to 1 from the first step on, too.",
        plan=Grid(ADAM, seeds=(0,)),
        limit=1.0,
        predicted=Outcome.VIOLATED,
        **SUM,
    ),
    of_weights(
        id="adalomo.averages.sum.constant.law",
        theorems=("factored_schedule",),
        statement="With a constant decay b they sum to 1 - b^T.",
        plan=Grid(ADAM, seeds=(0,)),
        limit=lambda s: 1 - CONSTANT**s.steps,
        predicted=Outcome.HOLDS,
        **SUM,
    ),
)
