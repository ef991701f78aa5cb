"""Gradient descent against torch.optim.SGD (independent code) and against geometric series."""

import pytest
import torch

from sandbox.optimizers.base import Empty, with_fields
from sandbox.optimizers.gradient_descent import GradientDescent

SETTINGS = {
    "plain": {},
    "heavy ball": {"momentum": 0.9},
    "damped": {"momentum": 0.9, "dampening": 0.4},
    "average": {"momentum": 0.9, "dampening": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": "on"},
}


@pytest.mark.parametrize("shape", [(7, 5), ()], ids=str)
@pytest.mark.parametrize("name", SETTINGS)
def test_matches_torch_sgd_over_fifty_steps(name, shape, both_moved):
    settings = SETTINGS[name]
    in_torch = settings | {"nesterov": settings.get("nesterov") == "on"}
    ours, theirs = both_moved(GradientDescent(0.03, **settings), lambda w: torch.optim.SGD([w], lr=0.03, **in_torch), shape)
    # torch rounds w - lr b once, ours rounds lr b first: one ulp of a number near 1 per step; damped, a few of b as well
    torch.testing.assert_close(ours, theirs, rtol=0, atol=50 * 2.3e-16 * (4 if "dampening" in settings else 1))


def test_buffer_under_a_constant_gradient_is_a_geometric_sum():
    """b_k = (1 + mu + ... + mu^(k-1)) g = (1 - mu^k) / (1 - mu) g."""
    g = torch.tensor([2.0, -1.0], dtype=torch.float64)
    rule = GradientDescent(lr=0.1, momentum=0.5)
    state = rule.init(g)
    for _ in range(4):
        delta, state = rule.step(g, state, g)
    torch.testing.assert_close(delta, -0.1 * (1 - 0.5**4) / (1 - 0.5) * g, rtol=1e-15, atol=0)


def test_a_damped_buffer_starts_at_the_first_gradient():
    """With tau = mu the buffer is an average: of a constant gradient it is that gradient, from the first step on."""
    g = torch.tensor([2.0, -1.0], dtype=torch.float64)
    rule = GradientDescent(lr=0.1, momentum=0.75, dampening=0.75)
    state = rule.init(g)
    for _ in range(4):
        delta, state = rule.step(g, state, g)
        torch.testing.assert_close(delta, -0.1 * g, rtol=1e-15, atol=0)


def test_nesterov_looks_one_buffer_ahead():
    """b_k of a constant gradient is a geometric sum, and g + mu b_k is the next one."""
    g = torch.tensor([2.0, -1.0], dtype=torch.float64)
    rule = GradientDescent(lr=0.1, momentum=0.5, nesterov="on")
    state = rule.init(g)
    for _ in range(3):
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
    object.__setattr__(rule, "dampening", torch.tensor(0.0))
    assert len(rule.init(torch.ones(3))) == 2


def test_a_momentum_of_zero_in_an_ensemble_is_plain_descent():
    """Buffered with mu = 0: b = g at every step, damped or not at the first one alone."""
    w, g = torch.ones(3), torch.tensor([1.0, 2.0, 4.0])
    rule = with_fields(GradientDescent(lr=0.5), momentum=torch.tensor(0.0))
    state = rule.init(w)
    for _ in range(2):
        delta, state = rule.step(g, state, w)
        assert delta.tolist() == [-0.5, -1.0, -2.0]


@pytest.mark.parametrize(("settings", "name"), [({"lr": -0.1}, "lr"), ({"lr": 0.1, "momentum": -1.0}, "momentum")])
def test_negative_settings_are_refused(settings, name):
    with pytest.raises(ValueError, match=rf"^{name} of GradientDescent must be >= 0, got {settings[name]}"):
        GradientDescent(**settings)


REFUSED = [
    ({"nesterov": "on"}, r"a Nesterov step of GradientDescent needs momentum > 0 and dampening 0, got momentum 0.0"),
    ({"momentum": 0.9, "dampening": 0.1, "nesterov": "on"}, r"a Nesterov step .* got momentum 0.9, dampening 0.1 and nesterov 'on'"),
    ({"dampening": 0.1}, r"dampening of GradientDescent has no effect without momentum, got .*; give a momentum > 0"),
    ({"momentum": 0.9, "nesterov": True}, r'nesterov of GradientDescent must be "off" or "on", got .* nesterov True'),
    ({"momentum": 0.9, "dampening": -0.1}, r"dampening of GradientDescent must be >= 0, got -0.1"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_settings_without_effect_or_meaning_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GradientDescent(lr=0.1, **settings)
