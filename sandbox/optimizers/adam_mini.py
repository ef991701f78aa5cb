"""Adam-mini: Adam with one second moment per block. Zhang et al. (2024), https://arxiv.org/abs/2406.16793, Algorithm
1.

    w <- (1 - lr wd) w
    m <- b1 m + (1 - b1) g
    v_k <- b2 v_k + (1 - b2) mean of g^2 over block k
    w <- w - lr (m / (1 - b1^t)) / (sqrt(v_k / (1 - b2^t)) + eps)      in block k

The blocks of a tensor are `n_blocks` equal consecutive chunks along dim 0: 1 = the whole tensor, shape[0] = rows
(output neurons, tokens), n_heads = attention heads. Which tensor gets which is data, handed in by whoever knows the
model.

Departures from the paper: none known in the update (read through the authors' repository, version 1.1.1, and its
printed algorithm; the paper itself was not read). Against the repository: no parameter is exempted from decay by its
name, the state m keeps the shape of w, and a bias is a tensor like any other (there: full Adam, which is n_blocks =
shape[0] here).
Letters: (b1, b2) = betas, wd = weight_decay, k = block, t = number of the step, from 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.averages import mean, towards
from sandbox.optimizers.settings import require_at_least_zero, require_betas, require_positive_int


class AdamMiniState(NamedTuple):
    b1_t: float  # b1^t
    b2_t: float  # b2^t
    m: Tensor  # like w
    v: Tensor  # (n_blocks,), >= 0


@dataclass(frozen=True)
class AdamMini:
    lr: float  # param
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8  # loss / param
    weight_decay: float = 0.0  # 1 / param
    n_blocks: int = 1

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "eps", "weight_decay")
        require_betas(self)
        require_positive_int(self, "n_blocks")

    def init(self, w: Tensor) -> AdamMiniState:
        n_rows = w.shape[0] if w.ndim else 1
        if n_rows % self.n_blocks:
            raise ValueError(
                f"n_blocks must divide the first side of the weight, got n_blocks {self.n_blocks} "
                f"and shape {tuple(w.shape)}; use 1 (whole tensor), shape[0] (rows) or the number of heads"
            )
        return AdamMiniState(1.0, 1.0, torch.zeros_like(w), w.new_zeros(self.n_blocks))

    def step(self, g: Tensor, state: AdamMiniState, w: Tensor) -> tuple[Tensor, AdamMiniState]:
        b1, b2 = self.betas
        b1_t, b2_t = b1 * state.b1_t, b2 * state.b2_t
        m = towards(state.m, g, 1 - b1)
        v = towards(state.v, block_means(g * g, self.n_blocks), 1 - b2)
        c = (1 - b2_t) ** 0.5
        rate = (-self.lr * c / (1 - b1_t)) / (v.sqrt() + c * self.eps)
        return m * along_rows(rate, w) - (self.lr * self.weight_decay) * w, AdamMiniState(b1_t, b2_t, m, v)


def block_means(x: Tensor, n_blocks: int) -> Tensor:
    """(n_blocks,): the mean of each chunk of x along dim 0; rows first, which whole-row shards do without talking."""
    rows = mean(x.flatten(1), 1) if x.ndim > 1 else x.reshape(-1)
    return mean(rows.reshape(n_blocks, -1), 1)


def along_rows(per_block: Tensor, w: Tensor) -> Tensor:
    """The number of each block, repeated over its rows, in a shape that broadcasts against w."""
    if w.ndim == 0:
        return per_block.reshape(())
    n_blocks, n_rows = per_block.shape[0], w.shape[0]
    rows = per_block.unsqueeze(1).expand(n_blocks, n_rows // n_blocks)
    return rows.reshape(n_rows, *(1 for _ in w.shape[1:]))
