"""What factoring costs and saves: the closed forms against Gaussian matrices, weights written out, and optimised matrices."""

import math

import numpy as np
import pytest
from scipy.special import rel_entr

from sandbox.theory import factorisation, factorisation_noise


def averaged(rng, N, m, n, runs, truth=1.0):
    return truth * (rng.standard_normal((runs, N, m, n)) ** 2).mean(1)


def factored(V):
    return V.sum(2, keepdims=True) * V.sum(1, keepdims=True) / V.sum((1, 2), keepdims=True)


def losses(V):
    V1 = factored(V)
    return (rel_entr(V, V1) - V + V1).sum((1, 2))


def standard_error(x):
    return np.std(x, ddof=1) / math.sqrt(len(x))


@pytest.mark.parametrize(("N", "m", "n"), [(1, 2, 2), (2, 3, 5), (4, 6, 2)])
def test_the_loss_of_a_size_is_exact_for_equal_truth(N, m, n):
    D = losses(averaged(np.random.default_rng(1), N, m, n, 20_000))
    limit = factorisation_noise.loss_of_size.at(N=N, m=m, n=n)
    assert abs(D.mean() / (m * n) - limit) < 4 * standard_error(D) / (m * n)
    assert 4 * standard_error(D) / (m * n) < 0.05 * limit  # so that 5 % would be seen


def test_the_loss_of_an_unequal_truth_is_below_the_sampling_error_and_that_is_the_limit_of_large_sizes():
    rng, N = np.random.default_rng(2), 2
    truth = np.outer([1.0, 5.0, 0.2], [3.0, 0.1, 1.0, 1.0])
    D = losses(averaged(rng, N, 3, 4, 20_000, truth)) / truth.sum()
    limit = factorisation.sampling_error.at(N=N)
    assert D.mean() + 4 * standard_error(D) < limit
    assert factorisation_noise.loss_of_size.at(N=float(N), m=400.0, n=400.0) == pytest.approx(limit, rel=0.01)
    assert factorisation_noise.loss_of_size.at(N=N, m=3, n=4) < limit


@pytest.mark.parametrize(("N", "m", "n"), [(1, 2, 3), (2, 5, 4), (8, 3, 3)])
def test_the_squared_errors_are_exact_and_the_factorisation_is_unbiased(N, m, n):
    V = averaged(np.random.default_rng(3), N, m, n, 40_000)
    for moment, bound, at in (
        (V, factorisation_noise.full_error, {"N": N}),
        (factored(V), factorisation_noise.factored_error, {"N": N, "m": m, "n": n}),
    ):
        error = ((moment - 1) ** 2).mean((1, 2))
        assert abs(error.mean() - bound.at(**at)) < 4 * standard_error(error)
        assert abs(moment.mean() - 1) < 4 * standard_error(moment.mean((1, 2)))


@pytest.mark.parametrize("c", [0.0, 0.3, 0.8, 1.0])
def test_the_effective_number_of_averages_from_the_weights_themselves(c):
    for T in (1, 7, 100, 1000):
        rates = np.arange(1, T + 1) ** -c
        kept = np.append(np.cumprod((1 - rates)[::-1])[::-1][1:], 1.0)  # product of b_j over later j
        weights = rates * kept
        assert weights.sum() == pytest.approx(1.0, rel=1e-12)
        averages = 1 / np.square(weights).sum()
        power = float(T) ** c
        low, high = (b.at(power=power) for b in (factorisation_noise.averages_least, factorisation_noise.averages_most))
        assert low * (1 - 1e-12) <= averages <= high * (1 + 1e-12)
        assert c or averages == pytest.approx(high, rel=1e-12)  # no memory attains the upper one
        assert c < 1 or averages == pytest.approx(low, rel=1e-12)  # the plain mean the lower one
        if c == 0.8 and T == 1000:
            assert averages == pytest.approx(450, abs=1)  # the number in the source of averages_most


def test_the_error_of_an_entry_is_bounded_by_the_minors_and_two_by_two_attains_it():
    rng = np.random.default_rng(4)
    for m, n in ((2, 2), (3, 4), (5, 3)):
        V = 10 ** rng.uniform(-3, 1, (m, n))
        error = np.abs(V - factored(V[None])[0]).max()
        rows, cols = np.triu_indices(m, 1), np.triu_indices(n, 1)
        minors = [V[i, k] * V[j, l] - V[i, l] * V[j, k] for i, j in zip(*rows, strict=True) for k, l in zip(*cols, strict=True)]
        limit = factorisation.entry_error.at(m=m, n=n, minor=max(map(abs, minors)), S=V.sum())
        assert error <= limit * (1 + 1e-12) and (m * n > 4 or error == pytest.approx(limit, rel=1e-9))


def test_the_entropy_bounds_the_loss_and_a_permutation_attains_it():
    rng = np.random.default_rng(5)
    for m, n in ((3, 3), (4, 7)):
        V = rng.exponential(size=(1, m, n)) * (rng.random((1, m, n)) < 0.6) + 1e-9
        S, sides = V.sum(), [V.sum((0, axis)) / V.sum() for axis in (1, 2)]
        entropy = min(-(p * np.log(p)).sum() for p in sides)
        assert losses(V)[0] <= factorisation.error_limit.at(S=S, entropy=entropy)
    eye = np.eye(5)[None]
    assert losses(eye)[0] == pytest.approx(factorisation.error_limit.at(S=5.0, entropy=math.log(5)), rel=1e-12)
