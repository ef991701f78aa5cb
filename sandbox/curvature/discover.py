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

Products needed (`discover`, n rows, blocks with the share m of the off-diagonal mass above noise; derived, roughly). N of `clusters` has
eigenvalues m and errors of 0.71 / k an entry, symmetric and nearly independent, so of norm 1.4 sqrt(n) / k: the blocks stand out from

    k > 1.4 sqrt(n) / m        whatever the number, the sizes and the scales of the blocks

and single rows come out right at a few times as many. A block of low rank interacts through few directions: its errors are not
independent, and it needs more. `discover_cut` spends 2 n_draws products per slice of every axis.

The sandbox's own (derived); Adam-mini's paper finds its blocks by eye.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from scipy.stats import t as student

from sandbox.curvature.blockwise import Blockwise, blockwise, excess, shares
from sandbox.curvature.chance import rank_like, without_blocks
from sandbox.curvature.clusters import above_chance, candidates, moved, normalised, numbered
from sandbox.curvature.pairs import Products, fourth_moment, squares
from sandbox.curvature.probes import Estimate, require, signs, times_in_chunks
from sandbox.models.partitions import Partition

FIND = 0.6  # share of `discover`'s products that finds candidates; the others choose
HELD_OUT = 4  # draws of the score
UNSEEN = 1_000_000  # number of its first probe
CONFIRMED = 2.0 / 3.0
CHUNK = 64
NOTHING = 1e-12  # share of |H|_F^2 below which the off-diagonal part is rounding, in float32 too


@dataclass(frozen=True)
class Discovery:
    """The best partition and what it is worth; `found` False says "no blocks", and the numbers are those of the nearest thing.

    labels: (n,) blocks 0, 1, ... in the order of their first entries.  cut: in words.  excess: as in `block_mass`, on held-out draws.
    chance: mean excess of the same search on matrices without blocks.  p_value: of the excess against them.  n_products: with H, in all.
    """

    labels: np.ndarray
    cut: str
    found: bool
    excess: Estimate
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
        low, high = self.excess.interval()
        verdict = self.cut if self.found else f"no blocks (nearest: {self.cut})"
        return (
            f"{verdict}: excess {self.excess.value:.2f} [{low:.2f}, {high:.2f}] against {self.chance:.2f} by chance, p {self.p_value:.1g}, "
            f"{100 * self.confirmed:.0f} % of rows confirmed, {self.n_products} products"
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
        best = search(operator)
        held = _held_out(operator, best, seed)
        rank = rank_like(best.masses, best.rank, seed=seed)
        chance = np.empty(self.n_chance)
        for index in range(self.n_chance):
            S = without_blocks(best.masses, rank, seed=seed, index=index)
            chance[index] = excess(_held_out(S, search(S), seed)).value
        found, spread = excess(held), float(np.std(chance, ddof=1)) * (1.0 + 1.0 / self.n_chance) ** 0.5
        p_value = float(student.sf((found.value - chance.mean()) / spread, self.n_chance - 1))
        sure, spent = confirmed(held), best.n_products + held.n_products
        real = p_value <= self.level and sure >= CONFIRMED
        return Discovery(best.labels, best.cut, real, found, sure, float(chance.mean()), p_value, spent)


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
    Z = signs(operator.shape[0], range(n_products), seed)
    seen, first = Products(Z, times_in_chunks(operator, Z, CHUNK)), int(FIND * n_products)
    diagonal, early = seen.diagonal, seen.part(0, first).diagonal
    find, choose, everything = seen.part(0, first).less(early), seen.part(first, n_products).less(early), seen.less(diagonal)
    masses = find.masses
    _check_mass(masses, early)
    fresh = normalised(squares(choose, masses), masses)
    options = candidates(normalised(squares(find, masses), masses), max_blocks=max_blocks)
    labels = max(options, key=lambda option: above_chance(fresh, option))
    masses = everything.masses
    labels = moved(normalised(squares(everything, masses), masses), labels)
    rank = masses.sum() ** 2 / fourth_moment(everything)
    return Best(labels, f"{labels.max() + 1} blocks of entries", masses, rank, diagonal, n_products)


def by_slice(operator: LinearOperator, shape: tuple[int, ...], n_draws: int, max_blocks: int, seed: int) -> Best:
    index = np.indices(shape).reshape(len(shape), -1)
    options: list[tuple[float, Best]] = []
    spent = 0
    for axis in (axis for axis, length in enumerate(shape) if length > 1):
        raw = blockwise(operator, index[axis], n_draws=2 * n_draws, seed=seed, first=2 * n_draws * axis)
        early = raw.part(0, n_draws).own.mean(axis=0)
        seen, diagonal = raw.less(early), raw.own.mean(axis=0)
        masses = seen.masses
        _check_mass(masses, early)
        spent += raw.n_products
        for cut, groups in _groupings(seen, n_draws, max_blocks):
            labels = numbered(groups[index[axis]])
            worth = above_rows(seen.part(n_draws, 2 * n_draws), groups, masses)
            rank = masses.sum() ** 2 / seen.fourth_moment
            options.append((worth, Best(labels, f"{cut} along axis {axis}", masses, rank, diagonal, 0)))
    best = max(options, key=lambda option: option[0])[1]
    return Best(best.labels, best.cut, best.masses, best.rank, best.diagonal, spent)


def above_rows(products: Blockwise, groups: np.ndarray, masses: np.ndarray) -> float:
    """Share of the off-diagonal mass inside groups, less what it would be if H_ij^2 were a product of the masses of rows i and j."""
    D, rows = np.bincount(groups[products.labels], weights=masses), np.square(masses).sum()
    return float(shares(products, groups)[0].mean() - (np.square(D).sum() - rows) / (masses.sum() ** 2 - rows))


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


def _held_out(operator: LinearOperator, best: Best, seed: int) -> Blockwise:
    return blockwise(operator, best.labels, n_draws=HELD_OUT, seed=seed, first=UNSEEN).less(best.diagonal)


def _check_shape(shape: tuple[int, ...], n: int) -> None:
    if np.prod(shape, dtype=int) != n or max(shape, default=0) < 2 or n < 4:
        raise ValueError(f"a cut needs a tensor of {n} entries (at least 4), with an axis to cut, got shape {tuple(shape)}")


def _check_mass(masses: np.ndarray, diagonal: np.ndarray) -> None:
    total, own = float(masses.sum()), float(np.square(diagonal).sum())
    if not total > NOTHING * (total + own):
        raise ValueError(
            f"blocks are groups of entries that interact, but off the diagonal this {len(masses)} x {len(masses)} matrix has "
            f"a mass of {total:.1e} (on it: {own:.1e}): every entry is a block"
        )
