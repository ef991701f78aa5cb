"""Frozen steps: a rule's own step, asked for again, is its own step; another direction is divided by the same averages."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Empty, with_fields
from sandbox.optimizers.came import CAME
from sandbox.optimizers.frozen_step import FREEZES, frozen_step
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.inner_state import directions
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.optimizers.weight_decay import WeightDecay

W = normal((6, 8), generator(0))
AVERAGING = [
    Adam(0.1),
    AdamW(0.1, weight_decay=0.3),
    AdamMini(0.1, n_blocks=3, weight_decay=0.3),
    GradientDescent(0.1, momentum=0.9),
    GradientDescent(0.1, momentum=0.9, dampening=0.5),
    WeightDecay(Adam(0.1), 0.3),
]
WITHOUT_MOMENT = [
    AdaLomo(0.1, weight_decay=0.3),
    Adafactor(0.1),
    CAME(0.1, betas=(0.0, 0.0, 0.0), weight_decay=0.3),
    SignDescent(0.1),
    GradientDescent(0.1),
]


def plain(rule):
    return with_fields(rule, weight_decay=0.0) if hasattr(rule, "weight_decay") else rule


def after(rule, steps: int):
    """(last step, state) of gradients that differ."""
    state = rule.init(W)
    for k in range(steps):
        delta, state = rule.step(normal((6, 8), generator(1, k)), state, W)
    return delta, state


@pytest.mark.parametrize("rule", AVERAGING, ids=str)
@pytest.mark.parametrize("steps", [1, 7])
def test_the_frozen_step_of_the_first_moment_is_the_step_just_made(rule, steps):
    delta, state = after(plain(rule), steps)
    (name,) = directions(state)
    torch.testing.assert_close(frozen_step(rule, getattr(state, name), state, W), delta, rtol=1e-13, atol=0)


@pytest.mark.parametrize("rule", AVERAGING, ids=str)
def test_it_is_linear_in_the_direction(rule):
    _, state = after(rule, 4)
    x, y = normal((6, 8), generator(2)), normal((6, 8), generator(3))
    both = frozen_step(rule, x + 2 * y, state, W)
    torch.testing.assert_close(both, frozen_step(rule, x, state, W) + 2 * frozen_step(rule, y, state, W), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", WITHOUT_MOMENT, ids=str)
def test_after_one_step_the_same_gradient_gives_the_same_step(rule):
    """At t = 1 these averages are those of one gradient, so frozen or not is the same."""
    delta, state = after(plain(rule), 1)
    torch.testing.assert_close(frozen_step(rule, normal((6, 8), generator(1, 0)), state, W), delta, rtol=1e-12, atol=0)


def test_another_direction_is_divided_by_the_averages_of_the_first():
    """AdaLomo: x / sqrt(r c / mean(r)), clipped by its own RMS, times max(eps2, RMS(W)); here by hand, from r and c of the state."""
    rule, x = AdaLomo(0.1), normal((6, 8), generator(2))
    _, state = after(rule, 5)
    u = x / (state.r.unsqueeze(1) * state.c / state.r.mean()).sqrt()
    expected = -0.1 * W.square().mean().sqrt() * u / u.square().mean().sqrt().clamp(min=1.0)
    torch.testing.assert_close(frozen_step(rule, x, state, W), expected, rtol=1e-12, atol=0)


def test_came_uses_its_confidence_too():
    rule, x = CAME(0.1), normal((6, 8), generator(2))
    _, state = after(rule, 5)
    u = x / (state.r.unsqueeze(1) * state.c / state.r.mean()).sqrt()
    u = u / u.square().mean().sqrt().clamp(min=1.0)
    expected = -0.1 * u / (state.R.unsqueeze(1) * state.C / state.R.mean()).sqrt()
    torch.testing.assert_close(frozen_step(rule, x, state, W), expected, rtol=1e-12, atol=0)


def test_adafactor_with_an_average_is_asked_without_it():
    """x, and not the average of the steps, is what moves."""
    averaging, bare = (Adafactor(0.1, beta1=beta1) for beta1 in (0.9, None))
    (_, state), (_, moment) = after(averaging, 5), after(bare, 5)
    x = normal((6, 8), generator(2))
    torch.testing.assert_close(frozen_step(averaging, x, state, W), frozen_step(bare, x, moment, W), rtol=1e-13, atol=0)


def test_every_row_is_tested():
    tested = {type(getattr(rule, "inner", rule)) for rule in AVERAGING + WITHOUT_MOMENT}
    assert tested == set(FREEZES)


class Unknown:
    lr = 0.1

    def init(self, w):
        return Empty()


def test_a_rule_without_a_row_is_refused():
    with pytest.raises(ValueError, match=r"no row for Unknown, so .* choose details \"clipped\" or \"dropped\""):
        frozen_step(WeightDecay(Unknown(), 0.1), W, Empty(), W)
