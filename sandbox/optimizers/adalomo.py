"""AdaLomo: a factored second moment with grouped normalisation. Lv et al. (2023), https://arxiv.org/abs/2310.10195,
Algorithm 1.

    b = 1 - t^decay_rate            so that b = 0 at t = 1
    q = g^2 + eps1
    r <- b r + (1 - b) (row means of q)        c <- b c + (1 - b) (column means of q)
    u = g / sqrt(r_i c_j / mean(r))            vectors and scalars: full v <- b v + (1 - b) q, u = g / sqrt(v)
    u <- u / max(1, RMS(u) / d)
    s = max(eps2, RMS(w))           of the weight before the step; 1 with parameter_scale="off"
    w <- (1 - lr s wd) w - lr s u

This is Adafactor (Shazeer & Stern 2018, https://arxiv.org/abs/1804.04235) with an outside learning rate, applied
during backward. "off" is for the inside of a frame, whose coefficients are not the weight: see parameter_scale.py.

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

from torch import Tensor

from sandbox.optimizers.factored import Moment, empty_moment, excess, normalised, require_factored_settings, wide
from sandbox.optimizers.parameter_scale import Scale, size
from sandbox.optimizers.settings import require_at_least_zero


@dataclass(frozen=True)
class AdaLomo:
    lr: float  # relative: the step has RMS at most lr * max(eps2, RMS(w)) * clip_threshold
    eps: tuple[float, float] = (1e-30, 1e-3)  # (loss / param)^2, param
    clip_threshold: float = 1.0
    decay_rate: float = -0.8
    weight_decay: float = 0.0  # 1 / param

    parameter_scale: Scale = "weight"

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "weight_decay")
        require_factored_settings(self)

    def init(self, w: Tensor) -> Moment:
        return empty_moment(w)

    def step(self, g: Tensor, state: Moment, w: Tensor) -> tuple[Tensor, Moment]:
        eps1, eps2 = self.eps
        t = state.t + 1
        g, w = g.to(wide(w)), w.to(wide(w))
        u, state = normalised(g, g * g + eps1, state._replace(t=t), t**self.decay_rate)
        rate = self.lr * (size(w, eps2) if self.parameter_scale == "weight" else 1.0)
        return u * (-rate / excess(u, self.clip_threshold)) - (rate * self.weight_decay) * w, state
