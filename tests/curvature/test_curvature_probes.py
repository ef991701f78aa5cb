"""Signs, operators from plain functions, and the arithmetic of an estimate."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.probes import average, operator_of, probed, signs, times, times_in_chunks
from sandbox.draws import generator, normal

H = normal((9, 9), generator(0)).numpy()
H = H + H.T


def test_signs_are_signs_and_depend_on_seed_and_index_alone():
    Z = signs(50, range(4), 3)
    assert set(np.unique(Z)) == {-1.0, 1.0} and Z.shape == (50, 4)
    np.testing.assert_array_equal(signs(50, range(2, 4), 3), Z[:, 2:])
    assert (signs(50, range(4), 4) != Z).any() and (Z[:, 0] != Z[:, 1]).any()


def test_signs_are_white():
    """Z Z^T / k over 4000 columns: off-diagonal entries have standard deviation 1 / sqrt(4000); 5 of them for 190 pairs."""
    Z = signs(20, range(4000), 0)
    np.testing.assert_allclose(Z @ Z.T / 4000, np.eye(20), atol=5 / 4000**0.5)
    assert np.abs(Z.mean(axis=1)).max() < 5 / 4000**0.5


def test_probes_come_in_chunks_and_extend_one_another():
    parts = list(probed(aslinearoperator(H), n_probes=5, seed=1, chunk=2))
    assert [Z.shape[1] for Z, _ in parts] == [2, 2, 1]
    np.testing.assert_array_equal(np.hstack([Z for Z, _ in parts]), signs(9, range(5), 1))
    for Z, HZ in parts:
        np.testing.assert_allclose(HZ, H @ Z, rtol=1e-14, atol=1e-14)


def test_a_plain_function_serves_as_operator():
    operator, v = operator_of(lambda V: H @ V, 9), np.arange(9.0)
    np.testing.assert_allclose(operator @ v, H @ v, rtol=1e-14)
    np.testing.assert_allclose(operator.T @ v, H @ v, rtol=1e-14)  # symmetric by contract
    np.testing.assert_allclose(times_in_chunks(operator, np.eye(9), 4), H, rtol=1e-14)


def test_average_on_paper():
    """1, 2, 6: mean 3, variance 7, standard error sqrt(7 / 3); t with 2 degrees at 90 % two-sided is 2.919986 (table)."""
    found = average(np.array([1.0, 2.0, 6.0]), 5)
    assert (found.value, found.n_samples, found.n_products) == (3.0, 3, 5)
    assert found.standard_error == pytest.approx((7 / 3) ** 0.5, rel=1e-14)
    assert found.interval(0.9) == pytest.approx((3 - 2.919986 * (7 / 3) ** 0.5, 3 + 2.919986 * (7 / 3) ** 0.5), rel=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="0 < confidence < 1, got 95"):
        average(np.array([1.0, 2.0]), 2).interval(95)
    with pytest.raises(ValueError, match="square operator, got 2 x 3"):
        times(aslinearoperator(np.ones((2, 3))), np.ones((3, 1)))
    with pytest.raises(ValueError, match="2 of 9 entries of H V are not"):
        times(operator_of(lambda V: np.where(np.arange(9)[:, None] < 2, np.nan, V), 9), np.ones((9, 1)))
