"""GWT: an inner rule on the approximation coefficients of a Haar wavelet transform of the gradient. Wen et al. (2025),
https://arxiv.org/abs/2501.07237.

Along the last side, a weight (m, n) has 2^level tensors of coefficients (m, k), k = ceil(n / 2^level)
(sandbox/optimizers/haar.py). With Adam inside, the paper's rule:

    [A, D_1, D_2, ...] = Haar(G)                    A the approximation, D_i the details, which have no moments
    m <- b1 m + (1 - b1) A,   v <- b2 v + (1 - b2) A^2,   c = sqrt(1 - b2^t) / (1 - b1^t)
    N_0 = m / (sqrt(v) + c eps),   N_i = D_i / (sqrt(v) + c eps)
    limiter = max(1, |N_0| / (before + 1e-8) / growth_limit)     |.| Frobenius; before = |N_0| / limiter of the last step,
                                                                 and no limit at the first step
    w <- w - lr scale (c / limiter) Haar^-1(N)

Any inner rule may take the place of Adam. It sees A as its gradient and the approximation of W as its weight; c = 1 where
it is not of Adam's kin, and N_0 is its step at lr = 1 (its step is a multiple of lr). The details are
  details="inner"     divided as the inner rule divides, by the averages that it has of A (sandbox/optimizers/frozen_step.py)
  details="clipped"   N_i = D_i / max(1, RMS(D_i)): gradient descent, clipped
  details="dropped"   left out: the step is constant over 2^level neighbours
Tensors of more than two dimensions are transformed along the last one; vectors and shorter sides are refused.

Derived, and tested: nothing averages D_i, so c enlarges it by 1 / (1 - b1^t) over D_i / sqrt(v / (1 - b2^t)), ten times at
the first step; where neighbours have opposite signs A and v are small and N_i grows like 1 / |A|; the limiter looks at
N_0 alone and sees neither. But N_0 lacks c, so it grows by itself at the start (under one gradient for ever from 3.2 to 6.5
in ten steps), and the limiter halves the tenth step of Adam where nothing was wrong.

Sources: the authors' repository (zqOuO/GWT at a8fb66a), read; of the paper the abstracts alone.
Departures from that code: c eps for eps, as in this project's Adam, and its default 1e-8 (there 1e-6); a step of size 0 is
no measure for the next (there, after a first gradient of zero, the limiter holds the next step at 1e-8 and lets it grow by 1 % a step);
weight decay is put around the frame. Its Adafactor variant divides the details by max(1, RMS / clip_threshold) of
the approximation's step, which that step was clipped to, so they pass as raw gradients; "clipped" takes their own RMS.
Letters: (b1, b2) = betas, t = number of the step, from 1.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from sandbox.optimizers.adam import AdamState
from sandbox.optimizers.adam_mini import AdamMiniState
from sandbox.optimizers.base import Rule, State, with_fields
from sandbox.optimizers.factored import excess, wide
from sandbox.optimizers.frozen_step import freeze_of, frozen_step
from sandbox.optimizers.haar import assembled, coefficients
from sandbox.optimizers.parameter_scale import levels
from sandbox.optimizers.projection import require_no_frame_inside
from sandbox.optimizers.settings import learning_rate, require_at_least_zero, require_positive_int
from sandbox.optimizers.sharding import like, resolve

Details = Literal["inner", "clipped", "dropped"]


class GWTState(NamedTuple):
    before: Tensor  # (1,): the limited size of the last step of the approximation, infinite where nothing limits
    inner: State  # of tensors (..., ceil(n / 2^level))


@dataclass(frozen=True)
class GWT:
    """growth_limit = None leaves the limiter out."""

    inner: Rule
    level: int = 2
    scale: float = 0.25
    growth_limit: float | None = 1.01
    details: Details = "inner"

    def __post_init__(self) -> None:
        require_positive_int(self, "level")
        require_at_least_zero(self, "scale")
        require_no_frame_inside(self)
        if self.growth_limit is not None and not self.growth_limit >= 1:
            raise ValueError(f"growth_limit of GWT must be >= 1, got {self.growth_limit}; None leaves the limiter out")
        if self.details not in get_args(Details):
            raise ValueError(f"details of GWT must be one of {', '.join(get_args(Details))}, got {self.details!r}")
        if self.details == "inner":
            freeze_of(self.inner)
            if any(isinstance(level, GWT) for level in levels(self.inner)):
                raise ValueError(f'GWT with details "inner" cannot hold {self.inner}; use one GWT with the sum of the levels')

    def init(self, w: Tensor) -> GWTState:
        if w.ndim < 2 or w.shape[-1] < 2**self.level:
            raise ValueError(
                f"GWT of level {self.level} needs a weight of at least 2 dimensions with a last side >= {2**self.level}, "
                f"got shape {tuple(w.shape)}; lower the level, or give this block an unprojected rule"
            )
        before = like(torch.full((1,), torch.inf), w, wide(w))
        return GWTState(before, self.inner.init(coefficients(w, self.level)[0]))

    def step(self, g: Tensor, state: GWTState, w: Tensor) -> tuple[Tensor, GWTState]:
        A, *details = coefficients(g, self.level)
        w_A, *_ = coefficients(w, self.level)
        unit = with_fields(self.inner, lr=1.0)
        moved, inner = unit.step(A, state.inner, w_A)
        limiter, before = self._limited(moved, inner, state.before)
        parts = [moved, *(self._detail(unit, D, inner, w_A) for D in details)]
        delta = assembled([x.to(w.dtype) for x in parts], w.shape[-1])
        rate = learning_rate(self.inner) * self.scale / limiter
        return delta * rate.to(w.dtype), GWTState(before, inner)

    def _detail(self, unit: Rule, D: Tensor, inner: State, w_A: Tensor) -> Tensor:
        if self.details == "dropped":
            return torch.zeros_like(D)
        return frozen_step(unit, D, inner, w_A) if self.details == "inner" else -D / excess(D, 1.0)

    def _limited(self, moved: Tensor, inner: State, before: Tensor) -> tuple[Tensor, Tensor]:
        """((1,) what the step is divided by, (1,) its size afterwards)."""
        size = resolve(moved.to(before.dtype).square().sum()).sqrt() / correction(inner)
        if self.growth_limit is None:
            return torch.ones_like(before), before
        limiter = (size / (before + 1e-8) / self.growth_limit).clamp(min=1.0)
        after = size / limiter
        return limiter, torch.where(after > 0, after, torch.inf)


def correction(state: State) -> float | Tensor:
    """c of Adam and its kin, which their steps hold as a factor; 1 for other rules."""
    if isinstance(state, AdamState | AdamMiniState):
        return (1 - state.b2_t) ** 0.5 / (1 - state.b1_t)
    return 1.0
