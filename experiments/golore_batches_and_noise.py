"""Question: how large must a batch be before GaLore no longer stalls, and does the law of the noise matter?

Claims: there is no such size: every odd batch stalls, the later the larger; no even batch does, and the larger the
        slower; with normal noise there is no stall, but 1 / |grad f| grows linearly only
Proof:  proofs/proof_projection_stall.py and proofs/proof_projection_i3s.py; the laws of batches are derived below
Cost:   about 8 s on one core
Run:    sandbox check galore.counterexample.odd-batch galore.counterexample.even-batch galore.counterexample.normal-noise

The problem of golore_counterexample.py: GaLore's basis, new at every step, holds the directions of the r largest
singular values of blockdiag(X_11, (mean xi) sigma I_r), X_11 (n-r, n-r) starting at (sigma/2) I, |grad f|^2 = |X_11|^2.

Batches of b: mean xi is a multiple of 1/b, odd multiples for odd b, and it competes with the singular values s of X_11.
A refresh moves those of the r largest that exceed |mean xi| sigma, by the factor 1 - lr. Odd b: |mean xi| >= 1/b, so
all end at sigma/2 (1-lr)^j, the first of these below sigma/b. Even b: below 2 sigma/b only mean xi = 0 moves anything,
with the probability p = binom(b, b/2) / 2^b; then r of the n-r values in turn, so a refresh lowers log |grad f|^2 by
2 p r/(n-r) log 1/(1-lr): the larger an even batch, the slower.

Normal xi: a value s among the r largest moves with the probability P(|xi| sigma < s) = sqrt(2/pi) s / sigma for small
s, and 1/s then grows by lr / ((1-lr) s): the mean of 1/s grows by  r/(n-r) sqrt(2/pi) lr / ((1-lr) sigma)  a refresh,
so |grad f|^2 ~ 1/k^2, neither a stall nor a linear rate.

The predictions were committed before the first run. The three laws were known from an own earlier study at other
settings, where normal noise gave 0.049 and 0.195 against predicted 0.056 and 0.224, of another mean of s; the value of
odd-batch to the last digit and the mean of 1/s, for which the law is exact at small s, are new.
Changed after a first run: normal-noise ran 400 steps at lr 0.1 and 0.2 with the seeds 0 to 255, and held; but its
standard error of 3 % at 0.2 could not stand the correction for many claims, so it runs at 0.05 and 0.1, with 512 fresh
seeds and 240 steps. Prediction and tau are the same.
"""

from dataclasses import dataclass, replace
from math import comb, log
from typing import Literal

import torch
from torch import Tensor

from sandbox.fit import Mean, Range
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.golore_counterexample import GoLoreCounterexample
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import projections_golore as golore
from sandbox.verdict import Outcome

SOURCE = "derived, for the problem in the script of the authors of GoLore with B = 0; https://arxiv.org/abs/2410.11289"
PROBLEM = GoLoreCounterexample()


@dataclass(frozen=True)
class Noise:
    """GaLore with gradient descent and a new basis at every step.  batch: b, of xi.  law: of xi."""

    batch: int
    lr: float
    steps: int
    law: Literal["rademacher", "gaussian"] = "rademacher"


def singular_values(X: Tensor) -> Tensor:
    """(..., n - r) singular values of X_11, which is all that f depends on while X_12 = 0."""
    k = PROBLEM.n - PROBLEM.rank
    return torch.linalg.svdvals(X[..., :k, :k])


def shrink(setting: Noise, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Per seed: |grad f|^2 after the last step; the fall of its logarithm per step, and the growth of the mean of 1 / s
    over singular values, both over the second half.
    """
    problem, half = replace(PROBLEM, batch_size=setting.batch, law=setting.law), setting.steps // 2

    def look(k: int, params: dict[str, Tensor]) -> dict[str, Tensor] | None:
        s = singular_values(params["X"])
        return {"gradient2": s.square().sum(-1), "inverse": (1 / s).mean(-1)} if k in (half, setting.steps) else None

    rule = GaLore(GradientDescent(setting.lr), PROBLEM.rank, update_gap=1, scale=1.0)
    traces = run_ensemble(problem, rule, steps=setting.steps, seeds=seeds, watch=look)
    ends = [(trace.watched[half], trace.watched[setting.steps]) for trace in traces]
    return [
        {
            "last": float(b["gradient2"]),
            "fall": log(float(a["gradient2"]) / float(b["gradient2"])) / (setting.steps - half),
            "growth": float(b["inverse"] - a["inverse"]) / (setting.steps - half),
        }
        for a, b in ends
    ]


def odd_batch_stall(setting: Noise) -> float:
    """(n-r) s^2 for the first s = sigma/2 (1-lr)^j below sigma / b."""
    s = PROBLEM.sigma / 2
    while s > PROBLEM.sigma / setting.batch:
        s *= 1 - setting.lr
    return (PROBLEM.n - PROBLEM.rank) * s**2


def even_batch_fall(setting: Noise) -> float:
    n, r, b = PROBLEM.n, PROBLEM.rank, setting.batch
    return 2 * comb(b, b // 2) / 2**b * r / (n - r) * -log(1 - setting.lr)


def normal_constants(setting: Noise) -> dict[str, float]:
    """A basis is kept for one step, so it moves a singular value by lr."""
    return {"n": PROBLEM.n, "r": PROBLEM.rank, "sigma": PROBLEM.sigma, "move": setting.lr}


CLAIMS = (
    Claim(
        id="galore.counterexample.odd-batch",
        theorems=("projection_stall",),
        statement="with batches of odd size b GaLore stalls below (n-r) sigma^2 / b^2, at the first value of its path",
        source=SOURCE,
        known="derived",
        dossier="rso C12",
        kind="equality",
        tier="quick",
        cost_s=2.0,
        quantity="squared gradient norm of f after the last step",
        plan=Grid((Noise(3, 0.1, 200), Noise(15, 0.1, 500), Noise(51, 0.1, 900)), tuple(range(8)), 8),
        measure=shrink,
        estimate=Range("last"),
        predicted=Outcome.HOLDS,
        limit=odd_batch_stall,
        tau=1e-9,  # roundings, 1e-16 a step
    ),
    Claim(
        id="galore.counterexample.even-batch",
        theorems=("projection_stall",),
        statement="with batches of even size GaLore converges linearly, the slower the larger the batch",
        source=SOURCE,
        known="derived",
        dossier="rso C12",
        kind="equality",
        tier="quick",
        cost_s=3.0,
        quantity="fall of the logarithm of the squared gradient norm per refresh",
        plan=Grid((Noise(2, 0.1, 300), Noise(16, 0.1, 500)), tuple(range(96)), 96),
        measure=shrink,
        estimate=Mean("fall"),
        predicted=Outcome.HOLDS,
        limit=even_batch_fall,
        tau=0.1,  # moves are binomial: sqrt((1 - p) / (96 x 250 p)) = 1.3 % at b = 16; ends of a turn, below 1 %
    ),
    Claim(
        id="galore.counterexample.normal-noise",
        theorems=("projection_stall",),
        statement="with normal noise GaLore does not stall: the inverse singular values of the gradient grow linearly",
        source=SOURCE,
        known="derived",
        dossier="rso C13",
        kind="equality",
        tier="quick",
        cost_s=3.0,
        quantity="growth of the mean inverse singular value of the gradient per refresh",
        plan=Grid((Noise(1, 0.05, 240, "gaussian"), Noise(1, 0.1, 240, "gaussian")), tuple(range(1000, 1512)), 512),
        measure=shrink,
        estimate=Mean("growth"),
        predicted=Outcome.HOLDS,
        bound=golore.galore_normal_growth,
        constants=normal_constants,
        tau=0.1,  # moves are rare, once in about 12 refreshes at 1/s = 15, and large: a seed spreads by 20 to 30 %, 512 by 1.4 %
    ),
)
