"""Sign descent: every entry moves by lr, against its gradient. Bernstein et al. (2018),
https://arxiv.org/abs/1802.04434, Algorithm 1 (recalled).

    w <- w - lr sign(g)             an entry without gradient stays

On a two-point oracle this is ZO-Sign (Liu et al. 2019, recalled), where one random direction z and one number decide
all signs: sign(g) = sign(difference) sign(z).

Departures from the paper: none. An entry that is not a number makes its weight one too (torch.sign gives 0, and a run
that is broken would look as if it stood still); an infinite entry has a sign. No weight decay: wrap in WeightDecay.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sandbox.optimizers.base import Empty
from sandbox.optimizers.settings import require_at_least_zero


@dataclass(frozen=True)
class SignDescent:
    lr: float  # param

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr")

    def init(self, w: Tensor) -> Empty:
        return Empty()

    def step(self, g: Tensor, state: Empty, w: Tensor) -> tuple[Tensor, Empty]:
        return torch.where(g.isnan(), g, g.sign()) * -self.lr, state
