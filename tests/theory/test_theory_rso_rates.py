"""Rates of RSO beside the sum of gradients, against plain numpy: recursions, enumerated coordinates, grids over instances."""

import numpy as np
import pytest

from sandbox.theory import rso, rso_rates
from sandbox.theory.base import OutOfScope

FULL = {"m": 5, "r": 5, "gram_defect": 0.0}


def proximal_point(slope, w, t):
    """x with x + t f'(x) = w in one dimension, by bisection: the left side rises where t f'' > -1."""
    low, high = w - 1e3, w + 1e3
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle + t * slope(middle) < w else (low, middle)
    return (low + high) / 2


def test_coordinate_rounds_fall_as_promised_and_as_m_grows_no_faster():
    """Every coordinate of H = I - (1 - mu) 1 1^T / m in turn, from W along 1: an exact mean over the law of P, r = 1."""
    t, mu, excess = 0.5, 0.2, []
    for m in (2, 8, 64):
        H = np.eye(m) - (1 - mu) * np.ones((m, m)) / m
        W = np.ones(m)
        after = []
        for i in range(m):
            p = np.zeros(m)
            p[i] = m**0.5
            after.append(W - p * (p @ H @ W) / (p @ H @ p + m / t))
        factor = np.mean([w @ H @ w for w in after]) / (W @ H @ W)
        limit = rso.loss_factor.at(t=t, mu=mu, L=1.0, m=m, r=1, gram_defect=0.0)
        excess.append((1 - factor) / (1 - limit) - 1)
    assert min(excess) > 0 and excess[0] > 0.1
    assert excess[2] < excess[1] < excess[0] and excess[2] == pytest.approx(excess[1] / 8, rel=0.1)  # like 1/m


@pytest.mark.parametrize("t", [0.5, 4.0])
def test_a_full_basis_contracts_a_strongly_convex_loss_as_the_proximal_point_method(t):
    """f = mu x^2 / 2 + (1 - mu) log cosh x has curvature in [mu, 1], minimum 0; the parabola alone is the worst."""
    mu = 0.1
    limit = rso_rates.proximal_loss_factor.at(t=t, mu=mu, L=1.0, **FULL)
    ratios = []
    for start in np.linspace(0.1, 20, 40):
        end = proximal_point(lambda x: mu * x + (1 - mu) * np.tanh(x), start, t)
        before, after = (mu * x**2 / 2 + (1 - mu) * np.log(np.cosh(x)) for x in (start, end))
        ratios.append(after / before)
    assert max(ratios) < limit
    end = proximal_point(lambda x: mu * x, 3.0, t)
    assert (end / 3.0) ** 2 == pytest.approx(limit, rel=1e-12)
    with pytest.raises(OutOfScope, match="r >= m|m <= r"):
        rso_rates.proximal_loss_factor.at(t=t, mu=mu, L=1.0, m=5, r=4, gram_defect=0.0)


def smallest_ratio(H, W, t, K):
    """K min_k |g_k|^2 / (f_0 - f_K) of K proximal point steps on W^T H W / 2; infinite where f does not fall."""
    start, norms = W @ H @ W / 2, [(H @ W) @ (H @ W)]
    for _ in range(K):
        W = np.linalg.solve(np.eye(len(W)) + t * H, W)
        norms.append((H @ W) @ (H @ W))
    return K * min(norms) / (start - W @ H @ W / 2)


@pytest.mark.parametrize(("t", "K"), [(0.3, 1), (0.5, 3), (0.9, 7), (1.3, 2), (1.7, 5)])
def test_indefinite_quadratics_stay_below_the_bound_on_the_smallest_gradient(t, K):
    rng, worst = np.random.default_rng(0), 0.0
    bound = rso_rates.smallest_gradient if t <= 1 else rso_rates.smallest_gradient_long
    for _ in range(500):
        Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
        worst = max(worst, smallest_ratio(Q @ np.diag(rng.uniform(-1, 1, 4)) @ Q.T, rng.standard_normal(4), t, K))
    assert 0 < worst < bound.at(t=t, **FULL)


def test_the_long_form_is_the_worst_two_dimensional_quadratic_for_one_round():
    """H = diag(1, -1) and every direction of the start; the resolution of the grid leaves 1e-5."""
    t = 1.5
    worst = max(smallest_ratio(np.diag([1.0, -1.0]), np.array([np.cos(a), np.sin(a)]), t, 1) for a in np.linspace(0, 1.5, 20001))
    assert rso_rates.smallest_gradient_long.at(t=t, **FULL) == pytest.approx(worst, rel=1e-4)


@pytest.mark.parametrize("K", [1, 4])
def test_the_saw_tooth_meets_both_bounds(K):
    """f' falls from 1 to 1 - t/2 and rises back, K times; then f' falls to 0. Integrated on a grid, stationarity looked at."""
    t, n = 0.6, 2000
    s = (np.arange(K * n) + 0.5) * t / n  # midpoints: exact for a piecewise linear slope
    slope = 1 - np.minimum(s % t, t - s % t)
    fall = slope.sum() * t / n
    assert rso_rates.smallest_gradient.at(t=t, **FULL) * fall == pytest.approx(K, rel=1e-12)
    limit = rso_rates.smallest_gradient_from_gap.at(t=t, L=1.0, K=K, Delta0=fall + 0.5, **FULL)
    assert limit == pytest.approx(1.0, rel=1e-12)
    value = np.cumsum(-slope[:n] * t / n) + (s[:n] + t / n / 2) ** 2 / (2 * t)  # F along the first tooth
    assert value.argmin() == n - 1


@pytest.mark.parametrize("K", [1, 3])
def test_a_random_basis_leaves_no_smaller_constant_for_the_smallest_gradient(K):
    """On |W|^2 / 2 the mean gap shrinks by rho a round; m = 2 already breaks 16/7 at K = 1, and large m comes to C."""
    limit = {m: rso_rates.smallest_expected_gradient.at(t=0.5, m=m, r=1, gram_defect=0.0) for m in (2, 5000)}
    ratio = {}
    for m in limit:
        gaps = [1.0]
        for _ in range(K):
            gaps.append(gaps[-1] * (1 - (1 - 1.5**-2) / m))
        ratio[m] = K * 2 * gaps[-1] / (m * (gaps[0] - gaps[-1]))
    assert all(ratio[m] < limit[m] for m in limit) and ratio[5000] > 0.999 * limit[5000]
    assert K > 1 or ratio[2] > rso_rates.smallest_gradient.at(t=0.5, **FULL)


@pytest.mark.parametrize(("bound", "power"), [(rso_rates.best_t_gradient, 1.0), (rso_rates.best_t_accelerated, 0.5)])
def test_the_best_t_is_the_minimum_on_a_grid(bound, power):
    t = np.linspace(0.01, 0.99, 98001)  # spacing 1e-5
    cost = 2 * (1 + t) ** 2 / (t * (2 + t)) * ((1 + t) / (1 - t)) ** power
    assert bound.at() == pytest.approx(t[cost.argmin()], abs=1e-5)
