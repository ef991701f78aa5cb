"""The mass inside all blocks of a partition from a few products, however many blocks there are: blocks that share a product.

One product per block and probe (`block_mass.probed_mass`) is thousands of products for a transformer. Here a round draws
signs z (n,) and throws the B blocks into K colours, every way equally likely with sizes as equal as can be; z_g is z on
the blocks of colour g and 0 elsewhere. K products y_g = H z_g give

    S = sum_g |(y_g)_g|^2        E S = T + p (F - T),     T = sum_b |H_bb|_F^2
    A = sum_g |y_g|^2            E A = F = |H|_F^2,       p = sum_g k_g (k_g - 1) / (B (B - 1)),   k_g blocks of colour g

because E z_i z_j = 1 if i = j and 0 otherwise, so that only the squares of the blocks (b, c) of one colour stay in S, and
two blocks share a colour with probability p. Hence

    inside = (S - p A) / (1 - p)  and  total = A   are unbiased for T and F;        mass = mean inside / mean total

Rounds are independent. The mass is a ratio of means: its standard error is that of the mean of inside - mass * total, over
the mean of total (delta method), its bias is of the order of that error squared.

K = 1 knows nothing (p = 1); K = B is one block per product; between them products are traded for noise of at most p (F - T).
Drawing signs for the colours and mixing all of them into every product (z = sum_g +- z_g, K times, K signs of a Hadamard
matrix) tells the same: that is an orthogonal change of the K products. Drawing blocks with unequal probabilities costs one
product for one block, where a colour costs one for B / K of them.

Source: derived; the method of coloured probes is that of Tang and Saad (2012, "A probing method for the diagonal of a
matrix inverse", recalled), there with a colouring fitted to the matrix. Departures: random colours, and their bias removed.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.block_mass import check_labels
from sandbox.curvature.probes import Estimate, average, require, signs, times
from sandbox.draws import generator

COLOURS = 0x43  # last part of the key of a colouring


@dataclass(frozen=True)
class ColouredMass:
    """samples: (rounds, 2) inside and total of each round, in (loss / param^2)^2, rounds independent of one another."""

    samples: np.ndarray
    n_products: int

    @property
    def inside(self) -> Estimate:
        return average(self.samples[:, 0], self.n_products)

    @property
    def total(self) -> Estimate:
        return average(self.samples[:, 1], self.n_products)

    @property
    def mass(self) -> Estimate:
        inside, total = self.samples.T
        share = float(inside.mean() / total.mean())
        rest = average((inside - share * total) / total.mean(), self.n_products)
        return Estimate(share, rest.standard_error, rest.n_samples, self.n_products)


def coloured_mass(
    operator: LinearOperator,
    labels: np.ndarray | torch.Tensor,
    *,
    n_colours: int = 16,
    n_rounds: int = 8,
    seed: int = 0,
    first: int = 0,
    chunk: int = 16,
) -> ColouredMass:
    """Rounds first ... first + n_rounds - 1 of a symmetric H; no more colours than blocks, and n_colours products a round.

    labels: one per entry, any integers.  A longer run extends a shorter one.  Raises ValueError for n_rounds < 2, for
    n_colours < 2 beside two blocks or more, and for labels of the wrong number.
    """
    require("n_rounds", n_rounds, 2)
    require("chunk", chunk, 1)
    n = operator.shape[0]
    _, block = np.unique(check_labels(labels, n), return_inverse=True)
    n_blocks = int(block.max()) + 1
    require("n_colours", n_colours, min(2, n_blocks))
    n_colours = min(n_colours, n_blocks)
    p = shared(n_blocks, n_colours)
    samples = np.empty((n_rounds, 2))
    for row, index in enumerate(range(first, first + n_rounds)):
        colour = colours(n_blocks, n_colours, seed, index)[block]
        same, everything = _squares(operator, signs(n, range(index, index + 1), seed)[:, 0], colour, n_colours, chunk)
        samples[row] = (same - p * everything) / (1.0 - p), everything
    return ColouredMass(samples, n_rounds * n_colours)


def colours(n_blocks: int, n_colours: int, seed: int, index: int) -> np.ndarray:
    """(n_blocks,) a colour for each block; sizes of colours differ by one at most."""
    order = torch.randperm(n_blocks, generator=generator(seed, index, COLOURS)).numpy()
    colour = np.empty(n_blocks, dtype=np.int64)
    colour[order] = np.arange(n_blocks) % n_colours
    return colour


def shared(n_blocks: int, n_colours: int) -> float:
    """p, the probability that two given blocks have one colour; 0 where there is one block."""
    sizes = np.bincount(np.arange(n_blocks) % n_colours)
    return float((sizes * (sizes - 1)).sum() / max(n_blocks * (n_blocks - 1), 1))


def _squares(operator: LinearOperator, z: np.ndarray, colour: np.ndarray, n_colours: int, chunk: int) -> tuple[float, float]:
    """S and A of one round."""
    same, everything = 0.0, 0.0
    for start in range(0, n_colours, chunk):
        mine = colour[:, None] == np.arange(start, min(start + chunk, n_colours))
        squares = np.square(times(operator, (z[:, None] * mine).astype(operator.dtype)))
        same += float(squares.sum(where=mine))
        everything += float(squares.sum())
    return same, everything
