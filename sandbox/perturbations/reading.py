"""Adding something to a weight at the moment an operation reads it, so that the weight itself is never written.

    with AddedAtRead({w: lambda: w + eps * z}), torch.no_grad():
        loss = model(x)            # every operation that is given w sees w + eps z; w keeps its bits

It finds weights by identity, in the arguments of every torch operation, so it needs no surgery on the model and works
with functional_call, tied weights (the same z at every read) and views (w.T reads w). The changed tensor dies
after the operation that asked for it, or with the view of it: one tensor of temporary memory, where an operation reads
one weight.

What it cannot see: operations inside a scripted module, and copies or views of a weight that were made before. A forward
pass that reads no weight at all is therefore an error of the caller's, which `reads` makes visible. Inside a module of
torch.compile it was seen to work (traced with graph breaks); under autocast the changed weight is cast, and loses most of a
small change.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

SEES_NO_NUMBERS = frozenset(
    [
        *(getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "layout", "requires_grad", "is_leaf", "grad")),
        *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.stride, Tensor.__len__, Tensor.__hash__),
        *(Tensor.is_floating_point, torch.is_floating_point, Tensor.is_contiguous),
    ]
)
WRITING = frozenset(
    ["__setitem__", "__set__", *(f"__i{name}__" for name in "add sub mul matmul truediv floordiv mod pow and or xor lshift rshift".split())]
)


class AddedAtRead(TorchFunctionMode):
    """readers: a weight -> what an operation is to see in its place.  reads: how often that was asked for.

    Raises RuntimeError where an operation would write one of the weights: what it wrote would be lost.
    """

    def __init__(self, readers: Mapping[Tensor, Callable[[], Tensor]]) -> None:
        super().__init__()
        self._readers = {id(w): reader for w, reader in readers.items()}
        self._weights = tuple(readers)  # keeps them alive: an id is theirs only as long as they live
        self.reads = 0

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if func in SEES_NO_NUMBERS:
            return func(*args, **kwargs)
        if any(id(x) in self._readers for x in _written(func, args, kwargs)):
            raise RuntimeError(
                f"the forward pass writes a weight by {func.__name__}, but a weight is read-only while it is perturbed; "
                "take it out of the parameters that are perturbed, or write it outside of the closure"
            )
        return func(*self._seen(args), **{name: self._seen(x) for name, x in kwargs.items()})

    def _seen(self, x: Any) -> Any:
        """x, with every weight in it replaced, also inside of lists and tuples."""
        if isinstance(x, Tensor):
            reader = self._readers.get(id(x))
            if reader is None:
                return x
            self.reads += 1
            return reader()
        return type(x)(map(self._seen, x)) if type(x) in (list, tuple) else x


def _written(func: Callable, args: tuple, kwargs: Mapping[str, Any]) -> list[Any]:
    """What a call writes: `out`, and the first argument, or all of a list, of an operation in place."""
    name, first = getattr(func, "__name__", ""), args[0] if args else None
    in_place = name in WRITING or (name.endswith("_") and not name.endswith("__")) or kwargs.get("inplace") is True
    return [*_several(kwargs.get("out")), *(_several(first) if in_place else ())]


def _several(x: Any) -> list[Any] | tuple[Any, ...]:
    return x if isinstance(x, list | tuple) else (x,)
