"""Signal-to-noise of second moments on paper, and the change of a step against closed forms of the gamma law."""

import numpy as np
import pytest
import torch
from scipy.special import gammaln

from sandbox.curvature.snr import along, change_of_step, mean_snr, snr
from sandbox.draws import generator, normal


def test_two_by_two_on_paper():
    """Rows (1, 3) and (2, 2): 4 / 1 and no spread; columns (1, 2) and (3, 2): 2.25 / 0.25 and 6.25 / 0.25."""
    v = torch.tensor([[1.0, 3.0], [2.0, 2.0]])
    rows, columns = along((2, 2), 1), along((2, 2), 0)
    np.testing.assert_array_equal(rows, [[0, 0], [1, 1]])
    np.testing.assert_array_equal(columns, [[0, 1], [0, 1]])
    np.testing.assert_allclose(snr(v, rows), [4.0, np.inf], rtol=1e-15)
    assert mean_snr(v, rows) == 4.0
    np.testing.assert_allclose(snr(v, columns), [9.0, 25.0], rtol=1e-14)
    assert mean_snr(v, columns) == pytest.approx(17.0, rel=1e-14)


def test_it_is_slim_adams_formula_along_axes():
    """E over the rest of (mean over K)^2 / var over K, written with torch's own mean and var, for a tensor of three axes."""
    v = normal((3, 4, 5), generator(0)).square()
    for axis in (0, 1, 2, -1):
        formula = (v.mean(axis) ** 2 / v.var(axis, correction=0)).mean()
        assert mean_snr(v, along((3, 4, 5), axis)) == pytest.approx(float(formula), rel=1e-12)


def test_gamma_law_has_its_shape_as_snr():
    """v gamma with shape k: mean k, variance k; 1e5 draws, 2 % is 3 standard errors of the ratio at k = 1."""
    for k in (1.0, 4.0, 100.0):
        v = np.random.default_rng(0).gamma(k, size=100_000)
        assert snr(v, np.zeros(100_000))[0] == pytest.approx(k, rel=0.025)


@pytest.mark.parametrize("cv", [0.1, 0.3, 0.5, 1.0])
def test_change_of_a_noisy_step_is_half_the_coefficient_of_variation(cv):
    """|m| = sqrt v, v gamma of shape k = 1 / cv^2: cosine = Gamma(k + 1/2) / (Gamma(k) sqrt k), distance^2 = 2 - 2 cosine.

    1e5 draws: 1 % is 3 standard errors. The prediction cv / 2 is off by O(cv^2): 5 % at cv = 1 (the law's own number).
    """
    k = cv**-2
    rng = np.random.default_rng(1)
    v = rng.gamma(k, size=100_000)
    found = change_of_step(rng.choice([-1.0, 1.0], 100_000) * np.sqrt(v), v, np.zeros(100_000))
    cosine = float(np.exp(gammaln(k + 0.5) - gammaln(k)) / k**0.5)
    assert found.cosine == pytest.approx(cosine, abs=0.004)
    assert found.distance == pytest.approx((2 - 2 * cosine) ** 0.5, rel=0.01)
    assert found.predicted == pytest.approx(cv / 2, rel=0.02)
    assert found.distance == pytest.approx(found.predicted, rel=0.08 * cv + 0.01)


def test_prediction_is_of_leading_order():
    """v = 1 + e s, s = +-1: distance^2 = (E sqrt(1 + e s)^2 - 2 E sqrt + 1); its gap to e / 2 falls 4 times or more when e halves."""
    s = np.tile([1.0, -1.0], 10)
    gaps = []
    for e in (0.2, 0.1, 0.05):
        v = 1.0 + e * s
        found = change_of_step(np.sqrt(v), v, np.zeros(20))
        assert found.predicted == pytest.approx(e / 2, rel=1e-12)
        gaps.append(abs(found.distance - found.predicted))
    assert gaps[0] / gaps[1] > 4.0 and gaps[1] / gaps[2] > 4.0


def test_equal_entries_and_single_entries_change_nothing():
    m, v = normal((6,), generator(2)).numpy(), np.array([2.0, 2.0, 2.0, 5.0, 5.0, 5.0])
    for second, labels in ((v, np.repeat([0, 1], 3)), (np.arange(1.0, 7.0), np.arange(6))):
        found = change_of_step(m, second, labels)
        assert (found.cosine, found.distance, found.predicted) == (pytest.approx(1.0, rel=1e-15), pytest.approx(0.0, abs=1e-15), 0.0)


def test_step_by_hand():
    """v = (1, 4, 16) with blocks {0, 1} and {2}, m = (2, 2, 4): Adam (2, 1, 1), shared sqrt 2.5: (2, 2) / sqrt 2.5 and 1."""
    found = change_of_step(np.array([2.0, 2.0, 4.0]), np.array([1.0, 4.0, 16.0]), np.array([0, 0, 1]))
    adam, mini = np.array([2.0, 1.0, 1.0]), np.array([2.0, 2.0, 2.5**0.5]) / 2.5**0.5
    assert found.cosine == pytest.approx(adam @ mini / np.linalg.norm(mini) / 6**0.5, rel=1e-14)
    assert found.distance == pytest.approx(np.linalg.norm(mini - adam) / 6**0.5, rel=1e-14)
    assert found.predicted == pytest.approx(0.5 * (2 * 2.25 / 2.5**2 / 3) ** 0.5, rel=1e-14)


def test_entries_without_a_gradient_stand_still():
    with_zero = change_of_step(np.array([1.0, 2.0, 0.0]), np.array([1.0, 4.0, 0.0]), np.zeros(3))
    assert with_zero.cosine == pytest.approx(3 / 10**0.5, rel=1e-14)  # (1, 1) against (1, 2) up to a factor
    assert np.isnan(snr(np.zeros(3), np.zeros(3))[0])


def test_refusals():
    with pytest.raises(ValueError, match=">= 0, got a smallest of -1"):
        snr(np.array([-1.0, 2.0]), np.zeros(2))
    with pytest.raises(ValueError, match="got 1 first and 2 second moments"):
        change_of_step(np.ones(1), np.ones(2), np.zeros(2))
    with pytest.raises(ValueError, match="none of 2 entries has"):
        change_of_step(np.zeros(2), np.ones(2), np.zeros(2))
    with pytest.raises(ValueError, match=r"axis 2 needs a tensor with that axis, got the shape \(3, 4\)"):
        along((3, 4), 2)
