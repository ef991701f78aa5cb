"""Eigenvalues at the ends of the spectrum of a symmetric operator, each with an interval that holds whatever the solver did.

To a tolerance above 0 they come from one run of Lanczos, which stops when the last row of T's eigenvectors says that every
residual is below tol times its eigenvalue, or after LONGEST steps an eigenvalue; to machine precision, or where that many vectors
do not fit into half of the free memory, from SciPy's restarted Lanczos method (ARPACK). One more product per pair checks
them: for |v| = 1 and

    residual = |H v - lambda v|,      some eigenvalue of H lies in [lambda - residual, lambda + residual].

The interval says that the value is an eigenvalue, not that none was missed: a multiple or tightly clustered end can
hide copies from any method that starts at one vector.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from sandbox.curvature.dense import free_bytes
from sandbox.curvature.lanczos import lanczos
from sandbox.curvature.probes import times
from sandbox.draws import generator, normal

ENDS = {"largest": "LA", "smallest": "SA", "magnitude": "LM"}
LONGEST, CHECKED = 8, 8  # steps of one run per eigenvalue, 20 aside, and between two looks at its residuals


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
    n = operator.shape[0]
    if not 1 <= k < n or end not in ENDS:
        raise ValueError(
            f"the end of a spectrum needs 1 <= k < n and an end of {list(ENDS)}, got k = {k}, n = {n}, end {end!r}; take a smaller k, or "
            f"all eigenvalues from the dense matrix and numpy.linalg.eigvalsh"
        )
    start = normal((n,), generator(seed)).numpy()
    found = _one_run(operator, k, end, tol, start) if tol > 0.0 else None
    values, vectors = _restarted(operator, k, end, tol, start) if found is None else found
    order = np.argsort(values)[::-1]
    values, vectors = values[order], vectors[:, order]
    off = [np.linalg.norm(times(operator, v[:, None])[:, 0] - value * v) for value, v in zip(values, vectors.T, strict=True)]
    return Eigenpairs(values, vectors, np.array(off))


def _one_run(operator: LinearOperator, k: int, end: str, tol: float, start: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Values (k,) and vectors (n, k); None where that takes more steps than there is room for."""
    n_steps = min(len(start), LONGEST * k + 20, free_bytes() // 2 // (len(start) * np.dtype(operator.dtype).itemsize))
    for run in lanczos(operator, start, n_steps) if n_steps > k else ():
        done = len(run.alphas)
        if done < k or (done % CHECKED and done < n_steps):
            continue
        values, vectors = run.ritz()
        wanted = {"largest": np.argsort(values), "smallest": np.argsort(-values), "magnitude": np.argsort(np.abs(values))}[end][-k:]
        if (run.betas[-1] * np.abs(vectors[-1, wanted]) <= tol * np.abs(values[wanted])).all():
            return values[wanted], _unit(run.basis.T @ vectors[:, wanted].astype(run.basis.dtype))
    return None


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=0)


def _restarted(operator: LinearOperator, k: int, end: str, tol: float, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        return eigsh(operator, k, which=ENDS[end], v0=start, tol=tol, ncv=min(len(start), max(2 * k + 1, 40)))
    except ArpackNoConvergence as stopped:
        found = len(stopped.eigenvalues)
        raise ValueError(f"Lanczos found {found} of {k} eigenvalues to a tolerance of {tol}; ask for fewer or raise tol") from stopped
