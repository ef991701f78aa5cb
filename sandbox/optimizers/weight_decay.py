"""Decoupled weight decay around any rule or frame. Loshchilov & Hutter (2019), https://arxiv.org/abs/1711.05101,
section 2.

    w <- w + (the step of the inner rule) - lr wd w

Decay acts on the weight itself. Inside a frame a rule sees coefficients instead (P^T W in GaLore, B in RSO), so decay
is put around the frame and not into it.

Departures from the paper: multiplied by the learning rate of the inner rule, as torch.optim.AdamW does.
Letters: wd = weight_decay.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.settings import learning_rate, require_at_least_zero


@dataclass(frozen=True)
class WeightDecay:
    """A frame where its inner rule is one: `period`, `draw` and `refresh` are handed on."""

    inner: Rule
    weight_decay: float  # 1 / param for Adam-like rules

    def __post_init__(self) -> None:
        require_at_least_zero(self, "weight_decay")

    @property
    def period(self) -> int:
        return getattr(self.inner, "period", 0)

    def init(self, w: Tensor) -> State:
        return self.inner.init(w)

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor | None:
        return self.inner.draw(rng, shape)

    def refresh(self, g: Tensor, state: State, w: Tensor, draw: Tensor | None) -> State:
        return self.inner.refresh(g, state, w, draw)

    def step(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        delta, state = self.inner.step(g, state, w)
        return delta - (learning_rate(self.inner) * self.weight_decay) * w, state
