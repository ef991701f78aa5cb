"""Which storages are alive while torch runs, operation by operation, on real tensors or on fake ones, which have sizes and no memory.

A storage is born where an operation returns it, and dies when nothing holds it any more. What an operation is given and nothing
here has made (weights, buffers, the batch) was there before and does not count. Storages that are emptied and filled again, as those
of sharded weights are by FSDP2, count with the size that they have, from before too if they were empty then.

Beside torch's own tracker (sandbox/memory/tracked.py) this one keeps the whole record, so that peaks can be asked for afterwards:
with all gradients or with none, part by part, for another number of blocks (sandbox/memory/timeline.py).

Not seen: workspaces of libraries, memory that a kernel takes inside, fragmentation.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Kind = Literal["communication", "other"]
CARRIERS = ("fsdp", "c10d", "_c10d_functional")  # namespaces of operations that move numbers between ranks


class Size(NamedTuple):
    """From now on the storage `serial` has this many bytes; 0: it is gone."""

    serial: int
    size: int
    kind: Kind


class Mark(NamedTuple):
    """A point of the program. arrived: the serial of the gradient that is complete here, of `name`; None elsewhere."""

    name: str
    arrived: int | None = None


Event = Size | Mark


class Live(TorchDispatchMode):
    """granule: bytes in which an allocator hands out memory (512 on CUDA); every size is rounded up to it."""

    def __init__(self, granule: int = 1) -> None:
        super().__init__()
        self.events: list[Event] = []
        self._granule, self._made = granule, 0
        self._known: dict[int, tuple[int, Any]] = {}  # address of a storage -> its serial (-1: from before), a reference

    def mark(self, name: str, gradient: Tensor | None = None) -> None:
        """gradient: what has arrived at this point."""
        serial = None if gradient is None else self._known[_storage(gradient)._cdata][0]
        self.events.append(Mark(name, serial))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "prim":  # asks for a device or a shape
            return func(*args, **(kwargs or {}))
        for x in tree_leaves((args, kwargs)):
            if isinstance(x, Tensor):
                self._note(_storage(x), None)
        result = func(*args, **(kwargs or {}))
        carries = func.namespace in CARRIERS or func is torch.ops.aten.empty.memory_format
        for x in tree_leaves(result):
            if isinstance(x, Tensor):
                self._note(_storage(x), "communication" if carries else "other")
        return result

    def _note(self, storage: torch.UntypedStorage, kind: Kind | None) -> None:
        """kind: None for what an operation was given."""
        key = storage._cdata
        if key in self._known:
            return
        if kind is None and storage.nbytes():
            self._known[key] = -1, weakref.ref(storage, lambda _, key=key: self._known.pop(key, None))
            return
        serial = self._made = self._made + 1
        self._known[key] = serial, weakref.ref(storage, lambda _, key=key: self._gone(key))
        self._say(serial, storage.nbytes(), kind or "other")

    def _gone(self, key: int) -> None:
        self.events.append(Size(self._known.pop(key)[0], 0, "other"))

    def _say(self, serial: int, size: int, kind: Kind) -> None:
        self.events.append(Size(serial, -(-size // self._granule) * self._granule, kind))

    def met(self, storage: torch.UntypedStorage) -> None:
        """Before its size changes."""
        self._note(storage, None)

    def resized(self, storage: torch.UntypedStorage) -> None:
        serial, _ = self._known.get(storage._cdata, (-1, None))
        if serial >= 0:
            self._say(serial, storage.nbytes(), "communication")


def _storage(x: Tensor) -> torch.UntypedStorage:
    """Of the local part, where x is sharded."""
    return getattr(x, "_local_tensor", x).untyped_storage()


@contextmanager
def recording(granule: int = 1) -> Iterator[Live]:
    """A record of what runs inside."""
    live, resize = Live(granule), torch.UntypedStorage.resize_

    def resize_and_say(storage: torch.UntypedStorage, size: int) -> Any:
        live.met(storage)
        result = resize(storage, size)
        live.resized(storage)
        return result

    torch.UntypedStorage.resize_ = resize_and_say
    try:
        with live:
            yield live
    finally:
        torch.UntypedStorage.resize_ = resize


def live_peak(run: Callable[[], object], granule: int = 1) -> int:
    """The most bytes that `run` has alive at one time, over what was there before."""
    with recording(granule) as live:
        result = run()
    del result
    sizes: dict[int, int] = {}
    alive = peak = 0
    for event in live.events:
        if isinstance(event, Size):
            alive += event.size - sizes.get(event.serial, 0)
            sizes[event.serial] = event.size
            peak = max(peak, alive)
    return peak
