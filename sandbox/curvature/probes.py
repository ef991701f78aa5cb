"""What every estimate from products has in common: the operator, random signs, and how far an average can be trusted.

An estimator here asks for products H z and for nothing else. z holds independent signs, so E z z^T = I and z_i^2 = 1.
Probe number i of a seed is the same whatever the chunk and however many follow it, so a longer run extends a shorter one.

The samples x_1 ... x_m of an `Estimate` give mean +- s / sqrt(m); its interval takes Student's t with m - 1 degrees of
freedom, exact for normal samples and approximate for others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from scipy.stats import t as student

from sandbox.draws import generator


@dataclass(frozen=True)
class Estimate:
    """value +- standard_error from `n_samples` samples, at the price of `n_products` products with H."""

    value: float
    standard_error: float
    n_samples: int
    n_products: int

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Student's interval around the value. Raises ValueError unless 0 < confidence < 1."""
        if not 0.0 < confidence < 1.0:
            raise ValueError(f"an interval needs 0 < confidence < 1, got {confidence}")
        half = float(student.ppf(0.5 + confidence / 2.0, self.n_samples - 1)) * self.standard_error
        return self.value - half, self.value + half


def operator_of(products: Callable[[np.ndarray], np.ndarray], n: int) -> LinearOperator:
    """A SciPy operator (n, n) from a plain function V (n, k) -> H V (n, k) of a symmetric H."""

    def column(v_n: np.ndarray) -> np.ndarray:
        return np.asarray(products(np.reshape(v_n, (n, 1)))).reshape(n)

    return LinearOperator((n, n), matvec=column, rmatvec=column, matmat=products, dtype=np.float64)


def average(samples: np.ndarray, n_products: int) -> Estimate:
    """Mean and standard error of independent samples (m,), m >= 2."""
    m = len(samples)
    return Estimate(float(np.mean(samples)), float(np.std(samples, ddof=1) / m**0.5), m, n_products)


def signs(n: int, indices: range, seed: int) -> np.ndarray:
    """Z (n, k): one column of independent signs for each index, float64."""
    draws = [torch.randint(0, 2, (n,), generator=generator(seed, index)) for index in indices]
    return torch.stack(draws, dim=1).numpy() * 2.0 - 1.0


def times(operator: LinearOperator, V: np.ndarray) -> np.ndarray:
    """H V (n, k) in float64. Raises ValueError for an operator that is not square and for products that are not finite."""
    rows, columns = operator.shape
    if rows != columns:
        raise ValueError(f"an estimate of curvature needs a square operator, got {rows} x {columns}")
    result = np.asarray(operator.matmat(V), dtype=np.float64)
    if not np.isfinite(result).all():
        bad = int(np.count_nonzero(~np.isfinite(result)))
        raise ValueError(f"products with the operator must be finite, but {bad} of {result.size} entries of H V are not; look at the loss")
    return result


def probed(
    operator: LinearOperator, *, n_probes: int, seed: int = 0, chunk: int = 16, first: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(Z, H Z) for probes first ... first + n_probes - 1, at most `chunk` columns at a time.

    Raises ValueError for n_probes < 2, which leave no standard error, and for chunk < 1.
    """
    require("n_probes", n_probes, 2)
    require("chunk", chunk, 1)
    last = first + n_probes
    for start in range(first, last, chunk):
        Z = signs(operator.shape[0], range(start, min(start + chunk, last)), seed)
        yield Z, times(operator, Z)


def squares_by_block(
    operator: LinearOperator, blocks: Sequence[np.ndarray], n_probes: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each block b (its entries) b and (n, n_probes) the squares of H z, z random signs on b and 0 elsewhere."""
    for index, b in enumerate(blocks):
        Z_np = np.zeros((operator.shape[0], n_probes))
        Z_np[b] = torch.randint(0, 2, (len(b), n_probes), generator=generator(seed, index)).numpy() * 2.0 - 1.0
        yield b, np.square(times(operator, Z_np))


def times_in_chunks(operator: LinearOperator, V: np.ndarray, chunk: int) -> np.ndarray:
    """H V, at most `chunk` columns at a time."""
    require("chunk", chunk, 1)
    parts = [times(operator, V[:, start : start + chunk]) for start in range(0, V.shape[1], chunk)]
    return np.concatenate(parts, axis=1) if parts else np.zeros_like(V)


def require(name: str, given: int, least: int) -> None:
    """Raises ValueError where a count is too small."""
    if given < least:
        raise ValueError(f"an estimate with its standard error needs {name} >= {least}, got {given}")
