"""Groups of units that interact with one another: from an estimated matrix of squares to candidate partitions.

    N_rs     about |H_rs|_F^2 of a balanced H (see `pairs`), 0 for r = s: the sum of every row is about 1
    Q        sum over r, s in one group of (N_rs - mean of N)

If H is block diagonal, every block is an eigenvector of N with the eigenvalue 1 and all other eigenvalues are smaller; with K
blocks the K first eigenvectors, one row per unit and scaled to length 1, are K points (spectral clustering). They are grouped by
Ward's linkage, which is deterministic, and then every unit moves to the group that it interacts with most, above chance, as long
as Q grows. The number of groups is not decided here: there is one candidate for each.
"""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import eigh

MOVES = 20  # rounds at most; a handful is what it takes


def candidates(N: np.ndarray, *, max_blocks: int) -> list[np.ndarray]:
    """Labels (R,) of 2, 3, ... max_blocks groups (R - 1 at most), numbered in the order of their first members."""
    most = min(max_blocks, len(N) - 1)
    vectors = eigh(N, subset_by_index=[len(N) - most, len(N) - 1])[1][:, ::-1]
    found = []
    for n_blocks in range(2, most + 1):
        X = vectors[:, :n_blocks]
        X = X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), np.finfo(float).tiny)
        found.append(moved(N, fcluster(linkage(X, "ward"), n_blocks, "maxclust") - 1))
    return found


def moved(N: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The labels after every unit has gone to its best group, round after round while Q grows; a group may be emptied."""
    labels = numbered(labels)
    pull, held = _pull(N, labels)
    for _ in range(MOVES):
        other = numbered(pull.argmax(axis=1))
        next_pull, gained = _pull(N, other)
        if gained <= held:
            break
        labels, pull, held = other, next_pull, gained
    return labels


def above_chance(N: np.ndarray, labels: np.ndarray) -> float:
    """Q per unit. On an N from products that the labels have not seen, it grows with blocks that are real and with no others."""
    return _pull(N, labels)[1] / len(N)


def numbered(labels: np.ndarray) -> np.ndarray:
    """The same groups, numbered 0, 1, ... in the order of their first members."""
    _, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers]


def _pull(N: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """(R, K) how much each unit interacts with each group above chance (itself apart), and Q."""
    R, mean = len(N), N.sum() / (len(N) * (len(N) - 1))
    member = np.eye(labels.max() + 1)[labels]
    pull = N @ member - mean * (member.sum(axis=0) - member)
    return pull, float(pull[np.arange(R), labels].sum())
