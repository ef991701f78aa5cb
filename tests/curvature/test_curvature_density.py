"""Gauss rules and densities against exact spectra, direct moments, and curvlinops where two vectors are enough."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator
from scipy.stats import norm

from sandbox.curvature.density import TAILS, Density, lanczos_rule, spectral_density
from sandbox.curvature.probes import operator_of
from sandbox.draws import generator, normal

N = 60
BASIS = np.linalg.qr(normal((N, N), generator(21)).numpy())[0]
VALUES = np.sort(np.concatenate((np.linspace(-1.0, 1.0, N - 3), [3.0, 10.0, 40.0])))  # a bulk and outliers, as Hessians have
H = (BASIS * VALUES) @ BASIS.T
START = normal((N,), generator(22)).numpy()
TOP = 40.0


OUTLIERS = [30.0, 100.0, 300.0, 1000.0]


@pytest.mark.parametrize("steps", [1, 2, 5, 9])
def test_rule_integrates_polynomials_up_to_degree_2m_minus_1(steps):
    """v^T H^k v by plain products; 1e-10 of |H|^k for rounding. Degree 2 m is missed by prod beta^2 > 0, far above that."""
    x, w = lanczos_rule(aslinearoperator(H), START, steps)
    left, v = START / np.linalg.norm(START), START / np.linalg.norm(START)
    for power in range(2 * steps):
        assert w @ x**power == pytest.approx(left @ v, abs=1e-10 * TOP**power)
        v = H @ v
    if steps < 5:  # later ones miss by less than rounding of the outlier's power
        assert abs(w @ x ** (2 * steps) - left @ v) > 1e-6 * TOP ** (2 * steps)


def test_all_steps_give_all_eigenvalues_and_the_start_in_their_basis():
    """n steps see everything: nodes = eigenvalues, weights = squared coordinates. Without reorthogonalisation outliers come twice."""
    x, w = lanczos_rule(aslinearoperator(H), START, N)
    np.testing.assert_allclose(x, VALUES, atol=1e-11 * TOP)
    np.testing.assert_allclose(w, np.square(BASIS.T @ START) / np.square(START).sum(), atol=1e-9)


def test_more_steps_than_rows_cost_nothing():
    """A trillion steps would need 480 TB for the basis; there are no more than n."""
    assert spectral_density(aslinearoperator(H), n_steps=10**12, n_probes=2).n_products == 2 * N


@pytest.mark.parametrize("bulk", [np.linspace(-1.0, 1.0, 196), 1.0 + np.linspace(0.0, 1e-7, 196)], ids=["wide", "narrow"])
def test_no_ghosts_after_many_steps(bulk):
    """150 steps: each node of an outlier's size is one of the four outliers, once, with the weight that the start gives it.

    With two vectors kept the outliers come dozens of times; with one orthogonalisation, nodes beyond the norm over the narrow one.
    """
    values, start = np.concatenate((bulk, OUTLIERS)), normal((200,), generator(23)).numpy()
    x, w = lanczos_rule(operator_of(lambda V: values[:, None] * V, 200), start, 150)
    np.testing.assert_allclose(x[x > 2.0], OUTLIERS, rtol=1e-12)
    np.testing.assert_allclose(w[x > 2.0], np.square(start[-4:]) / np.square(start).sum(), rtol=1e-8)


def test_a_closed_krylov_space_ends_the_run():
    """Three distinct eigenvalues: three steps, whatever was asked for, and an exact rule; 0 and the identity take one."""
    values = np.repeat([-2.0, 1.0, 5.0], 20)
    found = spectral_density(operator_of(lambda V: values[:, None] * V, N), n_steps=30, n_probes=2)
    assert found.n_products == 6
    for x in found.nodes:
        np.testing.assert_allclose(x, [-2.0, 1.0, 5.0], atol=1e-12)
    for matrix in (np.zeros((N, N)), 3.0 * np.eye(N)):
        x, w = lanczos_rule(aslinearoperator(matrix), START, 30)
        assert len(x) == 1 and x[0] == pytest.approx(matrix[0, 0], abs=1e-14) and w[0] == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("power", [0, 1, 2, 3, 4])
def test_moments_are_unbiased_for_the_exact_traces(power):
    """200 probes; 4 own standard errors (1 in 16,000). Powers 0 is exact, since the weights sum to 1."""
    found = spectral_density(aslinearoperator(H), n_steps=4, n_probes=200, seed=4).moment(power)
    assert abs(found.value - np.mean(VALUES**power)) <= 4.0 * found.standard_error + 1e-12
    assert found.n_products == 800


def test_logarithm_of_a_positive_spectrum():
    """(1/n) log det, which no short polynomial is: 20 steps resolve log on [1, 10] to 1e-9, so the error is that of the probes."""
    values = np.linspace(1.0, 10.0, N)
    found = spectral_density(aslinearoperator((BASIS * values) @ BASIS.T), n_steps=20, n_probes=100, seed=1).mean_of(np.log)
    assert abs(found.value - np.mean(np.log(values))) <= 4.0 * found.standard_error
    assert found.standard_error < 0.02


def test_shares_of_a_spectrum_of_two_values():
    values = np.repeat([-1.0, 2.0], [15, 45])
    found = spectral_density(aslinearoperator((BASIS * values) @ BASIS.T), n_steps=5, n_probes=200, seed=2).share_below(0.0)
    assert abs(found.value - 0.25) <= 4.0 * found.standard_error
    assert found.standard_error < 0.01


def test_smoothed_density_is_the_smoothed_spectrum():
    """All steps taken, so only probes err: 20 widely spaced points of the exact sum of bumps within 4.5 own standard errors."""
    density = spectral_density(aslinearoperator(H), n_steps=N, n_probes=40, seed=6)
    curve = density.smoothed(bandwidth=0.05, n_points=20)
    exact = norm.pdf(curve.grid[:, None], VALUES, curve.sigma).mean(axis=1)
    assert (np.abs(curve.mean - exact) <= 4.5 * curve.standard_error + 1e-12).all()
    assert curve.standard_error.max() < 0.5 * exact.max()


def test_error_of_a_curve_is_that_of_a_mean_over_probes():
    """Two probes a and b: mean (a + b) / 2, standard error |a - b| / 2, which is (|a - b| / sqrt 2) / sqrt 2."""
    nodes, weights = np.array([0.0, 1.0]), (np.array([0.25, 0.75]), np.array([0.5, 0.5]))
    a, b = (Density((nodes, nodes), (w, w), 2, 4).smoothed(bandwidth=0.1) for w in weights)
    both = Density((nodes, nodes), weights, 2, 4).smoothed(bandwidth=0.1)
    assert not a.standard_error.any() and not b.standard_error.any()  # equal probes
    np.testing.assert_allclose(both.mean, (a.mean + b.mean) / 2, rtol=1e-12)  # rounding of sums of two
    np.testing.assert_allclose(both.standard_error, np.abs(a.mean - b.mean) / 2, rtol=1e-9, atol=1e-12)  # a difference of numbers of size 1


def test_bandwidth_is_relative_so_the_picture_is_scale_free():
    """Density of c H at c x is that of H at x over c; the width follows the range, 0.02 of it, and the mass is 1."""
    small, large = (
        spectral_density(aslinearoperator(c * H), n_steps=30, n_probes=4).smoothed(bandwidth=0.02, n_points=4001) for c in (1e-6, 1)
    )
    np.testing.assert_allclose(small.grid, 1e-6 * large.grid, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(small.mean * 1e-6, large.mean, rtol=1e-6, atol=1e-9 * large.mean.max())
    assert large.sigma == pytest.approx(0.02 * (VALUES[-1] - VALUES[0]), rel=1e-6)
    assert np.trapezoid(large.mean, large.grid) == pytest.approx(1.0, abs=2 * norm.sf(TAILS) + 1e-6)
    ends = (VALUES[0] - TAILS * large.sigma, VALUES[-1] + TAILS * large.sigma)
    assert (large.grid[0], large.grid[-1]) == pytest.approx(ends, rel=1e-4)  # outermost nodes after 30 steps


def test_agrees_with_curvlinops_before_orthogonality_is_lost(monkeypatch):
    """Eight steps from the same start; two vectors are enough as long as no eigenvalue has converged (bulk without outliers)."""
    pytest.importorskip("curvlinops")
    from curvlinops.papyan2020traces import spectrum

    bulk = (BASIS * np.linspace(-1.0, 1.0, N)) @ BASIS.T
    monkeypatch.setattr(spectrum, "randn", lambda *_, **__: torch.from_numpy(START.copy()))
    theirs, vectors = spectrum.fast_lanczos(torch.from_numpy(bulk), 8)
    x, w = lanczos_rule(aslinearoperator(bulk), START, 8)
    np.testing.assert_allclose(x, theirs.numpy(), atol=1e-12)
    np.testing.assert_allclose(w, np.square(vectors[0].numpy()), atol=1e-12)


def test_a_seed_repeats_and_another_differs():
    a, b, c = (spectral_density(aslinearoperator(H), n_steps=5, n_probes=2, seed=seed) for seed in (0, 0, 1))
    assert (a.nodes[0] == b.nodes[0]).all() and (a.nodes[0] != c.nodes[0]).any() and (a.nodes[0] != a.nodes[1]).any()


def test_refusals():
    with pytest.raises(ValueError, match="n_steps >= 1, got 0"):
        spectral_density(aslinearoperator(H), n_steps=0)
    with pytest.raises(ValueError, match="n_probes >= 2, got 1"):
        spectral_density(aslinearoperator(H), n_probes=1)
    with pytest.raises(ValueError, match="bandwidth > 0, n_points >= 2 .* got bandwidth 0"):
        spectral_density(aslinearoperator(H), n_steps=3, n_probes=2).smoothed(bandwidth=0)
    with pytest.raises(ValueError, match="eigenvalues from 3 to 3"):
        spectral_density(aslinearoperator(3.0 * np.eye(4)), n_steps=3, n_probes=2).smoothed()
