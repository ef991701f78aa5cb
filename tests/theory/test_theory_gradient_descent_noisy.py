"""Noisy, clipped and normalised steps, against Monte Carlo with its own standard error and against minimisation on a grid."""

import math

import numpy as np
import pytest

from sandbox.theory import gradient_descent, noisy_gradient, normalised


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
    rates = np.geomspace(1e-3, 0.999, 121)
    means = [gradient_descent.noisy_gradient_mean.at(lr=lr, **at) for lr in rates]
    assert noisy_gradient.best_mean.at(**at) == pytest.approx(min(means), rel=4e-3)  # flat at its minimum
    assert noisy_gradient.best_step.at(**at) == pytest.approx(rates[np.argmin(means)], rel=6e-2)  # the ratio of the grid
    textbook = min(1 / 2.0, math.sqrt(2 * 3.0 / (2.0 * v * 50)))
    at_textbook = gradient_descent.noisy_gradient_mean.at(lr=textbook, **at)
    assert noisy_gradient.best_mean.at(**at) <= at_textbook <= noisy_gradient.recalled_mean.at(**at)


def waves(w):
    """f'' = (cos w + 3 cos 3 w) / 4 lies in [-1, 1]: nonconvex, L = 1; (loss, gradient)."""
    return -np.cos(w) / 4 - np.cos(3 * w) / 12, np.sin(w) / 4 + np.sin(3 * w) / 4


@pytest.mark.parametrize(("t", "c"), [(0.5, 0.1), (1.5, 0.3)])
def test_clipped_steps_on_waves_and_on_a_quadratic_that_is_not_clipped(t, c):
    w, K = np.random.default_rng(41).uniform(-4, 4, 40), 12
    start, total, norms = w, 0.0, []
    for _ in range(K):
        g = waves(w)[1]
        total += np.minimum(g**2, c * np.abs(g))
        norms.append(np.abs(g))
        w = w - t * np.clip(g, -c, c)
    decrease = waves(start)[0] - waves(w)[0]
    limit = normalised.clipped_sum.at(L=1.0, lr=t, c=c)
    assert (total / decrease).max() <= limit
    gap = waves(start)[0] + 1 / 3  # the least value is at most that far down
    assert all(
        least <= normalised.clipped_min.at(L=1.0, lr=t, c=c, K=K, Delta0=one)
        for least, one in zip(np.min(norms, 0)[:8], gap[:8], strict=True)
    )
    assert limit * (c**2 - (c * (1 - t)) ** 2) / 2 == pytest.approx(c**2, rel=1e-12)  # w^2 / 2 from w = c


def test_the_clipping_centre_is_the_mean_of_clipped_runs_and_unclipped_ones_stay_at_zero():
    p, A, c, lr, n = 0.05, 20.0, 1.0, 0.02, 4000
    rng, clipped, free = np.random.default_rng(42), np.ones(n), np.zeros(n)
    for _ in range(1500):  # exp(-0.95 lr 1500) = 4e-13 of the start is left
        noise = np.where(rng.random(n) < p, A, -A * p / (1 - p))
        clipped = clipped - lr * np.clip(clipped + noise, -c, c)
        free = free - lr * (free + noise)
    limit = normalised.clipping_centre.at(p=p, A=A, c=c)
    assert limit == pytest.approx(1.0, rel=1e-12)
    assert abs(z_score(clipped, limit)) < 4 and abs(z_score(free, 0.0)) < 4


def test_normalised_steps_on_waves_and_the_oscillation():
    w, gamma, K = np.random.default_rng(43).uniform(-4, 4, 40), 0.05, 40
    start, norms = w, []
    for _ in range(K):
        g = waves(w)[1]
        norms.append(np.abs(g))
        w = w - gamma * np.sign(g)
    decrease = waves(start)[0] - waves(w)[0]
    limits = [normalised.normalised_mean.at(L=1.0, gamma=gamma, K=K, decrease=one) for one in decrease]
    assert (np.mean(norms, 0) <= limits).all()
    assert np.min(norms, 0).max() <= max(limits)
    L, w = 3.0, gamma / 2
    for _ in range(5):
        assert abs(L * w) == pytest.approx(normalised.normalised_floor.at(L=L, gamma=gamma), rel=1e-12)
        w -= gamma * math.copysign(1, w)


def test_the_best_step_length_is_the_minimum_over_a_grid():
    at = {"L": 3.0, "K": 20, "Delta0": 0.7}
    lengths = np.geomspace(0.05, 0.5, 121)
    means = [normalised.normalised_mean.at(L=3.0, K=20, decrease=0.7, gamma=length) for length in lengths]
    assert normalised.normalised_best_mean.at(**at) == pytest.approx(min(means), rel=4e-4)
    assert normalised.normalised_best_step.at(**at) == pytest.approx(lengths[np.argmin(means)], rel=2e-2)  # the ratio of the grid


def test_the_usual_clipping_constant_is_twice_as_large_for_short_steps():
    ratio = [normalised.recalled_clipped_sum.at(L=1.0, lr=t, c=1.0) / normalised.clipped_sum.at(L=1.0, lr=t, c=1.0) for t in (1e-6, 1.0)]
    assert ratio == pytest.approx([2.0, 1.0], rel=1e-5)
