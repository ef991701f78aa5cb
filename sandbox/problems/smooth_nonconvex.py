"""A smooth nonconvex problem with a known smoothness constant: robust regression.

    f(W) = sum_ij phi(R_ij),   R = A W - B,   phi(r) = log(1 + r^2 / 2)
    phi''(r) = (4 - 2 r^2) / (2 + r^2)^2   lies in [-1/8, 1]:   1 at r = 0, and -1/8 at r^2 = 6
    L = lam_max(A^T A) * 1

The curvature is negative wherever |r| > sqrt(2), so that a claim for nonconvex functions meets one.

Letters: s = samples, m = rows of W, n = columns of W.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.problems.base import Facts, Params
from sandbox.problems.streams import START, STRUCTURE


@dataclass(frozen=True)
class SmoothNonconvex:
    """rows: m.  columns: n.  samples: s, the rows of A (entries N(0, 1/s)), so that L is of order 1.

    noise: standard deviation of what is added to B = A W_true, W_true ~ N(0, 1). With noise = 0 the minimum is 0; else
    f_star is unknown. start_scale: standard deviation of the start; large residuals meet negative curvature.
    """

    rows: int
    columns: int = 1
    samples: int = 100
    noise: float = 0.0
    start_scale: float = 3.0
    seed: int = 0

    def __post_init__(self):
        if min(self.rows, self.columns, self.samples) < 1:
            raise ValueError(f"rows, columns, samples must be >= 1, got {self.rows}, {self.columns}, {self.samples}")
        _ = self.A_sm, self.B_sn  # drawn here, because vmap refuses random draws

    @cached_property
    def A_sm(self) -> Tensor:
        return normal((self.samples, self.rows), generator(STRUCTURE, self.seed, 0)) / math.sqrt(self.samples)

    @cached_property
    def B_sn(self) -> Tensor:
        rng = generator(STRUCTURE, self.seed, 1)
        exact = self.A_sm @ normal((self.rows, self.columns), rng)
        return exact + self.noise * normal((self.samples, self.columns), rng)

    @cached_property
    def facts(self) -> Facts:
        L = float(torch.linalg.eigvalsh(self.A_sm.T @ self.A_sm)[-1])
        return Facts(L=L, f_star=0.0 if self.noise == 0 else None)

    def start(self, seed: int) -> Params:
        return {"W": self.start_scale * normal((self.rows, self.columns), generator(START, seed))}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        R_sn = self.A_sm @ params["W"] - self.B_sn
        return torch.log1p(R_sn**2 / 2).sum()
