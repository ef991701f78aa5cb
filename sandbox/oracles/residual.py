"""One-point feedback with a residual: one forward pass per step, and the loss of the step before.

    ghat_t = [f_t(w_t + eps z_t) - f_{t-1}(w_{t-1} + eps z_{t-1})] / eps  z_t

At the first step there is none before; f(w_0) stands in its place, one more forward pass. Given what happened before,
E ghat_t is that of the one-sided two-point gradient, because z_t is independent of the old loss and has mean 0; what
differs is the variance, which the change of the loss from one direction, and one batch, to the next enters.

Source: the one-point estimate that MeZO compares with (Malladi et al. 2023, 2305.17333, appendix B.5), after Zhang et
al. (2022), "A new one-point residual-feedback oracle" (recalled). Departures from the paper: one direction per step;
the stand-in at the first step is ours.

It remembers, so it has `step` in place of a call; `sandbox.run` and the in-place shell carry the memory, the ensemble cannot.
"""

from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import torch
from torch import Tensor

from sandbox.oracles.probing import LossAt, Measured, draw_probes, estimate
from sandbox.oracles.two_point import check_eps
from sandbox.perturbations.directions import Directions, Probe
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Residual:
    """eps: in units of a parameter."""

    eps: float = 1e-3
    directions: Directions = field(default_factory=Directions)

    def __post_init__(self) -> None:
        check_eps(self)

    def probes(self, names: tuple[str, ...]) -> tuple[Probe, ...]:
        return (Probe({name: i for i, name in enumerate(names)}, 0),)

    def coefficients(self, loss_at: LossAt, count: int, memory: Tensor | float | None) -> Measured:
        before = loss_at({}) if memory is None else memory
        here = loss_at({0: self.eps})
        return Measured(here, ((here - before) / self.eps,), here)

    def at(self, k: int) -> "Residual":
        return replace(self, directions=self.directions.at(k))

    def draw(self, rng: torch.Generator, params: Params) -> tuple[Params, ...]:
        return draw_probes(self, rng, params)

    def step(self, problem: Problem, params: Params, batch: Any, draw: tuple[Params, ...], *, memory: Any) -> tuple[Tensor, Params, Tensor]:
        """The loss at w + eps z, the gradient, and the memory for the next step; None as memory at the first."""
        return estimate(self, problem, params, batch, draw, memory=memory)

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: tuple[Params, ...]) -> NoReturn:
        raise ValueError(
            "Residual needs the loss of the step before, which nothing carries here; use run() with the stepwise or the in-place "
            "shell, or call step(..., memory=...), and wrap no other oracle around it"
        )
