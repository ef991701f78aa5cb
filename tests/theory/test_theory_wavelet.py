"""The Haar and GWT laws against plain numpy: means of blocks, averages of noise, runs; Monte Carlo with its own standard error."""

import math

import numpy as np
import pytest

from sandbox.theory import wavelet


def z_score(samples, expected):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def block_means(x, N):
    """x (..., n) with every block of N replaced by its mean."""
    blocks = x.reshape(*x.shape[:-1], -1, N)
    return np.broadcast_to(blocks.mean(-1, keepdims=True), blocks.shape).reshape(x.shape)


def haar_matrix(level):
    """Kronecker construction: no pairs, no code of the project."""
    H = np.eye(1)
    for _ in range(level):
        H = np.vstack([np.kron(H, [1, 1]), np.kron(np.eye(len(H)), [1, -1])]) / math.sqrt(2)
    return H


@pytest.mark.parametrize("level", [1, 2, 4])
def test_the_energy_is_kept_and_the_first_row_is_the_mean(level):
    H, x = haar_matrix(level), np.random.default_rng(1).standard_normal(2**level)
    assert ((H @ x) ** 2).sum() / (x**2).sum() == pytest.approx(wavelet.energy.at(), rel=1e-13)
    assert (H @ x)[0] == pytest.approx(x.sum() / 2 ** (level / 2), rel=1e-13)


@pytest.mark.parametrize(("level", "rho"), [(1, -0.4), (2, 0.3), (3, 0.0)])
def test_the_share_and_the_error_of_equicorrelated_entries(level, rho):
    """Energy of the means less share times the energy has mean 0; 4 sigma, and 5 % are told apart."""
    rng, N = np.random.default_rng(2), 2**level
    root = np.linalg.cholesky((1 - rho) * np.eye(N) + rho)
    x = rng.standard_normal((40_000, N)) @ root.T
    kept, all_of_it = (block_means(x, N) ** 2).sum(1), (x**2).sum(1)
    share, lost = (one.at(level=level, rho=rho) for one in (wavelet.approximation_share, wavelet.dropped_error))
    assert abs(z_score(kept - share * all_of_it, 0)) < 4 < abs(z_score(kept - 1.05 * share * all_of_it, 0))
    assert abs(z_score(((x - block_means(x, N)) ** 2).sum(1) - lost * all_of_it, 0)) < 4


@pytest.mark.parametrize(("level", "phi"), [(1, 0.9), (3, 0.7), (2, -0.5)])
def test_the_share_of_an_autoregressive_row(level, phi):
    rng, N = np.random.default_rng(3), 2**level
    x = rng.standard_normal((40_000, N))
    for j in range(1, N):
        x[:, j] = phi * x[:, j - 1] + math.sqrt(1 - phi**2) * x[:, j]
    share = wavelet.ar1_share.at(level=level, phi=phi)
    kept, all_of_it = (block_means(x, N) ** 2).sum(1), (x**2).sum(1)
    assert abs(z_score(kept - share * all_of_it, 0)) < 4 < abs(z_score(kept - 1.05 * share * all_of_it, 0))


@pytest.mark.parametrize(("level", "n"), [(1, 6), (2, 12)])
def test_the_share_of_rows_that_sum_to_zero_over_random_orders(level, n):
    rng = np.random.default_rng(6)
    x = rng.standard_t(3, n)
    x -= x.mean()
    shuffled = rng.permuted(np.tile(x, (20_000, 1)), axis=1)
    shares = (block_means(shuffled, 2**level) ** 2).sum(1) / (x @ x)
    limit = wavelet.centred_share.at(level=level, n=n)
    assert abs(z_score(shares, limit)) < 4 < abs(z_score(shares, 2.0**-level))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_no_row_with_small_differences_loses_more_than_a_ramp(level):
    """The loss is convex in the differences, so its maximum is at differences of +-delta: all of them are tried."""
    N, delta = 2**level, 0.3
    signs = np.array([[1 if k >> j & 1 else -1 for j in range(N - 1)] for k in range(2 ** (N - 1))])
    x = np.concatenate([np.zeros((len(signs), 1)), delta * signs.cumsum(1)], 1)
    worst = ((x - block_means(x, N)) ** 2).mean(1).max()
    assert wavelet.dropped_ramp.at(level=level, delta=delta) == pytest.approx(worst, rel=1e-12)


def test_a_run_without_details_ends_at_the_details_of_its_start():
    rng, level, rho = np.random.default_rng(4), 2, 0.5
    N = 2**level
    x = rng.standard_normal((4000, N)) @ np.linalg.cholesky((1 - rho) * np.eye(N) + rho).T
    start = (x**2).sum(1)
    for _ in range(200):
        x -= 0.3 * block_means(x, N)
    limit = wavelet.frozen_loss.at(level=level, rho=rho)
    assert abs(z_score((x**2).sum(1) - limit * start, 0)) < 4 < abs(z_score((x**2).sum(1) - 1.1 * limit * start, 0))


@pytest.mark.parametrize(("level", "t"), [(2, 1), (2, 5), (1, 60)])
def test_the_size_of_a_step_on_white_noise_with_a_known_second_moment(level, t):
    """Coefficients of white noise are white noise: one is averaged, N - 1 are raw, all divided by 1 and by 1 - b1^t."""
    rng, N, b1 = np.random.default_rng(5), 2**level, 0.9
    m = np.zeros(20_000)
    for _ in range(t):
        coefficients = rng.standard_normal((20_000, N))
        m = b1 * m + (1 - b1) * coefficients[:, 0]
    square = (m**2 + (coefficients[:, 1:] ** 2).sum(1)) / N / (1 - b1**t) ** 2
    limit = wavelet.step_rms.at(level=level, b1=b1, t=t)
    assert abs(z_score(square, limit**2)) < 4 < abs(z_score(square, 1.06 * limit**2))


@pytest.mark.parametrize(("level", "published"), [(1, 0.316), (2, 0.263), (3, 0.244), (4, 0.237)])
def test_the_scale_that_restores_adam(level, published):
    b1 = 0.9
    late, adam = (wavelet.step_rms.at(level=level, b1=b1, t=500), math.sqrt((1 - b1) / (1 + b1)))
    assert wavelet.restoring_scale.at(level=level, b1=b1) == pytest.approx(adam / late, rel=1e-12)
    assert wavelet.restoring_scale.at(level=level, b1=b1) == pytest.approx(published, abs=5e-4)


def test_the_details_of_a_step_of_adam_that_averages_the_approximation_alone():
    """Adam in plain numbers on one pair, five steps; A of constant size, so that the corrected root of v is |A|."""
    b1, b2, A, D = 0.8, 0.99, 0.1, 2.0
    m = v = 0.0
    for t in range(1, 6):
        m, v = b1 * m + (1 - b1) * A, b2 * v + (1 - b2) * A**2
        correction = math.sqrt(1 - b2**t) / (1 - b1**t)
        detail = correction * D / math.sqrt(v)
        assert detail / (D / A) == pytest.approx(wavelet.detail_amplification.at(b1=b1, t=t), rel=1e-12)
        if t == 1:
            assert detail == pytest.approx(wavelet.first_detail.at(b1=b1, imbalance=A / D), rel=1e-12)
