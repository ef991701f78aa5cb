"""Matrices like a given one but without blocks, for what a search finds where there is nothing to find.

    S = off-diagonal part of  D X X^T D,   X (n, r) independent N(0, 1),   D_ii^2 = mass of row i / mean mass

Its entries have the given row masses, and r is chosen so that (tr S^2)^2 / tr S^4 is that of the matrix in question: r = 1
is a single direction, large r a matrix of independent Gaussian entries. A search on S spends no products with H.
"""

from bisect import bisect_left

import numpy as np
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.probes import operator_of
from sandbox.draws import generator, normal

CHANCE = 0x7A  # last part of the key of a matrix without blocks


def rank_like(masses: np.ndarray, rank: float, *, seed: int) -> int:
    """The least r = 1, 2, 3, 4, 6, 8, 12, ... <= n whose matrix has at least this effective rank, or the last of them.

    Effective ranks grow with r up to chance, so a search by halves finds it.
    """
    n = len(masses)
    steps = sorted({r for power in range(n.bit_length()) for r in (2**power, 3 * 2**power) if r <= n})
    return steps[min(bisect_left(steps, rank, key=lambda r: effective_rank(matrix(masses, r, seed, 0))), len(steps) - 1)]


def effective_rank(S: np.ndarray) -> float:
    """(tr S^2)^2 / tr S^4 of a symmetric matrix."""
    return float(np.square(S).sum() ** 2 / np.square(S @ S).sum())


def matrix(masses: np.ndarray, rank: int, seed: int, index: int) -> np.ndarray:
    """S (n, n), a pure function of the arguments."""
    X = normal((len(masses), rank), generator(seed, index, rank, CHANCE)).numpy() * np.sqrt(masses / masses.mean())[:, None]
    S = X @ X.T
    np.fill_diagonal(S, 0.0)
    return S


def without_blocks(masses: np.ndarray, rank: int, *, seed: int, index: int) -> LinearOperator:
    S = matrix(masses, rank, seed, index)
    return operator_of(lambda V: S @ V, len(masses))
