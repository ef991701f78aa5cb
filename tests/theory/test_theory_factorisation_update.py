"""The factored update: its bounds against the update written out in numpy, on random and on optimised gradients."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from sandbox.theory import factored_update as bounds


def first_update(g):
    """g / sqrt(V1), V1 from the row means and column means of g^2, before clipping."""
    q = g**2
    return g / np.sqrt(q.mean(1, keepdims=True) * q.mean(0) / q.mean())


def rms(x):
    return math.sqrt(np.mean(np.square(x)))


def cosine(a, b):
    return float((a * b).sum() / math.sqrt((a**2).sum() * (b**2).sum()))


def test_the_angle_holds_for_any_state_and_a_search_finds_nothing_below_it():
    rng, worst = np.random.default_rng(1), math.inf
    for _ in range(500):
        r, c = 10 ** rng.uniform(-2, 2, 4), 10 ** rng.uniform(-2, 2, 3)
        V, g = np.outer(r, c), rng.standard_normal((4, 3)) * 10 ** rng.uniform(-3, 3, (4, 3))
        spread = math.sqrt(r.max() * c.max() / (r.min() * c.min()))
        worst = min(worst, cosine(g, g / np.sqrt(V)) / bounds.angle.at(spread=spread))
    assert worst >= 1 - 1e-12
    V = np.geomspace(1, 1e-4, 6)  # spread 100
    slant = lambda z: cosine(np.exp(z), np.exp(z) / np.sqrt(V))  # noqa: E731
    found = min(minimize(slant, rng.standard_normal(6), bounds=[(-7, 7)] * 6).fun for _ in range(20))
    assert found == pytest.approx(bounds.angle.at(spread=100.0), rel=1e-4)  # the search stops at a slope of 1e-5


def test_the_first_step_on_two_diagonal_entries_attains_the_angle():
    g = np.diag([0.3, 2.0])
    u = np.diag(np.diag(g).__rtruediv__(math.sqrt(0.3**2 + 2.0**2)))  # |g| / g
    assert cosine(g, u) == pytest.approx(bounds.angle.at(spread=(2.0 / 0.3) ** 2), rel=1e-12)


@pytest.mark.parametrize(("m", "n"), [(1, 5), (2, 2), (3, 4)])
def test_the_rms_of_the_first_update_is_never_below_its_bound_and_a_search_comes_close(m, n):
    rng, limit = np.random.default_rng(2), bounds.first_rms.at(rows=m, cols=n)
    sizes = [rms(first_update(10 ** rng.uniform(-4, 4, (m, n)))) for _ in range(2000)]
    assert min(sizes) >= limit * (1 - 1e-12)
    cross = np.full((m, n), 1e-30)
    cross[0], cross[:, 0] = 1e-5, 1e-5
    cross[0, 0] = 1.0
    assert rms(first_update(cross)) == pytest.approx(limit, rel=1e-4)


def test_the_shortfall_through_eps1():
    x = 10.0 ** np.linspace(-6, 3, 200)  # eps1 / g^2
    short = 1 - 1 / np.sqrt(1 + x)
    limit = np.array([bounds.scale_shortfall.at(scale=float(value)) for value in x])
    assert (short <= limit).all() and short[0] == pytest.approx(limit[0], rel=1e-5)


@pytest.mark.parametrize(("n", "small", "large"), [(4, 1e-3, 1.0), (3, 0.5, 2.0), (5, 1.0, 1.0)])
def test_the_inverse_step_and_the_equal_shares(n, small, large):
    g = np.array([small] + [large] * (n - 1))
    u = np.linalg.norm(g) / g  # of g^2 on a diagonal: sqrt(S) / g
    u /= math.sqrt((u**2).sum()) / n
    at = {"size": n, "small": small, "large": large}
    assert bounds.inverse_step.at(**at) == pytest.approx(u[0], rel=1e-12)
    np.testing.assert_allclose(g * u, bounds.equal_share.at(**at), rtol=1e-12)


@pytest.mark.parametrize("flat", [1e-4, 1e-2])
def test_a_run_with_averages_stays_within_the_frozen_decrease(flat):
    """f = flat w_0 + sum h (w_k - 1)^2 / 2 on the diagonal of a matrix, 200 steps of lr s = 0.01, default memory."""
    h, w, lr_s, n = np.array([1.0, 10.0, 100.0]), np.array([0.0, 3, 3, 3]), 0.01, 4
    v = np.zeros(n)
    for t in range(1, 201):
        g = np.concatenate([[flat], h * (w[1:] - 1)])
        b = 1 - t**-0.8
        v = b * v + (1 - b) * g**2  # row and column sums of the matrix, both
        u = g * math.sqrt(v.sum()) / v
        w = w - lr_s * u / max(1.0, math.sqrt((u**2).sum()) / n)
    lost = h * 2.0**2 / 2 - h * (w[1:] - 1) ** 2 / 2
    limit = bounds.frozen_decrease.at(size=n, flat=flat, length=200 * lr_s)
    assert (lost <= limit).all() and (lost >= 0.9 * limit * (1 - flat)).all()
