"""RSO: random subspace optimization. Chen et al. (2025), https://arxiv.org/abs/2502.07222, as a frame with rounds.

One round starts every update_gap steps and draws a random basis P. Side 1 of a weight (m, n) is compressed here, the
input side of a torch.nn.Linear; side 0 is the transposed case, W + P B:

    P_nr from the draw,  B_mr = 0,  a fresh inner state            at the start of a round
    D_mr = the step of the inner rule, for the gradient G P + B / eta and the weight B
    B <- B + D,   W <- W + D P^T

so that W = W_0 + B P^T within the round, and the inner rule works on g(B) = f(W_0 + B P^T) + |B|_F^2 / (2 eta).

Laws of P with d = the compressed side; all have E[P P^T] = I:
  haar        P^T P = (d/r) I; sqrt(d/r) times uniformly distributed orthonormal columns (QR, diagonal of R positive)
  coordinate  P^T P = (d/r) I; sqrt(d/r) times r distinct columns of the identity
  gaussian    independent N(0, 1/r), the practice (second-hand); P^T P = (d/r) I in expectation only, outside the theorem
`eta` has the unit of a learning rate; t = eta * Lhat with Lhat = (d/r) L is the project's letter, and the theory takes
t = 1/2. None = no proximal term.

A fresh inner state is on_refresh = "reset". "keep" hands the old one on. "rotate" turns its first moment m, which stands for
G P, to the coordinates of the new basis, m <- (r/d) m P_old^T P_new: the coordinates of the part of G that the old basis
saw, as if P_old^T P_old were (d/r) I. Independent bases share about r/d of a direction, so rotating is nearly a reset of m
that keeps the second moment and the counts.

Departures from the paper: its body was not read. Equations from the abstract, a third-party summary and own
derivation; the reset of the inner state at each round follows from the definition and was not seen in the authors'
code ("keep" and "rotate" are ours). The paper solves each subproblem to a tolerance; here a round is a fixed number of inner steps.
Letters: r = rank.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from sandbox.draws import normal
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.inner_state import OnRefresh, refreshed, require_on_refresh, started
from sandbox.optimizers.parameter_scale import scales_by_weight
from sandbox.optimizers.projection import Basis, lift, no_basis, orthonormal, project, require_no_frame_inside, turned
from sandbox.optimizers.settings import require_positive_int, require_rank_fits
from sandbox.optimizers.sharding import like

Law = Literal["haar", "gaussian", "coordinate"]


class RSOState(NamedTuple):
    P: Tensor  # (compressed side, r)
    B: Tensor  # (m, r) for side 1, (r, n) for side 0
    inner: State


@dataclass(frozen=True)
class RSO:
    """Raises ValueError where `inner` scales its step by its weight: that is B, which starts at 0, and such a rule stands still."""

    inner: Rule
    rank: int
    update_gap: int
    eta: float | None = None  # param^2 / loss
    law: Law = "haar"
    side: Literal[0, 1] = 1
    on_refresh: OnRefresh = "reset"

    def __post_init__(self) -> None:
        require_positive_int(self, "rank", "update_gap")
        if self.eta is not None and not self.eta > 0:
            raise ValueError(f"eta of RSO must be > 0, got {self.eta}; None leaves the proximal term out")
        if self.law not in get_args(Law) or self.side not in (0, 1):
            raise ValueError(f"RSO needs a law of {', '.join(get_args(Law))} and side 0 or 1, got law {self.law!r} and side {self.side!r}")
        require_on_refresh(self)
        require_no_frame_inside(self)
        if scales_by_weight(self.inner):
            raise ValueError(
                f"the inner rule of RSO must not scale its step by its weight, which is B and starts at 0, got {self.inner}; "
                'write ParameterScale(RSO(...)) around a rule with parameter_scale="off"'
            )

    @property
    def period(self) -> int:
        return self.update_gap

    def init(self, w: Tensor) -> RSOState:
        require_rank_fits(self.rank, w, sides=(self.side,))
        P = no_basis(w, self.side, self.rank)
        B = torch.zeros_like(project(w, Basis(self.side, P)))
        return RSOState(P, B, started(self.inner, B, self.on_refresh))

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return normal((shape[self.side], self.rank), rng)

    def refresh(self, g: Tensor, state: RSOState, w: Tensor, draw: Tensor | None) -> RSOState:
        P, B = like(basis(draw, self.law), w), torch.zeros_like(state.B)
        old, new = Basis(self.side, state.P), Basis(self.side, P)

        def turn(x: Tensor) -> Tensor:
            return turned(x, old, new) * (self.rank / w.shape[self.side])

        return RSOState(P, B, refreshed(self.inner, state.inner, B, on_refresh=self.on_refresh, turn=turn))

    def step(self, g: Tensor, state: RSOState, w: Tensor) -> tuple[Tensor, RSOState]:
        frame, B = Basis(self.side, state.P), state.B
        coefficients = project(g, frame)
        pulled = coefficients if self.eta is None else coefficients + B * (1 / self.eta)
        delta, inner = self.inner.step(pulled, state.inner, B)
        delta = delta.to(B.dtype)
        return lift(delta, frame), RSOState(state.P, B + delta, inner)


def basis(draw_dr: Tensor, law: Law) -> Tensor:
    """(d, r): the basis that independent N(0, 1) numbers become under a law; same dtype and device as the draw."""
    d, r = draw_dr.shape
    if law == "gaussian":
        return draw_dr / r**0.5
    if law == "haar":
        return orthonormal(draw_dr) * (d / r) ** 0.5
    chosen = draw_dr[:, 0].argsort()[:r]  # a uniformly random ordering of the d coordinates
    return (torch.arange(d, device=draw_dr.device).unsqueeze(1) == chosen).to(draw_dr.dtype) * (d / r) ** 0.5
