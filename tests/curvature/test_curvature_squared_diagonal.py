"""sum H_ii^2 from products: unbiased, exact where there is nothing else, and within its error."""

import numpy as np
import pytest

from sandbox.curvature.diagonal import squared_diagonal
from sandbox.curvature.probes import operator_of


def symmetric(n=30, seed=0):
    A = np.random.default_rng(seed).normal(size=(n, n))
    return (A + A.T) / 2


def test_a_diagonal_matrix_needs_no_luck():
    d = np.arange(1.0, 9.0)
    found = squared_diagonal(operator_of(lambda V: d[:, None] * V, 8), n_probes=3)
    assert found.value == pytest.approx((d**2).sum(), rel=1e-14) and found.standard_error < 1e-12


def test_the_mean_over_seeds_is_the_sum_of_squares():
    """Without taking a probe against itself the mean would be larger by the rows' squares over n_probes, 10 times this error."""
    H = symmetric()
    each = [squared_diagonal(operator_of(lambda V: H @ V, 30), n_probes=4, seed=seed).value for seed in range(800)]
    wanted = float(np.square(np.diag(H)).sum())
    assert abs(np.mean(each) - wanted) < 4 * np.std(each) / 800**0.5
    assert np.square(H).sum() / 4 > 10 * 4 * np.std(each) / 800**0.5 / 4


@pytest.mark.parametrize(("diagonal", "wanted"), [(5.0, 1.0), (0.0, 2.0**-0.5)])
def test_the_standard_error_is_that_of_the_jackknife(diagonal, wanted):
    """Spread over seeds / error claimed: 1 where the diagonal stands out; sqrt((k - 2) / (2 (k - 1))) of 32 probes, 0.70, where it is 0."""
    H = symmetric()
    np.fill_diagonal(H, diagonal)
    each = [squared_diagonal(operator_of(lambda V: H @ V, 30), n_probes=32, seed=seed) for seed in range(400)]
    claimed = np.mean([one.standard_error**2 for one in each]) ** 0.5
    assert np.std([one.value for one in each]) / claimed == pytest.approx(wanted, rel=0.14)  # 4 / sqrt(2 * 400) of a spread over 400


def test_two_probes_have_no_standard_error():
    with pytest.raises(ValueError, match="n_probes >= 3, got 2"):
        squared_diagonal(operator_of(lambda V: V, 8), n_probes=2)
