"""I3S, later SARA: an inner rule in singular directions that are drawn by importance. Zhang et al.
(2025), https://arxiv.org/abs/2502.05790; "Breaking the frozen subspace" in its second version (NeurIPS 2025).

As GaLore, with another basis. For a weight (m, n) whose side 0 is compressed (side 1: transposed), every update_gap steps

    G = U diag(s) V^T
    P_mr <- r of the columns of U, drawn one after the other without replacement, each time with
            probability s_i / (sum of s over those that are left); then put in the order of their singular values
    m <- P_new^T P_old m            the first moment of the inner rule (on_refresh)

    R_rn = P^T G,   D_rn = the step of the inner rule,   w <- w + scale P D

The draw is a race, so that nothing is branched on: E_i ~ Exp(1), and the r smallest E_i / s_i win, in the law of the
sequential draw (memorylessness of the exponential). E_i = (z^2 + z'^2) / 2 of two N(0, 1) numbers.

Sources: abstracts of both versions, and the implementation inside GoLore's repository (pkumelon/Golore, I3S_torch at
2030b85), read; the bodies were not. scale and update_gap are GaLore's.
Departures from that code: singular vectors are signed as in GaLore, and directions of singular value 0 come last (there,
a gradient of zeros is an error of the sampler). The turned moment is kept; in the code it serves the
refreshing step alone and is not written back, nor is the gradient of that step (see GoLore). There, random orthonormal
bases follow from a step on: that is GoLore here.
Letters: r = rank.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sandbox.draws import normal
from sandbox.optimizers.base import Rule
from sandbox.optimizers.inner_state import OnRefresh
from sandbox.optimizers.one_sided import begun, rebased, require_settings, stepped
from sandbox.optimizers.projection import ProjectedState, Side, compressed, signed, singular
from sandbox.optimizers.sharding import like


@dataclass(frozen=True)
class I3S:
    inner: Rule
    rank: int
    update_gap: int = 200
    scale: float = 0.25
    side: Side = "short"
    on_refresh: OnRefresh = "rotate"

    def __post_init__(self) -> None:
        require_settings(self, 0, 1, "short", "long")

    @property
    def period(self) -> int:
        return self.update_gap

    def init(self, w: Tensor) -> ProjectedState:
        return begun(self, w)

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        """(2, number of singular values)"""
        return normal((2, min(shape)), rng)

    def refresh(self, g: Tensor, state: ProjectedState, w: Tensor, draw: Tensor | None) -> ProjectedState:
        U, s, _ = singular(g.T if compressed(self.side, w.shape) else g)
        return rebased(self, state, w, signed(U.index_select(1, drawn(s, draw, self.rank))).to(g.dtype))

    def step(self, g: Tensor, state: ProjectedState, w: Tensor) -> tuple[Tensor, ProjectedState]:
        return stepped(self, g, state, w)


def drawn(weights: Tensor, draw: Tensor, count: int) -> Tensor:
    """(count,) positions in rising order, drawn without replacement in proportion to weights (k,) >= 0; draw: (2, k)."""
    arrival = like(draw.square().sum(0) / 2, weights, torch.float64) / weights
    return arrival.argsort(stable=True)[:count].sort().values
