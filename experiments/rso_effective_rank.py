"""Question: does a subspace of r dimensions in m cost m/r times the iterations, or only what the spectrum asks for?

Claims: with the step 1 / Lhat of the worst case the price is m/r; with the step that E P P^T H P P^T allows it is,
        within 20 %, 1 + tr(H) / (r L), the effective rank over r; both are read off an exact recursion within 3 %
Proof:  none; the recursion is exact for mean squares, the law drops terms of order 1/m and 1/r (below)
Cost:   about 15 s on one core
Run:    sandbox check rso.iterations.second-moments rso.iterations.m-over-r rso.iterations.effective-rank

RSO with one inner gradient step a per round is W <- W - a P P^T H W. In the eigenbasis of H the second moments p_i =
E |w_i|^2 obey, for the Haar law, exactly

    p_i <- (1 - 2 a lam_i + c1 a^2 lam_i^2) p_i + c2 a^2 sum_j lam_j^2 p_j,     E P P^T H P P^T = c1 H + c2 tr(H) I

Iterated (spectrum i^-1, until E |grad f|^2 has fallen by 1e6) it predicts, relative to gradient descent with step
1 / L:  step 1 / Lhat: 1.02 m/r.  Step 1 / lam_max: 1.02 (r = 16), 1.10 (r = 8 of 64) and 1.16 (6 of 96) times the law.
So the law is an approximation, and its tau = 0.2 was chosen to cover the 16 %: that verdict says "within 20 %", and
tells the law from m/r, which is 3 to 9 times as large, but not from another law as close. What is held to 3 % is the
recursion itself: a mean of counts is not the count of a mean, and their difference was at most 1 % in the ratio.

When the predictions were made: those of m-over-r and effective-rank were written before the first run but committed
together with the code, so the history cannot show it. second-moments came later, with its tau chosen in the knowledge
of the rows of effective-rank (within 1 % of the recursion); its settings and seeds had not been run.

Changed after a first run: effective-rank says "within 20 %", which its tau always meant. m-over-r has (48, 6) in
the place of (64, 8), for cost (the recursion gives 1.02 m/r there too), and 48 seeds, were 16, because a standard error
of 1.3 % is much of a tau of 5 %. Full gradient descent stops at 400 steps, was 600.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from sandbox.fit import RatioOfMeans
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.problems.matrix_quadratic import MatrixQuadratic
from sandbox.problems.spectra import power_law
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import rso
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Setting:
    """rows: m.  rank: r.  steps: of RSO, enough by the recursion.  fall: of |grad f|^2, where counting stops."""

    rows: int
    rank: int
    step: Literal["worst case", "moments"]
    steps: int
    columns: int = 4
    fall: float = 1e-6


@cache
def problem_of(setting: Setting) -> MatrixQuadratic:
    return MatrixQuadratic(power_law(setting.rows, exponent=1.0), setting.columns)


def spectrum_constants(setting: Setting) -> dict[str, float]:
    spectrum = problem_of(setting).spectrum
    return {"m": setting.rows, "r": setting.rank, "L": max(spectrum), "trace_H": sum(spectrum)}


def lr_of(setting: Setting) -> float:
    """1 / Lhat, or 1 / lam_max(E P P^T H P P^T)."""
    known = spectrum_constants(setting)
    if setting.step == "worst case":
        return setting.rank / (setting.rows * known["L"])
    return 1 / rso.haar_smoothness.at(**known)


def moment_step(setting: Setting, p: np.ndarray, lr: float, rank: int) -> np.ndarray:
    """E |w_i|^2 after a round of `rank` Haar directions; rank = m is full gradient descent: c1 = 1, c2 = 0."""
    m, lam = setting.rows, np.array(problem_of(setting).spectrum)
    c1 = m * (m * rank + m - 2) / (rank * (m - 1) * (m + 2))
    c2 = m * (m - rank) / (rank * (m - 1) * (m + 2))
    return (1 - 2 * lr * lam + c1 * lr**2 * lam**2) * p + c2 * lr**2 * (lam**2 * p).sum()


def expected_iterations(setting: Setting, lr: float, rank: int) -> int:
    """Steps until E |grad f|^2 = sum lam_i^2 p_i has fallen to `fall` of its start, where all p_i are 1."""
    lam2, k = np.array(problem_of(setting).spectrum) ** 2, 0
    p = np.ones_like(lam2)
    while lam2 @ p > setting.fall * lam2.sum():
        p, k = moment_step(setting, p, lr, rank), k + 1
    return k


@cache
def expected_ratio(setting: Setting) -> float:
    """What the recursion says about RSO's iterations over those of gradient descent with step 1 / L."""
    L = spectrum_constants(setting)["L"]
    return expected_iterations(setting, lr_of(setting), setting.rank) / expected_iterations(setting, 1 / L, setting.rows)


def iterations(setting: Setting, rule: Rule, steps: int, seeds: tuple[int, ...]) -> list[float]:
    """Steps until |grad f|^2 has fallen to `fall` of its start, per seed; infinite where `steps` were too few."""
    traces = run_ensemble(problem_of(setting), rule, steps=steps, seeds=seeds)
    there = [trace.grad_norm**2 <= setting.fall * trace.grad_norm[0] ** 2 for trace in traces]
    return [float(np.argmax(reached)) if reached.any() else float("inf") for reached in there]


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    L = problem_of(setting).facts.L
    rounds = RSO(GradientDescent(lr_of(setting)), setting.rank, update_gap=1, side=0)
    ours = iterations(setting, rounds, setting.steps, seeds)
    full = iterations(setting, GradientDescent(1 / L), 400, seeds)
    return [{"rso": a, "full": b} for a, b in zip(ours, full, strict=True)]


RATIO = RatioOfMeans("rso", "full")
SEEDS = tuple(range(16))

CLAIMS = (
    Claim(
        id="rso.iterations.second-moments",
        statement="on quadratics the recursion of second moments tells what a Haar subspace costs in iterations, with either step",
        source="derived from the second moments of the Haar law",
        known="derived",
        dossier="rso C6",
        kind="equality",
        tier="quick",
        cost_s=6.0,
        quantity="iterations relative to full gradient descent",
        plan=Grid(
            (Setting(32, 8, "worst case", 800), Setting(48, 12, "moments", 450), Setting(48, 6, "moments", 600)),
            tuple(range(1000, 1096)),
            chunk=96,
        ),
        measure=measure,
        estimate=RATIO,
        predicted=Outcome.HOLDS,
        limit=expected_ratio,
        tau=0.03,  # 1 % for the mean of counts, and 4 to 5 % of spread over 96 seeds
    ),
    Claim(
        id="rso.iterations.m-over-r",
        statement="with the step 1 / Lhat of the worst case a subspace costs m/r times the iterations",
        source="derived: the factor r/m in the step that the worst case allows; no paper is credited with the sentence",
        known="derived",
        dossier="rso C6",
        kind="equality",
        tier="quick",
        cost_s=7.0,
        quantity=rso.worst_case_slowdown.quantity,
        plan=Grid((Setting(48, 12, "worst case", 1100), Setting(48, 6, "worst case", 2000)), tuple(range(48)), chunk=48),
        measure=measure,
        estimate=RATIO,
        predicted=Outcome.HOLDS,
        bound=rso.worst_case_slowdown,
        constants=lambda setting: {"m": setting.rows, "r": setting.rank},
        tau=0.05,
    ),
    Claim(
        id="rso.iterations.effective-rank",
        statement="with the step that its second moments allow a subspace costs 1 + tr(H) / (r L) times the iterations, within 20 %",
        source="derived, an approximation up to terms of order 1/m and 1/r",
        known="derived",
        dossier="rso C6",
        kind="equality",
        tier="quick",
        cost_s=3.0,
        quantity=rso.effective_rank_slowdown.quantity,
        plan=Grid(
            (Setting(64, 16, "moments", 500), Setting(64, 8, "moments", 700), Setting(96, 6, "moments", 1200)),
            SEEDS,
            chunk=16,
        ),
        measure=measure,
        estimate=RATIO,
        predicted=Outcome.HOLDS,
        bound=rso.effective_rank_slowdown,
        constants=spectrum_constants,
        tau=0.2,  # the law itself is off by 2 to 16 % here, by the recursion
    ),
)
