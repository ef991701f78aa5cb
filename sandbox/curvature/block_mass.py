"""How much of a Hessian lies inside the blocks of a partition, against what chance alone would put there.

Adam-mini (Zhang et al., 2024, https://arxiv.org/abs/2406.16793) cuts tensors along "dense sub-blocks of the Hessian";
the paper shows pictures. The numbers here are the sandbox's own (derived), with b(i) the block of entry i and s_b the
size of block b:

    mass   = sum_b |H_bb|_F^2 / |H|_F^2                                                 in [0, 1]
    null   = delta + (1 - delta) sum_b s_b (s_b - 1) / (n (n - 1)),   delta = sum_i H_ii^2 / |H|_F^2
    excess = (mass - null) / (1 - null)                                                 1: block diagonal, 0: chance
    error  = |H - BD(H)|_2 / |H|_2                                                      a small Frobenius error need not be small here
    tau    = sum_i |H_ii| / sum_ij |H_ij|                                               1: diagonal

null is the exact mean of the mass over all partitions with the same sizes: a pair i != j falls into one block with
probability sum_b s_b (s_b - 1) / (n (n - 1)), and every i lies in a block with itself.

Without a matrix: for z = +-1 on block b and 0 elsewhere, E|(Hz)_b|^2 = |H_bb|_F^2 and E|(Hz)_rest|^2 =
|H_rest,b|_F^2, because E z_i z_j = 1 if i = j and 0 otherwise. One product per probe; both estimates are unbiased,
their ratio is consistent.

Departures from the paper: none; it defines no number. tau is `recalled`: the paper describes it as 1 for a diagonal
matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.probes import squares_by_block


@dataclass(frozen=True)
class BlockMass:
    """One tensor under one partition. mass, null and excess as in the module's equations."""

    name: str
    partition: str
    mass: float
    null: float
    excess: float
    n_blocks: int


@dataclass(frozen=True)
class ProbedMass:
    """Estimates from probes, in (loss / param^2)^2. inside: of sum_b |H_bb|_F^2.  outside: of the rest of |H|_F^2.

    samples: (n_probes, 2) one estimate of both per probe of every block, independent of one another.
    """

    samples: np.ndarray
    n_products: int

    @property
    def inside(self) -> float:
        return float(self.samples[:, 0].mean())

    @property
    def outside(self) -> float:
        return float(self.samples[:, 1].mean())

    @property
    def mass(self) -> float:
        return self.inside / (self.inside + self.outside)


def groups(labels: np.ndarray | torch.Tensor, n: int) -> list[np.ndarray]:
    """The entries of each block, from one label per entry.

    Raises ValueError where the number of labels is not n.
    """
    flat = check_labels(labels, n)
    order = np.argsort(flat, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(flat[order])) + 1)


def check_labels(labels: np.ndarray | torch.Tensor, n: int) -> np.ndarray:
    """The labels as an array (n,). Raises ValueError where their number is not n."""
    flat = np.asarray(labels).reshape(-1)
    if len(flat) != n:
        raise ValueError(
            f"a partition of a {n} x {n} Hessian needs one label for each of its {n} rows, got {len(flat)} labels; "
            f"take the labels and the Hessian of the same tensors"
        )
    return flat


def diagonal_share(H: np.ndarray) -> float:
    """delta = sum_i H_ii^2 / |H|_F^2."""
    return float(np.square(np.diag(H)).sum() / _square(H))


def block_mass(H: np.ndarray, labels: np.ndarray | torch.Tensor) -> float:
    """sum_b |H_bb|_F^2 / |H|_F^2. Raises ValueError for a zero matrix and for labels of the wrong number."""
    return sum(float(np.square(H[np.ix_(b, b)]).sum()) for b in groups(labels, len(H))) / _square(H)


def chance_mass(H: np.ndarray, labels: np.ndarray | torch.Tensor) -> float:
    """The mean of `block_mass` over all partitions with the sizes of this one, exactly."""
    return chance_of(diagonal_share(H), [len(b) for b in groups(labels, len(H))])


def chance_of(delta: float, sizes: Sequence[int]) -> float:
    """null of the module's equations, from the diagonal's share and the sizes of the blocks."""
    n, pairs = sum(sizes), sum(size * (size - 1) for size in sizes)
    return delta + (1.0 - delta) * pairs / (n * (n - 1)) if n > 1 else 1.0


def measure(H: np.ndarray, labels: np.ndarray | torch.Tensor, *, name: str, partition: str) -> BlockMass:
    """Mass, chance and excess of one partition. The excess is nan where chance alone gives 1 (one block, or a diagonal H)."""
    mass, null = block_mass(H, labels), chance_mass(H, labels)
    excess = (mass - null) / (1.0 - null) if 1.0 - null > 1e-12 else float("nan")  # 1e-12: rounding of two sums of squares
    return BlockMass(name, partition, mass, null, excess, len(groups(labels, len(H))))


def operator_error(H: np.ndarray, labels: np.ndarray | torch.Tensor) -> float:
    """|H - BD(H)|_2 / |H|_2 of a symmetric H, by all its eigenvalues."""
    rest = np.array(H, dtype=np.float64)
    for b in groups(labels, len(H)):
        rest[np.ix_(b, b)] = 0.0
    return float(np.abs(np.linalg.eigvalsh(rest)).max() / np.abs(np.linalg.eigvalsh(H)).max())


def diagonal_ratio(H: np.ndarray) -> float:
    """tau = sum_i |H_ii| / sum_ij |H_ij|."""
    return float(np.abs(np.diag(H)).sum() / np.abs(H).sum())


def probed_mass(operator: LinearOperator, labels: np.ndarray | torch.Tensor, *, n_probes: int, seed: int = 0) -> ProbedMass:
    """The mass from `n_probes` random signs per block: n_probes x n_blocks products with H, and no matrix.

    Raises ValueError for n_probes < 1.
    """
    if n_probes < 1:
        raise ValueError(f"an estimate needs n_probes >= 1, got {n_probes}")
    blocks, samples = groups(labels, operator.shape[0]), np.zeros((n_probes, 2))
    for b, squares in squares_by_block(operator, blocks, n_probes, seed):
        inside = squares[b].sum(axis=0)
        samples += np.stack((inside, squares.sum(axis=0) - inside), axis=1)
    return ProbedMass(samples, n_probes * len(blocks))


def _square(H: np.ndarray) -> float:
    total = float(np.square(H).sum())
    if total == 0.0:
        raise ValueError(f"the mass of a block is a share of |H|_F^2, which is 0 for this {H.shape} Hessian; nothing to share")
    return total
