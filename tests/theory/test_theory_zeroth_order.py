"""The moments of zeroth-order gradients against sampled directions in plain numpy, with their own standard errors."""

import math

import numpy as np
import pytest

from sandbox.theory import zeroth_order as zo
from sandbox.theory.base import OutOfScope

RUNS, D = 40_000, 6
G = np.array([2.0, -1.0, 0.5, 0.0, 1.0, 3.0])
H = np.diag([1.0, 2.0, 0.5, 3.0, 0.0, 1.5]) + 0.3
H[0, 3] = H[3, 0] = -0.8


def z_score(samples, expected):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def directions(law, rng, shape):
    if law == "rademacher":
        return rng.choice([-1.0, 1.0], shape)
    z = rng.standard_normal(shape)
    return z * math.sqrt(shape[-1]) / np.linalg.norm(z, axis=-1, keepdims=True) if law == "sphere" else z


def averaged(z):
    """(runs, n, d) directions -> (runs, d) estimates with exact slopes."""
    return ((z @ G)[..., None] * z).mean(1)


@pytest.mark.parametrize(
    ("law", "bound"),
    [("gaussian", zo.gaussian_second_moment), ("sphere", zo.sphere_second_moment), ("rademacher", zo.sphere_second_moment)],
)
@pytest.mark.parametrize("n", [1, 3])
def test_second_moments_of_three_laws(law, bound, n):
    ghat = averaged(directions(law, np.random.default_rng(n), (RUNS, n, D)))
    ratio = (ghat**2).sum(1) / (G @ G)
    expected = bound.at(d=D, n=n)
    assert abs(z_score(ratio, expected)) < 4 and abs(z_score(ratio, 1.05 * expected)) > 4
    assert abs(z_score(ghat @ G / (G @ G), 1.0)) < 4


def test_random_masks_scatter_more_than_counted_ones():
    rng = np.random.default_rng(1)
    z = rng.standard_normal((RUNS, 1, D))
    coins = rng.random((RUNS, 1, D)) < 0.5
    counted = rng.permuted(np.broadcast_to(np.arange(D) < 3, (RUNS, D)), axis=1)[:, None]
    for mask, expected in (
        (coins, zo.random_mask_second_moment.at(d=D, p=0.5)),
        (counted, zo.counted_mask_second_moment.at(d=D, kept=3)),
    ):
        ratio = (averaged(z * mask) ** 2).sum(1) / (0.25 * (G @ G))
        assert abs(z_score(ratio, expected)) < 4
    assert zo.random_mask_second_moment.at(d=D, p=0.5) == zo.counted_mask_second_moment.at(d=D, kept=3) + 1  # 1/p - 1


def test_a_one_sided_difference_adds_its_excess():
    rng, eps = np.random.default_rng(2), 0.7
    z = rng.standard_normal((10 * RUNS, D))
    slopes = z @ G, z @ G + eps / 2 * np.einsum("ri,ij,rj->r", z, H, z)
    central, one_sided = (((s[:, None] * z) ** 2).sum(1) for s in slopes)
    excess = zo.one_sided_excess.at(d=D, eps=eps, tr_H=np.trace(H), tr_HH=np.trace(H @ H))
    assert abs(z_score(one_sided - central, excess)) < 4


def test_noisy_losses_add_their_variance():
    rng, n, eps, s = np.random.default_rng(3), 2, 0.1, 0.3
    z = rng.standard_normal((RUNS, n, D))
    error = s * (rng.standard_normal((RUNS, n)) - rng.standard_normal((RUNS, n))) / (2 * eps)
    noisy = (((z @ G + error)[..., None] * z).mean(1) ** 2).sum(1)
    expected = zo.noise_excess.at(d=D, n=n, slope_variance=s**2 / (2 * eps**2))
    assert abs(z_score(noisy - (averaged(z) ** 2).sum(1), expected)) < 4


@pytest.mark.parametrize("n", [2, 3])
def test_orthogonal_directions_have_the_least_scatter(n):
    """n orthogonal directions of length sqrt d, in a Haar frame: the ratio is d/n for every gradient, and no law tried goes below."""
    rng = np.random.default_rng(4)
    frames = np.linalg.qr(rng.standard_normal((4000, D, n)))[0] * math.sqrt(D)
    P = frames @ np.swapaxes(frames, 1, 2) / n
    assert (P**2).sum((1, 2)) / D == pytest.approx(zo.least_scatter.at(d=D, n=n), rel=1e-12)
    assert abs(z_score(((P @ G) ** 2).sum(1) / (G @ G), zo.least_scatter.at(d=D, n=n))) < 4
    for law in ("gaussian", "sphere", "rademacher"):
        z = directions(law, rng, (4000, n, D))
        P = np.swapaxes(z, 1, 2) @ z / n
        gap = (P**2).sum((1, 2)) / D - zo.least_independent_scatter.at(d=D, n=n)
        assert np.mean(gap) > -4 * np.std(gap) / math.sqrt(4000)
        assert np.mean((P**2).sum((1, 2))) / D > zo.least_scatter.at(d=D, n=n)


def test_unbalanced_laws_scatter_more_than_the_least():
    """Entries of N(0, 1) with a common random length: E z z^T = I, but |z|^2 varies."""
    rng = np.random.default_rng(5)
    z = directions("sphere", rng, (RUNS, 1, D)) * np.sqrt(rng.choice([0.5, 1.5], (RUNS, 1, 1)))
    P = np.swapaxes(z, 1, 2) @ z
    assert np.mean((P**2).sum((1, 2))) / D == pytest.approx(1.25 * zo.least_independent_scatter.at(d=D, n=1), rel=0.02)  # E u^2 = 1.25


@pytest.mark.parametrize(("law", "bound"), [("gaussian", zo.gaussian_blocks), ("sphere", zo.sphere_blocks)])
def test_blocks_pay_for_their_own_size(law, bound):
    rng, B = np.random.default_rng(6), 3
    z = directions(law, rng, (RUNS, B, D // B))
    slopes = np.einsum("rbi,bi->rb", z, G.reshape(B, -1))
    ratio = ((slopes[..., None] * z) ** 2).sum((1, 2)) / (G @ G)
    assert abs(z_score(ratio, bound.at(d=D, B=B))) < 4


def test_outside_its_domain_a_bound_says_so():
    with pytest.raises(OutOfScope, match="n <= d"):
        zo.least_scatter.at(d=3, n=4)
