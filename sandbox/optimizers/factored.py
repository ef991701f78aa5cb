"""The second moment of a matrix kept as its row means and column means, and what Adafactor, AdaLomo and CAME build on
it. Shazeer & Stern (2018), https://arxiv.org/abs/1804.04235, Algorithm 1 and section 3 (second-hand).

    r <- (1 - a) r + a (row means of q)        c <- (1 - a) c + a (column means of q)
    normalised x = x / sqrt(r_i c_j / mean(r))

which is the closest matrix of rank one in the generalised Kullback-Leibler divergence, has the row and column sums of
the full moment, and is exact where that has rank one. Means in the place of the paper's sums give the same quotient.

Tensors of fewer than two dimensions keep the full moment v <- (1 - a) v + a q. Those of more are factored over their
last two, one pair (r, c) for each of the leading indices: a convolution (out, in, 3, 3) keeps two thirds of its size.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.averages import mean, rms, towards


class FactoredState(NamedTuple):
    t: float
    r: Tensor  # (..., m): mean of q over columns
    c: Tensor  # (..., n): mean of q over rows


class FullState(NamedTuple):
    t: float
    v: Tensor  # like w


def wide(w: Tensor) -> torch.dtype:
    """The dtype of the arithmetic and of the state: float32, or wider if the weight is."""
    return torch.promote_types(w.dtype, torch.float32)


Moment = FactoredState | FullState


def empty_moment(w: Tensor) -> Moment:
    """The state that has seen nothing, in the wide dtype."""
    return FullState(0.0, torch.zeros_like(w, dtype=wide(w))) if w.ndim < 2 else FactoredState(0.0, *empty_factors(w))


def empty_factors(w: Tensor) -> tuple[Tensor, Tensor]:
    """r (..., m) and c (..., n) of zeros, in the wide dtype."""
    dtype = wide(w)
    return w.new_zeros(w.shape[:-1], dtype=dtype), w.new_zeros(w.shape[:-2] + w.shape[-1:], dtype=dtype)


def normalised(x: Tensor, q: Tensor, state: Moment, a: float | Tensor) -> tuple[Tensor, Moment]:
    """x over the root of the moment, and the moment that has seen q >= 0 with the weight a."""
    if isinstance(state, FullState):
        x, v = by_full(x, q, state.v, a)
        return x, state._replace(v=v)
    x, r, c = by_factors(x, q, (state.r, state.c), a)
    return x, state._replace(r=r, c=c)


def by_full(x: Tensor, q: Tensor, v: Tensor, a: float | Tensor) -> tuple[Tensor, Tensor]:
    """(normalised x, v)."""
    v = towards(v, q, a)
    return x * v.rsqrt(), v


def by_factors(x: Tensor, q: Tensor, rc: tuple[Tensor, Tensor], a: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(normalised x, r, c)."""
    r, c = towards(rc[0], mean(q, -1), a), towards(rc[1], mean(q, -2), a)
    rows = mean(r, -1).sqrt().unsqueeze(-1) * r.rsqrt()  # vectors of inverse roots; their ratio first would overflow at a row of zeros
    return x * rows.unsqueeze(-1) * c.rsqrt().unsqueeze(-2), r, c


def excess(u: Tensor, threshold: float | Tensor) -> Tensor:
    """max(1, RMS(u) / threshold), 0-dim: u divided by it has an RMS of at most the threshold."""
    return (rms(u) / threshold).clamp(min=1.0)


def require_factored_settings(rule: Any) -> None:
    """Raises ValueError where eps, clip_threshold, decay_rate or parameter_scale of `rule` cannot be."""
    name = type(rule).__name__
    if not (min(rule.eps) >= 0 and rule.clip_threshold > 0 and rule.decay_rate <= 0):
        raise ValueError(
            f"{name} needs eps >= 0, clip_threshold > 0 and decay_rate <= 0, "
            f"got eps {rule.eps}, clip_threshold {rule.clip_threshold} and decay_rate {rule.decay_rate}"
        )
    if rule.parameter_scale not in ("weight", "off"):
        raise ValueError(f'parameter_scale of {name} must be "weight" (steps relative to RMS(w)) or "off", got {rule.parameter_scale!r}')
