"""Sign descent on pencil-and-paper gradients, and against gradient descent on the sign."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.base import Empty
from sandbox.optimizers.sign_descent import SignDescent


@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 4)], ids=str)
def test_every_entry_moves_by_lr_whatever_its_gradient_weighs(shape):
    w, g = normal(shape, generator(0)), normal(shape, generator(1))
    small, state = SignDescent(lr=0.1).step(1e-30 * g, Empty(), w)
    large, _ = SignDescent(lr=0.1).step(1e30 * g, state, w)
    assert torch.equal(small, large) and torch.equal(small.abs(), torch.full_like(w, 0.1))
    assert (small * g).max() < 0


def test_an_entry_without_gradient_stays():
    g = torch.tensor([2.0, 0.0, -0.0, -1e-300], dtype=torch.float64)
    assert SignDescent(lr=0.5).step(g, Empty(), g)[0].tolist() == [-0.5, 0.0, 0.0, 0.5]


def test_a_gradient_that_is_not_a_number_stays_one():
    g = torch.tensor([float("nan"), float("inf"), -float("inf")])
    delta, _ = SignDescent(lr=0.5).step(g, Empty(), g)
    assert delta[0].isnan() and delta[1:].tolist() == [-0.5, 0.5]


def test_reaches_a_minimum_to_within_lr_and_then_goes_back_and_forth():
    """|w_k| falls by lr until it is below lr; from then on w and w - lr sign(w) alternate."""
    w, rule, seen = torch.tensor(1.03, dtype=torch.float64), SignDescent(lr=0.1), []
    for _ in range(14):
        w = w + rule.step(w, Empty(), w)[0]
        seen.append(w.item())
    # 1.03 - 0.1 k in floating point: k roundings of numbers near 1
    assert seen[9:] == pytest.approx([0.03, -0.07, 0.03, -0.07, 0.03], abs=14 * 1.2e-16)


def test_nothing_is_remembered():
    assert SignDescent(lr=0.1).init(torch.ones(3)) == Empty()


def test_a_negative_learning_rate_is_refused():
    with pytest.raises(ValueError, match="^lr of SignDescent must be >= 0, got -0.1"):
        SignDescent(lr=-0.1)
