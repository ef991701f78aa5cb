"""How the numbers of a step are kept: the dtype that the rule computes in, and how the new weight is rounded.

    seen = w in state_dtype            the rule sees g and w, and makes its state, in that dtype
    exact = w + delta                  in float32
    nearest:     w <- the nearest bfloat16 number
    stochastic:  w <- one of the two neighbours of exact, the nearer with the larger probability, so that E[w] = exact

A bfloat16 number is the upper half of a float32, so the stochastic write adds 16 uniform random bits to the lower half
and cuts it off: a lower half x of 65536 is carried upwards with probability x / 65536. Steps smaller than half a unit in
the last place, which nearest rounding loses at every step, then arrive on average.

Departures: the draws come from (seed, position of the tensor, step) on the CPU, so that a run repeats itself on every
device; on an accelerator they travel over the bus, 4 bytes an entry.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.optimizers.sharding import like, placed

Rounding = Literal["nearest", "stochastic"]
ROUNDING_STREAM = 1_000_033  # keeps these draws apart from those of the frames, whose keys end with the step
LOW_BITS = 1 << 16


@dataclass(frozen=True)
class Precision:
    """state_dtype: None is the dtype of the weight, or what the rule chooses beside it.

    Raises ValueError for a dtype that is not floating, and for an unknown rounding.
    """

    state_dtype: torch.dtype | None = None
    rounding: Rounding = "nearest"

    def __post_init__(self) -> None:
        if self.state_dtype is not None and not self.state_dtype.is_floating_point:
            raise ValueError(f"state_dtype must be a floating dtype, got {self.state_dtype}; the usual one is torch.float32")
        if self.rounding not in get_args(Rounding):
            raise ValueError(f"rounding must be one of {', '.join(get_args(Rounding))}, got {self.rounding!r}")

    def require_fits(self, name: str, w: Tensor) -> None:
        """Raises ValueError where the state would be narrower than the weight, or the write cannot be stochastic."""
        if self.state_dtype is not None and torch.promote_types(self.state_dtype, w.dtype) != self.state_dtype:
            raise ValueError(
                f"state_dtype must hold every number of the weight, got {self.state_dtype} for {name} in {w.dtype}; "
                "give torch.float32 or wider, or none"
            )
        if self.rounding == "stochastic" and w.dtype == torch.float16:
            raise ValueError(
                f"stochastic rounding is for bfloat16 weights, got {name} in torch.float16; use bfloat16 or rounding='nearest'"
            )

    def seen(self, x: Tensor) -> Tensor:
        """A weight or a gradient as the rule sees it."""
        return x if self.state_dtype is None else x.to(self.state_dtype)

    def add(self, w: Tensor, delta: Tensor, *key: int) -> None:
        """w <- w + delta, in place; added in the wider of the two dtypes and rounded once. key: (seed, position, step).

        Weights of float32 and wider are never rounded stochastically.
        """
        if self.rounding == "stochastic" and w.dtype == torch.bfloat16:
            w.copy_(stochastic(w.float() + delta, *key))
        else:
            w.add_(placed(delta, w))


def stochastic(exact: Tensor, *key: int) -> Tensor:
    """A bfloat16 number beside each entry, in float32, its expectation the entry itself; what is not finite stays."""
    exact = exact.float()
    bits = torch.randint(LOW_BITS, tuple(exact.shape), generator=generator(*key, ROUNDING_STREAM), dtype=torch.int32)
    carried = (exact.view(torch.int32) + like(bits, exact, torch.int32)) & -LOW_BITS
    return torch.where(exact.isfinite(), carried.view(torch.float32), exact)
