"""GoLore: an inner rule in random directions. He et al. (2024), https://arxiv.org/abs/2410.11289.

As GaLore, with another basis. For a weight (m, n) whose side 0 is compressed (side 1: transposed), every update_gap steps

    P_mr <- r orthonormal columns, uniformly distributed        from step `random_from` on
    P_mr <- the r leading left singular vectors of G            before it, which is GaLore
    m <- P_new^T P_old m                                        the first moment of the inner rule (on_refresh)

    R_rn = P^T G,   D_rn = the step of the inner rule,   w <- w + scale P D

Singular vectors of a noisy gradient may be those of the noise alone: then P^T grad f = 0 at every refresh, and GaLore does
not move. A uniform P has E[P P^T] = (r/m) I whatever the noise. The authors run GaLore first and random bases for the
last part of a run (rand_ratio 0.8: random_from = 0.8 of the steps); a switch between two refreshes acts at the next.

Sources: abstract, reviews, and the authors' repository (pkumelon/Golore, golore_torch at f89d9ff), read; the body of the
paper was not. scale and update_gap are GaLore's.
Departures from the reference code: the columns are those of a QR factorisation of a Gaussian matrix, there Z (Z^T Z)^(-1/2)
by an SVD of the product, which for the right side has rank r and n columns: the same law. The turned moment
is kept. In the code the moments of the refreshing step (turned, with its gradient) are never written back for Adam, so
from the next step on the moment is the one of the old basis, and that gradient is missing; for its SGD the same, and
the first turn is left out because the old basis is stored from random_from on only.
Letters: r = rank.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.draws import normal
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.inner_state import OnRefresh
from sandbox.optimizers.one_sided import begun, rebased, require_settings, stepped
from sandbox.optimizers.projection import Side, compressed, orthonormal, top_singular
from sandbox.optimizers.settings import require_at_least_zero
from sandbox.optimizers.sharding import like


class GoLoreState(NamedTuple):
    steps: float  # taken before the next refresh
    P: Tensor  # (compressed side, r), orthonormal columns after the first refresh
    inner: State


@dataclass(frozen=True)
class GoLore:
    inner: Rule
    rank: int
    update_gap: int = 200
    scale: float = 0.25
    side: Side = "short"
    random_from: int = 0  # steps
    on_refresh: OnRefresh = "rotate"

    def __post_init__(self) -> None:
        require_settings(self, 0, 1, "short", "long")
        require_at_least_zero(self, "random_from")
        if type(self.random_from) is not int:
            raise ValueError(f"random_from of GoLore counts steps and must be an int, got {self.random_from!r}; a share times the steps")

    @property
    def period(self) -> int:
        return self.update_gap

    def init(self, w: Tensor) -> GoLoreState:
        return GoLoreState(0.0, *begun(self, w))

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return normal((shape[compressed(self.side, shape)], self.rank), rng)

    def refresh(self, g: Tensor, state: GoLoreState, w: Tensor, draw: Tensor | None) -> GoLoreState:
        P = self._basis(g.T if compressed(self.side, w.shape) else g, state.steps, draw)
        return GoLoreState(state.steps + self.update_gap, *rebased(self, state, w, P))

    def step(self, g: Tensor, state: GoLoreState, w: Tensor) -> tuple[Tensor, GoLoreState]:
        return stepped(self, g, state, w)

    def _basis(self, g_dl: Tensor, steps: float | Tensor, draw: Tensor) -> Tensor:
        """Both bases are made only where the count is a tensor (an ensemble): no tensor is ever branched on."""
        late = steps >= self.random_from
        if isinstance(late, Tensor):
            return torch.where(late, like(orthonormal(draw), g_dl), top_singular(g_dl, self.rank))
        return like(orthonormal(draw), g_dl) if late else top_singular(g_dl, self.rank)
