"""ZO conservative: try the step and its opposite on the same batch, and keep the best of the three points.

    ghat = the two-point gradient;   s = the best of {0, +1, -1} by f(w), f(w - lr ghat), f(w + lr ghat)
    returned: s ghat, so that gradient descent with the same lr ends at the best point           3 more forward passes

A tie keeps w. On a fixed batch the loss never rises. On a quadratic with one direction, slope p = z^T g and ghat = p z,
f(w -+ lr ghat) - f(w) = p^2 lr (-+1 + lr z^T H z / 2): the opposite step is never taken, whatever H, and the step is taken exactly
where lr z^T H z < 2, whatever g is.

The candidates lie along the directions of the probes, so they are read as w + c z like every other point: no copy of
the weights, nothing to undo.

Sources: ZO-Bench (Zhang et al. 2024, 2402.11592; the code was read, the text was not). Departures from the released
code: there the published sweeps run it on AdamW, whose step is none of the three candidates. Here that can be had by another
rule than GradientDescent(lr), or by a schedule, and is a misuse for the same reason.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from sandbox.oracles.probing import LossAt, Measured, draw_probes, estimate
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import Directions, Probe
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Conservative:
    """lr: that of the GradientDescent which takes the step, in param^2 / loss."""

    lr: float
    inner: TwoPoint = field(default_factory=TwoPoint)

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"lr of Conservative must be > 0 and equal to that of its GradientDescent, got {self.lr}")

    @property
    def directions(self) -> Directions:
        return self.inner.directions

    def probes(self, names: tuple[str, ...]) -> tuple[Probe, ...]:
        return self.inner.probes(names)

    def coefficients(self, loss_at: LossAt, count: int, memory: None = None) -> Measured:
        """A candidate whose loss is not a number is never the best."""
        c = self.inner.coefficients(loss_at, count, memory).coefficients
        loss = loss_at({})
        forward, backward = (loss_at({i: sign * self.lr * x for i, x in enumerate(c)}) for sign in (-1.0, 1.0))
        best = torch.stack([loss, forward, backward]).nan_to_num(nan=float("inf")).argmin()
        sign = (best == 1).to(loss.dtype) - (best == 2).to(loss.dtype)
        return Measured(loss, tuple(torch.where(sign == 0, 0.0, sign * x) for x in c))

    def at(self, k: int) -> "Conservative":
        return replace(self, inner=self.inner.at(k))

    def draw(self, rng: torch.Generator, params: Params) -> tuple[Params, ...]:
        return draw_probes(self, rng, params)

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: tuple[Params, ...]) -> tuple[Tensor, Params]:
        return estimate(self, problem, params, batch, draw)[:2]
