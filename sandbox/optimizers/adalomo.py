"""AdaLomo: a factored second moment with grouped normalisation. Lv et al. (2023), https://arxiv.org/abs/2310.10195,
Algorithm 1.

    b = 1 - t^decay_rate            so that b = 0 at t = 1
    q = g^2 + eps1
    r <- b r + (1 - b) (row means of q)        c <- b c + (1 - b) (column means of q)
    u = g / sqrt(r_i c_j / mean(r))            vectors and scalars: full v <- b v + (1 - b) q, u = g / sqrt(v)
    u <- u / max(1, RMS(u) / d)
    s = max(eps2, RMS(w))           of the weight before the step
    w <- (1 - lr s wd) w - lr s u

This is Adafactor (Shazeer & Stern 2018, https://arxiv.org/abs/1804.04235) with an outside learning rate, applied
during backward.

Departures from the paper: the equations are those of the authors' code (OpenLMLab/LOMO at 45d4bac), not the printed
ones, which cannot be run. Printed against code:
  A1  u = g / v; the code takes the root. Without it the step depends on the scale of the loss.
  A2  v is formed with an undefined s; the code uses c.
  A3  one constant decay; the code has 1 - t^(-0.8), which needs no bias correction.
  A4  one eps, in max(eps, RMS(w)); the code has a second one, 1e-30, inside q, without which a zero row gives 0/0.
  A5  no weight decay; the code multiplies it by lr * s, which keeps RMS(w) <= 1/wd
      for lr <= 1 and clip_threshold <= 1 (torch.optim.Adafactor decays by lr alone, and has no such bound).
  A6  RMS lacks the square in one version; the code has it.
Against the code: tensors of more than two dimensions are factored over their last two (there: a shape error), loss
scaling and clipping belong to the oracle, and the state is part of the shell's state_dict (there: lost on resume).
The body of the paper was not read; the printed equations are those of the figure in the repository.
Letters: (eps1, eps2) = eps, d = clip_threshold, wd = weight_decay, t = number of the step, from 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.averages import mean, rms, towards
from sandbox.optimizers.settings import require_at_least_zero


class FactoredState(NamedTuple):
    t: float
    r: Tensor  # (..., m): mean of q over columns
    c: Tensor  # (..., n): mean of q over rows


class FullState(NamedTuple):
    t: float
    v: Tensor  # like w


@dataclass(frozen=True)
class AdaLomo:
    lr: float  # relative: the step has RMS at most lr * max(eps2, RMS(w)) * clip_threshold
    eps: tuple[float, float] = (1e-30, 1e-3)  # (loss / param)^2, param
    clip_threshold: float = 1.0
    decay_rate: float = -0.8
    weight_decay: float = 0.0  # 1 / param

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "weight_decay")
        if not (min(self.eps) >= 0 and self.clip_threshold > 0 and self.decay_rate <= 0):
            raise ValueError(
                "AdaLomo needs eps >= 0, clip_threshold > 0 and decay_rate <= 0, "
                f"got eps {self.eps}, clip_threshold {self.clip_threshold} and decay_rate {self.decay_rate}"
            )

    def init(self, w: Tensor) -> FactoredState | FullState:
        dtype = wide(w)
        if w.ndim < 2:
            return FullState(0.0, torch.zeros_like(w, dtype=dtype))
        r, c = w.new_zeros(w.shape[:-1], dtype=dtype), w.new_zeros(w.shape[:-2] + w.shape[-1:], dtype=dtype)
        return FactoredState(0.0, r, c)

    def step(self, g: Tensor, state: FactoredState | FullState, w: Tensor) -> tuple[Tensor, FactoredState | FullState]:
        eps1, eps2 = self.eps
        t = state.t + 1
        g, w = g.to(wide(w)), w.to(wide(w))
        u, state = normalised(g, state._replace(t=t), weight=t**self.decay_rate, eps=eps1)
        rate = self.lr * rms(w).clamp(min=eps2)
        return u * (-rate / (rms(u) / self.clip_threshold).clamp(min=1.0)) - (rate * self.weight_decay) * w, state


def wide(w: Tensor) -> torch.dtype:
    """The dtype of the arithmetic and of the state: float32, or wider if the weight is."""
    return torch.promote_types(w.dtype, torch.float32)


def normalised(g: Tensor, state: FactoredState | FullState, *, weight: float, eps: float) -> tuple[Tensor, FactoredState | FullState]:
    """u, and the state that has seen q = g^2 + eps with the given weight, 1 - b."""
    q = g * g + eps
    if isinstance(state, FullState):
        v = towards(state.v, q, weight)
        return g * v.rsqrt(), state._replace(v=v)
    r, c = towards(state.r, mean(q, -1), weight), towards(state.c, mean(q, -2), weight)
    rows = (mean(r, -1).unsqueeze(-1) / r).sqrt()  # two vectors of inverse roots, never a matrix of roots
    return g * rows.unsqueeze(-1) * c.rsqrt().unsqueeze(-2), state._replace(r=r, c=c)
