"""SubZero: an inner rule on the r x r coefficients of a matrix in a random two-sided subspace. Yu et al. (2024),
https://arxiv.org/abs/2410.08989 (second-hand: the authors' repository zimingyy/SubZero at cf6effd, and notes; the paper was not read).

    every update_gap steps:  U_mr, V_nr = the orthonormal factors of independent Gaussian matrices
    B_rr = 0 stands for the weight W itself, and B for W + mu U B V^T,  mu = sqrt(m n) / r       (norm alignment)
    C_rr = the gradient with respect to B,  D_rr = the step of the inner rule for C and the weight U^T W V / mu
    W <- W + mu U D V^T

What C is depends on where the gradient G comes from:
  two-point   G = s Z', Z' = mu U Z V^T the perturbation, s its slope: C = U^T G V / mu = s Z. With gradient descent the update is
              the authors' W <- W - lr s mu U Z V^T (the default)
  backprop    G = the gradient of the loss: C = mu U^T G V, by the chain rule; this is the mean over Z of the other one
|mu U Z V^T| has the root mean square m n of a full Gaussian matrix, and over random U and V the mean of mu^2 U U^T G V V^T is G.

`subspace` and `perturbation` are what a two-point oracle needs in order to perturb in the same subspace: it makes U and V from the
draw of the step at which the frame was last refreshed, or takes them from the state.

`shape` "most square" views the entries of a weight as an a x b matrix with a as near to b as possible, as the authors do for the tall
factors of LoRA and for prompts, so that r may exceed the short side of the weight.

Departures from the paper: none known. Against the authors' code: the diagonals of both triangular factors are positive (the
law is the same, and a QR that differs in sign gives the same numbers); a rank above the short side is refused (there: shapes that do not
match, at the first perturbation); U and V are part of the state and of a checkpoint (there: a table made at global step 0 alone, which
a resumed run lacks); inner rules with a memory are possible (there: plain SGD), and keep their state when U and V change; vectors are
not handled here: give them an unprojected rule (there: a full Gaussian perturbation). update_gap: 1000 in their example, 2000 in
their command line; no default rank (8 there, 24 in the example).
Letters: r = rank.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from sandbox.draws import normal
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.projection import orthonormal, require_no_frame_inside
from sandbox.optimizers.settings import require_positive_int
from sandbox.optimizers.sharding import like, replicate, resolve

Origin = Literal["two-point", "backprop"]
View = Literal["own", "most square"]


class SubZeroState(NamedTuple):
    U: Tensor  # (m, r), orthonormal columns after the first refresh
    V: Tensor  # (n, r), likewise
    inner: State  # of the (r, r) coefficients


@dataclass(frozen=True)
class SubZero:
    """`gradient` says where the gradient comes from; the wrong one scales C by mu^2 = m n / r^2."""

    inner: Rule
    rank: int
    update_gap: int = 1000
    gradient: Origin = "two-point"
    shape: View = "own"

    def __post_init__(self) -> None:
        require_positive_int(self, "rank", "update_gap")
        require_no_frame_inside(self)
        if self.gradient not in get_args(Origin) or self.shape not in get_args(View):
            raise ValueError(
                f"SubZero needs a gradient of {', '.join(get_args(Origin))} and a shape of {', '.join(get_args(View))}, "
                f"got gradient {self.gradient!r} and shape {self.shape!r}"
            )

    @property
    def period(self) -> int:
        return self.update_gap

    def init(self, w: Tensor) -> SubZeroState:
        m, n = self.matrix_shape(tuple(w.shape))
        U, V = (replicate(w.new_zeros(side, self.rank)) for side in (m, n))
        return SubZeroState(U, V, self.inner.init(replicate(w.new_zeros(self.rank, self.rank))))

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        """(m + n, r)."""
        return normal((sum(self.matrix_shape(shape)), self.rank), rng)

    def refresh(self, g: Tensor, state: SubZeroState, w: Tensor, draw: Tensor | None) -> SubZeroState:
        U, V = subspace(draw, state.U.shape[0])
        return SubZeroState(like(U, w), like(V, w), state.inner)

    def step(self, g: Tensor, state: SubZeroState, w: Tensor) -> tuple[Tensor, SubZeroState]:
        U, V = state.U, state.V
        mu = alignment(U, V)
        C = self._coefficients(g, U, V) * (mu if self.gradient == "backprop" else 1 / mu)
        delta, inner = self.inner.step(C, state.inner, self._coefficients(w, U, V) * (1 / mu))
        return perturbation(U, delta.to(U.dtype), V).reshape(w.shape), SubZeroState(U, V, inner)

    def matrix_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(m, n) of the matrix that U and V act on. Raises ValueError where there is none with both sides >= rank."""
        seen = most_square(torch.Size(shape).numel()) if self.shape == "most square" else shape
        if len(seen) != 2 or min(seen) < self.rank:
            advice = "a smaller rank" if self.shape == "most square" else "a smaller rank, shape='most square'"
            raise ValueError(
                f"rank {self.rank} of SubZero needs a matrix with both sides >= rank, got shape {tuple(shape)}, seen as {tuple(seen)}; "
                f"give this block {advice} or an unprojected rule"
            )
        return seen

    def _coefficients(self, x: Tensor, U: Tensor, V: Tensor) -> Tensor:
        """U^T X V; the sum over n first, which a sharded X does without talking."""
        x = x if self.shape == "own" else replicate(x).reshape(U.shape[0], V.shape[0])
        return resolve(U.T @ (x @ V))


def subspace(draw: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """U (m, r) and V (n, r) from an (m + n, r) draw of independent N(0, 1): uniformly distributed orthonormal columns each.

    Raises ValueError where r is larger than m or n: there are no r orthonormal columns then.
    """
    n, rank = draw.shape[0] - m, draw.shape[1]
    if rank > min(m, n):
        raise ValueError(f"a subspace of rank {rank} needs a matrix with both sides >= rank, got {m} x {n}; give a smaller rank")
    return orthonormal(draw[:m]), orthonormal(draw[m:])


def perturbation(U: Tensor, Z: Tensor, V: Tensor) -> Tensor:
    """mu U Z V^T, (m, n); for Gaussian Z its mean square is that of a full Gaussian matrix, m n."""
    return U @ (Z * alignment(U, V)) @ V.T


def alignment(U: Tensor, V: Tensor) -> float:
    """mu = sqrt(m n) / r."""
    return (U.shape[0] * V.shape[0]) ** 0.5 / U.shape[1]


def most_square(size: int) -> tuple[int, int]:
    """(a, b) with a b = size, a <= b and a as large as possible; (0, 0) for nothing."""
    a = next((a for a in range(int(size**0.5), 0, -1) if size % a == 0), 0)
    return a, size // max(a, 1)
