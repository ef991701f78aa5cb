"""Question: how fast can AdaLomo move a tensor, and what holds it?

Claims: adalomo.growth                    max(eps2, RMS(w)) grows by (1 + lr)^K at most
        adalomo.growth.attained           ... which a gradient that points away from 0 attains
        adalomo.growth.unscaled           ... also without the scale by the weight: no
        adalomo.movement                  no tensor moves by more than exp(sum lr) - 1 of its RMS: 35.6 % in the paper's recipe
        adalomo.zero-start                a tensor that starts at 0 needs 1 / lr steps to the RMS 1e-3: 2000 at the paper's rate
        adalomo.decay-ceiling             under the decay of the reference code RMS(w) <= 1 / wd for ever
        adalomo.decay-ceiling.attained    ... which gradients that point away from 0 attain from there
        adalomo.decay-ceiling.gaussian    ... and under Gaussian ones, at rates up to 1 it is far
        adalomo.decay-overshoot           for lr > 1 one step against the weight goes from there to (2 lr - 1) / wd
        adalomo.decay-ceiling.torch       ... also under that of torch.optim.Adafactor, lr wd: no
        adalomo.decay-ceiling.large-rate  ... also for lr > 1: no
Proof:  proofs/proof_adalomo_growth.py and, for the decay, proofs/proof_adalomo_decay.py
Cost:   2 s on one CPU core
Run:    sandbox check adalomo.growth adalomo.movement adalomo.zero-start adalomo.decay-ceiling

The paper's recipe (recalled): lr 5e-4 falling linearly to 0 in 1218
steps, sum of the rates 0.3045. Changed after the first run, for cost: Gaussian gradients make 121 steps at 5e-3, no
longer 1218 at 5e-4.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.averages import rms
from sandbox.optimizers.base import with_fields
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.theory import adalomo
from sandbox.verdict import Outcome

ROUNDING = 1e-10  # some thousand float64 steps
EPS2 = 1e-3


@dataclass(frozen=True)
class Push:
    """law: gradients that point away from 0, towards it, constant ones, Gaussian or heavy-tailed ones. start: RMS of the start.

    schedule: the rate stays, or falls linearly to 0.  decay: weight_decay of the rule, or around it as torch has it.
    """

    law: Literal["away", "towards", "constant", "gaussian", "cauchy"]
    lr: float
    steps: int
    start: float = 1.0
    shape: tuple[int, ...] = (6, 8)
    schedule: Literal["constant", "linear"] = "constant"
    wd: float = 0.0
    decay: Literal["code", "torch"] = "code"
    scale: Literal["weight", "off"] = "weight"


def gradient(setting: Push, w: Tensor, seed: int, k: int) -> Tensor:
    z = normal(setting.shape, generator(seed, 1, k))
    return {
        "away": -w.sign(),
        "towards": w.sign(),
        "constant": torch.ones_like(w),
        "gaussian": z,
        "cauchy": z / normal(setting.shape, generator(seed, 2, k)),
    }[setting.law]


def sizes(setting: Push, seed: int) -> tuple[list[float], float]:
    """RMS of every weight, and of the last one's distance from the first; starts have entries of equal magnitude."""
    w = first = setting.start * normal(setting.shape, generator(seed)).sign()
    rule = AdaLomo(setting.lr, weight_decay=setting.wd if setting.decay == "code" else 0.0, parameter_scale=setting.scale)
    rule = WeightDecay(rule, setting.wd) if setting.decay == "torch" else rule
    state, path = rule.init(w), [float(rms(w))]
    for k in range(setting.steps):
        now = with_fields(rule, lr=setting.lr * (1 - k / setting.steps)) if setting.schedule == "linear" else rule
        delta, state = now.step(gradient(setting, w, seed, k), state, w)
        w = w + delta
        path.append(float(rms(w)))
    return path, float(rms(w - first))


def measure(setting: Push, seed: int) -> dict[str, float]:
    path, moved = sizes(setting, seed)
    reached = next((k for k, size in enumerate(path) if size >= EPS2 * (1 - ROUNDING)), setting.steps)
    return {"last": max(EPS2, path[-1]), "largest": max(path), "moved": moved, "reached": reached}


def rates(setting: Push) -> float:
    """Sum of the learning rates."""
    return setting.lr * (setting.steps if setting.schedule == "constant" else (setting.steps + 1) / 2)


AWAY = (Push("away", 0.05, 60), Push("away", 0.2, 20, shape=(5,)))
RANDOM = (Push("gaussian", 0.05, 60), Push("cauchy", 0.2, 20), Push("constant", 0.05, 60, start=0.0))
RECIPE = (Push("away", 5e-4, 1218, schedule="linear"), Push("gaussian", 5e-3, 121, schedule="linear"))
CEILING = tuple(Push(law, lr, 300, wd=0.5) for law, lr in (("away", 0.1), ("away", 1.0), ("cauchy", 0.3)))
SHARED = dict(
    source="derived; the update is that of AdaLomo's code", known="derived", tier="quick", measure=per_seed(measure), tau=ROUNDING
)
GROWTH = SHARED | dict(
    dossier="lomo T11",
    kind="upper",
    quantity=adalomo.growth_at_rate.quantity,
    estimate=Range("last"),
    bound=adalomo.growth_at_rate,
    constants=lambda s: {"lr": s.lr, "eps2": EPS2, "rms": s.start, "K": s.steps},
    scope=lambda s: "the theorem is about steps that are scaled by the weight" if s.scale == "off" else None,
    cost_s=0.2,
)
CEIL = SHARED | dict(
    dossier="lomo T11", kind="upper", quantity=adalomo.decay_ceiling.quantity, estimate=Range("largest"), cost_s=0.2
)  # quantity: the largest of the run
LARGE = Push("towards", 1.5, 5, start=2.0, wd=0.5)
CEILED = CEIL | dict(bound=adalomo.decay_ceiling, constants=lambda s: {"lr": s.lr, "d": 1.0, "wd": s.wd, "eps2": EPS2, "rms": s.start})
UNSCALED = (Push("away", 0.5, 4, start=0.1, scale="off"),)
CLAIMS = (
    Claim(
        id="adalomo.growth",
        statement="The size max(eps2, RMS(w)) grows by (1 + lr)^K in K steps at most.",
        plan=Grid((*RANDOM, *UNSCALED), seeds=(0, 1)),
        predicted=Outcome.HOLDS,
        **GROWTH,
    ),
    Claim(
        id="adalomo.growth.attained",
        statement="... and by exactly that where every gradient points away from 0.",
        plan=Grid(AWAY, seeds=(0, 1)),
        predicted=Outcome.ATTAINED,
        **GROWTH,
    ),
    Claim(
        id="adalomo.growth.unscaled",
        theorems=("adalomo_growth",),
        statement="The limit (1 + lr)^K survives without the scale by the weight.",
        plan=Grid(UNSCALED, seeds=(0, 1)),
        predicted=Outcome.VIOLATED,  # 0.1 + 4 x 0.5 against 0.1 x 1.5^4
        **{key: value for key, value in GROWTH.items() if key not in ("bound", "constants", "scope")},
        limit=lambda s: s.start * (1 + s.lr) ** s.steps,
    ),
    Claim(
        id="adalomo.movement",
        statement="In the paper's recipe no tensor moves by more than 35.6 % of its RMS.",
        dossier="lomo T12",
        kind="upper",
        quantity=adalomo.movement.quantity,
        plan=Grid(RECIPE, seeds=(0,)),
        estimate=Range("moved"),
        bound=adalomo.movement,
        constants=lambda s: {"eps2": EPS2, "rms": s.start, "lr_sum": rates(s)},
        predicted=Outcome.HOLDS,
        cost_s=0.5,
        **SHARED,
    ),
    Claim(
        id="adalomo.zero-start",
        statement="A tensor that starts at 0 needs 1 / lr steps until its RMS is 1e-3, even where every gradient agrees.",
        dossier="lomo T12, C15",
        kind="lower",
        quantity=adalomo.steps_from_zero.quantity,
        plan=Grid((Push("constant", 5e-4, 2100, start=0.0, shape=(4,)), Push("constant", 0.02, 60, start=0.0)), seeds=(0,)),
        estimate=Range("reached"),
        bound=adalomo.steps_from_zero,
        constants=lambda s: {"lr": s.lr, "d": 1.0, "eps2": EPS2},
        predicted=Outcome.ATTAINED,
        cost_s=0.5,
        **SHARED,
    ),
    Claim(
        id="adalomo.decay-ceiling",
        statement="Under the weight decay of the reference code RMS(w) stays at or below 1 / wd, whatever the gradients.",
        plan=Grid(CEILING, seeds=(0, 1)),
        bound=adalomo.decay_ceiling,
        constants=lambda s: {"lr": s.lr, "d": 1.0, "wd": s.wd, "eps2": EPS2, "rms": s.start},
        predicted=Outcome.HOLDS,
        **CEIL,
    ),
    Claim(
        id="adalomo.decay-ceiling.attained",
        statement="... and stays there for ever where it starts there and every gradient points away from 0.",
        plan=Grid(tuple(Push("away", lr, 50, start=2.0, wd=0.5) for lr in (0.1, 1.0)), seeds=(0, 1)),
        predicted=Outcome.ATTAINED,
        **CEILED,
    ),
    Claim(
        id="adalomo.decay-ceiling.gaussian",
        statement="... and stays below it under Gaussian gradients and a constant one, vectors included, for lr up to 1.",
        plan=Grid((Push("gaussian", 1.0, 50, wd=0.5), Push("constant", 0.2, 50, shape=(7,), wd=0.5), LARGE), seeds=(0, 1)),
        predicted=Outcome.HOLDS,  # the last setting is out of scope: lr > 1
        **CEILED,
    ),
    Claim(
        id="adalomo.decay-overshoot",
        statement="For lr > 1 one step against a weight at 1 / wd takes it to (2 lr - 1) / wd on the other side.",
        quantity=adalomo.decay_overshoot.quantity,
        plan=Grid(tuple(Push("towards", lr, 1, start=2.0, wd=0.5) for lr in (1.2, 1.5)), seeds=(0, 1)),
        estimate=Range("last"),
        bound=adalomo.decay_overshoot,
        constants=lambda s: {"lr": s.lr, "d": 1.0, "wd": s.wd, "eps2": EPS2},
        predicted=Outcome.ATTAINED,
        **{key: value for key, value in CEIL.items() if key not in ("quantity", "estimate")},
    ),
    Claim(
        id="adalomo.decay-ceiling.torch",
        theorems=("adalomo_decay",),
        statement="Under weight decay by lr wd, as torch.optim.Adafactor has it, RMS(w) stays at or below 1 / wd.",
        plan=Grid((Push("away", 0.1, 300, wd=0.5, decay="torch"),), seeds=(0, 1)),
        limit=lambda s: 1 / s.wd,
        predicted=Outcome.VIOLATED,  # growth by (1 + lr (1 - wd))^K
        **CEIL,
    ),
    Claim(
        id="adalomo.decay-ceiling.large-rate",
        theorems=("adalomo_decay",),
        statement="Under the weight decay of the reference code RMS(w) stays at or below 1 / wd for lr > 1, too.",
        plan=Grid((Push("towards", 1.5, 5, start=2.0, wd=0.5),), seeds=(0, 1)),
        limit=lambda s: 1 / s.wd,
        predicted=Outcome.VIOLATED,  # (2 lr - 1) / wd after one step
        **CEIL,
    ),
)
