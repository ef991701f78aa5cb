"""The best eta for inner steps of finite length, against minimisation of the measured rates in plain numpy."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from sandbox.theory import rso, rso_full_steps, rso_rates


def nesterov_factor(lr, momentum, curvature):
    """Spectral radius of (w, w_before) -> (w_next, w), w_next = y - lr h y, y = w + momentum (w - w_before)."""
    keep = 1 - lr * curvature
    return np.abs(np.linalg.eigvals(np.array([[keep * (1 + momentum), -keep * momentum], [1.0, 0.0]]))).max()


def minimiser(factor_of_t):
    def cost(t):
        return rso.exact_constant.at(t=t, gram_defect=0.0) / -math.log(factor_of_t(t))

    return minimize_scalar(cost, bounds=(0.02, 0.98), method="bounded", options={"xatol": 1e-10}).x


def slowest(t, lr):
    return max(abs(1 - lr * (1 / t - 1)), abs(1 - lr * (1 / t + 1)))


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_gradient_descent_inside(share):
    """The minimum is flat: 1e-10 in cost is 1e-5 in t."""
    best = minimiser(lambda t: slowest(t, share / (1 + 1 / t)))
    assert -math.log(slowest(best, share / (1 + 1 / best))) == pytest.approx(rso_full_steps.log_factor.at(t=best, share=share), rel=1e-4)
    if share == 1.0:
        assert best == pytest.approx(rso_full_steps.best_t.at(), abs=6e-5)
    if share == 0.01:
        assert best == pytest.approx(rso_rates.best_t_gradient.at(), rel=3e-3)  # the first order in share


def test_the_best_constant_step_inside():
    best = minimiser(
        lambda t: minimize_scalar(lambda lr: slowest(t, lr), bounds=(0, 2 * t), method="bounded", options={"xatol": 1e-13}).fun
    )
    assert best == pytest.approx(rso_full_steps.best_t_best_step.at(), abs=1e-4)
    assert -math.log(best) == pytest.approx(rso_full_steps.log_factor_best_step.at(t=best), rel=1e-3)


@pytest.mark.parametrize("root", [0.1, 1.0])
def test_nesterov_inside(root):
    """Two equal eigenvalues of the map: the spectral radius is good to the root of the rounding, 1e-8."""

    def factor(t):
        p = root * math.sqrt((1 - t) / (1 + t))
        return nesterov_factor(root**2 / (1 + 1 / t), (1 - p) / (1 + p), 1 / t - 1)

    best = minimiser(factor)
    u = math.sqrt((1 - best) / (1 + best))
    assert -math.log(factor(best)) == pytest.approx(rso_full_steps.log_factor_accelerated.at(u=u, root=root), rel=1e-3)
    if root == 1.0:
        assert best == pytest.approx(rso_full_steps.best_t_accelerated.at(), abs=3e-4)


def test_no_polynomial_of_small_degree_and_height_has_the_best_t_as_a_root():
    """What Lindemann says of all polynomials, for degree 3 and coefficients up to 12: none is as near to 0 as rounding allows."""
    t = 0.199702863441659
    assert -math.log(2 * t / (1 + t)) == pytest.approx(1 + t / 2, rel=1e-14)
    c = np.arange(-12, 13)
    values = np.abs(c[:, None, None, None] + t * c[:, None, None] + t**2 * c[:, None] + t**3 * c)
    values[12, 12, 12, 12] = 1.0
    assert values.min() > 1e-9
