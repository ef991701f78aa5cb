"""Lanczos on known spectra: T is what V makes of H, V stays orthogonal to sqrt(eps), and little work is done for that."""

import numpy as np
import pytest

from sandbox.curvature.lanczos import lanczos
from sandbox.curvature.probes import operator_of
from sandbox.draws import generator, normal

N, STEPS = 2_000, 80
VALUES = normal((N,), generator(41)).numpy() ** 5  # a narrow bulk and outliers of both signs, up to several hundred
START = normal((N,), generator(42)).numpy()


def operator_in(kind):
    values = VALUES.astype(kind)
    found = operator_of(lambda V: values[:, None] * V, N)
    found.dtype = np.dtype(kind)
    return found


def run_in(kind):
    return list(lanczos(operator_in(kind), START, STEPS))[-1]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_basis_stays_orthogonal_to_half_the_digits(kind):
    """Simon's bound is sqrt(eps); 2: the recurrence is a bound by its signs, not a proof. Without a pass it is lost altogether."""
    run = run_in(kind)
    lean = np.abs(run.basis.astype(np.float64) @ run.basis.T.astype(np.float64) - np.eye(STEPS)).max()
    assert run.basis.dtype == kind
    assert lean < 2 * np.finfo(kind).eps ** 0.5
    assert lean > 10 * np.finfo(kind).eps  # it is allowed to lean, which is where the work is saved


@pytest.mark.parametrize(("kind", "most"), [(np.float32, 0.6), (np.float64, 0.35)])
def test_most_vectors_need_no_pass(kind, most):
    """Half the digits of float64 last longer than of float32. A pass for one vector without the next brings twice as many (0.41)."""
    assert 0 < run_in(kind).passes < most * STEPS


def test_a_shift_of_the_spectrum_asks_for_no_more():
    """H + c I has the basis of H and alphas larger by c; only their differences count for how far a vector leans."""
    shift = 10 * np.abs(VALUES).max()
    shifted = operator_of(lambda V: (VALUES + shift)[:, None] * V, N)
    assert list(lanczos(shifted, START, STEPS))[-1].passes < 0.35 * STEPS  # with their sum: 0.45


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_ends_are_eigenvalues_and_come_once(kind):
    """80 steps find the outliers beyond 30 to rounding (100 eps: 80 additions); each node of that size is one of them."""
    exact, (nodes, _) = np.sort(VALUES), run_in(kind).ritz()
    far = exact[np.abs(exact) > 30.0]
    assert len(far) > 20
    near = [np.abs(nodes - x).min() for x in far]
    ends = np.concatenate((far[:5], far[-5:]))
    found = np.concatenate((nodes[:5], nodes[-5:]))
    np.testing.assert_allclose(found, ends, rtol=0, atol=100 * np.finfo(kind).eps * np.abs(VALUES).max())
    assert len(near) == len(far)


def test_t_is_what_the_basis_makes_of_h():
    """The three-term recurrence, column by column: H V = V T + rest e_m^T to the semi-orthogonality that is kept, sqrt(eps)."""
    run = run_in(np.float64)
    T = np.diag(run.alphas) + np.diag(run.betas[:-1], 1) + np.diag(run.betas[:-1], -1)
    gap = run.basis * VALUES - T @ run.basis
    assert np.abs(gap[:-1]).max() < 1e-7 * np.abs(VALUES).max()
    assert np.linalg.norm(gap[-1]) == pytest.approx(run.betas[-1], rel=1e-6)


def test_every_step_can_be_looked_at():
    """The run grows by one step a time and later steps leave earlier numbers alone."""
    seen = [(len(run.alphas), len(run.betas), run.alphas[0]) for run in lanczos(operator_in(np.float64), START, 5)]
    assert [row[:2] for row in seen] == [(k, k) for k in range(1, 6)]
    assert len({row[2] for row in seen}) == 1
