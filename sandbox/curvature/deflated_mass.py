"""The block mass where few directions carry most of each block: those directions exactly, random signs for what they leave.

    Q_b   orthonormal: z_b, H_bb z_b, H_bb^2 z_b, ... made orthogonal, z_b signs              depth k: k columns, n x k B in all
    P     = I - Q Q^T, block diagonal
    |H|^2 = 2 |H Q|^2 - |Q^T H Q|^2 + |P H P|^2                                                Frobenius norms
    inside = sum_b the same of H_bb,   total = the same of H

because H is symmetric, so that H Q says what Q^T H is, too. The terms of Q take one product per direction and block, and no chance:
the product that squares one direction is the one that finds the next. The last term is that of `coloured_mass` for P H P. Given Q all
is unbiased, whatever Q is. Blocks of rank r need no more than depth r + 1.

In the rows of value and output matrices of a small transformer the first direction holds 98 to 100 % of the squared norm of a block
(measured); signs alone then give each block with a relative variance of 2 per product. To keep z_b as well, and to leave Q out on
both sides, takes no product more and is worth much. Two value matrices, 16,384 entries, 128 blocks, masses 0.014 and 0.011; products
that +- 5 % calls for by the spread of ten rounds of 16, measured once:

    H P, one direction H_bb z_b        2,591   1,572           two products per block
    P H P, depth 2                     1,342     820           two
    P H P, depth 3                       384     385           three, which leave next to nothing

Source: Hutch++ (Meyer et al., 2021), https://arxiv.org/abs/2010.09649 (recalled), once per block, with the Krylov space of one column
as its sketch. Departures: the squared norm in the place of the trace.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.block_mass import check_labels
from sandbox.curvature.coloured_mass import ColouredMass, coloured_mass
from sandbox.curvature.probes import require, signs, times

SKETCH = 1_000_003  # number of the probe z, far from those of the rounds
SPENT = 1e-6  # a direction that is all but in the span of those before, relative to its length, is none: one more product tells nothing


@dataclass(frozen=True)
class Deflation:
    """block: (n,) 0 ... B - 1.  basis: (depth, n) Q, the direction of block b at its entries.  ahead: (n,) where the next one starts.

    inside, total: the terms of Q, known without chance.  n_products: spent on them.
    """

    operator: LinearOperator
    block: np.ndarray
    basis: np.ndarray
    ahead: np.ndarray
    inside: float = 0.0
    total: float = 0.0
    n_products: int = 0

    @property
    def depth(self) -> int:
        return len(self.basis)

    @property
    def n_blocks(self) -> int:
        return int(self.block.max()) + 1

    @property
    def rest(self) -> LinearOperator:
        """P H P; the operator itself at depth 0."""
        if not self.depth:
            return self.operator
        Qt = _transposed(self.basis, self.block)

        def left(V: np.ndarray) -> np.ndarray:
            return V - Qt.T @ (Qt @ V)

        def products(V: np.ndarray) -> np.ndarray:
            return left(times(self.operator, left(V).astype(self.operator.dtype)))

        return LinearOperator(
            self.operator.shape, matvec=lambda v: products(v.reshape(-1, 1))[:, 0], matmat=products, dtype=self.operator.dtype
        )

    def after(self, rounds: ColouredMass) -> ColouredMass:
        """Rounds of H, from rounds of P H P."""
        return ColouredMass(rounds.samples + np.array([self.inside, self.total]), rounds.n_products + self.n_products)

    def deeper(self, chunk: int = 16) -> "Deflation":
        """One more direction, by one product per block."""
        require("chunk", chunk, 1)
        basis = np.concatenate((self.basis, _orthonormal(self.ahead, self.basis, self.block)[None]))
        Qt, seen = _transposed(basis, self.block), np.where(np.arange(len(basis)) < self.depth, 2.0, 1.0)  # Q_i^T H Q_j is Q_j^T H Q_i
        ahead, inside, total = np.zeros(len(self.block)), self.inside, self.total
        for first in range(0, self.n_blocks, chunk):
            some = np.arange(first, min(first + chunk, self.n_blocks))
            mine = self.block[:, None] == some
            Y = times(self.operator, (basis[-1][:, None] * mine).astype(self.operator.dtype))
            along, inner = np.where(mine, Y, 0.0), np.square((Qt @ Y).reshape(len(basis), self.n_blocks, len(some)))
            total += 2.0 * float(np.square(Y).sum()) - float(seen @ inner.sum(axis=(1, 2)))
            inside += 2.0 * float(np.square(along).sum()) - float(seen @ inner[:, some, some - first].sum(axis=1))
            ahead += along.sum(axis=1)
        return Deflation(self.operator, self.block, basis, ahead, inside, total, self.n_products + self.n_blocks)


def deflation(operator: LinearOperator, labels: np.ndarray | torch.Tensor, *, depth: int = 2, seed: int = 0, chunk: int = 16) -> Deflation:
    """By `depth` products per block. Raises ValueError for labels of the wrong number, depth < 0 and chunk < 1."""
    require("depth", depth, 0)
    require("chunk", chunk, 1)
    n = operator.shape[0]
    _, block = np.unique(check_labels(labels, n), return_inverse=True)
    found = Deflation(operator, block, np.zeros((0, n)), signs(n, range(SKETCH, SKETCH + 1), seed)[:, 0])
    for _ in range(depth):
        found = found.deeper(chunk)
    return found


def deflated_mass(
    operator: LinearOperator,
    labels: np.ndarray | torch.Tensor,
    *,
    depth: int = 2,
    n_colours: int = 16,
    n_rounds: int = 6,
    seed: int = 0,
) -> ColouredMass:
    """Rounds as of `coloured_mass`, after `depth` products per block. Raises ValueError as that and `deflation` do."""
    first = deflation(operator, labels, depth=depth, seed=seed)
    return first.after(coloured_mass(first.rest, labels, n_colours=n_colours, n_rounds=n_rounds, seed=seed))


def _transposed(basis: np.ndarray, block: np.ndarray) -> csr_array:
    """Q^T (depth B, n): row i B + b is direction i of block b."""
    depth, n = basis.shape
    n_blocks = int(block.max()) + 1
    rows = (np.arange(depth)[:, None] * n_blocks + block).ravel()
    return csr_array((basis.ravel(), (rows, np.tile(np.arange(n), depth))), shape=(depth * n_blocks, n))


def _orthonormal(v: np.ndarray, basis: np.ndarray, block: np.ndarray) -> np.ndarray:
    """v without its part in the basis, block by block of length 1, or 0 where nothing is left; twice, for the sake of rounding."""
    length = np.sqrt(np.bincount(block, np.square(v)))
    for _ in range(2):
        for q in basis:
            v = v - q * np.bincount(block, q * v)[block]
        left = np.sqrt(np.bincount(block, np.square(v)))
        scale = np.divide(1.0, left, out=np.zeros_like(left), where=left > SPENT * length)
        v, length = v * scale[block], np.ones_like(length)
    return v
