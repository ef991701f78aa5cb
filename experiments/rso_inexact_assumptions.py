"""Question: do the prices of inexact RSO subproblems hold on robust regression, and what happens where an assumption of theirs breaks?

Claims: they hold for points on the edge of each accuracy and for points anywhere, whatever the curvature; every weighting a is attained;
        with L understated by 2 every price is broken, and 2 x / (1 - q^2) replaces it, x the true curvature; an absolute residual with
        D below its domain costs 6 where the formula says 14/3; a weighting below (1+t) / (2+t) pays less than nothing
Proof:  proofs/proof_rso_weighted_inexact.py proofs/proof_rso_inexact_subproblem.py proofs/proof_rso_relative_value.py
        proofs/proof_rso_relative_residual.py proofs/proof_rso_absolute_residual.py proofs/proof_rso_accuracy_envelope.py
Cost:   about 2 s on one core
Run:    sandbox check rso.accuracy.weighted rso.accuracy.understated rso.accuracy.low-weight

One round from the problem's start, with one P; all theorems hold round by round and P by P. B* is exact (sandbox.oracles.subproblem).

    lazy      (1 - u) B*: the accuracies u^2 in value and u in the residual are met with equality on quadratics
    slowest   the u that makes decrease + a eps smallest on L |W|^2 / 2:  u = 1 / (a (1+t) - t), u > 1 is uphill
    value     from B* in a random direction, until F(B) - F* is accuracy^2 times F(0) - F*;   residual: until |grad F(B)| is its share
    anywhere  from B* in a random direction, as far as accuracy times |B*|
    uphill    B = P^T grad f / (3 Lhat), step 8 of the proof of absolute_residual

Lhat is that of L = 1 (or of the problem); `stretch` x is the curvature that L |W|^2 / 2 really has, in units of it. Lazy points of accuracy
w then leave q = (1 + w x t) / (1 + x t), so they cost 2 x / (1 - q^2), and standing still costs 2 (1 + x t) / t.

The predictions were committed before the first run of these settings and seeds; two other seeds were tried at
these settings to see that the code works. What no seed changes (weighted, understated, low-weight and their prices) was thereby seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.func import grad

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO, Law, basis
from sandbox.oracles.subproblem import solve
from sandbox.problems.base import Problem
from sandbox.problems.matrix_quadratic import MatrixQuadratic, isotropic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.theory import rso, rso_inexact
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Setting:
    """rows: m.  rank: r.  accuracy: u, w, s, or how far (the way tells which).  a, D: weights of eps and delta2.  stretch: x."""

    way: Literal["lazy", "slowest", "value", "residual", "anywhere", "uphill"]
    accuracy: float = 0.0
    problem: Literal["isotropic", "negative", "indefinite", "nonconvex"] = "isotropic"
    a: float = 1.0
    D: float = 1.0
    t: float = 0.5
    stretch: float = 1.0
    rows: int = 8
    rank: int = 4
    law: Law = "haar"


def problem_of(setting: Setting) -> Problem:
    m = setting.rows
    if setting.problem == "nonconvex":
        return SmoothNonconvex(m, 2, samples=4 * m)
    if setting.problem == "indefinite":
        return MatrixQuadratic(tuple(-1 + 2 * i / (m - 1) for i in range(m)), 2)
    return isotropic(setting.stretch, m, 2) if setting.problem == "isotropic" else MatrixQuadratic((-1.0,) * m, 2)


def smoothness(setting: Setting) -> float:
    """Lhat as it is assumed: without the stretch."""
    return setting.rows / setting.rank * problem_of(setting).facts.L / setting.stretch


class Round:
    """h and F of one subproblem, and its minimiser."""

    def __init__(self, setting: Setting, seed: int):
        problem, start = problem_of(setting), problem_of(setting).start(seed)
        frame = RSO(GradientDescent(0.0), setting.rank, update_gap=1, law=setting.law, side=0)  # for its draws alone
        P = basis(frame.draw(generator(seed, 0, 0), tuple(start["W"].shape)), setting.law)
        eta = setting.t / smoothness(setting)
        self.h = lambda B: problem.loss({"W": start["W"] + P @ B}, None)
        self.F = lambda B: self.h(B) + B.square().sum() / (2 * eta)
        self.best = solve(problem, start, P, eta)
        self.zero = torch.zeros_like(self.best)
        self.slope = grad(self.h)(self.zero)

    def gap(self, B: Tensor) -> float:
        return float(self.F(B) - self.F(self.best))

    def residual(self, B: Tensor) -> float:
        return float(grad(self.F)(B).norm())


def to_the_edge(point: Callable[[float], Tensor], size: Callable[[Tensor], float], allowed: float) -> Tensor:
    """point(c) with size(point(c)) = allowed, by regula falsi from c = 1: at once where the size is c times a constant."""
    c = 1.0
    for _ in range(60):
        c *= allowed / size(point(c))
        if abs(size(point(c)) / allowed - 1) < 1e-12:
            break
    return point(c)


def returned(setting: Setting, one: Round, rng: torch.Generator) -> Tensor:
    """The inexact solution."""
    t, a, share = setting.t, setting.a, setting.accuracy
    if setting.way in ("lazy", "slowest"):
        return (1 - (share if setting.way == "lazy" else 1 / (a * (1 + t) - t))) * one.best
    if setting.way == "uphill":
        return one.slope / (3 * smoothness(setting))
    direction = normal(tuple(one.best.shape), rng)
    direction = direction * (one.best.norm() / direction.norm())
    if setting.way == "anywhere":
        return one.best + share * direction
    if setting.way == "value":
        return to_the_edge(lambda c: one.best + c * direction, lambda B: one.gap(B) ** 0.5, share * one.gap(one.zero) ** 0.5)
    return to_the_edge(lambda c: one.best + c * direction, one.residual, share * one.residual(one.zero))


def measured(setting: Setting, seed: int) -> dict[str, float]:
    """|grad h|^2 over Lhat times what pays for it, each way; infinite where nothing does.  paid: Lhat (decrease + a eps) over it."""
    one, L_hat = Round(setting, seed), smoothness(setting)
    B = returned(setting, one, generator(seed, 1, 0))
    squared, fall, eps = float(one.slope.square().sum()), float(one.h(one.zero) - one.h(B)), max(one.gap(B), 0.0)
    known = {"t": setting.t, "L": L_hat, "m": 1, "r": 1, "gram_defect": 0.0}
    envelope = rso_inexact.accuracy_envelope.at(**known, decrease=max(fall, 0.0), eps=eps)
    pays = {
        "plain": L_hat * fall,
        "inexact": L_hat * (fall + eps),
        "weighted": L_hat * (fall + setting.a * eps),
        "residual": L_hat * fall + setting.D * one.residual(B) ** 2,
    }
    ratios = {name: squared / pay if pay > 0 else float("inf") for name, pay in pays.items()}
    return {**ratios, "envelope": squared / envelope, "paid": pays["weighted"] / squared}


EXACT = {"gram_defect": 0.0}
SLOWEST = (
    Setting("slowest"),
    Setting("slowest", a=3.0, law="coordinate"),
    Setting("slowest", a=0.7),
    Setting("slowest", a=2.0, t=0.9, rank=2),
)
ANYWHERE = (
    Setting("anywhere", 1.0, "nonconvex"),
    Setting("anywhere", 0.3, "nonconvex", a=3.0, D=2.0, t=0.8, law="coordinate"),
    Setting("anywhere", 2.0, "indefinite", a=0.7),
    Setting("anywhere", 0.5, "negative", a=2.0),
)
VALUE = (Setting("value", 0.5, "nonconvex"), Setting("value", 0.2, "nonconvex", t=0.9, rank=2), Setting("value", 0.5, "negative"))
RESIDUAL = (Setting("residual", 0.45, "nonconvex"), Setting("residual", 0.2, "indefinite", t=0.8), Setting("residual", 0.45, "negative"))
UNDERSTATED = (Setting("lazy", 0.45, stretch=2.0), Setting("lazy", 0.2, stretch=2.0, t=0.8, law="coordinate"))
STILL = (Setting("lazy", 1.0, stretch=2.0), Setting("lazy", 1.0, stretch=2.0, t=0.8, rank=2))
UPHILL = (Setting("uphill", problem="negative", D=0.25), Setting("uphill", problem="negative", D=0.25, law="coordinate"))
LOW = (Setting("slowest", a=0.5), Setting("slowest", a=0.5, law="coordinate"))
ENVELOPE = "mean squared gradient norm over the envelope at the decrease and the eps of the run"


def on(settings: tuple[Setting, ...], **fields) -> Claim:
    """What the claims of this file have in common."""
    common = {
        "source": "derived; the paper's theory has an accuracy in value, absolute (recalled)",
        "known": "derived",
        "dossier": "rso C3",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.3,
        "quantity": rso.RATIO,
        "plan": Grid(settings, seeds=tuple(range(100, 108)), chunk=8),
        "measure": per_seed(measured),
        "estimate": Range("plain"),
        "predicted": Outcome.HOLDS,
        "tau": 1e-9,  # rounding of decreases of order 1; each promise holds for every seed
    }
    return Claim(**(common | fields))


def weights(setting: Setting) -> dict[str, float]:
    return {"t": setting.t, "a": setting.a, **EXACT}


def residual_weights(setting: Setting) -> dict[str, float]:
    return {"t": setting.t, "D": setting.D, **EXACT}


def assumed_price(setting: Setting) -> float:
    """That of both relative accuracies."""
    return float(rso_inexact.relative(setting.accuracy).subs(rso_inexact.t, setting.t))


def true_price(setting: Setting) -> float:
    xt = setting.stretch * setting.t
    return 2 * setting.stretch / (1 - ((1 + setting.accuracy * xt) / (1 + xt)) ** 2)


WEIGHTED = {"quantity": rso.weighted_inexact_constant.quantity, "estimate": Range("weighted")}
PAIRED = {"quantity": rso.INEXACT_RATIO, "estimate": Range("inexact")}
ABSOLUTE = {"quantity": rso_inexact.absolute_residual.quantity, "estimate": Range("residual")}

CLAIMS = (
    on(
        SLOWEST,
        id="rso.accuracy.weighted",
        statement="an accuracy eps weighed by a costs C(t, a), and L |W|^2 / 2 attains it for each a",
        predicted=Outcome.ATTAINED,
        bound=rso.weighted_inexact_constant,
        constants=weights,
        **WEIGHTED,
    ),
    on(
        ANYWHERE,
        id="rso.accuracy.weighted.anywhere",
        statement="any point at all obeys C(t, a) with the eps it has, on robust regression and on negative curvature",
        bound=rso.weighted_inexact_constant,
        constants=weights,
        subject="rso.accuracy.anywhere",
        cost_s=0.0,
        **WEIGHTED,
    ),
    on(
        ANYWHERE,
        id="rso.accuracy.anywhere",
        statement="any point at all obeys 2 (1+t) / t with the eps it has, on robust regression and on negative curvature",
        bound=rso.inexact_constant,
        constants=lambda setting: {"t": setting.t, **EXACT},
        **PAIRED,
    ),
    on(
        ANYWHERE,
        id="rso.accuracy.absolute.anywhere",
        statement="any point at all obeys the price of an absolute residual with the residual it has",
        bound=rso_inexact.absolute_residual,
        constants=residual_weights,
        subject="rso.accuracy.anywhere",
        cost_s=0.0,
        **ABSOLUTE,
    ),
    on(
        VALUE,
        id="rso.accuracy.value.regression",
        statement="points on the edge of an accuracy in value obey its price on robust regression and on negative curvature",
        quantity=rso_inexact.relative_value.quantity,
        bound=rso_inexact.relative_value,
        constants=lambda setting: {"t": setting.t, "w": setting.accuracy, **EXACT},
    ),
    on(
        VALUE,
        id="rso.accuracy.envelope.regression",
        theorems=("rso_accuracy_envelope",),
        statement="they stay below the envelope of their own decrease and eps",
        quantity=ENVELOPE,
        estimate=Range("envelope"),
        limit=1.0,
        subject="rso.accuracy.value.regression",
        cost_s=0.0,
    ),
    on(
        RESIDUAL,
        id="rso.accuracy.residual.regression",
        statement="points on the edge of a relative residual obey its price on robust regression and on indefinite curvature",
        quantity=rso_inexact.relative_residual.quantity,
        bound=rso_inexact.relative_residual,
        constants=lambda setting: {"t": setting.t, "s": setting.accuracy, **EXACT},
    ),
    on(
        UNDERSTATED,
        id="rso.accuracy.understated",
        theorems=("rso_relative_value", "rso_relative_residual"),
        statement="the price of a relative accuracy, in value or residual, survives an L that is half of the true one",
        source="not a theorem: the price with the assumption on L left out, to be tested",
        predicted=Outcome.VIOLATED,
        limit=assumed_price,
    ),
    on(
        UNDERSTATED,
        id="rso.accuracy.understated.price",
        theorems=("rso_relative_value", "rso_relative_residual"),
        statement="with x = 2 times the curvature assumed it is 2 x / (1 - q^2), q = (1 + w x t) / (1 + x t)",
        kind="equality",
        limit=true_price,
        subject="rso.accuracy.understated",
        cost_s=0.0,
    ),
    on(
        UNDERSTATED,
        id="rso.accuracy.understated.envelope",
        theorems=("rso_accuracy_envelope",),
        statement="the envelope of all weightings survives an L that is half of the true one",
        source="not a theorem: the envelope with the assumption on L left out, to be tested",
        quantity=ENVELOPE,
        estimate=Range("envelope"),
        predicted=Outcome.VIOLATED,  # by 38 % at w = 0.45
        limit=1.0,
        subject="rso.accuracy.understated",
        cost_s=0.0,
    ),
    on(
        STILL,
        id="rso.accuracy.understated.standing-still",
        theorems=("rso_inexact_subproblem", "rso_weighted_inexact"),
        statement="the prices 2 (1+t) / t of eps and C(t, 1) survive an L that is half of the true one",
        source="not a theorem: the price with the assumption on L left out, to be tested",
        predicted=Outcome.VIOLATED,
        limit=lambda setting: float(rso.inexact.subs(rso.t, setting.t)),
        **PAIRED,
    ),
    on(
        STILL,
        id="rso.accuracy.understated.standing-still.price",
        theorems=("rso_inexact_subproblem", "rso_weighted_inexact"),
        statement="standing still on curvature x Lhat costs 2 (1 + x t) / t: 8 in the place of 6 for x = 2 and t = 1/2",
        kind="equality",
        limit=lambda setting: 2 * (1 + setting.stretch * setting.t) / setting.t,
        subject="rso.accuracy.understated.standing-still",
        cost_s=0.0,
        **PAIRED,
    ),
    on(
        UPHILL,
        id="rso.accuracy.absolute.low-weight",
        statement="with D = 1/4 at t = 1/2, below its domain, the formula of an absolute residual promises nothing",
        predicted=Outcome.OUT_OF_SCOPE,
        bound=rso_inexact.absolute_residual,
        constants=residual_weights,
        subject="rso.accuracy.absolute.low-weight.price",
        **ABSOLUTE,
    ),
    on(
        UPHILL,
        id="rso.accuracy.absolute.low-weight.price",
        theorems=("rso_absolute_residual",),
        statement="there a step uphill at curvature -Lhat costs 6, for every P, where the formula says 14/3",
        kind="equality",
        limit=6.0,
        **ABSOLUTE,
    ),
    on(
        LOW,
        id="rso.accuracy.low-weight",
        statement="with a = 1/2 at t = 1/2, below (1+t) / (2+t), C(t, a) promises nothing",
        predicted=Outcome.OUT_OF_SCOPE,
        bound=rso.weighted_inexact_constant,
        constants=weights,
        subject="rso.accuracy.low-weight.paid",
        **WEIGHTED,
    ),
    on(
        LOW,
        id="rso.accuracy.low-weight.paid",
        theorems=("rso_weighted_inexact",),
        statement="there decrease + a eps can be -1/6 of the squared gradient over Lhat, so no constant would do",
        kind="equality",
        quantity="Lhat times (decrease of the loss + a eps) over the squared gradient norm",
        estimate=Range("paid"),
        limit=-1 / 6,
    ),
)
