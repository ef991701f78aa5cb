"""Question: where does a factored second moment turn, shrink or stop the step?

Claims: adalomo.factored-angle            cos(g, u) >= 2 sqrt(k) / (1 + k) along every run, k from the state
        adalomo.factored-angle.attained   ... which the first step on diag(a, b) attains
        adalomo.first-rms                 the first update has RMS^2 >= (m + n - 1) / (m n) before clipping
        adalomo.first-rms.attained        ... which a single row attains, and one dominant entry nearly
        adalomo.freeze                    beside a flat entry a steep one loses at most n x slope x sum of lr RMS(w)
        adalomo.freeze.attained           ... and nearly that for a small slope, whatever its curvature
        adalomo.freeze.full               ... also with the full second moment: no
        adalomo.freeze.lomo               gradient descent reduces the steep entries to nothing in one step
Proof:  proofs/proof_factored_freeze.py
Cost:   1 s on one CPU core
Run:    sandbox check adalomo.factored-angle adalomo.first-rms adalomo.freeze

The angle is proven in proofs/proof_factored_angle.py, the first step in proofs/proof_factored_first_step.py. In the freeze
f(W) = slope W_11 + sum_{k > 1} h_k (W_kk - 1)^2 / 2, from W = 3 I, by AdaLomo with its default memory.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.averages import rms
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.matrix_quadratic import MatrixQuadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.problems.spectra import log_spaced
from sandbox.theory import factored_update
from sandbox.verdict import Outcome

ROUNDING = 1e-10  # float64: sums of some hundred terms
BARE = dict(eps=(1e-30, 1e-3), clip_threshold=1e30, parameter_scale="off")  # the step is lr u, unclipped


def cosine(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()))


def lowest_cosine(k: float) -> float:
    return factored_update.angle.at(spread=k)


@dataclass(frozen=True)
class Turned:
    problem: Literal["rotated", "aligned", "nonconvex"]
    shape: tuple[int, int]
    steps: int = 30
    lr: float = 0.02


def angles(setting: Turned, seed: int) -> dict[str, float]:
    """Smallest quotient of cos(g, u) and its bound with the spread of the state, over a run of AdaLomo."""
    m, n = setting.shape
    spectrum = log_spaced(m, low=1e-2, high=1.0)
    problem = {
        "rotated": lambda: MatrixQuadratic(spectrum, n),
        "aligned": lambda: MatrixQuadratic(spectrum, n, basis="axes"),
        "nonconvex": lambda: SmoothNonconvex(m, n),
    }[setting.problem]()
    gradient = torch.func.grad(lambda W: problem.loss({"W": W}, None))
    rule, W, quotients = AdaLomo(setting.lr), problem.start(seed)["W"], []
    state = rule.init(W)
    for _ in range(setting.steps):
        g = gradient(W)
        delta, state = rule.step(g, state, W)
        W = W + delta
        k = float((state.r.max() * state.c.max() / (state.r.min() * state.c.min())).sqrt())
        quotients.append(cosine(g, -delta) / lowest_cosine(k))
    return {"quotient": min(quotients)}


@dataclass(frozen=True)
class First:
    """A first gradient: diagonal, of a single row, one dominant entry beside its row and column, or Gaussian of many sizes."""

    law: Literal["diagonal", "row", "cross", "gaussian"]
    shape: tuple[int, int]
    ratio: float = 1.0  # of the second diagonal entry to the first


def first_gradient(setting: First, seed: int) -> Tensor:
    m, n = setting.shape
    z = normal(setting.shape, generator(seed)) * 10.0 ** (3 * normal(setting.shape, generator(seed, 1)))
    cross = torch.full(setting.shape, 1e-20, dtype=torch.float64)  # g^2 below the eps1 of no rule, and above 0
    cross[0], cross[:, 0] = 1e-5, 1e-5
    cross[0, 0] = 1.0
    diagonal = torch.tensor([1.0, setting.ratio], dtype=torch.float64).diag()
    return {"diagonal": diagonal, "row": z, "cross": cross, "gaussian": z}[setting.law]


def first_update(setting: First, seed: int) -> dict[str, float]:
    g, rule = first_gradient(setting, seed), AdaLomo(1.0, **BARE)
    u = -rule.step(g, rule.init(g), g)[0]
    return {"rms": float(rms(u)), "cosine": cosine(g, u)}


@dataclass(frozen=True)
class Freeze:
    """moment: factored over the matrix, or full (the matrix handed over as a vector)."""

    slope: float
    curvatures: tuple[float, ...] = (1.0, 10.0, 100.0)
    moment: Literal["factored", "full", "none"] = "factored"
    lr: float = 0.003
    steps: int = 100


def freeze(setting: Freeze, seed: int) -> dict[str, float]:
    """Largest and smallest decrease of the loss of a steep entry, over n x slope x sum of lr RMS(w); and the share of it left."""
    h, n = torch.tensor(setting.curvatures, dtype=torch.float64), len(setting.curvatures) + 1
    W, length = 3 * torch.eye(n, dtype=torch.float64), 0.0
    rule = GradientDescent(1.0) if setting.moment == "none" else AdaLomo(setting.lr)
    seen = (lambda M: M.flatten()) if setting.moment == "full" else (lambda M: M)
    state, steep = rule.init(seen(W)), W.diagonal()[1:]
    start = h * (steep - 1) ** 2 / 2
    for _ in range(setting.steps):
        length += setting.lr * max(1e-3, float(rms(W)))
        g = torch.cat([torch.tensor([setting.slope], dtype=torch.float64), h * (W.diagonal()[1:] - 1)]).diag()
        delta, state = rule.step(seen(g), state, seen(W))
        W = W + delta.view(n, n)
    lost = start - h * (W.diagonal()[1:] - 1) ** 2 / 2
    limit = factored_update.frozen_decrease.at(size=n, flat=setting.slope, length=length)
    return {"largest": float((lost / limit).max()), "left": float(1 - lost.min() / start[lost.argmin()])}


RUNS = tuple(Turned(problem, shape) for problem in ("rotated", "aligned", "nonconvex") for shape in ((6, 4), (12, 20)))
TWO = tuple(First("diagonal", (2, 2), ratio) for ratio in (3.0, 0.01))
GAUSSIAN = tuple(First("gaussian", shape) for shape in ((2, 2), (3, 5), (12, 20)))
QUICK = dict(source="derived", known="derived", tier="quick", cost_s=0.2)
ANGLE = QUICK | dict(dossier="lomo T8", kind="lower", tau=ROUNDING)
RMS = QUICK | dict(
    dossier="lomo T6",
    kind="lower",
    quantity=factored_update.first_rms.quantity,
    measure=per_seed(first_update),
    estimate=Range("rms"),
    bound=factored_update.first_rms,
    constants=lambda s: {"rows": float(s.shape[0]), "cols": float(s.shape[1])},
)
FROZEN = QUICK | dict(
    dossier="lomo T7",
    kind="upper",
    quantity="decrease of the loss of one steep entry of a diagonal in a run, over n x slope x sum of lr RMS(w)",
    measure=per_seed(freeze),
    estimate=Range("largest"),
    limit=1.0,
)
CLAIMS = (
    Claim(
        id="adalomo.factored-angle",
        theorems=("factored_angle",),
        statement="Along every run cos(gradient, update) >= 2 sqrt(k) / (1 + k), with k read off the row and column means.",
        quantity="smallest cosine between gradient and update over its bound",
        plan=Grid(RUNS, seeds=(0, 1)),
        measure=per_seed(angles),
        estimate=Range("quotient"),
        limit=1.0,
        predicted=Outcome.HOLDS,
        **ANGLE,
    ),
    Claim(
        id="adalomo.factored-angle.attained",
        statement="AdaLomo's first step on a diagonal gradient of two entries attains it.",
        quantity=factored_update.angle.quantity,
        plan=Grid(TWO, seeds=(0,)),
        measure=per_seed(first_update),
        estimate=Range("cosine"),
        bound=factored_update.angle,
        constants=lambda s: {"spread": max(s.ratio, 1 / s.ratio) ** 2},
        predicted=Outcome.ATTAINED,
        **ANGLE,
    ),
    Claim(
        id="adalomo.first-rms",
        statement="The first update has the RMS sqrt((m + n - 1) / (m n)) at least, before it is clipped.",
        plan=Grid(GAUSSIAN, seeds=tuple(range(20))),
        predicted=Outcome.HOLDS,
        **RMS,
    ),
    Claim(
        id="adalomo.first-rms.attained",
        statement="... which a single row attains, and one dominant entry beside its row and column nearly.",
        plan=Grid((First("row", (1, 7)), First("cross", (2, 2)), First("cross", (12, 20))), seeds=(0,)),
        predicted=Outcome.ATTAINED,
        tau=1e-3,  # row and column shares of 2e-4 or less, halved by the root
        **RMS,
    ),
    Claim(
        id="adalomo.freeze",
        theorems=("factored_freeze",),
        statement="Beside a flat entry a steep one loses at most n x slope x sum of lr RMS(w), whatever its curvature.",
        plan=Grid(tuple(Freeze(slope) for slope in (1e-4, 1e-2, 0.1)), seeds=(0,)),
        predicted=Outcome.HOLDS,
        **FROZEN,
    ),
    Claim(
        id="adalomo.freeze.attained",
        theorems=("factored_freeze",),
        statement="... and all of that in the limit of a small slope: 1e-6 here.",
        plan=Grid((Freeze(1e-6), Freeze(1e-6, curvatures=(1.0, 1e4))), seeds=(0,)),
        predicted=Outcome.ATTAINED,
        tau=1e-4,  # the flat entry takes 1 - O(slope^2) of the step, and second-order terms are of order slope
        **FROZEN,
    ),
    Claim(
        id="adalomo.freeze.full",
        theorems=("factored_freeze",),
        statement="With the full second moment a steep entry loses no more, either.",
        plan=Grid((Freeze(1e-2, moment="full"),), seeds=(0,)),
        predicted=Outcome.VIOLATED,
        **FROZEN,
    ),
    Claim(
        id="adalomo.freeze.lomo",
        theorems=("factored_freeze",),
        statement="Gradient descent with lr = 1 / L leaves nothing of the steep entries after one step, beside the same flat entry.",
        kind="equality",
        dossier="lomo T7",
        quantity="largest share of the loss of a steep entry that is left",
        plan=Grid((Freeze(1e-2, curvatures=(1.0, 1.0), moment="none", steps=1),), seeds=(0,)),
        measure=per_seed(freeze),
        estimate=Range("left"),
        limit=0.0,
        predicted=Outcome.HOLDS,
        **QUICK,
    ),
)
