"""The whole Hessian of a problem, as a matrix: the truth that every cheaper measure of curvature is checked against.

    H_ij = d^2 loss / (d theta_i d theta_j)

The entry for a `Problem` and one batch; `objective`, `operators` and `dense` have the rest (ragged batches, Gauss-Newton,
sub-blocks). Tensors that are not named stay fixed, so `names=("w",)` gives the diagonal block of one tensor at the price of that
tensor alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sandbox.curvature.dense import Say, dense
from sandbox.curvature.layout import Layout
from sandbox.curvature.objective import objective
from sandbox.curvature.operators import Curvature, hessian
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Hessian:
    """matrix: (n, n), in loss / param^2.  layout: where each tensor lies in it."""

    matrix: np.ndarray
    layout: Layout

    def block(self, row: str, column: str | None = None) -> np.ndarray:
        """The second derivatives between two tensors; with one name, that tensor's own diagonal block."""
        return self.matrix[self.layout.where(row), self.layout.where(row if column is None else column)]


def curvature_of(
    problem: Problem, params: Params, batch: Any, *, names: Sequence[str] | None = None, dtype: torch.dtype = torch.float64
) -> Curvature:
    """The Hessian of a problem on one batch by its products. Raises ValueError as `objective` and `operators.hessian` do."""
    return hessian(objective(problem.loss, params, [batch], names=names, dtype=dtype))


def dense_hessian(
    problem: Problem,
    params: Params,
    batch: Any,
    *,
    names: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
    say: Say = lambda progress: None,
) -> Hessian:
    """The Hessian in the named tensors (None: all), computed in `dtype`; `say` is told the plan, then of every chunk of rows.

    Raises ValueError where memory does not hold it, and for a loss without a usable Hessian (see `checks`).
    """
    matrix = curvature_of(problem, params, batch, names=names, dtype=dtype)
    return Hessian(dense(matrix, say=say), matrix.layout)
