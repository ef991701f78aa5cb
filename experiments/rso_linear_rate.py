"""Question: how fast does RSO contract a strongly convex loss, and which part of its rate does a random basis cost?

Claims: with a full basis the loss falls in the end by exactly (1 + t mu / L)^-2 a round, as the proximal point method; a random
        basis never falls slower than 1 - (5/9)(r/m)(mu/L), with a slack that is measured; it does not keep the factor of the full
        basis; and where the inequality of Polyak and Lojasiewicz fails, far out on a loss that grows like a logarithm, nor the other
Proof:  proofs/proof_rso_loss_factor.py
Cost:   about 2 s on one core
Run:    sandbox check rso.linear-rate.full-basis rso.linear-rate.random-basis

A round is 12 or more inner steps 1 / (Lhat + 1/eta) of the frame RSO: each leaves at most t / (1+t) of B - B* on a convex f, so
that 2e-6 of it is left. The factor is f(W_k+1) / f(W_k) over the last rounds (full basis, where the slowest eigenvalue is
alone: the next, 0.6 L, has died like (0.59 / 0.76)^30 = 5e-4 or faster) or over all (sums over rounds and seeds).

The predictions were committed before the first run of these settings and seeds.
"""

from dataclasses import dataclass
from typing import Literal

from sandbox.fit import Range, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.problems.base import Problem
from sandbox.problems.matrix_quadratic import MatrixQuadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import rso, rso_rates
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Setting:
    """rows: m.  rank: r.  rounds: K, of which the last `window` count.  mu: least eigenvalue, L = 1; eigenvalues mu, then from 0.6 to 1."""

    rank: int
    rows: int = 8
    rounds: int = 30
    window: int = 5
    mu: float = 0.1
    t: float = 0.5
    inner: int = 12
    problem: Literal["quadratic", "logarithmic"] = "quadratic"


def problem_of(setting: Setting) -> Problem:
    if setting.problem == "logarithmic":
        return SmoothNonconvex(setting.rows, 2, samples=4 * setting.rows, start_scale=30.0)
    rest = setting.rows - 1
    return MatrixQuadratic((setting.mu, *(1.0 - 0.4 * i / rest for i in range(rest))), 2)


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    problem = problem_of(setting)
    L_hat = setting.rows / setting.rank * problem.facts.L
    alpha = 1 / (L_hat * (1 + 1 / setting.t))
    rule = RSO(GradientDescent(alpha), setting.rank, update_gap=setting.inner, eta=setting.t / L_hat, side=0)
    traces = run_ensemble(problem, rule, steps=setting.rounds * setting.inner + 1, seeds=seeds)
    ends = [trace.loss[:: setting.inner][-setting.window - 1 :] for trace in traces]
    return [
        {"factor": float(f[-1] / f[0]) ** (1 / setting.window), "after": float(f[1:].sum()), "before": float(f[:-1].sum())} for f in ends
    ]


def constants(setting: Setting) -> dict[str, float]:
    """mu of the logarithmic loss: the least eigenvalue of A^T A, its curvature at the minimum."""
    problem = problem_of(setting)
    mu = problem.facts.mu if setting.problem == "quadratic" else least_curvature(problem)
    return {"t": setting.t, "mu": mu, "L": problem.facts.L, "m": setting.rows, "r": setting.rank, "gram_defect": 0.0}


def least_curvature(problem: SmoothNonconvex) -> float:
    return float((problem.A_sm.T @ problem.A_sm).double().svd().S[-1])


def scope(setting: Setting) -> str | None:
    if setting.problem == "logarithmic":
        return "the theorem assumes |grad f|^2 >= 2 mu (f - inf f), and a loss that grows like a logarithm has no such mu"
    return None


FULL = Grid((Setting(8), Setting(8, t=1.0, inner=20), Setting(8, mu=0.3)), tuple(range(6)), chunk=6)
RANDOM = Grid(
    (Setting(2, rounds=20, window=20), Setting(4, rounds=20, window=20), Setting(2, problem="logarithmic", rounds=4, window=4)),
    seeds=tuple(range(16)),
    chunk=16,
)
FAR = Grid((Setting(2, problem="logarithmic", rounds=4, window=4),), tuple(range(16)), chunk=16)


def on_the_rate(**fields) -> Claim:
    """What the claims of this file have in common."""
    common = {
        "source": "derived; for a full basis the classical rate of the proximal point method (recalled)",
        "known": "derived",
        "dossier": "rso C7",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.6,
        "quantity": rso.loss_factor.quantity,
        "measure": measure,
        "estimate": RatioOfMeans("after", "before"),
        "predicted": Outcome.HOLDS,
        "constants": constants,
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_the_rate(
        id="rso.linear-rate.full-basis",
        statement="with a full basis the loss falls in the end by exactly (1 + t mu / L)^-2 a round, and never slower",
        plan=FULL,
        estimate=Range("factor"),
        predicted=Outcome.ATTAINED,
        bound=rso_rates.proximal_loss_factor,
        tau=0.005,  # what the other eigenvalues leave in the last five rounds, of a start that has little of the slowest
    ),
    on_the_rate(
        id="rso.linear-rate.random-basis",
        statement="with a random basis the loss falls on average at least by 1 - (5/9)(r/m)(mu/L) a round",
        plan=RANDOM,
        bound=rso.loss_factor,
        scope=scope,
        tau=0.001,
    ),
    on_the_rate(
        id="rso.linear-rate.random-basis.full-factor",
        theorems=("rso_loss_factor",),
        statement="a random basis of r = m/4 keeps the factor (1 + t mu / L)^-2 of the full one",
        source="not a theorem: the factor for r = m with that condition left out, to be tested",
        plan=Grid((Setting(2, rounds=60, window=30, inner=8),), tuple(range(16)), chunk=16),
        predicted=Outcome.VIOLATED,
        bound=None,
        constants=None,
        limit=lambda setting: (1 + setting.t * setting.mu) ** -2,
        tau=0.01,
    ),
    on_the_rate(
        id="rso.linear-rate.without-pl",
        theorems=("rso_loss_factor",),
        statement="far out on a loss that grows like a logarithm RSO still contracts by the factor of the curvature at its minimum",
        source="not a theorem: the factor where the inequality of Polyak and Lojasiewicz fails, to be tested",
        cost_s=0.0,
        plan=FAR,
        predicted=Outcome.VIOLATED,
        bound=None,
        constants=None,
        limit=lambda setting: rso.loss_factor.at(**constants(setting)),
        tau=0.001,
        subject="rso.linear-rate.random-basis",
    ),
)
