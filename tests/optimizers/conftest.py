"""Two ways of holding a rule against somebody else's optimizer: on given gradients, and on a network that each side trains."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.optimizers.base import Rule

Optimizers = Callable[[Iterable[tuple[str, nn.Parameter]]], torch.optim.Optimizer]
INPUT, TARGET = normal((32, 6), generator(5)), normal((32, 4), generator(6))
LAYERS = {"first": (6, 10), "bias": (10,), "second": (10, 4)}
STEPS = 50


@pytest.fixture
def both_moved() -> Callable[..., tuple[Tensor, Tensor]]:
    """The weight after 50 steps of the rule, and of the optimizer that is made for one parameter, on the same gradients."""

    def both(rule: Rule, reference_of: Callable[[nn.Parameter], torch.optim.Optimizer], shape=(7, 5), dtype=torch.float64):
        ours = normal(shape, generator(0)).to(dtype)
        theirs = nn.Parameter(ours.clone())
        state, reference = rule.init(ours), reference_of(theirs)
        for k in range(STEPS):
            theirs.grad = normal(shape, generator(1, k)).to(dtype)
            delta, state = rule.step(theirs.grad.clone(), state, ours)
            ours = ours + delta
            reference.step()
        return ours, theirs.detach()

    return both


@pytest.fixture
def trained() -> Callable[..., Tensor]:
    """All weights of a small network after 50 steps; `nudge` = relative size of a random change of its start."""

    def run(optimizer_of: Optimizers, *, dtype: torch.dtype, nudge: float = 0.0) -> Tensor:
        leaves = {}
        for i, (name, shape) in enumerate(LAYERS.items()):
            start = 0.4 * normal(shape, generator(2, i)) * (1 + nudge * normal(shape, generator(3, i)))
            leaves[name] = nn.Parameter(start.to(dtype))
        optimizer = optimizer_of(leaves.items())
        for _ in range(STEPS):
            optimizer.zero_grad()
            y = torch.tanh(INPUT.to(dtype) @ leaves["first"] + leaves["bias"]) @ leaves["second"]
            (y - TARGET.to(dtype)).square().mean().backward()
            optimizer.step()
        return torch.cat([w.detach().flatten() for w in leaves.values()])

    return run


@pytest.fixture
def assert_same_training(trained) -> Callable[[Optimizers, Optimizers, torch.dtype], None]:
    """Two trainings may differ by as much as one rounding of the start moves one of them, once for each step."""

    def check(ours: Optimizers, theirs: Optimizers, dtype: torch.dtype) -> None:
        eps = torch.finfo(dtype).eps
        plain, nudged = trained(ours, dtype=dtype), trained(ours, dtype=dtype, nudge=eps)
        allowed = STEPS * (nudged - plain).abs().max().item()
        assert allowed < 1e4 * eps  # else the training amplifies rounding so much that it compares nothing
        torch.testing.assert_close(plain, trained(theirs, dtype=dtype), rtol=0, atol=allowed)

    return check
