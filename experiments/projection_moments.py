"""Question: do the bases that this project draws have the moments that theory gives them, and is one step as smooth as these say?

Claims: |P P^T g - g|^2, |P^T g|^4 and the sum of squared gradients of W <- W - lr P P^T grad f for Haar, coordinate and Gaussian
        bases, on made gradients and on one of a tiny transformer; a Gaussian basis breaks the constant of Haar
Proof:  proofs/proof_projection_moments.py
Cost:   about 2 s on one core
Run:    sandbox check projection.error projection.fourth.coordinate projection.step.attained projection.step

S = P P^T. For every fixed g:  E|S g - g|^2 / |g|^2 = m/r - 1 for Haar and coordinates, (m+1)/r for Gaussian P;
E|P^T g|^4 / |g|^4 = m(r+2)/(r(m+2)), (r+2)/r, and for coordinates m(r-1)/(r(m-1)) + m(m-r)/(r(m-1)) kappa, kappa = sum g_i^4 / |g|^4:
for coordinates it matters where g sits, so it is asked of one entry (kappa = 1), of equal entries, of a column of a network's
gradient. proofs/proof_projection_coordinates.py has the coordinate laws, proof_projection_step.py the step: with E S^2 = c I,

    sum E|grad f|^2 <= 2 / (lr (2 - lr L c)) (f_0 - E f_K),     equality on L |W|^2 / 2 whatever the law.

Broken assumption: at lr = r/(m L), which is the best for Haar, a Gaussian basis has lr L c = (m+r+1)/m, so its ratio is
2 m/r / (1 - (r+1)/m) and not 2 m/r: 2.7 times as much at m = 8, r = 4. The theorem of Haar's c is out of scope there.

Written and committed before the first run of these settings; a trial on 6 other seeds gave the spread. Each seed averages 512 bases, so
32 seeds have a standard error of 0.9 % where |S g|^2 spreads most (Gaussian, r = 4); tau leaves five times that.
Changed after the first run: projection.fourth.gaussian was 2.5 % above its limit with a standard error of 1.2 %, which the correction for
many claims calls inconclusive; the Gaussian moments now have 96 fresh seeds, with the same predictions and taus.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.func import vmap

from sandbox.draws import generator, normal
from sandbox.fit import Mean, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO, Law, basis
from sandbox.oracles.backprop import Backprop
from sandbox.problems.base import Problem
from sandbox.problems.matrix_quadratic import MatrixQuadratic, isotropic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.problems.spectra import log_spaced
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import projections
from sandbox.verdict import Outcome

BASES, GRADIENT = 512, 0x6D  # bases per seed; last part of the key of a made gradient
FIXED = 5  # seed of the network


@dataclass(frozen=True)
class Moments:
    """rows: m.  rank: r.  gradient: the fixed g of m entries."""

    law: Law
    rows: int
    rank: int
    gradient: Literal["normal", "one entry", "equal", "network"] = "normal"


@dataclass(frozen=True)
class Step:
    """second: whose c sets lr, which is lr_L_c / (L c).  K = steps."""

    law: Law
    rows: int
    rank: int
    columns: int
    steps: int
    lr_L_c: float = 1.0
    curvature: Literal["isotropic", "ill-conditioned", "indefinite", "nonconvex"] = "isotropic"
    second: Literal["own", "orthogonal"] = "own"


@lru_cache(maxsize=8)
def gradient_of(setting: Moments) -> Tensor:
    """(m,), of length 1."""
    m = setting.rows
    if setting.gradient == "network":
        problem = fitted(LanguageProblem(GPTConfig(1, width=m, layers=1), tokenizer=Characters(), batch_size=8))
        _, grads = Backprop()(problem, problem.start(FIXED), problem.batch(FIXED, 0), None)
        g = grads["blocks.0.ffn.up.weight"][0].double()
    else:
        one = torch.eye(m, dtype=torch.float64)[0]
        g = {"one entry": one, "equal": torch.ones_like(one), "normal": normal((m,), generator(m, GRADIENT))}[setting.gradient]
    return g / g.norm()


def moments(setting: Moments, seed: int) -> dict[str, float]:
    """Means over the bases of one seed."""
    g, draws = gradient_of(setting), normal((BASES, setting.rows, setting.rank), generator(seed, 0, 0))
    P = vmap(lambda draw: basis(draw, setting.law))(draws)
    coefficients = P.mT @ g
    lifted = (P @ coefficients.unsqueeze(-1)).squeeze(-1)
    return {
        "error": float((lifted - g).square().sum(-1).mean()),
        "fourth": float(coefficients.square().sum(-1).square().mean()),
    }


def sizes(setting: Moments) -> dict[str, float]:
    return {"m": setting.rows, "r": setting.rank}


def spread_sizes(setting: Moments) -> dict[str, float]:
    return {**sizes(setting), "kappa": float(gradient_of(setting).pow(4).sum())}


def not_orthogonal(setting: Moments | Step) -> str | None:
    return "P^T P is (m/r) I on average only for a Gaussian P, so E (P P^T)^2 is not (m/r) I" if setting.law == "gaussian" else None


def problem_of(setting: Step) -> Problem:
    m, n = setting.rows, setting.columns
    if setting.curvature == "nonconvex":
        return SmoothNonconvex(m, n, samples=4 * m)
    if setting.curvature == "indefinite":
        return MatrixQuadratic(tuple(-1 + 2 * i / (m - 1) for i in range(m)), n)
    return isotropic(1.0, m, n) if setting.curvature == "isotropic" else MatrixQuadratic(log_spaced(m, low=1e-3, high=1.0), n)


def second_moment(setting: Step) -> float:
    own = setting.second == "own" and setting.law == "gaussian"
    return (projections.square_gaussian if own else projections.square_orthogonal).at(m=setting.rows, r=setting.rank)


def step_constants(setting: Step) -> dict[str, float]:
    L, c = problem_of(setting).facts.L, second_moment(setting)
    return {"lr": setting.lr_L_c / (L * c), "L": L, "second_moment": c}


def descend(setting: Step, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Sum of squared gradient norms and decrease of the loss of RSO's frame with a fresh basis for every step."""
    problem, lr = problem_of(setting), step_constants(setting)["lr"]
    frame = RSO(GradientDescent(lr), setting.rank, update_gap=1, law=setting.law, side=0)
    traces = run_ensemble(problem, frame, steps=setting.steps, seeds=seeds)
    ends = [float(problem.loss({"W": torch.from_numpy(trace.final["W"])}, None)) for trace in traces]
    return [{"gradients": float((t.grad_norm**2).sum()), "decrease": float(t.loss[0]) - end} for t, end in zip(traces, ends, strict=True)]


def own_and_wrong(setting: Step) -> dict[str, float]:
    """The constants of the Gaussian law at the lr that was chosen with the c of Haar."""
    return {**step_constants(setting), "second_moment": projections.square_gaussian.at(m=setting.rows, r=setting.rank)}


MANY = tuple(range(32))
NETWORK = Moments("coordinate", 32, 8, "network")
ORTHOGONAL = (Moments("haar", 16, 4), Moments("haar", 32, 8, "network"), Moments("coordinate", 16, 4), NETWORK)
GAUSSIAN = (Moments("gaussian", 16, 4), Moments("gaussian", 32, 8, "network"))
COORDINATE = tuple(Moments("coordinate", 16, 4, kind) for kind in ("one entry", "equal", "normal")) + (NETWORK,)
ATTAINED = Grid(
    (Step("haar", 8, 2, 8, 5), Step("coordinate", 8, 4, 8, 4, 1.5), Step("gaussian", 8, 4, 16, 4), Step("gaussian", 16, 4, 8, 4, 0.5)),
    seeds=tuple(range(2048)),
    chunk=2048,
)
ANY = Grid(
    (
        Step("haar", 12, 3, 2, 20, curvature="ill-conditioned"),
        Step("gaussian", 12, 3, 2, 20, curvature="indefinite"),
        Step("coordinate", 8, 2, 2, 10, curvature="nonconvex"),
        Step("gaussian", 8, 4, 2, 10, curvature="nonconvex"),
    ),
    seeds=tuple(range(64)),
    chunk=64,
)
WRONG = Grid((Step("gaussian", 8, 4, 16, 4, second="orthogonal"), Step("gaussian", 16, 4, 8, 4, second="orthogonal")), ATTAINED.seeds, 2048)


def on_moments(**fields) -> Claim:
    common = {
        "source": "derived; the error of Haar also in PRAC, https://arxiv.org/abs/2602.23111, Theorem 16 (read)",
        "known": "derived",
        "dossier": "rso C10",
        "kind": "equality",
        "tier": "quick",
        "cost_s": 0.3,
        "measure": per_seed(moments),
        "constants": sizes,
        "predicted": Outcome.HOLDS,
        "tau": 0.05,
    }
    return Claim(**(common | fields))


def on_steps(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "rso C8",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.5,
        "quantity": projections.gradient_sum.quantity,
        "measure": descend,
        "estimate": RatioOfMeans("gradients", "decrease"),
        "bound": projections.gradient_sum,
        "constants": step_constants,
        "tau": 0.02,  # 2048 seeds x 8 or 16 columns: below 0.4 %
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_moments(
        id="projection.error",
        statement="the projected gradient P P^T g errs by m/r - 1 times |g|^2 on average, for Haar and coordinate bases and any g",
        quantity=projections.ERROR,
        plan=Grid((*ORTHOGONAL, GAUSSIAN[0]), MANY),
        estimate=Mean("error"),
        bound=projections.error_orthogonal,
        scope=not_orthogonal,
    ),
    on_moments(
        id="projection.error.gaussian",
        statement="with a Gaussian basis it errs by (m+1)/r times |g|^2, which is more by (r+1)/r",
        quantity=projections.ERROR,
        plan=Grid(GAUSSIAN, tuple(range(1000, 1096))),
        estimate=Mean("error"),
        bound=projections.error_gaussian,
    ),
    on_moments(
        id="projection.fourth.haar",
        statement="E|P^T g|^4 = m(r+2)/(r(m+2)) |g|^4 for a Haar basis and any g",
        quantity=projections.FOURTH,
        plan=Grid(ORTHOGONAL[:2], MANY),
        estimate=Mean("fourth"),
        bound=projections.fourth_haar,
    ),
    on_moments(
        id="projection.fourth.gaussian",
        statement="E|P^T g|^4 = (r+2)/r |g|^4 for a Gaussian basis and any g",
        quantity=projections.FOURTH,
        plan=Grid(GAUSSIAN, tuple(range(1000, 1096))),
        estimate=Mean("fourth"),
        bound=projections.fourth_gaussian,
        subject="projection.error.gaussian",
    ),
    on_moments(
        id="projection.fourth.coordinate",
        statement="for coordinates E|P^T g|^4 is m/r |g|^4 where g is one entry, |g|^4 where all are equal, linear in kappa between",
        quantity=projections.FOURTH,
        plan=Grid(COORDINATE, MANY),
        estimate=Mean("fourth"),
        bound=projections.fourth_coordinate,
        constants=spread_sizes,
        tau=0.08,  # one entry: 16 with probability 1/4, else 0: sd 1.7 of the mean 4, 1.4 % for 16384 bases
    ),
    on_steps(
        id="projection.step.attained",
        statement="a gradient step in a fresh basis has the smoothness c L, c from E (P P^T)^2 = c I, and L |W|^2 / 2 attains it",
        plan=ATTAINED,
        predicted=Outcome.ATTAINED,
    ),
    on_steps(
        id="projection.step",
        statement="with that c the squared gradients sum to at most 2 / (lr (2 - lr L c)) times the decrease, whatever f",
        plan=ANY,
        predicted=Outcome.HOLDS,
    ),
    on_steps(
        id="projection.step.wrong-law",
        statement="the constant 2 m/r L of Haar's best step survives a Gaussian basis",
        source="an assumption left out, to be tested: that all laws with E P P^T = I are alike",
        plan=WRONG,
        predicted=Outcome.VIOLATED,
    ),
    on_steps(
        id="projection.step.wrong-law.predicted",
        statement="there a Gaussian basis pays 2 m/r L / (1 - (r+1)/m): 2.7 times as much at m = 8, r = 4",
        kind="equality",
        plan=WRONG,
        constants=own_and_wrong,
        predicted=Outcome.HOLDS,
        tau=0.08,  # the decrease is a small difference there, 3/8 of what the step could have: 1.3 %
        subject="projection.step.wrong-law",
    ),
)
