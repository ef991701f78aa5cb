"""Long steps on convex functions, against random convex functions, semidefinite programs, and what a quadratic does."""

from importlib.util import find_spec

import numpy as np
import pytest

from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.theory import gradient_descent_convex, gradient_descent_long_steps
from sandbox.theory.base import OutOfScope
from sandbox.theory.worst_case import Tree, worst_case
from sandbox.theory.worst_case_questions import GAP_FROM_DISTANCE, GRADIENT_FROM_DISTANCE, GRADIENT_FROM_GAP
from sandbox.theory.worst_case_space import NEEDED, Functions

L, R = 2.0, 1.5
MISSING = [name for name in NEEDED if find_spec(name) is None]


def descend(slope, lr, K, w):
    for _ in range(K):
        w = w - lr * slope(w)
    return w


def piecewise(rng):
    """A convex function of one variable with curvatures in [0, L] on 12 pieces, minimum 0 at 0: (value, slope)."""
    knots = np.sort(np.abs(rng.standard_normal(6))) * R
    knots = np.concatenate([-knots[::-1], knots])
    curvature = L * rng.integers(0, 2, 13)
    grid = np.linspace(-4 * R, 4 * R, 40_001)
    bends = curvature[np.searchsorted(knots, grid)]
    slope = np.concatenate([[0], np.cumsum((bends[1:] + bends[:-1]) / 2 * np.diff(grid))])
    slope -= np.interp(0.0, grid, slope)
    value = np.concatenate([[0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(grid))])
    value -= np.interp(0.0, grid, value)
    return lambda w: np.interp(w, grid, value), lambda w: np.interp(w, grid, slope)


def limits(t, K, gap):
    """The bounds that are in scope, by name."""
    given = {
        "loss_one_step": {"R": R},
        "gradient_one_step": {"R": R},
        "gradient_from_gap": {"Delta0": gap},
        "gradient_from_distance": {"R": R},
    }
    found = {}
    for name, extra in given.items():
        try:
            found[name] = getattr(gradient_descent_long_steps, name).at(L=L, lr=t / L, K=K, **extra)
        except OutOfScope:
            continue
    return found


@pytest.mark.parametrize(("t", "K"), [(1.45, 1), (1.6, 1), (1.6, 2), (1.8, 3), (1.95, 6)])
def test_random_convex_functions_stay_below_and_the_quadratic_is_on_the_bound(t, K):
    """The functions are integrals by the trapezoidal rule on a grid of width 3e-4, of pieces of curvature 0 and L."""
    rng, tau = np.random.default_rng(0), t - 1
    named = limits(t, K, L * R**2 / 2)
    assert "gradient_one_step" in named or K > 1
    for name, value in named.items():
        reached = L * R**2 / 2 * tau ** (2 * K) if name == "loss_one_step" else (L * R * tau**K) ** 2
        assert value == pytest.approx(reached, rel=1e-12)
    for _ in range(300):
        value, slope = piecewise(rng)
        end = descend(slope, t / L, K, R)
        seen = {"loss_one_step": value(end)}
        for name, limit in limits(t, K, float(value(R))).items():
            assert seen.get(name, slope(end) ** 2) <= limit * (1 + 1e-3) + 1e-6


def test_what_is_in_scope():
    assert set(limits(1.45, 1, 1.0)) == {"gradient_one_step"}
    assert set(limits(1.55, 1, 1.0)) == {"loss_one_step", "gradient_one_step", "gradient_from_gap", "gradient_from_distance"}
    assert set(limits(1.62, 2, 1.0)) == {"gradient_from_distance"}
    assert set(limits(1.66, 2, 1.0)) == {"gradient_from_distance", "gradient_from_gap"}


@pytest.mark.parametrize(("t", "K"), [(1.6, 1), (1.7, 2), (1.9, 4)])
def test_they_are_the_conjectured_forms(t, K):
    """Where they are in scope the quadratic's part of the conjectured maximum is the larger one."""
    fixed = {"L": L, "lr": t / L, "K": K}
    named = limits(t, K, 3.0)
    assert named["gradient_from_gap"] == pytest.approx(gradient_descent_convex.any_gradient_from_gap.at(**fixed, Delta0=3.0), rel=1e-12)
    assert named["gradient_from_distance"] == pytest.approx(gradient_descent_convex.any_gradient.at(**fixed, R=R), rel=1e-12)


@pytest.mark.skipif(bool(MISSING), reason=f"semidefinite worst cases need {', '.join(MISSING)}: pip install -e .[dev]")
@pytest.mark.parametrize(
    ("name", "question", "t", "K"),
    [
        ("loss_one_step", GAP_FROM_DISTANCE, 1.55, 1),
        ("gradient_one_step", GRADIENT_FROM_DISTANCE, 1.45, 1),
        ("gradient_from_gap", GRADIENT_FROM_GAP, 1.8, 3),
        ("gradient_from_distance", GRADIENT_FROM_DISTANCE, 1.55, 2),
    ],
)
def test_semidefinite_programs_agree(name, question, t, K):
    """R = Delta0 = 1; the tolerance is that of the solver."""
    found = worst_case(GradientDescent(t / L), Functions(L=L, mu=0.0), question, Tree(steps=K))
    given = {"Delta0": 1.0} if name == "gradient_from_gap" else {"R": 1.0}
    assert found.certified == pytest.approx(getattr(gradient_descent_long_steps, name).at(L=L, lr=t / L, K=K, **given), rel=1e-5)
