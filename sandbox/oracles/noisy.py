"""A gradient with added noise of a stated law.

    g = inner gradient + sigma Z,   E Z = 0,   E Z^2 = 1,   entries independent

    gaussian     Z ~ N(0, 1)                  light tails
    rademacher   Z = +-1                      magnitude bounded away from 0: what GoLore's counterexample needs
    uniform      Z ~ U[-sqrt 3, sqrt 3]       bounded, with a density
    student3     Z = T_3 / sqrt 3             heavy tails: no fourth moment

The draw is Z itself, so sigma may be a tensor, one number per member of an ensemble.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from sandbox.draws import normal
from sandbox.oracles.backprop import Backprop
from sandbox.oracles.base import Oracle
from sandbox.perturbations.directions import at_step
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Noisy:
    """sigma: standard deviation of each entry, in loss / param."""

    sigma: float
    law: Literal["gaussian", "rademacher", "uniform", "student3"] = "gaussian"
    inner: Oracle = field(default_factory=Backprop)

    def __post_init__(self) -> None:
        if self.law not in ("gaussian", "rademacher", "uniform", "student3"):
            raise ValueError(f'law must be "gaussian", "rademacher", "uniform" or "student3", got {self.law!r}')

    def at(self, k: int) -> "Noisy":
        return replace(self, inner=at_step(self.inner, k))

    def draw(self, rng: torch.Generator, params: Params) -> tuple[Any, Params]:
        """The draw of the inner oracle, then Z, named and shaped like params."""
        return self.inner.draw(rng, params), {name: standard(self.law, tuple(w.shape), rng) for name, w in params.items()}

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: tuple[Any, Params]) -> tuple[Tensor, Params]:
        inner_draw, Z = draw
        loss, grads = self.inner(problem, params, batch, inner_draw)
        return loss, {name: g + self.sigma * Z[name].to(g) for name, g in grads.items()}


def standard(law: str, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Independent entries of the law, mean 0 and variance 1, float64, on the CPU."""
    if law == "gaussian":
        return normal(shape, rng)
    if law == "rademacher":
        return 2.0 * torch.randint(0, 2, shape, generator=rng, dtype=torch.float64) - 1.0
    if law == "uniform":
        return math.sqrt(3) * (2.0 * torch.rand(shape, generator=rng, dtype=torch.float64) - 1.0)
    Y = normal((4, *shape), rng)  # T_3 = Y_0 / sqrt((Y_1^2 + Y_2^2 + Y_3^2) / 3) has variance 3
    return Y[0] / Y[1:].square().sum(0).sqrt()
