"""Question: by how much can and must a step of AdaLomo shrink the weight, and does the curvature matter?

Claims: adalomo.contraction                     no step shrinks RMS(w) by more than 1 - lr, on any function, by any memory
        adalomo.contraction.attained            ... which equal magnitudes attain, whatever the curvatures
        adalomo.contraction.weight-decay        ... also with weight decay: no, the decay shrinks it further
        adalomo.aligned-factor                  memoryless on aligned axes the largest entry shrinks by 1 - lr / sqrt(d) at least
        adalomo.aligned-factor.attained         ... which a start with one entry attains
        adalomo.aligned-factor.with-memory      ... also with the default memory: no
        adalomo.curvature-free                  a vector's run does not feel the curvatures of aligned axes at all
        adalomo.curvature-free.matrix           ... nor does a matrix's: no
        adalomo.curvature-free.tensor           ... but no run feels a factor of all curvatures of its tensor
Proof:  proofs/proof_adalomo_crossover.py
Cost:   1 s on one CPU core
Run:    sandbox check adalomo.contraction adalomo.aligned-factor adalomo.curvature-free

Memoryless is decay_rate = 0: the second moment is that of the gradient now. Everything has its minimiser at 0, which is
what AdaLomo's relative step likes best.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.averages import rms
from sandbox.optimizers.base import Rule
from sandbox.problems.base import Problem
from sandbox.problems.matrix_quadratic import MatrixQuadratic
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.problems.spectra import log_spaced
from sandbox.theory import adalomo_crossover
from sandbox.verdict import Outcome

ROUNDING = 1e-10  # float64: some hundred steps of 1e-16 each, amplified by sums over entries


@dataclass(frozen=True)
class Descent:
    """kappa: condition number; of problem "tensor" the factor of its curvatures 1..30.  decay_rate: 0 is memoryless.

    start: of equal magnitudes, of one entry, or Gaussian.
    """

    problem: Literal["aligned", "rotated", "matrix", "tensor", "nonconvex"]
    start: Literal["equal", "one entry", "gaussian"]
    decay_rate: float
    lr: float = 0.1
    kappa: float = 1e4
    weight_decay: float = 0.0
    d: int = 12
    steps: int = 40


def problem_of(setting: Descent) -> Problem:
    spectrum = log_spaced(setting.d, low=1.0, high=setting.kappa) if setting.kappa > 1 else (1.0,) * setting.d
    return {
        "aligned": lambda: Quadratic(spectrum, basis="axes"),
        "rotated": lambda: Quadratic(spectrum),
        "matrix": lambda: MatrixQuadratic(spectrum, columns=3, basis="axes"),
        "tensor": lambda: MatrixQuadratic(tuple(setting.kappa * h for h in log_spaced(setting.d, low=1.0, high=30.0)), columns=3),
        "nonconvex": lambda: SmoothNonconvex(setting.d, 3, start_scale=0.5),
    }[setting.problem]()


def start_of(setting: Descent, seed: int) -> Tensor:
    (w,) = problem_of(setting).start(seed).values()
    if setting.start == "gaussian":
        return w
    return w.sign() if setting.start == "equal" else torch.eye(setting.d, dtype=torch.float64)[seed % setting.d]


def walk(problem: Problem, rule: Rule, w: Tensor, steps: int) -> Tensor:
    """(steps + 1, ...) weights, by the rule itself."""
    (name,), state, path = problem.start(0), rule.init(w), [w]
    gradient = torch.func.grad(lambda w: problem.loss({name: w}, None))
    for _ in range(steps):
        delta, state = rule.step(gradient(path[-1]), state, path[-1])
        path.append(path[-1] + delta)
    return torch.stack(path)


def path_of(setting: Descent, seed: int) -> Tensor:
    rule = AdaLomo(setting.lr, decay_rate=setting.decay_rate, weight_decay=setting.weight_decay)
    return walk(problem_of(setting), rule, start_of(setting, seed), setting.steps)


def shrinkage(setting: Descent, seed: int) -> dict[str, float]:
    """Smallest ratio of RMS(w) after a step to that before, and the largest ratio of the largest entries."""
    path = path_of(setting, seed).flatten(1)
    sizes, largest = torch.stack([rms(w) for w in path]), path.abs().amax(1)
    return {"rms": float((sizes[1:] / sizes[:-1]).min()), "largest": float((largest[1:] / largest[:-1]).max())}


def contraction_constants(setting: Descent) -> dict[str, float]:
    return {"lr": setting.lr, "rms": 1.0, "eps2": 1e-3}  # RMS(w) falls by 0.9^40 = 0.015 at most, and starts near 1


def difference(setting: Descent, seed: int) -> dict[str, float]:
    """Of the paths with curvatures 1..kappa and with equal ones, from the same start: largest distance over norm."""
    flat = Descent(**{**setting.__dict__, "kappa": 1.0})
    one, other = (path_of(s, seed).flatten(1) for s in (setting, flat))
    return {"difference": float(((one - other).norm(dim=1) / one.norm(dim=1)).max())}


ANY = tuple(
    Descent(problem, "gaussian", decay, lr=lr)
    for problem, lr in (("rotated", 0.1), ("aligned", 0.05), ("matrix", 0.1), ("nonconvex", 0.02))
    for decay in (0.0, -0.8)
)
EQUAL = (Descent("aligned", "equal", 0.0), Descent("aligned", "equal", 0.0, lr=0.02))
ALIGNED = tuple(Descent("aligned", "gaussian", 0.0, lr=lr) for lr in (0.02, 0.2))
ONE = tuple(Descent("aligned", "one entry", 0.0, lr=lr) for lr in (0.02, 0.2))
MEMORY = (Descent("aligned", "one entry", -0.8, lr=0.2),)
QUICK = dict(source="derived", known="derived", dossier="lomo C12, T15", tier="quick", cost_s=0.3, estimate=Range("rms"))
CONTRACTION = QUICK | dict(
    kind="lower",
    quantity=adalomo_crossover.contraction_least.quantity,
    measure=per_seed(shrinkage),
    bound=adalomo_crossover.contraction_least,
    constants=contraction_constants,
    scope=lambda s: "the theorem is about steps without weight decay" if s.weight_decay else None,
    tau=ROUNDING,
)
FACTOR = QUICK | dict(
    kind="upper",
    quantity=adalomo_crossover.aligned_factor.quantity,
    measure=per_seed(shrinkage),
    estimate=Range("largest"),
    tau=ROUNDING,
)
BOUNDED = FACTOR | dict(bound=adalomo_crossover.aligned_factor, constants=lambda s: {"lr": s.lr, "dim": float(s.d)})
FREE = QUICK | dict(
    kind="upper",
    quantity="largest distance between the runs with curvatures 1..1e4 and with equal ones, over the norm",
    measure=per_seed(difference),
    estimate=Range("difference"),
    limit=ROUNDING,
)
DECAYED = (Descent("aligned", "equal", 0.0, weight_decay=0.5),)


CLAIMS = (
    Claim(
        id="adalomo.contraction",
        statement="No step of AdaLomo shrinks RMS(w) by more than the factor 1 - lr: on any function, with any memory and shape.",
        plan=Grid((*ANY, *DECAYED), seeds=(0, 1, 2)),
        predicted=Outcome.HOLDS,
        **CONTRACTION,
    ),
    Claim(
        id="adalomo.contraction.attained",
        statement="From equal magnitudes on aligned axes the memoryless rule shrinks RMS(w) by exactly 1 - lr, kappa = 1e4 or not.",
        plan=Grid(EQUAL, seeds=(0, 1, 2)),
        predicted=Outcome.ATTAINED,
        **CONTRACTION,
    ),
    Claim(
        id="adalomo.contraction.weight-decay",
        theorems=("adalomo_crossover",),
        statement="The factor 1 - lr survives weight decay.",
        plan=Grid(DECAYED, seeds=(0, 1, 2)),
        predicted=Outcome.VIOLATED,  # the first step takes lr s wd w on top: 1 - lr - lr wd from RMS 1
        **{key: value for key, value in CONTRACTION.items() if key not in ("bound", "constants", "scope")},
        limit=lambda s: 1 - s.lr,
    ),
    Claim(
        id="adalomo.aligned-factor",
        statement="Memoryless on aligned axes the largest entry shrinks by 1 - lr / sqrt(d) at least, whatever the curvatures.",
        plan=Grid(ALIGNED, seeds=tuple(range(8))),
        predicted=Outcome.HOLDS,
        **BOUNDED,
    ),
    Claim(
        id="adalomo.aligned-factor.attained",
        statement="... and by exactly that at every step where one entry alone is not 0.",
        plan=Grid(ONE, seeds=(0, 1, 2)),
        predicted=Outcome.ATTAINED,
        **BOUNDED,
    ),
    Claim(
        id="adalomo.aligned-factor.with-memory",
        theorems=("adalomo_crossover",),
        statement="The factor 1 - lr / sqrt(d) survives the default memory of the second moment.",
        plan=Grid(MEMORY, seeds=(0, 1, 2)),
        predicted=Outcome.VIOLATED,  # a falling gradient meets a larger average: u < 1
        limit=adalomo_crossover.aligned_factor.at(lr=0.2, dim=12.0),
        **FACTOR,
    ),
    Claim(
        id="adalomo.curvature-free",
        theorems=("adalomo_crossover",),
        statement="A vector's run does not feel the curvatures of aligned axes, with or without memory.",
        plan=Grid(tuple(Descent("aligned", "gaussian", decay) for decay in (0.0, -0.8)), seeds=(0, 1, 2)),
        predicted=Outcome.HOLDS,
        **FREE,
    ),
    Claim(
        id="adalomo.curvature-free.matrix",
        theorems=("adalomo_crossover",),
        statement="Nor does the run of a matrix, whose second moment is factored.",
        plan=Grid((Descent("matrix", "gaussian", -0.8),), seeds=(0, 1, 2)),
        predicted=Outcome.VIOLATED,  # column means mix rows of different curvature
        **FREE,
    ),
    Claim(
        id="adalomo.curvature-free.tensor",
        theorems=("adalomo_crossover",),
        statement="No run feels a factor of all curvatures of its tensor, so that condition between tensors drops out.",
        plan=Grid((Descent("tensor", "gaussian", -0.8),), seeds=(0, 1, 2)),
        predicted=Outcome.HOLDS,
        **FREE,
    ),
)
