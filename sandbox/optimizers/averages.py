"""The averages that rules are made of: over the entries of a tensor, and over time.

`mean` is a sum over a count, in one place, because it is the one reduction that a sharded tensor needs resolved:
summing first and dividing by the global count stays right on uneven shards and never gathers a matrix.
"""

from torch import Tensor

from sandbox.optimizers.sharding import resolve


def mean(x: Tensor, dim: int | None = None) -> Tensor:
    """Mean of all entries (0-dim), or along `dim`, which is dropped."""
    return resolve(x.sum()) / x.numel() if dim is None else resolve(x.sum(dim)) / x.shape[dim]


def rms(x: Tensor) -> Tensor:
    """Root of the mean square, 0-dim: sqrt(mean(x^2))."""
    return mean(x.square()).sqrt()


def towards(old: Tensor, new: Tensor, weight: float | Tensor) -> Tensor:
    """(1 - weight) old + weight new; the running average of every moment."""
    return old.lerp(new, weight.to(old.dtype) if isinstance(weight, Tensor) else weight)
