"""Adam-mini: Adam with one second moment per block. Zhang et al. (2024), https://arxiv.org/abs/2406.16793, Algorithm
1.

    w <- (1 - lr wd) w
    m <- b1 m + (1 - b1) g
    v_k <- b2 v_k + (1 - b2) mean of g^2 over block k
    w <- w - lr (m / (1 - b1^t)) / (sqrt(v_k / (1 - b2^t)) + eps)      in block k

The blocks of a tensor are consecutive along `dim`, the axis that faces the output (0 in a torch.nn.Linear, 1 in a
layout (in, out)); which tensor gets which is data, handed in by whoever knows the model:

    n_blocks = 1, shape[dim], n_heads     the whole tensor; one per output neuron or token; one per attention head
    n_blocks = a multiple of shape[dim]   each slice along `dim` is cut in turn, in row-major order: one per expert and
                                          output neuron of a 3-D weight; numel = one per entry, which is Adam
    n_blocks = ((rows, blocks), ...)      stretches of rows, each cut into its own number of blocks: a fused query, key
                                          and value is ((d, heads), (d, heads), (d, d))

Departures from the paper: none known in the update (read through the authors' repository, version 1.1.1, and its
printed algorithm; the paper itself was not read). Against the repository: no parameter is exempted from decay by its
name, the state m keeps the shape of w, and a bias is a tensor like any other (there: full Adam, which is n_blocks =
shape[0] here).
Letters: (b1, b2) = betas, wd = weight_decay, k = block, d = width of a model, t = number of the step, from 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.averages import mean, towards
from sandbox.optimizers.settings import require_at_least_zero, require_betas, require_positive_int
from sandbox.optimizers.sharding import replicate

Cut = int | tuple[tuple[int, int], ...]


class AdamMiniState(NamedTuple):
    b1_t: float  # b1^t
    b2_t: float  # b2^t
    m: Tensor  # like w
    v: Tensor  # (number of blocks,), or (shape[dim], blocks per slice); >= 0


@dataclass(frozen=True)
class AdamMini:
    lr: float  # param
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8  # loss / param
    weight_decay: float = 0.0  # 1 / param
    n_blocks: Cut = 1
    dim: int = 0

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "eps", "weight_decay")
        require_betas(self)
        if isinstance(self.n_blocks, tuple):
            require_stretches(self.n_blocks)
        else:
            require_positive_int(self, "n_blocks")

    def init(self, w: Tensor) -> AdamMiniState:
        require_cut_fits(self.n_blocks, w, self.dim)
        v = torch.zeros_like(block_means(w, self.n_blocks, self.dim), memory_format=torch.contiguous_format)
        return AdamMiniState(1.0, 1.0, torch.zeros_like(w), v)

    def step(self, g: Tensor, state: AdamMiniState, w: Tensor) -> tuple[Tensor, AdamMiniState]:
        b1, b2 = self.betas
        b1_t, b2_t = b1 * state.b1_t, b2 * state.b2_t
        m = towards(state.m, g, 1 - b1)
        v = towards(state.v, block_means(g * g, self.n_blocks, self.dim), 1 - b2)
        c = (1 - b2_t) ** 0.5
        rate = (-self.lr * c / (1 - b1_t)) / (v.sqrt() + c * self.eps)
        delta = m * over_entries(rate, w, self.n_blocks, self.dim) - (self.lr * self.weight_decay) * w
        return delta, AdamMiniState(b1_t, b2_t, m, v)


def block_means(x: Tensor, n_blocks: Cut, dim: int = 0) -> Tensor:
    """The mean of each block, (number of blocks,), or (shape[dim], k) where each slice has k > 1 blocks.

    Rows are averaged first: shards of whole rows do that without talking.
    """
    x = (x if x.ndim else x.reshape(1)).movedim(dim, 0)
    n_rows = x.shape[0]
    if isinstance(n_blocks, int) and n_blocks > n_rows:
        slices = (replicate(x) if dim else x).reshape(n_rows, -1)
        return mean(slices.reshape(n_rows, n_blocks // n_rows, -1), 2)
    rows = x
    while rows.ndim > 1:  # and not flattened, which shards of unequal length cannot be
        rows = mean(rows, -1)
    if n_blocks == n_rows:
        return rows
    if n_blocks == 1:
        return mean(rows).reshape(1)
    rows = replicate(rows)  # a block may cross the border of a shard
    if isinstance(n_blocks, int):
        return mean(rows.reshape(n_blocks, -1), 1)
    parts = rows.split([size for size, _ in n_blocks])
    return torch.cat([mean(part.reshape(count, -1), 1) for part, (_, count) in zip(parts, n_blocks, strict=True)])


def over_entries(per_block: Tensor, w: Tensor, n_blocks: Cut, dim: int = 0) -> Tensor:
    """The number of each block in a shape that broadcasts against w, the other way round of `block_means`."""
    if w.ndim == 0:
        return per_block.reshape(())
    lying = w.movedim(dim, 0)
    n_rows = lying.shape[0]
    if per_block.ndim == 2:
        k = per_block.shape[1]
        slices = per_block.unsqueeze(2).expand(n_rows, k, w.numel() // (n_rows * k))
        return slices.reshape(lying.shape).movedim(0, dim)
    rows = per_block if n_blocks == n_rows else _over_rows(per_block, n_rows, n_blocks)
    return rows.reshape(n_rows, *(1 for _ in lying.shape[1:])).movedim(0, dim)


def _over_rows(per_block: Tensor, n_rows: int, n_blocks: Cut) -> Tensor:
    """(n_rows,): the number of the block that each row belongs to."""
    if isinstance(n_blocks, int):
        return per_block.unsqueeze(1).expand(n_blocks, n_rows // n_blocks).reshape(n_rows)
    parts = per_block.split([count for _, count in n_blocks])
    return torch.cat([_over_rows(part, size, count) for part, (size, count) in zip(parts, n_blocks, strict=True)])


def require_stretches(cut: tuple[tuple[int, int], ...]) -> None:
    """Raises ValueError unless every stretch is (rows, blocks) with blocks dividing rows."""
    for rows, blocks in cut:
        if rows < 1 or blocks < 1 or rows % blocks:
            raise ValueError(f"each stretch of n_blocks must be (rows, blocks) with blocks dividing rows, got {(rows, blocks)} in {cut}")


def require_cut_fits(n_blocks: Cut, w: Tensor, dim: int) -> None:
    """Raises ValueError where the blocks do not fill the tensor exactly."""
    if w.ndim and not 0 <= dim < w.ndim:
        raise ValueError(f"dim of AdamMini must be an axis of the weight, got dim {dim} and shape {tuple(w.shape)}")
    n_rows = w.shape[dim] if w.ndim else 1
    if isinstance(n_blocks, tuple):
        if sum(rows for rows, _ in n_blocks) != n_rows:
            raise ValueError(f"the stretches of n_blocks must add up to the {n_rows} rows of axis {dim}, got {n_blocks}")
        return
    per_slice = w.numel() // max(n_rows, 1)
    fits = n_rows % n_blocks == 0 if n_blocks <= n_rows else n_blocks % n_rows == 0 and per_slice % (n_blocks // n_rows) == 0
    if not fits:
        raise ValueError(
            f"n_blocks must divide the axis {dim} that it cuts, or cut each of its slices into equal parts, got n_blocks {n_blocks} "
            f"and shape {tuple(w.shape)}; use 1 (whole tensor), shape[{dim}] (rows), the number of heads, or numel (entries)"
        )
