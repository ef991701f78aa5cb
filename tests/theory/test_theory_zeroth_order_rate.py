"""Guaranteed mean squared gradients against runs in plain numpy: equal on their extremal instances, larger elsewhere."""

import math

import numpy as np
import pytest

from sandbox.theory import zeroth_order_rate as rate

RUNS = 4000


def z_score(samples, expected=0.0):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def descend(f, grad, x, lr, steps, *, seed, n=1, noise=0.0):
    """(runs,) sums of |grad f|^2, and decreases of f, of ZO-SGD with exact slopes and Gaussian directions."""
    rng, total, start = np.random.default_rng(seed), np.zeros(len(x)), f(x)
    for _ in range(steps):
        g = grad(x)
        total += (g**2).sum(1)
        g = g + noise * rng.standard_normal(x.shape)  # the batch's gradient
        z = rng.standard_normal((len(x), n, x.shape[1]))
        x = x - lr * (np.einsum("rni,ri->rn", z, g)[..., None] * z).mean(1)
    return total, start - f(x)


@pytest.mark.parametrize(("n", "share"), [(1, 1.0), (3, 1.0), (1, 1.5)])
def test_the_isotropic_quadratic_attains_it_at_every_step_length(n, share):
    """X = sum |g|^2 - price * decrease has mean 0; at 1.2 times the price it has not."""
    d, L, K = 4, 2.0, 3
    lr = share * n / (L * (d + n + 1))
    total, fell = descend(lambda x: L * (x**2).sum(1) / 2, lambda x: L * x, np.ones((RUNS, d)), lr, K, seed=n, n=n)
    price = rate.any_step.at(d=d, n=n, L=L, lr=lr, K=K, Delta=1.0) * K
    assert abs(z_score(total - price * fell)) < 4 and abs(z_score(total - 1.2 * price * fell)) > 4
    if share == 1.0:
        assert price == pytest.approx(K * rate.best_step.at(d=d, n=n, L=L, K=K, Delta=1.0), rel=1e-14)


def test_only_curved_directions_count():
    """r = 3 curved ones of 12: the run is slower than n/(tr H + 2 L) promises for r = 2, and as fast as for r = 3."""
    L, r, K = 1.5, 3, 4
    curved = np.arange(12) < r
    lr = 1 / ((r + 2) * L)
    total, fell = descend(lambda x: L * (x**2 * curved).sum(1) / 2, lambda x: L * x * curved, np.ones((RUNS, 12)), lr, K, seed=3)
    price = rate.effective_rank.at(tr_H=r * L, L=L, n=1, K=K, Delta=1.0) * K
    assert abs(z_score(total - price * fell)) < 4
    assert rate.mezo_slowdown.at(tr_H=r * L, L=L, n=1) == pytest.approx(price / (2 * L), rel=1e-14)


def test_batch_noise_is_attained_too():
    d, L, K, s = 3, 1.0, 5, 0.7
    lr = 0.1
    total, fell = descend(lambda x: L * (x**2).sum(1) / 2, lambda x: L * x, np.ones((4 * RUNS, d)), lr, K, seed=4, noise=s)
    limit = rate.noisy_step.at(d=d, n=1, L=L, lr=lr, K=K, Delta=float(fell.mean()), variance=d * s**2)
    assert total.mean() / K == pytest.approx(limit, rel=0.05)
    assert abs(z_score(total - fell * rate.any_step.at(d=d, n=1, L=L, lr=lr, K=1, Delta=1.0))) > 4  # without the noise it fails


def test_a_nonconvex_function_stays_below():
    """f = sum 1 - cos x: L = 1, every Hessian <= I; the run is dearer nowhere, and far from tight."""
    d, K = 4, 6
    x = np.random.default_rng(5).uniform(-3, 3, (RUNS, d))
    total, fell = descend(lambda x: (1 - np.cos(x)).sum(1), np.sin, x, 1 / (d + 2), K, seed=6)
    price = rate.best_step.at(d=d, n=1, L=1.0, K=1, Delta=1.0)
    assert z_score(price * fell - total) > 4


@pytest.mark.parametrize("eps", [1e-3, 0.3])
def test_finite_eps_on_the_sphere(eps):
    """f = sum (1 - cos x) + x_0^2 / 4, central differences at a large eps; and the standstill in one dimension."""
    rng, d, K, L = np.random.default_rng(7), 5, 8, 1.5

    def f(x):
        return (1 - np.cos(x)).sum(1) + x[:, 0] ** 2 / 4

    x, total = rng.uniform(-3, 3, (RUNS, d)), np.zeros(RUNS)
    start = f(x)
    for _ in range(K):
        g = np.sin(x)
        g[:, 0] += x[:, 0] / 2
        total += (g**2).sum(1)
        z = rng.standard_normal((RUNS, d))
        z *= math.sqrt(d) / np.linalg.norm(z, axis=1, keepdims=True)
        x = x - ((f(x + eps * z) - f(x - eps * z)) / (2 * eps) / (L * d))[:, None] * z
    limit = rate.finite_eps.at(d=d, L=L, K=K, Delta=float((start - f(x)).mean()), eps=eps)
    assert total.mean() / K < limit
    assert np.mean(total) / K > limit / 20  # and the bound is no mere infinity


def test_in_one_dimension_it_stands_still_on_the_floor():
    eps, L, x = 0.4, 2.0, 0.0

    def f(x):
        return eps * L * x / 2 - L * x * abs(x) / 2

    for z in (1, -1, 1):
        x -= (f(x + eps * z) - f(x - eps * z)) / (2 * eps) * z / L
    assert x == 0.0 and (eps * L / 2) ** 2 == pytest.approx(rate.finite_eps.at(d=1, L=L, K=3, Delta=0.0, eps=eps), rel=1e-14)
