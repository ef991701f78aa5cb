"""The forward gradient: the exact slope along a random direction, by forward-mode differentiation.

    ghat = 1/n sum_j  (z_j^T g) z_j,   z_j^T g = d/dc f(w + c z_j) at c = 0

The limit eps -> 0 of the two-point gradient, and equal to its central form on a quadratic, direction by direction. It
needs no stored activations, but every activation alive has a tangent of its size beside it, and the direction is held
whole (MeZO reports slightly more than twice the memory of inference).

Sources: Baydin et al. (2022), 2202.08587 (recalled); Malladi et al. (2023), MeZO, 2305.17333, appendix D; ZO-Bench (Zhang et al.
2024, 2402.11592). Departures from the released code of ZO-Bench: that applies plain gradient descent by hand, whatever
optimizer was asked for, and refuses n > 1; here any rule and any n.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from sandbox.oracles.probing import LossAt, Measured, draw_probes, estimate
from sandbox.perturbations.directions import Directions, Probe
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class ForwardGradient:
    """n: directions per step, averaged."""

    n: int = 1
    directions: Directions = field(default_factory=Directions)
    differentiates = True  # so it cannot run in the in-place shell, which only evaluates losses

    def __post_init__(self) -> None:
        if type(self.n) is not int or self.n < 1:
            raise ValueError(f"n of ForwardGradient must be an int >= 1, got {self.n!r}")

    def probes(self, names: tuple[str, ...]) -> tuple[Probe, ...]:
        indices = {name: i for i, name in enumerate(names)}
        return tuple(Probe(indices, j) for j in range(self.n))

    def coefficients(self, loss_at: LossAt, count: int, memory: None = None) -> Measured:
        values, slopes = zip(*(_slope(lambda c, i=i: loss_at({i: c})) for i in range(count)), strict=True)
        return Measured(values[0], tuple(slope / self.n for slope in slopes))

    def at(self, k: int) -> "ForwardGradient":
        return replace(self, directions=self.directions.at(k))

    def draw(self, rng: torch.Generator, params: Params) -> tuple[Params, ...]:
        return draw_probes(self, rng, params)

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: tuple[Params, ...]) -> tuple[Tensor, Params]:
        return estimate(self, problem, params, batch, draw)[:2]


def _slope(f: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """f(0) and f'(0)."""
    return torch.func.jvp(f, (torch.zeros((), dtype=torch.float64),), (torch.ones((), dtype=torch.float64),))
