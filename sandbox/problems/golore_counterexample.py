"""The problem on which GaLore stops: noise in the rows that the objective does not use.

    f(X) = 1/2 |A X|_F^2 + <B, X>,   X (n x n),   A = [I_(n-r)  0],   B = blockdiag(D, 0)
    stochastic gradient = grad f + xi sigma C,   C = blockdiag(0, I_r),   xi = +-1 with probability 1/2

Source: He, Li, Hu, Chen, Yuan, "Subspace optimization ... GoLore" (2410.11289), the script of the authors' repository;
defaults are the script's: n = 10, r = 4, sigma = 1, start X_11 = sigma/2 I, X_12 = 0, lower r rows Gaussian. Mechanism:
the singular vectors of the r largest singular values are those of the noise block as long as the spectral norm of the
gradient block is below sigma, so P^T grad f = 0 and f never moves: |grad f|_F^2 = (n - r) sigma^2 / 4 for ever, 1.5 at
the defaults.

The batch is xi, and the loss holds the term xi sigma <C, X>, so backprop returns the stochastic gradient. With batch
None it is f.

Departures from the paper: `batch_size` averages xi at every step, the script's large batch only where P is computed
(the same wherever noise enters through the choice of the subspace alone); the normal law of xi is ours.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.problems.base import Facts, Params
from sandbox.problems.streams import BATCH, START, STRUCTURE


@dataclass(frozen=True)
class GoLoreCounterexample:
    """n: side of X.  rank: r, the rows that carry only noise.  sigma: noise, in loss / param.

    linear: scale of D_ij ~ N(0, 1); 0 is the variant with B = 0.  law: of xi; variance 1 in both.  batch_size: xi
    averaged per step.
    """

    n: int = 10
    rank: int = 4
    sigma: float = 1.0
    linear: float = 0.0
    law: Literal["rademacher", "gaussian"] = "rademacher"
    batch_size: int = 1
    seed: int = 0

    def __post_init__(self):
        if not 0 < self.rank < self.n or self.batch_size < 1:
            raise ValueError(f"need 0 < rank < n and batch_size >= 1, got {self.rank}, {self.n}, {self.batch_size}")
        if self.law not in ("rademacher", "gaussian"):
            raise ValueError(f'law must be "rademacher" or "gaussian", got {self.law!r}')
        _ = self.B_nn  # drawn here, because vmap refuses random draws

    @cached_property
    def B_nn(self) -> Tensor:
        k = self.n - self.rank
        B_nn = torch.zeros(self.n, self.n, dtype=torch.float64)
        B_nn[:k, :k] = self.linear * normal((k, k), generator(STRUCTURE, self.seed))
        return B_nn

    @cached_property
    def facts(self) -> Facts:
        """L = mu = 1: f is 1/2 |X_top|^2 + <D, X_11>, flat in the lower r rows, so mu is the PL constant."""
        used = (self.n - self.rank) * self.n
        spectrum = (0.0,) * (self.n * self.n - used) + (1.0,) * used
        return Facts(L=1.0, mu=1.0, f_star=-0.5 * float(self.B_nn.square().sum()), spectrum=spectrum)

    def start(self, seed: int) -> Params:
        k = self.n - self.rank
        X_nn = torch.zeros(self.n, self.n, dtype=torch.float64)
        X_nn[:k, :k] = self.sigma / 2 * torch.eye(k, dtype=torch.float64)
        X_nn[k:] = normal((self.rank, self.n), generator(START, seed))
        return {"X": X_nn}

    def batch(self, seed: int, step: int) -> Tensor:
        """xi: 0-dim, mean 0, variance 1 / batch_size."""
        rng = generator(BATCH, seed, step)
        if self.law == "gaussian":
            return normal((self.batch_size,), rng).mean()
        return (2.0 * torch.randint(0, 2, (self.batch_size,), generator=rng, dtype=torch.float64) - 1.0).mean()

    def loss(self, params: Params, batch: Tensor | None) -> Tensor:
        X_nn, k = params["X"], self.n - self.rank
        f = 0.5 * X_nn[:k].square().sum() + (self.B_nn * X_nn).sum()
        return f if batch is None else f + batch * self.sigma * X_nn[k:, k:].diagonal().sum()


def true_gradient_norm2(problem: GoLoreCounterexample, params: Params) -> Tensor:
    """|grad f|_F^2 of the objective without noise, 0-dim: |X_top + B_top|^2."""
    k = problem.n - problem.rank
    return (params["X"][:k] + problem.B_nn[:k]).square().sum()
