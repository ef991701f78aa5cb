"""Coordinates of a matrix in r directions of one of its sides: what GaLore, GoLore, I3S and RSO share.

Side 0 of x (m, n) has a basis P (m, r), side 1 a basis P (n, r):

    side 0:   project  P^T x  (r, n)     lift  P x           side 1:   project  x P  (m, r)     lift  x P^T

and with a basis for each side both are done. The short side of a square matrix is side 0. A basis is whole on every
rank; a sharded x is sharded along side 0, so only a projection along side 0 has a sum to finish. Where the inner rule moves every
entry by itself, each rank finishes its own columns and keeps their moments alone (`coefficients`); other rules see all columns.
"""

import sys
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.sharding import like, replicate, resolve, spread
from sandbox.optimizers.sign_descent import SignDescent

Side = Literal[0, 1, "short", "long"]


class Basis(NamedTuple):
    side: Literal[0, 1]  # of the matrix, the one that is compressed
    P: Tensor  # (that side, r)


class ProjectedState(NamedTuple):
    P: Tensor  # (compressed side, r)
    inner: State


def compressed(side: Side, shape: tuple[int, ...]) -> Literal[0, 1]:
    """The side of a matrix of this shape that is compressed."""
    if side in (0, 1):
        return side
    wide = shape[0] <= shape[1]
    return 0 if wide == (side == "short") else 1


def project(x: Tensor, *bases: Basis) -> Tensor:
    for side, P in bases:
        x = x @ P if side else resolve(P.T @ x)
    return x


def coefficients(inner: Rule, x: Tensor, *bases: Basis) -> Tensor:
    """The projection, as the inner rule may have it: cut along n on the ranks where it is to move entries of (r, n) one by one."""
    if len(bases) > 1 or bases[0].side or not is_entrywise(inner):
        return project(x, *bases)
    return spread(bases[0].P.T @ x)


def is_entrywise(rule: Rule) -> bool:
    """Whether the step of an entry depends on the gradients and the weight of that entry alone."""
    return isinstance(rule, Adam | AdamW | GradientDescent | SignDescent)


def lift(x: Tensor, *bases: Basis) -> Tensor:
    for side, P in bases:
        x = x @ P.T if side else P @ replicate(x)
    return x


def turned(x: Tensor, old: Basis, new: Basis) -> Tensor:
    """The coefficients in `new` of what has the coefficients x in the orthonormal basis `old`: P_new^T P_old x for side 0."""
    turning = new.P.T.to(x.dtype) @ old.P.to(x.dtype)  # a rule may keep a wider state than the weight
    return x @ turning.T if new.side else turning @ x


def step_in(inner: Rule, g: Tensor, state: State, w: Tensor, *bases: Basis) -> tuple[Tensor, State]:
    """The step of the inner rule on the coefficients of g and w, lifted, and its next state."""
    delta, state = inner.step(coefficients(inner, g, *bases), state, coefficients(inner, w, *bases))
    return lift(delta.to(bases[0].P.dtype), *bases), state


def no_basis(w: Tensor, side: Literal[0, 1], rank: int) -> Tensor:
    """(that side of w, rank): zeros, for the state before the first refresh."""
    return like(torch.zeros(w.shape[side], rank), w)


def require_side(rule: Any, *allowed: int | str) -> None:
    """Raises ValueError where rule.side is none of `allowed`."""
    if (type(rule.side), rule.side) not in [(type(side), side) for side in allowed]:
        raise ValueError(f"side of {type(rule).__name__} must be one of {', '.join(map(repr, allowed))}, got {rule.side!r}")


def require_no_frame_inside(rule: Any) -> None:
    """Raises ValueError where the inner rule has a refresh of its own.

    A shell knows one period and one draw for each tensor, so the inner basis would stay zero and the weight would not move.
    """
    period = getattr(rule.inner, "period", 0)
    if period:
        often = "once" if period == sys.maxsize else f"every {period} steps"
        raise ValueError(
            f"{type(rule).__name__} cannot hold {type(rule.inner).__name__}, which refreshes {often}: a tensor has one frame "
            "with a refresh, and the inner one would keep its basis of zeros; project once, with the smaller rank"
        )


def singular(g_mn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(U (m, k), s (k,), V (n, k)), k = min(m, n), in float32 or wider; the signs are LAPACK's.

    An entry that is not finite counts as 0, because no decomposition exists then: a run that diverges must come to its end
    (P^T G still carries the entry to the weights), and the other runs of an ensemble must go on.
    """
    whole = replicate(g_mn)
    finite = torch.where(whole.isfinite(), whole, 0.0)
    U, s, Vh = torch.linalg.svd(finite.to(torch.promote_types(g_mn.dtype, torch.float32)), full_matrices=False)
    return U, s, Vh.mT


def signed(U_dr: Tensor) -> Tensor:
    """Each column with its entry of largest magnitude positive.

    The sign of a singular vector is arbitrary, and moments that outlive a refresh feel it.
    """
    largest = U_dr.gather(0, U_dr.abs().argmax(0, keepdim=True))
    return (U_dr * largest.sign()).contiguous()  # LAPACK's columns would come back from a checkpoint as rows, with other rounding


def top_singular(g_mn: Tensor, rank: int) -> Tensor:
    """(m, rank): the leading left singular vectors, signed, in the dtype of g."""
    return signed(singular(g_mn)[0][:, :rank]).to(g_mn.dtype)


def orthonormal(draw_dr: Tensor) -> Tensor:
    """(d, r): orthonormal columns, uniformly distributed where the draw has independent N(0, 1) entries.

    The diagonal of R is positive: otherwise the columns depend on the algorithm of the factorisation.
    """
    Q, R = torch.linalg.qr(draw_dr)
    return (Q * R.diagonal().sign()).contiguous()
