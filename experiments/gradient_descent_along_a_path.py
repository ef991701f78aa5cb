"""Question: does the guarantee on smooth functions say anything about networks, whose smoothness is known along the path alone?

Claims: gradient-descent.network            on an MLP and on a tiny transformer the squared gradients sum to at most 2 / (lr (2 - lr L))
                                            times the decrease, with L the largest curvature along the steps that were made
        gradient-descent.network.mlp        the same on the MLP alone, asked after the first answer was no, on fresh seeds
        gradient-descent.network.sharp      and to at least half of that at lr L = 1/2
        gradient-descent.network.halved     one step with half that curvature for L: broken
        gradient-descent.network.estimate   twice as many points along the steps change the estimate of L by less than 2 %
Proof:  proofs/proof_gradient_sum.py (its descent lemma needs the curvature along each step only)
Cost:   5 s on one CPU core
Run:    sandbox check gradient-descent.network gradient-descent.network.sharp

The curvature along a step d from w is the largest d^T H(w + s d) d / |d|^2, 0 <= s <= 1, here over 9 points, and over 17 for the last
claim. lr is t over the curvature along the first gradient at the start, which on the transformer is far below what follows: t is small
there (a trial on another seed had lr L = 1.5 at t = 0.2). Everything is in float64 on one batch. The theorem's L is not
known, but any L above that curvature will do, and 2 % are added for what lies between the points. Where lr L is 2 or more the theorem
promises nothing; a run that gets there counts against the claim, because that is not known before it: such a VIOLATED refutes the
use of the theorem on that network, and not the theorem. All predictions were committed
before the first run of these settings. After it the transformer at t = 0.2 was left out, for cost; its peak was as narrow.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import grad, jvp

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.base import Facts, Params, Problem
from sandbox.run import run
from sandbox.theory import gradient_descent
from sandbox.verdict import Outcome

POINTS, BETWEEN = 9, 1.02


@dataclass(frozen=True)
class TinyMLP:
    """Mean squared error of a tanh(W x) on noisy targets: 40 samples, 4 inputs, 8 hidden units."""

    samples: int = 40

    def __post_init__(self) -> None:
        _ = self.data

    @cached_property
    def data(self) -> tuple[Tensor, Tensor]:
        rng = generator(79, 0)
        X = normal((self.samples, 4), rng)
        return X, torch.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * normal((self.samples,), rng)

    @property
    def facts(self) -> Facts:
        return Facts()

    def start(self, seed: int) -> Params:
        rng = generator(79, 1, seed)
        return {"W": normal((8, 4), rng), "a": normal((8,), rng)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        X, y = self.data
        return (torch.tanh(X @ params["W"].T) @ params["a"] - y).square().mean()


@dataclass(frozen=True)
class OneBatch:
    """The inner problem on its batch of step 0, whatever the step."""

    inner: Problem

    @property
    def facts(self) -> Facts:
        return self.inner.facts

    def start(self, seed: int) -> Params:
        return self.inner.start(seed)

    def batch(self, seed: int, step: int) -> Any:
        return self.inner.batch(seed, 0)

    def loss(self, params: Params, batch: Any) -> Tensor:
        return self.inner.loss(params, batch)


@dataclass(frozen=True)
class Setting:
    """t: lr times the curvature along the first gradient."""

    network: Literal["mlp", "transformer"]
    t: float
    steps: int


def problem_of(setting: Setting) -> Problem:
    if setting.network == "mlp":
        return TinyMLP()
    config = GPTConfig(vocab=1, width=8, layers=1, heads=2, context=8)
    return OneBatch(fitted(LanguageProblem(config, tokenizer=Characters(), batch_size=2, dtype="float64")))


def curvature(gradient: Any, w: Params, d: Params) -> float:
    """d^T H d / |d|^2 at w."""
    _, Hd = jvp(gradient, (w,), (d,))
    return float(inner(d, Hd) / inner(d, d))


def inner(a: Params, b: Params) -> Tensor:
    return sum((a[name] * b[name]).sum() for name in a)


def along(gradient: Any, w: Params, d: Params, points: int) -> list[float]:
    """The curvature along d, at equal distances from w to w + d."""
    return [curvature(gradient, {name: w[name] + s / (points - 1) * d[name] for name in w}, d) for s in range(points)]


def measure(setting: Setting, seed: int) -> dict[str, float]:
    """The ratio of the theorem over its bound, with the estimate of L, with half of it; and how much a finer estimate differs."""
    problem, path = problem_of(setting), []
    start, batch = problem.start(seed), problem.batch(seed, 0)
    gradient = grad(lambda p: problem.loss(p, batch))
    lr = setting.t / curvature(gradient, start, gradient(start))
    watch = lambda k, params: path.append({name: w.clone() for name, w in params.items()})  # noqa: E731
    trace = run(problem, GradientDescent(lr), steps=setting.steps, seed=seed, watch=watch)
    curvatures = [along(gradient, w, {n: v[n] - w[n] for n in w}, 2 * POINTS - 1) for w, v in zip(path, path[1:], strict=False)]
    coarse, fine = (max(max(c[::every]) for c in curvatures) for every in (2, 1))
    decrease = float(trace.loss[0] - problem.loss(path[-1], batch))
    ratio = float((trace.grad_norm**2).sum()) / decrease
    return {
        "share": share(ratio, lr, BETWEEN * coarse),
        "halved": share(ratio, lr, coarse / 2),
        "refined": fine / coarse - 1,
        "t": lr * coarse,
    }


def share(ratio: float, lr: float, L: float) -> float:
    """Of the bound; infinite where the step is too long for this L, so that it says nothing."""
    return ratio / gradient_descent.gradient_sum.at(L=L, lr=lr) if lr * L < 2 else float("inf")


SHORT = (Setting("mlp", 0.5, 20), Setting("transformer", 0.1, 8))
ALL = (*SHORT, Setting("mlp", 1.0, 20))
COMMON = dict(known="derived", tier="quick", cost_s=1, source="derived", dossier="proofs.md section 2", measure=per_seed(measure))
NARROW = (
    "on one transformer of three the curvature along a step has a narrow peak, 3.4 / lr where the first one was 0.1 / lr: at the largest "
    "curvature the theorem says nothing; on the MLP 0.87 to 0.95 of the bound for t = 1/2"
)
SHARE = "sum of squared gradient norms over the decrease of the loss, over its bound"
CLAIMS = (
    Claim(
        id="gradient-descent.network",
        theorems=("gradient_sum",),
        statement="On networks the squared gradients sum to at most the bound at the largest curvature along the steps.",
        kind="upper",
        quantity=SHARE,
        plan=Grid(ALL, seeds=(0, 1, 2)),
        estimate=Range("share"),
        limit=1.0,
        predicted=Outcome.HOLDS,
        found=Found(Outcome.VIOLATED, "2026-11-22", NARROW),
        subject="gradient-descent.network",
        **COMMON,
    ),
    Claim(
        id="gradient-descent.network.mlp",
        theorems=("gradient_sum",),
        statement="On an MLP the squared gradients sum to at most the bound at the largest curvature along the steps.",
        kind="upper",
        quantity=SHARE,
        plan=Grid((SHORT[0], ALL[2]), seeds=(10, 11, 12)),
        estimate=Range("share"),
        limit=1.0,
        predicted=Outcome.HOLDS,
        found=Found(
            Outcome.VIOLATED,
            "2026-11-22",
            "at t = 1 one of three seeds meets the curvature 2.9 / lr, beyond the theorem; the others have 0.85 and 0.88 of the bound, "
            "and at t = 1/2 all three 0.92 to 0.95",
        ),
        **COMMON,
    ),
    Claim(
        id="gradient-descent.network.sharp",
        theorems=("gradient_sum",),
        statement="With short steps they sum to at least half of that bound.",
        kind="lower",
        quantity=SHARE,
        plan=Grid(SHORT, seeds=(0, 1, 2)),
        estimate=Range("share"),
        limit=0.5,
        predicted=Outcome.HOLDS,
        found=Found(Outcome.VIOLATED, "2026-11-22", NARROW),
        subject="gradient-descent.network",
        **COMMON,
    ),
    Claim(
        id="gradient-descent.network.halved",
        theorems=("gradient_sum",),
        statement="Half the largest curvature along a step is L enough for it.",
        kind="upper",
        quantity=SHARE,
        plan=Grid((Setting("mlp", 1.0, 1),), seeds=(0, 1, 2)),
        estimate=Range("halved"),
        limit=1.0,
        predicted=Outcome.VIOLATED,
        subject="gradient-descent.network",
        **COMMON,
    ),
    Claim(
        id="gradient-descent.network.estimate",
        statement="Twice as many points along the steps change the largest curvature by less than 2 %.",
        kind="upper",
        quantity="largest curvature at 17 points a step over that at 9, less 1",
        plan=Grid(ALL, seeds=(0, 1, 2)),
        estimate=Range("refined"),
        limit=BETWEEN - 1,
        predicted=Outcome.HOLDS,
        found=Found(Outcome.INCONCLUSIVE, "2026-11-22", "0.1 % on the MLP and on two transformers, 78 % on the third: a narrow peak"),
        subject="gradient-descent.network",
        **COMMON,
    ),
)
