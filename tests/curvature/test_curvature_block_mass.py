"""Block mass against its definition on paper, its exact null against real permutations, its estimator against the dense matrix."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.block_mass import (
    block_mass,
    chance_mass,
    diagonal_ratio,
    diagonal_share,
    measure,
    operator_error,
    probed_mass,
)
from sandbox.draws import generator, normal

LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3])


def symmetric(n: int, seed: int) -> np.ndarray:
    """A full symmetric matrix with a heavier diagonal, so that delta is neither 0 nor 1."""
    A = normal((n, n), generator(seed)).numpy()
    return A + A.T + 0.3 * np.diag(np.arange(1.0, n + 1.0))


def masked(H: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.where(labels[:, None] == labels[None, :], H, 0.0)


def test_three_by_three_on_paper():
    """H = [[1,2,0],[2,3,4],[0,4,5]] with blocks {0, 2} and {1}: inside 1 + 25 + 9 = 35 of 75; diagonal 35 too; pairs 2 of 6."""
    H = np.array([[1.0, 2.0, 0.0], [2.0, 3.0, 4.0], [0.0, 4.0, 5.0]])
    row = measure(H, np.array([0, 1, 0]), name="w", partition="hand")
    delta, null = 35 / 75, 35 / 75 + 40 / 75 * 2 / 6
    assert diagonal_share(H) == pytest.approx(delta, rel=1e-15)
    assert (row.name, row.partition, row.n_blocks) == ("w", "hand", 2)
    assert row.mass == pytest.approx(35 / 75, rel=1e-15)
    assert row.null == pytest.approx(null, rel=1e-14)
    assert row.excess == pytest.approx((35 / 75 - null) / (1 - null), rel=1e-12)
    assert diagonal_ratio(H) == pytest.approx(9 / 21, rel=1e-15)


def test_mass_is_that_of_the_masked_matrix_in_any_order_of_labels():
    H, mixed = symmetric(10, 0), np.random.default_rng(0).permutation(LABELS)
    for labels in (LABELS, mixed, torch.from_numpy(mixed).view(2, 5)):
        inside = np.square(masked(H, np.asarray(labels).reshape(-1))).sum()
        assert block_mass(H, labels) == pytest.approx(inside / np.square(H).sum(), rel=1e-13)


def test_block_diagonal_has_mass_one_and_no_error():
    H = masked(symmetric(10, 1), LABELS)
    row = measure(H, LABELS, name="w", partition="own")
    assert row.mass == pytest.approx(1.0, abs=1e-14)  # one rounding per sum
    assert row.excess == pytest.approx(1.0, abs=1e-13)
    assert row.null < 0.9  # chance and the diagonal do not explain it
    assert operator_error(H, LABELS) == 0.0


def test_one_block_and_a_diagonal_matrix_have_no_excess():
    """Chance already gives 1, so the excess is undefined rather than 0 or 1."""
    for H, labels in ((symmetric(10, 2), np.zeros(10)), (np.diag(np.arange(1.0, 11.0)), LABELS)):
        row = measure(H, labels, name="w", partition="all")
        assert row.null == pytest.approx(1.0, abs=1e-14)
        assert np.isnan(row.excess)


def test_null_is_the_mean_over_random_partitions():
    """2000 random partitions with the same sizes: the mean lies within 4 standard errors of the formula (1 in 16,000 by chance)."""
    H, rng = symmetric(10, 3), np.random.default_rng(1)
    masses = np.array([block_mass(H, rng.permutation(LABELS)) for _ in range(2000)])
    z = (masses.mean() - chance_mass(H, LABELS)) / (masses.std(ddof=1) / len(masses) ** 0.5)
    assert abs(z) < 4.0, z
    assert masses.std() / len(masses) ** 0.5 < 0.003  # so that an error of 0.012 in the formula would be seen


def test_null_is_exact_over_all_permutations_of_four():
    from itertools import permutations

    H, labels = symmetric(4, 4), np.array([0, 0, 0, 1])
    mean = np.mean([block_mass(H, np.array(order)) for order in permutations(labels)])
    assert chance_mass(H, labels) == pytest.approx(mean, rel=1e-13)


def test_probes_are_unbiased_for_the_inside_and_the_outside():
    """400 independent probes: both means within 4 standard errors of the dense values."""
    H = symmetric(10, 5)
    probed = probed_mass(aslinearoperator(H), LABELS, n_probes=400, seed=3)
    inside = np.square(masked(H, LABELS)).sum()
    exact = np.array([inside, np.square(H).sum() - inside])
    z = (probed.samples.mean(axis=0) - exact) / (probed.samples.std(axis=0, ddof=1) / 20.0)
    assert np.abs(z).max() < 4.0, z
    assert probed.n_products == 400 * 4
    assert probed.mass == pytest.approx(block_mass(H, LABELS), rel=0.05)  # se of the ratio is near 1 %


def test_probes_of_single_entries_are_exact():
    """With one entry per block z = +-e_i, so |(Hz)_b|^2 = H_ii^2 without any variance."""
    H = symmetric(6, 6)
    probed = probed_mass(aslinearoperator(H), np.arange(6), n_probes=2, seed=0)
    np.testing.assert_allclose(probed.samples[:, 0], np.square(np.diag(H)).sum(), rtol=1e-14)
    np.testing.assert_allclose(probed.samples.sum(axis=1), np.square(H).sum(), rtol=1e-13)


def test_probes_follow_their_seed():
    H = aslinearoperator(symmetric(10, 7))
    a, b, c = (probed_mass(H, LABELS, n_probes=3, seed=s).samples for s in (0, 0, 1))
    assert (a == b).all() and (a != c).any()


def test_a_small_frobenius_error_can_be_a_large_operator_error():
    """Softmax at zero logits, C classes: H = (I - 1 1^T / C) / C kron I. One block per class leaves a rest of
    Frobenius share 1/C, yet its operator norm is 1 - 1/C of that of H (dossier 3.3).
    """
    C, d = 16, 3
    H = np.kron((np.eye(C) - 1.0 / C) / C, np.eye(d))
    labels = np.repeat(np.arange(C), d)
    assert 1.0 - block_mass(H, labels) == pytest.approx(1 / C, rel=1e-12)
    assert operator_error(H, labels) == pytest.approx(1 - 1 / C, rel=1e-12)


def test_refusals():
    H = symmetric(10, 8)
    with pytest.raises(ValueError, match="10 x 10 Hessian needs one label for each of its 10 rows, got 9 labels"):
        block_mass(H, LABELS[:9])
    with pytest.raises(ValueError, match=r"which is 0 for this \(10, 10\) Hessian"):
        block_mass(np.zeros((10, 10)), LABELS)
    with pytest.raises(ValueError, match="n_probes >= 1, got 0"):
        probed_mass(aslinearoperator(H), LABELS, n_probes=0)
