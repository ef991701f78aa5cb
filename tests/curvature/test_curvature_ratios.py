"""Per-block ratios on paper, against loops over blocks, and from products against the dense matrix."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.ratios import ProbedNorms, block_norms, largest, median, probed_norms, ratios, root_mean_square
from sandbox.draws import generator, normal

LABELS = np.array([2, 0, 0, 1, 2, 1, 0, 3, 3, 2, 3, 1])


def symmetric(seed: int) -> np.ndarray:
    A = normal((12, 12), generator(seed)).numpy()
    return A + A.T + np.diag(np.arange(1.0, 13.0))


def test_four_by_four_on_paper():
    """[[A, B], [B', D]] with A = diag(3, 4), B = [[1, 2], [2, 0]], D = diag(0, 2): norms 5, 3, 2."""
    H = np.array([[3.0, 0, 1, 2], [0, 4, 2, 0], [1, 2, 0, 0], [2, 0, 0, 2]])
    N = block_norms(H, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(N, [[5, 3], [3, 2]], rtol=1e-15)
    R = ratios(N)
    np.testing.assert_allclose(R, [[1, 0.6], [1.5, 1]], rtol=1e-15)
    assert root_mean_square(R) == pytest.approx(((0.36 + 2.25) / 2) ** 0.5, rel=1e-15)
    assert median(R) == pytest.approx(1.05, rel=1e-15)
    assert largest(R) == 1.5


def test_norms_by_a_loop_over_blocks():
    H = symmetric(0)
    loop = [[np.linalg.norm(H[np.ix_(LABELS == i, LABELS == j)]) for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(block_norms(H, LABELS), loop, rtol=1e-13)


def test_probed_norms_are_unbiased_and_symmetric():
    """800 probes a block: each of the 16 means within 4 standard errors (two of 16 entries beyond 4 by chance: never)."""
    H = symmetric(1)
    found = probed_norms(aslinearoperator(H), LABELS, n_probes=800, seed=2)
    error = found.samples.std(axis=0, ddof=1) / 800**0.5
    z = (found.squares - np.square(block_norms(H, LABELS))) / error
    assert np.abs(z).max() < 4.0
    assert (found.squares == found.squares.T).all()
    assert found.n_products == 3200
    np.testing.assert_allclose(found.ratios(), ratios(block_norms(H, LABELS)), rtol=0.1)  # about 4 s.e. of a ratio of roots


def test_blocks_of_one_entry_are_exact():
    H = symmetric(2)
    found = probed_norms(aslinearoperator(H), np.arange(12), n_probes=2)
    np.testing.assert_allclose(found.ratios(), np.abs(H) / np.abs(np.diag(H))[:, None], rtol=1e-12)
    assert found.summary().rms.standard_error < 1e-12


def test_interval_of_the_rms_covers():
    """300 estimates of 20 probes: the interval misses 15 times in the mean; 28 or more happen once in 1,000 times."""
    H = symmetric(3)
    truth = root_mean_square(ratios(block_norms(H, LABELS)))
    samples = probed_norms(aslinearoperator(H), LABELS, n_probes=6000, seed=4).samples
    missed = 0
    for part in samples.reshape(300, 20, 4, 4):
        low, high = ProbedNorms(part, 0).summary().rms.interval()
        missed += not low <= truth <= high
    assert missed < 28, missed


def test_jackknife_error_is_the_spread_between_repetitions():
    """200 repetitions of 40 probes: mean jackknife error against the spread itself, known to 5 %; 20 % for its own bias."""
    H = symmetric(4)
    samples = probed_norms(aslinearoperator(H), LABELS, n_probes=8000, seed=5).samples.reshape(200, 40, 4, 4)
    found = [ProbedNorms(part, 0).summary() for part in samples]
    spread = np.std([s.rms.value for s in found], ddof=1)
    assert np.mean([s.rms.standard_error for s in found]) == pytest.approx(spread, rel=0.2)


def test_block_diagonal_has_ratio_zero_and_mean_squared_error_everywhere_a_ratio_one():
    zero = np.where(LABELS[:, None] == LABELS[None, :], symmetric(5), 0.0)
    assert largest(ratios(block_norms(zero, LABELS))) == 0.0
    equal = np.kron(np.ones((3, 3)), np.diag([1.0, 2.0]))
    assert (ratios(block_norms(equal, np.repeat(np.arange(3), 2))) == 1.0).all()


def test_refusals():
    H = symmetric(6)
    with pytest.raises(ValueError, match="1 of 2 blocks have none, the first is number 1"):
        ratios(np.array([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="two blocks at least, got 1"):
        median(np.ones((1, 1)))
    with pytest.raises(ValueError, match="n_probes >= 2, got 1"):
        probed_norms(aslinearoperator(H), LABELS, n_probes=1)
    with pytest.raises(ValueError, match="got 3 labels"):
        block_norms(H, LABELS[:3])
