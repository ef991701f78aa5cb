"""Adam. Kingma & Ba (2015), https://arxiv.org/abs/1412.6980, Algorithm 1.

    m <- b1 m + (1 - b1) g          first moment
    v <- b2 v + (1 - b2) g^2        second moment
    w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

The code multiplies the last line by c = sqrt(1 - b2^t) above and below the bar, so that numbers meet numbers first:

    w <- w - (lr c / (1 - b1^t)) m / (sqrt(v) + c eps)

Departures from the paper: none. The powers b1^t and b2^t are carried as products.
Letters: (b1, b2) = betas, t = number of the step, from 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.averages import towards
from sandbox.optimizers.settings import require_at_least_zero, require_betas


class AdamState(NamedTuple):
    b1_t: float  # b1^t
    b2_t: float  # b2^t
    m: Tensor  # like w
    v: Tensor  # like w, >= 0


@dataclass(frozen=True)
class Adam:
    lr: float  # param
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8  # loss / param

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "eps")
        require_betas(self)

    def init(self, w: Tensor) -> AdamState:
        return AdamState(1.0, 1.0, torch.zeros_like(w), torch.zeros_like(w))

    def step(self, g: Tensor, state: AdamState, w: Tensor) -> tuple[Tensor, AdamState]:
        b1, b2 = self.betas
        b1_t, b2_t = b1 * state.b1_t, b2 * state.b2_t
        m = towards(state.m, g, 1 - b1)
        v = towards(state.v, g * g, 1 - b2)
        c = (1 - b2_t) ** 0.5
        delta = m / (v.sqrt() + c * self.eps) * (-self.lr * c / (1 - b1_t))
        return delta, AdamState(b1_t, b2_t, m, v)
