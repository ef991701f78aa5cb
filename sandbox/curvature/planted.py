"""Matrices whose blocks are known, to try a search on: planted, turned, and how alike two partitions are.

planted    H = P (blockdiag + noise) P^T: blocks of Gaussian entries, or of low rank with rows of equal length, on a random
           permutation of the entries; noise a Gaussian symmetric matrix that has the share `noise` of the mass off the diagonal
turned     Q H Q^T with Q uniform among orthonormal matrices: the same eigenvalues, no place for blocks
agreement  adjusted Rand index (Hubert and Arabie, 1985; recalled): with C_ab the members that block a of one partition and
           block b of the other share, and c(x) = x (x - 1) / 2,
           (sum c(C_ab) - e) / ((sum c(C_a.) + sum c(C_.b)) / 2 - e),   e = sum c(C_a.) sum c(C_.b) / c(n)
"""

from collections.abc import Sequence

import numpy as np

from sandbox.draws import generator, normal

PLANTED, TURNED = 0x91, 0x7E  # last parts of the keys


def gaussian(n: int, seed: int, *, index: int = 0) -> np.ndarray:
    """(n, n) symmetric: N(0, 1) off the diagonal, N(0, 2) on it. No blocks."""
    G = normal((n, n), generator(seed, index, PLANTED)).numpy()
    return (G + G.T) / 2.0**0.5


def planted(
    sizes: Sequence[int], seed: int, *, noise: float = 0.0, rank: int | None = None, scales: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(H, labels). rank: of each block, of both signs (None: Gaussian).  scales: factor of each block (None: 1).

    Raises ValueError unless 0 <= noise < 1.
    """
    if not 0.0 <= noise < 1.0:
        raise ValueError(f"noise is a share of the mass, 0 <= noise < 1, got {noise}")
    labels = np.repeat(np.arange(len(sizes)), sizes)
    H = np.zeros((len(labels), len(labels)))
    for b, scale in enumerate(scales or [1.0] * len(sizes)):
        H[np.ix_(labels == b, labels == b)] = scale * _block(sizes[b], seed, b + 1, rank)
    G, off = gaussian(len(labels), seed), ~np.eye(len(labels), dtype=bool)
    H += G * (noise / (1.0 - noise) * np.square(H[off]).sum() / np.square(G[off]).sum()) ** 0.5
    order = normal((len(labels),), generator(seed, len(sizes) + 1, PLANTED)).argsort().numpy()
    return H[np.ix_(order, order)], labels[order]


def _block(size: int, seed: int, index: int, rank: int | None) -> np.ndarray:
    if rank is None:
        return gaussian(size, seed, index=index)
    X = normal((size, rank), generator(seed, index, rank, PLANTED)).numpy()
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    return (X * (-1.0) ** np.arange(rank)) @ X.T


def turned(H: np.ndarray, seed: int, index: int = 0) -> np.ndarray:
    """Q H Q^T; Q from the QR factors of a Gaussian matrix, with the signs that make it uniform."""
    Q, R = np.linalg.qr(normal(H.shape, generator(seed, index, TURNED)).numpy())
    Q = Q * np.sign(np.diag(R))
    return Q @ H @ Q.T


def agreement(labels: np.ndarray, others: np.ndarray) -> float:
    """1 for the same blocks under any names, about 0 for unrelated ones; 1 where both have one block, or only single members."""
    C = np.zeros((labels.max() + 1, others.max() + 1))
    np.add.at(C, (labels, others), 1.0)
    both, rows, columns = _pairs(C), _pairs(C.sum(axis=1)), _pairs(C.sum(axis=0))
    expected, most = rows * columns / _pairs(C.sum()), (rows + columns) / 2.0
    return float((both - expected) / (most - expected)) if most != expected else 1.0


def _pairs(counts: np.ndarray) -> float:
    return float(np.sum(counts * (counts - 1.0)) / 2.0)
