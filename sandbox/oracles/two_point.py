"""The two-point zeroth-order gradient: forward passes only.

    central     ghat = 1/n sum_j  [f(w + eps z_j) - f(w - eps z_j)] / (2 eps)  z_j          2 n forward passes
    one-sided   ghat = 1/n sum_j  [f(w + eps z_j) - f(w)] / eps  z_j                        n + 1

On a quadratic the central difference is z^T g for every eps, so with H the Hessian and Gaussian z (derived)

    E ghat = g,   E |ghat|^2 = (d + n + 1)/n |g|^2,   E ghat^T H ghat = tr(H) |g|^2 + 2 g^T H g                    (n = 1)

and the one-sided difference adds (eps^2/4) (d + 4) [(tr H)^2 + 2 tr H^2] to E |ghat|^2. Elsewhere the bias of both is
(eps^2/2) grad(Laplacian f) + O(eps^4).

w + eps z is rounded to the dtype of the weight. A bfloat16 weight of 1 (a norm gain) sees no change below 0.002 downwards and
0.004 upwards, so with eps = 1e-3 one entry in forty is probed, and all of them are moved.

    MeZO, ZO-SGD     TwoPoint x GradientDescent              ZO-SGD with momentum     x GradientDescent(momentum=0.9)
    ZO-Adam          TwoPoint x Adam                         ZO-SGD-Sign (the paper)  x SignDescent

Sources: Malladi et al. (2023), MeZO, 2305.17333, Algorithm 1; Zhang et al. (2024), ZO-Bench, 2402.11592 (its released
code was read, its text was not). Departures: the weights are never written, so nothing drifts (the reference code adds
eps z, -2 eps z, eps z in the dtype of the weight); the loss that is reported is that at w up to O(eps^2): the mean
of the two of a central difference, where the reference code reports f(w + eps z); losses are subtracted in float64.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from sandbox.oracles.probing import LossAt, Measured, draw_probes, estimate
from sandbox.perturbations.directions import Directions, Probe
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class TwoPoint:
    """eps: in units of a parameter.  n: directions per step, averaged."""

    eps: float = 1e-3
    n: int = 1
    difference: Literal["central", "one-sided"] = "central"
    directions: Directions = field(default_factory=Directions)

    def __post_init__(self) -> None:
        check_eps(self)
        if type(self.n) is not int or self.n < 1 or self.difference not in ("central", "one-sided"):
            raise ValueError(
                f'TwoPoint needs an int n >= 1 and difference "central" or "one-sided", got {self.n!r} and {self.difference!r}'
            )

    def probes(self, names: tuple[str, ...]) -> tuple[Probe, ...]:
        indices = {name: i for i, name in enumerate(names)}
        return tuple(Probe(indices, j) for j in range(self.n))

    def coefficients(self, loss_at: LossAt, count: int, memory: None = None) -> Measured:
        if self.difference == "one-sided":
            loss = loss_at({})
            return Measured(loss, tuple((loss_at({i: self.eps}) - loss) / (self.eps * self.n) for i in range(count)))
        pairs = [(loss_at({i: self.eps}), loss_at({i: -self.eps})) for i in range(count)]
        slopes = tuple((plus - minus) / (2 * self.eps * self.n) for plus, minus in pairs)
        return Measured(sum(plus + minus for plus, minus in pairs) / (2 * count), slopes)

    def at(self, k: int) -> "TwoPoint":
        return replace(self, directions=self.directions.at(k))

    def draw(self, rng: torch.Generator, params: Params) -> tuple[Params, ...]:
        return draw_probes(self, rng, params)

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: tuple[Params, ...]) -> tuple[Tensor, Params]:
        return estimate(self, problem, params, batch, draw)[:2]


def check_eps(oracle: Any) -> None:
    """Raises ValueError unless eps > 0: a difference over no distance is no slope."""
    if not oracle.eps > 0:
        raise ValueError(f"eps of {type(oracle).__name__} must be > 0, got {oracle.eps}; a usual one is 1e-3")
