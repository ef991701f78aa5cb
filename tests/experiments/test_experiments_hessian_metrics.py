"""The quadratics on which diagonal preconditioners are compared, and whether a wrong preconditioner would be noticed."""

import numpy as np
import pytest

from sandbox.curvature.preconditioning import condition, gain
from sandbox.problems.spectra import log_spaced


@pytest.fixture
def file(module):
    one = module["hessian_metrics_on_quadratics"]
    one.measured.cache_clear()
    yield one
    one.measured.cache_clear()


def test_turning_keeps_the_eigenvalues_and_takes_the_diagonal_away(file):
    """tau falls from 1 with the turn; eigenvalues to 1e-9 of the smallest, which is 1e-3 of the largest."""
    taus = []
    for turn in (0.0, 0.1, 0.3, 1.0):
        setting = file.Turned(10, 1e3, turn)
        H = file.hessian(setting, 3)
        np.testing.assert_allclose(np.linalg.eigvalsh(H), log_spaced(10, low=1.0, high=1e3), rtol=1e-9)
        taus.append(file.measured(setting, 3)["tau"])
    assert taus[0] == pytest.approx(1.0, abs=1e-14)
    assert all(a > b for a, b in zip(taus, taus[1:], strict=False))
    assert file.measured(file.Turned(10, 1e3, 0.0), 3)["jacobi"] == pytest.approx(1e-3, rel=1e-9)


def test_three_coordinates_on_paper(file):
    """diag(8, 8, 3): 2 beside 8.5 +- 6.5, kappa 15 / 2; unit diagonal: 0.25 beside 1.375 + sqrt(0.375^2 + 0.5)."""
    H = file.hessian(file.TRIANGLE, 0)
    assert condition(H) == pytest.approx(7.5, rel=1e-12)
    assert np.diag(H).tolist() == pytest.approx([8.0, 8.0, 3.0], rel=1e-14)
    kappa = (1.375 + (0.375**2 + 0.5) ** 0.5) / 0.25
    assert file.measured(file.TRIANGLE, 0)["jacobi"] == pytest.approx(kappa / 7.5, rel=1e-12)


def test_a_wrong_diagonal_is_noticed(file, claim, monkeypatch, verdict_of):
    """H_ii in the place of 1 / H_ii makes a nearly diagonal H worse by far: the claim is then violated."""
    one, setting = claim["hessian.jacobi"], file.Turned(10, 1e3, 0.1)
    assert verdict_of(one, setting, range(8)).outcome.name == "HOLDS"
    right = file.gains
    monkeypatch.setattr(file, "gains", lambda H, g, labels: {**right(H, g, labels), "jacobi": gain(H, np.diag(H))})
    file.measured.cache_clear()
    assert verdict_of(one, setting, range(8)).outcome.name == "VIOLATED"
