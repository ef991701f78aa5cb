"""GaLore: an inner rule in the top singular directions of the gradient. Zhao et al. (2024),
https://arxiv.org/abs/2403.03507, Algorithm 1-2.

For a weight (m, n) whose side 0 is compressed; the transposed equations for side 1:

    every update_gap steps:  P_mr = the r leading left singular vectors of G_mn
    R_rn = P^T G
    D_rn = the step of the inner rule, for the gradient R and the weight P^T W
    w <- w + scale P D

and with side "both", the core of the matrix: R_rr = P^T G Q, w <- w + scale P D Q^T, with Q_nr the right ones. Which side
("short" is the paper's), beside the proj_type of galore_torch:

    side    "short"    "long"           0       1        "both"
    there   std        reverse_std      left    right    full

With "both" the first core is diagonal: off the diagonal P^T G Q is rounding, about 1e-7 |G| in float32, and Adam, whose eps is
1e-8, moves those entries as far as the others. So the first step of galore_torch's "full" is mostly rounding (tested here).

The state of the inner rule is kept, neither rotated nor reset, when P changes (`on_refresh`).

Departures from the paper: each singular vector has its entry of largest magnitude positive, because its sign is
arbitrary and the kept moments feel it. The inner rule may be any; the paper's is Adam with bias correction (pass
Adam). The authors' command line has update_gap 50 and scale 1, the paper 200 and 0.25 (the defaults here).
Against galore_torch: a square matrix has side 0 for its short side, as in the paper (there: side 1); "full" leaves the
sign of U and V to LAPACK there; its Adam adds eps (1e-6) to sqrt(v) before v is corrected for its zero start, so that eps
counts 1 / sqrt(1 - b2^t) times, 32 times at the first step; its decay comes after the step. experiments/records/peers.md
has the numbers.
Letters: r = rank.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.inner_state import OnRefresh, refreshed, started
from sandbox.optimizers.one_sided import require_settings
from sandbox.optimizers.projection import (
    Basis,
    ProjectedState,
    Side,
    coefficients,
    compressed,
    no_basis,
    signed,
    singular,
    step_in,
    top_singular,
    turned,
)
from sandbox.optimizers.settings import require_rank_fits


class TwoSidedState(NamedTuple):
    P: Tensor  # (m, r)
    Q: Tensor  # (n, r)
    inner: State


GaLoreState = ProjectedState | TwoSidedState


@dataclass(frozen=True)
class GaLore:
    """The effective step per entry is about scale * sqrt(r / compressed side) times that of the inner rule."""

    inner: Rule
    rank: int
    update_gap: int = 200
    scale: float = 0.25
    side: Side | Literal["both"] = "short"
    on_refresh: OnRefresh = "keep"

    def __post_init__(self) -> None:
        require_settings(self, 0, 1, "short", "long", "both")
        if self.side == "both" and self.on_refresh == "rotate":
            raise ValueError(
                'on_refresh of GaLore must be "keep" or "reset" with side "both", got "rotate": the first core is diagonal, so second '
                "moments beside the diagonal are rounding, and a turned first moment divided by them is a step without bound"
            )

    @property
    def period(self) -> int:
        return self.update_gap

    def init(self, w: Tensor) -> GaLoreState:
        require_rank_fits(self.rank, w, sides=(0, 1))
        bases = tuple(Basis(side, no_basis(w, side, self.rank)) for side in self._sides(w))
        return _state(bases, started(self.inner, coefficients(self.inner, w, *bases), self.on_refresh))

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> None:
        return None

    def refresh(self, g: Tensor, state: GaLoreState, w: Tensor, draw: Tensor | None) -> GaLoreState:
        new = tuple(Basis(side, P) for side, P in zip(self._sides(w), self._top(g), strict=True))
        turn = partial(turned, old=self._bases(state, w)[0], new=new[0])
        return _state(new, refreshed(self.inner, state.inner, coefficients(self.inner, w, *new), on_refresh=self.on_refresh, turn=turn))

    def step(self, g: Tensor, state: GaLoreState, w: Tensor) -> tuple[Tensor, GaLoreState]:
        delta, inner = step_in(self.inner, g, state.inner, w, *self._bases(state, w))
        return delta * self.scale, state._replace(inner=inner)

    def _sides(self, w: Tensor) -> tuple[Literal[0, 1], ...]:
        return (0, 1) if self.side == "both" else (compressed(self.side, w.shape),)

    def _bases(self, state: GaLoreState, w: Tensor) -> tuple[Basis, ...]:
        *matrices, _ = state
        return tuple(Basis(side, P) for side, P in zip(self._sides(w), matrices, strict=True))

    def _top(self, g: Tensor) -> tuple[Tensor, ...]:
        """The leading singular vectors of each compressed side; one decomposition serves both."""
        if self.side == "both":
            U, _, V = singular(g)
            return tuple(signed(x[:, : self.rank]).to(g.dtype) for x in (U, V))
        return (top_singular(g.T if self._sides(g) == (1,) else g, self.rank),)


def _state(bases: tuple[Basis, ...], inner: State) -> GaLoreState:
    matrices = tuple(P for _, P in bases)
    return TwoSidedState(*matrices, inner) if len(matrices) == 2 else ProjectedState(*matrices, inner)
