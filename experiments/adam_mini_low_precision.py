"""Question: does a second moment in few bits still average, at the betas that people use?

Adam-mini with one row per second moment; weights, gradients and state in the dtype of the setting, the rule as it is.

Claims: adam-mini.bits.frozen    bfloat16, beta2 0.999, gradients of 0: no second moment moves, in 1000 steps
        adam-mini.bits.float32   ... in float32 none does either: no, all fall to 0.999^1000
        adam-mini.bits.freezing  the least beta2 at which all stay, by bisection: 1 - 2^(-p - 1)
        adam-mini.bits.decaying  the largest beta2 at which none stays: 1 - 1 / (2^p + 2)
        adam-mini.bits.stalled   the largest constant square that moves no second moment: 1 + 2^-p / (1 - beta2) of it
        adam-mini.bits.rise      from 0 towards a square of 1 at beta2 0.999 in bfloat16 it stops at 1/4
Proof:  proofs/proof_adam_mini_low_precision.py
Cost:   2 s on one CPU core
Run:    sandbox check adam-mini.bits.frozen adam-mini.bits.freezing

The predictions were committed before the first run. Changed after it: tau of the thresholds 1e-9 -> 1e-7, as the rounding
of float32 is relative to the second moment and not to what it loses. An implementation that rounds twice (v times beta2, then the
square added) stops at 1/2 instead, since its decay is lost and the square is not.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adam_mini import AdamMini, AdamMiniState
from sandbox.theory import adam_mini_precision
from sandbox.verdict import Outcome

BITS = {"bfloat16": 8, "float16": 11, "float32": 24}


@dataclass(frozen=True)
class Format:
    dtype: Literal["bfloat16", "float16", "float32"]
    beta2: float = 0.999
    steps: int = 1000

    @property
    def bits(self) -> int:
        return BITS[self.dtype]


def binade(setting: Format) -> Tensor:
    """Numbers from 1 to 2 in the dtype: all of them, of float32 256."""
    count = 2 ** (min(setting.bits, 9) - 1)
    if setting.bits == 11:
        count = 1024
    return (1 + torch.arange(count, dtype=torch.float64) / count).to(getattr(torch, setting.dtype))


def after(v: Tensor, beta2: float, steps: int, g: float = 0.0) -> Tensor:
    """The second moments of Adam-mini after `steps` steps of the gradient g everywhere; one row of two entries each."""
    rule = AdamMini(0.0, betas=(0.9, beta2), n_blocks=len(v))
    w = torch.zeros(len(v), 2, dtype=v.dtype)
    state = AdamMiniState(1.0, 1.0, torch.zeros_like(w), v)
    for _ in range(steps):
        state = rule.step(torch.full_like(w, g), state, w)[1]
    return state.v


def moved(setting: Format, seed: int) -> dict[str, float]:
    """Shares that stay where they are over `steps` steps, and what is left of the first one."""
    v = binade(setting)
    last = after(v, setting.beta2, setting.steps)
    return {"stay": float((last == v).double().mean()), "left": float(last[0])}


def bisected(low: float, high: float, above) -> float:
    """The edge between low, where `above` is false, and high, where it is true."""
    for _ in range(45):
        middle = (low + high) / 2
        low, high = (low, middle) if above(middle) else (middle, high)
    return high


def thresholds(setting: Format, seed: int) -> dict[str, float]:
    """Least beta2 that moves nothing in a step, and largest that moves everything."""
    v = binade(setting)
    return {
        "freezing": bisected(0.9, 1 - 1e-9, lambda beta2: bool((after(v, beta2, 1) == v).all())),
        "decaying": bisected(0.9, 1 - 1e-9, lambda beta2: bool((after(v, beta2, 1) == v).any())),
    }


def stalled(setting: Format, seed: int) -> dict[str, float]:
    """Largest ratio of a square, as the rule sees it, to a second moment that it does not move; gradients are all numbers in [1, 4)."""
    one = binade(setting)
    ratio = 1.0
    for g in torch.cat([one, 2 * one]).tolist():
        square = float((torch.tensor(g, dtype=one.dtype) ** 2).float())
        stays = one[after(one, setting.beta2, 1, g) == one].double()
        ratio = max(ratio, square / float(stays.min())) if len(stays) else ratio
    return {"ratio": ratio}


def rise(setting: Format, seed: int) -> dict[str, float]:
    return {"v": float(after(torch.zeros(1, dtype=getattr(torch, setting.dtype)), setting.beta2, setting.steps, 1.0))}


def of_bits(**fields) -> Claim:
    common = {
        "source": "derived; users of Adam-mini from version 1.0.3 on, whose state takes the dtype of the weight (second-hand)",
        "known": "derived",
        "dossier": "adam-mini C31, T10",
        "kind": "equality",
        "tier": "quick",
        "cost_s": 0.3,
        "plan": Grid((Format("bfloat16"),), seeds=(0,)),
        "predicted": Outcome.HOLDS,
        "tau": 0.0,
    }
    return Claim(**(common | fields))


STAY = "share of the second moments that 1000 gradients of 0 leave as they are"
BOTH = Grid((Format("bfloat16"), Format("float16")), seeds=(0,))
CLAIMS = (
    of_bits(
        id="adam-mini.bits.frozen",
        theorems=("adam_mini_low_precision",),
        statement="At beta2 = 0.999 a second moment in bfloat16 never falls, however long the gradient is 0.",
        quantity=STAY,
        measure=per_seed(moved),
        estimate=Range("stay"),
        limit=1.0,
    ),
    of_bits(
        id="adam-mini.bits.float32",
        theorems=("adam_mini_low_precision",),
        statement="At beta2 = 0.999 a second moment in float32 never falls, however long the gradient is 0.",
        quantity=STAY,
        plan=Grid((Format("float32"),), seeds=(0,)),
        measure=per_seed(moved),
        estimate=Range("stay"),
        limit=1.0,
        predicted=Outcome.VIOLATED,
        subject="adam-mini.bits.frozen",
    ),
    of_bits(
        id="adam-mini.bits.freezing",
        statement="The least beta2 at which no second moment of p bits moves is 1 - 2^(-p - 1).",
        quantity=adam_mini_precision.freezing_beta2.quantity,
        plan=BOTH,
        measure=per_seed(thresholds),
        estimate=Range("freezing"),
        bound=adam_mini_precision.freezing_beta2,
        constants=lambda setting: {"p": setting.bits},
        subject="adam-mini.bits.thresholds",
        tau=1e-7,  # the rule works in float32 inside, where 1 - (1 - beta2) is rounded to 6e-8
    ),
    of_bits(
        id="adam-mini.bits.decaying",
        statement="The largest beta2 at which no second moment of p bits stays is 1 - 1 / (2^p + 2).",
        quantity=adam_mini_precision.decaying_beta2.quantity,
        plan=BOTH,
        measure=per_seed(thresholds),
        estimate=Range("decaying"),
        bound=adam_mini_precision.decaying_beta2,
        constants=lambda setting: {"p": setting.bits},
        subject="adam-mini.bits.thresholds",
        tau=1e-7,
    ),
    of_bits(
        id="adam-mini.bits.stalled",
        statement="A second moment stays where it is while the squares are up to 1 + 2^-p / (1 - beta2) times as large: 4.9.",
        kind="upper",
        quantity=adam_mini_precision.stalled_ratio.quantity,
        measure=per_seed(stalled),
        estimate=Range("ratio"),
        bound=adam_mini_precision.stalled_ratio,
        constants=lambda setting: {"p": setting.bits, "b2": setting.beta2},
        predicted=Outcome.ATTAINED,
        tau=0.02,  # squares of bfloat16 numbers are 2 / 128 apart
    ),
    of_bits(
        id="adam-mini.bits.rise",
        theorems=("adam_mini_low_precision",),
        statement="From 0 towards a constant square of 1 a second moment in bfloat16 stops at 1/4: all steps are twice as long.",
        quantity="second moment after 5000 gradients of 1, beta2 0.999",
        plan=Grid((Format("bfloat16", steps=5000),), seeds=(0,)),
        measure=per_seed(rise),
        estimate=Range("v"),
        limit=0.25,  # the first power of two v with 1 / v at most 4.9
    ),
)
