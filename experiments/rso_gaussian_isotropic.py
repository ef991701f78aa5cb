"""Question: where does the factor by which a Gaussian basis worsens RSO's exact subproblem hold, and where does it not?

Claims: on curved and indefinite quadratics the ratio stays below it; at m = 4, r = 1, where m is not large, it is 5 % larger, as the
        law of one chi-squared says; the subproblem of the worst case stays convex up to r/m = (sqrt(1/t) - 1)^2
Proof:  proofs/proof_rso_gaussian_isotropic.py
Cost:   about 2 s on one core
Run:    sandbox check rso.gaussian-exact rso.gaussian-exact.small rso.gaussian-exact.stable-aspect

rso.exact-rate.gaussian-factor has the theorem's own instance, L |W|^2 / 2 at r = m / 4 and large m. One round is B* of the exact
subproblem (sandbox.oracles.subproblem), eta = t / Lhat, Lhat = (m/r) L; the ratio is one of means over seeds.

For r = 1 the only eigenvalue of (r/m) P^T P is chi2_m / m, so the constant on L |W|^2 / 2 is 2 / (1 - E (1 + t chi2_m / m)^-2), by
Gauss-Laguerre quadrature: 4.062 at m = 4, t = 1/2, against 3.851 of the limit. The relative standard error of 2048 seeds and 3 rounds is
about 0.7 %.

Stable aspect: at curvature -L everywhere F is convex while lam_max((r/m) P^T P) < 1/t. r grows column by column of one draw until that
fails; the largest eigenvalue lies 1.2 Tracy-Widom units below its limit, which allows an r/m 3 to 5 % larger at these sizes.

Changed after a trial with other seeds: t = 0.3 in the place of 0.6, whose finite size is 10 %, and m <= 800, for cost.
Predictions were committed before the first run of these settings and seeds; three other seeds had been tried, twelve of stable-aspect.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

from sandbox.draws import generator
from sandbox.fit import Mean, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO, basis
from sandbox.oracles.subproblem import solve
from sandbox.problems.matrix_quadratic import MatrixQuadratic, isotropic
from sandbox.problems.spectra import log_spaced
from sandbox.theory import rso, rso_gaussian
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Setting:
    """rows: m.  rank: r, or the largest that is tried.  columns: n.  rounds: K."""

    problem: Literal["isotropic", "ill-conditioned", "indefinite"]
    rows: int
    rank: int
    columns: int = 8
    rounds: int = 3
    t: float = 0.5


def problem_of(setting: Setting) -> MatrixQuadratic:
    m, n = setting.rows, setting.columns
    if setting.problem == "indefinite":
        return MatrixQuadratic(tuple(-1 + 2 * i / (m - 1) for i in range(m)), n)
    if setting.problem == "ill-conditioned":
        return MatrixQuadratic(log_spaced(m, low=1e-2, high=1.0), n)
    return isotropic(1.0, m, n)


def draw(setting: Setting, seed: int, k: int) -> Tensor:
    """N(0, 1) numbers of the frame."""
    frame = RSO(GradientDescent(0.0), setting.rank, update_gap=1, law="gaussian", side=0)
    return frame.draw(generator(seed, 0, k), (setting.rows, setting.columns))


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Sum of squared gradient norms, and Lhat times the decrease of the loss, per seed."""
    problem = problem_of(setting)
    L_hat = setting.rows / setting.rank

    def f(W: Tensor) -> Tensor:
        return problem.loss({"W": W}, None)

    def one_round(W: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        P = basis(numbers, "gaussian")
        return W + P @ solve(problem, {"W": W}, P, setting.t / L_hat), grad(f)(W).square().sum()

    start = torch.stack([problem.start(seed)["W"] for seed in seeds])
    W, total = start, torch.zeros(len(seeds), dtype=torch.float64)
    for k in range(setting.rounds):
        W, squared = vmap(one_round)(W, torch.stack([draw(setting, seed, k) for seed in seeds]))
        total += squared
    decrease = L_hat * (vmap(f)(start) - vmap(f)(W))
    return [{"gradients": float(g), "decrease": float(d)} for g, d in zip(total, decrease, strict=True)]


def stable(setting: Setting, seed: int) -> dict[str, float]:
    """Largest r / m, by bisection, at which 1/eta - Lhat lam_max((r/m) P^T P) > 0 for the first r columns."""
    G = draw(setting, seed, 0)
    low, high = 1, setting.rank
    while high - low > 1:
        r = (low + high) // 2
        x = r / setting.rows * torch.linalg.eigvalsh(basis(G[:, :r], "gaussian").T @ basis(G[:, :r], "gaussian"))[-1]
        low, high = (r, high) if float(x) < 1 / setting.t else (low, r)
    return {"aspect": low / setting.rows}


def single_column(setting: Setting) -> float:
    """The constant for r = 1; chi2_m / 2 has the density z^(m/2 - 1) e^-z / Gamma(m/2)."""
    z, weight = np.polynomial.laguerre.laggauss(60)
    weight = weight * z ** (setting.rows / 2 - 1)
    left = (weight * (1 + setting.t * 2 * z / setting.rows) ** -2).sum() / weight.sum()
    return float(2 / (1 - left))


def constants(setting: Setting) -> dict[str, float]:
    return {"t": setting.t, "c": setting.rank / setting.rows}


OTHERS = Grid(
    (Setting("ill-conditioned", 32, 4), Setting("indefinite", 32, 4), Setting("indefinite", 40, 2, t=0.8)), tuple(range(48)), chunk=48
)
SMALL = Grid((Setting("isotropic", 4, 1, columns=32),), tuple(range(2048)), chunk=2048)


def on_gaussian_rounds(**fields) -> Claim:
    """What the claims of this file have in common."""
    common = {
        "source": "derived; the practice of RSO, N(0, 1/r) entries, is second-hand",
        "known": "derived",
        "dossier": "rso C8",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.5,
        "quantity": rso.RATIO,
        "measure": measure,
        "estimate": RatioOfMeans("gradients", "decrease"),
        "predicted": Outcome.HOLDS,
        "tau": 0.01,
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_gaussian_rounds(
        id="rso.gaussian-exact",
        statement="with a Gaussian basis the constant of L |W|^2 / 2 is not exceeded on curved and indefinite quadratics (conjectured)",
        plan=OTHERS,
        bound=rso_gaussian.constant_on_isotropic,
        constants=constants,
    ),
    on_gaussian_rounds(
        id="rso.gaussian-exact.small",
        theorems=("rso_gaussian_isotropic",),
        statement="the constant of large m holds at m = 4, r = 1 too",
        source="not a theorem: the limit of large m left out, to be tested",
        plan=SMALL,
        cost_s=1.2,
        predicted=Outcome.VIOLATED,
        limit=lambda setting: rso_gaussian.constant_on_isotropic.at(**constants(setting)),
    ),
    on_gaussian_rounds(
        id="rso.gaussian-exact.single-column",
        theorems=("rso_gaussian_isotropic",),
        statement="for r = 1 it is 2 / (1 - E (1 + t chi2_m / m)^-2), 4.062 at m = 4",
        kind="equality",
        plan=SMALL,
        limit=single_column,
        tau=0.03,  # the limit of large m is 5.2 % lower
        subject="rso.gaussian-exact.small",
        cost_s=0.0,
    ),
    on_gaussian_rounds(
        id="rso.gaussian-exact.stable-aspect",
        statement="curvature -L leaves the subproblem convex up to r/m = (sqrt(1/t) - 1)^2, 0.172 at t = 1/2",
        kind="equality",
        quantity=rso_gaussian.stable_aspect.quantity,
        plan=Grid((Setting("isotropic", 800, 240), Setting("isotropic", 400, 340, t=0.3)), tuple(range(12)), chunk=12),
        measure=per_seed(stable),
        estimate=Mean("aspect"),
        bound=rso_gaussian.stable_aspect,
        constants=lambda setting: {"t": setting.t},
        tau=0.12,  # of which 3 to 5 % are the finite size
    ),
)
