"""Question: how low does RSO get when every subproblem is solved to an accuracy of eps and no better?

Claims: with subproblems that are eps-accurate on average over P the squared gradient norm can stay at 6 Lhat eps for
        ever, and never above; the recalled 18 Lhat eps is true, which follows
Proof:  proofs/proof_rso_inexact_subproblem.py
Cost:   about 3 s on one core
Run:    sandbox check rso.inexact-floor rso.inexact-floor.recalled-18

The solver is an adversary who keeps its promise,  E_P [F(B) - F(B*)] <= eps,  and gives away as little as it can. On
f = L |W|^2 / 2 it returns B = s B*:  F(s B*) - F* = (1 - s)^2 |P^T g|^2 t / (2 (1 + t) Lhat)  has the mean eps where

    1 - s = sqrt(2 (1 + t) Lhat eps / t) / |g|,   and s = 0 below,

so that it stops at |g|^2 = 2 (1 + t) Lhat eps / t = 6 Lhat eps, reached from above: |g| - limit shrinks by about 1 -
(r/m)/3 a round.

For r < m a single P may be solved worse than eps: the promise is one about the average over P, as the theorem needs
it. Where r = m both senses agree.

The predictions were written before the first run but committed together with the code, so the history cannot show it.
Changed after a first run: the statements say "on average over P", which is what was always measured; 140 rounds and 8
seeds, were 200 and 16, for cost.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, vmap

from sandbox.draws import generator
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO, Law, basis
from sandbox.oracles.subproblem import solve
from sandbox.problems.base import Problem
from sandbox.problems.matrix_quadratic import isotropic
from sandbox.theory import rso
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Setting:
    """rows: m.  rank: r.  columns: n.  eps: accuracy of a subproblem, in loss.  plateau: the last quarter of rounds."""

    rows: int
    rank: int
    columns: int = 4
    rounds: int = 140
    eps: float = 0.02
    law: Law = "haar"
    t: float = 0.5
    L: float = 1.0


def laziness(setting: Setting, gradient: Tensor) -> Tensor:
    """1 - s: the share of B* that an accuracy of eps, on average over P, allows to leave out."""
    L_hat = setting.rows / setting.rank * setting.L
    return ((2 * (1 + setting.t) * L_hat * setting.eps / setting.t) ** 0.5 / gradient.norm()).clamp(max=1.0)


def lazy_round(setting: Setting, problem: Problem, W: Tensor, P: Tensor) -> tuple[Tensor, Tensor]:
    """W after a round of the adversary, and |grad f|^2 before it."""
    eta = setting.t * setting.rank / (setting.rows * setting.L)
    gradient = grad(lambda W: problem.loss({"W": W}, None))(W)
    B = (1 - laziness(setting, gradient)) * solve(problem, {"W": W}, P, eta)
    return W + P @ B, gradient.square().sum()


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Mean of |grad f|^2 over the last quarter of the rounds, per seed."""
    problem = isotropic(setting.L, setting.rows, setting.columns)
    frame = RSO(GradientDescent(0.0), setting.rank, update_gap=1, law=setting.law, side=0)  # for its draws alone
    W, gradients = torch.stack([problem.start(seed)["W"] for seed in seeds]), []
    for k in range(setting.rounds):
        draws = torch.stack([frame.draw(generator(seed, 0, k), W.shape[1:]) for seed in seeds])
        W, gradient2 = vmap(lambda W, draw: lazy_round(setting, problem, W, basis(draw, setting.law)))(W, draws)
        gradients.append(gradient2)
    last = torch.stack(gradients)[-setting.rounds // 4 :]
    return [{"plateau": float(x)} for x in last.mean(0)]


def constants(setting: Setting) -> dict[str, float]:
    return {
        "t": setting.t,
        "m": setting.rows,
        "r": setting.rank,
        "L": setting.L,
        "eps": setting.eps,
        "gram_defect": 0.0,
    }


PLAN = Grid(
    (Setting(8, 8), Setting(8, 2), Setting(8, 4, law="coordinate"), Setting(8, 4, L=3.0, eps=0.1)),
    seeds=tuple(range(8)),
    chunk=8,
)

CLAIMS = (
    Claim(
        id="rso.inexact-floor",
        statement="subproblems within eps of their minimum on average over P leave a floor of at most 6 Lhat eps, and it is attained",
        source="derived; sharpens the main theorem of Chen et al. (2025), https://arxiv.org/abs/2502.07222",
        known="derived",
        dossier="rso C3",
        kind="upper",
        tier="quick",
        cost_s=3.0,
        quantity=rso.PLATEAU,
        plan=PLAN,
        measure=measure,
        estimate=Range("plateau"),
        predicted=Outcome.ATTAINED,
        bound=rso.inexact_floor,
        constants=constants,
        tau=0.01,  # 105 rounds at a factor of 11/12 or less leave exp(-9) of the way to the limit
    ),
    Claim(
        id="rso.inexact-floor.recalled-18",
        theorems=("rso_inexact_subproblem",),
        statement="subproblems within eps of their minimum on average over P leave a floor of at most 18 Lhat eps",
        source="Chen et al. (2025), https://arxiv.org/abs/2502.07222, main theorem; its body was not read; "
        "implied by rso.inexact-floor (6 < 18): it can fail only together with it",
        known="recalled",
        dossier="rso C3",
        kind="upper",
        tier="quick",
        cost_s=0.0,
        quantity=rso.PLATEAU,
        plan=PLAN,
        measure=measure,
        estimate=Range("plateau"),
        predicted=Outcome.HOLDS,
        bound=rso.recalled_floor,
        constants=constants,
        tau=0.01,
        subject="rso.inexact-floor",
    ),
)
