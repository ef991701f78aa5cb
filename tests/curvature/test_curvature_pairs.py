"""Estimates from pairs against exact sums over all signs, their standard error, and balancing."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.pairs import BALANCE, Products, balanced, fourth_moment, interaction, products_of, squares
from sandbox.curvature.planted import gaussian

OFF = ~np.eye(4, dtype=bool)


def all_signs(n):
    """Z (n, 2^n): every vector of signs once, so that means over columns are expectations."""
    return np.array(list(product((-1.0, 1.0), repeat=n))).T


def drawn(H, k, seed=0):
    return products_of(aslinearoperator(H), n_products=k, seed=seed)


def test_squares_are_free_of_bias():
    """Over all pairs of all 16 vectors of signs, equal ones included, the mean is the expectation of independent draws: to rounding."""
    H, Z = gaussian(4, 0), all_signs(4)
    total, k = np.zeros((4, 4)), Z.shape[1]
    for p, q in product(range(k), range(k)):
        pair = Products(Z[:, [p, q]], H @ Z[:, [p, q]])
        total += squares(pair)
    np.testing.assert_allclose((total / k**2)[OFF], np.square(H)[OFF], rtol=1e-12)
    assert (np.diag(total) == 0).all()


def test_squares_of_many_probes_are_the_mean_over_pairs_of_two():
    """By the definition: the mean over p != q of what probes p and q alone give."""
    P = drawn(gaussian(6, 1), 5)
    pairs = [(p, q) for p in range(5) for q in range(p)]
    mean = np.mean([squares(Products(P.Z[:, [p, q]], P.Y[:, [p, q]])) for p, q in pairs], axis=0)
    np.testing.assert_allclose(squares(P), mean, rtol=0, atol=1e-12 * np.abs(mean).max())


def test_error_of_a_balanced_entry():
    """Mean variance of all entries over 40 seeds, rows of mass d = 1: 1 / (2 k^2) + 2 mean(H_ij^2) / k; 10 % for rows of unequal mass."""
    H, k = gaussian(64, 2), 64
    np.fill_diagonal(H, 0.0)
    H /= np.sqrt(np.square(H).sum(axis=1).mean())
    found = np.stack([squares(drawn(H, k, seed)) for seed in range(40)])
    variance = found.var(axis=0, ddof=1)[np.triu_indices(64, 1)].mean()
    assert variance == pytest.approx(1 / (2 * k**2) + 2 / (63 * k), rel=0.1)


def test_a_fixed_diagonal_leaves_the_other_entries():
    H, P = gaussian(8, 3), drawn(gaussian(8, 3), 12)
    c = np.arange(8.0)
    np.testing.assert_allclose(P.less(c).Y, (H - np.diag(c)) @ P.Z, rtol=0, atol=1e-12)


def test_diagonal_and_masses_over_all_signs_are_exact():
    H, Z = gaussian(4, 4), all_signs(4)
    P = Products(Z, H @ Z)
    np.testing.assert_allclose(P.diagonal, np.diag(H), rtol=1e-12)
    np.testing.assert_allclose(P.masses, np.square(H).sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(P.part(0, 8).Y, H @ Z[:, :8], rtol=1e-12)


def test_fourth_moment_is_free_of_bias():
    H, Z = gaussian(4, 5), all_signs(4)
    pairs = product(range(16), range(16))
    mean = np.mean([fourth_moment(Products(Z[:, [p, q]], H @ Z[:, [p, q]])) for p, q in pairs])
    assert mean == pytest.approx(np.trace(H @ H @ H @ H), rel=1e-12)


def test_interaction_has_the_eigenvalue_one_for_every_block():
    """Two dense blocks, masses 900 : 1. 4096 probes: entries known to sqrt(2 * 7 / 4096) = 6 % of themselves, sums over a block to 1 %."""
    H = np.zeros((12, 12))
    H[:5, :5], H[5:, 5:] = 30.0 * gaussian(5, 0), gaussian(7, 1)
    np.fill_diagonal(H, 0.0)
    assert np.sort(np.linalg.eigvalsh(interaction(drawn(H, 4096))))[-2:] == pytest.approx([1.0, 1.0], abs=0.05)
    H[0], H[:, 0] = 0.0, 0.0
    assert (interaction(drawn(H, 8))[0] == 0).all()


def test_balancing_gives_every_row_the_same_mass():
    """Rows of scales 1 ... 1000: their masses span 10^6 before; after, within what 16 products know (2 * 35 %, 5 of them)."""
    scale = np.logspace(0, 3, 40)
    H = np.zeros((40, 40))
    for b in range(4):
        mine = slice(10 * b, 10 * b + 10)
        H[mine, mine] = scale[10 * b] * (gaussian(10, b) + np.eye(10) * 100)
    even = balanced(aslinearoperator(H), seed=0)
    found = even.operator @ np.eye(40)
    np.testing.assert_allclose(np.diag(H), even.diagonal, rtol=0.05)  # 100 scales, known to sqrt(10 / 16) of them
    assert np.abs(np.diag(found)).max() < 4.0  # of about 100 / sqrt(10) = 30 before, and an error of sqrt(1 / 16) each
    np.fill_diagonal(found, 0.0)
    masses = np.square(found).sum(axis=1)
    assert masses.max() / masses.min() < 20.0
    assert np.abs(even.operator @ np.eye(40) - (even.operator @ np.eye(40)).T).max() < 1e-12
    assert even.n_products == BALANCE


def test_balancing_keeps_silent_rows_silent():
    H = gaussian(10, 6)
    H[3], H[:, 3] = 0.0, 0.0
    found = balanced(aslinearoperator(H), seed=0).operator @ np.eye(10)
    assert (found[3] == 0).all() and np.isfinite(found).all()


def test_refuses_a_diagonal_matrix_and_too_few_probes():
    for H in (np.diag(np.arange(1.0, 9.0)), np.zeros((8, 8))):
        with pytest.raises(ValueError, match=r"off the diagonal this 8 x 8 matrix has a mass of .* every entry is a block by itself"):
            balanced(aslinearoperator(H), seed=0)
    with pytest.raises(ValueError, match=r"k >= 2 vectors of signs .* got \(4, 1\) and \(4, 1\)"):
        Products(np.ones((4, 1)), np.ones((4, 1)))
