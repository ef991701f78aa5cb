"""SGC's bounds against plain numpy: pursuit by least squares, optimised matrices, samples with their own standard error."""

import math
from itertools import combinations

import numpy as np
import pytest

from sandbox.theory import sparse_recovery as sgc


def z_score(samples, expected):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def pursued(A, y, s):
    """Orthogonal matching pursuit with a least squares at every round."""
    support, residual = [], y
    for _ in range(s):
        support.append(int(np.argmax(np.abs(A.T @ residual))))
        z = np.linalg.lstsq(A[:, support], y, rcond=None)[0]
        residual = y - A[:, support] @ z
    x = np.zeros(A.shape[1])
    x[support] = z
    return x


def coherence(A):
    return np.abs(A.T @ A - np.eye(A.shape[1])).max()


def near_orthogonal(rng, k, d, limit):
    """(k, d) unit columns of coherence just below the limit: the identity, leaning towards a random frame."""
    low, high, frame = 0.0, 1.0, rng.standard_normal((k, d))
    for _ in range(60):
        middle = (low + high) / 2
        A = (1 - middle) * np.eye(k, d) + middle * frame
        A /= np.linalg.norm(A, axis=0)
        low, high = (middle, high) if coherence(A) < limit else (low, middle)
    A = (1 - low) * np.eye(k, d) + low * frame
    return A / np.linalg.norm(A, axis=0)


@pytest.mark.parametrize("s", [2, 3, 4])
def test_below_the_threshold_every_sparse_vector_is_recovered(s):
    rng = np.random.default_rng(s)
    A = near_orthogonal(rng, 12, 12, sgc.coherence_threshold.at(s=s))
    assert coherence(A) < sgc.coherence_threshold.at(s=s) <= 1.0001 * coherence(A)
    for support in combinations(range(12), s):
        x = np.zeros(12)
        x[list(support)] = rng.choice([-1, 1], s) * rng.uniform(0.1, 10, s)
        assert pursued(A, A @ x, s) == pytest.approx(x, abs=1e-9)


@pytest.mark.parametrize("s", [1, 2, 3])
def test_a_simplex_at_the_threshold_is_not(s):
    d = 2 * s
    centred = np.eye(d) - 1 / d
    A = centred / np.linalg.norm(centred, axis=0)
    assert coherence(A) == pytest.approx(sgc.coherence_threshold.at(s=s), rel=1e-12)
    x = np.zeros(d)
    x[:s] = 1
    assert np.allclose(A @ x, -A @ (1 - x)) and np.linalg.matrix_rank(A) == d - 1


def test_no_matrix_has_less_coherence_than_welch_says():
    """Alternating projections towards few large inner products; the simplex has exactly the least."""
    rng = np.random.default_rng(4)
    for k, d in ((3, 7), (5, 6), (8, 20)):
        A, limit = rng.standard_normal((k, d)), sgc.least_coherence.at(k=k, d=d)
        for _ in range(300):
            A /= np.linalg.norm(A, axis=0)
            assert coherence(A) >= limit - 1e-12
            G = np.clip(A.T @ A, -limit, limit)
            np.fill_diagonal(G, 1)
            values, vectors = np.linalg.eigh(G)
            A = np.sqrt(np.maximum(values[-k:], 0))[:, None] * vectors[:, -k:].T
        A /= np.linalg.norm(A, axis=0)
        if d == k + 1:
            assert coherence(A) == pytest.approx(limit, rel=1e-3)


@pytest.mark.parametrize(("d", "s"), [(80, 4), (100, 2), (6, 3)])
def test_the_measurements_that_the_condition_needs(d, s):
    needed = sgc.coherence_measurements.at(d=d, s=s)
    least = [sgc.least_coherence.at(k=k, d=d) for k in range(1, d + 1)]
    enough = [k for k in range(1, d + 1) if least[k - 1] < sgc.coherence_threshold.at(s=s) * (1 - 1e-12)]
    assert enough[0] - 1 <= needed + 1e-9 < enough[0]


@pytest.mark.parametrize("spread", [0.0, 1.5])
def test_the_variance_of_a_measured_energy(spread):
    """Columns uniform on the sphere; 4 sigma for mean and variance, and a variance 10 % off is told apart."""
    rng, k, d, n = np.random.default_rng(5), 5, 8, 40_000
    x = np.exp(spread * rng.standard_normal(d))
    x /= np.linalg.norm(x)
    A = rng.standard_normal((n, k, d))
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    energy = ((A @ x) ** 2).sum(1)
    limit = sgc.energy_spread.at(k=k, kappa=float((x**4).sum()))
    assert abs(z_score(energy, 1.0)) < 4
    assert abs(z_score((energy - 1) ** 2, limit)) < 4 < abs(z_score((energy - 1) ** 2, 1.15 * limit))


def top(g, s):
    chosen = np.argsort(-np.abs(g), -1)[..., :s]
    kept = np.zeros_like(g)
    np.put_along_axis(kept, chosen, np.take_along_axis(g, chosen, -1), -1)
    return kept


def test_the_share_of_the_largest_entries():
    rng, d, s = np.random.default_rng(6), 12, 3
    g = rng.standard_t(2, (5000, d))
    shares = (top(g, s) ** 2).sum(1) / (g**2).sum(1)
    limit = sgc.largest_share.at(s=s, d=d)
    assert shares.min() >= limit
    equal = rng.choice([-1.0, 1.0], d)
    assert (top(equal, s) ** 2).sum() / d == pytest.approx(limit, rel=1e-13)


@pytest.mark.parametrize("tau", [0.5, 1.5, 2.5])
def test_the_energy_of_gaussian_entries_above_a_threshold(tau):
    g = np.random.default_rng(7).standard_normal(400_000)
    above = np.abs(g) > tau
    assert abs(z_score(above, sgc.gaussian_count.at(tau=tau))) < 4
    assert abs(z_score(above * g**2, sgc.gaussian_share.at(tau=tau))) < 4


def test_gradient_descent_on_the_largest_entries_obeys_its_sum_and_attains_it():
    rng, d, s, lr = np.random.default_rng(8), 10, 3, 0.4
    limit = sgc.gradient_sum.at(d=d, s=s, lr=lr, L=1.0)
    for start, steps in ((np.ones(d), 1), (rng.standard_normal(d), 30)):
        h = np.ones(d) if steps == 1 else rng.uniform(-0.2, 1, d)
        w, gradients = start.copy(), 0.0
        for _ in range(steps):
            gradients += ((h * w) ** 2).sum()
            w = w - lr * top(h * w, s)
        ratio = gradients / ((h * start**2 - h * w**2).sum() / 2)
        assert ratio <= limit * (1 + 1e-12)
        assert (ratio == pytest.approx(limit, rel=1e-12)) == (steps == 1)


def test_noise_above_the_signal_stops_the_largest_entries():
    rng, w = np.random.default_rng(9), np.array([0.7, -0.7, 0.7, 0.0, 0.0])
    start = w.copy()
    for _ in range(50):
        g = np.concatenate([w[:3], rng.choice([-1.0, 1.0], 2)])
        w = w - 0.3 * top(g, 2)
    assert (w[:3] == start[:3]).all()
    assert (w[:3] ** 2).sum() == pytest.approx(sgc.noise_stall.at(signals=3, a=0.7, sigma=1.0), rel=1e-13)


@pytest.mark.parametrize(("b1", "churn"), [(0.9, 0.1), (0.8, 0.4), (0.9, 1.0)])
def test_the_energy_of_an_average_outside_of_the_support(b1, churn):
    """Slots that change their entry with probability `churn`; values are drawn anew for each entry. 4 sigma of outside - share all."""
    rng, slots, steps = np.random.default_rng(10), 20_000, 80
    now, outside = np.zeros(slots), np.zeros(slots)  # first moment of the entry that is in, energy of those that left
    value = rng.standard_normal(slots)
    for _ in range(steps):
        leaves = rng.random(slots) < churn
        outside = b1**2 * (outside + leaves * now**2)
        value = np.where(leaves, rng.standard_normal(slots), value)
        now = b1 * np.where(leaves, 0.0, now) + (1 - b1) * value
    share = sgc.momentum_outside.at(b1=b1, churn=churn)
    difference = outside - share * (outside + now**2)
    assert abs(z_score(difference, 0)) < 4 < abs(z_score(outside - 1.1 * share * (outside + now**2), 0))


def test_no_sparse_vector_is_near_an_average_of_new_supports():
    b1, s, steps = 0.9, 4, 60
    m = np.zeros(s * steps)
    for j in range(steps):
        m *= b1
        m[s * j : s * (j + 1)] += 1 - b1
    error = ((m - top(m, s)) ** 2).sum() / (m**2).sum()
    limit = sgc.momentum_floor.at(b1=b1)
    assert error == pytest.approx(limit, rel=2 * b1 ** (2 * steps) / b1**2)  # the supports before the first one
