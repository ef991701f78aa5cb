"""SGC with the two moments of Adam measured apart. Yang et al. (2025), https://arxiv.org/abs/2502.00311 (second-hand: a reviewer
speaks of two compressed quantities p_t and q_t; the body was not read). Read sgc.py first.

    t = g on its s entries of largest magnitude, 0 elsewhere
    p <- b1 p + (1 - b1) A t        = A m, for the first moment m of t
    q <- b2 q + (1 - b2) A t^2      = A v, for the second
    m, v = the s-sparse vectors behind p and q, by orthogonal matching pursuit
    w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)        where v > 0; nothing elsewhere

While the support of t stays what it is, this is Adam on t, digit for digit. A moment averages over steps, so it has more than s
entries as soon as the support moves, and the recovery fails: with a tenth of the support new at every step its error is
about 0.4 (derived). Half of the entries of q are negative, so no root can be taken before the recovery.

Departures from the paper: those of sgc.py; an entry whose second moment is not recovered as positive stays where it is (m / eps
would be unbounded); no decay, which belongs around it.
Letters: (b1, b2) = betas, s = sparsity, k = measurements, c = chunks.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.draws import normal
from sandbox.optimizers.averages import towards
from sandbox.optimizers.orthogonal_matching_pursuit import recover
from sandbox.optimizers.settings import require_at_least_zero, require_betas
from sandbox.optimizers.sgc import ONCE, cut, largest, matrix_shape, measured, require_measurable, require_sizes, unit_columns
from sandbox.optimizers.sharding import like


class SGCAdamState(NamedTuple):
    A: Tensor  # (k/c, d/c), unit columns after the first refresh
    b1_t: float  # b1^t
    b2_t: float  # b2^t
    p: Tensor  # (k,)
    q: Tensor  # (k,), of either sign


@dataclass(frozen=True)
class SGCAdam:
    lr: float  # param
    sparsity: int
    measurements: int
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8  # loss / param
    chunks: int = 1
    update_gap: int | None = None

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "eps")
        require_betas(self)
        require_sizes(self)

    @property
    def period(self) -> int:
        return self.update_gap or ONCE

    def init(self, w: Tensor) -> SGCAdamState:
        require_measurable(self, w)
        return self._fresh(torch.zeros(matrix_shape(self, w.shape), dtype=w.dtype, device=w.device))

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return normal(matrix_shape(self, shape), rng)

    def refresh(self, g: Tensor, state: SGCAdamState, w: Tensor, draw: Tensor | None) -> SGCAdamState:
        return self._fresh(unit_columns(draw).to(device=w.device, dtype=w.dtype))

    def step(self, g: Tensor, state: SGCAdamState, w: Tensor) -> tuple[Tensor, SGCAdamState]:
        A, (b1, b2) = state.A, self.betas
        b1_t, b2_t = b1 * state.b1_t, b2 * state.b2_t
        t = largest(cut(g, self.chunks), self.sparsity // self.chunks)
        p, q = towards(state.p, measured(A, t), 1 - b1), towards(state.q, measured(A, t * t), 1 - b2)
        m, v = self._recovered(A, p), self._recovered(A, q)
        c = (1 - b2_t) ** 0.5
        ratio = torch.where(v > 0, m / (v.clamp(min=0).sqrt() + c * self.eps), 0.0)
        delta = ratio * (-self.lr * c / (1 - b1_t))
        return like(delta.reshape(w.shape), w), SGCAdamState(A, b1_t, b2_t, p, q)

    def _recovered(self, A: Tensor, y: Tensor) -> Tensor:
        return recover(A, y.reshape(self.chunks, -1), self.sparsity // self.chunks)

    def _fresh(self, A: Tensor) -> SGCAdamState:
        zeros = A.new_zeros(self.measurements)
        return SGCAdamState(A, 1.0, 1.0, zeros, torch.zeros_like(zeros))
