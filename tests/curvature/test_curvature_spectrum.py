"""Ends of a spectrum against dense eigenvalues, and intervals that hold for a solver that stopped early."""

import numpy as np
import pytest
from scipy.sparse.linalg import aslinearoperator, eigsh

from sandbox.curvature import spectrum
from sandbox.curvature.probes import operator_of
from sandbox.curvature.spectrum import end_of_spectrum
from sandbox.draws import generator, normal

A = normal((80, 80), generator(31)).numpy()
H = A + A.T - 3.0 * np.eye(80)
EXACT = np.linalg.eigvalsh(H)
NORM = np.abs(EXACT).max()
OPERATOR = aslinearoperator(H)


@pytest.mark.parametrize(
    ("end", "expected"),
    [("largest", EXACT[::-1][:5]), ("smallest", EXACT[:5][::-1]), ("magnitude", np.sort(EXACT[np.argsort(-np.abs(EXACT))[:5]])[::-1])],
)
def test_ends_are_those_of_the_dense_matrix(end, expected):
    """1e-12 of the norm: the solver runs to machine precision, 80 additions a product. Both signs occur in the magnitudes."""
    found = end_of_spectrum(OPERATOR, 5, end=end)
    np.testing.assert_allclose(found.values, expected, atol=1e-12 * NORM)
    np.testing.assert_allclose(H @ found.vectors, found.vectors * found.values, atol=1e-11 * NORM)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=0), 1.0, rtol=1e-12)


def test_an_interval_holds_an_eigenvalue_when_the_solver_stops_early():
    """At tol = 0.5 the residuals are real, and each row still holds an eigenvalue: |H v - lambda v| >= the distance to the spectrum."""
    found = end_of_spectrum(OPERATOR, 4, tol=0.5)
    assert found.residuals.max() > 1e-6 * NORM
    for low, high in found.intervals():
        assert ((low <= EXACT) & (EXACT <= high)).any()
    np.testing.assert_allclose(found.intervals().mean(axis=1), found.values, rtol=1e-12)


WIDE = normal((3_000,), generator(32)).numpy() ** 3  # outliers of both signs, up to about 40
ENDS = {"largest": np.sort(WIDE)[::-1][:6], "smallest": np.sort(WIDE)[:6][::-1]}
ENDS["magnitude"] = np.sort(WIDE[np.argsort(-np.abs(WIDE))[:6]])[::-1]


@pytest.mark.parametrize("end", list(ENDS))
def test_to_a_tolerance_one_run_is_enough(end, monkeypatch):
    """Residuals below tol times the value (2: T is H on the basis to sqrt(eps) only), values to their squares, few products."""
    monkeypatch.setattr(spectrum, "eigsh", None)
    products = []
    operator = operator_of(lambda V: (products.append(V.shape[1]), WIDE[:, None] * V)[1], 3_000)
    found = end_of_spectrum(operator, 6, end=end, tol=1e-4)
    assert (found.residuals <= 2e-4 * np.abs(found.values)).all()
    np.testing.assert_allclose(found.values, ENDS[end], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=0), 1.0, rtol=1e-12)
    assert 6 < sum(products) < 8 * 6 + 20 + 6


def test_where_there_is_no_room_for_a_long_run_arpack_restarts(monkeypatch):
    """Half of 2 * 8 * 3,000 * 15 bytes holds 15 vectors, with which six values are not found to 1e-4."""
    asked = []
    monkeypatch.setattr(spectrum, "free_bytes", lambda: 2 * 8 * 3_000 * 15)
    monkeypatch.setattr(spectrum, "eigsh", lambda *a, **s: asked.append(s["tol"]) or eigsh(*a, **s))
    operator = operator_of(lambda V: WIDE[:, None] * V, 3_000)
    np.testing.assert_allclose(end_of_spectrum(operator, 6, tol=1e-4).values, ENDS["largest"], rtol=1e-6)
    assert asked == [1e-4]


def test_residuals_are_measured_not_reported(monkeypatch):
    """A solver that returns a wrong pair is found out: for lambda off by 1 on an exact vector the residual is 1."""
    exact = np.linalg.eigh(H)
    monkeypatch.setattr(spectrum, "eigsh", lambda *_, **__: (exact[0][-1:] + 1.0, exact[1][:, -1:]))
    assert end_of_spectrum(OPERATOR, 1).residuals[0] == pytest.approx(1.0, abs=1e-11 * NORM)


def test_a_seed_repeats():
    a, b = (end_of_spectrum(OPERATOR, 2, seed=3) for _ in range(2))
    np.testing.assert_array_equal(a.vectors, b.vectors)


def test_refusals(monkeypatch):
    for k, end in ((0, "largest"), (80, "largest"), (2, "middle")):
        with pytest.raises(ValueError, match=f"1 <= k < n and an end of .* got k = {k}, n = 80, end '{end}'"):
            end_of_spectrum(OPERATOR, k, end=end)

    def gives_up(*_, **__):
        raise spectrum.ArpackNoConvergence("%s %s", np.zeros(1), np.zeros((80, 1)))

    monkeypatch.setattr(spectrum, "eigsh", gives_up)
    with pytest.raises(ValueError, match="found 1 of 3 eigenvalues to a tolerance of 0.0"):
        end_of_spectrum(OPERATOR, 3)
