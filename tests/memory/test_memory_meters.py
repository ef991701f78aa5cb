"""Meters against bytes that are counted on paper: sizes of tensors, T20 (LOMO's bound) and what a linear layer must keep."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sandbox.memory.meters import optimizer_bytes, peak_gradient_bytes, saved_bytes, state_bytes, tensor_bytes
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.fused import Fused


def test_a_storage_counts_once_and_whole():
    base = torch.zeros(10, 4)  # 160 bytes of float32
    assert tensor_bytes([base, base.T, base[0]]) == 160
    assert tensor_bytes([base[:, :1]]) == 160  # a slice keeps its whole storage alive
    assert tensor_bytes([base[:, :1].clone(), torch.zeros(3, dtype=torch.float64)]) == 40 + 24
    assert tensor_bytes([]) == 0


def test_tensors_without_memory_have_their_size():
    pair = [torch.empty(5, device="meta"), torch.empty(7, device="meta", dtype=torch.bfloat16)]
    assert tensor_bytes(pair) == 20 + 14


def test_state_bytes_go_through_nests_and_skip_numbers():
    state = Adam(lr=1.0).init(torch.zeros(3, 5))
    assert state_bytes(state) == 2 * 4 * 15
    assert state_bytes({"a": (state, 3.0), "b": [torch.zeros(2), state.m]}) == 2 * 4 * 15 + 8


def test_torch_adamw_holds_two_copies_and_a_counter_per_tensor():
    """torch keeps m, v and one float32 `step` for each of the two tensors."""
    layer = nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(layer.parameters())
    assert optimizer_bytes(optimizer) == 0
    layer(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    assert optimizer_bytes(optimizer) == 8 * (12 + 3) + 2 * 4


class Stack(nn.Module):
    """An embedding, `n` layers and a head, as a language model has them; `tied` makes the head the embedding."""

    def __init__(self, tied: bool, n: int = 3) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(100, 8), nn.Linear(8, 100, bias=False)
        self.layers = nn.ModuleList(nn.Linear(8, 8, bias=False) for _ in range(n))
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for layer in self.layers:
            x = x + layer(x).tanh()
        return self.head(x)


def loss_of(model: nn.Module) -> torch.Tensor:
    return F.cross_entropy(model(torch.arange(4)), torch.arange(4))


E, LAYER = 4 * 100 * 8, 4 * 8 * 8


@pytest.mark.parametrize(("tied", "total"), [(False, 2 * E + 3 * LAYER), (True, E + 3 * LAYER)])
def test_gradients_that_are_kept_add_up(tied, total):
    model = Stack(tied)
    assert peak_gradient_bytes(model.parameters(), loss_of(model).backward) == total


def test_a_second_backward_finds_the_first_gradients_and_no_hook_is_left():
    model = Stack(False)
    for _ in range(2):
        assert peak_gradient_bytes(model.parameters(), loss_of(model).backward) >= 2 * E + 3 * LAYER
    assert not any(p._backward_hooks for p in model.parameters())


@pytest.mark.parametrize("tied", [False, True])
def test_the_fused_shell_keeps_the_largest_gradient_alone(tied):
    """LOMO's bound as a count over .grad; it is blind to the buffered part of a tied weight (tests of the allocator)."""
    model = Stack(tied)
    Fused(model.named_parameters(), GradientDescent(lr=0.1))
    assert peak_gradient_bytes(model.parameters(), loss_of(model).backward) == E
    assert all(p.grad is None for p in model.parameters())


def test_frozen_parameters_have_no_gradient():
    model = Stack(False)
    model.embedding.weight.requires_grad_(False)
    assert peak_gradient_bytes(model.parameters(), loss_of(model).backward) == E + 3 * LAYER


def test_a_linear_layer_keeps_its_input():
    """y = x W^T needs x for the gradient of W, and W, which is not counted; without a gradient of W nothing is kept."""
    layer, x = nn.Linear(64, 16), torch.zeros(32, 64, requires_grad=True)
    assert saved_bytes(lambda: layer(x), layer.parameters()) == 4 * 32 * 64
    layer.requires_grad_(False)
    assert saved_bytes(lambda: layer(x), layer.parameters()) == 0


def test_a_storage_that_two_operations_keep_counts_once():
    """Two layers keep the same x; tanh keeps its own result, which the next layer keeps again."""
    a, b, x = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False), torch.zeros(5, 8)
    both = [*a.parameters(), *b.parameters()]
    assert saved_bytes(lambda: a(x) + b(x), both) == 4 * 5 * 8
    assert saved_bytes(lambda: b(a(x).tanh()), both) == 4 * 5 * 8 + 4 * 5 * 8


def test_a_subspace_layer_keeps_the_projected_input_and_not_the_input():
    """F.linear(x, W) + F.linear(F.linear(x, P^T), B) with only B trained keeps x P, r / n of the bytes of x.

    P and W must stay for the way back to x, as parameters do; they are not counted.
    """
    n, r, out, tokens = 64, 16, 32, 128
    W, P, B = torch.zeros(out, n), torch.zeros(n, r), torch.zeros(out, r, requires_grad=True)
    x = torch.zeros(tokens, n, requires_grad=True)
    kept = saved_bytes(lambda: F.linear(x, W) + F.linear(F.linear(x, P.T), B), (W, P, B))
    assert kept == 4 * tokens * r
    trained = W.clone().requires_grad_()
    assert saved_bytes(lambda: F.linear(x, trained), (trained,)) == 4 * tokens * n


def test_a_gradient_counts_beside_those_that_still_wait():
    """Freed one tensor late, as a scan inside the next hook does: the peak is the largest sum of two neighbours."""
    sizes = {"first": 7, "second": 5, "third": 2}
    leaves = {name: torch.ones(n, dtype=torch.float64, requires_grad=True) for name, n in sizes.items()}
    waiting: list[torch.Tensor] = []

    def free_the_one_before(p: torch.Tensor) -> None:
        for earlier in waiting:
            earlier.grad = None
        waiting[:] = [p]

    for leaf in leaves.values():
        leaf.register_post_accumulate_grad_hook(free_the_one_before)
    one, two, three = leaves.values()  # squares, because the gradient of a plain sum is one number that is seen n times
    loss = (((one**2).sum() * two**2).sum() * three**2).sum()  # gradients arrive from the third on
    assert peak_gradient_bytes(leaves.values(), loss.backward) == 8 * (7 + 5)
