"""Question: what does a finite eps cost a two-point gradient, and where is it best?

Claims: zo.best-eps.attained, zo.best-eps            squared bias + noise is least at the sixth root of the theorem, where it is attained
        zo.best-eps.one-sided, ...triple             a one-sided difference pays three times that at the same eps
        zo.finite-eps.attained, zo.finite-eps        2 L d Delta / K + (eps L d / 2)^2, both parts attained; on robust regression with slack
        zo.finite-eps.kink, zo.finite-eps.kink.left  a kink, smoothed by eps, is no function with L = 1/eps: 0.81 is left for every eps
Proof:  proofs/proof_zeroth_order_best_eps.py proofs/proof_zeroth_order_finite_eps.py
Cost:   under 1 s on one core
Run:    sandbox check zo.best-eps zo.best-eps.one-sided zo.finite-eps zo.finite-eps.kink

Only robust regression is sampled (64 runs of 8 steps, eps = 0.1). For the best eps all of E is a sum: f = c x_1^3 / 6 at 0, d = 2,
directions on four Gauss-Hermite nodes per entry (exact to degree 7; the bias has degree 4), losses with errors of +-s, all
combinations. The kink is |x| + x/10 from x = eps with lr = eps: one step leads to x = -eps/10, where both losses are equal.
Predictions were committed before the first run.
"""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

from sandbox.fit import Range, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import Directions
from sandbox.problems.base import Params, Problem
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import zeroth_order_bias as bias
from sandbox.theory import zeroth_order_rate as rate
from sandbox.verdict import Outcome

DIM = 2


@dataclass(frozen=True)
class NoisyCubic:
    """c x_1^3 / 6 with errors of +-noise in every loss; eps in units of the best one."""

    share: float
    c: float = 2.0
    noise: float = 0.1
    difference: Literal["central", "one-sided"] = "central"

    @property
    def eps(self) -> float:
        return self.share * bias.best_eps.at(d=DIM, n=1, curvature_slope=self.c, loss_variance=self.noise**2)

    def loss(self, params: Params, batch: Tensor) -> Tensor:
        """batch (3,): the errors of the losses at x_1 < 0, = 0 and > 0."""
        x = params["x"][0]
        return self.c * x**3 / 6 + torch.where(x > 0, batch[2], torch.where(x < 0, batch[0], batch[1]))


def measure_error(setting: NoisyCubic, seed: int) -> dict[str, float]:
    """Squared bias, and what errors add to E |ghat|^2; the gradient at 0 is 0."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    grid = list(itertools.product(zip(nodes, weights / weights.sum(), strict=True), repeat=DIM))
    z = torch.tensor([[node for node, _ in point] for point in grid], dtype=torch.float64)
    chance = torch.tensor([[weight for _, weight in point] for point in grid], dtype=torch.float64).prod(1)
    errors = setting.noise * torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3)), dtype=torch.float64)
    oracle, params = TwoPoint(eps=setting.eps, difference=setting.difference), {"x": torch.zeros(DIM, dtype=torch.float64)}

    def ghat(error: Tensor, one: Tensor) -> Tensor:
        return oracle(setting, params, error, ({"x": one},))[1]["x"]

    exact = vmap(lambda one: ghat(torch.zeros(3, dtype=torch.float64), one))(z)
    noisy = vmap(lambda error: vmap(lambda one: ghat(error, one))(z))(errors)
    squared_bias = (chance @ exact).square().sum()
    added = ((noisy - exact).square().sum(2).mean(0) * chance).sum()
    return {"error": float(squared_bias + added)}


def of_cubic(setting: NoisyCubic) -> dict[str, float]:
    return {"d": DIM, "n": 1, "curvature_slope": setting.c, "loss_variance": setting.noise**2}


@dataclass(frozen=True)
class Walk:
    """shape: parabola x^2/2 from 1; still (eps x - x |x|) / 2 from 0; kink |x| + x/10 from eps; regression from its start."""

    shape: Literal["parabola", "still", "kink", "regression"]
    eps: float
    steps: int = 8

    @property
    def problem(self) -> Problem:
        return SmoothNonconvex(6, 1, samples=24) if self.shape == "regression" else self

    @property
    def L(self) -> float:
        return self.problem.facts.L if self.shape == "regression" else 1 / self.eps if self.shape == "kink" else 1.0

    @property
    def dim(self) -> int:
        return 6 if self.shape == "regression" else 1

    def start(self, seed: int) -> Params:
        return {"W": torch.full((1,), {"parabola": 1.0, "still": 0.0, "kink": self.eps}[self.shape], dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        x = params["W"].sum()
        if self.shape == "parabola":
            return x**2 / 2
        return (self.eps * x - x * x.abs()) / 2 if self.shape == "still" else x.abs() + x / 10


def measure_walk(setting: Walk, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Mean and last squared gradient, what the theorem allows at this run's own fall of f, and the share of it."""
    problem, seen = setting.problem, []
    oracle, rule = TwoPoint(eps=setting.eps, directions=Directions("sphere")), GradientDescent(1 / (setting.L * setting.dim))
    watch = lambda k, params: seen.append(params["W"].clone())  # noqa: E731
    run_ensemble(problem, rule, steps=setting.steps, seeds=seeds, oracle=oracle, watch=watch)
    loss = lambda w: problem.loss({"W": w}, None)  # noqa: E731
    squares = torch.stack([vmap(grad(loss))(w).flatten(1).square().sum(1) for w in seen])
    fell = vmap(loss)(seen[0]) - vmap(loss)(seen[-1])
    floor = rate.finite_eps.at(L=setting.L, d=setting.dim, K=1, Delta=0.0, eps=setting.eps)
    price = rate.finite_eps.at(L=setting.L, d=setting.dim, K=setting.steps, Delta=1.0, eps=0.0)
    columns = {"mean": squares[:-1].mean(0), "allowed": price * fell + floor, "last": squares[-1]}
    columns["share"] = columns["mean"] / columns["allowed"]
    return [dict(zip(columns, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]


def unit(setting: Walk) -> dict[str, float]:
    """Constants at which the bound is 1: shares are of what it allows, of both parts together."""
    return {"L": 0.5, "d": 1, "K": 1, "Delta": 1.0, "eps": 0.0}


def kinked(setting: Walk) -> str | None:
    return "|x| has no Lipschitz gradient, whatever eps makes of it" if setting.shape == "kink" else None


def on_eps(**fields) -> Claim:
    """What the claims of this file have in common."""
    common = {"source": "derived", "known": "derived", "kind": "upper", "tier": "quick", "cost_s": 0.1, "predicted": Outcome.HOLDS}
    return Claim(**(common | {"tau": 1e-9} | fields))


def one(*settings, seeds: int = 1) -> Grid:
    return Grid(settings, seeds=tuple(range(seeds)), chunk=seeds)


def on_error(**fields) -> Claim:
    common = {"dossier": "zo Z4", "quantity": bias.least_error.quantity, "measure": per_seed(measure_error), "estimate": Range("error")}
    return on_eps(**(common | {"bound": bias.least_error, "constants": of_cubic, "subject": "zo.best-eps"} | fields))


def on_walks(**fields) -> Claim:
    common = {"dossier": "zo Z6", "quantity": rate.MEAN, "measure": measure_walk, "bound": rate.finite_eps, "constants": unit}
    return on_eps(**(common | {"estimate": Range("share"), "subject": "zo.finite-eps"} | fields))


ONE_SIDED = one(NoisyCubic(1.0, difference="one-sided"))
KINKS = one(Walk("kink", 0.1), Walk("kink", 0.001))

CLAIMS = (
    on_error(
        id="zo.best-eps.attained",
        statement="at eps^6 = d s^2 / (n c^2) squared bias + noise is (3/4) (c d s^2 / n)^(2/3)",
        kind="lower",
        plan=one(NoisyCubic(1.0), NoisyCubic(1.0, c=5.0, noise=0.01)),
        predicted=Outcome.ATTAINED,
    ),
    on_error(
        id="zo.best-eps",
        statement="and no other eps has less",
        kind="lower",
        plan=one(NoisyCubic(0.5), NoisyCubic(0.9), NoisyCubic(1.2), NoisyCubic(3.0)),
    ),
    on_error(
        id="zo.best-eps.one-sided",
        statement="a one-sided difference does as well there",
        plan=ONE_SIDED,
        predicted=Outcome.VIOLATED,
    ),
    on_error(
        id="zo.best-eps.one-sided.triple",
        theorems=("zeroth_order_best_eps",),
        statement="a one-sided difference has four times the noise, two thirds of the least error, so three times the error there",
        kind="equality",
        plan=ONE_SIDED,
        bound=None,
        constants=None,
        limit=lambda s: 3 * bias.least_error.at(**of_cubic(s)),
    ),
    on_walks(
        id="zo.finite-eps.attained",
        statement="one step on x^2 / 2 attains the first part of 2 L d Delta / K + (eps L d / 2)^2, (eps x - x |x|) / 2 the second",
        plan=one(Walk("parabola", 1e-5, steps=1), Walk("still", 0.5)),
        predicted=Outcome.ATTAINED,
        tau=1e-6,  # a slope over eps = 1e-5 is exact to 1e-11
    ),
    on_walks(
        id="zo.finite-eps",
        statement="central differences over any eps on the sphere have mean squared gradients within it, on robust regression too",
        plan=Grid((Walk("regression", 0.1), Walk("kink", 0.1)), seeds=tuple(range(64)), chunk=64),
        estimate=RatioOfMeans("mean", "allowed"),
        scope=kinked,
        tau=0.01,
    ),
    on_walks(
        id="zo.finite-eps.kink",
        statement="... and where eps smooths a kink to L = 1/eps",
        plan=KINKS,
        predicted=Outcome.VIOLATED,
    ),
    on_walks(
        id="zo.finite-eps.kink.left",
        theorems=("zeroth_order_finite_eps",),
        statement="beside the kink of |x| + x/10 the losses are equal where f' = -0.9: 0.81 is left of |f'|^2, whatever eps is",
        kind="equality",
        plan=KINKS,
        quantity="last squared gradient",
        estimate=Range("last"),
        bound=None,
        constants=None,
        limit=0.81,
    ),
)
