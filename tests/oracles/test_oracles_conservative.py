"""Conservative acceptance on quadratics, where it is a law, and its promise on a fixed batch, where it is a theorem."""

import numpy as np
import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.oracles.conservative import Conservative
from sandbox.oracles.two_point import TwoPoint
from sandbox.problems.quadratic import Quadratic
from sandbox.run import run
from sandbox.run_ensemble import run_ensemble

SPECTRUM = tuple(np.linspace(0.1, 1.0, 20).tolist())
PROBLEM = Quadratic(SPECTRUM)
EDGE = 2 / sum(SPECTRUM)  # of lr: there half of the steps are taken


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 1.5])
def test_the_step_is_taken_exactly_where_lr_times_the_curvature_is_below_two(factor):
    """And the opposite step never: 200 draws and as many points."""
    lr, taken = factor * EDGE, 0
    for seed in range(200):
        params, z = PROBLEM.start(seed), normal((20,), generator(50, seed))
        g = Conservative(lr)(PROBLEM, params, None, ({"x": z},))[1]["x"]
        plain = TwoPoint()(PROBLEM, params, None, ({"x": z},))[1]["x"]
        accepted = bool(lr * z @ PROBLEM.hessian_dd @ z < 2)
        assert torch.equal(g, plain if accepted else torch.zeros_like(z))
        taken += accepted
    assert 0 < taken < 200 or (factor == 0.5 and taken > 190) or (factor == 1.5 and taken < 30)


def test_the_opposite_step_is_taken_where_it_is_the_best():
    """Along a concave parabola both ends are below the middle; the cubic term makes uphill at w the way to the lower one."""

    class Odd:
        def loss(self, params, batch):
            x = params["x"][0]
            return 0.1 * x - x**3

    params, draw = {"x": torch.zeros(1, dtype=torch.float64)}, ({"x": torch.ones(1, dtype=torch.float64)},)
    oracle = Conservative(10.0, TwoPoint(1e-3))  # slope 0.1, so the candidates are x = -1 and x = 1, with f = 0.9 and -0.9
    assert float(oracle(Odd(), params, None, draw)[1]["x"]) == pytest.approx(-0.1, rel=1e-4)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("lr", [0.5 * EDGE, 3 * EDGE, 100 * EDGE])
def test_the_loss_never_rises_on_a_fixed_batch(lr, n):
    """Where plain ZO-SGD diverges: at 100 times the edge it stalls. Rounding of f allows 1e-15."""
    losses = run(PROBLEM, GradientDescent(lr), steps=100, seed=0, oracle=Conservative(lr, TwoPoint(n=n))).loss
    assert (np.diff(losses) <= 1e-15 * losses[0]).all()
    if lr == 100 * EDGE:
        assert run(PROBLEM, GradientDescent(lr), steps=100, seed=0, oracle=TwoPoint(n=n)).loss[-1] > 1e3 * losses[0]


def test_with_another_rule_the_promise_is_gone():
    """The published sweeps run it on AdamW: the step is then none of the three candidates, and the loss rises."""
    losses = run(PROBLEM, Adam(EDGE), steps=100, seed=0, oracle=Conservative(EDGE)).loss
    assert (np.diff(losses) > 1e-3 * losses[:-1]).any()


def test_with_a_fresh_batch_per_step_the_loss_may_rise():
    """Same loss, but the minimum moves with the batch: what is best on one batch is not on the next."""

    class Moving(Quadratic):
        def batch(self, seed, step):
            return normal((20,), generator(60, seed, step))

        def loss(self, params, batch):
            return super().loss({"x": params["x"] - batch}, None)

    losses = run(Moving(SPECTRUM), GradientDescent(0.5 * EDGE), steps=30, seed=0, oracle=Conservative(0.5 * EDGE)).loss
    assert (np.diff(losses) > 0).any()


def test_a_loss_that_is_not_a_number_is_never_the_best():
    class Cliff:
        def loss(self, params, batch):
            x = params["x"][0]
            return torch.where(x < -0.5, float("nan"), x)

    params, draw = {"x": torch.zeros(1, dtype=torch.float64)}, ({"x": torch.ones(1, dtype=torch.float64)},)
    loss, grads = Conservative(1.0)(Cliff(), params, None, draw)
    assert float(loss) == 0.0 and float(grads["x"]) == 0.0


def test_ensembles_choose_run_by_run():
    """At the edge some runs accept and some do not, in one call of vmap; 1e-10: ten differences of rounding 1e-16 f / eps."""
    oracle = Conservative(EDGE)
    together = run_ensemble(PROBLEM, GradientDescent(EDGE), steps=10, seeds=range(6), oracle=oracle)
    alone = [run(PROBLEM, GradientDescent(EDGE), steps=10, seed=seed, oracle=oracle) for seed in range(6)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.final["x"], other.final["x"], rtol=0, atol=1e-10)
    assert len({(t.grad_norm == 0).sum() for t in alone}) > 1


def test_lr_must_be_positive():
    with pytest.raises(ValueError, match="equal to that of its GradientDescent, got 0.0"):
        Conservative(0.0)
