"""Directions of low rank: the hook through which the subspaces of a frame, such as SubZero's, enter a zeroth-order estimate.

    z_mn = mu U_mr Z_rr V_nr^T,   Z ~ the law of the directions, new at every step;   U, V new every `period` steps

    LowRank(frame, subspace=subspace, alignment=alignment, seed=seed)      with the three names of sandbox.optimizers.subzero

U and V come from the draw of the frame with the key (seed, place of the tensor, step of the refresh), which is the key that
the shells use: under a run of the same seed the frame lives in the same subspace, and its coefficients are the slope times
Z. Without the frame, a rule on the whole tensor makes the same step where it is linear in the gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from sandbox.draws import generator


class SubspaceFrame(Protocol):
    @property
    def period(self) -> int: ...

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor: ...

    def matrix_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """(m, n) of the matrix that U and V act on; ValueError where the frame cannot take the tensor."""
        ...


class Factors(NamedTuple):
    U: Tensor  # (m, r), orthonormal columns
    V: Tensor  # (n, r), likewise
    mu: float
    shape: tuple[int, ...]  # of the weight; (m, n), or another view of the same entries

    @property
    def core(self) -> tuple[int, int]:
        """The shape of Z."""
        return self.U.shape[1], self.V.shape[1]

    def rows(self, Z: Tensor, rows: slice) -> Tensor:
        """These rows of mu U Z V^T; a view of other rows than the weight's is made whole first."""
        scaled = Z * self.mu
        if self.shape == (self.U.shape[0], self.V.shape[0]):
            return self.U[rows] @ scaled @ self.V.T
        return (self.U @ scaled @ self.V.T).reshape(self.shape)[rows]


@dataclass(frozen=True)
class LowRank:
    """subspace: (what the frame drew, m) -> (U, V).  alignment: (U, V) -> mu.  seed: of the run.  names: the tensors that are
    perturbed so; None for all that the frame can take, vectors excepted. The others keep their full directions.
    """

    frame: SubspaceFrame
    subspace: Callable[[Tensor, int], tuple[Tensor, Tensor]]
    alignment: Callable[[Tensor, Tensor], float]
    seed: int
    names: frozenset[str] | None = None
    step: int | None = None  # set by `at`

    def at(self, k: int) -> "LowRank":
        return replace(self, step=k)

    def takes(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether this tensor has a low-rank direction. Raises ValueError where it is named and the frame cannot take it."""
        if self.names is not None and name not in self.names:
            return False
        try:
            self.frame.matrix_shape(shape)
        except ValueError:
            if self.names is not None:
                raise
            return False
        return self.names is not None or len(shape) > 1

    def refreshed(self) -> int:
        """The step at which the subspaces of this step were drawn. Raises ValueError where nobody has said which step it is."""
        if self.step is None:
            raise ValueError("low-rank directions must know the step, to redraw their subspace; call at(k) on the oracle, as run() does")
        return self.step - self.step % self.frame.period

    def factors(self, index: int, shape: tuple[int, ...]) -> Factors:
        """U, V and mu at this step, for the tensor at this place."""
        drawn = self.frame.draw(generator(self.seed, index, self.refreshed()), shape)
        U, V = self.subspace(drawn, self.frame.matrix_shape(shape)[0])
        return Factors(U, V, self.alignment(U, V), shape)
