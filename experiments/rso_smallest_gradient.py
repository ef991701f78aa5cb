"""Question: what does the smallest gradient of K rounds of RSO promise when the basis is full, so that a round is a proximal point step?

Claims: K times its square is at most 4 / (t (4 - t)) of L times the fall of the loss, 16/7 at t = 1/2, attained for every K on a
        saw-tooth of curvature +L and -L; it holds on indefinite and nonconvex losses; beyond t = 1 it does
        not, and 4 / (t (4 - t^2)) is attained there; of a random basis rso.rounds.smallest says the rest
Proof:  proofs/proof_rso_smallest_gradient.py
Cost:   about 1 s on one core
Run:    sandbox check rso.smallest-gradient rso.smallest-gradient.attained

Every round solves its subproblem exactly (sandbox.oracles.subproblem) with P = 1, which for r = m is any orthogonal P. On the
saw-tooth f' = -1 at the start; over a way of t/2 it rises to -1 + t/2, over the next it falls back, so that W + t is
stationary and the next round starts as this one did (L = 1).

The predictions were committed before the first run of these settings and seeds.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.func import grad

from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.oracles.subproblem import solve
from sandbox.problems.base import Facts, Params, Problem
from sandbox.problems.matrix_quadratic import MatrixQuadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.theory import rso_rates
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class SawTooth:
    """One number; f falls by t - t^2 / 4 over every way of t.  Its period is that of the rounds."""

    t: float

    @property
    def facts(self) -> Facts:
        return Facts(L=1.0)

    def start(self, seed: int) -> Params:
        return {"W": torch.zeros((1, 1), dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        t, w = self.t, params["W"].sum()
        teeth = torch.floor(w / t).detach()
        v = w - teeth * t
        first, second = v - v**2 / 2, t / 2 - t**2 / 8 + (1 - t / 2) * (v - t / 2) + (v - t / 2) ** 2 / 2
        return -(teeth * (t - t**2 / 4) + torch.where(v < t / 2, first, second))


@dataclass(frozen=True)
class Balanced:
    """(x^2 - y^2) / 2 from the (x, y) at which |grad f| after a round, at (x / (1 + t), y / (1 - t)), is that before."""

    t: float

    @property
    def facts(self) -> Facts:
        return Facts(L=1.0, spectrum=(1.0, -1.0))

    def start(self, seed: int) -> Params:
        y = ((1 - (1 + self.t) ** -2) / ((1 - self.t) ** -2 - 1)) ** 0.5
        return {"W": torch.tensor([[1.0], [y]], dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        return params["W"][0].square().sum() / 2 - params["W"][1].square().sum() / 2


@dataclass(frozen=True)
class Setting:
    """rows: m = r.  rounds: K.  balanced: curvatures +L and -L, from where both gradients of the first round are alike."""

    problem: Literal["saw-tooth", "indefinite", "nonconvex", "balanced"]
    rounds: int
    t: float = 0.5
    rows: int = 6


def problem_of(setting: Setting) -> Problem:
    if setting.problem == "saw-tooth":
        return SawTooth(setting.t)
    if setting.problem == "balanced":
        return Balanced(setting.t)
    if setting.problem == "nonconvex":
        return SmoothNonconvex(setting.rows, 1, samples=4 * setting.rows)
    return MatrixQuadratic(tuple(-1 + 2 * i / (setting.rows - 1) for i in range(setting.rows)), 1)


def smallest(setting: Setting, seed: int) -> dict[str, float]:
    """K min |grad f(W_k)|^2 over L times the fall of the loss."""
    problem = problem_of(setting)
    W, L = problem.start(seed)["W"], problem.facts.L

    def f(W: Tensor) -> Tensor:
        return problem.loss({"W": W}, None)

    start, norms = f(W), [float(grad(f)(W).square().sum())]
    for _ in range(setting.rounds):
        W = W + solve(problem, {"W": W}, torch.eye(len(W), dtype=W.dtype), setting.t / L)
        norms.append(float(grad(f)(W).square().sum()))
    return {"ratio": setting.rounds * min(norms) / (L * float(start - f(W)))}


def constants(setting: Setting) -> dict[str, float]:
    return {"t": setting.t, "m": setting.rows, "r": setting.rows, "gram_defect": 0.0}


def on_the_smallest(**fields) -> Claim:
    """What the claims of this file have in common."""
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "rso C1",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.5,
        "quantity": rso_rates.SMALLEST,
        "measure": per_seed(smallest),
        "estimate": Range("ratio"),
        "bound": rso_rates.smallest_gradient,
        "constants": constants,
        "tau": 1e-6,  # Newton's tolerance is 1e-12 of a gradient, and a saw-tooth has kinks in its slope there
    }
    return Claim(**(common | fields))


BALANCED = Grid((Setting("balanced", 1, t=1.25), Setting("balanced", 1, t=1.5)), seeds=(0,))
CLAIMS = (
    on_the_smallest(
        id="rso.smallest-gradient.attained",
        statement="with a full basis K times the smallest squared gradient is 16/7 of L times the fall on a saw-tooth, for every K",
        plan=Grid((Setting("saw-tooth", 1), Setting("saw-tooth", 6), Setting("saw-tooth", 6, t=0.8)), seeds=(0,)),
        predicted=Outcome.ATTAINED,
    ),
    on_the_smallest(
        id="rso.smallest-gradient",
        statement="with a full basis K times the smallest squared gradient is at most 16/7 of L times the fall, whatever f",
        plan=Grid(
            (
                Setting("indefinite", 1),
                Setting("indefinite", 8),
                Setting("indefinite", 3, t=0.9),
                Setting("nonconvex", 1),
                Setting("nonconvex", 10),
            ),
            seeds=tuple(range(12)),
            chunk=12,
        ),
        predicted=Outcome.HOLDS,
    ),
    on_the_smallest(
        id="rso.smallest-gradient.long",
        statement="for 1 <= t <= sqrt 3 it is 4 / (t (4 - t^2)), attained by one round at the curvatures +L and -L",
        cost_s=0.1,
        plan=BALANCED,
        bound=rso_rates.smallest_gradient_long,
        predicted=Outcome.ATTAINED,
    ),
    on_the_smallest(
        id="rso.smallest-gradient.short-form",
        theorems=("rso_smallest_gradient",),
        statement="the formula of t <= 1 holds beyond t = 1 too",
        source="not a theorem: the bound for t <= 1 with that condition left out, to be tested",
        cost_s=0.0,
        plan=BALANCED,
        bound=None,
        constants=None,
        limit=lambda setting: 4 / (setting.t * (4 - setting.t)),
        predicted=Outcome.VIOLATED,
        subject="rso.smallest-gradient.long",
    ),
)
