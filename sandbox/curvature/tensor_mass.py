"""The block mass of every tensor of a model inside its own Hessian, each to a stated accuracy, without a dense matrix.

    mass_t = inside_t / total_t,   inside_t = sum over blocks b of t of |H_bb|_F^2,   total_t = |H_tt|_F^2
    mass   = sum_t inside_t / sum_t total_t                                  `together`: of the part of H that lies inside tensors

Tensors are measured one by one, by products with H_tt alone: the loss is differentiated in that tensor only, which costs a
fraction of a whole product, and nothing leaks from other tensors. Small tensors get their exact Hessian. Large ones get
rounds of coloured probes (`coloured_mass`): a few first, then as many more as the spread so far calls for, until the
interval is narrow enough or the products are spent. Where that would be more than two per block, two directions of each
block are taken out first (`deflated_mass`), then one more as long as that pays. Stopping at a narrow interval makes it
slightly too narrow: see the coverage in the tests.

Adam-mini's own argument is about H_tt (Zhang et al., 2024, https://arxiv.org/abs/2406.16793). Departures: it measures nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from sandbox.curvature.block_mass import block_mass, check_labels, groups
from sandbox.curvature.checks import check_objective
from sandbox.curvature.coloured_mass import ColouredMass, coloured_mass
from sandbox.curvature.deflated_mass import Deflation, deflation
from sandbox.curvature.objective import objective
from sandbox.curvature.operators import own_operator
from sandbox.curvature.probes import Estimate, times_in_chunks
from sandbox.problems.base import Params

GROWTH = 4  # rounds grow by at most this factor at once, because the first spread is known to a third only


@dataclass(frozen=True)
class Effort:
    """How far to go. within: half of the 95 % interval of a tensor's mass, relative to the mass.  most: products per tensor.

    n_colours, n_rounds: of the first coloured probes.  dense: tensors of at most so many entries in several
    blocks are measured exactly.
    """

    within: float = 0.05
    n_colours: int = 16
    n_rounds: int = 6
    most: int = 2048
    dense: int = 128


@dataclass(frozen=True)
class TensorMass:
    """One tensor of `size` entries in n_blocks blocks. inside, total in (loss / param^2)^2; an error of 0: exact up to rounding.

    negligible: |H_tt| is below one rounding of the largest |H_tt| of the model, so that the mass may be one of rounding errors.
    """

    name: str
    size: int
    n_blocks: int
    inside: Estimate
    total: Estimate
    mass: Estimate
    negligible: bool = False

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the mass, relative to the mass."""
        return _half_width(self.mass)


def tensor_masses(
    loss: Callable[[Params, Any], Tensor],
    params: Params,
    batches: Sequence[Any],
    labels: Mapping[str, Tensor],
    *,
    effort: Effort = Effort(),
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> tuple[TensorMass, ...]:
    """One row for each tensor of `labels` (a `Partition.labels`), in its order.

    Raises ValueError for labels of the wrong number and for all that `objective` and `check_objective` refuse.
    """
    check_objective(objective(loss, params, batches, names=list(labels), dtype=dtype))
    found = []
    for name, label in labels.items():
        one = objective(loss, params, batches, names=(name,), dtype=dtype)
        found.append((name, *_measured(own_operator(one), label.reshape(-1).numpy(), effort, seed)))
    rounding = float(torch.finfo(dtype).eps) ** 2 * max(total.value for *_, total, _ in found)
    return tuple(TensorMass(*row, negligible=row[4].value <= rounding) for row in found)


def whole_operator(
    loss: Callable[[Params, Any], Tensor], params: Params, batches: Sequence[Any], *, dtype: torch.dtype = torch.float32
) -> LinearOperator:
    """H in all tensors, in their order, for `coloured_mass` with `Partition.flat()`: the block mass of the whole Hessian."""
    one = objective(loss, params, batches, dtype=dtype)
    check_objective(one)
    return own_operator(one)


def together(rows: Sequence[TensorMass]) -> Estimate:
    """sum inside / sum total; tensors are independent, so the variances of inside - mass * total add up (delta method).

    n_samples: 1 + the degrees of freedom by Satterthwaite's rule, rounded down.
    """
    total = sum(row.total.value for row in rows)
    share = sum(row.inside.value for row in rows) / total
    variances = np.array([_variance(row, share) for row in rows]) / total**2
    freedom = [row.mass.n_samples - 1 for row in rows]
    spent = sum(row.mass.n_products for row in rows)
    weight = float((np.square(variances) / freedom).sum())
    degrees = int(variances.sum() ** 2 / weight) if weight else min(freedom)
    return Estimate(share, float(variances.sum() ** 0.5), degrees + 1, spent)


def _measured(operator: LinearOperator, label: np.ndarray, effort: Effort, seed: int) -> tuple[int, int, Estimate, Estimate, Estimate]:
    """size, n_blocks, inside, total, mass."""
    n, n_blocks = operator.shape[0], len(groups(label, operator.shape[0]))
    found = None if 1 < n_blocks and n <= effort.dense else _probed(operator, label, effort, seed)
    if found is None:
        return n, n_blocks, *_exact(operator, label)
    return n, n_blocks, found.inside, found.total, found.mass


def _probed(operator: LinearOperator, label: np.ndarray, effort: Effort, seed: int) -> ColouredMass | None:
    """None where the exact Hessian costs less."""
    start = deflation(operator, label, depth=0, seed=seed)
    rounds = coloured_mass(operator, label, n_colours=effort.n_colours, n_rounds=effort.n_rounds, seed=seed)
    while _pays(start, rounds, effort):
        start = replace(start, n_products=start.n_products + rounds.n_products)  # spent, though these rounds have served
        start = start.deeper() if start.depth else start.deeper().deeper()
        rounds = coloured_mass(start.rest, label, n_colours=effort.n_colours, n_rounds=effort.n_rounds, seed=seed)
    found = start.after(rounds)
    while (need := _rounds(found, start, effort)) > (m := len(found.samples)):
        if called_for(found, effort, start.n_products) >= operator.shape[0] <= effort.most:
            return None
        more = coloured_mass(start.rest, label, n_colours=effort.n_colours, n_rounds=need - m, seed=seed, first=m)
        rounds = ColouredMass(np.concatenate((rounds.samples, more.samples)), rounds.n_products + more.n_products)
        found = start.after(rounds)
    return found


def called_for(found: ColouredMass, effort: Effort, once: int = 0) -> float:
    """Products that the spread so far calls for, at the price of the rounds that there are. once: those that no round repeats."""
    return once + (found.n_products - once) * (_half_width(found.mass) / effort.within) ** 2


def _pays(start: Deflation, rounds: ColouredMass, effort: Effort) -> bool:
    """Whether going deeper and as many rounds again cost less than the rounds that are called for, if not more than may be spent."""
    deeper = start.n_products + (1 if start.depth else 2) * start.n_blocks + 2 * rounds.n_products
    return called_for(start.after(rounds), effort, start.n_products) > deeper < min(effort.most + 1, len(start.block))


def _rounds(found: ColouredMass, start: Deflation, effort: Effort) -> int:
    """Rounds in all that the spread so far calls for; those that there are, where nothing more is to be done."""
    m = len(found.samples)
    wide = _half_width(found.mass) / effort.within
    most = (effort.most - start.n_products) * m // (found.n_products - start.n_products)
    if wide <= 1.0 or m + 2 > most:
        return m
    return min(max(m + 2, ceil(m * min(wide**2, GROWTH))), most)


def _half_width(mass: Estimate) -> float:
    low, high = mass.interval()
    return (high - low) / 2.0 / abs(mass.value) if high > low else 0.0


def _exact(operator: LinearOperator, label: np.ndarray) -> tuple[Estimate, Estimate, Estimate]:
    n = operator.shape[0]
    H = times_in_chunks(operator, np.eye(n, dtype=operator.dtype), 16)
    total = float(np.square(H).sum())
    share = block_mass(H, check_labels(label, n)) if total else float("nan")
    return tuple(Estimate(value, 0.0, n + 1, n) for value in (share * total if total else 0.0, total, share))


def _variance(row: TensorMass, share: float) -> float:
    """Of inside - share * total; how inside and total vary together follows from the standard error of the tensor's own mass."""
    a, b, rest = row.inside.standard_error, row.total.standard_error, row.mass.standard_error * row.total.value
    own = row.mass.value
    if not b or not own:
        return a**2 + (share * b) ** 2
    covariance = (a**2 + (own * b) ** 2 - rest**2) / (2.0 * own)
    return max(a**2 + (share * b) ** 2 - 2.0 * share * covariance, 0.0)
