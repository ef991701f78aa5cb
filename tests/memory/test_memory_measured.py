"""How the meter of a training step counts, on a model so small that its peak is known: what a step of the optimizer holds.

An optimizer that allocates k MiB at its k-th step tells how many steps were made: the meter promises two.
"""

import pytest
import torch
from torch import nn

from sandbox.memory.training import measured
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.fused import Fused

MIB = 1 << 20
BATCH = torch.zeros(2, 5, dtype=torch.int64)
WEIGHTS = 4 * 2 * 70 * 30  # two float32 matrices; backward holds a few thousand numbers more, far below 1 MiB


class Growing(torch.optim.SGD):
    """Holds k MiB for a moment at its k-th step, and moves nothing."""

    count = 0

    def step(self, closure=None):
        self.count += 1
        torch.empty(self.count * MIB, dtype=torch.uint8)


def tiny() -> nn.Module:
    return nn.Sequential(nn.Embedding(70, 30), nn.Linear(30, 70, bias=False))


def test_two_steps_are_made_and_weights_gradients_and_batch_are_counted_once():
    seen = measured(lambda: (model := tiny(), Growing(model.parameters(), lr=0.1)), BATCH)
    assert (seen.weights, seen.gradients, seen.state) == (WEIGHTS, WEIGHTS, 0)
    assert seen.temporaries == 2 * MIB
    assert seen.peak == WEIGHTS + 8 * BATCH.numel() + WEIGHTS + 2 * MIB


@pytest.mark.parametrize(("momentum", "state", "beside"), [(0.0, 0, 1), (0.9, WEIGHTS, 2)])
def test_in_the_fused_shell_the_temporaries_are_beside_state_and_gradient(momentum, state, beside):
    """The step of one of two equal tensors: lr g, and with momentum the new buffer beside the old one. 32: 0-dim tensors."""
    seen = measured(lambda: (model := tiny(), Fused(model.named_parameters(), GradientDescent(0.1, momentum=momentum))), BATCH)
    assert seen.state == state
    assert seen.temporaries == pytest.approx(beside * WEIGHTS / 2, abs=32)
