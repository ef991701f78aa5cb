"""The probed diagonal against the exact one, its closed variance, and curvlinops on the same draws."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.diagonal import diagonal
from sandbox.curvature.probes import signs
from sandbox.draws import generator, normal

A = normal((12, 12), generator(5)).numpy()
H = A + A.T + np.diag(np.arange(12.0))
OPERATOR = aslinearoperator(H)


def test_unbiased_entry_by_entry():
    """2000 probes, 12 entries: all within 4 own standard errors (1 in 1,300 by chance)."""
    found = diagonal(OPERATOR, n_probes=2000, seed=1)
    assert np.abs((found.value - np.diag(H)) / found.standard_error).max() < 4.0
    assert found.n_products == 2000


def test_standard_error_is_that_of_the_closed_variance():
    """sqrt(sum_{j != i} H_ij^2 / m); a standard deviation from 2000 samples is known to 1.6 %, 5 of them are 8 %."""
    found = diagonal(OPERATOR, n_probes=2000, seed=2)
    off = np.square(H - np.diag(np.diag(H))).sum(axis=1)
    np.testing.assert_allclose(found.standard_error, np.sqrt(off / 2000), rtol=0.08)


def test_running_moments_are_those_of_the_stored_samples():
    found, Z = diagonal(OPERATOR, n_probes=7, seed=3, chunk=3), signs(12, range(7), 3)
    samples = Z * (H @ Z)
    np.testing.assert_allclose(found.value, samples.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.standard_error, samples.std(axis=1, ddof=1) / 7**0.5, rtol=1e-12)


def test_a_diagonal_matrix_is_exact():
    found = diagonal(aslinearoperator(np.diag(np.arange(5.0))), n_probes=2)
    np.testing.assert_array_equal(found.value, np.arange(5.0))
    np.testing.assert_array_equal(found.standard_error, 0.0)


def test_agrees_with_curvlinops_on_the_same_draws(monkeypatch):
    curvlinops = pytest.importorskip("curvlinops")
    from curvlinops.diagonal import hutchinson as module

    columns = iter(signs(12, range(8), 0).T)
    monkeypatch.setattr(module, "random_vector", lambda *_: torch.from_numpy(next(columns).copy()))
    theirs = curvlinops.hutchinson_diag(torch.from_numpy(H), 8).numpy()
    np.testing.assert_allclose(diagonal(OPERATOR, n_probes=8).value, theirs, rtol=0, atol=1e-13 * np.abs(H).sum())


def test_one_probe_is_refused():
    with pytest.raises(ValueError, match="n_probes >= 2, got 1"):
        diagonal(OPERATOR, n_probes=1)
