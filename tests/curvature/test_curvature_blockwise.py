"""Masses between blocks over all signs, the excess against that of the exact matrix, and clusters and chance on known matrices."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.block_mass import measure
from sandbox.curvature.blockwise import Blockwise, blockwise, excess, shares
from sandbox.curvature.chance import effective_rank, matrix, rank_like, without_blocks
from sandbox.curvature.clusters import above_chance, candidates, moved, numbered
from sandbox.curvature.planted import agreement, gaussian, planted, turned

LABELS = np.array([0, 1, 0, 1, 2])


def over_all_signs(H, labels=LABELS):
    Z = np.array(list(product((-1.0, 1.0), repeat=len(H))))
    own = labels[:, None] == np.arange(labels.max() + 1)
    return Blockwise(labels, Z, np.stack([H @ (z[:, None] * own) for z in Z]))


def test_masses_between_blocks_over_all_signs_are_exact():
    H = gaussian(5, 0)
    found = over_all_signs(H)
    exact = [[np.square(H[np.ix_(LABELS == s, LABELS == r)]).sum() for r in range(3)] for s in range(3)]
    np.testing.assert_allclose(found.between.mean(axis=0), exact, rtol=1e-12)
    np.testing.assert_allclose(found.own.mean(axis=0), np.diag(H), rtol=1e-12)


def test_one_draw_by_hand():
    """At [s, r]: the signs on block r, the squares on block s."""
    H = gaussian(5, 6)
    found = blockwise(aslinearoperator(H), LABELS, n_draws=2, seed=0)
    z = found.Z[1] * (LABELS == 1)
    assert found.between[1, 2, 1] == pytest.approx(np.square((H @ z)[LABELS == 2]).sum(), rel=1e-12)
    assert found.between[1, 1, 2] != pytest.approx(found.between[1, 2, 1], rel=1e-3)


def test_diagonal_masses_and_moments_need_independent_draws():
    """Means over all ordered pairs of signs, equal ones included, are expectations over two independent draws."""
    H, found = gaussian(5, 1), over_all_signs(gaussian(5, 1))
    pairs = [Blockwise(LABELS, found.Z[[p, q]], found.Y[[p, q]]) for p, q in product(range(32), range(32))]
    off = np.square(H).sum(axis=1) - np.square(np.diag(H))
    assert np.mean([pair.squared_diagonal.mean() for pair in pairs]) == pytest.approx(np.square(np.diag(H)).sum(), rel=1e-12)
    assert np.mean([pair.fourth_moment for pair in pairs]) == pytest.approx(np.trace(H @ H @ H @ H), rel=1e-12)
    many = blockwise(aslinearoperator(H), LABELS, n_draws=4000, seed=0).masses
    assert many == pytest.approx(off, rel=0.1)  # 4000 draws: 1.6 % of squares with a spread of about 1


def test_less_is_the_product_without_that_diagonal():
    H, c = gaussian(5, 2), np.arange(5.0)
    one = blockwise(aslinearoperator(H), LABELS, n_draws=3, seed=1).less(c)
    other = blockwise(aslinearoperator(H - np.diag(c)), LABELS, n_draws=3, seed=1)
    np.testing.assert_allclose(one.Y, other.Y, rtol=0, atol=1e-12)
    assert one.n_products == 9 and one.part(1, 3).n_products == 6


@pytest.mark.parametrize("rank", [None, 1, 3])
def test_the_excess_is_that_of_block_mass(rank):
    """64 draws; the interval of 99.99 % holds the exact excess, and is narrow enough to say something."""
    H, labels = planted([20, 12, 8], 0, noise=0.4, rank=rank)
    found = excess(blockwise(aslinearoperator(H), labels, n_draws=64, seed=0))
    exact = measure(H, labels, name="", partition="").excess
    low, high = found.interval(0.9999)
    assert low < exact < high and high - low < 0.25
    assert found.n_products == 64 * 3


def test_groups_of_blocks_are_blocks():
    H, labels = planted([4] * 6, 3, noise=0.5)
    draws = blockwise(aslinearoperator(H), labels, n_draws=64, seed=2)
    groups = np.array([0, 1, 0, 1, 2, 2])
    exact = measure(H, groups[labels], name="", partition="").excess
    share, chance = shares(draws, groups)
    assert chance == pytest.approx(3 * 8 * 7 / (24 * 23))
    assert (share.mean() - chance) / (1 - chance) == pytest.approx(exact, abs=5 * share.std() / 8 / (1 - chance))
    assert np.isnan(excess(draws, np.zeros(6, dtype=int)).value)


def test_a_probe_of_a_longer_run_is_the_same():
    H = aslinearoperator(gaussian(5, 4))
    long, short = blockwise(H, LABELS, n_draws=5, seed=3), blockwise(H, LABELS, n_draws=2, seed=3, first=3)
    assert np.array_equal(long.part(3, 5).Y, short.Y)
    with pytest.raises(ValueError, match="n_draws >= 2, got 1"):
        blockwise(H, LABELS, n_draws=1, seed=0)


def squared(sizes, seed, noise=0.0):
    H, labels = planted(sizes, seed, noise=noise)
    np.fill_diagonal(H, 0.0)
    A = np.square(H)
    root = np.sqrt(A.sum(axis=1))
    return A / np.outer(root, root), labels


def test_candidates_of_an_exact_matrix_hold_the_truth():
    N, labels = squared([9, 6, 5], 0)
    found = candidates(N, max_blocks=5)
    assert agreement(found[1], labels) == 1.0  # of three groups
    best = max(found, key=lambda option: above_chance(N, option))
    assert agreement(best, labels) == 1.0


def test_q_by_its_definition():
    N, labels = squared([4, 3], 1, noise=0.5)
    mean = N.sum() / (7 * 6)
    exact = sum(N[i, j] - mean for i in range(7) for j in range(7) if i != j and labels[i] == labels[j])
    assert above_chance(N, labels) == pytest.approx(exact / 7, rel=1e-12)


def test_moves_repair_single_members_and_never_lose():
    N, labels = squared([10, 10, 10], 2, noise=0.2)
    spoiled = labels.copy()
    spoiled[:3] = (spoiled[:3] + 1) % 3
    repaired = moved(N, spoiled)
    assert agreement(repaired, labels) == 1.0 > agreement(spoiled, labels)
    for seed in range(20):
        start = np.random.default_rng(seed).integers(0, 4, 30)
        assert above_chance(N, moved(N, start)) >= above_chance(N, start)


def test_numbers_follow_first_members():
    assert numbered(np.array([7, 2, 7, 5, 2])).tolist() == [0, 1, 0, 2, 1]


def test_a_matrix_without_blocks_has_the_masses_and_the_rank_asked_for():
    masses = np.linspace(1.0, 5.0, 80)
    for wanted in (3.0, 12.0):
        S = matrix(masses, rank_like(masses, wanted, seed=0), 1, 1)
        assert 0.6 * wanted < effective_rank(S) < 2.2 * wanted  # ranks come in steps of 1.5, each draw differs
    mean = np.mean([np.square(matrix(masses, 80, 0, i)).sum(axis=1) for i in range(400)], axis=0)
    np.testing.assert_allclose(
        mean / mean.sum(), masses / masses.sum(), rtol=0.1
    )  # 400 draws of 80 numbers: 2 %, and the diagonal left out 2 %
    assert (np.diag(S) == 0).all() and np.array_equal(S, S.T)
    assert np.array_equal(without_blocks(masses, 4, seed=5, index=2) @ np.eye(80), matrix(masses, 4, 5, 2))
    assert effective_rank(np.ones((6, 6))) == pytest.approx(1.0) and effective_rank(np.eye(6)) == pytest.approx(6.0)


def test_planted_blocks_and_their_noise():
    H, labels = planted([30, 20, 10], 0, noise=0.3, scales=[1.0, 2.0, 0.5])
    off = ~np.eye(60, dtype=bool)
    share = np.square(H[off & (labels[:, None] == labels[None, :])]).sum() / np.square(H[off]).sum()
    pairs = (30 * 29 + 20 * 19 + 10 * 9) / (60 * 59)
    assert share == pytest.approx(0.7 + 0.3 * pairs, abs=0.05)  # cross terms of two random matrices: 1 / sqrt(1340) each
    assert np.bincount(labels).tolist() == [30, 20, 10] and not np.array_equal(labels, np.sort(labels))
    low, _ = planted([10], 0, rank=2)
    assert np.linalg.matrix_rank(low) == 2 and np.linalg.eigvalsh(low)[[0, -1]].prod() < 0  # indefinite
    with pytest.raises(ValueError, match="0 <= noise < 1, got 1.0"):
        planted([3, 3], 0, noise=1.0)


def test_turning_keeps_eigenvalues_and_loses_blocks():
    H, labels = planted([20, 20], 1)
    other = turned(H, 0)
    np.testing.assert_allclose(np.linalg.eigvalsh(other), np.linalg.eigvalsh(H), rtol=0, atol=1e-12 * np.abs(H).max() * 40)
    assert abs(measure(other, labels, name="", partition="").excess) < 0.15 < measure(H, labels, name="", partition="").excess


def test_agreement_by_hand():
    """C = [[2, 1], [0, 1]]: pairs together in both 1, in the first 3, in the second 2, of 6: e = 1, (1 - 1) / (2.5 - 1) = 0."""
    assert agreement(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])) == 0.0
    assert agreement(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])) == 1.0
    assert agreement(np.zeros(4, dtype=int), np.zeros(4, dtype=int)) == 1.0
    assert agreement(np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])) == pytest.approx((0 - 2 / 3) / (2 - 2 / 3))
