"""Gradient descent, with momentum as torch.optim.SGD writes it.

    b <- mu b + (1 - tau) g         buffer; b = g at the first step
    w <- w - lr b                   nesterov="off", heavy ball
    w <- w - lr (g + mu b)          nesterov="on"

With mu = 0 nothing is remembered and w <- w - lr g: the update of LOMO (Lv et al. 2023,
https://arxiv.org/abs/2306.09782, section 3.1), whose memory saving is the fused shell and not the equation.

Source: Polyak (1964) and Nesterov (1983), in the convention of torch.optim.SGD.
Departures from the paper: Polyak's lr sits inside the buffer; the two agree while lr is constant. Nesterov takes the
gradient at a point ahead of the weight; here the weight is that point (Sutskever et al. 2013, section 2, recalled). The
first buffer is not damped, so tau = mu is an average of gradients that starts at the first one and not at 0. No weight
decay: torch.optim.SGD adds wd w to the gradient; WeightDecay acts beside it.
Letters: mu = momentum, tau = dampening.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.base import Empty
from sandbox.optimizers.settings import require_at_least_zero


class MomentumState(NamedTuple):
    b: Tensor  # like w


class DampedState(NamedTuple):
    seen: float  # 0 before the first gradient, which is not damped, and 1 after it
    b: Tensor  # like w


State = Empty | MomentumState | DampedState


@dataclass(frozen=True)
class GradientDescent:
    """`momentum` = 0 keeps no buffer; whether there is one is decided by `init`, not by `step`.

    Raises ValueError where a setting would have no effect (dampening without momentum), or where torch.optim.SGD has
    no such rule (Nesterov without momentum, or damped).
    """

    lr: float  # param^2 / loss
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: Literal["off", "on"] = "off"

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "momentum", "dampening")
        given = f"got momentum {self.momentum}, dampening {self.dampening} and nesterov {self.nesterov!r}"
        if self.nesterov not in ("off", "on"):
            raise ValueError(f'nesterov of GradientDescent must be "off" or "on", {given}')
        if self.nesterov == "on" and (self.momentum == 0 or self.dampening != 0):
            raise ValueError(f"a Nesterov step of GradientDescent needs momentum > 0 and dampening 0, {given}")
        if self.dampening != 0 and self.momentum == 0:
            raise ValueError(f"dampening of GradientDescent has no effect without momentum, {given}; give a momentum > 0")

    def init(self, w: Tensor) -> State:
        if varies_or_is_not_zero(self.dampening):
            return DampedState(0.0, torch.zeros_like(w))
        return MomentumState(torch.zeros_like(w)) if varies_or_is_not_zero(self.momentum) else Empty()

    def step(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        if isinstance(state, Empty):
            return g * -self.lr, state
        if isinstance(state, DampedState):
            b = self.momentum * state.b + (1 - self.dampening * state.seen) * g
            return b * -self.lr, DampedState(1.0, b)
        b = self.momentum * state.b + g
        return (g + self.momentum * b if self.nesterov == "on" else b) * -self.lr, MomentumState(b)


def varies_or_is_not_zero(value: float | Tensor) -> bool:
    """A tensor stands for a setting that varies over an ensemble, and cannot be asked whether it is zero."""
    return isinstance(value, Tensor) or value != 0
