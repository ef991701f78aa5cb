"""The block mass where one direction carries most of each block: that direction exactly, random signs for what it leaves.

    q_b   = H_bb z_b / |H_bb z_b|,  z_b signs                       one step towards the top eigenvector of block b
    P     = I - sum_b q_b q_b^T                                     block diagonal
    inside = sum_b |H_bb q_b|^2 + sum_b |H_bb P_b|_F^2,   total = sum_b |H_{:,b} q_b|^2 + |H P|_F^2

The first terms take one product per block for q and one for its square, and no chance; the second are those of
`coloured_mass` for H P. Given q all is unbiased, whatever q is. A block of rank one needs no more than q_b.

Rows of value and output matrices of a small transformer have blocks of rank one, 98 to 100 % of their squared norm (measured); signs
alone then give each block with a relative variance of 2 per product.

Source: Hutch++ (Meyer et al., 2021), https://arxiv.org/abs/2010.09649 (recalled), once per block with a sketch of one column.
Departures: the squared norm in the place of the trace.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.block_mass import check_labels
from sandbox.curvature.coloured_mass import ColouredMass, coloured_mass
from sandbox.curvature.probes import require, signs, times

SKETCH = 1_000_003  # number of the probe that starts q, far from those of the rounds


@dataclass(frozen=True)
class Deflation:
    """rest: H P.  inside, total: the terms of q, known without chance.  n_products: spent on q and its squares."""

    rest: LinearOperator
    inside: float
    total: float
    n_products: int

    def after(self, rounds: ColouredMass) -> ColouredMass:
        """Rounds of H, from rounds of H P."""
        return ColouredMass(rounds.samples + np.array([self.inside, self.total]), rounds.n_products + self.n_products)


def deflation(operator: LinearOperator, labels: np.ndarray | torch.Tensor, *, seed: int = 0, chunk: int = 16) -> Deflation:
    """By two products per block. Raises ValueError for labels of the wrong number and chunk < 1."""
    require("chunk", chunk, 1)
    n = operator.shape[0]
    _, block = np.unique(check_labels(labels, n), return_inverse=True)
    along, *_ = _by_block(operator, signs(n, range(SKETCH, SKETCH + 1), seed)[:, 0], block, chunk)
    length = np.sqrt(np.bincount(block, np.square(along)))
    q = along / np.where(length > 0.0, length, 1.0)[block]
    _, inside, total = _by_block(operator, q, block, chunk)
    return Deflation(_deflated(operator, q, block), inside, total, 2 * len(length))


def deflated_mass(
    operator: LinearOperator, labels: np.ndarray | torch.Tensor, *, n_colours: int = 16, n_rounds: int = 6, seed: int = 0, chunk: int = 16
) -> ColouredMass:
    """Rounds as of `coloured_mass`, after two products per block. Raises ValueError as that does."""
    first = deflation(operator, labels, seed=seed, chunk=chunk)
    return first.after(coloured_mass(first.rest, labels, n_colours=n_colours, n_rounds=n_rounds, seed=seed, chunk=chunk))


def _by_block(operator: LinearOperator, v: np.ndarray, block: np.ndarray, chunk: int) -> tuple[np.ndarray, float, float]:
    """H_bb v_b of all blocks side by side (n,), the square of that, and sum_b |H_{:,b} v_b|^2."""
    found, total = np.zeros(len(v)), 0.0
    for first in range(0, int(block.max()) + 1, chunk):
        mine = block[:, None] == np.arange(first, min(first + chunk, int(block.max()) + 1))
        Y = times(operator, (v[:, None] * mine).astype(operator.dtype))
        found += np.where(mine, Y, 0.0).sum(axis=1)
        total += float(np.square(Y).sum())
    return found, float(np.square(found).sum()), total


def _deflated(operator: LinearOperator, q: np.ndarray, block: np.ndarray) -> LinearOperator:
    """H P: not symmetric, but squares of columns are all that is asked of it."""

    def products(V: np.ndarray) -> np.ndarray:
        inner = np.stack([np.bincount(block, q * v) for v in V.T], axis=1)
        return np.asarray(operator.matmat((V - q[:, None] * inner[block]).astype(operator.dtype)))

    return LinearOperator(operator.shape, matvec=lambda v: products(v.reshape(-1, 1))[:, 0], matmat=products, dtype=operator.dtype)
