"""Coloured probes against dense matrices: unbiased, with the coverage that the interval states, exact where nothing is random."""

from itertools import permutations

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.block_mass import block_mass, chance_mass, chance_of, groups, probed_mass
from sandbox.curvature.coloured_mass import ColouredMass, coloured_mass, colours, shared
from sandbox.draws import generator, normal

BLOCKS, SIZE = 12, 5
LABELS = np.repeat(np.arange(BLOCKS), SIZE)


def matrix(seed: int, *, inside: float = 3.0) -> np.ndarray:
    """Symmetric (60, 60), heavier on 12 blocks of five, indefinite."""
    A = normal((len(LABELS), len(LABELS)), generator(seed)).numpy()
    weight = np.where(LABELS[:, None] == LABELS[None, :], inside * (1.0 + LABELS / BLOCKS), 1.0)
    return (A + A.T) * np.sqrt(weight * weight.T)


def truth(H: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    total = float(np.square(H).sum())
    return block_mass(H, labels) * total, total


def test_probability_of_a_shared_colour_over_all_colourings():
    """5 blocks in 2 colours (3 + 2): of all orders, blocks 0 and 1 share a colour in (3 * 2 + 2 * 1) / (5 * 4) = 0.4."""
    together = [np.arange(5)[np.array(order)[0]] % 2 == np.array(order)[1] % 2 for order in permutations(range(5))]
    assert shared(5, 2) == pytest.approx(np.mean(together), rel=1e-14) == 0.4
    assert shared(12, 12) == shared(1, 1) == 0.0
    assert shared(7, 1) == 1.0


def test_colours_are_balanced_and_every_pair_is_as_likely():
    draws = np.array([colours(7, 3, 0, index) for index in range(4000)])
    assert {tuple(sorted(np.bincount(row))) for row in draws} == {(2, 2, 3)}
    shares = np.array([(draws[:, i] == draws[:, j]).mean() for i in range(7) for j in range(i)])
    p = shared(7, 3)
    assert np.abs(shares - p).max() < 4.5 * (p * (1 - p) / 4000) ** 0.5  # 21 pairs: beyond 4.5 s.e. once in 7,000 times


@pytest.mark.parametrize("n_colours", [2, 5, 12])
def test_inside_and_total_are_unbiased(n_colours):
    """1200 rounds: both means within 4 standard errors of the dense values, and so sharp that forgetting p would be seen."""
    H = matrix(0)
    found = coloured_mass(aslinearoperator(H), LABELS, n_colours=n_colours, n_rounds=1200, seed=1)
    inside, total = truth(H, LABELS)
    for estimate, exact in ((found.inside, inside), (found.total, total)):
        assert abs(estimate.value - exact) < 4.0 * estimate.standard_error
    if n_colours < 12:
        assert shared(12, n_colours) * (total - inside) > 10.0 * found.inside.standard_error
    assert found.n_products == 1200 * n_colours


def test_unequal_blocks_with_labels_in_any_order():
    H = matrix(1)
    labels = np.random.default_rng(0).permutation(np.repeat([7, 3, 11, 5], [1, 9, 20, 30]))
    found = coloured_mass(aslinearoperator(H), labels, n_colours=2, n_rounds=1500, seed=2)
    inside, _ = truth(H, labels)
    assert abs(found.inside.value - inside) < 4.0 * found.inside.standard_error
    assert found.inside.standard_error < 0.02 * inside


@pytest.mark.parametrize(("n_colours", "inside"), [(3, 3.0), (6, 0.5)])
def test_interval_of_the_mass_covers_as_often_as_it_says(n_colours, inside):
    """400 estimates of 10 rounds: a 95 % interval misses 20 times; 34 or more, or 8 or fewer, happen by chance once in 250 times."""
    H = matrix(2, inside=inside)
    operator, exact = aslinearoperator(H), block_mass(H, LABELS)
    whole = coloured_mass(operator, LABELS, n_colours=n_colours, n_rounds=4000, seed=3).samples
    missed = 0
    for part in whole.reshape(400, 10, 2):
        low, high = ColouredMass(part, 0).mass.interval()
        missed += not low <= exact <= high
    assert 8 < missed < 34, missed


def test_a_block_diagonal_matrix_has_mass_one_without_error_when_every_block_has_its_colour():
    H = np.where(LABELS[:, None] == LABELS[None, :], matrix(3), 0.0)
    found = coloured_mass(aslinearoperator(H), LABELS, n_colours=BLOCKS, n_rounds=3)
    assert found.mass.value == pytest.approx(1.0, rel=1e-14)
    assert found.mass.standard_error < 1e-14
    assert found.total.standard_error > 0.0


def test_single_entries_in_their_own_colours_are_exact():
    H = matrix(4)
    found = coloured_mass(aslinearoperator(H), np.arange(60), n_colours=60, n_rounds=2)
    np.testing.assert_allclose(found.samples[:, 0], np.square(np.diag(H)).sum(), rtol=1e-13)
    np.testing.assert_allclose(found.samples[:, 1], np.square(H).sum(), rtol=1e-13)


def test_null_from_probes_of_single_entries():
    """delta from 2000 products to 4 standard errors; the null moves with it at a slope of 1 - pairs, below 1."""
    H = matrix(9)
    delta = coloured_mass(aslinearoperator(H), np.arange(60), n_colours=20, n_rounds=100, seed=6).mass
    assert chance_of(delta.value, [5] * 12) == pytest.approx(chance_mass(H, LABELS), abs=4.0 * delta.standard_error)
    assert 4.0 * delta.standard_error < 0.02  # delta is near 0.05


def test_one_block_is_all_there_is():
    found = coloured_mass(aslinearoperator(matrix(5)), np.zeros(60), n_colours=4, n_rounds=3)
    assert found.n_products == 3
    assert (found.samples[:, 0] == found.samples[:, 1]).all()


def test_equal_in_the_mean_to_one_product_per_block_at_a_fraction_of_the_products():
    """Two methods, one number: they differ by less than 4 of their common standard errors."""
    H = matrix(6)
    old = probed_mass(aslinearoperator(H), LABELS, n_probes=60, seed=4)
    new = coloured_mass(aslinearoperator(H), LABELS, n_colours=3, n_rounds=80, seed=4)
    spread = np.hypot(old.samples[:, 0].std(ddof=1) / 60**0.5, new.inside.standard_error)
    assert abs(old.inside - new.inside.value) < 4.0 * spread
    assert new.n_products < old.n_products / 2


def test_longer_runs_extend_shorter_ones_and_chunks_change_nothing():
    H = aslinearoperator(matrix(7))
    long = coloured_mass(H, LABELS, n_colours=5, n_rounds=6, seed=5).samples
    late = coloured_mass(H, LABELS, n_colours=5, n_rounds=4, first=2, seed=5, chunk=2).samples
    np.testing.assert_allclose(late, long[2:], rtol=1e-12)
    other = coloured_mass(H, LABELS, n_colours=5, n_rounds=6, seed=6).samples
    assert (other != long).all()


def test_standard_error_of_the_ratio_by_hand():
    """Rounds (1, 2), (3, 4), (2, 6): share 6 / 12; rests 0, 1, -1 over the mean total 4: standard deviation 1/4, over root 3."""
    found = ColouredMass(np.array([[1.0, 2.0], [3.0, 4.0], [2.0, 6.0]]), 9)
    assert found.mass.value == 0.5
    assert found.mass.standard_error == pytest.approx(0.25 / 3**0.5, rel=1e-14)
    assert (found.inside.value, found.total.value) == (2.0, 4.0)


def test_refusals():
    H = aslinearoperator(matrix(8))
    with pytest.raises(ValueError, match="n_rounds >= 2, got 1"):
        coloured_mass(H, LABELS, n_rounds=1)
    with pytest.raises(ValueError, match="n_colours >= 2, got 1"):
        coloured_mass(H, LABELS, n_colours=1)
    with pytest.raises(ValueError, match="60 x 60 Hessian needs one label for each of its 60 rows, got 59"):
        coloured_mass(H, LABELS[:59])
    assert len(groups(LABELS, 60)) == BLOCKS
