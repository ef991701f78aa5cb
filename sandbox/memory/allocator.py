"""The allocator's own record: every block that torch asks for on the CPU, and when it gives it back.

This is the meter that cannot be fooled by where a tensor hides: it sees temporaries, and the partial gradient of a tied weight
that autograd buffers. A block counts if it is born while the function runs; blocks from before are neither counted nor deducted when
they die, so that activations freed during backward do not hide the gradients that are born in it.

For tensors of b_i bytes, each used once in the graph, backward adds (LOMO, Lv et al., 2023, and derived):

    sum_i b_i      every gradient kept           max_i b_i (about)      each used and freed in a post-accumulate hook
    >= 2 b         a tied weight of b bytes, hook or no hook: its first partial gradient waits for the other one
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

from torch.profiler import ProfilerActivity, profile


@dataclass(frozen=True)
class Allocations:
    """peak: most bytes alive at one time.  left: bytes alive at the end.  n_blocks: how many blocks were born."""

    peak: int
    left: int
    n_blocks: int


def allocations(run: Callable[[], object]) -> Allocations:
    """What `run` allocates on the CPU, over what was there before; what it returns stays alive until the count ends."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler otherwise prints its own start and end to the terminal
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        result = run()
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    alive = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    del result
    return Allocations(peak, alive, sum(event.nbytes() > 0 for event in events))
