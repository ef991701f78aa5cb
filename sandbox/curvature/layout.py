"""Where each tensor lies in one long vector, and where each entry of a Hessian therefore belongs.

The vector is the chosen tensors, each read row by row, one after the other in the order of the parameters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sandbox.problems.base import Params


@dataclass(frozen=True)
class Layout:
    """names: the chosen tensors, in order.  shapes: their shapes, in the same order."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def size(self) -> int:
        """Length n of the vector."""
        return sum(self.sizes)

    @property
    def edges(self) -> tuple[int, ...]:
        """First entry of each tensor, then n."""
        return tuple(int(edge) for edge in np.cumsum((0, *self.sizes)))

    def where(self, name: str) -> slice:
        """The entries of one tensor. Raises ValueError for a name that is not in the layout."""
        if name not in self.names:
            raise ValueError(f"the layout has no tensor {name!r}; it has {list(self.names)}")
        index = self.names.index(name)
        return slice(self.edges[index], self.edges[index + 1])

    def flatten(self, params: Params) -> Tensor:
        """The chosen tensors as one float64 vector (n,)."""
        return torch.cat([params[name].detach().reshape(-1).double() for name in self.names])

    def unflatten(self, vector: Tensor) -> Params:
        """The tensors of a vector (n,), as views of it."""
        parts = vector.split(self.sizes)
        return {name: part.view(shape) for name, part, shape in zip(self.names, parts, self.shapes, strict=True)}

    def labels(self) -> np.ndarray:
        """(n,) the index of the tensor that each entry belongs to: the partition with one block per tensor."""
        return np.repeat(np.arange(len(self.names)), self.sizes)


def layout_of(params: Params, names: Sequence[str] | None = None) -> Layout:
    """The layout of the named tensors (None: all of them), in the order of `params`.

    Raises ValueError for an unknown name, a repeated name or an empty choice.
    """
    wanted = list(params) if names is None else list(names)
    unknown = [name for name in wanted if name not in params]
    if unknown or not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(
            f"names must be distinct parameters, at least one of them; got {wanted}, of which unknown: {unknown}; "
            f"the parameters are {list(params)}"
        )
    kept = tuple(name for name in params if name in set(wanted))
    return Layout(kept, tuple(tuple(params[name].shape) for name in kept))
