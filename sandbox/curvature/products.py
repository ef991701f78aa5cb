"""Products with a Hessian that is never stored, as a SciPy operator, and the ends of its spectrum.

    v -> H v      the gradient's graph, built once and pulled back along v; no matrix, whatever n is

The eigenvalues come from SciPy's restarted Lanczos method (ARPACK) run to machine precision, started from a seeded
vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from sandbox.curvature.hessian import gradient_at, products
from sandbox.curvature.layout import layout_of
from sandbox.draws import generator, normal
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Extremes:
    """The ends of a spectrum, both ascending, in loss / param^2."""

    smallest: tuple[float, ...]
    largest: tuple[float, ...]


def hessian_operator(problem: Problem, params: Params, batch: Any, *, names: Sequence[str] | None = None) -> LinearOperator:
    """H in the named tensors (None: all) as a symmetric float64 operator (n, n); entries are ordered as `layout_of` says."""
    layout = layout_of(params, names)
    times_hessian = products(gradient_at(problem, params, batch, layout), layout.flatten(params))

    def columns(V_nk: np.ndarray) -> np.ndarray:
        rows_kn = torch.from_numpy(np.ascontiguousarray(np.asarray(V_nk, dtype=np.float64).T))
        return times_hessian(rows_kn).numpy().T

    def column(v_n: np.ndarray) -> np.ndarray:
        return columns(np.reshape(v_n, (-1, 1)))[:, 0]

    shape = (layout.size, layout.size)
    return LinearOperator(shape, matvec=column, rmatvec=column, matmat=columns, dtype=np.float64)


def extreme_eigenvalues(
    problem: Problem, params: Params, batch: Any, k: int, *, names: Sequence[str] | None = None, seed: int = 0
) -> Extremes:
    """The k smallest and the k largest eigenvalues of the Hessian.

    Raises ValueError unless 1 <= k < n.
    """
    operator = hessian_operator(problem, params, batch, names=names)
    n = operator.shape[0]
    if not 1 <= k < n:
        raise ValueError(
            f"Lanczos needs 1 <= k < n, got k = {k} for a Hessian with n = {n} rows; "
            f"take a smaller k, or all eigenvalues from dense_hessian and numpy.linalg.eigvalsh"
        )
    start = normal((n,), generator(seed)).numpy()
    small, large = (
        eigsh(operator, k, which=end, v0=start, return_eigenvectors=False, ncv=min(n, max(2 * k + 1, 40))) for end in ("SA", "LA")
    )
    return Extremes(tuple(map(float, np.sort(small))), tuple(map(float, np.sort(large))))
