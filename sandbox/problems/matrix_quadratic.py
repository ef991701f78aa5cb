"""Quadratics of a matrix, with curvature on its left side: the problems of RSO's theory.

    f(W) = 1/2 tr(W^T H W) + <B, W>,   H = Q diag(spectrum) Q^T (m x m),   B_ij ~ linear * N(0, 1)

RSO writes W + P B with P (m, r): the frame compresses dim 0 (side=0). With H = L I (`isotropic`) and B = 0 its one-step
bounds are equalities. The Hessian of vec(W) is H once per column, so the spectrum in `facts` repeats each eigenvalue n
times.

Letters: m = rows (compressed side), n = columns.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.problems.base import Facts, Params
from sandbox.problems.quadratic import check_spectrum, facts_of
from sandbox.problems.rotations import with_spectrum
from sandbox.problems.streams import START, STRUCTURE


@dataclass(frozen=True)
class MatrixQuadratic:
    """spectrum: (m,) eigenvalues of H, in loss / param^2.  columns: n.  linear: scale of the linear term, in loss /
    param.

    basis: as in Quadratic.  A linear term needs eigenvalues > 0: otherwise f may have no minimum.
    """

    spectrum: tuple[float, ...]
    columns: int = 1
    linear: float = 0.0
    seed: int = 0
    basis: Literal["haar", "axes"] = "haar"

    def __post_init__(self):
        check_spectrum(self.spectrum)
        if self.columns < 1 or self.basis not in ("haar", "axes"):
            raise ValueError(f'need columns >= 1 and basis "haar" or "axes", got {self.columns} and {self.basis!r}')
        if self.linear and min(self.spectrum) <= 0:
            raise ValueError(f"a linear term needs eigenvalues > 0, got {min(self.spectrum)} with linear={self.linear}")
        _ = self.hessian_mm, self.linear_mn  # drawn here, because vmap refuses random draws

    @cached_property
    def hessian_mm(self) -> Tensor:
        if self.basis == "axes":
            return torch.tensor(self.spectrum, dtype=torch.float64).diag()
        return with_spectrum(self.spectrum, generator(STRUCTURE, self.seed, 0))

    @cached_property
    def linear_mn(self) -> Tensor:
        return self.linear * normal((len(self.spectrum), self.columns), generator(STRUCTURE, self.seed, 1))

    @cached_property
    def facts(self) -> Facts:
        of_h = facts_of(self.spectrum * self.columns)
        if of_h.f_star == -math.inf:
            return of_h
        lowest = -0.5 * float((self.linear_mn * torch.linalg.solve(self.hessian_mm, self.linear_mn)).sum()) if self.linear else 0.0
        return Facts(L=of_h.L, mu=of_h.mu, f_star=lowest, spectrum=of_h.spectrum)

    def start(self, seed: int) -> Params:
        return {"W": normal((len(self.spectrum), self.columns), generator(START, seed))}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        W_mn = params["W"]
        return (W_mn * (0.5 * self.hessian_mm @ W_mn + self.linear_mn)).sum()


def isotropic(L: float, rows: int, columns: int = 1) -> MatrixQuadratic:
    """L |W|_F^2 / 2, the instance on which RSO's exact-subproblem bound is an equality at every step."""
    return MatrixQuadratic((L,) * rows, columns, basis="axes")
