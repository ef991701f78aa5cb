"""Adafactor. Shazeer & Stern (2018), https://arxiv.org/abs/1804.04235, Algorithms 4 to 6 (second-hand: two codes and
notes).

    b = 1 - t^decay_rate            so that b = 0 at t = 1
    q = g^2 + eps1
    r <- b r + (1 - b) (row means of q)        c <- b c + (1 - b) (column means of q)
    u = g / sqrt(r_i c_j / mean(r))            vectors and scalars: full v <- b v + (1 - b) q, u = g / sqrt(v)
    u <- u / max(1, RMS(u) / d)
    a = lr rho_t s                  s = max(eps2, RMS(w)) of the weight before the step; 1 with parameter_scale="off"
    w <- (1 - a wd) w - a u         with beta1: the running average of the steps a u in the place of a u

    rho_t = 1                       relative_step="off", an outside learning rate
    rho_t = min(1e-2, 1/sqrt(t))    "plain"
    rho_t = min(1e-6 t, 1/sqrt(t))  "warmup"

Adafactor(lr) has an outside learning rate, Adafactor() the paper's: lr=None stands for lr=1.0 with relative_step
"plain", and both fields then show these values. So `lr` is always a number that a schedule can multiply: of the
learning rate, or of rho_t.

Departures from the paper: weight decay and outside learning rates are those of transformers.Adafactor, which this
equals in every setting (there scale_parameter, relative_step, warmup_init; beta1 averages steps that are scaled already).
torch.optim.Adafactor differs in three ways, and equals this one when they are undone:
  its rate is min(lr, 1/sqrt(t)): a schedule that multiplies lr by min(1, 1/(lr sqrt(t)));
  its eps1 is a floor for mean(r) and, squared, for v, and not added to g^2: the same at
  1e-30 (in float64: in float32 its square is 0, and a row without gradient becomes nan), but its default is 1.2e-7
  in float32, below which the gradient's scale no longer drops out;
  its decay is lr wd, not a wd: WeightDecay(Adafactor(lr), wd).
Letters: (eps1, eps2) = eps, d = clip_threshold, wd = weight_decay, t = number of the step, from 1.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from sandbox.optimizers.averages import towards
from sandbox.optimizers.factored import Moment, empty_moment, excess, normalised, require_factored_settings, wide
from sandbox.optimizers.parameter_scale import Scale, size
from sandbox.optimizers.settings import require_at_least_zero

RelativeStep = Literal["plain", "warmup", "off"]


class AveragedState(NamedTuple):
    m: Tensor  # like w: running average of the steps
    moment: Moment


@dataclass(frozen=True)
class Adafactor:
    """beta1 = None keeps no average of the steps; whether there is one is decided by `init`, not by `step`."""

    lr: float | None = None  # relative to max(eps2, RMS(w)), param with parameter_scale="off"
    eps: tuple[float, float] = (1e-30, 1e-3)  # (loss / param)^2, param
    clip_threshold: float = 1.0
    decay_rate: float = -0.8
    beta1: float | None = None
    weight_decay: float = 0.0  # 1 / param
    parameter_scale: Scale = "weight"
    relative_step: RelativeStep | None = None  # None: "plain" without lr, "off" with one

    def __post_init__(self) -> None:
        if self.relative_step is None:
            object.__setattr__(self, "relative_step", "plain" if self.lr is None else "off")
        if self.lr is None and self.relative_step != "off":
            object.__setattr__(self, "lr", 1.0)
        self._require_a_step_size()
        require_at_least_zero(self, "lr", "weight_decay")
        require_factored_settings(self)
        if self.beta1 is not None and not 0 <= self.beta1 < 1:
            raise ValueError(f"beta1 of Adafactor must lie in [0, 1), got {self.beta1}; None keeps no average of the steps")

    def _require_a_step_size(self) -> None:
        if self.relative_step not in get_args(RelativeStep):
            raise ValueError(f'relative_step of Adafactor must be "plain", "warmup" or "off", got {self.relative_step!r}')
        if self.lr is None:
            raise ValueError('relative_step of Adafactor must be "plain" or "warmup" without an lr, got \'off\'; give an lr')

    def init(self, w: Tensor) -> Moment | AveragedState:
        moment = empty_moment(w)
        return moment if self.beta1 is None else AveragedState(torch.zeros_like(w, dtype=wide(w)), moment)

    def step(self, g: Tensor, state: Moment | AveragedState, w: Tensor) -> tuple[Tensor, Moment | AveragedState]:
        old = state.moment if isinstance(state, AveragedState) else state
        g, w, t = g.to(wide(w)), w.to(wide(w)), old.t + 1
        u, moment = normalised(g, g * g + self.eps[0], old._replace(t=t), t**self.decay_rate)
        rate = self.lr * rho(t, self.relative_step) * (size(w, self.eps[1]) if self.parameter_scale == "weight" else 1.0)
        delta = u * (-rate / excess(u, self.clip_threshold))
        if isinstance(state, AveragedState):
            delta = towards(state.m, delta, 1 - self.beta1)
            moment = AveragedState(delta, moment)
        return delta - (rate * self.weight_decay) * w, moment


def rho(t: float | Tensor, relative_step: RelativeStep) -> float | Tensor:
    """The relative step size of step t, from 1."""
    if relative_step == "off":
        return 1.0
    first = 1e-2 if relative_step == "plain" else 1e-6 * t
    later = t**-0.5
    return later.clamp(max=first) if isinstance(later, Tensor) else min(first, later)
