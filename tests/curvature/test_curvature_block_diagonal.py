"""The block-diagonal part against a mask, its error against all eigenvalues and against closed forms."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.block_diagonal import NormError, by_products, cosines, dense_blocks, from_dense, mean_cosine, norm_error
from sandbox.curvature.block_mass import operator_error
from sandbox.draws import generator, normal

LABELS = np.array([2, 0, 0, 1, 2, 1, 0, 3, 3, 2, 3, 1])


def symmetric(seed: int) -> np.ndarray:
    A = normal((12, 12), generator(seed)).numpy()
    return A + A.T


def masked(H: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.where(labels[:, None] == labels[None, :], H, 0.0)


@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_both_ways_are_the_masked_matrix(chunk):
    H = symmetric(0)
    operator, exact = aslinearoperator(H), masked(H, LABELS)
    for part in (by_products(operator, LABELS, chunk=chunk), from_dense(dense_blocks(operator, LABELS, chunk=chunk), LABELS)):
        np.testing.assert_allclose(part @ np.eye(12), exact, atol=1e-14)
        np.testing.assert_allclose(part @ H[:, 0], exact @ H[:, 0], rtol=1e-12, atol=1e-13)


def test_operator_error_agrees_with_all_eigenvalues():
    """1e-6 is the tolerance asked of Lanczos; eigenvalues are good to its square."""
    for seed in range(5):
        H = symmetric(seed)
        found = norm_error(aslinearoperator(H), by_products(aslinearoperator(H), LABELS))
        low, high = found.interval()
        assert found.error == pytest.approx(operator_error(H, LABELS), rel=1e-6)
        assert low <= operator_error(H, LABELS) * (1 + 1e-12) and operator_error(H, LABELS) <= high * (1 + 1e-12)
        assert found.whole == pytest.approx(np.linalg.norm(H, 2), rel=1e-6)


def test_softmax_at_zero_logits():
    """H = (I - 1 1' / C) / C kron I_d and one block per class: the error is 1 - 1/C; both norms are known: (1 - 1/C) / C and 1/C."""
    C, d = 12, 4
    H = np.kron((np.eye(C) - 1.0 / C) / C, np.eye(d))
    labels, operator = np.repeat(np.arange(C), d), aslinearoperator(H)
    found = norm_error(operator, by_products(operator, labels))
    assert found.error == pytest.approx(1 - 1 / C, rel=1e-9)
    assert found.whole == pytest.approx(1 / C, rel=1e-9)


def test_interval_of_the_error_by_hand():
    """Values 3 +- 1 and 8 +- 2: (3 - 1) / (8 + 2) and (3 + 1) / (8 - 2)."""
    assert NormError(3.0, 8.0, 1.0, 2.0).interval() == (0.2, 4.0 / 6.0)


def test_cosines_of_a_matrix_with_two_coupled_entries():
    """H = [[1, a], [a, 1]], BD = I: H v = (1 + a) v for v = (1, 1), and for e_1 the cosine is 1 / sqrt(1 + a^2)."""
    a = 0.75
    H, V = np.array([[1.0, a], [a, 1.0]]), np.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.0]])
    operator = aslinearoperator(H)
    found = cosines(operator, by_products(operator, np.arange(2)), V)
    np.testing.assert_allclose(found, [1.0, 1.0, 0.8], rtol=1e-14)


def test_shift_of_all_logits_is_a_direction_that_the_blocks_get_wrong():
    """H (1 kron u) = 0 for a softmax while BD (1 kron u) is not: cosine 0. Where both vanish there is none."""
    H = np.kron((np.eye(4) - 0.25) / 4, np.diag([1.0, 0.0]))
    operator, V = aslinearoperator(H), np.tile(np.eye(2), (4, 1))
    found = cosines(operator, by_products(operator, np.repeat(np.arange(4), 2)), V)
    assert found[0] == 0.0  # quarters are exact in binary, so that H v is 0 without rounding
    assert np.isnan(found[1])


def test_mean_cosine_over_all_signs():
    """Signs are +-(1, 1) or +-(1, -1); for H = [[2, 1], [1, 0]], BD = diag(2, 0): H v = (3, 1) or (1, 1), BD v = (2, 0)."""
    operator = aslinearoperator(np.array([[2.0, 1.0], [1.0, 0.0]]))
    truth = (3 / 10**0.5 + 1 / 2**0.5) / 2
    found = mean_cosine(operator, by_products(operator, np.arange(2)), n_probes=400, chunk=64)
    low, high = found.interval(0.9999)
    assert low < truth < high
    assert high - low < 0.06  # the two values are 0.24 apart, so that neither alone would lie inside


def test_block_diagonal_matrices_are_met_exactly():
    H = masked(symmetric(3), LABELS)
    operator = aslinearoperator(H)
    part = by_products(operator, LABELS)
    assert mean_cosine(operator, part, n_probes=5).value == pytest.approx(1.0, rel=1e-12)


def test_refusals():
    operator = aslinearoperator(symmetric(4))
    with pytest.raises(ValueError, match="sizes .*3, 3, 3, 3.* must fit groups of .*1, 11"):
        from_dense(dense_blocks(operator, LABELS), np.array([0] + [1] * 11))
    with pytest.raises(ValueError, match="n_probes >= 2, got 1"):
        mean_cosine(operator, operator, n_probes=1)
    with pytest.raises(ValueError, match="12 x 12 Hessian needs one label"):
        by_products(operator, LABELS[:5])
