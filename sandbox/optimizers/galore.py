"""GaLore: an inner rule in the top singular directions of the gradient. Zhao et al. (2024),
https://arxiv.org/abs/2403.03507, Algorithm 1-2.

For a weight (m, n) with m <= n; the transposed equations where m > n, so that the short side is the one that is
compressed:

    every update_gap steps:  P_mr = the r leading left singular vectors of G_mn
    R_rn = P^T G
    D_rn = the step of the inner rule, for the gradient R and the weight P^T W
    w <- w + scale P D

The state of the inner rule is kept, neither rotated nor reset, when P changes.

Departures from the paper: each singular vector has its entry of largest magnitude positive, because its sign is
arbitrary and the kept moments feel it. The inner rule may be any; the paper's is Adam with bias correction (pass
Adam). The authors' command line has update_gap 50 and scale 1, the paper 200 and 0.25 (the defaults here).
Letters: r = rank.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.settings import require_at_least_zero, require_positive_int, require_rank_fits


class GaLoreState(NamedTuple):
    P: Tensor  # (short side, r), orthonormal columns after the first refresh
    inner: State


@dataclass(frozen=True)
class GaLore:
    """The effective step per entry is about scale * sqrt(r / short side) times that of the inner rule."""

    inner: Rule
    rank: int
    update_gap: int = 200
    scale: float = 0.25

    def __post_init__(self) -> None:
        require_positive_int(self, "rank", "update_gap")
        require_at_least_zero(self, "scale")

    @property
    def period(self) -> int:
        return self.update_gap

    def init(self, w: Tensor) -> GaLoreState:
        require_rank_fits(self.rank, w, sides=(0, 1))
        P = w.new_zeros(min(w.shape), self.rank)
        return GaLoreState(P, self.inner.init(torch.zeros_like(project(P, w))))

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> None:
        return None

    def refresh(self, g: Tensor, state: GaLoreState, w: Tensor, draw: Tensor | None) -> GaLoreState:
        return GaLoreState(top_singular(g if is_wide(g) else g.T, self.rank), state.inner)

    def step(self, g: Tensor, state: GaLoreState, w: Tensor) -> tuple[Tensor, GaLoreState]:
        P = state.P
        delta, inner = self.inner.step(project(P, g), state.inner, project(P, w))
        return lift(P, delta.to(P.dtype), w) * self.scale, GaLoreState(P, inner)


def is_wide(w: Tensor) -> bool:
    return w.shape[0] <= w.shape[1]


def project(P_sr: Tensor, x: Tensor) -> Tensor:
    """P^T x for a wide x, x P for a tall one: (r, n) or (m, r)."""
    return P_sr.T @ x if is_wide(x) else x @ P_sr


def lift(P_sr: Tensor, x: Tensor, w: Tensor) -> Tensor:
    """P x, or x P^T where the weight is tall: shape of w."""
    return P_sr @ x if is_wide(w) else x @ P_sr.T


def top_singular(g_mn: Tensor, rank: int) -> Tensor:
    """(m, rank): the leading left singular vectors, each with its largest entry positive, in the dtype of g.

    An entry that is not finite counts as 0, because no decomposition exists then: a run that diverges must come to its end
    (P^T G still carries the entry to the weights), and the other runs of an ensemble must go on.
    """
    finite = torch.where(g_mn.isfinite(), g_mn, 0.0)
    U_mk = torch.linalg.svd(finite.to(torch.promote_types(g_mn.dtype, torch.float32)), full_matrices=False).U[:, :rank]
    largest = U_mk.gather(0, U_mk.abs().argmax(0, keepdim=True))
    return (U_mk * largest.sign()).to(g_mn.dtype)
