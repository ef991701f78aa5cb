"""Two minima in the plane: where does a method end?

    f(x, y) = x^2 + y^2 - 2 exp(-5 [(x - 1)^2 + y^2]) - 3 exp(-5 [(x + 1)^2 + y^2])

Source: Lv et al., "AdaLomo" (2310.10195), section 2.2; the function is *recalled*, the starting points of the paper are
unknown. Minima: (-0.9363, 0) with f = -2.0631, global, and (0.9053, 0) with f = -1.0927. There is no other.

L, certified: the Hessian of exp(-5 q), q = squared distance, has the eigenvalues (100 q - 10) exp(-5 q) >= -10 and -10
exp(-5 q), which lie in [-10 exp(-5 q), 20 exp(-3/2)]. Of the two centres at least one has q >= 1. So the curvature of f
is at most 2 + 3 * 10 + 2 * 10 exp(-5) near the deeper well (less elsewhere), and at least 2 - 100 exp(-3/2) = -20.3. L
= 32 + 20 exp(-5).
"""

import math
from dataclasses import dataclass
from functools import cache, cached_property

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.problems.base import Facts, Params
from sandbox.problems.streams import START

SHARPNESS = 5.0
DEPTHS = {1.0: 2.0, -1.0: 3.0}  # centre of a well on the x axis -> its depth


@dataclass(frozen=True)
class TwoMinima:
    """half_width: starts are uniform on [-half_width, half_width]^2."""

    half_width: float = 1.5

    @cached_property
    def facts(self) -> Facts:
        x = minimiser(-1.0)
        return Facts(L=32 + 20 * math.exp(-5), f_star=float(self.loss({"xy": torch.tensor([x, 0.0]).double()}, None)))

    def start(self, seed: int) -> Params:
        u = torch.rand(2, generator=generator(START, seed), dtype=torch.float64)
        return {"xy": self.half_width * (2 * u - 1)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        x, y = params["xy"][0], params["xy"][1]
        wells = (depth * torch.exp(-SHARPNESS * ((x - centre) ** 2 + y**2)) for centre, depth in DEPTHS.items())
        return x**2 + y**2 - sum(wells)


def grid(problem: TwoMinima, points: int = 41) -> Params:
    """points^2 starts on the square, stacked along dim 0: {"xy": (points^2, 2)}, for the ensemble shell."""
    side = torch.linspace(-problem.half_width, problem.half_width, points, dtype=torch.float64)
    return {"xy": torch.cartesian_prod(side, side)}


@cache
def minimiser(near: float) -> float:
    """x of the minimum (x, 0) next to the well at `near` (1.0 or -1.0): Newton on the slope along y = 0."""
    x = torch.tensor(near, dtype=torch.float64)
    f = lambda x: TwoMinima().loss({"xy": torch.stack([x, torch.zeros_like(x)])}, None)  # noqa: E731
    for _ in range(30):
        x = x - torch.func.grad(f)(x) / torch.func.grad(torch.func.grad(f))(x)
    return float(x)


def reached_global(xy: Tensor) -> Tensor:
    """(...,) bool: whether (..., 2) points lie within 0.1 of the global minimum; far ones and diverged ones do not."""
    target = torch.tensor([minimiser(-1.0), 0.0], dtype=xy.dtype, device=xy.device)
    return (xy - target).norm(dim=-1) < 0.1
