"""What a shell does with a gradient that cannot be used: sparse, not finite, or with squares that are not.

    raise   FloatingPointError with the tensor, the count of bad entries and the step      (the default)
    skip    the step is left out and counted
    zero    the bad entries count as 0
    pass    no look at all: a diverging run goes on to its end

A gradient is bad where the sum of its squares is not finite in the dtype of the state: a second moment, or a mean of squares,
that has taken it in stays infinite for ever, with steps of 0 or nan. In float32 and bfloat16 that is a norm of 2^64 = 1.8e19,
in float64 one of 2^512. Its bad entries are those that n entries as large would do it with: nan, infinity, and |g| >= 2^64 /
sqrt(n), sqrt(n) rounded up to a power of 2. In float16 the sum is usual and no fault: there an entry is bad from 256 on,
where its own square is infinite.

The look costs one norm; only one that is not below the limit is followed by a count. Sharded gradients give every rank the
same answer: the norm of the whole is at most the sum of those of its parts.
"""

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor

from sandbox.optimizers.sharding import placements, resolve, sums

FLOAT16 = 16  # its numbers end at 2^16
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


@lru_cache
def limit(dtype: torch.dtype, n: int = 1) -> float:
    """A power of 2 below which the squares of n entries have a finite sum in `dtype`: the least one that fails where n is a
    power of 4. In float16 the squares alone.
    """
    largest = math.frexp(torch.finfo(dtype).max)[1]
    room = math.ceil(math.log2(max(n, 1)) / 2) if largest > FLOAT16 else 0
    return 2.0 ** (largest / 2 - room)


def bad_entries(gradients: Iterable[Tensor], dtypes: Iterable[torch.dtype]) -> list[int]:
    """How many entries of each gradient are bad, its state being kept in the dtype that `dtypes` has for it; the norms of all
    are waited for once.
    """
    gradients = list(gradients)
    norms = sums([torch.linalg.vector_norm(g) for g in gradients])
    return [0 if norm < limit(kept) else _count(g, kept) for g, norm, kept in zip(gradients, norms, dtypes, strict=True)]


def bad_count(g: Tensor, kept: torch.dtype) -> int:
    """The same for one gradient, which is waited for alone."""
    norm = torch.linalg.vector_norm(g)
    if not placements(norm):
        return 0 if norm.item() < limit(kept) else _count(g, kept)
    return bad_entries([g], [kept])[0]


def _count(g: Tensor, kept: torch.dtype) -> int:
    return int(resolve((~_good(g, kept)).sum()).item())


def _good(g: Tensor, kept: torch.dtype) -> Tensor:
    """False for nan and infinity too, in a g whose own dtype ends before the limit as well."""
    return g.abs() < limit(kept, g.numel())


def sanitised(g: Tensor, kept: torch.dtype) -> Tensor:
    """g with 0 where it is bad."""
    return torch.where(_good(g, kept), g, torch.zeros_like(g))


def complaint(bad: Mapping[str, tuple[int, int, int]], kept: torch.dtype, outcome: str) -> str:
    """The sentence for gradients name -> (bad entries, all entries, step of that tensor), and what became of the weights.
    kept: the dtype of the state of the first.
    """
    name, (n, total, step) = next(iter(bad.items()))
    others = f" (and {len(bad) - 1} more tensors)" if len(bad) > 1 else ""
    return (
        f"{n} of {total} entries of the gradient of {name} are not finite, or not once squared and summed in {kept}, at step "
        f"{step}{others}; {outcome}; lower the learning rate or look at the loss, or choose nonfinite='skip', 'zero' or 'pass'"
    )
