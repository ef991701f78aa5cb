"""The whole Hessian of a loss, as a matrix: the truth that every cheaper measure of curvature is checked against.

    H_ij = d^2 loss / (d theta_i d theta_j),   one column H e_j at a time by differentiating the gradient along e_j

Forward mode over reverse mode, many columns at once under `torch.func.vmap`. Everything runs in float64. Tensors that are not
named stay fixed, so `names=("w",)` gives the diagonal block of one tensor at the price of that tensor alone.
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

    with torch.no_grad():
        loss(layout.flatten(params))  # constants that a problem builds on first use must not be born inside a transform
    return torch.func.grad(loss)


def products(gradient: Callable[[Tensor], Tensor], at: Tensor, directions: Tensor) -> Tensor:
    """H v for each row v of `directions` (k, n), with H the Jacobian of `gradient` at the point `at` (n,)."""
    # randomness "same": a loss is pure, so whatever it draws from a key of its own is the same in every column
    along = torch.func.vmap(lambda v: torch.func.jvp(gradient, (at,), (v,))[1], randomness="same")
    return along(directions).detach()


def dense_hessian(
    problem: Problem,
    params: Params,
    batch: Any,
    *,
    names: Sequence[str] | None = None,
    chunk: int = 64,
    max_parameters: int = 6_000,
) -> Hessian:
    """The Hessian in the named tensors (None: all), `chunk` columns at a time.

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
    gradient, at = gradient_at(problem, params, batch, layout), layout.flatten(params)
    matrix = np.empty((n, n))
    for first in range(0, n, chunk):
        columns = torch.arange(first, min(first + chunk, n))
        units = torch.zeros(len(columns), n, dtype=torch.float64)
        units[torch.arange(len(columns)), columns] = 1.0
        matrix[:, first : first + len(columns)] = products(gradient, at, units).numpy().T
    return Hessian(matrix, layout)
