"""The whole Hessian of a loss, as a matrix: the truth that every cheaper measure of curvature is checked against.

    H_ij = d^2 loss / (d theta_i d theta_j),   one row at a time: e_i^T H = d (e_i^T gradient) / d theta

Reverse mode over reverse mode, many rows at once under `torch.func.vmap`; the graph of the gradient is built once and
used for all rows (a fifth faster than forward over reverse on a transformer of 3,000 parameters). Everything runs in
float64. Tensors that are not named stay fixed, so `names=("w",)` gives the diagonal block of one tensor at the price
of that tensor alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sandbox.curvature.layout import Layout, layout_of
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Hessian:
    """matrix: (n, n) float64, in loss / param^2.  layout: where each tensor lies in it."""

    matrix: np.ndarray
    layout: Layout

    def block(self, row: str, column: str | None = None) -> np.ndarray:
        """The second derivatives between two tensors; with one name, that tensor's own diagonal block."""
        return self.matrix[self.layout.where(row), self.layout.where(row if column is None else column)]


def gradient_at(problem: Problem, params: Params, batch: Any, layout: Layout) -> Callable[[Tensor], Tensor]:
    """theta (n,) -> gradient (n,) of the loss in the tensors of `layout`; the other tensors stay as they are in `params`."""
    fixed = {name: value.detach().double() for name, value in params.items() if name not in layout.names}

    def loss(vector: Tensor) -> Tensor:
        return problem.loss({**fixed, **layout.unflatten(vector)}, batch)

    return torch.func.grad(loss)


def products(gradient: Callable[[Tensor], Tensor], at: Tensor) -> Callable[[Tensor], Tensor]:
    """V (k, n) -> V H (k, n), with H the symmetric Jacobian of `gradient` at the point `at` (n,)."""
    _, pull = torch.func.vjp(gradient, at)
    along = torch.func.vmap(lambda v: pull(v)[0])
    return lambda rows: along(rows).detach()


def dense_hessian(
    problem: Problem,
    params: Params,
    batch: Any,
    *,
    names: Sequence[str] | None = None,
    chunk: int = 64,
    max_parameters: int = 6_000,
) -> Hessian:
    """The Hessian in the named tensors (None: all), `chunk` rows at a time.

    Raises ValueError where the tensors hold more than `max_parameters` entries.
    """
    layout = layout_of(params, names)
    n = layout.size
    if n > max_parameters:
        raise ValueError(
            f"a dense Hessian needs at most {max_parameters:,} parameters, got {n:,} in {len(layout.names)} tensors: "
            f"the matrix alone would take {8 * n * n:,} bytes and {n:,} products; name fewer tensors, raise "
            f"max_parameters, or use hessian_operator, which keeps no matrix"
        )
    times_hessian = products(gradient_at(problem, params, batch, layout), layout.flatten(params))
    matrix = np.empty((n, n))
    for first in range(0, n, chunk):
        units = torch.zeros(min(chunk, n - first), n, dtype=torch.float64)
        units.diagonal(first).fill_(1.0)
        matrix[first : first + len(units)] = times_hessian(units).numpy()
    return Hessian(matrix, layout)
