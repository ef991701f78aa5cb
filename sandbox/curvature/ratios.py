"""Blocks against one another: the per-block ratios of Dong et al. as a table, from a matrix or from products alone.

    N_ij = |H_ij|_F                              of blocks i and j of one partition; symmetric
    R_ij = N_ij / N_ii                           1 on the diagonal, not symmetric
    rms, median, largest                         of R over all i != j

Without a matrix: for signs z on block j and 0 elsewhere, E|(Hz)_i|^2 = N_ij^2 for every i at once, so that one product
gives a whole row of N^2, unbiased. N_ij^2 and N_ji^2 are the same number seen from two independent probes: their mean is
used. R and its summaries are consistent, not unbiased; their errors are those of the jackknife over probes. The largest of
many noisy ratios is too large in the mean, and its error says nothing about that.

Source: Dong et al. (2025, "Towards quantifying the Hessian structure of neural networks"), https://arxiv.org/abs/2505.02809,
read second-hand. Departures: none known; they print N and no summary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.block_mass import groups
from sandbox.curvature.probes import Estimate, require, squares_by_block


@dataclass(frozen=True)
class Summary:
    """Of the ratios R_ij, i != j."""

    rms: Estimate
    median: Estimate
    largest: Estimate


@dataclass(frozen=True)
class ProbedNorms:
    """samples: (m, B, B) one symmetric estimate of N^2 per probe, in (loss / param^2)^2; blocks ascend by label."""

    samples: np.ndarray
    n_products: int

    @property
    def squares(self) -> np.ndarray:
        """(B, B) N^2, unbiased."""
        return self.samples.mean(axis=0)

    def ratios(self) -> np.ndarray:
        """(B, B) R. Raises ValueError where a diagonal block is 0."""
        return ratios(np.sqrt(self.squares))

    def summary(self) -> Summary:
        return Summary(*(self._jackknife(of) for of in (root_mean_square, median, largest)))

    def _jackknife(self, of: Callable[[np.ndarray], float]) -> Estimate:
        m, total = len(self.samples), self.samples.sum(axis=0)
        left_out = np.array([of(ratios(np.sqrt((total - sample) / (m - 1)))) for sample in self.samples])
        error = float(((m - 1) / m * np.square(left_out - left_out.mean()).sum()) ** 0.5)
        return Estimate(of(self.ratios()), error, m, self.n_products)


def block_norms(H: np.ndarray, labels: np.ndarray | torch.Tensor) -> np.ndarray:
    """N (B, B) of a matrix, blocks ascending by label. Raises ValueError for labels of the wrong number."""
    blocks = groups(labels, len(H))
    return np.sqrt(_by_block(_by_block(np.square(H), blocks).T, blocks).T)


def ratios(norms: np.ndarray) -> np.ndarray:
    """R from N. Raises ValueError where a diagonal block is 0."""
    own = np.diag(norms)
    if not (own > 0).all():
        raise ValueError(
            f"a ratio to a diagonal block needs |H_ii|_F > 0, but {np.count_nonzero(own == 0)} of {len(own)} blocks have none, "
            f"the first is number {int(np.argmin(own > 0))}: leave out blocks that the loss does not use"
        )
    return norms / own[:, None]


def probed_norms(operator: LinearOperator, labels: np.ndarray | torch.Tensor, *, n_probes: int, seed: int = 0) -> ProbedNorms:
    """N^2 from `n_probes` random signs per block: n_probes x B products. Raises ValueError for n_probes < 2."""
    require("n_probes", n_probes, 2)
    blocks = groups(labels, operator.shape[0])
    columns = np.empty((n_probes, len(blocks), len(blocks)))
    for index, (_, squares) in enumerate(squares_by_block(operator, blocks, n_probes, seed)):
        columns[:, :, index] = _by_block(squares, blocks).T
    return ProbedNorms((columns + columns.transpose(0, 2, 1)) / 2.0, n_probes * len(blocks))


def root_mean_square(R: np.ndarray) -> float:
    return float(np.square(_others(R)).mean() ** 0.5)


def median(R: np.ndarray) -> float:
    return float(np.median(_others(R)))


def largest(R: np.ndarray) -> float:
    return float(_others(R).max())


def _others(R: np.ndarray) -> np.ndarray:
    if len(R) < 2:
        raise ValueError(f"ratios between blocks need two blocks at least, got {len(R)}")
    return R[~np.eye(len(R), dtype=bool)]


def _by_block(rows: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    """(n, k) -> (B, k): sums over the rows of each block."""
    starts = np.cumsum([0, *map(len, blocks[:-1])])
    return np.add.reduceat(rows[np.concatenate(blocks)], starts, axis=0)
