"""Question: how far is an entry of the factored second moment off, and what does no factorisation lose more than?

Claims: adalomo.factored-entry               |V1_ij - V_ij| <= (m - 1)(n - 1) max |minor| / S
        adalomo.factored-entry.attained      ... which a corner beside a constant block attains, and every 2 x 2 matrix
        adalomo.factored-entry.one-minor     ... max |minor| / S alone: no
        adalomo.factored-entry.silent        a gradient of 0 has no factorisation; eps1 makes its step 0
        adalomo.factored-diagonal.attained   D(V || V1) = S x the smaller marginal entropy on every diagonal
        adalomo.factored-diagonal.regression D(V || V1) <= that for the gradients of a robust regression
Proof:  proofs/proof_factored_entropy.py
Cost:   1 s on one CPU core
Run:    sandbox check adalomo.factored-entry adalomo.factored-diagonal.regression

V = g^2 of one gradient, V1 = its factorisation as the rule keeps it, S = sum V, minors 2 x 2. Everything but the draws, which belong
to the settings, is deterministic. All predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.averages import rms
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.theory import factorisation
from sandbox.verdict import Outcome

ROUNDING = 1e-10  # float64: sums of some hundred terms


@dataclass(frozen=True)
class Moment:
    """law of V: squares of Gaussians; of the gradient of robust regression; 1 in the corner, 0 beside it, 7 elsewhere; 1..n on the
    diagonal; 0 everywhere.
    """

    law: Literal["gaussian", "regression", "corner", "diagonal", "silent"]
    shape: tuple[int, int]
    draw: int = 0


def gradient(setting: Moment) -> Tensor:
    (m, n), at = setting.shape, setting.draw
    if setting.law == "regression":
        problem = SmoothNonconvex(m, n, samples=2 * m)
        return torch.func.grad(lambda W: problem.loss({"W": W}, None))(problem.start(at)["W"])
    if setting.law == "gaussian":
        return normal((m, n), generator(at))
    V = torch.zeros(m, n, dtype=torch.float64)
    if setting.law == "corner":
        V[1:, 1:], V[0, 0] = 7.0, 1.0
    if setting.law == "diagonal":
        V = torch.arange(1.0, m + 1, dtype=torch.float64).diag()
    return V.sqrt()


def factored(g: Tensor) -> Tensor:
    """V1 as the rule keeps it after this first gradient, eps1 = 0."""
    rule = AdaLomo(1.0, eps=(0.0, 1e-3))
    _, state = rule.step(g, rule.init(g), torch.ones_like(g))
    return state.r[:, None] * state.c[None, :] / state.r.mean()


def errors(setting: Moment, seed: int) -> dict[str, float]:
    """Of V1: the largest error of an entry, and the divergence of V from it."""
    g = gradient(setting)
    V, V1 = g**2, factored(g)
    divergence = torch.xlogy(V, torch.where(V > 0, V / V1, 1.0)).sum() - V.sum() + V1.sum()
    return {"entry": float((V1 - V).abs().max()), "divergence": float(divergence)}


def first_step(setting: Moment, seed: int) -> dict[str, float]:
    """RMS of the first step from a weight of ones, with the default eps1."""
    g, rule = gradient(setting), AdaLomo(1.0)
    return {"step": float(rms(rule.step(g, rule.init(g), torch.ones_like(g))[0]))}


def minor_and_total(setting: Moment) -> dict[str, float]:
    V = gradient(setting) ** 2
    minors = V[:, :, None, None] * V[None, None] - V[:, None, None, :] * V.T[None, :, :, None]  # V_ij V_kl - V_il V_kj
    m, n = setting.shape
    return {"m": float(m), "n": float(n), "minor": float(minors.abs().max()), "S": float(V.sum())}


def total_and_entropy(setting: Moment) -> dict[str, float]:
    V = gradient(setting) ** 2
    sides = (-torch.xlogy(p, p).sum() for p in (V.sum(0) / V.sum(), V.sum(1) / V.sum()))
    return {"S": float(V.sum()), "entropy": float(min(sides))}


RANDOM = tuple(Moment(law, shape, draw) for law in ("gaussian", "regression") for shape in ((3, 5), (6, 4)) for draw in (0, 1))
CORNERS = tuple(Moment("corner", shape) for shape in ((3, 4), (8, 5)))
SQUARE = tuple(Moment("gaussian", (2, 2), draw) for draw in (0, 1))
SILENT = Moment("silent", (3, 4))
claim = partial(Claim, source="derived", known="derived", dossier="lomo T2", tier="quick", cost_s=0.1)
ENTRY = dict(
    kind="upper",
    quantity=factorisation.entry_error.quantity,
    estimate=Range("entry"),
    bound=factorisation.entry_error,
    constants=minor_and_total,
    measure=per_seed(errors),
    subject="adalomo.factored-entry",
    tau=ROUNDING,
)
LOSS = dict(
    kind="upper",
    quantity=factorisation.error_limit.quantity,
    estimate=Range("divergence"),
    bound=factorisation.error_limit,
    constants=total_and_entropy,
    measure=ENTRY["measure"],
    subject="adalomo.factored-entry",
    tau=ROUNDING,
)
CLAIMS = (
    claim(
        id="adalomo.factored-entry",
        statement="No entry of the factored moment is off by more than (m - 1)(n - 1) times the largest 2 x 2 minor over the total.",
        plan=Grid((*RANDOM, SILENT), seeds=(0,)),  # the total of the last is 0, where the bound is silent, too
        predicted=Outcome.HOLDS,
        **ENTRY,
    ),
    claim(
        id="adalomo.factored-entry.attained",
        statement="... and the corner beside a constant block is off by exactly that, as are the entries of every 2 x 2 matrix.",
        plan=Grid((*CORNERS, *SQUARE), seeds=(0,)),
        predicted=Outcome.ATTAINED,
        **ENTRY,
    ),
    claim(
        id="adalomo.factored-entry.one-minor",
        theorems=("factored_entropy",),
        statement="No entry of the factored moment is off by more than the largest 2 x 2 minor over the total.",
        plan=Grid(CORNERS, seeds=(0,)),
        predicted=Outcome.VIOLATED,  # (m - 1)(n - 1) minors go through an entry, and here they agree
        **ENTRY | dict(bound=None, constants=None, limit=lambda s: minor_and_total(s)["minor"] / minor_and_total(s)["S"]),
    ),
    claim(
        id="adalomo.factored-entry.silent",
        theorems=("factored_entropy",),
        statement="Where the gradient is 0, so that V has no factorisation, eps1 makes AdaLomo's step 0.",
        kind="equality",
        quantity="RMS of the step",
        plan=Grid((SILENT,), seeds=(0,)),
        measure=per_seed(first_step),
        estimate=Range("step"),
        limit=0.0,
        predicted=Outcome.HOLDS,
    ),
    claim(
        id="adalomo.factored-diagonal.attained",
        statement="Factoring a diagonal loses S x its entropy, all that any matrix with these row sums can lose.",
        plan=Grid(tuple(Moment("diagonal", (k, k)) for k in (2, 5, 12)), seeds=(0,)),
        predicted=Outcome.ATTAINED,
        **LOSS,
    ),
    claim(
        id="adalomo.factored-diagonal.regression",
        statement="Factoring the squared gradient of a robust regression loses at most S x the smaller marginal entropy.",
        plan=Grid(tuple(Moment("regression", shape, draw) for shape in ((3, 5), (12, 8)) for draw in (0, 1)), seeds=(0,)),
        predicted=Outcome.HOLDS,
        **LOSS,
    ),
)
