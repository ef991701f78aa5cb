"""Question: on convex functions, how good is the last iterate of gradient descent, and up to which step length?

Claims: gradient-descent.convex-loss.attained    f(w_K) - f_star = L R^2 / (4 K t + 2) on a Huber function, t up to 3/2, for every K
        gradient-descent.convex-loss             at most that on logistic and softmax regression and on quadratics
        gradient-descent.convex-loss.textbook    at most R^2 / (2 K lr), for t <= 1 (more than twice as large)
        gradient-descent.convex-gradient         |grad f(w_K)|^2 <= L^2 R^2 / (K t + 1)^2 there
        gradient-descent.convex-gradient.attained    ... met by the Huber function that ends at its bend
        gradient-descent.convex-loss.long        the loss bound at t = 1.6 after one step: broken by the quadratic
        gradient-descent.convex-loss.conjecture  the conjectured form for 1 < t < 2, over Huber functions, quadratics and regressions
        gradient-descent.convex-loss.maximum     a start at the maximum of 1 - cos: not convex, and the loss stays 2
Proof:  proofs/proof_gradient_descent_convex.py
Cost:   3 s on one CPU core
Run:    sandbox check gradient-descent.convex-loss gradient-descent.convex-gradient

t = lr L. R is the distance from the start to the minimiser; of the regressions it is found by Newton's method. Losses are divided
by R^2, in which the bounds are linear. All predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from functools import cache, cached_property
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
from sandbox.problems.spectra import log_spaced
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import gradient_descent_convex as convex
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Huber:
    """L = 1: |w|^2 / 2 up to |w| = slope, and slope |w| - slope^2 / 2 beyond, from w = 1."""

    slope: float

    @property
    def facts(self) -> Facts:
        return Facts(L=1.0, f_star=0.0)

    @property
    def best(self) -> Tensor:
        return torch.zeros(1, dtype=torch.float64)

    def start(self, seed: int) -> Params:
        return {"w": torch.ones(1, dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        size = params["w"].abs()
        return torch.where(size < self.slope, size**2 / 2, self.slope * size - self.slope**2 / 2).sum()


@dataclass(frozen=True)
class Regression:
    """Softmax regression with `classes` classes (2: logistic) of labels that no plane separates: a finite minimiser.

    f(W) = mean over samples of -log softmax(W x)_label + 1e-3 |W|^2 / 2, the last class at logit 0.  |diag(p) - p p^T| <= 1/2, and
    1/4 for two classes of which one is fixed: L = share lam_max(X^T X / n) + 1e-3.
    """

    classes: int
    samples: int = 60
    features: int = 4
    ridge: float = 1e-3

    def __post_init__(self) -> None:
        _ = self.data, self.best  # made here, because vmap refuses random draws

    @cached_property
    def data(self) -> tuple[Tensor, Tensor]:
        rng = generator(77, self.classes)
        return normal((self.samples, self.features), rng), torch.randint(0, self.classes, (self.samples,), generator=rng)

    @cached_property
    def facts(self) -> Facts:
        X, _ = self.data
        largest = float(torch.linalg.eigvalsh(X.T @ X / self.samples)[-1])
        share = 0.25 if self.classes == 2 else 0.5
        return Facts(L=share * largest + self.ridge, mu=self.ridge, f_star=float(self.loss({"w": self.best}, None)))

    @cached_property
    def best(self) -> Tensor:
        w, f = torch.zeros((self.classes - 1) * self.features, dtype=torch.float64), lambda w: self.loss({"w": w}, None)
        for _ in range(30):  # Newton from 0 on a mild problem; the last steps are rounding
            w = w - torch.linalg.solve(hessian(f)(w), grad(f)(w))
        return w

    def start(self, seed: int) -> Params:
        return {"w": 2.0 * normal(((self.classes - 1) * self.features,), generator(78, seed))}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        X, labels = self.data
        logits = X @ params["w"].reshape(self.classes - 1, self.features).T
        logits = torch.cat([logits, torch.zeros_like(logits[:, :1])], 1)
        fit = (logits.logsumexp(1) - logits.gather(1, labels[:, None])[:, 0]).mean()
        return fit + self.ridge / 2 * params["w"].square().sum()


@dataclass(frozen=True)
class Cosine:
    """1 - cos w, 1-smooth, started at its maximum pi, at the distance pi of its minimiser."""

    @property
    def facts(self) -> Facts:
        return Facts(L=1.0, f_star=0.0)

    @property
    def best(self) -> Tensor:
        return torch.zeros(1, dtype=torch.float64)

    def start(self, seed: int) -> Params:
        return {"w": torch.full((1,), torch.pi, dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        return (1 - torch.cos(params["w"])).sum()


@dataclass(frozen=True)
class Setting:
    """t: lr L.  steps: K.  slope: of the Huber function."""

    problem: Literal["huber", "quadratic", "logistic", "softmax", "cosine"]
    t: float
    steps: int
    slope: float = 1.0


regression = cache(Regression)  # whose minimiser costs some Newton steps


def problem_of(setting: Setting):
    if setting.problem == "huber":
        return Huber(setting.slope)
    if setting.problem == "quadratic":
        return Quadratic(log_spaced(12, low=1e-4, high=1.0))
    return Cosine() if setting.problem == "cosine" else regression({"logistic": 2, "softmax": 4}[setting.problem])


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Last loss and last squared gradient, over the squared distance of the start."""
    problem = problem_of(setting)
    traces = run_ensemble(problem, GradientDescent(setting.t / problem.facts.L), steps=setting.steps + 1, seeds=seeds)
    rows = []
    for trace in traces:
        (start,) = problem.start(trace.seed).values()
        R2 = float((start - getattr(problem, "best", 0.0)).square().sum())
        rows.append({"loss": float(trace.loss[-1] - problem.facts.f_star) / R2, "gradient": float(trace.grad_norm[-1] ** 2) / R2})
    return rows


def constants(setting: Setting) -> dict[str, float]:
    L = problem_of(setting).facts.L
    return {"L": L, "lr": setting.t / L, "K": setting.steps, "R": 1.0}


def scope(setting: Setting) -> str | None:
    return "1 - cos w is not convex" if setting.problem == "cosine" else None


def huber(t: float, K: int, ends: Literal["straight", "bend"]) -> Setting:
    """The Huber function that the loss bound meets, and the one that the gradient bounds meet: slope 1 / (2 K t + 1), 1 / (K t + 1)."""
    return Setting("huber", t, K, slope=1 / ((2 if ends == "straight" else 1) * K * t + 1))


SEEDS = tuple(range(8))
T_K = tuple((t, K) for t in (0.3, 1.0, 1.41) for K in (1, 6, 30))
REAL = tuple(Setting(problem, t, K) for problem in ("quadratic", "logistic", "softmax") for t in (0.3, 1.0) for K in (3, 30))
LONG = tuple(Setting(problem, 1.4, 30) for problem in ("quadratic", "logistic", "softmax"))
CONJECTURED = tuple(
    Setting(problem, t, K, slope=slope)
    for t in (1.6, 1.9)
    for K in (2, 12)
    for problem, slope in (("huber", 0.02), ("huber", 0.1), ("huber", 1.0), ("logistic", 1.0), ("softmax", 1.0))
)
COMMON = dict(
    known="derived",
    kind="upper",
    tier="quick",
    cost_s=0.4,
    measure=measure,
    source="derived",
    dossier="proofs.md section 2",
    constants=constants,
)
REGRESSIONS = COMMON | {"subject": "gradient-descent.convex-loss"}
ROUNDING = 1e-9  # tau where a bound is met exactly: float64 over 30 steps

CLAIMS = (
    Claim(
        id="gradient-descent.convex-loss.attained",
        statement="A Huber function meets f(w_K) - f_star = L R^2 / (4 K t + 2), for t up to 3/2 and every K.",
        quantity=convex.loss_from_distance.quantity,
        plan=Grid(tuple(huber(t, K, "straight") for t, K in T_K), seeds=(0,)),
        estimate=Range("loss"),
        bound=convex.loss_from_distance,
        tau=ROUNDING,
        predicted=Outcome.ATTAINED,
        **COMMON,
    ),
    Claim(
        id="gradient-descent.convex-gradient.attained",
        statement="The Huber function that ends at its bend meets |grad f(w_K)|^2 = L^2 R^2 / (K t + 1)^2, t up to 3/2 (K = 1: sqrt 2).",
        quantity=convex.gradient_from_distance.quantity,
        plan=Grid(tuple(huber(t, K, "bend") for t, K in T_K), seeds=(0,)),
        estimate=Range("gradient"),
        bound=convex.gradient_from_distance,
        tau=ROUNDING,
        predicted=Outcome.ATTAINED,
        **COMMON,
    ),
    Claim(
        id="gradient-descent.convex-loss",
        statement="On convex problems the last loss is within L R^2 / (4 K t + 2) of its minimum, for t up to 3/2.",
        quantity=convex.loss_from_distance.quantity,
        plan=Grid((*REAL, *LONG, Setting("cosine", 1.0, 30)), seeds=SEEDS, chunk=len(SEEDS)),
        estimate=Range("loss"),
        bound=convex.loss_from_distance,
        scope=scope,
        predicted=Outcome.HOLDS,
        **REGRESSIONS,
    ),
    Claim(
        id="gradient-descent.convex-loss.textbook",
        theorems=("gradient_descent_convex",),
        statement="On convex problems the last loss is within R^2 / (2 K lr) of its minimum, for t <= 1.",
        quantity=convex.textbook_loss.quantity,
        plan=Grid((*REAL, Setting("cosine", 1.0, 30)), seeds=SEEDS, chunk=len(SEEDS)),
        estimate=Range("loss"),
        bound=convex.textbook_loss,
        scope=scope,
        predicted=Outcome.HOLDS,
        **REGRESSIONS | {"known": "recalled", "source": convex.textbook_loss.source},
    ),
    Claim(
        id="gradient-descent.convex-gradient",
        statement="On convex problems the last squared gradient is at most L^2 R^2 / (K t + 1)^2, for t up to 3/2 and K > 1.",
        quantity=convex.gradient_from_distance.quantity,
        plan=Grid((*REAL, *LONG, Setting("cosine", 1.0, 30)), seeds=SEEDS, chunk=len(SEEDS)),
        estimate=Range("gradient"),
        bound=convex.gradient_from_distance,
        scope=scope,
        predicted=Outcome.HOLDS,
        **REGRESSIONS,
    ),
    Claim(
        id="gradient-descent.convex-loss.long",
        theorems=("gradient_descent_convex",),
        statement="L R^2 / (4 K t + 2) bounds the loss after one step for every t below 2.",
        quantity="loss above its minimum after one step",
        plan=Grid(tuple(Setting("huber", t, 1) for t in (1.6, 1.9)), seeds=(0,)),
        estimate=Range("loss"),
        limit=lambda s: 1 / (4 * s.t + 2),
        predicted=Outcome.VIOLATED,
        **{name: value for name, value in COMMON.items() if name != "constants"},
    ),
    Claim(
        id="gradient-descent.convex-loss.conjecture",
        theorems=("gradient_descent_convex",),
        statement="For t < 2 the last loss is at most L R^2 times the larger of 1 / (4 K t + 2) and (1 - t)^2K / 2.",
        quantity=convex.any_loss.quantity,
        plan=Grid(CONJECTURED, seeds=SEEDS, chunk=len(SEEDS)),
        estimate=Range("loss"),
        bound=convex.any_loss,
        tau=ROUNDING,  # the quadratic meets it
        predicted=Outcome.HOLDS,
        **COMMON,
    ),
    Claim(
        id="gradient-descent.convex-loss.maximum",
        theorems=("gradient_descent_convex",),
        statement="Without convexity there is no such bound: from the maximum of 1 - cos w the loss stays 2 for 30 steps, 2 / pi^2 of R^2.",
        quantity="loss above its minimum after 30 steps, over R^2",
        plan=Grid((Setting("cosine", 1.0, 30),), seeds=SEEDS, chunk=len(SEEDS)),
        estimate=Range("loss"),
        limit=2 / torch.pi**2,
        tau=ROUNDING,  # the gradient there is 1e-16, and grows by 2 a step: 2^30 1e-16 = 1e-7 of w, 1e-14 of the loss
        predicted=Outcome.HOLDS,
        **{name: value for name, value in REGRESSIONS.items() if name != "constants"} | {"kind": "equality"},
    ),
)
