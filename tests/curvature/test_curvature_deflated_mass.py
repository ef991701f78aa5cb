"""Deflated probes: exact on blocks of rank one, unbiased on any, narrower than plain ones where one direction carries a block."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.block_mass import block_mass
from sandbox.curvature.coloured_mass import ColouredMass, coloured_mass
from sandbox.curvature.deflated_mass import deflated_mass, deflation
from sandbox.draws import generator, normal

LABELS = np.repeat([4, 1, 7, 2, 9, 5], 8)


def one_direction(seed: int, noise: float) -> np.ndarray:
    """(48, 48): blocks a_bc u_b u_c' of rank one with |a_bb| about twice the others, and `noise` on every entry."""
    u, A, N = (normal(shape, generator(seed, part)).numpy() for part, shape in enumerate(((6, 8), (6, 6), (48, 48))))
    A = A + A.T + 4.0 * np.diag(np.arange(1.0, 7.0))
    H = np.einsum("bi,bc,cj->bicj", u, A, u).reshape(48, 48)
    return H + noise * (N + N.T)


def test_rank_one_blocks_are_exact_inside_and_in_total():
    """q is the direction of each block up to sign, H P = 0: nothing is left to chance."""
    H = one_direction(0, 0.0)
    found = deflated_mass(aslinearoperator(H), LABELS, n_colours=3, n_rounds=2, seed=1)
    total = float(np.square(H).sum())
    assert found.mass.value == pytest.approx(block_mass(H, LABELS), rel=1e-12)
    np.testing.assert_allclose(found.samples[:, 1], total, rtol=1e-12)
    assert found.mass.standard_error < 1e-12
    assert found.n_products == 2 * 6 + 2 * 3


def test_unbiased_whatever_the_direction():
    """Given q, 1500 rounds: both means within 4 standard errors of the dense values, which the terms of q alone miss by far."""
    H = one_direction(2, 3.0)
    operator = aslinearoperator(H)
    found, start = deflated_mass(operator, LABELS, n_colours=2, n_rounds=1500, seed=3), deflation(operator, LABELS, seed=3)
    total = float(np.square(H).sum())
    inside = block_mass(H, LABELS) * total
    for estimate, exact, alone in ((found.inside, inside, start.inside), (found.total, total, start.total)):
        assert abs(estimate.value - exact) < 4.0 * estimate.standard_error
        assert exact - alone > 20.0 * estimate.standard_error


def test_terms_of_q_are_those_of_their_definition():
    H = one_direction(4, 1.0)
    start = deflation(aslinearoperator(H), LABELS, seed=5, chunk=4)
    P = np.eye(48) - np.linalg.pinv(start.rest @ np.eye(48)) @ (start.rest @ np.eye(48))  # H P v = 0 exactly for v among the q_b
    inside = total = 0.0
    for label in np.unique(LABELS):
        b = LABELS == label
        values, vectors = np.linalg.eigh(P[np.ix_(b, b)])
        assert values[-1] == pytest.approx(1.0, rel=1e-9) and values[-2] < 1e-9
        inside += np.square(H[np.ix_(b, b)] @ vectors[:, -1]).sum()
        total += np.square(H[:, b] @ vectors[:, -1]).sum()
    assert (start.inside, start.total) == (pytest.approx(inside, rel=1e-9), pytest.approx(total, rel=1e-9))


def test_interval_covers():
    """400 estimates of 8 rounds: a 95 % interval misses 20 times; 34 or more, or 8 or fewer, happen by chance once in 250 times."""
    H = one_direction(6, 2.0)
    exact = block_mass(H, LABELS)
    whole = deflated_mass(aslinearoperator(H), LABELS, n_colours=3, n_rounds=3200, seed=7).samples
    missed = 0
    for part in whole.reshape(400, 8, 2):
        low, high = ColouredMass(part, 0).mass.interval()
        missed += not low <= exact <= high
    assert 8 < missed < 34, missed


def test_narrower_than_plain_probes_at_the_same_number_of_products():
    """Noise of a few per cent an entry is all that is left to chance: a tenth of the error at least, at as many products."""
    H = one_direction(8, 0.05)
    plain = coloured_mass(aslinearoperator(H), LABELS, n_colours=3, n_rounds=10, seed=9)
    deflated = deflated_mass(aslinearoperator(H), LABELS, n_colours=3, n_rounds=6, seed=9)
    assert deflated.n_products == plain.n_products == 30
    assert deflated.mass.standard_error < plain.mass.standard_error / 10


def test_a_block_of_zeros_has_no_direction():
    H = one_direction(10, 0.0)
    H[:8] = H[:, :8] = 0.0
    found = deflated_mass(aslinearoperator(H), LABELS, n_colours=3, n_rounds=2)
    assert found.mass.value == pytest.approx(block_mass(H, LABELS), rel=1e-12)


def test_refusals():
    with pytest.raises(ValueError, match="48 x 48 Hessian needs one label for each of its 48 rows, got 6"):
        deflated_mass(aslinearoperator(one_direction(11, 1.0)), np.arange(6))
    with pytest.raises(ValueError, match="chunk >= 1, got 0"):
        deflation(aslinearoperator(one_direction(11, 1.0)), LABELS, chunk=0)
