"""Gradient descent against torch.optim.SGD (independent code) and against geometric series."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.base import Empty
from sandbox.optimizers.gradient_descent import GradientDescent


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_matches_torch_sgd_over_fifty_steps(momentum):
    ours = normal((7, 5), generator(0))
    theirs = torch.nn.Parameter(ours.clone())
    rule, reference = GradientDescent(0.03, momentum), torch.optim.SGD([theirs], lr=0.03, momentum=momentum)
    state = rule.init(ours)
    for k in range(50):
        g = normal((7, 5), generator(1, k))
        delta, state = rule.step(g, state, ours)
        ours = ours + delta
        theirs.grad = g
        reference.step()
    # torch rounds w - lr b once, ours rounds lr b first: one ulp of a number near 1 per step
    torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=50 * 2.3e-16)


def test_buffer_under_a_constant_gradient_is_a_geometric_sum():
    """b_k = (1 + mu + ... + mu^(k-1)) g = (1 - mu^k) / (1 - mu) g."""
    g = torch.tensor([2.0, -1.0], dtype=torch.float64)
    rule = GradientDescent(lr=0.1, momentum=0.5)
    state = rule.init(g)
    for _ in range(4):
        delta, state = rule.step(g, state, g)
    torch.testing.assert_close(delta, -0.1 * (1 - 0.5**4) / (1 - 0.5) * g, rtol=1e-15, atol=0)


def test_contracts_a_parabola_by_one_minus_lr_h():
    w, rule, h = torch.tensor([3.0], dtype=torch.float64), GradientDescent(lr=0.25), 1.5
    for _ in range(10):
        w = w + rule.step(h * w, Empty(), w)[0]
    torch.testing.assert_close(w, torch.tensor([3.0 * (1 - 0.25 * h) ** 10], dtype=torch.float64), rtol=1e-13, atol=0)


def test_without_momentum_nothing_is_remembered():
    assert GradientDescent(lr=0.1).init(torch.ones(3)) == Empty()


def test_momentum_that_varies_over_an_ensemble_keeps_a_buffer():
    """A tensor cannot be asked whether it is zero under vmap, so a tensor of zeros keeps the buffer."""
    rule = GradientDescent(lr=0.1)
    object.__setattr__(rule, "momentum", torch.tensor(0.0))
    assert len(rule.init(torch.ones(3))) == 1


@pytest.mark.parametrize(("settings", "name"), [({"lr": -0.1}, "lr"), ({"lr": 0.1, "momentum": -1.0}, "momentum")])
def test_negative_settings_are_refused(settings, name):
    with pytest.raises(ValueError, match=rf"^{name} of GradientDescent must be >= 0, got {settings[name]}"):
        GradientDescent(**settings)
