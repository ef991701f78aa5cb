"""A second opinion on the peak: PyTorch's own tracker under fake tensors, which have sizes and no memory.

The operations are those of the CPU kernels. It says nothing about a GPU: another attention kernel, rounding of blocks, fragmentation,
workspaces. What the tracker sees are storages of tensors, so it also misses the workspaces of LAPACK.

Two traps: the statistics must be reset between two steps, or the tracker refuses modules that it has seen; and an optimizer with
a decomposition in its refresh, or with drawn numbers read back (`float(x)`), cannot run under fake tensors, so the optimizer is one
of torch, without foreach, which would hold one temporary for every tensor.

Source: torch.distributed._tools.mem_tracker, as installed; a private module, so it is imported where it is used.
"""

from collections.abc import Callable

import torch
from torch import nn

from sandbox.memory.training import next_token_loss
from sandbox.models.initial import Config


def tracked_peak(config: Config, optimizer: Callable[[nn.Module], torch.optim.Optimizer], *, sequences: int, tokens: int) -> int:
    """Bytes at the peak of two steps: weights, gradients, activations, state and temporaries together, without the batch.

    optimizer: makes one of the model, e.g. lambda model: torch.optim.AdamW(model.parameters(), foreach=False).
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    with FakeTensorMode(), torch.device("cpu"):
        model = config.module()
        moving = optimizer(model)
        batch = torch.randint(config.vocab, (sequences, tokens + 1))
        loss = next_token_loss(model, batch)
        tracker = MemTracker()
        tracker.track_external(model, moving)
        with tracker:
            for _ in range(2):
                moving.zero_grad(set_to_none=True)
                loss().backward()
                moving.step()
                tracker.reset_mod_stats()
        return max(sum_of(snapshot) for snapshot in tracker.get_tracker_snapshot("peak").values())


def sum_of(snapshot: dict) -> int:
    """The total over categories; its key is the enum member TOTAL or the string, by version."""
    return max(snapshot.values())
