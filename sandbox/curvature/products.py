"""Products with the Hessian of a problem, as a SciPy operator, and the ends of its spectrum; no matrix, whatever n is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.hessian import curvature_of
from sandbox.curvature.operators import operator
from sandbox.curvature.spectrum import end_of_spectrum
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Extremes:
    """The ends of a spectrum, both ascending, in loss / param^2."""

    smallest: tuple[float, ...]
    largest: tuple[float, ...]


def hessian_operator(
    problem: Problem, params: Params, batch: Any, *, names: Sequence[str] | None = None, dtype: torch.dtype = torch.float64
) -> LinearOperator:
    """H in the named tensors (None: all) as a symmetric operator (n, n); entries are ordered as `layout_of` says."""
    return operator(curvature_of(problem, params, batch, names=names, dtype=dtype))


def extreme_eigenvalues(
    problem: Problem, params: Params, batch: Any, k: int, *, names: Sequence[str] | None = None, seed: int = 0
) -> Extremes:
    """The k smallest and the k largest eigenvalues of the Hessian, to machine precision.

    Raises ValueError unless 1 <= k < n.
    """
    matrix = hessian_operator(problem, params, batch, names=names)
    small, large = (end_of_spectrum(matrix, k, end=end, seed=seed).values[::-1] for end in ("smallest", "largest"))
    return Extremes(tuple(map(float, small)), tuple(map(float, large)))
