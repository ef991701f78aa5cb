"""SGC and MESGC: an inner rule on a few random measurements of the largest entries of the gradient. Yang et al. (2025),
https://arxiv.org/abs/2502.00311 (second-hand: abstract, a summary and reviews; the body was not read and no code was found).

    A_kd: random, unit columns                                     once, at the first step
    t = g on its s entries of largest magnitude, 0 elsewhere
    D_k = the step of the inner rule, for the gradient A t and the weight A w
    w <- w + (the s-sparse vector whose measurements are nearest to D, by orthogonal matching pursuit)

`chunks` = c > 1 is MESGC: g is cut into c parts of d/c entries, and each has s/c entries kept and k/c measurements by one
shared A of (k/c)(d/c) entries. State: k numbers per moment of the inner rule, and A: (k/c)(d/c) + 2 k under Adam, which is less
than Adam's own 2 d only with chunks, for about c^2 > k/2. The gradient is there in full, so the whole never takes less than
gradient descent does. Large entries that lie in one chunk compete for its s/c places.

The inner rule sees one flat vector of k numbers, whatever the shape of the weight: AdamMini needs n_blocks that divides k (n_blocks
= chunks gives each chunk its second moment), AdaLomo keeps a full second moment, and a frame inside is refused.

Two readings of `AdamW states in R^k` exist. This one lets the inner rule divide in R^k. A measurement mixes all entries, so the
second moments of all k are much alike, and Adam becomes momentum over about one number: the step points where the first moment does
(mean cosine 0.88 to 0.96 in the tests) and leaves Adam's on t the further the more the entries differ in scale (0.90 where they
do not, 0.68 and 0.49 where their logarithms spread by 1 and 2). sgc_adam.py is the other reading.

Departures from the paper, as far as it is known: A is Gaussian with columns scaled to length 1; A is part of the state, not
remade from a seed; as many entries are recovered as are kept; no error feedback for g - t; top-s acts on each tensor by itself;
decay is put around the frame; `update_gap` (None = A is fixed, as in the paper) redraws A and starts the inner state anew, because
measurements by one A mean nothing under another. s, k and c have no default: those of the paper are not known.
A sharded weight is gathered first, for the s largest entries are known only then: d numbers per step between ranks.
Letters: d = entries of the weight, s = sparsity, k = measurements, c = chunks.
"""

import sys
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sandbox.draws import normal
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.orthogonal_matching_pursuit import recover
from sandbox.optimizers.projection import require_no_frame_inside
from sandbox.optimizers.settings import require_positive_int
from sandbox.optimizers.sharding import like, placements, replicate

ONCE = sys.maxsize  # a period that no run reaches: due at step 0 alone


class SGCState(NamedTuple):
    A: Tensor  # (k/c, d/c), unit columns after the first refresh
    inner: State  # of a vector of k entries


@dataclass(frozen=True)
class SGC:
    """Adam takes the place of the paper's AdamW; `chunks` must divide s, k and the entries of every weight."""

    inner: Rule
    sparsity: int
    measurements: int
    chunks: int = 1
    update_gap: int | None = None

    def __post_init__(self) -> None:
        require_sizes(self)
        require_no_frame_inside(self)

    @property
    def period(self) -> int:
        return self.update_gap or ONCE

    def init(self, w: Tensor) -> SGCState:
        require_measurable(self, w)
        return SGCState(torch.zeros(matrix_shape(self, w.shape), dtype=w.dtype, device=w.device), self._fresh(w))

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        return normal(matrix_shape(self, shape), rng)

    def refresh(self, g: Tensor, state: SGCState, w: Tensor, draw: Tensor | None) -> SGCState:
        return SGCState(unit_columns(draw).to(device=w.device, dtype=w.dtype), self._fresh(w))

    def step(self, g: Tensor, state: SGCState, w: Tensor) -> tuple[Tensor, SGCState]:
        A, c = state.A, self.chunks
        t = largest(cut(g, c), self.sparsity // c)
        delta, inner = self.inner.step(measured(A, t), state.inner, measured(A, cut(w, c)))
        x = recover(A, delta.to(A.dtype).reshape(c, -1), self.sparsity // c)
        return like(x.reshape(w.shape), w), SGCState(A, inner)

    def _fresh(self, w: Tensor) -> State:
        return self.inner.init(torch.zeros(self.measurements, dtype=w.dtype, device=w.device))


def cut(x: Tensor, chunks: int) -> Tensor:
    """(c, d/c): the entries of x in order; the whole of x on every rank, as a plain tensor."""
    whole = replicate(x)
    return (whole.to_local() if placements(whole) else whole).reshape(chunks, -1)


def largest(x: Tensor, n: int) -> Tensor:
    """x with all but the n entries of largest magnitude along the last dimension set to 0."""
    chosen = x.abs().topk(n, -1).indices
    return torch.zeros_like(x).scatter(-1, chosen, x.gather(-1, chosen))


def measured(A: Tensor, x_cd: Tensor) -> Tensor:
    """(k,): the measurements of every chunk, one chunk after the other."""
    return (x_cd @ A.T).reshape(-1)


def unit_columns(draw: Tensor) -> Tensor:
    return draw / draw.square().sum(0).sqrt()


def matrix_shape(rule: Rule, shape: tuple[int, ...]) -> tuple[int, int]:
    return rule.measurements // rule.chunks, torch.Size(shape).numel() // rule.chunks


def require_sizes(rule: Rule) -> None:
    """Raises ValueError unless the counts are ints >= 1, c divides s and k, and s <= k."""
    require_positive_int(rule, "sparsity", "measurements", "chunks", *(() if rule.update_gap is None else ("update_gap",)))
    s, k, c = rule.sparsity, rule.measurements, rule.chunks
    if s % c or k % c or s > k:
        raise ValueError(
            f"{type(rule).__name__} needs chunks that divides sparsity and measurements, and sparsity <= measurements, got chunks {c}, "
            f"sparsity {s} and measurements {k}; about 2 s log(d/s) measurements recover s of d entries"
        )


def require_measurable(rule: Rule, w: Tensor) -> None:
    """Raises ValueError unless c divides the entries of `w` and each chunk has the s/c entries to keep."""
    d = w.numel()
    if d % rule.chunks or d < rule.sparsity:
        raise ValueError(
            f"chunks must divide the entries of the weight and sparsity be at most their number, got chunks {rule.chunks}, sparsity "
            f"{rule.sparsity} and shape {tuple(w.shape)} with {d} entries; give this block another number or an uncompressed rule"
        )
