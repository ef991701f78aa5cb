"""Gradient descent, with heavy-ball momentum as torch.optim.SGD writes it.

    b <- mu b + g                   buffer, b = 0 before the first step
    w <- w - lr b

With mu = 0 nothing is remembered and w <- w - lr g: the update of LOMO (Lv et al. 2023,
https://arxiv.org/abs/2306.09782, section 3.1), whose memory saving is the fused shell and not the equation.

Source: Polyak (1964), in the undamped convention of torch.optim.SGD (dampening 0, no Nesterov step).
Departures from the paper: Polyak's lr sits inside the buffer; the two agree while lr is constant.
Letters: mu = momentum.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.base import Empty
from sandbox.optimizers.settings import require_at_least_zero


class MomentumState(NamedTuple):
    b: Tensor  # like w


@dataclass(frozen=True)
class GradientDescent:
    """`momentum` = 0 keeps no buffer; whether there is one is decided by `init`, not by `step`."""

    lr: float  # param^2 / loss
    momentum: float = 0.0

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "momentum")

    def init(self, w: Tensor) -> MomentumState | Empty:
        remembers = isinstance(self.momentum, Tensor) or self.momentum != 0
        return MomentumState(torch.zeros_like(w)) if remembers else Empty()

    def step(self, g: Tensor, state: MomentumState | Empty, w: Tensor) -> tuple[Tensor, MomentumState | Empty]:
        if isinstance(state, Empty):
            return g * -self.lr, state
        b = self.momentum * state.b + g
        return b * -self.lr, MomentumState(b)
