"""Stability edges against the spectral radius of the second-moment recursion written out by hand, and against sampled runs."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from sandbox.theory import zeroth_order_edge as edge

SPECTRA = {
    "flat": np.ones(7),
    "harmonic": 1 / np.arange(1.0, 41),
    "spike": np.array([1.0] + [1e-3] * 60),
    "with zeros": np.array([2.0] * 5 + [0.0] * 5),
}


def gaussian(n):
    return (n + 1) / n, 1 / n


def on_the_sphere(n, d):
    return 1 - 1 / n + 2 * d / (n * (d + 2)), d / (n * (d + 2))


def matrix(lam, lr, moments, beta=0.0):
    """The linear map of (E x_i^2, E x_i m_i, E m_i^2), all i: the gradient is lam_i x_i, and E ghat_i^2 = alpha g_i^2 + gamma |g|^2."""
    (alpha, gamma), k = moments, len(lam)
    M = np.zeros((3 * k, 3 * k))
    for i in range(k):
        mm = np.zeros(3 * k)
        mm[3 * i : 3 * i + 3] = alpha * lam[i] ** 2, 2 * beta * lam[i], beta**2
        mm[::3] += gamma * lam**2
        cross = np.zeros(3 * k)
        cross[3 * i : 3 * i + 2] = lam[i], beta
        xx = np.zeros(3 * k)
        xx[3 * i] = 1
        M[3 * i : 3 * i + 3] = xx - 2 * lr * cross + lr**2 * mm, cross - lr * mm, mm
    return M


def radius(lam, lr, moments, beta=0.0):
    lam = lam[lam > 0]
    return np.abs(np.linalg.eigvals(matrix(lam, lr, moments, beta))).max()


def edge_of(lam, moments, beta=0.0):
    return brentq(lambda lr: radius(lam, lr, moments, beta) - 1, 1e-3 / lam.sum(), 4 / lam.max(), xtol=1e-14)


def load(lam, lr, moments, beta=0.0):
    alpha, gamma = moments
    constants = {"lr": lr, "alpha": alpha, "gamma": gamma, "beta": beta}
    return sum(float(edge.load_term.subs({getattr(edge, k): v for k, v in constants.items()} | {edge.lam: x})) for x in lam if x > 0)


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_edge_lies_between_its_bounds(name, n):
    lam = SPECTRA[name]
    found = edge_of(lam, gaussian(n))
    at = {"n": n, "tr_H": lam.sum()}
    lowest = edge.least_edge.at(L=lam.max(), **at)
    assert lowest * (1 - 1e-9) <= found <= edge.largest_edge.at(L=lam.max(), **at)
    assert (found == pytest.approx(lowest, rel=1e-9)) == (name in ("flat", "with zeros"))


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", SPECTRA)
def test_the_load_is_one_at_the_edge(name, beta):
    lam = SPECTRA[name]
    assert load(lam, edge_of(lam, gaussian(1), beta), gaussian(1), beta) == pytest.approx(1.0, rel=1e-7)


@pytest.mark.parametrize(("n", "d"), [(1, 7), (3, 7), (1, 2)])
def test_isotropic_edges(n, d):
    lam = np.full(d, 2.5)
    assert edge_of(lam, gaussian(n)) == pytest.approx(edge.isotropic_edge.at(d=d, n=n, L=2.5), rel=1e-9)
    assert edge_of(lam, on_the_sphere(n, d)) == pytest.approx(edge.sphere_isotropic_edge.at(d=d, n=n, L=2.5), rel=1e-9)
    rates = [radius(lam, lr, gaussian(n)) for lr in np.linspace(0, 2 / 2.5, 2001)]
    assert min(rates) == pytest.approx(edge.best_isotropic_factor.at(d=d, n=n), abs=1e-5)


@pytest.mark.parametrize(("beta", "n"), [(0.0, 1), (0.5, 1), (0.9, 3), (0.99, 1)])
def test_isotropic_edge_with_momentum(beta, n):
    lam = np.full(6, 1.5)
    assert edge_of(lam, gaussian(n), beta) == pytest.approx(edge.momentum_edge.at(beta=beta, d=6, n=n, L=1.5), rel=1e-8)


@pytest.mark.parametrize("beta", [0.0, 0.8])
def test_the_squared_gradients_of_all_steps_sum_to_the_potential(beta):
    lam, x2 = SPECTRA["harmonic"], np.linspace(0.5, 2.0, 40)
    lr = 0.4 * edge_of(lam, gaussian(1), beta)
    state, total = np.zeros(120), 0.0
    state[::3] = x2
    M = matrix(lam, lr, gaussian(1), beta)
    total = lam**2 @ np.linalg.solve(np.eye(120) - M, state)[::3]  # the geometric series of the recursion
    weights = [float(edge.position_weight.subs({edge.lam: x, edge.lr: lr, edge.beta: beta, edge.alpha: 2})) for x in lam]
    per_potential = edge.gradient_per_potential.at(load=load(lam, lr, gaussian(1), beta))
    assert per_potential * np.dot(weights, x2) == pytest.approx(total, rel=1e-10)


@pytest.mark.parametrize(("beta", "n"), [(0.0, 1), (0.0, 3), (0.7, 1)])
def test_noisy_slopes_leave_the_floor(beta, n):
    lam, v = SPECTRA["harmonic"], 0.3
    lr = 0.5 * edge_of(lam, gaussian(n), beta)
    source = np.tile([lr**2, -lr, 1.0], 40) * v / n
    stationary = np.linalg.solve(np.eye(120) - matrix(lam, lr, gaussian(n), beta), source)
    at = {"slope_variance": v, "load": load(lam, lr, gaussian(n), beta)}
    assert edge.noise_floor.at(**at) == pytest.approx(lam**2 @ stationary[::3], rel=1e-10)


def test_sampled_steps_follow_the_recursion():
    """One step with momentum from a fixed state, 4e4 draws: the means of x^2, x m, m^2, 4 sigma each."""
    rng, lam, lr, beta = np.random.default_rng(1), np.array([1.0, 0.3, 0.1]), 0.3, 0.6
    x, m = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, -1.0])
    z = rng.standard_normal((40_000, 2, 3))
    ghat = ((z @ (lam * x))[..., None] * z).mean(1)
    m1 = beta * m + ghat
    x1 = x - lr * m1
    expected = matrix(lam, lr, gaussian(2), beta) @ np.stack([x**2, x * m, m**2], 1).ravel()
    for samples, number in zip(itertools.chain(*zip((x1**2).T, (x1 * m1).T, (m1**2).T, strict=True)), expected, strict=True):
        assert abs(samples.mean() - number) < 4 * samples.std() / math.sqrt(len(samples))


def test_on_the_sphere_every_step_contracts_below_the_edge_and_grows_above():
    rng, d = np.random.default_rng(2), 5
    z = rng.standard_normal((1000, d))
    z *= math.sqrt(d) / np.linalg.norm(z, axis=1, keepdims=True)
    x = rng.standard_normal(d)
    limit = edge.sphere_isotropic_edge.at(d=d, n=1, L=1.0)
    grown = [np.linalg.norm(x - lr * (z @ x)[:, None] * z, axis=1) - np.linalg.norm(x) for lr in (0.99 * limit, 1.01 * limit)]
    assert (grown[0] < 0).all() and (grown[1] > 0).all()
