"""Quadratics with a chosen spectrum: the problems on which rates are exact.

    f(x) = 1/2 x^T H x,   H = Q diag(spectrum) Q^T

Letters: d = dimension.  L = max |lambda|.  mu = the smallest positive eigenvalue, which is the PL constant where no
eigenvalue is negative, and the strong convexity constant where all are positive.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.problems.base import Facts, Params
from sandbox.problems.rotations import with_spectrum
from sandbox.problems.streams import START, STRUCTURE


@dataclass(frozen=True)
class Quadratic:
    """spectrum: (d,) eigenvalues, in loss / param^2; negative ones make f unbounded below (f_star = -inf, mu unknown).

    basis: "haar" hides the eigenbasis from coordinate-wise rules by a rotation drawn from `seed`; "axes" is diagonal.
    """

    spectrum: tuple[float, ...]
    seed: int = 0
    basis: Literal["haar", "axes"] = "haar"

    def __post_init__(self):
        check_spectrum(self.spectrum)
        if self.basis not in ("haar", "axes"):
            raise ValueError(f'basis must be "haar" or "axes", got {self.basis!r}')
        _ = self.hessian_dd  # drawn here, because vmap refuses random draws

    @cached_property
    def hessian_dd(self) -> Tensor:
        if self.basis == "axes":
            return torch.tensor(self.spectrum, dtype=torch.float64).diag()
        return with_spectrum(self.spectrum, generator(STRUCTURE, self.seed))

    @cached_property
    def facts(self) -> Facts:
        return facts_of(self.spectrum)

    def start(self, seed: int) -> Params:
        return {"x": normal((len(self.spectrum),), generator(START, seed))}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        x_d = params["x"]
        return 0.5 * (x_d @ self.hessian_dd @ x_d)


def check_spectrum(spectrum: tuple[float, ...]) -> None:
    """Raises ValueError for a spectrum that is empty, not finite, or zero everywhere."""
    if not spectrum or not all(map(math.isfinite, spectrum)) or not any(spectrum):
        raise ValueError(f"a spectrum must be finite numbers, not all 0, got {spectrum}; give at least one eigenvalue != 0")


def facts_of(spectrum: tuple[float, ...]) -> Facts:
    """Facts of 1/2 x^T H x with these eigenvalues."""
    L, lowest = max(map(abs, spectrum)), min(spectrum)
    if lowest < 0:
        return Facts(L=L, f_star=-math.inf, spectrum=tuple(sorted(spectrum)))
    mu = min(value for value in spectrum if value > 0)
    return Facts(L=L, mu=mu, f_star=0.0, spectrum=tuple(sorted(spectrum)))
