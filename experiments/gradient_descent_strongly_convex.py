"""Question: by which factor does a step of gradient descent shrink the loss and the distance on strongly convex functions?

Claims: gradient-descent.loss-factor.attained      max((1 - lr mu)^2, (1 - lr L)^2), along one end of a quadratic's spectrum
        gradient-descent.loss-factor               at most that on rotated quadratics and on logistic regression with a ridge
        gradient-descent.loss-factor.nonconvex     ... with the curvature at the minimum for mu, far away on a nonconvex function: no
        gradient-descent.distance-factor.attained  max(1 - lr mu, lr L - 1), along one end
        gradient-descent.distance-factor           at most that on the same functions
        gradient-descent.distance-factor.beyond    lr L = 2.2: the theorem says nothing; the distance grows by 1.2 a step
        gradient-descent.best-distance.attained    (L - mu) / (L + mu) at lr = 2 / (L + mu), along both ends
        gradient-descent.best-distance             at most that on the same functions
Proof:  proofs/proof_gradient_descent_factor.py
Cost:   1 s on one CPU core
Run:    sandbox check gradient-descent.loss-factor gradient-descent.distance-factor gradient-descent.best-distance

t = lr L. A factor is the largest of the run. Everything is deterministic but the starts, so that every seed must keep the bound. All
predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Literal

import torch
from torch import Tensor
from torch.func import grad, hessian

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.base import Facts, Params
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.problems.spectra import log_spaced
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import gradient_descent
from sandbox.verdict import Outcome

ROUNDING = 1e-9  # tau where a bound is met exactly: float64 over ten steps
SPECTRUM = log_spaced(8, low=0.2, high=2.0)  # at condition 10 either end is the slower one for some t < 2
BEST = 2 / (1 + SPECTRUM[0] / SPECTRUM[-1])  # t of the best step


@dataclass(frozen=True)
class AlongAnAxis:
    """The quadratic of SPECTRUM on the axes, started along one of them."""

    axis: int

    @property
    def whole(self) -> Quadratic:
        return Quadratic(SPECTRUM, basis="axes")

    @property
    def facts(self) -> Facts:
        return self.whole.facts

    def start(self, seed: int) -> Params:
        return {"x": torch.eye(len(SPECTRUM), dtype=torch.float64)[self.axis] * (1.0 + seed)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        return self.whole.loss(params, None)


@dataclass(frozen=True)
class RidgeRegression:
    """mean log(1 + exp(-y <a, x>)) + mu |x|^2 / 2 over 40 samples in 6 dimensions, labels of a line with noise."""

    mu: float = 0.1

    def __post_init__(self) -> None:
        _ = self.signed, self.best, self.facts  # worked out here, outside of vmap

    @cached_property
    def signed(self) -> Tensor:
        """(40, 6) y a."""
        A = normal((40, 6), generator(83, 0))
        return A * (A[:, :1] + 0.5 * normal((40, 1), generator(83, 1))).sign()

    @cached_property
    def best(self) -> Tensor:
        """The minimiser, by Newton's method."""
        x, f = torch.zeros(6, dtype=torch.float64), lambda x: self.loss({"x": x}, None)
        for _ in range(8):
            x = x - torch.linalg.solve(hessian(f)(x), grad(f)(x))
        return x

    @cached_property
    def facts(self) -> Facts:
        top = float(torch.linalg.eigvalsh(self.signed.T @ self.signed / 40)[-1])
        return Facts(L=self.mu + top / 4, mu=self.mu, f_star=float(self.loss({"x": self.best}, None)))

    def start(self, seed: int) -> Params:
        return {"x": 3 * normal((6,), generator(84, seed))}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        x = params["x"]
        return torch.nn.functional.softplus(-(self.signed @ x)).mean() + self.mu / 2 * x.square().sum()


@dataclass(frozen=True)
class Setting:
    """t: lr L."""

    problem: Literal["flattest", "steepest", "rotated", "ridge", "nonconvex"]
    t: float
    steps: int = 10


FAR = SmoothNonconvex(6, 2, samples=24, start_scale=30.0)


@cache
def problem_of(setting: Setting) -> AlongAnAxis | Quadratic | RidgeRegression | SmoothNonconvex:
    if setting.problem in ("flattest", "steepest"):
        return AlongAnAxis(0 if setting.problem == "flattest" else -1)
    return {"rotated": lambda: Quadratic(SPECTRUM), "ridge": RidgeRegression, "nonconvex": lambda: FAR}[setting.problem]()


def best_step(setting: Setting) -> Setting:
    """The same with t = 2 L / (L + mu)."""
    facts = problem_of(setting).facts
    return Setting(setting.problem, 2 * facts.L / (facts.L + facts.mu), setting.steps)


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """The largest factors of a run: of the loss above its minimum, and of the distance to the minimiser, 0 if not said otherwise."""
    problem, distances = problem_of(setting), []
    best = getattr(problem, "best", 0.0)

    def watch(k: int, params: Params) -> dict[str, Tensor]:
        (w,) = params.values()
        distances.append((w - best).flatten(1).norm(dim=1))
        return {}

    rule = GradientDescent(setting.t / problem.facts.L)
    traces = run_ensemble(problem, rule, steps=setting.steps + 1, seeds=seeds, watch=watch)
    path = torch.stack(distances, 1)[:, : setting.steps + 1]
    rows = []
    for trace, distance in zip(traces, path, strict=True):
        gap = trace.loss - problem.facts.f_star
        rows.append({"loss": float((gap[1:] / gap[:-1]).max()), "distance": float((distance[1:] / distance[:-1]).max())})
    return rows


def ends(setting: Setting) -> dict[str, float]:
    facts = problem_of(setting).facts
    return {"L": facts.L, "mu": facts.mu}


def constants(setting: Setting) -> dict[str, float]:
    return {**ends(setting), "lr": setting.t / problem_of(setting).facts.L}


def curvature_at_the_minimum(setting: Setting) -> float:
    """The loss factor of the nonconvex function with the smallest curvature at its minimiser for mu."""
    mu = float(torch.linalg.eigvalsh(FAR.A_sm.T @ FAR.A_sm)[0])
    return gradient_descent.loss_factor.at(L=FAR.facts.L, mu=mu, lr=setting.t / FAR.facts.L)


grid = partial(Grid, seeds=tuple(range(8)), chunk=8)
AXES = (*(Setting("flattest", t) for t in (0.5, 1.0, 1.7)), Setting("steepest", 1.9))
GENERAL = tuple(Setting(problem, t) for problem in ("rotated", "ridge") for t in (0.5, 1.0, 1.9))
BEYOND = Setting("steepest", 2.2)
claim = partial(
    Claim,
    source="derived",
    known="derived",
    dossier="proofs.md section 2",
    kind="upper",
    tier="quick",
    cost_s=0.2,
    measure=measure,
    subject="gradient-descent.loss-factor",
    tau=ROUNDING,
)
LOSS = dict(quantity=gradient_descent.loss_factor.quantity, estimate=Range("loss"), bound=gradient_descent.loss_factor, constants=constants)
FACTOR = gradient_descent.distance_factor
DISTANCE = dict(quantity=FACTOR.quantity, estimate=Range("distance"), bound=FACTOR, constants=constants)
AT_BEST = DISTANCE | dict(bound=gradient_descent.best_distance_factor, constants=ends)
CLAIMS = (
    claim(
        id="gradient-descent.loss-factor.attained",
        statement="Along the flattest or the steepest axis of a quadratic a step takes exactly max((1 - lr mu)^2, (1 - lr L)^2).",
        plan=grid(AXES),
        predicted=Outcome.ATTAINED,
        **LOSS,
    ),
    claim(
        id="gradient-descent.loss-factor",
        statement="On strongly convex functions no step leaves more than max((1 - lr mu)^2, (1 - lr L)^2) of the loss above its minimum.",
        plan=grid((*GENERAL, BEYOND)),
        predicted=Outcome.HOLDS,
        **LOSS,
    ),
    claim(
        id="gradient-descent.loss-factor.nonconvex",
        theorems=("gradient_descent_factor",),
        statement="Far away on a smooth nonconvex function that factor holds with the smallest curvature at the minimum for mu.",
        plan=grid((Setting("nonconvex", 1.0, 3),)),
        limit=curvature_at_the_minimum,
        predicted=Outcome.VIOLATED,  # slopes fall off with the residuals
        **LOSS | dict(bound=None, constants=None),
    ),
    claim(
        id="gradient-descent.distance-factor.attained",
        statement="Along those axes a step takes exactly max(1 - lr mu, lr L - 1) of the distance.",
        plan=grid(AXES),
        predicted=Outcome.ATTAINED,
        **DISTANCE,
    ),
    claim(
        id="gradient-descent.distance-factor",
        statement="On strongly convex functions no step leaves more than max(1 - lr mu, lr L - 1) of the distance to the minimiser.",
        plan=grid((*GENERAL, BEYOND)),
        predicted=Outcome.HOLDS,
        **DISTANCE,
    ),
    claim(
        id="gradient-descent.distance-factor.beyond",
        theorems=("gradient_descent_factor",),
        statement="At lr L = 2.2 the distance along the steepest axis grows by lr L - 1 = 1.2 a step.",
        plan=grid((BEYOND,)),
        limit=1.2,
        predicted=Outcome.HOLDS,
        **DISTANCE | dict(kind="equality", bound=None, constants=None),
    ),
    claim(
        id="gradient-descent.best-distance.attained",
        statement="At lr = 2 / (L + mu) both ends of a quadratic's spectrum keep (L - mu) / (L + mu) of the distance.",
        plan=grid(tuple(Setting(end, BEST) for end in ("flattest", "steepest"))),
        predicted=Outcome.ATTAINED,
        **AT_BEST,
    ),
    claim(
        id="gradient-descent.best-distance",
        statement="At lr = 2 / (L + mu) no step leaves more than (L - mu) / (L + mu) of the distance.",
        plan=grid(tuple(best_step(Setting(problem, 1.0)) for problem in ("rotated", "ridge"))),
        predicted=Outcome.HOLDS,
        **AT_BEST,
    ),
)
