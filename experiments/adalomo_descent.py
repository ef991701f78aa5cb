"""Question: what does AdaLomo's convergence rest on, and where does a constant learning rate end?

Claims: adalomo.descent                   mean |gradient| <= (Delta0 / (K step) + L step / 2) / rho, rho the least cosine of the run
        adalomo.descent.attained          ... which L |w|^2 / 2 attains from equal magnitudes
        adalomo.descent.no-angle          ... also with rho = 1 whatever the angle: yes on one quadratic, against the prediction
        adalomo.descent.no-angle.short    ... also with rho = 1 for short steps: no
        adalomo.noise-floor               with noise the loss ends at tau (tau h + sqrt(tau^2 h^2 + 16 sigma^2)) / 16
        adalomo.noise-floor.noise-alone   ... or at the floor with the variance of the noise in the second moment: no, at large steps
        adalomo.noise-floor.memoryless    ... also without memory: no
        adalomo.noise-floor.cycle         without noise, from half a step, it ends at tau^2 h / 8 for ever
Proof:  proofs/proof_adalomo_descent.py
Cost:   3 s on one CPU core
Run:    sandbox check adalomo.descent adalomo.noise-floor

The floor is proven in proofs/proof_adalomo_floor.py for a second moment at its stationary mean. Here it is AdaLomo's own,
the plain mean of all steps so far (decay_rate = -1) or its default. Steps are not scaled by the weight
(parameter_scale="off"), so that tau = lr; memoryless ones (decay_rate = 0) have the length lr sqrt(entries).
"""

from dataclasses import dataclass
from typing import Literal

import torch

from sandbox.draws import generator, normal
from sandbox.fit import Mean, Range
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.problems.base import Problem
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.problems.spectra import log_spaced
from sandbox.theory import adalomo_descent
from sandbox.verdict import Outcome

ROUNDING = 1e-10  # float64: some hundred steps


@dataclass(frozen=True)
class Descent:
    problem: Literal["isotropic", "rotated", "nonconvex"]
    lr: float
    d: int = 10
    steps: int = 40


def problem_of(setting: Descent) -> Problem:
    return {
        "isotropic": lambda: Quadratic((2.0,) * setting.d),
        "rotated": lambda: Quadratic(log_spaced(setting.d, low=1e-2, high=1.0)),
        "nonconvex": lambda: SmoothNonconvex(setting.d),
    }[setting.problem]()


def descend(setting: Descent, seed: int) -> dict[str, float]:
    """The mean gradient norm, over the bound with the least cosine of the run and over that with rho = 1."""
    problem, rule = problem_of(setting), AdaLomo(setting.lr, decay_rate=0.0, parameter_scale="off")
    (name, w), *_ = problem.start(seed).items()
    w = w.sign() if setting.problem == "isotropic" else w.flatten()
    loss = lambda w: problem.loss({name: w.view(problem.start(seed)[name].shape)}, None)  # noqa: E731
    first, state, norms, cosines = float(loss(w)), rule.init(w), [], []
    for _ in range(setting.steps):
        g = torch.func.grad(loss)(w)
        delta, state = rule.step(g, state, w)
        w = w + delta
        norms.append(float(g.norm()))
        cosines.append(float(-(g * delta).sum() / (g.norm() * delta.norm())))
    at = {"L": problem.facts.L, "Delta0": max(0.0, first - float(loss(w))), "K": setting.steps, "step": setting.lr * setting.d**0.5}
    mean = sum(norms) / len(norms)
    bounds = (adalomo_descent.descent.at(**at, rho=rho) for rho in (min(1.0, min(cosines)), 1.0))
    return dict(zip(("ratio", "without"), (mean / bound for bound in bounds), strict=True))


@dataclass(frozen=True)
class Floor:
    """h w^2 / 2 in each of d coordinates, whose gradients have Gaussian noise of standard deviation sigma."""

    tau: float
    h: float
    sigma: float
    decay_rate: float = -1.0
    d: int = 40
    steps: int = 1500


def last_losses(setting: Floor, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Mean loss of a coordinate over the second half of the run; without noise all start at half a step, else at 0."""
    rule = AdaLomo(setting.tau, decay_rate=setting.decay_rate, parameter_scale="off", clip_threshold=1e30)
    rngs, total = [generator(seed) for seed in seeds], torch.zeros(len(seeds), dtype=torch.float64)
    w = torch.full((len(seeds) * setting.d,), 0.0 if setting.sigma else setting.tau / 2, dtype=torch.float64)
    state = rule.init(w)
    for k in range(setting.steps):
        total += (setting.h * w.square() / 2).view(len(seeds), -1).mean(1) * (2 * k >= setting.steps)
        noise = setting.sigma * torch.cat([normal((setting.d,), rng) for rng in rngs])
        delta, state = rule.step(setting.h * w + noise, state, w)  # entrywise, so all seeds are one vector
        w = w + delta
    return [{"loss": float(x) / (setting.steps / 2)} for x in total]


def floor_constants(setting: Floor) -> dict[str, float]:
    return {"tau": setting.tau, "h": setting.h, "sigma": setting.sigma}


ANY = tuple(Descent(problem, lr) for problem in ("rotated", "nonconvex") for lr in (0.01, 0.1))
ATTAINED = (Descent("isotropic", 0.02), Descent("isotropic", 0.02, d=1))
NOISY = (Floor(0.1, 1.0, 1.0), Floor(1.0, 2.0, 1.0), Floor(0.1, 1.0, 1.0, decay_rate=-0.8))
QUICK = dict(source="derived", known="derived", tier="quick", cost_s=0.5)
DESCENT = QUICK | dict(dossier="lomo T13", kind="upper", measure=per_seed(descend), limit=1.0)
FLOOR = QUICK | dict(
    dossier="lomo T16", kind="equality", quantity=adalomo_descent.floor.quantity, measure=last_losses, estimate=Mean("loss")
)
SEEDS = tuple(range(12))
CLAIMS = (
    Claim(
        id="adalomo.descent",
        theorems=("adalomo_descent",),
        statement="The mean gradient norm of steps of one length stays below (Delta0 / (K step) + L step / 2) / rho.",
        quantity="mean gradient norm over its bound, rho the least cosine of the run",
        plan=Grid(ANY, seeds=(0, 1)),
        estimate=Range("ratio"),
        predicted=Outcome.HOLDS,
        tau=ROUNDING,
        **DESCENT,
    ),
    Claim(
        id="adalomo.descent.attained",
        theorems=("adalomo_descent",),
        statement="L |w|^2 / 2 attains it from equal magnitudes, where the step follows the gradient.",
        quantity="mean gradient norm over its bound, rho the least cosine of the run",
        plan=Grid(ATTAINED, seeds=(0, 1)),
        estimate=Range("ratio"),
        predicted=Outcome.ATTAINED,
        tau=ROUNDING,
        **DESCENT,
    ),
    Claim(
        id="adalomo.descent.no-angle",
        theorems=("adalomo_descent",),
        statement="The bound survives with rho = 1, whatever the angle between step and gradient.",
        quantity="mean gradient norm over its bound with rho = 1",
        plan=Grid((Descent("rotated", 0.1),), seeds=(0, 1)),
        estimate=Range("without"),
        predicted=Outcome.VIOLATED,
        found=Found(
            Outcome.HOLDS,
            "2026-11-22",
            "0.91: at this length the floor L step / 2 pays for the angle; at a shorter one it does not",
        ),
        **DESCENT,
    ),
    Claim(
        id="adalomo.descent.no-angle.short",
        theorems=("adalomo_descent",),
        statement="It survives with rho = 1 for short steps on a nonconvex function, too.",
        quantity="mean gradient norm over its bound with rho = 1",
        plan=Grid((Descent("nonconvex", 0.01),), seeds=(2, 3)),
        estimate=Range("without"),
        predicted=Outcome.VIOLATED,  # added after adalomo.descent.no-angle had held, and after 1.30 in a trial of three entries
        **DESCENT,
    ),
    Claim(
        id="adalomo.noise-floor",
        statement="At a constant rate the loss of a coordinate ends at tau (tau h + sqrt(tau^2 h^2 + 16 sigma^2)) / 16.",
        plan=Grid(NOISY, seeds=SEEDS, chunk=len(SEEDS)),
        bound=adalomo_descent.floor,
        constants=floor_constants,
        predicted=Outcome.HOLDS,
        tau=0.05,  # v fluctuates by sqrt(2 / N), N >= 450 from the middle on: squared, some 0.5 %; correlated losses leave 2 %
        **FLOOR,
    ),
    Claim(
        id="adalomo.noise-floor.noise-alone",
        statement="It ends at the floor with the variance of the noise alone in the second moment, at large steps, too.",
        plan=Grid((Floor(1.0, 1.5, 1.0),), seeds=SEEDS, chunk=len(SEEDS)),
        bound=adalomo_descent.noise_dominated_floor,
        constants=floor_constants,
        predicted=Outcome.VIOLATED,  # 1.0 against 0.361
        tau=0.05,
        **FLOOR,
    ),
    Claim(
        id="adalomo.noise-floor.memoryless",
        statement="The floor survives without memory, where steps are signs.",
        plan=Grid((Floor(0.1, 1.0, 1.0, decay_rate=0.0),), seeds=SEEDS, chunk=len(SEEDS)),
        bound=adalomo_descent.floor,
        constants=floor_constants,
        predicted=Outcome.VIOLATED,  # E sign(h w + z) has the slope h sqrt(2 / pi) / sigma, not h / sigma: larger by 1.25
        tau=0.05,
        **FLOOR,
    ),
    Claim(
        id="adalomo.noise-floor.cycle",
        statement="Without noise a start at half a step stays on the cycle +-tau / 2, whose loss is the floor at sigma = 0.",
        plan=Grid((Floor(0.1, 1.0, 0.0, d=2, steps=200), Floor(0.1, 30.0, 0.0, decay_rate=-0.8, d=2, steps=200)), seeds=(0,)),
        bound=adalomo_descent.floor,
        constants=floor_constants,
        predicted=Outcome.HOLDS,
        tau=1e-6,  # rounding, which an unstable cycle may amplify
        **FLOOR | {"estimate": Range("loss")},
    ),
)
