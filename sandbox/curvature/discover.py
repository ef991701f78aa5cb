"""Blocks found from products with a matrix alone: where is it best cut, how much do the blocks hold, and could chance do as well?

`discover` sorts single entries of theta into blocks and assumes nothing about where they lie. `discover_cut` cuts one tensor into
groups of its slices: by which axis, and which slices belong together (rows into heads), or each slice by itself.

    find       one part of the products estimates who interacts with whom: H_ij^2 by `pairs`, or |H_rs|_F^2 between slices by `blockwise`;
               `clusters` makes one candidate of 2, 3, ... max_blocks blocks
    choose     other products take the candidate (and the axis) that holds most above chance; then all of them move single members
    score      `blockwise` signs on the chosen blocks, which neither step has seen: the excess of `block_mass` without selection bias,
               and `confirmed`, the share of rows that interact most, per entry, with the block they were put into
    chance     the same three steps on `n_chance` matrices of the same row masses and effective rank but without blocks (`chance`):
               what a search finds where there is nothing, best candidate and all; no products with H

found: the excess is beyond those of chance (one-sided p of Student's prediction interval <= level) and confirmed >= 2/3. So a
partition that is partly wrong, as it is where products are too few, is not called found.

All of it is done on the balanced matrix (`pairs.balanced`), in which every row has the same say; the excess is reported of H too.

Products needed (`discover`, n rows, blocks with the share m of the off-diagonal mass above noise; derived, roughly). N of `clusters` has
eigenvalues m and errors of 0.71 / k an entry, symmetric and nearly independent, so of norm 1.4 sqrt(n) / k: the blocks stand out from

    k > 1.4 sqrt(n) / m        whatever the number, the sizes and the scales of the blocks

products that find. Single rows need more, and where a row has few partners or much noise, no number is enough: the squares of a row
are random even when they are known exactly. Measured, four equal Gaussian blocks, n_products as a multiple of 1.4 sqrt(n) / m (a share
FIND of them finds), seeds out of 10 that are exactly right:

      n   1 - m   multiple 2   3    4    8            n   1 - m   multiple 2   3    4    8
     64    0               2   7    9                128    0.5            0   3    9
     64    0.3             0   4    5    9           128    0.7            0   0    0    0  (agreement 0.91)
     64    0.5             0   0    0    1           256    0              7  10
    128    0               4  10                     256    0.3            5  10
    128    0.3             4   9                     256    0.5            3   9
                                                     256    0.7            0   2    3    6  (agreement 0.99)

At a multiple of 1 the agreement (adjusted Rand index) is about 0.1. A block of low rank interacts through few directions, so its errors
are not independent: n = 128, rank 2, noise 0.2 is exact 10 times at 128 products, rank 1 three times (agreement 0.97). `discover_cut`
spends 2 n_draws products per slice of every axis. The chance of a false alarm is set by `level`: 0 of 440 matrices of 64 rows without
blocks (Gaussian; rank 3; power law; rows of unequal scale; entries and slices) were found to have any, at 1 %.

Limits: an (n, n) array per matrix of chance, so n up to some thousands; only cuts along one axis, or free ones; a matrix of low rank has
blocks by the direction of its rows, which a free search finds and chance finds too.

The sandbox's own (derived); Adam-mini's paper finds its blocks by eye.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from scipy.stats import t as student

from sandbox.curvature.blockwise import Blockwise, blockwise, excess, shares
from sandbox.curvature.chance import rank_like, without_blocks
from sandbox.curvature.clusters import above_chance, candidates, moved, numbered
from sandbox.curvature.pairs import balanced, fourth_moment, interaction, products_of
from sandbox.curvature.probes import Estimate, require
from sandbox.models.partitions import Partition

FIND = 0.6  # share of `discover`'s products that finds candidates; the others choose
HELD_OUT = 4  # draws of the score
UNSEEN = 1_000_000  # number of its first probe
CONFIRMED = 2.0 / 3.0


@dataclass(frozen=True)
class Discovery:
    """The best partition and what it is worth; `found` False says "no blocks", and the numbers are those of the nearest thing.

    labels: (n,) blocks 0, 1, ... in the order of their first entries.  cut: in words.  excess: of H, as in `block_mass`.  balanced: the
    excess after balancing; both from draws that the search has not seen.  chance: mean of the balanced excess of the same search on
    matrices without blocks.  p_value: of the balanced excess against them.  n_products: with H, in all.
    """

    labels: np.ndarray
    cut: str
    found: bool
    excess: Estimate
    balanced: Estimate
    confirmed: float
    chance: float
    p_value: float
    n_products: int

    @property
    def n_blocks(self) -> int:
        return int(self.labels.max()) + 1

    def partition(self, name: str, shape: tuple[int, ...]) -> Partition:
        """Of one tensor; one block where nothing was found. Raises ValueError for another number of entries."""
        _check_shape(shape, len(self.labels))
        labels = self.labels if self.found else np.zeros_like(self.labels)
        return Partition({name: torch.from_numpy(labels).view(shape)})

    def __str__(self) -> str:
        low, high = self.balanced.interval()
        verdict = self.cut if self.found else f"no blocks (nearest: {self.cut})"
        return (
            f"{verdict}: excess {self.excess.value:.2f}, balanced {self.balanced.value:.2f} [{low:.2f}, {high:.2f}] "
            f"against {self.chance:.2f} by chance, p {self.p_value:.1g}, {100 * self.confirmed:.0f} % of rows confirmed, "
            f"{self.n_products} products"
        )


@dataclass(frozen=True)
class Best:
    """What a search returns. masses: (n,) off-diagonal mass of each row.  rank: effective rank.  diagonal: about that of H."""

    labels: np.ndarray
    cut: str
    masses: np.ndarray
    rank: float
    diagonal: np.ndarray
    n_products: int


@dataclass(frozen=True)
class Judge:
    """level: of false alarms.  n_chance: matrices without blocks that are searched for comparison (each an (n, n) array)."""

    level: float = 0.01
    n_chance: int = 19

    def __post_init__(self) -> None:
        require("n_chance", self.n_chance, 2)
        if not 0.0 < self.level < 1.0:
            raise ValueError(f"a level of false alarms lies in 0 < level < 1, got {self.level}")

    def __call__(self, operator: LinearOperator, search: Callable[[LinearOperator], Best], seed: int) -> Discovery:
        even = balanced(operator, seed=seed)
        best = search(even.operator)
        fair, own = _unseen(even.operator, best.labels, best.diagonal, seed), _unseen(operator, best.labels, even.diagonal, seed)
        chance, p_value = self.against_chance(excess(fair).value, best, search, seed)
        sure = confirmed(fair)
        spent = even.n_products + best.n_products + fair.n_products + own.n_products
        real = p_value <= self.level and sure >= CONFIRMED
        return Discovery(best.labels, best.cut, real, excess(own), excess(fair), sure, chance, p_value, spent)

    def against_chance(self, value: float, best: Best, search: Callable[[LinearOperator], Best], seed: int) -> tuple[float, float]:
        """Mean excess of the best of chance, and the p-value of `value` against it."""
        rank, found = rank_like(best.masses, best.rank, seed=seed), []
        for index in range(self.n_chance):
            S = without_blocks(best.masses, rank, seed=seed, index=index)
            other = search(S)
            found.append(excess(_unseen(S, other.labels, other.diagonal, seed)).value)
        mean, spread = float(np.mean(found)), float(np.std(found, ddof=1)) * (1.0 + 1.0 / self.n_chance) ** 0.5
        return mean, float(student.sf((value - mean) / spread, self.n_chance - 1))


def discover(operator: LinearOperator, *, n_products: int, max_blocks: int = 20, judge: Judge = Judge(), seed: int = 0) -> Discovery:
    """Blocks among single entries, from `n_products` products and the held-out draws (4 per block found). A pure function of the seed.

    Raises ValueError for fewer than 4 rows, 10 products or 2 blocks, and for a matrix without off-diagonal entries.
    """
    require("rows of the matrix", operator.shape[0], 4)
    require("n_products", n_products, 10)
    require("max_blocks", max_blocks, 2)
    return judge(operator, lambda matrix: by_entry(matrix, n_products, max_blocks, seed), seed)


def discover_cut(
    operator: LinearOperator, shape: tuple[int, ...], *, n_draws: int = 2, max_blocks: int = 20, judge: Judge = Judge(), seed: int = 0
) -> Discovery:
    """The best cut of one tensor of that shape by groups of slices along one axis; `operator` is its own Hessian, (n, n).

    2 n_draws products per slice of every axis longer than 1. Raises ValueError for a shape of another size, without an axis to
    cut, n_draws < 2, and a matrix without off-diagonal entries.
    """
    _check_shape(shape, operator.shape[0])
    require("n_draws", n_draws, 2)
    require("max_blocks", max_blocks, 2)
    return judge(operator, lambda matrix: by_slice(matrix, shape, n_draws, max_blocks, seed), seed)


def confirmed(held: Blockwise) -> float:
    """The share of rows (of those with mass) whose mean square per entry is largest in their own block."""
    squared = np.square(held.Y).mean(axis=0)
    own = np.arange(squared.shape[1]) == held.labels[:, None]
    per_entry = squared / np.maximum(np.bincount(held.labels) - own, 1)
    return float((per_entry.argmax(axis=1) == held.labels)[squared.sum(axis=1) > 0].mean())


def by_entry(operator: LinearOperator, n_products: int, max_blocks: int, seed: int) -> Best:
    seen, first = products_of(operator, n_products=n_products, seed=seed), int(FIND * n_products)
    early, diagonal = seen.part(0, first).diagonal, seen.diagonal
    fresh = interaction(seen.part(first, n_products).less(early))
    options = candidates(interaction(seen.part(0, first).less(early)), max_blocks=max_blocks)
    everything = seen.less(diagonal)
    labels = moved(interaction(everything), max(options, key=lambda option: above_chance(fresh, option)))
    rank = everything.masses.sum() ** 2 / fourth_moment(everything)
    return Best(labels, f"{labels.max() + 1} blocks of entries", everything.masses, rank, diagonal, n_products)


def by_slice(operator: LinearOperator, shape: tuple[int, ...], n_draws: int, max_blocks: int, seed: int) -> Best:
    index = np.indices(shape).reshape(len(shape), -1)
    options: list[tuple[float, Best]] = []
    spent = 0
    for axis in (axis for axis, length in enumerate(shape) if length > 1):
        raw = blockwise(operator, index[axis], n_draws=2 * n_draws, seed=seed, first=2 * n_draws * axis)
        seen, diagonal = raw.less(raw.part(0, n_draws).own.mean(axis=0)), raw.own.mean(axis=0)
        masses, spent = seen.masses, spent + raw.n_products
        for cut, groups in _groupings(seen, n_draws, max_blocks):
            share, chance = shares(seen.part(n_draws, 2 * n_draws), groups)
            rank = masses.sum() ** 2 / seen.fourth_moment
            best = Best(numbered(groups[index[axis]]), f"{cut} along axis {axis}", masses, rank, diagonal, 0)
            options.append((float(share.mean()) - chance, best))
    return replace(max(options, key=lambda option: option[0])[1], n_products=spent)


def _groupings(seen: Blockwise, n_draws: int, max_blocks: int) -> list[tuple[str, np.ndarray]]:
    """Each slice by itself, and the best groups of slices where there are more than two."""
    n_slices = seen.Y.shape[2]
    found = [(f"each of {n_slices} slices", np.arange(n_slices))]
    if n_slices > 2:
        fresh = _interaction(seen.part(n_draws, len(seen.Z)))
        options = candidates(_interaction(seen.part(0, n_draws)), max_blocks=max_blocks)
        groups = moved(_interaction(seen), max(options, key=lambda option: above_chance(fresh, option)))
        found.append((f"{groups.max() + 1} groups of {n_slices} slices", groups))
    return found


def _interaction(products: Blockwise) -> np.ndarray:
    """N between blocks: what the signs do to a whole column of masses cancels in its shares P, and N = sqrt(P_rs P_sr)."""
    masses = products.between.mean(axis=0)
    np.fill_diagonal(masses, 0.0)
    total = masses.sum(axis=0)
    P = np.divide(masses, total, out=np.zeros_like(masses), where=total > 0)
    return np.sqrt(P * P.T)


def _unseen(operator: LinearOperator, labels: np.ndarray, diagonal: np.ndarray, seed: int) -> Blockwise:
    return blockwise(operator, labels, n_draws=HELD_OUT, seed=seed, first=UNSEEN).less(diagonal)


def _check_shape(shape: tuple[int, ...], n: int) -> None:
    if np.prod(shape, dtype=int) != n or max(shape, default=0) < 2 or n < 4:
        raise ValueError(f"a cut needs a tensor of {n} entries (at least 4), with an axis to cut, got shape {tuple(shape)}")
