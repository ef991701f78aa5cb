"""Descent and floors of normalised steps: the bounds against recursions in numpy and Monte Carlo with its own error."""

import math

import numpy as np
import pytest

from sandbox.theory import adalomo_descent as bounds


def descend(spectrum, w, step, rho, K):
    """Mean gradient norm and decrease of the loss under steps of one length at a constant angle to the gradient, in the plane."""
    H, norms, start = np.diag(spectrum), [], w @ np.diag(spectrum) @ w / 2
    turn = np.array([[rho, -math.sqrt(1 - rho**2)], [math.sqrt(1 - rho**2), rho]])
    for _ in range(K):
        g = H @ w
        norms.append(np.linalg.norm(g))
        w = w - step * turn @ g / norms[-1]
    return np.mean(norms), start - w @ H @ w / 2


@pytest.mark.parametrize("rho", [1.0, 0.6, 0.2])
def test_descent_is_an_equality_on_the_isotropic_quadratic_and_holds_on_others(rho):
    L, step, K = 2.0, 0.05, 30
    for spectrum, attained in (((L, L), True), ((L, 0.3), False)):
        mean, decrease = descend(spectrum, np.array([1.0, 2.0]), step, rho, K)
        limit = bounds.descent.at(rho=rho, L=L, Delta0=decrease, K=K, step=step) if decrease >= 0 else None
        assert limit is not None and mean <= limit * (1 + 1e-12)
        assert not attained or mean == pytest.approx(limit, rel=1e-12)


def test_the_best_length_is_the_best_of_a_search():
    at = {"rho": 0.5, "L": 3.0, "Delta0": 2.0, "K": 50}
    searched = min(bounds.descent.at(**at, step=float(s)) for s in np.geomspace(1e-3, 1, 400))
    assert bounds.best_descent.at(**at) == pytest.approx(searched, rel=1e-4)


def stationary_loss(tau, h, sigma, V, steps=400, runs=20_000):
    """Mean of h w^2 / 2 over runs, after `steps` steps, with its standard error; V = None: the mean square of the gradients now."""
    rng, w = np.random.default_rng(1), np.zeros(runs)
    for _ in range(steps):
        g = h * w + sigma * rng.standard_normal(runs)
        w = w - tau * g / math.sqrt(np.mean(g**2) if V is None else V)
    loss = h * w**2 / 2
    return loss.mean(), loss.std(ddof=1) / math.sqrt(runs)


@pytest.mark.parametrize(("tau", "h", "sigma"), [(0.1, 1.0, 1.0), (0.5, 3.0, 1.0), (2.0, 3.0, 1.0)])
def test_the_floor_is_the_stationary_loss_where_the_second_moment_is_its_own_mean(tau, h, sigma):
    mean, error = stationary_loss(tau, h, sigma, None)
    limit = bounds.floor.at(tau=tau, h=h, sigma=sigma)
    assert abs(mean - limit) < 4 * error and error < 0.02 * limit


def test_without_noise_the_floor_is_that_of_a_sign_step_from_half_a_step():
    tau, h, w = 0.3, 5.0, 0.15
    losses = []
    for _ in range(10):
        losses.append(h * w**2 / 2)
        w = w - tau * np.sign(w)
    assert bounds.floor.at(tau=tau, h=h, sigma=0.0) == pytest.approx(np.mean(losses), rel=1e-12)


def test_the_floor_of_the_noise_alone_is_that_of_a_second_moment_frozen_there_and_lies_above():
    tau, h, sigma = 0.5, 2.0, 1.0
    mean, error = stationary_loss(tau, h, sigma, sigma**2)
    limit = bounds.noise_dominated_floor.at(tau=tau, h=h, sigma=sigma)
    assert abs(mean - limit) < 4 * error and error < 0.02 * limit
    assert limit > bounds.floor.at(tau=tau, h=h, sigma=sigma)
