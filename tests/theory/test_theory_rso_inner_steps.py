"""T inner gradient steps against functions that know no formula: ridge functions in plain numpy, and a search for the worst one."""

import numpy as np
import pytest

from sandbox.theory import rso, rso_inner_steps
from sandbox.theory.base import OutOfScope


def ridge(rng, dim, steepest):
    """(value, gradient, L) of a sum of cosines and of concave, steep ridges; L bounds its curvature from above only."""
    A, b = rng.standard_normal((6, dim)), 3 * rng.standard_normal(6)
    A /= np.linalg.norm(A, 2)
    concave = rng.random(6) < 0.5
    weight = np.where(concave, steepest, 1.0)

    def value(x):
        y = A @ x + b
        return float(np.where(concave, -weight * np.log1p(y**2) / 2, -np.cos(y)).sum())

    def gradient(x):
        y = A @ x + b
        return A.T @ np.where(concave, -weight * y / (1 + y**2), np.sin(y))

    return value, gradient, max(1.0, steepest / 8)  # log(1 + y^2) / 2 has its least curvature -1/8 at y^2 = 3


def inner_steps(value, gradient, dim, *, eta, alpha, steps):
    """(sum of |grad F|^2, first of them, h(0) - h(B_T)) for F = h + |B|^2 / (2 eta), from 0."""
    B, squared = np.zeros(dim), []
    for _ in range(steps):
        pull = gradient(B) + B / eta
        squared.append(pull @ pull)
        B = B - alpha * pull
    return sum(squared), squared[0], value(np.zeros(dim)) - value(B)


@pytest.mark.parametrize("steepest", [1.0, 8.0, 40.0])
def test_every_number_of_inner_steps_pays_for_all_its_gradients(steepest):
    """t from 0.03 to 30 and steps of 10 to 100 % of the full one; 40 / 8 = 5 = L is a curvature of -40 from below."""
    rng, slack = np.random.default_rng(0), []
    for _ in range(300):
        dim, t = int(rng.integers(1, 5)), 10 ** rng.uniform(-1.5, 1.5)
        value, gradient, L = ridge(rng, dim, steepest)
        step = rng.uniform(0.1, 1 - 1e-9) * t / (1 + t)
        limit = rso_inner_steps.every_step.at(t=t, step=step, gram_defect=0.0)
        total, first, fall = inner_steps(value, gradient, dim, eta=t / L, alpha=step / L, steps=int(rng.integers(1, 12)))
        slack.append(limit * L * fall - total)
        total, first, fall = inner_steps(value, gradient, dim, eta=t / L, alpha=t / (1 + t) / L, steps=int(rng.integers(1, 12)))
        slack.append(rso_inner_steps.full_steps.at(t=t, gram_defect=0.0) * L * fall - first)
    assert min(slack) > 0


def test_a_step_twice_as_long_as_proved_is_worse_somewhere():
    """The same kind of run tells the difference: beyond the full step the bound fails on (1 - B)^2 / 2 for two steps."""
    value, gradient = (lambda x: (1 - x[0]) ** 2 / 2), (lambda x: x - 1)
    total, first, fall = inner_steps(value, gradient, 1, eta=0.5, alpha=0.5, steps=2)
    assert 2 / (0.5 * 1.5) * fall < first < total
    with pytest.raises(OutOfScope, match="step"):
        rso_inner_steps.every_step.at(t=0.5, step=0.5, gram_defect=0.0)


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_the_worst_of_all_quadratics_is_the_steepest_one_for_every_number_of_steps(steps):
    """A grid over curvatures in [-L, L]: the largest ratio is the constant, and it is the one of exact solutions."""
    t, worst = 0.5, 0.0
    for x in np.linspace(-1, 1, 201):

        def value(B, x=x):
            return B[0] + x * B[0] ** 2 / 2

        _, first, fall = inner_steps(value, lambda B, x=x: 1 + x * B, 1, eta=t, alpha=t / (1 + t), steps=steps)
        worst = max(worst, first / fall)
    assert rso_inner_steps.full_steps.at(t=t, gram_defect=0.0) == pytest.approx(worst, rel=1e-13)
    assert worst == pytest.approx(rso.argmin_constant.at(t=t, gram_defect=0.0), rel=1e-13)


@pytest.mark.parametrize("step", [0.2, 1.0, 1.7])
def test_one_plain_step_is_worst_on_the_steepest_quadratic(step):
    ratios = [1 / (step - x * step**2 / 2) for x in np.linspace(-1, 1, 201)]  # h = B + x B^2 / 2, B_1 = -step
    assert rso_inner_steps.one_step.at(step=step, gram_defect=0.0) == pytest.approx(max(ratios), rel=1e-13)


def gain(x, t, step):
    """Fall of h = B + x B^2 / 2 by a step from 0, over that of the minimiser of h + B^2 / (2 t)."""
    solved = -1 / (x + 1 / t)
    return (step - x * step**2 / 2) / -(solved + x * solved**2 / 2)


@pytest.mark.parametrize(
    ("bound", "curvatures", "largest"),
    [
        (rso_inner_steps.gain_of_one_step, np.linspace(-1, 1, 2001), 0.5),
        (rso_inner_steps.gain_of_one_step_convex, np.linspace(0, 1, 2001), 1.0),
    ],
)
def test_one_step_gains_at_least_what_the_solution_gains_up_to_the_largest_t(bound, curvatures, largest):
    for t in (0.1 * largest, 0.5 * largest, largest):
        assert gain(curvatures, t, 1.0).min() >= bound.at(t=t, gram_defect=0.0) - 1e-12
    assert gain(curvatures, largest, 1.0).min() == pytest.approx(1.0, rel=1e-12)
    assert gain(curvatures, 1.02 * largest, 1.0).min() < 0.99
    with pytest.raises(OutOfScope, match="t <="):
        bound.at(t=1.02 * largest, gram_defect=0.0)
