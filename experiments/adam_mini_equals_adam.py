"""Question: when do Adam and Adam-mini take the same step, and by how much do they differ else?

Claims: adam-mini.equals-adam            gradients of one magnitude at every step, signs at random: the same path
        adam-mini.equals-adam.one-step   ... of one magnitude at the first step alone: the same path: no
        adam-mini.equals-adam.gap        one entry of a first step differs by lr m (q - s) / ((s + eps)(q + eps))
        adam-mini.equals-adam.large-eps  eps of 10^4 times the gradients: the paths differ by less than 10^-3 of their length
Proof:  proofs/proof_adam_mini_equals_adam.py
Cost:   1 s on one CPU core
Run:    sandbox check adam-mini.equals-adam adam-mini.equals-adam.gap

The predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.problems.base import Facts, Params
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import adam_mini_steps
from sandbox.verdict import Outcome

FIXED = (1.0, 5.0**0.5, 6.0**0.5)  # squares 1, 5, 6, of mean 4


@dataclass(frozen=True)
class Slopes:
    """loss = <g, x> with a new g every step. law: one magnitude a step, at the first step alone, or FIXED at every step."""

    law: Literal["one magnitude", "one first", "fixed"] = "one magnitude"
    d: int = 6
    steps: int = 50
    lr: float = 0.1
    eps: float = 1e-8

    @property
    def facts(self) -> Facts:
        return Facts()

    def start(self, seed: int) -> Params:
        return {"x": torch.zeros(3 if self.law == "fixed" else self.d, dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> Tensor:
        if self.law == "fixed":
            return torch.tensor(FIXED, dtype=torch.float64)
        rng = generator(seed, step)
        signs = 2.0 * torch.randint(0, 2, (self.d,), generator=rng) - 1.0
        alike = self.law == "one magnitude" or step == 0
        return signs * torch.rand(1 if alike else self.d, generator=rng, dtype=torch.float64)

    def loss(self, params: Params, batch: Tensor) -> Tensor:
        return batch @ params["x"]


def paths(setting: Slopes, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Distance of the two ends over the length of Adam's, and what the first entry differs by."""
    rules = (rule(setting.lr, eps=setting.eps) for rule in (Adam, AdamMini))
    adam, mini = ([torch.from_numpy(t.final["x"]) for t in run_ensemble(setting, rule, steps=setting.steps, seeds=seeds)] for rule in rules)
    return [{"distance": float((x - y).norm() / x.norm()), "gap": float(x[0] - y[0])} for x, y in zip(adam, mini, strict=True)]


def of_paths(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "adam-mini T7",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.3,
        "quantity": "distance of the ends of both paths over the length of Adam's, 50 steps",
        "measure": paths,
        "estimate": Range("distance"),
        "predicted": Outcome.HOLDS,
        "subject": "adam-mini.equals-adam",
    }
    return Claim(**(common | fields))


SEEDS = tuple(range(8))
CLAIMS = (
    of_paths(
        id="adam-mini.equals-adam",
        theorems=("adam_mini_equals_adam",),
        statement="Where all gradients of a block have one magnitude at each step, Adam-mini is Adam.",
        plan=Grid((Slopes(),), SEEDS, len(SEEDS)),
        limit=1e-12,  # rounding
    ),
    of_paths(
        id="adam-mini.equals-adam.one-step",
        theorems=("adam_mini_equals_adam",),
        statement="Where all gradients of a block have one magnitude at the first step, Adam-mini is Adam.",
        plan=Grid((Slopes("one first"),), SEEDS, len(SEEDS)),
        limit=1e-12,
        predicted=Outcome.VIOLATED,
    ),
    of_paths(
        id="adam-mini.equals-adam.gap",
        statement="One entry of a first step differs by exactly lr m (q - s) / ((s + eps)(q + eps)).",
        kind="equality",
        quantity=adam_mini_steps.entry_gap.quantity,
        plan=Grid((Slopes("fixed", steps=1), Slopes("fixed", steps=1, eps=0.5)), seeds=(0,)),
        estimate=Range("gap"),
        bound=adam_mini_steps.entry_gap,
        constants=lambda setting: {"lr": setting.lr, "m": 1.0, "s": 1.0, "q": 2.0, "eps": setting.eps},
        tau=1e-9,  # rounding
    ),
    of_paths(
        id="adam-mini.equals-adam.large-eps",
        theorems=("adam_mini_equals_adam",),
        statement="With an eps far above all gradients both are one rule: relative distance below 10^-3.",
        plan=Grid((Slopes("one first", eps=1e4),), SEEDS, len(SEEDS)),
        limit=1e-3,  # (q - s) / eps is 1e-4
    ),
)
