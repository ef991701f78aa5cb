"""What a shell does with a gradient that cannot be used: not finite, or sparse.

    raise   FloatingPointError with the tensor, the count of bad entries and the step      (the default)
    skip    the step is left out and counted
    zero    the bad entries count as 0
    pass    no look at all: a diverging run goes on to its end

The look costs one sum: a sum with a nan or an infinite entry is not finite. Finite entries may overflow in it, so a sum
that is not finite is followed by an exact count. Sharded gradients give every rank the same answer.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from sandbox.optimizers.sharding import resolve, sums

Nonfinite = Literal["raise", "skip", "zero", "pass"]


def require_policy(nonfinite: str) -> None:
    """Raises ValueError for a word that is no policy."""
    if nonfinite not in get_args(Nonfinite):
        raise ValueError(f"nonfinite must be one of {', '.join(get_args(Nonfinite))}, got {nonfinite!r}")


def require_dense(name: str, g: Tensor) -> None:
    """Raises ValueError for a gradient in a sparse layout."""
    if g.layout != torch.strided:
        raise ValueError(
            f"the gradient of {name} must be dense, got layout {g.layout} of shape {tuple(g.shape)}; "
            "make the layer with sparse=False, or convert the gradient with to_dense()"
        )


def bad_entries(gradients: Iterable[Tensor]) -> list[int]:
    """How many entries of each gradient are not finite; the sums of all are waited for once."""
    gradients = list(gradients)
    return [0 if math.isfinite(total) else _count(g) for g, total in zip(gradients, sums(gradients), strict=True)]


def _count(g: Tensor) -> int:
    return int(resolve((~g.isfinite()).sum()).item())


def sanitised(g: Tensor) -> Tensor:
    """g with 0 where it is not finite."""
    return torch.where(g.isfinite(), g, torch.zeros_like(g))


def complaint(bad: Mapping[str, tuple[int, int, int]], outcome: str) -> str:
    """The sentence for gradients name -> (bad entries, all entries, step of that tensor), and what became of the weights."""
    name, (n, total, step) = next(iter(bad.items()))
    others = f" (and {len(bad) - 1} more tensors)" if len(bad) > 1 else ""
    return (
        f"{n} of {total} entries of the gradient of {name} are not finite at step {step}{others}; {outcome}; lower the learning "
        "rate or look at the loss, or choose nonfinite='skip', 'zero' or 'pass'"
    )
