"""The allocator's record against tensors of known size, and T20 / T21: what gradients take in backward, seen from below.

The two sides of each comparison share nothing: one is a sum over shapes, the other a log of malloc and free.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sandbox.memory.allocator import allocations
from sandbox.memory.forecasts import fused_forecast, state_forecast, stepwise_forecast
from sandbox.memory.meters import peak_gradient_bytes
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.fused import Fused

VOCAB, WIDTH, LAYERS = 4000, 64, 8
E = 4 * VOCAB * WIDTH


class Stack(nn.Module):
    """Embedding and head of E bytes each (or one tied), and layers of 0.128 E; two tokens, so activations are 0.04 E."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(VOCAB, WIDTH), nn.Linear(WIDTH, VOCAB, bias=False)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, 512, bias=False) for _ in range(LAYERS))
        if tied:
            self.head.weight = self.embedding.weight

    def loss(self) -> torch.Tensor:
        x = self.embedding(torch.arange(2))
        for layer in self.layers:
            x = x + layer(x).tanh()[..., :WIDTH]
        return F.cross_entropy(self.head(x), torch.arange(1, 3))


def freeing(parameter: torch.Tensor) -> None:
    parameter.grad = None


def backward_peak(tied: bool, hook=None) -> tuple[int, Stack]:
    model = Stack(tied)
    for parameter in model.parameters() if hook else ():
        parameter.register_post_accumulate_grad_hook(hook)
    loss = model.loss()
    return allocations(loss.backward).peak, model


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


def test_blocks_are_counted_at_their_peak():
    """Two tensors of 4 MB, one of which dies before the third is born: 8 MB at the peak and 8 MB left."""
    size = 1_000_000

    def run():
        first = torch.zeros(size)
        second = torch.ones(size)
        del first
        return second, torch.ones(size)

    seen = allocations(run)
    assert (seen.peak, seen.left, seen.n_blocks) == (8 * size, 8 * size, 3)


def test_nothing_allocated_is_nothing():
    x = torch.zeros(100)
    assert allocations(lambda: x.zero_()).peak == 0


def test_what_was_there_before_is_neither_counted_nor_deducted():
    """The first tensor is born in a recording of its own, so the profiler knows its size and reports its death in the next one."""
    box = []
    assert allocations(lambda: box.append(torch.zeros(1_000_000))).left == 4_000_000

    def swap():
        box.clear()
        box.append(torch.ones(500_000))

    assert (allocations(swap).peak, allocations(lambda: None).peak) == (2_000_000, 0)


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize(("forecast", "hook"), [(stepwise_forecast, None), (fused_forecast, freeing)], ids=["kept", "freed"])
def test_gradients_of_backward_are_as_forecast(tied, forecast, hook):
    """sum b, max b, sum b + 2 E, 3 E; the slack of 0.04 E is for activation gradients (logits: 2 tokens x 4000 x 4 bytes = 0.03 E)."""
    peak, model = backward_peak(tied, hook)
    names = ("embedding.weight",) if tied else ()
    expected = forecast(shapes(model), GradientDescent(lr=0.1), tied=names).gradients
    assert expected <= peak <= expected + 0.04 * E


def test_the_bound_of_the_largest_tensor_fails_for_tied_weights():
    """A count over .grad says E, the allocator sees at least two parts of the tied gradient at once (T21)."""
    peak, model = backward_peak(True, freeing)
    assert peak >= 2 * E
    assert peak_gradient_bytes(model.parameters(), model.loss().backward) == E


def test_the_fused_shell_adds_the_step_of_one_tensor():
    """Gradient descent out of place holds lr * g beside g: 2 E, where a hook that only frees holds E."""
    model = Stack(False)
    Fused(model.named_parameters(), GradientDescent(lr=0.1))
    loss = model.loss()
    peak = allocations(loss.backward).peak
    assert 2 * E <= peak <= 2.04 * E


def test_the_state_that_is_left_is_the_forecast():
    """After the first backward of a fused AdamW only its state is left: 8 bytes per entry, and no gradient."""
    model = Stack(False)
    Fused(model.named_parameters(), AdamW(lr=0.1))
    loss = model.loss()
    left = allocations(loss.backward).left
    assert left == state_forecast(shapes(model), AdamW(lr=0.1))
