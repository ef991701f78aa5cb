"""The forward gradient against the exact directional derivative, and its identity with the two-point gradient."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sandbox.draws import generator, normal
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.oracles.backprop import Backprop
from sandbox.oracles.forward_gradient import ForwardGradient
from sandbox.oracles.two_point import TwoPoint
from sandbox.problems.quadratic import Quadratic
from sandbox.run import run
from sandbox.run_ensemble import run_ensemble

PROBLEM = Quadratic((1.0, 2.0, 4.0), seed=2)


class Network:
    """A small net, so that the loss has all derivatives."""

    def loss(self, params, batch):
        return F.cross_entropy(torch.tanh(batch @ params["up"].T) @ params["down"].T, torch.tensor([0, 1]))


PARAMS = {"up": normal((5, 4), generator(1)), "down": normal((3, 5), generator(2))}
BATCH = normal((2, 4), generator(3))


def test_it_is_the_exact_slope_along_each_direction():
    oracle = ForwardGradient(n=2)
    draw = oracle.draw(generator(0), PARAMS)
    loss, grads = oracle(Network(), PARAMS, BATCH, draw)
    exact_loss, g = Backprop()(Network(), PARAMS, BATCH, None)
    slopes = [sum((g[name] * z[name]).sum() for name in g) for z in draw]
    for name in PARAMS:
        expected = (slopes[0] * draw[0][name] + slopes[1] * draw[1][name]) / 2
        torch.testing.assert_close(grads[name], expected, rtol=1e-12, atol=1e-14)
    assert float(loss) == pytest.approx(float(exact_loss), rel=1e-14) and not loss.requires_grad


def test_two_points_approach_it_with_eps_squared():
    """The central difference is off by eps^2/6 of a third derivative: a factor 4 for a factor 2, to the next order in eps."""
    draw = TwoPoint().draw(generator(0), PARAMS)
    exact = ForwardGradient()(Network(), PARAMS, BATCH, draw)[1]["up"]
    errors = [(TwoPoint(eps)(Network(), PARAMS, BATCH, draw)[1]["up"] - exact).norm() for eps in (0.02, 0.01)]
    assert float(errors[0] / errors[1]) == pytest.approx(4, rel=0.01)


def test_on_a_quadratic_it_is_zo_sgd_step_by_step():
    """Same seeds, same directions, any eps: identical trajectories, to the rounding of the difference."""
    forward = run(PROBLEM, GradientDescent(0.02), steps=30, seed=1, oracle=ForwardGradient())
    for eps in (1e-3, 1.0):
        zo = run(PROBLEM, GradientDescent(0.02), steps=30, seed=1, oracle=TwoPoint(eps))
        np.testing.assert_allclose(zo.final["x"], forward.final["x"], rtol=0, atol=1e-10)


def test_ensembles_follow_single_runs():
    together = run_ensemble(PROBLEM, GradientDescent(0.02), steps=10, seeds=[1, 2], oracle=ForwardGradient(n=2))
    for trace, seed in zip(together, (1, 2), strict=True):
        alone = run(PROBLEM, GradientDescent(0.02), steps=10, seed=seed, oracle=ForwardGradient(n=2))
        np.testing.assert_allclose(trace.final["x"], alone.final["x"], rtol=0, atol=1e-12)


def test_the_in_place_shell_refuses_it():
    with pytest.raises(ValueError, match="evaluates losses and nothing else, .* got ForwardGradient; use the stepwise shell"):
        run(PROBLEM, GradientDescent(0.02), steps=1, seed=0, oracle=ForwardGradient(), shell="in place")


def test_n_must_be_a_count():
    with pytest.raises(ValueError, match="n of ForwardGradient must be an int >= 1, got 0"):
        ForwardGradient(0)
