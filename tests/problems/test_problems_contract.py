"""What every problem must satisfy; its facts against derivatives that know nothing of them. A new one adds a line."""

import math
import pickle

import pytest
import torch

from sandbox.problems.base import Problem
from sandbox.problems.block_quadratic import BlockQuadratic
from sandbox.problems.golore_counterexample import GoLoreCounterexample
from sandbox.problems.matrix_quadratic import MatrixQuadratic, isotropic
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.problems.two_minima import TwoMinima

PROBLEMS = (
    Quadratic((1.0, 2.0, 5.0), seed=3),
    Quadratic((-1.0, 2.0, 5.0), basis="axes"),
    Quadratic((0.0, 2.0, 5.0)),
    BlockQuadratic(((1.0, 2.0), (50.0, 60.0, 70.0)), start_scales=(1.0, 10.0)),
    MatrixQuadratic((1.0, 3.0, 4.0), columns=2, linear=1.0, seed=2),
    isotropic(2.0, 4, 3),
    SmoothNonconvex(3, columns=2, samples=20, noise=0.5),
    GoLoreCounterexample(n=4, rank=2, linear=1.0),
    TwoMinima(),
)
each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: type(p).__name__)


def flat_loss(problem, params, batch):
    """The loss as a function of one vector, and the vector."""
    (name,) = params
    shape = params[name].shape
    return lambda v: problem.loss({name: v.reshape(shape)}, batch), params[name].reshape(-1)


@each_problem
def test_satisfies_the_protocol_and_survives_a_pickle(problem):
    assert isinstance(problem, Problem)
    again = pickle.loads(pickle.dumps(problem))
    assert again == problem and hash(again) == hash(problem) and again.facts == problem.facts


@each_problem
def test_start_is_a_pure_function_of_the_seed(problem):
    first, again, other = problem.start(0), problem.start(0), problem.start(1)
    (name,) = first
    assert first[name].dtype == torch.float64
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


@each_problem
def test_vmap_over_starts_equals_a_loop(problem):
    starts = [problem.start(seed) for seed in range(3)]
    stacked = {name: torch.stack([s[name] for s in starts]) for name in starts[0]}
    batch = problem.batch(0, 0)
    grad = torch.func.grad(problem.loss)
    together = torch.func.vmap(lambda p: grad(p, batch))(stacked)
    for i, start in enumerate(starts):
        for name, g in grad(start, batch).items():
            torch.testing.assert_close(together[name][i], g, rtol=1e-12, atol=1e-12)  # sums in another order


@each_problem
def test_gradient_matches_central_differences(problem):
    """Truncation ~ |f'''| h^2 / 6 and round-off ~ eps |f| / h are below 1e-7 at h = 1e-5 for losses of order 100."""
    f, v = flat_loss(problem, problem.start(0), problem.batch(0, 0))
    h = 1e-5
    differences = torch.stack([(f(v + h * e) - f(v - h * e)) / (2 * h) for e in torch.eye(len(v), dtype=v.dtype)])
    torch.testing.assert_close(torch.func.grad(f)(v), differences, rtol=1e-6, atol=1e-6)


@each_problem
def test_no_curvature_exceeds_L_and_the_spectrum_is_the_one_stated(problem):
    for seed in range(20):
        f, v = flat_loss(problem, problem.start(seed), None)
        curvatures = torch.linalg.eigvalsh(torch.func.hessian(f)(v))
        assert curvatures.abs().max() <= problem.facts.L * (1 + 1e-12)
        if problem.facts.spectrum is not None:
            stated = torch.tensor(problem.facts.spectrum, dtype=torch.float64)
            torch.testing.assert_close(curvatures, stated, rtol=1e-11, atol=1e-11)


@each_problem
def test_the_infimum_is_reached_by_a_long_descent_and_never_passed(problem):
    f, v = flat_loss(problem, problem.start(0), None)
    if problem.facts.f_star == -math.inf:
        downhill = torch.linalg.eigh(torch.func.hessian(f)(v))[1][:, 0]
        assert f(1e6 * downhill) < -1e9
    elif problem.facts.f_star is not None:
        v = v if not isinstance(problem, TwoMinima) else torch.tensor([-0.9, 0.1], dtype=v.dtype)
        step = torch.func.grad_and_value(f)
        for _ in range(1500):  # the gap falls by (1 - 1/70)^2 per step or faster: 2e-19 in all
            g, value = step(v)
            assert value >= problem.facts.f_star - 1e-12
            v = v - g / problem.facts.L
        assert float(f(v)) == pytest.approx(problem.facts.f_star, abs=1e-9)


@each_problem
def test_polyak_lojasiewicz_with_the_stated_mu(problem):
    """|grad f|^2 >= 2 mu (f - f_star) at many points."""
    if problem.facts.mu is None:
        return
    for seed in range(20):
        f, v = flat_loss(problem, problem.start(seed), None)
        gap = f(v) - problem.facts.f_star
        assert torch.func.grad(f)(v).square().sum() >= 2 * problem.facts.mu * gap * (1 - 1e-12)
