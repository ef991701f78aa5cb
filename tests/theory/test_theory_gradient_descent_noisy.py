"""Noisy, clipped and normalised steps, against Monte Carlo with its own standard error and against minimisation on a grid."""

import math

import numpy as np
import pytest

from sandbox.theory import gradient_descent, noisy_gradient


def z_score(samples, expected):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def noisy_runs(L, lr, K, v, n, start, bias=0.0):
    """(n, K + 1) points of SGD on L w^2 / 2 with noise +-sqrt(v) about a bias."""
    rng, w = np.random.default_rng(31), np.full(n, start)
    points = [w]
    for _ in range(K):
        w = w - lr * (L * w + bias + math.sqrt(v) * rng.choice([-1.0, 1.0], n))
        points.append(w)
    return np.stack(points, 1)


@pytest.mark.parametrize(("t", "K"), [(0.5, 12), (1.6, 5)])
def test_sum_from_gap_is_the_mean_of_sampled_sums_on_the_quadratic(t, K):
    L, v, n, start = 2.0, 0.7, 40_000, 1.3
    w = noisy_runs(L, t / L, K, v, n, start)
    sums = ((L * w[:, :-1]) ** 2).sum(1)
    limit = noisy_gradient.sum_from_gap.at(L=L, lr=t / L, K=K, v=v, Delta0=L * start**2 / 2)
    assert abs(z_score(sums, limit)) < 4 < abs(z_score(sums, 1.05 * limit))
    decrease = L * start**2 / 2 - (L * w[:, -1] ** 2 / 2).mean()
    mean = gradient_descent.noisy_gradient_mean.at(L=L, lr=t / L, K=K, v=v, Delta0=decrease)
    assert mean == pytest.approx(sums.mean() / K, rel=0.03)  # 4 standard errors of the two means


def test_the_floor_and_what_a_bias_adds_to_it():
    L, lr, v, n = 2.0, 0.3, 0.7, 40_000
    for bias in (0.0, 0.4):
        w = noisy_runs(L, lr, 40, v, n, 0.0, bias)[:, -1]  # (1 - 0.6)^40 of the start is left
        limit = noisy_gradient.biased_floor.at(L=L, lr=lr, v=v, bias=bias)
        assert abs(z_score((L * w) ** 2, limit)) < 4
    assert noisy_gradient.biased_floor.at(L=L, lr=lr, v=v, bias=0.0) == noisy_gradient.floor.at(L=L, lr=lr, v=v)


@pytest.mark.parametrize(("mu", "lr"), [(0.5, 0.3), (0.5, 0.9)])
def test_the_distance_is_the_sampled_one_along_the_worse_axis(mu, lr):
    """lr 0.3 is short, so the axis of mu is the worse one; 0.9 is long, and the axis of L = 2 is."""
    L, v, K, start = 2.0, 0.7, 6, 1.5
    eigenvalue = max((mu, L), key=lambda h: abs(1 - lr * h))
    w = noisy_runs(eigenvalue, lr, K, v, 40_000, start)[:, -1]
    limit = noisy_gradient.distance.at(L=L, mu=mu, lr=lr, v=v, K=K, R=start)
    assert abs(z_score(w**2, limit)) < 4 < abs(z_score(w**2, 1.05 * limit))


@pytest.mark.parametrize("v", [0.01, 1.0, 100.0])
def test_the_best_step_is_the_minimum_of_the_bound_over_a_grid(v):
    at = {"L": 2.0, "v": v, "K": 50, "Delta0": 3.0}
    rates = np.geomspace(1e-5, 0.999, 2001)
    means = [gradient_descent.noisy_gradient_mean.at(lr=lr, **at) for lr in rates]
    assert noisy_gradient.best_mean.at(**at) == pytest.approx(min(means), rel=1e-4)  # flat at its minimum
    assert noisy_gradient.best_step.at(**at) == pytest.approx(rates[np.argmin(means)], rel=6e-3)  # the grid's ratio
    textbook = min(1 / 2.0, math.sqrt(2 * 3.0 / (2.0 * v * 50)))
    at_textbook = gradient_descent.noisy_gradient_mean.at(lr=textbook, **at)
    assert noisy_gradient.best_mean.at(**at) <= at_textbook <= noisy_gradient.recalled_mean.at(**at)
