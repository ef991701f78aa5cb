"""Question: how large is the gradient after K steps of gradient descent that are longer than 3/2 over L, on convex functions?

Claims: on L |w|^2 / 2 exactly 2 L Delta0 (t - 1)^(2 K), which bounds it on every convex function while 2 (t - 1)^(2 K) >= 2 - t; Huber
        functions and ill-conditioned quadratics stay below L^2 R^2 (t - 1)^(2 K) too; with shorter steps a Huber function breaks it
Proof:  proofs/proof_gradient_descent_long_steps.py
Cost:   below 1 s on one core
Run:    sandbox check gradient-descent.long-steps gradient-descent.long-steps.attained gradient-descent.long-steps.shorter

t = lr L, L = 1. The bend of a Huber function is its slope; it starts at 1. The slope 1 / (t + 1) is the worst one for one step from Delta0,
and K steps of the slope 1 / (K t + 1) end at the bend.

The predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.func import grad

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.base import Facts, Params
from sandbox.problems.spectra import log_spaced
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import gradient_descent_long_steps
from sandbox.verdict import Outcome

STREAM = 0x82  # last part of the key of a draw of this file


@dataclass(frozen=True)
class Setting:
    """slope: of the Huber function.  t: lr L.  steps: K."""

    problem: Literal["isotropic", "ill-conditioned", "huber"]
    t: float
    steps: int
    slope: float = 0.0


@dataclass(frozen=True)
class Valley:
    """A convex function with L = 1 and minimum 0 at 0."""

    setting: Setting

    @property
    def facts(self) -> Facts:
        return Facts(L=1.0, f_star=0.0)

    def start(self, seed: int) -> Params:
        return {"w": torch.ones(1, dtype=torch.float64) if self.setting.problem == "huber" else normal((6,), generator(seed, STREAM))}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        w, slope = params["w"], self.setting.slope
        if self.setting.problem == "huber":
            return torch.where(w.abs() < slope, w**2 / 2, slope * w.abs() - slope**2 / 2).sum()
        low = 1.0 if self.setting.problem == "isotropic" else 1e-2
        return 0.5 * (torch.tensor(log_spaced(6, low=low, high=1.0), dtype=torch.float64) * w**2).sum()


def last(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Squared gradient norm at the end, over the loss and over the squared distance at the start."""
    problem = Valley(setting)
    traces = run_ensemble(problem, GradientDescent(setting.t), steps=setting.steps, seeds=seeds)
    rows = []
    for seed, trace in zip(seeds, traces, strict=True):
        squared = float(grad(lambda w: problem.loss({"w": w}, None))(torch.from_numpy(trace.final["w"])).square().sum())
        rows.append({"from gap": squared / float(trace.loss[0]), "from distance": squared / float(problem.start(seed)["w"].square().sum())})
    return rows


def of_gap(setting: Setting) -> dict[str, float]:
    return {"L": 1.0, "lr": setting.t, "K": setting.steps, "Delta0": 1.0}


def of_distance(setting: Setting) -> dict[str, float]:
    return {"L": 1.0, "lr": setting.t, "K": setting.steps, "R": 1.0}


ISOTROPIC = (Setting("isotropic", 1.6, 1), Setting("isotropic", 1.8, 3), Setting("isotropic", 1.95, 8))
OTHERS = (
    Setting("huber", 1.6, 1, 1 / 2.6),
    Setting("huber", 1.8, 3, 1 / 6.4),
    Setting("ill-conditioned", 1.7, 2),
    Setting("ill-conditioned", 1.95, 8),
)
SHORTER = (Setting("huber", 1.4, 1, 1 / 2.4), Setting("huber", 1.5, 3, 1 / 5.5))
SEEDS = tuple(range(8))


def on_long_steps(**fields) -> Claim:
    common = {
        "source": "derived; the form is a conjecture of https://arxiv.org/abs/1502.05666",
        "known": "derived",
        "dossier": "gradient-descent G5",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.1,
        "quantity": gradient_descent_long_steps.gradient_from_gap.quantity,
        "measure": last,
        "estimate": Range("from gap"),
        "bound": gradient_descent_long_steps.gradient_from_gap,
        "constants": of_gap,
        "predicted": Outcome.HOLDS,
        "tau": 1e-9,  # roundings
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_long_steps(
        id="gradient-descent.long-steps.attained",
        statement="on L |w|^2 / 2 the last squared gradient is 2 L Delta0 (t - 1)^(2 K)",
        plan=Grid(ISOTROPIC, SEEDS, 8),
        predicted=Outcome.ATTAINED,
    ),
    on_long_steps(
        id="gradient-descent.long-steps",
        statement="on Huber functions and ill-conditioned quadratics it is at most that; shorter steps are out of scope",
        plan=Grid((*OTHERS, *SHORTER), SEEDS, 8),
    ),
    on_long_steps(
        id="gradient-descent.long-steps.distance",
        statement="and at most L^2 R^2 (t - 1)^(2 K)",
        plan=Grid(OTHERS, SEEDS, 8),
        estimate=Range("from distance"),
        bound=gradient_descent_long_steps.gradient_from_distance,
        constants=of_distance,
        subject="gradient-descent.long-steps",
    ),
    on_long_steps(
        id="gradient-descent.long-steps.shorter",
        statement="with shorter steps it is at most 2 L Delta0 (t - 1)^(2 K) too",
        source="an assumption left out, to be tested",
        plan=Grid(SHORTER, SEEDS, 8),
        bound=None,
        constants=None,
        limit=lambda setting: 2 * (setting.t - 1) ** (2 * setting.steps),
        theorems=("gradient_descent_long_steps",),
        predicted=Outcome.VIOLATED,
        subject="gradient-descent.long-steps",
    ),
)
