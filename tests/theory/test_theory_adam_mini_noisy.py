"""Noisy block-normalised descent, against runs in plain numpy that know no formula."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from sandbox.theory import adam_mini_noisy, adam_mini_steps
from sandbox.theory.base import OutOfScope

D, L = 3, np.array([1.0, 8.0])  # two blocks of three entries with the curvatures L
SIZE = float(D * L.sum())


def weighted(blocks):
    """sum_b sqrt(d_b) |x_b| of (..., 2, 3)."""
    return math.sqrt(D) * np.linalg.norm(blocks, axis=-1).sum(-1)


def mean_norm(lr, T, sigma, beta=0.0, runs=400):
    """Mean over steps and runs of N(g), its standard error, and Delta, on sum_b L_b |w_b|^2 / 2 from one start."""
    rng = np.random.default_rng(0)
    w = np.ones((runs, 2, D))
    gap, total, m = (L[:, None] * w[0] ** 2).sum() / 2, np.zeros(runs), None
    for _ in range(T):
        g = L[:, None] * w
        total += weighted(g)
        G = g + sigma * rng.standard_normal(w.shape)
        m = G if m is None else beta * m + (1 - beta) * G
        w = w - lr * math.sqrt(D) * m / np.linalg.norm(m, axis=-1, keepdims=True)
    return total.mean() / T, total.std() / T / math.sqrt(runs), gap


def noise_of(sigma):
    """Both blocks: sqrt(3) sigma E |N(0, I_3)|, and with the root of the mean square."""
    return 2 * math.sqrt(3) * sigma * 2 * math.sqrt(2 / math.pi), 2 * math.sqrt(3) * sigma * math.sqrt(3)


@pytest.mark.parametrize(("lr", "T", "sigma"), [(0.02, 50, 3.0), (0.1, 200, 0.3), (0.05, 20, 10.0)])
def test_adam_mini_without_memory_stays_below_the_bound(lr, T, sigma):
    seen, error, gap = mean_norm(lr, T, sigma)
    noise, _ = noise_of(sigma)
    bound = adam_mini_noisy.unbiased_mean.at(Delta=gap, T=T, lr=lr, size=SIZE, noise=noise)
    assert seen + 4 * error < bound
    assert bound - noise == pytest.approx(adam_mini_steps.normalised_mean.at(Delta=gap, T=T, lr=lr, size=SIZE), rel=1e-12)


@pytest.mark.parametrize("beta", [0.5, 0.95])
def test_the_average_stays_below_its_bound(beta):
    lr, T, sigma = 0.01, 400, 5.0
    seen, error, gap = mean_norm(lr, T, sigma, beta)
    bound = adam_mini_noisy.averaged_mean.at(Delta=gap, T=T, lr=lr, size=SIZE, spread=noise_of(sigma)[1], beta=beta)
    assert seen + 4 * error < bound


def test_the_average_without_memory_on_a_run_without_noise_is_an_equality():
    """One block, met after T steps of lr sqrt d: the mean of N is Delta / (lr T) + lr size / 2."""
    lr, T, top = 0.1, 8, 3.0
    w = np.full(D, lr * T)
    gap, total = top * (w @ w) / 2, 0.0
    for _ in range(T):
        g = top * w
        total += math.sqrt(D) * np.linalg.norm(g)
        w = w - lr * math.sqrt(D) * g / np.linalg.norm(g)
    limits = {"Delta": gap, "T": T, "lr": lr, "size": D * top}
    assert adam_mini_noisy.averaged_mean.at(**limits, spread=0.0, beta=0.0) == pytest.approx(total / T, rel=1e-12)
    assert adam_mini_noisy.unbiased_mean.at(**limits, noise=0.0) == pytest.approx(total / T, rel=1e-12)


@pytest.mark.parametrize("T", [2_000, 500_000])
def test_the_fourth_root_is_above_the_bound_at_its_own_rate_and_below_twice_the_best(T):
    """lr and beta by numbers; the closed form gives away 2/(2 - alpha) and the like, less than a factor of 2."""
    gap, spread = 7.0, 40.0

    def bound(at):
        lr, one_minus_beta = np.exp(at)
        if one_minus_beta > 1:
            return math.inf
        return adam_mini_noisy.averaged_mean.at(Delta=gap, T=T, lr=lr, size=SIZE, spread=spread, beta=1 - one_minus_beta)

    alpha = math.sqrt(2 * gap * SIZE / T) / spread
    own = np.log([math.sqrt(gap * alpha / (2 * SIZE * T)), alpha])
    best = minimize(bound, own, method="Nelder-Mead").fun
    closed = adam_mini_noisy.averaged_best.at(Delta=gap, T=T, size=SIZE, spread=spread)
    assert best <= bound(own) <= closed < 2 * best


def test_the_drift_and_the_noise_of_the_average_by_their_recursions():
    """Twice what an error e <- beta (e + lr size) and a variance v <- beta^2 v + (1 - beta)^2 settle at, for a long run."""
    lr, beta, spread, drift, variance = 0.02, 0.9, 3.0, 0.0, 0.0
    for _ in range(2000):
        drift, variance = beta * (drift + lr * SIZE), beta**2 * variance + (1 - beta) ** 2
    fixed = {"Delta": 5.0, "T": 10**12, "lr": lr, "size": SIZE}
    expected = adam_mini_steps.normalised_mean.at(**fixed) + 2 * (drift + spread * math.sqrt(variance))
    assert adam_mini_noisy.averaged_mean.at(**fixed, spread=spread, beta=beta) == pytest.approx(expected, rel=1e-9)


def test_two_point_noise_needs_the_whole_coefficient_and_biased_noise_twice_it():
    """|G| - <g, G/|G|> against |xi| in one dimension, g = 1: means over draws of the two laws of the proof."""
    rng, eps = np.random.default_rng(1), 1e-3
    flipped = rng.random(1_000_000) < 0.5
    unbiased = np.where(flipped, -eps, 2 + eps)
    assert abs(unbiased.mean() - 1) < 4 * unbiased.std() / 1000
    lost, size = 1 - np.sign(unbiased).mean(), np.abs(unbiased - 1).mean()
    assert lost == pytest.approx(size, rel=5e-3)  # 4 standard errors, and eps
    biased = np.where(flipped, -eps, 1.0)
    assert 1 - np.sign(biased).mean() == pytest.approx(2 * np.abs(biased - 1).mean(), rel=5e-3)


def test_little_noise_is_out_of_the_scope_of_the_fourth_root():
    with pytest.raises(OutOfScope):
        adam_mini_noisy.averaged_best.at(Delta=2.0, T=4, size=2.0, spread=1.0)
