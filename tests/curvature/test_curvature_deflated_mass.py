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


@pytest.mark.parametrize("rank", [1, 2])
def test_blocks_of_rank_r_are_exact_at_depth_r_plus_1(rank):
    """All directions of each block are in the span of z, H_bb z, ..., so P H P = 0: nothing is left to chance."""
    H = sum(one_direction(seed, 0.0) for seed in range(rank))
    found = deflated_mass(aslinearoperator(H), LABELS, depth=rank + 1, n_colours=3, n_rounds=2, seed=1)
    total = float(np.square(H).sum())
    assert found.mass.value == pytest.approx(block_mass(H, LABELS), rel=1e-12)
    np.testing.assert_allclose(found.samples[:, 1], total, rtol=1e-12)
    assert found.mass.standard_error < 1e-12
    assert found.n_products == (rank + 1) * 6 + 2 * 3
    if rank > 1:  # the depth is not there for nothing
        assert deflated_mass(aslinearoperator(H), LABELS, depth=rank, n_colours=3, n_rounds=2, seed=1).mass.standard_error > 1e-6


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


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_terms_of_q_are_those_of_their_definition(depth):
    """P from its null space, (P H P) v = 0 exactly for v in the span of Q; that holds z, which is +-1, and its products with H_bb."""
    H = one_direction(4, 1.0)
    start = deflation(aslinearoperator(H), LABELS, depth=depth, seed=5, chunk=4)
    rest = start.rest @ np.eye(48)
    P = np.linalg.pinv(rest) @ rest
    inside = np.array([np.square(A[np.ix_(b, b)]).sum() for A in (H, P @ H @ P) for b in (LABELS == x for x in np.unique(LABELS))])
    assert start.inside == pytest.approx(inside[:6].sum() - inside[6:].sum(), rel=1e-9)
    assert start.total == pytest.approx(np.square(H).sum() - np.square(P @ H @ P).sum(), rel=1e-9)
    z = start.basis[0] * 8**0.5
    np.testing.assert_allclose(np.abs(z), 1.0, rtol=1e-12)
    for label in np.unique(LABELS):
        b, krylov = LABELS == label, []
        for _ in range(depth):
            krylov.append(z[b] if not krylov else H[np.ix_(b, b)] @ krylov[-1])
        assert np.linalg.matrix_rank(P[np.ix_(b, b)], tol=1e-6) == 8 - depth
        np.testing.assert_allclose(P[np.ix_(b, b)] @ np.stack(krylov, 1) / np.linalg.norm(krylov, axis=1), 0.0, atol=1e-9)


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


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_block_has_no_more_directions_than_entries(size):
    """One more is nothing but rounding and counts as none; all blocks are then known, and P = 0."""
    H, labels = one_direction(12, 1.0), np.arange(48) // size
    start = deflation(aslinearoperator(H), labels, depth=size + 1)
    assert start.inside == pytest.approx(block_mass(H, labels) * np.square(H).sum(), rel=1e-12)
    assert start.total == pytest.approx(np.square(H).sum(), rel=1e-12)
    assert not start.basis[size].any() and abs(start.rest @ np.ones(48)).max() < 1e-12


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
    with pytest.raises(ValueError, match="depth >= 0, got -1"):
        deflation(aslinearoperator(one_direction(11, 1.0)), LABELS, depth=-1)
