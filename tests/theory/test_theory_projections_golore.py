"""GoLore's counterexample in plain numpy: matrices, singular vectors and draws, no formula; Monte Carlo with its own standard error."""

import math

import numpy as np
import pytest

from sandbox.theory import projections_golore as golore

SIGMA = 1.3


def z_score(samples, expected):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def noisy(X, xi, r):
    """The stochastic gradient: X on top, xi sigma I_r in the corner; X (runs, n, n), xi (runs,)."""
    G = X.copy()
    G[:, -r:] = 0
    G[:, -r:, -r:] = xi[:, None, None] * SIGMA * np.eye(r)
    return G


def energy(X, r):
    return (X[:, :-r] ** 2).sum((1, 2))


def started(runs, n, r, s):
    X = np.zeros((runs, n, n))
    X[:, : n - r, : n - r] = s * np.eye(n - r)
    return X


def test_a_basis_of_singular_vectors_never_moves_the_signal():
    rng, (n, r) = np.random.default_rng(1), (7, 3)
    X = started(4, n, r, 0.9)
    for _ in range(20):
        G = noisy(X, rng.choice([-1.0, 1.0], 4), r)
        U = np.linalg.svd(G)[0][:, :, :r]
        X -= 0.3 * U @ (U.swapaxes(1, 2) @ G)
    assert energy(X, r) == pytest.approx(golore.galore_stall.at(n=n, r=r, s=0.9, sigma=SIGMA), rel=1e-12)


@pytest.mark.parametrize(("n", "r", "lr"), [(6, 2, 0.3), (5, 4, 0.2)])
def test_one_random_step_from_anywhere_and_its_plateau(n, r, lr):
    """E|X+|^2 = floor + factor (|X|^2 - floor) for an arbitrary X; the run can tell 3 % apart in either number."""
    rng, runs = np.random.default_rng(2), 60_000
    X = np.broadcast_to(rng.standard_normal((n, n)), (runs, n, n)).copy()
    before = energy(X, r)[0]
    Q = np.linalg.qr(rng.standard_normal((runs, n, r)))[0]
    G = noisy(X, rng.choice([-1.0, 1.0], runs), r)
    after = energy(X - lr * Q @ (Q.swapaxes(1, 2) @ G), r)
    floor = golore.golore_floor.at(n=n, r=r, lr=lr, sigma=SIGMA)
    factor = golore.golore_factor.at(n=n, r=r, lr=lr)
    assert abs(z_score(after, floor + factor * (before - floor))) < 4
    assert abs(z_score(after, floor + 1.03 * factor * (before - floor))) > 4


def test_the_plateau_by_itself():
    rng, (n, r, lr, runs) = np.random.default_rng(3), (6, 2, 0.3, 3000)
    X = started(runs, n, r, 0.1)
    kept = np.zeros(runs)
    for k in range(150):
        Q = np.linalg.qr(rng.standard_normal((runs, n, r)))[0]
        X -= lr * Q @ (Q.swapaxes(1, 2) @ noisy(X, rng.choice([-1.0, 1.0], runs), r))
        kept += energy(X, r) * (k >= 75)
    floor = golore.golore_floor.at(n=n, r=r, lr=lr, sigma=SIGMA)
    assert abs(z_score(kept / 75, floor)) < 4 and abs(z_score(kept / 75, 1.05 * floor)) > 4
    small = golore.golore_small_floor.at(n=n, r=r, lr=lr, sigma=SIGMA)
    assert small < floor and abs(z_score(kept / 75, small)) > 4


def inverse_by_importance(rng, runs, signals, r, move, K, s):
    """(runs, signals) values of 1/s after K refreshes: r of signals + r directions, one after the other, by weight."""
    values = np.full((runs, signals), s)
    for _ in range(K):
        weights = np.concatenate([values, np.full((runs, r), SIGMA)], 1)
        chosen = np.argsort(rng.exponential(size=weights.shape) / weights, 1)[:, :r]
        hit = (chosen[:, :, None] == np.arange(signals)).any(1)
        values = np.where(hit, (1 - move) * values, values)
    return 1 / values


def test_importance_sampling_grows_no_faster_than_the_harmonic_number_says():
    rng, (n, r, move) = np.random.default_rng(4), (10, 4, 0.5)
    limit = golore.i3s_growth.at(r=r, move=move, sigma=SIGMA)
    late = inverse_by_importance(rng, 20_000, n - r, r, move, 1, 1e-3).mean(1) - 1e3
    assert abs(z_score(late, limit)) < 4  # approached: the ratio s/sigma is 1e-3, so the excess is below 0.2 % of it
    early = inverse_by_importance(rng, 4000, n - r, r, move, 40, 0.5)
    assert z_score((early.mean(1) - 2) / 40, limit) < 0
    square = (early**-2).sum(1)
    assert z_score(square, golore.i3s_gradient.at(n=n, r=r, s=0.5, move=move, sigma=SIGMA, K=40)) > 0


def test_normal_noise_grows_no_faster_than_its_density_at_zero_says():
    rng, (n, r, move) = np.random.default_rng(5), (10, 4, 0.1)
    limit = golore.galore_normal_growth.at(n=n, r=r, move=move, sigma=SIGMA)
    for s, runs, near in ((1e-2, 400_000, True), (0.8, 60_000, False)):
        covered = np.abs(rng.standard_normal(runs)) * SIGMA > s  # all n - r values are equal: r move, or none
        growth = np.where(covered, 0.0, r / (n - r) * (1 / ((1 - move) * s) - 1 / s))
        assert z_score(growth, limit) < 4 and (abs(z_score(growth, limit)) < 4) == near
