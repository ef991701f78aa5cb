"""The allocator's own record: every block that torch asks for on the CPU, and when it gives it back.

This is the meter that cannot be fooled by where a tensor hides: it sees temporaries, and the partial gradient of a
tied weight that autograd buffers. A block counts if it is born while the function runs; blocks from before are
neither counted nor deducted when they die, so that activations freed during backward do not hide the gradients that
are born in it. To follow a state that is replaced at every step, let the function make it too.

For tensors of b_i bytes, each used once in the graph, backward adds (LOMO, Lv et al., 2023, and derived):

    sum_i b_i      every gradient kept           max_i b_i (about)      each used and freed in a post-accumulate hook
    >= 2 b         a tied weight of b bytes, hook or no hook: its first partial gradient waits for the other one
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch.autograd.profiler import profile


@dataclass(frozen=True)
class Allocations:
    """peak: most bytes alive at one time.  left: bytes alive at the end.  n_blocks: how many blocks were born."""

    peak: int
    left: int
    n_blocks: int


def allocations(run: Callable[[], object]) -> Allocations:
    """What `run` allocates on the CPU, over what was there before; what it returns stays alive until the count ends."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler otherwise prints its own start and end to the terminal
    with profile(use_kineto=True, profile_memory=True) as record:  # torch.profiler.profile takes 5 times as long
        result = run()
    roots = record.kineto_results.experimental_event_tree()
    counted = _count(sorted(_blocks(roots), key=lambda block: block[0]))
    del result
    return counted


def _count(blocks: list[tuple[int, int, int]]) -> Allocations:
    """From (time, address, bytes; negative where freed), in time order."""
    born: dict[int, int] = {}  # the profiler also reports the death of blocks that were born in an earlier recording
    alive = peak = n_blocks = 0
    for _, address, size in blocks:
        if size > 0:
            born[address] = size
            alive, n_blocks = alive + size, n_blocks + 1
        else:
            alive -= born.pop(address, 0)
        peak = max(peak, alive)
    return Allocations(peak, alive, n_blocks)


def _blocks(events: list[Any]) -> Iterator[tuple[int, int, int]]:
    for event in events:
        if hasattr(event.extra_fields, "alloc_size"):
            yield event.start_time_ns, event.extra_fields.ptr, event.extra_fields.alloc_size
        yield from _blocks(event.children)
