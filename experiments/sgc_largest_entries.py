"""Question: what does keeping the s largest entries of a gradient cost, without feeding the rest back?

Claims: with exact gradients a factor d/s and no stall; with noise in entries that the loss does not use, a stall for ever
Proof:  proofs/proof_sgc_largest_entries.py
Cost:   about 1 s on one core
Run:    sandbox check sgc.largest.sum.attained sgc.largest.sum sgc.largest.stall sgc.largest.stall.adam

SGC around gradient descent, with so many measurements that pursuit recovers the step: w <- w - lr T grad f. As <g, T g> = |T g|^2 >=
(s/d) |g|^2, sum |grad f|^2 <= 2 d / (s lr (2 - lr L)) (f_0 - f_K), with equality for one step from equal entries on |w|^2 / 2. (The
dossier expected a stall at the size of what is left out; that needs noise.) Where pursuit fails the theorem is out of scope.

The stall: GoLore's problem (golore_counterexample.py). Its noise has 4 entries of size sigma = 1, the signal 6 of size 1/2, so T with
s = 4 keeps the noise alone; gradient descent with and without momentum makes steps that are measurements of those 4 entries.
Broken assumption: Adam divides in the space of the measurements, so its step is no measurement of 4 entries, and what pursuit makes of it
may hit a signal entry: out of scope there. k = 90 of d = 100 measurements are far from complete. Prediction: |grad f|^2 moves away from
its start, by more than 1 %, one way or the other.

Written and committed before the first run of these settings; seeds and step counts of the trials were others.
sgc.largest.stall.adam.stays was added after it, with the stall under Adam in view, on fresh seeds and for longer.
After the first run, for cost: 60 steps of the sum -> 30, 150 of the stall under Adam -> 80.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.sgc import SGC
from sandbox.problems.base import Facts, Problem
from sandbox.problems.golore_counterexample import GoLoreCounterexample, true_gradient_norm2
from sandbox.problems.matrix_quadratic import MatrixQuadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.problems.spectra import log_spaced
from sandbox.run import run
from sandbox.theory import sparse_recovery
from sandbox.verdict import Outcome

STALLING = GoLoreCounterexample()
STALLING_ENERGY = (STALLING.n - STALLING.rank) * STALLING.sigma**2 / 4
STREAM = 0x74  # last part of the key of a draw of this file


@dataclass(frozen=True)
class EqualEntries:
    """|w|^2 / 2 from w = +-1 in every entry."""

    rows: int = 6
    columns: int = 8

    @property
    def facts(self) -> Facts:
        return Facts(L=1.0, mu=1.0, f_star=0.0)

    def start(self, seed: int) -> dict[str, Tensor]:
        return {"W": normal((self.rows, self.columns), generator(seed, STREAM)).sign()}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: dict[str, Tensor], batch: None) -> Tensor:
        return 0.5 * params["W"].square().sum()


@dataclass(frozen=True)
class Descent:
    """SGC around gradient descent at lr = rate / L; d = 48 entries, 44 measurements."""

    sparsity: int
    steps: int
    curvature: Literal["equal entries", "ill-conditioned", "indefinite", "nonconvex"] = "equal entries"
    rate: float = 1.0


@dataclass(frozen=True)
class Stall:
    rule: Literal["descent", "momentum", "adam"]
    lr: float
    steps: int = 40


def problem_of(setting: Descent) -> Problem:
    if setting.curvature == "equal entries":
        return EqualEntries()
    if setting.curvature == "nonconvex":
        return SmoothNonconvex(6, 8, samples=24)
    both_signs = setting.curvature == "indefinite"
    return MatrixQuadratic(tuple(-1 + 2 * i / 5 for i in range(6)) if both_signs else log_spaced(6, low=1e-2, high=1.0), 8)


def constants(setting: Descent) -> dict[str, float]:
    L = problem_of(setting).facts.L
    return {"d": 48, "s": setting.sparsity, "lr": setting.rate / L, "L": L}


def descend(setting: Descent, seed: int) -> dict[str, float]:
    problem, lr = problem_of(setting), constants(setting)["lr"]
    trace = run(problem, SGC(GradientDescent(lr), setting.sparsity, measurements=44), steps=setting.steps, seed=seed)
    end = float(problem.loss({"W": torch.from_numpy(trace.final["W"])}, None))
    return {"ratio": float((trace.grad_norm**2).sum() / (trace.loss[0] - end))}


def stay(setting: Stall, seed: int) -> dict[str, float]:
    """|grad f|^2 at the step where it is farthest from its start, and how far that is, relatively."""
    rules = {"descent": GradientDescent(setting.lr), "momentum": GradientDescent(setting.lr, momentum=0.9), "adam": Adam(setting.lr)}

    def look(k: int, params: dict[str, Tensor]) -> dict[str, float]:
        return {"gradient2": float(true_gradient_norm2(STALLING, params))}

    rule = SGC(rules[setting.rule], sparsity=STALLING.rank, measurements=90)
    seen = [x["gradient2"] for x in run(STALLING, rule, steps=setting.steps, seed=seed, watch=look).watched.values()]
    farthest = max(seen, key=lambda x: abs(x - seen[0]))
    return {"farthest": farthest, "moved": abs(farthest / seen[0] - 1)}


def not_recovered(setting: Descent) -> str | None:
    return "pursuit does not always recover 8 equal entries of 48 from 44 measurements" if setting == LOST else None


def divides(setting: Stall) -> str | None:
    return "Adam's step is no measurement of the entries that are kept" if setting.rule == "adam" else None


SEEDS = (0, 1, 2, 3)
LOST = Descent(8, 1, rate=0.5)
ADAM = Stall("adam", 0.01)


def on_largest(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "sgc C3",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.3,
        "quantity": sparse_recovery.gradient_sum.quantity,
        "measure": per_seed(descend),
        "estimate": Range("ratio"),
        "constants": constants,
        "predicted": Outcome.HOLDS,
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_largest(
        id="sgc.largest.sum.attained",
        statement="one step of SGC from equal entries decreases |w|^2 / 2 by exactly s/d of what gradient descent does",
        plan=Grid((Descent(4, 1), Descent(2, 1, rate=0.5), LOST), SEEDS),
        scope=not_recovered,
        bound=sparse_recovery.gradient_sum,
        predicted=Outcome.ATTAINED,
        tau=1e-9,  # roundings
    ),
    on_largest(
        id="sgc.largest.sum.lost",
        statement="that bound survives where pursuit fails, at 8 equal entries",
        source="an assumption left out, to be tested",
        plan=Grid((LOST,), SEEDS),
        bound=sparse_recovery.gradient_sum,
        predicted=Outcome.VIOLATED,  # one trial on 2 other seeds was 19 % above
        tau=1e-9,
        found=Found(Outcome.INCONCLUSIVE, "2026-11-22", "pursuit succeeds on some seeds, where the bound is attained, and fails on others"),
    ),
    on_largest(
        id="sgc.largest.sum",
        statement="with exact gradients the squared gradients of SGC sum to at most 2 d / (s lr (2 - lr L)) times the decrease, whatever f",
        plan=Grid(tuple(Descent(4, 30, kind) for kind in ("equal entries", "ill-conditioned", "indefinite", "nonconvex")), SEEDS),
        bound=sparse_recovery.gradient_sum,
        tau=1e-9,
    ),
    on_largest(
        id="sgc.largest.stall",
        statement="with noise above the signal SGC stays where it is for ever, with and without momentum",
        kind="equality",
        quantity=sparse_recovery.noise_stall.quantity,
        plan=Grid((Stall("descent", 0.1), Stall("momentum", 0.02), ADAM), SEEDS),
        measure=per_seed(stay),
        estimate=Range("farthest"),
        bound=sparse_recovery.noise_stall,
        constants=lambda setting: {"signals": STALLING.n - STALLING.rank, "a": STALLING.sigma / 2, "sigma": STALLING.sigma},
        scope=divides,
        tau=1e-9,
    ),
    on_largest(
        id="sgc.largest.stall.adam",
        theorems=("sgc_largest_entries",),
        statement="with Adam among the measurements it moves, by more than 1 %",
        kind="lower",
        quantity="largest relative change of the squared gradient norm of f",
        plan=Grid((ADAM,), SEEDS),
        measure=per_seed(stay),
        estimate=Range("moved"),
        limit=0.01,
        constants=None,
        found=Found(
            Outcome.VIOLATED,
            "2026-11-22",
            "it does not move at all: the divided step still correlates most with the columns of the noise, and pursuit takes those",
        ),
    ),
    on_largest(
        id="sgc.largest.stall.adam.stays",
        theorems=("sgc_largest_entries",),
        statement="with Adam among the measurements it stays where it is, too",
        kind="equality",
        quantity="squared gradient norm of f where it is farthest from its start",
        plan=Grid((replace(ADAM, steps=80), replace(ADAM, lr=0.1)), (100, 101, 102, 103)),
        measure=per_seed(stay),
        estimate=Range("farthest"),
        limit=STALLING_ENERGY,
        constants=None,
        tau=1e-9,
    ),
)
