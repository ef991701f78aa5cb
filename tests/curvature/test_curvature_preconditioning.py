"""Condition numbers of preconditioned Hessians against the unsymmetric product D H and against theorems about them."""

import numpy as np
import pytest

from sandbox.curvature.preconditioning import adam_mini_scale, adam_scale, condition, gain, gains, jacobi_scale, root_jacobi_scale

GROUPS = ((1.0, 2.0, 3.0), (99.0, 100.0, 101.0), (4998.0, 4999.0, 5000.0))
LABELS = np.repeat(np.arange(3), 3)


def rotated(spectrum, rng) -> np.ndarray:
    Q, _ = np.linalg.qr(rng.standard_normal((len(spectrum), len(spectrum))))
    return Q @ np.diag(spectrum) @ Q.T


def three_blocks(rng) -> np.ndarray:
    """Block diagonal, each block with the eigenvalues of its group in a random basis: kappa 5000, blocks 3, 1.02 and 1.0004."""
    H = np.zeros((9, 9))
    for index, group in enumerate(GROUPS):
        H[3 * index : 3 * index + 3, 3 * index : 3 * index + 3] = rotated(group, rng)
    return H


@pytest.fixture
def draws():
    rng = np.random.default_rng(0)
    H = np.stack([three_blocks(rng) for _ in range(50)])
    x0 = rng.standard_normal((50, 9))
    return H, np.einsum("bij,bj->bi", H, x0)


def test_symmetric_form_has_the_eigenvalues_of_the_product(draws):
    """kappa of eigvals(D H), which is not symmetric; 1e-9: kappa 1e4 times the rounding of a general eigensolver."""
    H, g = draws
    d = adam_scale(g)
    for index in range(5):
        eigenvalues = np.linalg.eigvals(np.diag(d[index]) @ H[index]).real
        assert condition(H, d)[index] == pytest.approx(eigenvalues.max() / eigenvalues.min(), rel=1e-9)
    np.testing.assert_allclose(condition(H), 5000.0, rtol=1e-9)


def test_bounds_for_any_scale(draws):
    """max_i(D_i H_ii) / min_i(D_i H_ii) <= kappa(D H) <= kappa(D) kappa(H); 1e-9 for rounding."""
    H, g = draws
    for d in (adam_scale(g), adam_mini_scale(g, LABELS), jacobi_scale(H)):
        entries, kappa = d * np.diagonal(H, axis1=1, axis2=2), condition(H, d)
        assert (entries.max(1) / entries.min(1) <= kappa * (1 + 1e-9)).all()
        assert (kappa <= d.max(1) / d.min(1) * 5000.0 * (1 + 1e-9)).all()


def test_adam_on_a_diagonal_hessian_forgets_it():
    """g = H x0 gives D H = diag(1 / |x0|) up to sign: kappa = max|x0| / min|x0| for two very different spectra."""
    rng = np.random.default_rng(1)
    x0 = rng.standard_normal((20, 6))
    for spectrum in (np.ones(6), np.logspace(0, 6, 6)):
        H = np.broadcast_to(np.diag(spectrum), (20, 6, 6))
        expected = np.abs(x0).max(1) / np.abs(x0).min(1)
        np.testing.assert_allclose(condition(H, adam_scale(x0 * spectrum)), expected, rtol=1e-9)


def test_adam_mini_changes_nothing_inside_its_block(draws):
    """One number per block is a multiple of the identity there: r = 1 exactly."""
    H, g = draws
    for block in range(3):
        inside = slice(3 * block, 3 * block + 3)
        d = adam_mini_scale(g, LABELS)[:, inside]
        np.testing.assert_allclose(gain(H[:, inside, inside], d), 1.0, rtol=1e-10)  # kappa <= 3, a few roundings


def test_adam_mini_across_blocks(draws):
    """kappa(D H) = max_b(lambda_max,b / s_b) / min_b(lambda_min,b / s_b) with s_b = rms(g_b)."""
    H, g = draws
    s = np.sqrt(np.square(g).reshape(50, 3, 3).mean(2))
    top, bottom = np.array([max(x) for x in GROUPS]), np.array([min(x) for x in GROUPS])
    expected = (top / s).max(1) / (bottom / s).min(1)
    np.testing.assert_allclose(condition(H, adam_mini_scale(g, LABELS)), expected, rtol=1e-9)


def test_jacobi_solves_a_diagonal_hessian_and_gives_a_unit_diagonal(draws):
    H, _ = draws
    d = jacobi_scale(H)
    np.testing.assert_allclose(d * np.diagonal(H, axis1=1, axis2=2), 1.0, rtol=1e-15)
    assert condition(np.diag([1.0, 10.0, 1e4]), jacobi_scale(np.diag([1.0, 10.0, 1e4]))) == pytest.approx(1.0, rel=1e-12)


def test_root_of_jacobi_halves_the_exponent_on_a_diagonal_hessian():
    """D H = diag(sqrt(H_ii)): kappa is the root of 10^4."""
    H = np.diag([1.0, 10.0, 1e4])
    np.testing.assert_allclose(root_jacobi_scale(H), np.diag(H) ** -0.5, rtol=1e-15)
    assert condition(H, root_jacobi_scale(H)) == pytest.approx(100.0, rel=1e-12)


def test_all_gains_at_once_on_a_diagonal_hessian():
    """diag(1, 4, 100), one block, g = H x0, x0 = (1, 2, 2): kappas 2, 100, 1, 10 over 100, batched too."""
    H, g = np.diag([1.0, 4.0, 100.0]), np.array([1.0, 8.0, -200.0])
    for shape in ((), (2,)):
        found = gains(np.broadcast_to(H, (*shape, 3, 3)), np.broadcast_to(g, (*shape, 3)), np.zeros(3))
        for name, expected in {"adam": 0.02, "adam-mini": 1.0, "jacobi": 0.01, "root-jacobi": 0.1}.items():
            np.testing.assert_allclose(found[name], expected, rtol=1e-12)


def test_labels_need_not_be_in_order():
    g = np.array([3.0, 1.0, 4.0, 1.0])
    d = adam_mini_scale(g, np.array([0, 1, 0, 1]))
    np.testing.assert_allclose(d, [12.5**-0.5, 1.0, 12.5**-0.5, 1.0], rtol=1e-15)  # (9 + 16) / 2 and (1 + 1) / 2


def test_refusals():
    H, zero = np.diag([1.0, -2.0]), np.array([1.0, 0.0])
    with pytest.raises(ValueError, match="positive definite H, got a smallest eigenvalue of -2 beside a largest of 1"):
        condition(H)
    with pytest.raises(ValueError, match="needs d > 0, got min d = 0"):
        condition(np.eye(2), zero)
    with pytest.raises(ValueError, match="Adam's scale divides by numbers that must be > 0, got 0"):
        adam_scale(zero)
    with pytest.raises(ValueError, match="Adam-mini's scale divides by numbers that must be > 0, got 0"):
        adam_mini_scale(zero, np.array([0, 1]))
    with pytest.raises(ValueError, match="Jacobi's scale divides by numbers that must be > 0, got -2"):
        jacobi_scale(H)
    with pytest.raises(ValueError, match="2 x 2 Hessian needs one label for each of its 2 rows, got 3 labels"):
        adam_mini_scale(zero, np.arange(3))
