"""Question: how large can AdaLomo's step be, and which entry takes the largest?

Claims: adalomo.step-bound              RMS of a step <= lr max(eps2, RMS(w)), whatever the gradients; attained
        adalomo.step-entry              no entry of a vector's step exceeds sqrt(size) times that bound
        adalomo.step-entry.attained     ... which a silent entry attains
        adalomo.step-entry.weight-decay ... also with weight decay: no
        adalomo.vector-entry            no entry of a vector's update exceeds t^0.4 at step t, before it is clipped
        adalomo.vector-entry.attained   ... which a silent entry attains, too
        adalomo.inverse-steps           worst case: on a diagonal gradient the step is inversely proportional to the
                                        gradient
        adalomo.inverse-steps.largest   how large the step of the smallest gradient then is: nearly all that the bound
                                        allows
Proof:  proofs/proof_adalomo_step.py
Cost:   1 s on one CPU core
Run:    sandbox check adalomo.step-bound adalomo.step-entry adalomo.vector-entry adalomo.inverse-steps

The inverse steps are proven in proofs/proof_factored_freeze.py: V1 = diag(g^2) diag(g^2)^T / |g|^2 on a diagonal gradient.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.averages import rms
from sandbox.theory import adalomo
from sandbox.verdict import Outcome

ROUNDING = 1e-10  # float64: sums of some hundred terms, and quotients of them


@dataclass(frozen=True)
class Step:
    """weight: RMS of the weight that the step is made at, below eps2 = 1e-3 or above; it is held fixed."""

    law: Literal["gaussian", "cauchy", "jumps", "constant"]
    weight: float
    lr: float = 0.01
    shape: tuple[int, int] = (12, 20)
    steps: int = 50


def gradients(setting: Step, seed: int) -> Iterator[Tensor]:
    """Easy ones, heavy-tailed ones, ones that grow by 1e6 at every tenth step, or always the same."""
    for k in range(setting.steps):
        z = normal(setting.shape, generator(seed, k))
        yield {
            "gaussian": z,
            "cauchy": z / normal(setting.shape, generator(seed, k, 1)),
            "jumps": z * 10.0 ** (6 * (k % 10 == 9)),
            "constant": torch.full_like(z, 0.1),
        }[setting.law]


def largest_step(setting: Step, seed: int) -> dict[str, float]:
    """RMS of the largest of `steps` steps."""
    rule, w = AdaLomo(setting.lr), normal(setting.shape, generator(seed))
    w = w * (setting.weight / rms(w))
    state, largest = rule.init(w), 0.0
    for g in gradients(setting, seed):
        delta, state = rule.step(g, state, w)
        largest = max(largest, float(rms(delta)))
    return {"rms": largest}


@dataclass(frozen=True)
class Vector:
    """law: one entry silent until step `steps`, where it alone has a gradient; Cauchy; of descent on a quadratic, curvatures 0.1 to 10."""

    law: Literal["silent", "cauchy", "descent"]
    size: int
    steps: int
    lr: float = 0.01
    weight_decay: float = 0.0


def vectors(setting: Vector, seed: int) -> Iterator[Tensor]:
    n, first = setting.size, torch.eye(setting.size, dtype=torch.float64)[0]
    h, start = torch.logspace(-1, 1, n, dtype=torch.float64), normal((n,), generator(seed, 2))
    for k in range(setting.steps):
        yield {
            "silent": first if k == setting.steps - 1 else 1 - first,
            "cauchy": normal((n,), generator(seed, k)) / normal((n,), generator(seed, k, 1)),
            "descent": h * start * (1 - 0.1 * h) ** k,
        }[setting.law]


def largest_entries(setting: Vector, seed: int) -> dict[str, float]:
    """Of all steps from a weight of ones; and of the normalised update before it is clipped."""
    w = torch.ones(setting.size, dtype=torch.float64)
    clipped, bare = AdaLomo(setting.lr, weight_decay=setting.weight_decay), AdaLomo(1.0, clip_threshold=1e30)
    states, largest = [clipped.init(w), bare.init(w)], [0.0, 0.0]
    for g in vectors(setting, seed):
        for i, rule in enumerate((clipped, bare)):
            delta, states[i] = rule.step(g, states[i], w)
            largest[i] = max(largest[i], float(delta.abs().max()))
    return {"step": largest[0], "update": largest[1]}


@dataclass(frozen=True)
class Diagonal:
    """gradients: the entries of a diagonal gradient."""

    gradients: tuple[float, ...]


def inverse_steps(setting: Diagonal, seed: int) -> dict[str, float]:
    """Steps at the smallest and the largest gradient: their ratio, and the former in units of lr max(eps2, RMS(w))."""
    g, rule = torch.tensor(setting.gradients, dtype=torch.float64), AdaLomo(lr=1.0)
    w = torch.ones(len(g), len(g), dtype=torch.float64)
    delta, _ = rule.step(g.diag(), rule.init(w), w)
    at_smallest, at_largest = (float(delta.diagonal()[i].abs()) for i in (g.abs().argmin(), g.abs().argmax()))
    return {"ratio": at_smallest / at_largest, "largest": at_smallest}


def largest_by_formula(setting: Diagonal) -> float:
    """sqrt(entries) / (smallest gradient x Euclidean norm of the inverse gradients), at most sqrt(entries)."""
    g = np.array(setting.gradients)
    return float(len(g) / (g.min() * np.linalg.norm(1 / g)))


SILENT = tuple(Vector("silent", size, steps) for size, steps in ((4, 6), (9, 16)))  # t^0.4 >= sqrt(size)
VECTORS = (Vector("cauchy", 12, 50), Vector("descent", 12, 50))
DECAYED = Vector("silent", 4, 6, weight_decay=0.5)
STEPS = tuple(Step(law, weight) for law in ("gaussian", "cauchy", "jumps", "constant") for weight in (1e-4, 1.0))
DIAGONALS = (Diagonal((1e-3, 1e-2, 0.1, 1.0)), Diagonal((1.0, 2.0, 5.0)))
QUICK = dict(tier="quick", cost_s=1, known="derived")
ENTRIES = QUICK | dict(
    source="derived", dossier="lomo C13, T10", kind="upper", measure=per_seed(largest_entries), tau=ROUNDING, subject="adalomo.step-entry"
)
STEP_ENTRY = ENTRIES | dict(
    quantity=adalomo.step_entry.quantity,
    estimate=Range("step"),
    bound=adalomo.step_entry,
    constants=lambda s: {"lr": s.lr, "d": 1.0, "eps2": 1e-3, "rms": 1.0, "size": float(s.size)},
    scope=lambda s: "the theorem is about steps without weight decay" if s.weight_decay else None,
)
VECTOR_ENTRY = ENTRIES | dict(
    quantity=adalomo.vector_entry.quantity,
    estimate=Range("update"),
    bound=adalomo.vector_entry,
    constants=lambda s: {"age": s.steps**0.8},
)
CLAIMS = (
    Claim(
        id="adalomo.step-bound",
        statement=("Grouped normalisation keeps the RMS of every step at or below lr max(eps2, RMS(w)), for any gradients."),
        source="derived for the update of AdaLomo's reference code (arXiv:2310.10195)",
        dossier="lomo C13, T10",
        kind="upper",
        quantity=adalomo.step_rms.quantity,
        plan=Grid(STEPS, seeds=(0, 1, 2)),
        measure=per_seed(largest_step),
        estimate=Range("rms"),
        bound=adalomo.step_rms,
        constants=lambda s: {"lr": s.lr, "d": 1.0, "eps2": 1e-3, "rms": s.weight},
        tau=ROUNDING,
        predicted=Outcome.ATTAINED,
        **QUICK,
    ),
    Claim(
        id="adalomo.step-entry",
        statement="No entry of a step exceeds sqrt(size) times the bound of its RMS, for any gradients of a vector.",
        plan=Grid((*VECTORS, DECAYED), seeds=(0, 1, 2)),
        predicted=Outcome.HOLDS,
        **STEP_ENTRY,
    ),
    Claim(
        id="adalomo.step-entry.attained",
        statement="... which an entry attains that was silent before and alone has a gradient now.",
        plan=Grid(SILENT, seeds=(0,)),
        predicted=Outcome.ATTAINED,
        **STEP_ENTRY,
    ),
    Claim(
        id="adalomo.step-entry.weight-decay",
        theorems=("adalomo_step",),
        statement="... with weight decay, too.",
        plan=Grid((DECAYED,), seeds=(0, 1, 2)),
        limit=lambda s: s.lr * s.size**0.5,
        predicted=Outcome.VIOLATED,  # lr s wd w comes on top
        **{key: value for key, value in STEP_ENTRY.items() if key not in ("bound", "constants", "scope")},
    ),
    Claim(
        id="adalomo.vector-entry",
        statement="No entry of a vector's normalised update exceeds t^0.4 at step t, before it is clipped.",
        plan=Grid(VECTORS, seeds=(0, 1, 2)),
        predicted=Outcome.HOLDS,
        **VECTOR_ENTRY,
    ),
    Claim(
        id="adalomo.vector-entry.attained",
        statement="... which an entry attains that was silent before.",
        plan=Grid(SILENT, seeds=(0,)),
        predicted=Outcome.ATTAINED,
        **VECTOR_ENTRY,
    ),
    Claim(
        id="adalomo.inverse-steps",
        theorems=("factored_freeze",),
        statement=("On a diagonal gradient the entry with the smallest gradient takes the largest step: steps go as 1 / gradient."),
        source="derived",
        dossier="lomo T7",
        kind="equality",
        quantity="step at the smallest gradient / step at the largest gradient",
        plan=Grid(DIAGONALS, seeds=(0,)),
        measure=per_seed(inverse_steps),
        estimate=Range("ratio"),
        limit=lambda s: max(s.gradients) / min(s.gradients),
        tau=ROUNDING,
        predicted=Outcome.HOLDS,
        **QUICK,
    ),
    Claim(
        id="adalomo.inverse-steps.largest",
        theorems=("factored_freeze",),
        statement=("That step is sqrt(entries) / (smallest gradient x norm of the inverse gradients) times lr max(eps2, RMS(w))."),
        source="derived; one step from a zero state, where clipping acts",
        dossier="lomo T7",
        kind="equality",
        quantity="step at the smallest gradient / (lr max(eps2, RMS(w)))",
        plan=Grid(DIAGONALS, seeds=(0,)),
        measure=per_seed(inverse_steps),
        estimate=Range("largest"),
        limit=largest_by_formula,
        tau=ROUNDING,
        predicted=Outcome.HOLDS,
        subject="adalomo.inverse-steps",
        **QUICK,
    ),
)
