"""The sign of the slope and the whole direction: what the released code of ZO-Bench runs as ZO-SGD-Sign.

    ghat = 1/n sum_j  sign(slope_j) z_j

Its step length is lr |z| whatever the gradient is, along z and not along the signs of its entries. The sign of every
entry, as the method is described (recalled), is the two-point gradient x SignDescent. On an isotropic quadratic with a
constant lr both stop at a floor, at |w| = sqrt(pi/8) lr d = 0.627 lr d here and (pi/4) lr d = 0.785 lr d there (derived).

Source: ZO-Bench (Zhang et al. 2024, 2402.11592; the code was read, the text was not).
Departures from that code: those of sandbox/oracles/two_point.py.
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
class SignedSlope:
    inner: TwoPoint = field(default_factory=TwoPoint)

    @property
    def directions(self) -> Directions:
        return self.inner.directions

    def probes(self, names: tuple[str, ...]) -> tuple[Probe, ...]:
        return self.inner.probes(names)

    def coefficients(self, loss_at: LossAt, count: int, memory: None = None) -> Measured:
        measured = self.inner.coefficients(loss_at, count, memory)
        return measured._replace(coefficients=tuple(c.sign() / self.inner.n for c in measured.coefficients))

    def at(self, k: int) -> "SignedSlope":
        return replace(self, inner=self.inner.at(k))

    def draw(self, rng: torch.Generator, params: Params) -> tuple[Params, ...]:
        return draw_probes(self, rng, params)

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: tuple[Params, ...]) -> tuple[Tensor, Params]:
        return estimate(self, problem, params, batch, draw)[:2]
