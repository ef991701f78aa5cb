"""Question: how often should SubZero draw a new subspace, and what does a long period cost?

Claims: over a period of F steps E |x|^2 on L |x|^2 / 2 falls by exactly 1 - (q/d) (1 - (1 - 1/(q+2))^F), never below 1 - q/d; a new
        subspace at every step is best
Proof:  proofs/proof_subzero_refresh.py
Cost:   about 2 s on one core
Run:    sandbox check subzero.refresh subzero.stall subzero.refresh-often

6 x 6, r = 3, so q = 9 of d = 36, every period with its own draw; 36 steps in all, in periods of F, of which the last is measured. By trial
runs on other seeds the error of the factor is 0.6 to 0.9 % for 96 rows; tau 6 %, against a fall of 14 % (F = 9) and 24 % (F = 36).
Predictions were committed before the first run; the rows of `subzero.refresh-often` went from 96 to 24 after it, for
cost; with half of the rows `subzero.refresh` was left open at tau 8 %, so those stayed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils._pytree import tree_map

from sandbox.draws import generator
from sandbox.fit import PairedDifference, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.subzero import SubZero, alignment, subspace
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import ORACLE_STREAM, Directions
from sandbox.perturbations.low_rank import LowRank
from sandbox.problems.matrix_quadratic import isotropic
from sandbox.theory import subzero
from sandbox.verdict import Outcome

SIDE, RANK, STEPS = 6, 3, 36
D, Q = SIDE**2, RANK**2
LR = Q / (D * (Q + 2))  # lr mu^2 = 1 / (L (q+2)), mu^2 = d/q
PROBLEM = isotropic(1.0, SIDE, SIDE)


@dataclass(frozen=True)
class Period:
    """F: update_gap.  steps: in all."""

    F: int
    steps: int = STEPS


def path(setting: Period, seeds: tuple[int, ...]) -> Iterator[Tensor]:
    """|W|^2 (runs,) before every step and after the last. Every run has subspaces of its own, keyed by its seed, as in a shell."""
    frame, rule = SubZero(GradientDescent(LR), RANK, update_gap=setting.F), GradientDescent(LR)
    oracles = [
        TwoPoint(eps=0.5, directions=Directions(low_rank=LowRank(frame, subspace=subspace, alignment=alignment, seed=seed)))
        for seed in seeds
    ]
    W = torch.stack([PROBLEM.start(seed)["W"] for seed in seeds])
    for k in range(setting.steps):
        yield W.square().sum((1, 2))
        pairs = zip(oracles, seeds, strict=True)
        drawn = [oracle.at(k).draw(generator(seed, ORACLE_STREAM, k), {"W": W[0]}) for oracle, seed in pairs]
        stacked = tree_map(lambda *leaves: torch.stack(leaves), *drawn)
        ghat = vmap(lambda w, draw: oracles[0](PROBLEM, {"W": w}, None, draw)[1]["W"])(W, stacked)
        W = W + rule.step(ghat, rule.init(W), W)[0]
    yield W.square().sum((1, 2))


def measure(setting: Period, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """|W|^2 at both ends of the run, and before the last period."""
    squares = list(path(setting, seeds))
    last = squares[-1 - setting.F]
    return [{"start": float(a), "before": float(b), "after": float(c)} for a, b, c in zip(squares[0], last, squares[-1], strict=True)]


@dataclass(frozen=True)
class Pair:
    """Two ways of spending the same steps on the same starts."""

    often: int
    seldom: int


def measure_pair(setting: Pair, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Share of |W|^2 that is left after the run."""
    often, seldom = (measure(Period(F), seeds) for F in (setting.often, setting.seldom))
    return [{"often": a["after"] / a["start"], "seldom": b["after"] / b["start"]} for a, b in zip(often, seldom, strict=True)]


def grid(*settings: Period | Pair, runs: int = 96) -> Grid:
    return Grid(settings, seeds=tuple(range(runs)), chunk=runs)


def constants(setting: Period) -> dict[str, float]:
    return {"d": D, "q": Q, "F": setting.F}


def on_periods(**fields) -> Claim:
    """What the claims of this file have in common."""
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "subzero U5",
        "kind": "equality",
        "tier": "quick",
        "cost_s": 0.7,
        "quantity": subzero.PERIOD,
        "plan": grid(Period(9), Period(36)),
        "measure": measure,
        "estimate": RatioOfMeans("after", "before"),
        "predicted": Outcome.HOLDS,
        "tau": 0.06,
        "subject": "subzero.refresh",
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_periods(
        id="subzero.refresh",
        statement="a period of F steps multiplies E |x|^2 by 1 - (q/d) (1 - (1 - 1/(q+2))^F) on L |x|^2 / 2",
        bound=subzero.refresh_factor,
        constants=constants,
    ),
    on_periods(
        id="subzero.stall",
        statement="no period takes more than q/d of |x|^2, however long it is",
        kind="lower",
        bound=subzero.stall,
        constants=lambda s: {"d": D, "q": Q},
    ),
    on_periods(
        id="subzero.refresh-often",
        theorems=("subzero_refresh",),
        statement="at equal steps a new subspace at every step leaves less of |x|^2 than one every 36 steps",
        kind="ordering",
        quantity="share of |x|^2 left, F = 1 less F = 36",
        plan=grid(Pair(1, 36), runs=24),
        measure=measure_pair,
        estimate=PairedDifference("often", "seldom"),
        tau=0.0,
        subject="subzero.refresh-often",
    ),
)
