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
  gaussian    independent N(0, 1/r), the practice (recalled); P^T P = (d/r) I in expectation only, outside the theorem
`eta` has the unit of a learning rate; t = eta * Lhat with Lhat = (d/r) L is the project's letter, and the theory takes
t = 1/2. None = no proximal term.

Departures from the paper: its body was not read. Equations from the abstract, a third-party summary and own
derivation; the reset of the inner state at each round follows from the definition and was not seen in the authors'
code. The paper solves each subproblem to a tolerance; here a round is a fixed number of inner steps.
Letters: r = rank.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from sandbox.draws import normal
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.settings import require_positive_int, require_rank_fits

Law = Literal["haar", "gaussian", "coordinate"]


class RSOState(NamedTuple):
    P: Tensor  # (compressed side, r)
    B: Tensor  # (m, r) for side 1, (r, n) for side 0
    inner: State


@dataclass(frozen=True)
class RSO:
    """`inner` must not scale its step by the size of its weight: B starts at 0, where such a rule stands still."""

    inner: Rule
    rank: int
    update_gap: int
    eta: float | None = None  # param^2 / loss
    law: Law = "haar"
    side: Literal[0, 1] = 1

    def __post_init__(self) -> None:
        require_positive_int(self, "rank", "update_gap")
        if self.eta is not None and not self.eta > 0:
            raise ValueError(f"eta of RSO must be > 0, got {self.eta}; None leaves the proximal term out")
        if self.law not in get_args(Law) or self.side not in (0, 1):
            raise ValueError(f"RSO needs a law of {', '.join(get_args(Law))} and side 0 or 1, got law {self.law!r} and side {self.side!r}")

    @property
    def period(self) -> int:
        return self.update_gap

    def init(self, w: Tensor) -> RSOState:
        require_rank_fits(self.rank, w, sides=(self.side,))
        P = w.new_zeros(w.shape[self.side], self.rank)
        B = torch.zeros_like(self._coefficients(w, P))
        return RSOState(P, B, self.inner.init(B))

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return normal((shape[self.side], self.rank), rng)

    def refresh(self, g: Tensor, state: RSOState, w: Tensor, draw: Tensor | None) -> RSOState:
        B = torch.zeros_like(state.B)
        return RSOState(basis(draw, self.law).to(w), B, self.inner.init(B))

    def step(self, g: Tensor, state: RSOState, w: Tensor) -> tuple[Tensor, RSOState]:
        P, B = state.P, state.B
        delta, inner = self.inner.step(self._subproblem_gradient(g, P, B), state.inner, B)
        delta = delta.to(B.dtype)
        return delta @ P.T if self.side else P @ delta, RSOState(P, B + delta, inner)

    def _coefficients(self, x: Tensor, P: Tensor) -> Tensor:
        return x @ P if self.side else P.T @ x

    def _subproblem_gradient(self, g: Tensor, P: Tensor, B: Tensor) -> Tensor:
        coefficients = self._coefficients(g, P)
        return coefficients if self.eta is None else coefficients + B * (1 / self.eta)


def basis(draw_dr: Tensor, law: Law) -> Tensor:
    """(d, r): the basis that independent N(0, 1) numbers become under a law; same dtype and device as the draw."""
    d, r = draw_dr.shape
    if law == "gaussian":
        return draw_dr / r**0.5
    if law == "haar":
        Q, R = torch.linalg.qr(draw_dr)
        return Q * (R.diagonal().sign() * (d / r) ** 0.5)
    chosen = draw_dr[:, 0].argsort()[:r]  # a uniformly random ordering of the d coordinates
    return (torch.arange(d, device=draw_dr.device).unsqueeze(1) == chosen).to(draw_dr.dtype) * (d / r) ** 0.5
