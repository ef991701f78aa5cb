"""Question: on smooth functions, how sharp is what gradient descent promises about its gradients, and where does it end?

Claims: gradient-descent.sum.attained        the sum of squared gradients over f(w_0) - inf f, on L |W|^2 / 2, for every K tried
        gradient-descent.sum                 the same on ill-conditioned quadratics and on robust regression
        gradient-descent.least.attained      the least squared gradient, on a zigzag of slopes: short steps
        gradient-descent.least               the same on quadratics and robust regression, short and middle steps
        gradient-descent.least.long          steps beyond sqrt 3 / L: their own form, attained by one step on the quadratic
        gradient-descent.least.any-step      the form for t <= sqrt 3 taken beyond it: broken
        gradient-descent.beyond-two          t = 2.2: the theorem says nothing; the loss grows by (1 - t)^2 = 1.44 a step
        gradient-descent.kink                |w|, which is not smooth: slope 1 for ever
Proof:  proofs/proof_gradient_min.py (least), proofs/proof_gradient_sum_from_gap.py (sum)
Cost:   2 s on one CPU core
Run:    sandbox check gradient-descent.sum gradient-descent.least

t = lr L. Everything is deterministic but the starts, so that every seed must keep the bound, and an attained one is met to rounding.
All predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.base import Facts, Params, Problem
from sandbox.problems.matrix_quadratic import isotropic
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.problems.spectra import log_spaced
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import gradient_descent
from sandbox.theory.base import Bound
from sandbox.verdict import Outcome

ROUNDING = 1e-9  # tau where a bound is met exactly: float64 over some 30 steps


@dataclass(frozen=True)
class Zigzag:
    """L = 1: the slope is 1 at 0, -step, ... -steps * step, falls off with |f''| = 1 between them and to 0 below; 1 above 0."""

    step: float
    steps: int

    @property
    def facts(self) -> Facts:
        return Facts(L=1.0, f_star=-self.steps * (self.step - self.step**2 / 4) - 0.5)

    def start(self, seed: int) -> Params:
        return {"w": torch.zeros(1, dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        w = params["w"]
        n = torch.round(-w / self.step).clamp(0, self.steps)
        r = w + n * self.step
        return torch.where(w > 0, w, r - r * r.abs() / 2 - n * (self.step - self.step**2 / 4)).sum()


@dataclass(frozen=True)
class Kink:
    """|w| from 1/4, taken for a function with L = 1."""

    @property
    def facts(self) -> Facts:
        return Facts(L=1.0, f_star=0.0)

    def start(self, seed: int) -> Params:
        return {"w": torch.full((1,), 0.25, dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        return params["w"].abs().sum()


@dataclass(frozen=True)
class Setting:
    """t: lr L.  steps: K."""

    problem: Literal["isotropic", "ill-conditioned", "nonconvex", "zigzag", "kink"]
    t: float
    steps: int


def problem_of(setting: Setting) -> Problem:
    if setting.problem == "zigzag":
        return Zigzag(setting.t, setting.steps)
    if setting.problem == "nonconvex":
        return SmoothNonconvex(6, 2, samples=24)
    if setting.problem == "ill-conditioned":
        return Quadratic(log_spaced(12, low=1e-3, high=2.0))
    return Kink() if setting.problem == "kink" else isotropic(2.0, 4, 2)


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Sum and least of the squared gradients over the gap and over the decrease; growth: of the loss, per step, over all of them."""
    problem = problem_of(setting)
    traces = run_ensemble(problem, GradientDescent(setting.t / problem.facts.L), steps=setting.steps + 1, seeds=seeds)
    return [numbers(trace.loss, trace.grad_norm**2, problem.facts.f_star) for trace in traces]


def numbers(loss: np.ndarray, squares: np.ndarray, lowest: float) -> dict[str, float]:
    gap, decrease = loss[0] - lowest, loss[0] - loss[-1]
    return {
        "sum": float(squares[:-1].sum() / gap),
        "sum over decrease": float(squares[:-1].sum() / decrease) if decrease > 0 else float("inf"),
        "least": float(squares.min() / gap),
        "least over decrease": float(squares.min() / decrease) if decrease > 0 else float("inf"),
        "growth": float((loss[-1] / loss[0]) ** (1 / (len(loss) - 1))) if min(loss[0], loss[-1]) > 0 else 0.0,
        "smallest": float(squares.min()),
    }


def constants(setting: Setting) -> dict[str, float]:
    L = problem_of(setting).facts.L
    return {"L": L, "lr": setting.t / L, "K": setting.steps}


def of_decrease(setting: Setting) -> dict[str, float]:
    L = problem_of(setting).facts.L
    return {"L": L, "lr": setting.t / L}


def from_gap(setting: Setting) -> dict[str, float]:
    """The rows are divided by f(w_0) - inf f, in which the bounds are linear."""
    return {**constants(setting), "Delta0": 1.0}


def scope(setting: Setting) -> str | None:
    return "|w| has a kink: there is no L" if setting.problem == "kink" else None


SEEDS = tuple(range(8))
grid = partial(Grid, seeds=SEEDS, chunk=len(SEEDS))
FORMS = tuple(Setting(problem, t, 20) for problem in ("ill-conditioned", "nonconvex") for t in (0.3, 1.0, 1.6))
LONG = tuple(Setting(problem, 1.9, 6) for problem in ("ill-conditioned", "nonconvex"))
KINK = Setting("kink", 0.5, 40)
KNOWN = {
    gradient_descent.gradient_sum_from_gap.name: from_gap,
    gradient_descent.gradient_min_from_gap.name: from_gap,
    gradient_descent.gradient_sum.name: of_decrease,
    gradient_descent.gradient_min_long.name: constants,
}
ON_ISOTROPIC = grid(tuple(Setting("isotropic", t, K) for t in (0.3, 1.7) for K in (1, 4, 15)))


def on_smooth(bound: Bound | None = None, **fields) -> Claim:
    """What the claims of this file have in common. The rows are divided by the gap or by the decrease, and so are the bounds."""
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "proofs.md section 2",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.3,
        "measure": measure,
        "predicted": Outcome.HOLDS,
    }
    if bound is not None:
        common |= {"bound": bound, "quantity": bound.quantity, "constants": KNOWN[bound.name]}
    return Claim(**(common | fields))


CLAIMS = (
    on_smooth(
        gradient_descent.gradient_sum_from_gap,
        id="gradient-descent.sum.attained",
        statement="On L |W|^2 / 2 the squared gradients sum exactly to the bound by f(w_0) - inf f, for every number of steps.",
        plan=ON_ISOTROPIC,
        estimate=Range("sum"),
        tau=ROUNDING,
        predicted=Outcome.ATTAINED,
    ),
    on_smooth(
        gradient_descent.gradient_sum_from_gap,
        id="gradient-descent.sum",
        statement="The squared gradients sum to at most the bound by f(w_0) - inf f, whatever the smooth function.",
        plan=grid((*FORMS, *LONG, KINK)),
        estimate=Range("sum"),
        scope=scope,
        subject="gradient-descent.sum",
    ),
    on_smooth(
        gradient_descent.gradient_sum,
        id="gradient-descent.sum-of-decrease.attained",
        statement="On L |W|^2 / 2 the squared gradients are 2 / (lr (2 - lr L)) of the decrease, for every number of steps.",
        plan=ON_ISOTROPIC,
        estimate=Range("sum over decrease"),
        tau=ROUNDING,
        predicted=Outcome.ATTAINED,
        subject="gradient-descent.sum.attained",
        cost_s=0.0,
    ),
    on_smooth(
        gradient_descent.gradient_sum,
        id="gradient-descent.sum-of-decrease",
        statement="The squared gradients are at most 2 / (lr (2 - lr L)) of the decrease, whatever the smooth function.",
        plan=grid((*FORMS, *LONG, KINK)),
        estimate=Range("sum over decrease"),
        scope=scope,
        subject="gradient-descent.sum",
        cost_s=0.0,
    ),
    on_smooth(
        gradient_descent.gradient_min_from_gap,
        id="gradient-descent.least.attained",
        statement="On a zigzag of slopes no iterate has a smaller gradient than the bound by f(w_0) - inf f allows.",
        plan=Grid(tuple(Setting("zigzag", t, K) for t in (0.25, 1.0) for K in (1, 5, 20)), seeds=(0,)),
        estimate=Range("least"),
        tau=1e-6,  # the iterates sit on kinks of the slope, which rounding shifts by 1e-15
        predicted=Outcome.ATTAINED,
    ),
    on_smooth(
        gradient_descent.gradient_min_from_gap,
        id="gradient-descent.least",
        statement="The least squared gradient of K + 1 iterates is at most 4 L gap / (K t min(4 - t, 4 - t^2) + 2) for t <= sqrt 3.",
        plan=grid((*FORMS, KINK)),
        estimate=Range("least"),
        scope=scope,
        subject="gradient-descent.sum",
    ),
    on_smooth(
        gradient_descent.gradient_min_long,
        id="gradient-descent.least.long",
        statement="Beyond sqrt 3 / L a step on L |W|^2 / 2 leaves 2 L (t - 1)^2 / (t (2 - t)) of its decrease as squared gradient.",
        dossier="new",
        plan=grid(tuple(Setting("isotropic", t, 1) for t in (1.75, 1.95))),
        estimate=Range("least over decrease"),
        tau=ROUNDING,
        predicted=Outcome.ATTAINED,
    ),
    on_smooth(
        id="gradient-descent.least.any-step",
        theorems=("gradient_min",),
        statement="4 L / (t (4 - t^2)) per unit of decrease bounds the least squared gradient for every step length below 2 / L.",
        quantity="least squared gradient norm of two iterates over the decrease of the loss",
        plan=grid(tuple(Setting("isotropic", t, 1) for t in (1.8, 1.9))),
        estimate=Range("least over decrease"),
        limit=lambda s: 4 * 2.0 / (s.t * (4 - s.t**2)),
        predicted=Outcome.VIOLATED,
    ),
    on_smooth(
        id="gradient-descent.beyond-two",
        theorems=("gradient_sum_from_gap",),
        statement="At t = 2.2 gradient descent on L |W|^2 / 2 multiplies the loss by (1 - t)^2 = 1.44 at every step.",
        dossier="new",
        quantity="loss factor per step",
        plan=grid((Setting("isotropic", 2.2, 15),)),
        estimate=Range("growth"),
        limit=lambda s: (1 - s.t) ** 2,
        tau=ROUNDING,
        kind="equality",
    ),
    on_smooth(
        id="gradient-descent.kink",
        theorems=("gradient_sum", "gradient_sum_from_gap"),
        statement="On |w| with lr = 1/2 gradient descent keeps the squared gradient 1 for ever.",
        dossier="new",
        quantity="least squared gradient norm of 41 iterates",
        plan=grid((KINK,)),
        estimate=Range("smallest"),
        limit=1.0,
        subject="gradient-descent.sum",
        kind="equality",
    ),
)
