"""One-point feedback against a written-out loop, its conditional mean, and the two-point gradient at equal forward passes."""

import numpy as np
import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.oracles.clipped import Clipped
from sandbox.oracles.residual import Residual
from sandbox.oracles.two_point import TwoPoint
from sandbox.problems.quadratic import Quadratic
from sandbox.run import run
from sandbox.run_ensemble import run_ensemble

PROBLEM = Quadratic((1.0, 2.0, 4.0), seed=2)
PARAMS = PROBLEM.start(0)
EPS, LR = 0.5, 0.01


@pytest.mark.parametrize("shell", ["stepwise", "in place"])
def test_it_is_the_written_out_loop(shell):
    oracle = Residual(EPS)
    made = run(PROBLEM, GradientDescent(LR), steps=8, seed=3, oracle=oracle, shell=shell)
    x, losses = PROBLEM.start(3)["x"], []
    before = PROBLEM.loss({"x": x}, None)
    for k in range(8):
        (draw,) = oracle.draw(generator(3, 1_000_003, k), {"x": x})
        here = PROBLEM.loss({"x": x + EPS * draw["x"]}, None)
        x, before = x - LR * (here - before) / EPS * draw["x"], here
        losses.append(float(here))
    np.testing.assert_allclose(made.loss, losses, rtol=1e-12)
    np.testing.assert_allclose(made.final["x"], x, rtol=0, atol=1e-13)


def test_given_the_past_its_mean_is_the_gradient_whatever_was_remembered(gaussian, expectation):
    """One-sided, so unbiased on a quadratic; the old loss meets E z = 0."""
    for memory in (0.0, 17.0):
        mean = expectation(lambda z, m=memory: Residual(EPS).step(PROBLEM, PARAMS, None, ({"x": z},), memory=m)[1]["x"], gaussian(3))
        torch.testing.assert_close(mean, PROBLEM.hessian_dd @ PARAMS["x"], rtol=1e-12, atol=1e-11)


def test_the_first_step_compares_with_the_loss_at_the_start():
    draw = ({"x": normal((3,), generator(1))},)
    _, grads, memory = Residual(EPS).step(PROBLEM, PARAMS, None, draw, memory=None)
    _, one_sided = TwoPoint(EPS, difference="one-sided")(PROBLEM, PARAMS, None, draw)
    assert torch.equal(grads["x"], one_sided["x"])
    assert torch.equal(memory, PROBLEM.loss({"x": PARAMS["x"] + EPS * draw[0]["x"]}, None))


def test_two_points_are_better_at_equal_forward_passes():
    """Z12, in the mean over 5 seeds, each at the best lr of a common grid: 200 steps of two passes against 400 of one.

    "Clearly better" is taken as less than a third of the loss.
    """
    problem = Quadratic(tuple(np.linspace(0.5, 1.0, 20).tolist()))

    def best(oracle, steps):
        at = lambda lr: np.mean([_end(problem, run(problem, GradientDescent(lr), steps=steps, seed=s, oracle=oracle)) for s in range(5)])  # noqa: E731
        return np.nanmin([at(lr) for lr in (0.1, 0.05, 0.02, 0.01, 0.003, 0.001)])

    assert best(TwoPoint(0.1), 200) < 0.3 * best(Residual(0.1), 400)


def _end(problem, trace):
    x = torch.from_numpy(trace.final["x"])
    return float(problem.loss({"x": x}, None)) if trace.status == "finished" else np.inf


def test_where_nothing_carries_the_memory_it_says_so():
    for use in (
        lambda: Residual()(PROBLEM, PARAMS, None, ({"x": PARAMS["x"]},)),
        lambda: run(PROBLEM, GradientDescent(LR), steps=1, seed=0, oracle=Clipped(1.0, Residual())),
        lambda: run_ensemble(PROBLEM, GradientDescent(LR), steps=1, seeds=[0], oracle=Residual()),
    ):
        with pytest.raises(ValueError, match="Residual needs the loss of the step before"):
            use()


def test_eps_must_be_positive():
    with pytest.raises(ValueError, match="eps of Residual must be > 0, got -1.0"):
        Residual(-1.0)
