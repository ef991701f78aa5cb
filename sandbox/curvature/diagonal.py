"""The diagonal of a matrix that is known by its products alone.

    z * (H z)  has mean diag H and, in entry i, variance sum_{j != i} H_ij^2 per probe        (z: independent signs)

So an entry is known to 10 % after about 100 sum_{j != i} H_ij^2 / H_ii^2 products: cheap for a Hessian that is nearly
diagonal, hopeless for a small entry of a heavy row, which the standard error of each entry shows.

Source: Bekas, Kokiopoulou and Saad (2007), `recalled`; their quotient by sum z_i^2 is the mean here, since signs have z_i^2 = 1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.probes import Estimate, probed, require


@dataclass(frozen=True)
class Diagonal:
    """value +- standard_error, (n,) each, in loss / param^2, from n_products products."""

    value: np.ndarray
    standard_error: np.ndarray
    n_products: int


def diagonal(operator: LinearOperator, *, n_probes: int, seed: int = 0, chunk: int = 16) -> Diagonal:
    """diag H, entry by entry. Raises ValueError for n_probes < 2 and chunk < 1."""
    seen, mean, squares = 0, np.zeros(operator.shape[0]), np.zeros(operator.shape[0])
    for Z, HZ in probed(operator, n_probes=n_probes, seed=seed, chunk=chunk):
        for sample in (Z * HZ).T:
            seen += 1
            away = sample - mean
            mean += away / seen
            squares += away * (sample - mean)  # sum of squared deviations, updated without cancellation
    return Diagonal(mean, np.sqrt(squares / (seen - 1) / seen), n_probes)


def squared_diagonal(operator: LinearOperator, *, n_probes: int, seed: int = 0, chunk: int = 16) -> Estimate:
    """sum_i H_ii^2, unbiased: t_p = z_p * (H z_p) of each probe against the mean of the other probes, for E t_pi t_qi = H_ii^2.

    These k samples depend on one another, so the standard error is that of the jackknife over probes, 2 (k - 1) / (k - 2) s / sqrt(k):
    right where the diagonal stands out, too large by sqrt 2 where it is lost in the noise of its rows (by more for few probes).
    Raises ValueError for n_probes < 3 and chunk < 1.
    """
    require("n_probes", n_probes, 3)
    t = np.concatenate([Z * HZ for Z, HZ in probed(operator, n_probes=n_probes, seed=seed, chunk=chunk)], axis=1)
    samples = (t * (t.sum(axis=1, keepdims=True) - t)).sum(axis=0) / (n_probes - 1)
    error = 2.0 * (n_probes - 1) / (n_probes - 2) * float(samples.std(ddof=1) / n_probes**0.5)
    return Estimate(float(samples.mean()), error, n_probes, n_probes)
