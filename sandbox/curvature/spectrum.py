"""Eigenvalues at the ends of the spectrum of a symmetric operator, each with an interval that holds whatever the solver did.

SciPy's restarted Lanczos method (ARPACK) finds them. One more product per pair checks them: for |v| = 1 and

    residual = |H v - lambda v|,      some eigenvalue of H lies in [lambda - residual, lambda + residual].

The interval says that the value is an eigenvalue, not that none was missed: a multiple or tightly clustered end can
hide copies from any method that starts at one vector.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from sandbox.curvature.probes import times
from sandbox.draws import generator, normal


@dataclass(frozen=True)
class Eigenpairs:
    """values (k,) descending, in loss / param^2; vectors (n, k), one column each; residuals (k,) as in the module's equations."""

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray

    def intervals(self) -> np.ndarray:
        """(k, 2): an eigenvalue of H lies in each row."""
        return np.stack((self.values - self.residuals, self.values + self.residuals), axis=1)


def end_of_spectrum(
    operator: LinearOperator, k: int, *, end: Literal["largest", "smallest", "magnitude"] = "largest", tol: float = 0.0, seed: int = 0
) -> Eigenpairs:
    """The k largest or smallest eigenvalues, or the k largest in magnitude, to relative accuracy tol (0: machine precision).

    Raises ValueError unless 1 <= k < n, for another end, and where the solver gives up.
    """
    n, ends = operator.shape[0], {"largest": "LA", "smallest": "SA", "magnitude": "LM"}
    if not 1 <= k < n or end not in ends:
        raise ValueError(
            f"the end of a spectrum needs 1 <= k < n and an end of {list(ends)}, got k = {k}, n = {n}, end {end!r}; take a smaller k, or "
            f"all eigenvalues from the dense matrix and numpy.linalg.eigvalsh"
        )
    start = normal((n,), generator(seed)).numpy()
    try:
        values, vectors = eigsh(operator, k, which=ends[end], v0=start, tol=tol, ncv=min(n, max(2 * k + 1, 40)))
    except ArpackNoConvergence as stopped:
        found = len(stopped.eigenvalues)
        raise ValueError(f"Lanczos found {found} of {k} eigenvalues to a tolerance of {tol}; ask for fewer or raise tol") from stopped
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    return Eigenpairs(values, vectors, np.linalg.norm(times(operator, vectors) - vectors * values, axis=0))
