"""Question: how fast can importance sampling of singular directions (I3S, SARA) leave the point where GaLore stalls?

Claims: 1/s grows by at most H_r move / ((1 - move) sigma) a refresh, and nearly by that, so |grad f|^2 ~ 1/k^2: no linear rate; with
        normal noise it grows faster
Proof:  proofs/proof_projection_i3s.py
Cost:   about 3 s on one core
Run:    sandbox check i3s.counterexample.growth i3s.counterexample.slow i3s.counterexample.normal-noise

The problem of golore_counterexample.py with n = 6, r = 4. r of the n singular directions are drawn with the weights s_i of the signal
and sigma of the noise, so a signal direction comes up with probability at most H_r s_i / sigma, H_r = 1 + 1/2 + ... + 1/r, and then
1/s_i grows by move / ((1 - move) s_i), move = 1 - (1 - lr)^update_gap. The limit is approached as s goes to 0: at s = 0.02 the draws
that the two signals take cost about 2 s H'_r / H_r = 3 % (H'_r = sum 1/j^2).

Broken assumption: xi = +-1 is bounded away from 0. With normal xi the noise weighs |xi| sigma, and E 1/|xi| has no bound, so 1/s grows
faster than the limit, by a factor of about sqrt(2/pi) log(sigma/s). There the theorem is out of scope.

Written and committed before the first run of these settings; an earlier study at lr 0.003 with 100 steps a refresh had the slope
0.209 against 0.219, and trials on other seeds gave the spread: about a third per seed over the second half.
With 10 rows and 6 signals they were 9 % below the limit, so the settings have 6 rows.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from sandbox.fit import Mean
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.i3s import I3S
from sandbox.problems.golore_counterexample import GoLoreCounterexample
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import projections_golore as golore
from sandbox.verdict import Outcome

PROBLEM = GoLoreCounterexample(n=6, rank=4)
SOURCE = "derived, for the problem in the script of GoLore's authors with B = 0; the rule is https://arxiv.org/abs/2502.05790 (abstract)"


@dataclass(frozen=True)
class Sampled:
    """I3S with gradient descent.  update_gap: steps between two draws of directions."""

    lr: float
    refreshes: int
    update_gap: int = 1
    law: Literal["rademacher", "gaussian"] = "rademacher"


def singular_values(X: Tensor) -> Tensor:
    k = PROBLEM.n - PROBLEM.rank
    return torch.linalg.svdvals(X[..., :k, :k])


def sample(setting: Sampled, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Growth of the mean of 1 / s per refresh over the whole run and over its second half, and |grad f|^2 at the end."""
    half, last = setting.refreshes // 2, setting.refreshes

    def look(k: int, params: dict[str, Tensor]) -> dict[str, Tensor] | None:
        s = singular_values(params["X"]) if k in (0, half * setting.update_gap, last * setting.update_gap) else None
        return None if s is None else {"inverse": (1 / s).mean(-1), "gradient2": s.square().sum(-1)}

    rule = I3S(GradientDescent(setting.lr), PROBLEM.rank, setting.update_gap, scale=1.0, on_refresh="reset")
    problem = replace(PROBLEM, law=setting.law)
    traces = run_ensemble(problem, rule, steps=last * setting.update_gap, seeds=seeds, watch=look)
    rows = []
    for trace in traces:
        a, b, c = (trace.watched[k * setting.update_gap] for k in (0, half, last))
        whole, late = (c["inverse"] - a["inverse"]) / last, (c["inverse"] - b["inverse"]) / (last - half)
        rows.append({"growth": whole, "late": late, "gradient2": c["gradient2"]})
    return rows


def move(setting: Sampled) -> float:
    return 1 - (1 - setting.lr) ** setting.update_gap


def constants(setting: Sampled) -> dict[str, float]:
    return {"r": PROBLEM.rank, "sigma": PROBLEM.sigma, "move": move(setting)}


def start_constants(setting: Sampled) -> dict[str, float]:
    return {**constants(setting), "n": PROBLEM.n, "s": PROBLEM.sigma / 2, "K": setting.refreshes}


def scope(setting: Sampled) -> str | None:
    return "normal noise comes near 0, and then weighs less than the signal" if setting.law == "gaussian" else None


SIGNS = Sampled(0.15, 200)
NORMAL = Sampled(0.3, 80, law="gaussian")
PLAN = Grid((SIGNS, Sampled(0.1, 50, update_gap=2), NORMAL), tuple(range(192)), 192)


def on_i3s(**fields) -> Claim:
    common = {
        "source": SOURCE,
        "known": "derived",
        "dossier": "rso C15",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 2.5,
        "quantity": golore.i3s_growth.quantity,
        "plan": PLAN,
        "measure": sample,
        "estimate": Mean("growth"),
        "bound": golore.i3s_growth,
        "constants": constants,
        "predicted": Outcome.HOLDS,
        "tau": 0.01,
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_i3s(
        id="i3s.counterexample.growth",
        statement="with I3S the inverse singular values of the gradient grow by at most H_r move / ((1 - move) sigma) a refresh",
        scope=scope,
        tau=0.05,
    ),
    on_i3s(
        id="i3s.counterexample.growth.late",
        statement="and by nearly that once they are small against the noise",
        kind="equality",
        plan=replace(PLAN, settings=(SIGNS,)),
        estimate=Mean("late"),
        tau=0.15,  # approached from below, 3 to 5 % off at these sizes; the rest is sampling
        subject="i3s.counterexample.growth",
    ),
    on_i3s(
        id="i3s.counterexample.slow",
        statement="so |grad f|^2 after K refreshes is at least (n-r) / (1/s + K H_r move / ((1 - move) sigma))^2: no linear rate",
        kind="lower",
        quantity=golore.i3s_gradient.quantity,
        estimate=Mean("gradient2"),
        bound=golore.i3s_gradient,
        constants=start_constants,
        scope=scope,
        subject="i3s.counterexample.growth",
    ),
    on_i3s(
        id="i3s.counterexample.normal-noise",
        statement="the same limit holds where the noise is normal and not +-sigma",
        source="an assumption left out, to be tested",
        plan=Grid((NORMAL,), PLAN.seeds, 192),
        estimate=Mean("late"),
        predicted=Outcome.VIOLATED,  # by a factor of 2 to 4
        subject="i3s.counterexample.growth",
    ),
)
