"""Question: what do AdaLomo's normalised step and its rank-one second moment guarantee?

Claims: adalomo.step-bound             RMS of a step <= lr max(eps2, RMS(w)), whatever the gradients; attained
        adalomo.factored-error         D(V || V1) = S x mutual information of row and column
        adalomo.factored-error-limit   ... <= S x the smaller marginal entropy, which a permutation attains
        adalomo.factored-noise         at a rank-one truth D / S = psi(N/2 + 1) - log(N/2) after N averages
        adalomo.factored-denoises      there the factored estimate has (n + m - 1) / (n m) of the full one's squared error
        adalomo.inverse-steps          worst case: on a diagonal gradient the step is inversely proportional to the gradient
Proof:  proofs/proof_rank_one_nmf.py
Cost:   3 s on one CPU core
Run:    sandbox check adalomo.step-bound adalomo.factored-error adalomo.inverse-steps

Notation: V = the second moment of an (n, m) matrix, V1 its factorisation, S = sum V, RMS(x) = sqrt(mean(x^2)).
decay_rate = -1 makes AdaLomo's running average the plain mean, so that N = number of steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Mean, Range, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.averages import rms
from sandbox.theory import adalomo, factorisation
from sandbox.verdict import Outcome

ROUNDING = 1e-10  # float64: sums of up to 1e5 terms, and quotients of them


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
class Moment:
    """A second moment V drawn from `draw`: gamma entries, about half of them 0, or one entry a row and a column."""

    law: Literal["gamma", "sparse", "permutation"]
    shape: tuple[int, int]
    draw: int = 0


def second_moment(setting: Moment) -> Tensor:
    """(n, m), no row and no column all 0 (for n = m; a wide matrix is large enough)."""
    rng = generator(setting.draw)
    V_nm = normal(setting.shape, rng) ** 2 + normal(setting.shape, rng) ** 2  # twice a gamma variable of shape 1
    if setting.law == "permutation":
        return torch.eye(*setting.shape, dtype=torch.float64)
    return V_nm if setting.law == "gamma" else V_nm * (V_nm > 1.4)  # 1.4 = 2 log 2 is the median


def factored(steps: Iterator[Tensor]) -> Tensor:
    """V1 as the rule keeps it after these gradients, each with the same weight: row means times column means over the mean."""
    rule, state = AdaLomo(lr=1.0, eps=(0.0, 1e-3), decay_rate=-1.0), None
    for g in steps:
        _, state = rule.step(g, rule.init(g) if state is None else state, g)
    return state.r[:, None] * state.c[None, :] / state.r.mean()


def divergence(V: Tensor, W: Tensor) -> float:
    """D(V || W) = sum V log(V / W) - V + W, with 0 log 0 = 0."""
    return float(torch.xlogy(V, torch.where(V > 0, V / W, 1.0)).sum() - V.sum() + W.sum())


def factoring_error(setting: Moment, seed: int) -> dict[str, float]:
    V_nm = second_moment(setting)
    return {"divergence": divergence(V_nm, factored(iter([V_nm.sqrt()])))}


def entropies(setting: Moment) -> tuple[float, float, float, float]:
    """S, and the entropies in nats of the row, of the column, and of both."""
    V_nm = second_moment(setting)
    S = float(V_nm.sum())
    return S, *(-float(torch.xlogy(p / S, p / S).sum()) for p in (V_nm.sum(1), V_nm.sum(0), V_nm))


def total_and_information(setting: Moment) -> dict[str, float]:
    S, rows, columns, both = entropies(setting)
    return {"S": S, "information": rows + columns - both}


def total_and_entropy(setting: Moment) -> dict[str, float]:
    S, rows, columns, _ = entropies(setting)
    return {"S": S, "entropy": min(rows, columns)}


@dataclass(frozen=True)
class Noise:
    """g_ij = sqrt(a_i b_j) z with Gaussian z, averaged N times; a, b uniform on [1 - spread, 1 + spread]."""

    N: int
    shape: tuple[int, int]
    spread: float


def noisy_moments(setting: Noise, seed: int) -> dict[str, float]:
    """D / S of the averaged V from its factorisation, and the mean squared relative error of both."""
    sides = (torch.rand(k, generator=generator(seed, i), dtype=torch.float64) for i, k in enumerate(setting.shape))
    a, b = (1 + setting.spread * (2 * u - 1) for u in sides)
    truth_nm = a[:, None] * b[None, :]
    g_steps = [truth_nm.sqrt() * normal(setting.shape, generator(seed, 2, k)) for k in range(setting.N)]
    V_nm, V1_nm = torch.stack(g_steps).square().mean(0), factored(iter(g_steps))
    return {
        "relative": divergence(V_nm, V1_nm) / float(V_nm.sum()),
        "full": float((V_nm / truth_nm - 1).square().mean()),
        "factored": float((V1_nm / truth_nm - 1).square().mean()),
    }


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


STEPS = tuple(Step(law, weight) for law in ("gaussian", "cauchy", "jumps", "constant") for weight in (1e-4, 1.0))
MOMENTS = (
    *(Moment(law, shape, draw) for law in ("gamma", "sparse") for shape in ((8, 11), (64, 48)) for draw in (0, 1)),
    Moment("permutation", (6, 6)),
)
DIAGONALS = (Diagonal((1e-3, 1e-2, 0.1, 1.0)), Diagonal((1.0, 2.0, 5.0)))
QUICK = dict(tier="quick", cost_s=1, known="derived")
CLAIMS = (
    Claim(
        id="adalomo.step-bound",
        statement="Grouped normalisation keeps the RMS of every step at or below lr max(eps2, RMS(w)), for any gradients.",
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
        id="adalomo.factored-error",
        statement="What factoring loses is the dependence of row and column: D(V || V1) = S x their mutual information.",
        source="derived; Adafactor (arXiv:1804.04235), section 3, for the factorisation",
        dossier="lomo T2",
        kind="equality",
        quantity=factorisation.error.quantity,
        plan=Grid(MOMENTS, seeds=(0,)),
        measure=per_seed(factoring_error),
        estimate=Range("divergence"),
        bound=factorisation.error,
        constants=total_and_information,
        tau=ROUNDING,
        predicted=Outcome.HOLDS,
        **QUICK,
    ),
    Claim(
        id="adalomo.factored-error-limit",
        statement="Factoring never loses more than S x the smaller marginal entropy; a permutation loses all of it.",
        source="derived",
        dossier="lomo T2",
        kind="upper",
        quantity=factorisation.error_limit.quantity,
        plan=Grid(MOMENTS, seeds=(0,)),
        measure=per_seed(factoring_error),
        estimate=Range("divergence"),
        bound=factorisation.error_limit,
        constants=total_and_entropy,
        tau=ROUNDING,
        predicted=Outcome.HOLDS,
        subject="adalomo.factored-error",
        **QUICK,
    ),
    Claim(
        id="adalomo.factored-noise",
        statement="Where the truth has rank one, sampling noise of N averages costs D / S = psi(N/2 + 1) - log(N/2).",
        source="derived; limit of a large matrix",
        dossier="lomo C11, T4",
        kind="equality",
        quantity=factorisation.sampling_error.quantity,
        plan=Grid(tuple(Noise(N, (256, 256), 0.5) for N in (1, 4, 16)), seeds=tuple(range(8))),
        measure=per_seed(noisy_moments),
        estimate=Mean("relative"),
        bound=factorisation.sampling_error,
        constants=lambda s: {"N": s.N},
        tau=0.02,  # V1 is noisy too: D(V1 || truth) / S = (sum p^2 + sum q^2) / N, 0.8 % with unequal a, b and 1.2 % of D / S at N = 1
        predicted=Outcome.HOLDS,
        **QUICK,
    ),
    Claim(
        id="adalomo.factored-denoises",
        statement="Where the truth has rank one, factoring divides the squared error of the second moment by n m / (n + m - 1).",
        source="derived; first order in 1 / N",
        dossier="lomo T4",
        kind="equality",
        quantity="squared error of the factored second moment / squared error of the full one",
        plan=Grid((Noise(16, (32, 48), 0.0),), seeds=tuple(range(100)), chunk=100),
        measure=per_seed(noisy_moments),
        estimate=RatioOfMeans("factored", "full"),
        limit=lambda s: (sum(s.shape) - 1) / (s.shape[0] * s.shape[1]),
        tau=0.1,  # the next order is O(1 / N) = 6 %, and 100 seeds of 79 squares each leave 3 %
        predicted=Outcome.HOLDS,
        **QUICK,
    ),
    Claim(
        id="adalomo.inverse-steps",
        statement="On a diagonal gradient the entry with the smallest gradient takes the largest step: steps go as 1 / gradient.",
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
        statement="That step is sqrt(entries) / (smallest gradient x norm of the inverse gradients) times lr max(eps2, RMS(w)).",
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
