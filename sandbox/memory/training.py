"""One training step on the meter, by category, with a real model, a real shell and real batches.

    weights       storages of parameters and buffers
    activations   storages that autograd keeps after forward, the batch among them, parameters excepted
    gradients     most bytes of all `.grad` together during backward
    state         storages of the optimizer's state after the second step; in place, subspaces of low-rank directions among them
    temporaries   most that the update had beside weights, gradients and that state; in place, drawing and the estimated gradient too
    peak          weights, batch, and the most that two steps in a row had alive beside them, by the record of the allocator

Two steps, because a state is whole at the second; with a refresh at every step the second has it beside all states.
Compare with sandbox/memory/forecasts.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from sandbox.draws import generator
from sandbox.memory.allocator import allocations
from sandbox.memory.meters import optimizer_bytes, peak_gradient_bytes, saved_bytes, state_bytes, tensor_bytes
from sandbox.shells.fused import Fused
from sandbox.shells.in_place import InPlace

Fresh = Callable[[], tuple[nn.Module, torch.optim.Optimizer]]  # a model and an optimizer that has not stepped


@dataclass(frozen=True)
class Measured:
    """Bytes by category."""

    weights: int
    activations: int
    gradients: int
    state: int
    temporaries: int
    peak: int


def next_token_loss(model: nn.Module, batch_BT: Tensor) -> Callable[[], Tensor]:
    """The mean loss of every next token in (B, T + 1) tokens, as a function that runs the model anew."""

    def loss() -> Tensor:
        logits_BTV = model(batch_BT[:, :-1])
        return F.cross_entropy(logits_BTV.flatten(0, 1), batch_BT[:, 1:].flatten())

    return loss


def measured(fresh: Fresh, batch_BT: Tensor) -> Measured:
    """Two steps of what `fresh` makes; it is called once for each category. batch_BT: (B, T + 1) tokens."""
    model, optimizer = fresh()
    weights = tensor_bytes(owned(model))
    if isinstance(optimizer, InPlace):
        return _in_place(fresh, batch_BT, weights)
    activations = saved_bytes(next_token_loss(model, batch_BT), owned(model))
    gradients = peak_gradient_bytes(model.parameters(), next_token_loss(model, batch_BT)().backward)
    state, temporaries = _in_backward(*fresh()) if isinstance(optimizer, Fused) else _in_step(*fresh(), batch_BT)
    model, optimizer = fresh()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        next_token_loss(model, batch_BT)().backward()
        optimizer.step()

    peak = allocations(lambda: (step(), step())).peak
    return Measured(weights, activations, gradients, state, temporaries, weights + tensor_bytes([batch_BT]) + peak)


def measured_by(oracle: Any, fresh: Fresh, batch_BT: Tensor) -> Measured:
    """The same for gradients that an oracle makes of a loss, in the stepwise shell, as `run` does: two steps, each with its draw."""
    model, optimizer = fresh()
    params, problem = dict(model.named_parameters()), _OfTokens(model)
    step = partial(_estimated_step, oracle, problem, params, batch_BT, optimizer)
    peak = allocations(lambda: (step(1), step(2))).peak
    model, optimizer = fresh()
    state, temporaries = _in_step(model, optimizer, batch_BT)
    kept = saved_bytes(lambda: oracle(problem, params, batch_BT, oracle.draw(generator(3), params)), params.values())
    weights, gradients = tensor_bytes(owned(model)), tensor_bytes(p.grad for p in params.values())
    return Measured(weights, kept, gradients, state, temporaries, weights + tensor_bytes([batch_BT]) + peak)


def _estimated_step(
    oracle: Any, problem: "_OfTokens", params: dict[str, Tensor], batch_BT: Tensor, optimizer: torch.optim.Optimizer, seed: int
) -> None:
    draw = oracle.draw(generator(seed), params)
    _, grads = oracle(problem, params, batch_BT, draw)
    for name, p in params.items():
        p.grad = grads[name]
    optimizer.step()


@dataclass(frozen=True)
class _OfTokens:
    model: nn.Module

    def loss(self, params: dict[str, Tensor], batch_BT: Tensor) -> Tensor:
        return next_token_loss(lambda tokens: functional_call(self.model, params, (tokens,)), batch_BT)()


def owned(model: nn.Module) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())


def _in_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch_BT: Tensor) -> tuple[int, int]:
    """State, and what a step has beside it."""
    next_token_loss(model, batch_BT)().backward()
    seen = allocations(lambda: (optimizer.step(), optimizer.step()))
    state = optimizer_bytes(optimizer)
    return state, seen.peak - state


def _in_backward(model: nn.Module, optimizer: Fused) -> tuple[int, int]:
    """The same for a shell that steps inside backward: every tensor alone, under the loss w . 1.

    As many bytes lie beside each gradient as it has fewer than the largest, so that the peak is where a step needs most.
    """
    ones = [(p, torch.ones_like(p)) for p in model.parameters() if p.requires_grad]
    largest = max(tensor_bytes([p]) for p, _ in ones)

    def step() -> None:
        for p, one in ones:
            beside = torch.empty(largest - tensor_bytes([p]), dtype=torch.uint8)
            (p * one).sum().backward()
            del beside
        optimizer.step()

    peak = allocations(lambda: (step(), step())).peak
    state = optimizer_bytes(optimizer)
    return state, peak - state - largest


def _in_place(fresh: Fresh, batch_BT: Tensor, weights: int) -> Measured:
    """Nothing is kept and there is no `.grad`: subspaces, the estimate of one tensor and its step are temporaries of `update`."""
    model, optimizer = fresh()
    smallest = min(model.parameters(), key=lambda p: p.numel())

    def update() -> None:
        """A loss that reads one small tensor, so that the forward pass does not count."""
        optimizer.apply([0.0] * len(optimizer.measure(lambda: smallest.sum()).coefficients))

    updated = allocations(lambda: (update(), update())).peak
    kept = optimizer_bytes(optimizer) + state_bytes(vars(optimizer)["_factors"])
    model, optimizer = fresh()
    loss = next_token_loss(model, batch_BT)
    peak = allocations(lambda: (optimizer.step(loss), optimizer.step(loss))).peak
    return Measured(weights, 0, 0, kept, updated - kept, weights + tensor_bytes([batch_BT]) + peak)
