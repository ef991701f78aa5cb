"""CESGC: sparse gradient compression of a gradient that is already cut down to its top singular directions. Yang et al. (2025),
https://arxiv.org/abs/2502.00311 (second-hand: `projects with an SVD first, like GaLore, then SGC`; the body was not read).

    every update_gap steps:  P_mr = the r leading left singular vectors of G_mn
    R_rn = P^T G,  D_rn = the step of SGC for the gradient R and the weight P^T W
    W <- W + scale P D

for m <= n; the transposed equations where m > n, as in galore.py. `inner` is an SGC or an SGCAdam, whose matrix A then has
(k/c)(r n/c) entries in place of (k/c)(m n/c).

Departures from the paper, as far as it is known: those of sgc.py and galore.py. A is drawn once; the measured moments are kept,
neither rotated nor reset, when P changes. `update_gap` 200 is GaLore's, scale 1 ours. A sharded weight is gathered first.
Letters: r = rank.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.projection import top_singular
from sandbox.optimizers.settings import require_at_least_zero, require_positive_int, require_rank_fits
from sandbox.optimizers.sgc import SGC, SGCState, cut
from sandbox.optimizers.sgc_adam import SGCAdam, SGCAdamState
from sandbox.optimizers.sharding import like


class CESGCState(NamedTuple):
    started: float  # 0 before the first refresh, 1 after it
    P: Tensor  # (short side, r), orthonormal columns after the first refresh
    inner: SGCState | SGCAdamState


@dataclass(frozen=True)
class CESGC:
    inner: SGC | SGCAdam
    rank: int
    update_gap: int = 200
    scale: float = 1.0

    def __post_init__(self) -> None:
        require_positive_int(self, "rank", "update_gap")
        require_at_least_zero(self, "scale")
        if not isinstance(self.inner, (SGC, SGCAdam)) or self.inner.update_gap is not None:
            raise ValueError(
                f"the inner rule of CESGC must be an SGC or an SGCAdam with update_gap None, for A is drawn once, got {self.inner}; "
                "wrap the rule in SGC, or use GaLore for a projection alone"
            )

    @property
    def period(self) -> int:
        return self.update_gap

    def init(self, w: Tensor) -> CESGCState:
        require_rank_fits(self.rank, w, sides=(0, 1))
        P = torch.zeros(min(w.shape), self.rank, dtype=w.dtype, device=w.device)
        small = torch.zeros(self._small(tuple(w.shape)), dtype=w.dtype, device=w.device)
        return CESGCState(0.0, P, self.inner.init(small))

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return self.inner.draw(rng, self._small(shape))

    def refresh(self, g: Tensor, state: CESGCState, w: Tensor, draw: Tensor | None) -> CESGCState:
        P, old = top_singular(wide(g), self.rank), state.inner
        R = P.T @ wide(g)
        A = self.inner.refresh(R, old, R, draw).A * (1 - state.started) + old.A * state.started
        return CESGCState(state.started * 0 + 1.0, P, old._replace(A=A))

    def step(self, g: Tensor, state: CESGCState, w: Tensor) -> tuple[Tensor, CESGCState]:
        P = state.P
        delta, inner = self.inner.step(P.T @ wide(g), state.inner, P.T @ wide(w))
        lifted = P @ delta.to(P.dtype) * self.scale
        return like(lifted if is_wide(w.shape) else lifted.T, w), CESGCState(state.started, P, inner)

    def _small(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(r, long side)."""
        return self.rank, max(shape)


def is_wide(shape: tuple[int, ...]) -> bool:
    return shape[0] <= shape[1]


def wide(x: Tensor) -> Tensor:
    """x or its transpose, with the short side first; the whole of it on every rank, as a plain tensor."""
    whole = cut(x, 1).reshape(x.shape)
    return whole if is_wide(x.shape) else whole.T
