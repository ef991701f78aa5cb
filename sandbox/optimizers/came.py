"""CAME: Adafactor's direction, averaged, and divided by how much it differs from its average. Luo et al. (2023),
https://arxiv.org/abs/2307.02047, Algorithm 2 (read as the figure in the authors' repository).

    q = g^2 + eps1
    r, c <- b2 (r, c) + (1 - b2) (row means, column means of q)
    u = g / sqrt(r_i c_j / mean(r)),  u <- u / max(1, RMS(u) / d)
    m <- b1 m + (1 - b1) u
    p = (u - m)^2 + eps2            instability
    R, C <- b3 (R, C) + (1 - b3) (row means, column means of p)
    w <- (1 - lr wd) w - lr m / sqrt(R_i C_j / mean(R))

Tensors of fewer than two dimensions have a full second moment v and no instability: w <- (1 - lr wd) w - lr m. Those of
more are factored over their last two. Weight decay is decoupled and multiplied by lr alone.

No average is corrected for its zero start, so d bounds u and not the step. On a first gradient whose magnitudes have
rank one every entry moves by lr (1 - b1) / (b1 sqrt(1 - b3)) = 11.1 lr; while the gradient stays the same, by
lr (1 - b1^t) / sqrt((1 - b3) b1^2 (b3^t - b1^(2t)) / (b3 - b1^2)), which is 48.7 lr at t = 100 and grows like b3^(-t/2);
under pure noise it falls like 1/sqrt(t) for the first 1 / (1 - b3) steps.

Departures from the paper: the equations are those of the authors' code (came-pytorch 0.1.3). Printed against code:
weight decay is in the code alone; the print has no case for vectors, which the code exempts from the instability; sums
in the print, means in the code, with the same quotient but for eps, which the print adds once per entry too.
Letters: (b1, b2, b3) = betas, (eps1, eps2) = eps, d = clip_threshold, wd = weight_decay.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.averages import towards
from sandbox.optimizers.factored import by_factors, by_full, empty_factors, excess, wide
from sandbox.optimizers.settings import require_at_least_zero


class CAMEState(NamedTuple):
    m: Tensor  # like w
    r: Tensor  # (..., m): mean of q over columns
    c: Tensor  # (..., n): mean of q over rows
    R: Tensor  # (..., m): mean of p over columns
    C: Tensor  # (..., n): mean of p over rows


class CAMEVectorState(NamedTuple):
    m: Tensor  # like w
    v: Tensor  # like w


@dataclass(frozen=True)
class CAME:
    lr: float  # param
    betas: tuple[float, float, float] = (0.9, 0.999, 0.9999)
    eps: tuple[float, float] = (1e-30, 1e-16)  # (loss / param)^2, 1
    clip_threshold: float = 1.0
    weight_decay: float = 0.0  # 1 / param

    def __post_init__(self) -> None:
        require_at_least_zero(self, "lr", "weight_decay")
        if not (len(self.betas) == 3 and all(0 <= beta < 1 for beta in self.betas)):
            raise ValueError(f"CAME needs three betas in [0, 1), got {self.betas}; the paper's are (0.9, 0.999, 0.9999)")
        if not (len(self.eps) == 2 and min(self.eps) >= 0 and self.clip_threshold > 0):
            raise ValueError(f"CAME needs two eps >= 0 and clip_threshold > 0, got eps {self.eps} and clip_threshold {self.clip_threshold}")

    def init(self, w: Tensor) -> CAMEState | CAMEVectorState:
        m = torch.zeros_like(w, dtype=wide(w))
        return CAMEVectorState(m, torch.zeros_like(m)) if w.ndim < 2 else CAMEState(m, *empty_factors(w), *empty_factors(w))

    def step(self, g: Tensor, state: CAMEState | CAMEVectorState, w: Tensor) -> tuple[Tensor, CAMEState | CAMEVectorState]:
        g, w = g.to(wide(w)), w.to(wide(w))
        move, state = (self._vector if isinstance(state, CAMEVectorState) else self._matrix)(g, state)
        return move * -self.lr - (self.lr * self.weight_decay) * w, state

    def _vector(self, g: Tensor, state: CAMEVectorState) -> tuple[Tensor, CAMEVectorState]:
        u, v = by_full(g, g * g + self.eps[0], state.v, 1 - self.betas[1])
        m = self._average(state.m, u / excess(u, self.clip_threshold))
        return m, CAMEVectorState(m, v)

    def _matrix(self, g: Tensor, state: CAMEState) -> tuple[Tensor, CAMEState]:
        _, b2, b3 = self.betas
        u, r, c = by_factors(g, g * g + self.eps[0], (state.r, state.c), 1 - b2)
        u = u / excess(u, self.clip_threshold)
        m = self._average(state.m, u)
        move, R, C = by_factors(m, (u - m).square() + self.eps[1], (state.R, state.C), 1 - b3)
        return move, CAMEState(m, r, c, R, C)

    def _average(self, m: Tensor, u: Tensor) -> Tensor:
        return towards(m, u, 1 - self.betas[0])
