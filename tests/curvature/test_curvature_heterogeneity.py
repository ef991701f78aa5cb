"""Jensen-Shannon distances between spectra: properties of the divergence, an integral by other means, and what the choices do."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.sparse.linalg import aslinearoperator
from scipy.special import rel_entr
from scipy.stats import norm

from sandbox.curvature.density import spectral_density
from sandbox.curvature.heterogeneity import Spectrum, exact, heterogeneity, jensen_shannon, quadrature

LN2 = float(np.log(2.0))


def spectrum(*nodes: float) -> Spectrum:
    return Spectrum(np.array(nodes), np.full(len(nodes), 1.0 / len(nodes)))


def rotated(eigenvalues, seed: int) -> np.ndarray:
    n = len(eigenvalues)
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    return (Q * eigenvalues) @ Q.T


def distributions() -> list[np.ndarray]:
    """Three of four entries each: sparse, uneven and even ones."""
    rng = np.random.default_rng(0)
    return [tuple(rng.dirichlet(np.full(4, 10.0 ** rng.uniform(-3, 2)), 3)) for _ in range(300)]


def test_divergence_is_symmetric_bounded_and_its_root_a_metric():
    for p, q, r in distributions():
        d = jensen_shannon(p, q)
        assert 0.0 <= d <= LN2 * (1 + 1e-12)
        assert d == pytest.approx(jensen_shannon(q, p), rel=1e-12, abs=1e-15)
        assert jensen_shannon(p, p) == 0.0
        assert d**0.5 <= jensen_shannon(p, r) ** 0.5 + jensen_shannon(r, q) ** 0.5 + 1e-7  # root of a rounding of 1e-15
        m = (p + q) / 2
        assert d == pytest.approx((rel_entr(p, m) + rel_entr(q, m)).sum() / 2, abs=1e-15)  # SciPy's, natural logarithm too


def test_equal_spectra_have_distance_zero_and_disjoint_ones_ln_2():
    found = heterogeneity({"a": spectrum(0, 1), "b": spectrum(1, 0), "c": spectrum(50, 60)}, sigma=0.01, width="absolute")
    np.testing.assert_allclose(found.divergence, LN2 * np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]]), rtol=1e-12, atol=1e-14)
    assert found.mean_divergence == pytest.approx(LN2 * 2 / 3, rel=1e-12)
    assert found.mean_distance == pytest.approx(LN2**0.5 * 2 / 3, rel=1e-12)
    assert found.names == ("a", "b", "c")


@pytest.mark.parametrize("gap", [0.5, 2.0, 4.0])
def test_two_normals_against_adaptive_quadrature(gap):
    """Nodes 0 and `gap` at sigma 1; 2e-3: a bump is cut at 4 sigma and a node shared by two grid points, 1/8 sigma apart."""

    def integrand(x):
        p, q = norm.pdf(x), norm.pdf(x - gap)
        m = (p + q) / 2
        return 0.5 * (p * np.log(p / m) + q * np.log(q / m))

    truth, _ = quad(integrand, -8, 8 + gap)
    found = heterogeneity({"a": spectrum(0.0), "b": spectrum(gap)}, sigma=1.0, width="absolute")
    assert found.divergence[0, 1] == pytest.approx(truth, rel=2e-3)


def test_scale_free_is_blind_to_the_scale_of_a_block_and_raw_is_not():
    """Powers of two change no digit of a node over its scale."""
    a, b = exact(rotated(np.linspace(1, 5, 20), 0)), exact(rotated(np.geomspace(0.1, 3, 20), 1))
    wider = Spectrum(1024.0 * b.nodes, b.weights)
    for axis in ("linear", "log"):
        for scale in ("top", "rms", "trace"):
            before, after = (heterogeneity({"a": a, "b": x}, sigma=0.05, scale=scale, axis=axis) for x in (b, wider))
            assert after.divergence[0, 1] == before.divergence[0, 1] > 0.01
            assert heterogeneity({"b": b, "wider": wider}, sigma=0.05, width="absolute", scale=scale, axis=axis).mean_divergence == 0.0
        raw = heterogeneity({"b": b, "wider": wider}, sigma=0.05, axis=axis)
        assert raw.mean_divergence > 0.1


def test_raw_and_relative_is_blind_to_one_scale_for_all():
    a, b = spectrum(1, 2, 3), spectrum(2, 4, 9)
    times = [Spectrum(64.0 * one.nodes, one.weights) for one in (a, b)]
    small = heterogeneity({"a": a, "b": b}, sigma=0.02)
    large = heterogeneity({"a": times[0], "b": times[1]}, sigma=0.02)
    assert large.divergence[0, 1] == small.divergence[0, 1]
    assert large.sigma == 64.0 * small.sigma == pytest.approx(64.0 * 0.02 * 8.0, rel=1e-14)


def test_an_absolute_width_hides_small_blocks_from_one_another():
    """Spectra of 1e-6 and 1e-4, the second 100 times the first: alike under sigma 0.003, different over their own range."""
    a, b = spectrum(*(1e-6 * np.arange(1, 9))), spectrum(*(1e-4 * np.geomspace(1e-3, 1, 8)))
    assert heterogeneity({"a": a, "b": b}, sigma=0.003, width="absolute").mean_divergence < 1e-3
    assert heterogeneity({"a": a, "b": b}, sigma=0.02, scale="top").mean_divergence > 0.05


def test_divergence_falls_as_the_width_grows():
    """Smoothing both with one kernel can only lose information (data processing)."""
    a, b = spectrum(1, 2, 5), spectrum(1.5, 4, 4.5)
    values = [heterogeneity({"a": a, "b": b}, sigma=s, width="absolute").mean_divergence for s in (0.01, 0.1, 0.3, 1.0, 3.0)]
    assert values[0] == pytest.approx(LN2, rel=1e-12)
    assert all(x > y for x, y in zip(values, values[1:], strict=False))


def test_three_scales_on_paper():
    one = spectrum(-2.0, 1.0, 4.0)
    assert one.over("top").nodes.tolist() == [-0.5, 0.25, 1.0]
    assert one.over("rms").nodes.tolist() == pytest.approx((np.array([-2, 1, 4]) / 7**0.5).tolist(), rel=1e-15)
    assert Spectrum(2.0 * one.nodes, one.weights).over("trace").nodes.tolist() == [-2.0, 1.0, 4.0]
    assert one.over("none").nodes.tolist() == [-2.0, 1.0, 4.0]


def test_log_axis_counts_decades_and_drops_signs():
    """Nodes 1 and -1 are one place; 1 and 100 are two decades apart, as far as 0 and 2 on a linear axis at the same sigma."""
    assert heterogeneity({"a": spectrum(1.0), "b": spectrum(-1.0)}, sigma=0.5, width="absolute", axis="log").mean_divergence == 0.0
    log = heterogeneity({"a": spectrum(1.0), "b": spectrum(100.0)}, sigma=0.5, width="absolute", axis="log")
    linear = heterogeneity({"a": spectrum(0.0), "b": spectrum(2.0)}, sigma=0.5, width="absolute")
    assert log.mean_divergence == pytest.approx(linear.mean_divergence, rel=1e-9)
    zero = heterogeneity({"a": spectrum(0.0), "b": spectrum(1e-12)}, sigma=0.1, width="absolute", axis="log")
    assert zero.mean_divergence == pytest.approx(LN2, rel=1e-6)  # 12 decades below the largest, which is 1e-12


def test_lanczos_in_the_place_of_all_eigenvalues():
    """60 steps on 60 rows: the nodes are all eigenvalues; 40 probes average their weights to 1/60 within a tenth: 0.01 of divergence."""
    H = {name: rotated(eigenvalues, 3) for name, eigenvalues in (("a", np.linspace(0, 1, 60)), ("b", np.linspace(0, 1, 60) ** 3))}
    dense = heterogeneity({name: exact(matrix) for name, matrix in H.items()}, sigma=0.05)
    probed = heterogeneity(
        {name: quadrature(spectral_density(aslinearoperator(matrix), n_steps=60, n_probes=40)) for name, matrix in H.items()}, sigma=0.05
    )
    assert probed.mean_divergence == pytest.approx(dense.mean_divergence, abs=0.01)
    three = quadrature(spectral_density(aslinearoperator(H["a"]), n_steps=9, n_probes=3))
    assert len(three.nodes) == len(three.weights) == 27 and three.weights.sum() == pytest.approx(1.0, rel=1e-12)
    assert dense.mean_divergence > 0.05


def test_refusals():
    two = {"a": spectrum(1.0, -3.0), "b": spectrum(2.0)}
    with pytest.raises(ValueError, match="needs two spectra, sigma > 0"):
        heterogeneity({"a": spectrum(1.0)}, sigma=0.1)
    with pytest.raises(ValueError, match="got 2, 0.0, 'relative' and 'linear'"):
        heterogeneity(two, sigma=0.0)
    with pytest.raises(ValueError, match="'trace' needs that to be positive, got -1"):
        heterogeneity(two, sigma=0.1, scale="trace")
    with pytest.raises(ValueError, match="sigma 1e-07 on a range of 5"):
        heterogeneity(two, sigma=1e-7, width="absolute")
    with pytest.raises(ValueError, match="sigma 0 on a range of 0"):
        heterogeneity({"a": spectrum(1.0), "b": spectrum(1.0)}, sigma=0.1)
    with pytest.raises(ValueError, match="scale must be one of"):
        heterogeneity(two, sigma=0.1, scale="median")
    with pytest.raises(ValueError, match="all of all blocks are"):
        heterogeneity({"a": spectrum(0.0), "b": spectrum(0.0)}, sigma=0.1, axis="log")
