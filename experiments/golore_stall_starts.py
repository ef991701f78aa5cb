"""Question: from which starts does GaLore stall, and where does it end from the others?

Claims: from every start whose singular values are below the noise, whatever they are; from others each value that is above it shrinks on
        its own path until it is below, and then that stalls too
Proof:  proofs/proof_projection_stall.py
Cost:   below 1 s on one core
Run:    sandbox check galore.stall.any-start galore.stall.above-noise galore.stall.above-noise.stays

The problem of golore_counterexample.py, with X_11 = U diag(s) V^T for random U, V and n - r values s, equally spaced. The theorem takes
every s below sigma; the signal then holds none of the r leading directions.
Broken assumption: some s above sigma, out of scope. A direction with s > sigma is among the r largest sooner or later and takes the factor
1 - lr each time, so every value ends at the first of s (1 - lr)^j that is below sigma, also where more than r of them start above.

Written and committed before the first run of these settings.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.projection import orthonormal
from sandbox.problems.golore_counterexample import GoLoreCounterexample, true_gradient_norm2
from sandbox.run import run
from sandbox.theory import projections_golore as golore
from sandbox.verdict import Outcome

STREAM = 0x7B  # last part of the key of a draw of this file
SOURCE = "derived, for the problem in the script of the authors of GoLore with B = 0; https://arxiv.org/abs/2410.11289"


@dataclass(frozen=True)
class Spread(GoLoreCounterexample):
    """least, most: of the singular values of X_11, equally spaced."""

    least: float = 0.2
    most: float = 0.8

    @property
    def values(self) -> np.ndarray:
        return np.linspace(self.least, self.most, self.n - self.rank)

    def start(self, seed: int) -> dict[str, Tensor]:
        k, params = self.n - self.rank, super().start(seed)
        U, V = (orthonormal(normal((k, k), generator(seed, side, STREAM))) for side in (0, 1))
        params["X"][:k, :k] = U @ torch.from_numpy(self.values).diag() @ V.T
        return params


@dataclass(frozen=True)
class Start:
    least: float
    most: float
    inner: Literal["descent", "adam"] = "descent"
    lr: float = 0.1
    steps: int = 60
    update_gap: int = 1


def problem_of(setting: Start) -> Spread:
    return Spread(least=setting.least, most=setting.most)


def walk(setting: Start, seed: int) -> dict[str, float]:
    """|grad f|^2 at the step where it is farthest from its start, and after the last one."""
    problem = problem_of(setting)
    inner = GradientDescent(setting.lr) if setting.inner == "descent" else Adam(setting.lr)
    rule = GaLore(inner, problem.rank, setting.update_gap, scale=1.0)

    def look(k: int, params: dict) -> dict[str, float]:
        return {"gradient2": float(true_gradient_norm2(problem, params))}

    seen = [x["gradient2"] for x in run(problem, rule, steps=setting.steps, seed=seed, watch=look).watched.values()]
    return {"farthest": max(seen, key=lambda x: abs(x - seen[0])), "last": seen[-1]}


def start_energy(setting: Start) -> float:
    return float((problem_of(setting).values ** 2).sum())


def end_energy(setting: Start) -> float:
    """Every value at the first of s (1 - lr)^j below sigma."""
    ends, sigma = [], problem_of(setting).sigma
    for s in problem_of(setting).values:
        while s > sigma:
            s *= 1 - setting.lr
        ends.append(s)
    return float((np.array(ends) ** 2).sum())


def above(setting: Start) -> str | None:
    return "a singular value of the signal is above the noise" if setting.most > problem_of(setting).sigma else None


BELOW = (Start(0.2, 0.8), Start(0.6, 0.97, update_gap=7), Start(0.01, 0.97, inner="adam", lr=0.02))
SOME, ALL = Start(0.5, 1.5), Start(1.05, 2.05, steps=100)


def on_starts(**fields) -> Claim:
    common = {
        "source": SOURCE,
        "known": "derived",
        "dossier": "rso C11",
        "kind": "equality",
        "tier": "quick",
        "cost_s": 0.3,
        "quantity": golore.galore_stall.quantity,
        "plan": Grid((SOME, ALL), (0, 1, 2)),
        "measure": per_seed(walk),
        "estimate": Range("farthest"),
        "predicted": Outcome.HOLDS,
        "limit": start_energy,
        "tau": 1e-9,  # roundings, 1e-16 a step
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_starts(
        id="galore.stall.any-start",
        theorems=("projection_stall",),
        statement="GaLore stays where it starts for ever, whatever the singular values of the gradient, if they are below the noise",
        plan=Grid((*BELOW, SOME), (0, 1, 2)),
        scope=above,
    ),
    on_starts(
        id="galore.stall.above-noise",
        theorems=("projection_stall",),
        statement="every singular value above the noise shrinks by 1 - lr a time until it is below, and no other moves",
        quantity="squared gradient norm of f after the last step",
        estimate=Range("last"),
        limit=end_energy,
        subject="galore.stall.any-start",
    ),
    on_starts(
        id="galore.stall.above-noise.stays",
        theorems=("projection_stall",),
        statement="it stays where it starts from there too",
        source="an assumption left out, to be tested",
        predicted=Outcome.VIOLATED,
        subject="galore.stall.any-start",
    ),
)
