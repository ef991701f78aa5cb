"""The floor of two-point descent in many dimensions, by sampling in plain numpy."""

import math

import numpy as np
import pytest

from sandbox.theory import zeroth_order_floor, zeroth_order_rate


def sphere(rng, n, d):
    z = rng.standard_normal((n, d))
    return math.sqrt(d) * z / np.linalg.norm(z, axis=1, keepdims=True)


def floor(d, eps=1.0, L=1.0):
    return zeroth_order_floor.sphere_mean.at(L=L, d=d, K=1, Delta=0.0, eps=eps)


def signed_squares(y):
    """sum y_i |y_i| / 2: odd, curvature in [-1, 1]."""
    return (y * np.abs(y)).sum(1) / 2


def waves(y):
    """sin of a few directions: odd about 0, curvature at most sum of a_k |w_k|^2 = 1."""
    rng = np.random.default_rng(5)
    total = np.zeros(len(y))
    for _ in range(4):
        w = rng.standard_normal(y.shape[1]) / math.sqrt(y.shape[1])
        total += np.sin(y @ w) / (w @ w) / 4
    return total


@pytest.mark.parametrize("d", [2, 8, 50])
@pytest.mark.parametrize("f", [signed_squares, waves])
def test_the_mean_square_of_the_error_of_a_slope_is_below_the_floor(f, d):
    z = sphere(np.random.default_rng(0), 200_000, d)
    tiny = 1e-5 * np.eye(d)
    gradient = (f(tiny) - f(-tiny)) / 2e-5
    error = (f(z) - f(-z)) / 2 - z @ gradient
    seen, noise = (error**2).mean(), (error**2).std() / math.sqrt(len(z))
    assert seen + 4 * noise < floor(d)
    if f is signed_squares:  # E y_i^4 = 3 d / (d + 2), and the gradient at 0 is 0 up to 5e-6
        assert abs(seen - 3 * d**2 / (4 * (d + 2))) < 4 * noise + 1e-4
        assert seen > 0.12 * floor(d)  # of the order of the floor, at every d: 0.75 (d - 1) / (d + 2)


@pytest.mark.parametrize("d", [2, 5, 40])
def test_the_cone_stands_still_at_the_claimed_gradient_and_is_smooth(d):
    rng, eps, L = np.random.default_rng(1), 0.3, 2.0
    rho = eps * math.sqrt(d)

    def cone(y):
        return L * rho / 2 * y[:, 0] * (1 - np.linalg.norm(y, axis=1) / rho)

    z = sphere(rng, 1000, d)
    assert np.abs(cone(eps * z) - cone(-eps * z)).max() < 1e-12
    step = np.zeros((1, d))
    step[0, 0] = 1e-6
    slope = float((cone(step) - cone(-step))[0]) / 2e-6
    assert slope**2 == pytest.approx(zeroth_order_floor.standing_still.at(L=L, d=d, eps=eps), rel=1e-4)  # |y| / rho of the step
    y, v = rng.standard_normal((2, 2000, d))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    h = 1e-4
    curvature = (cone(y + h * v) + cone(y - h * v) - 2 * cone(y)) / h**2
    assert np.abs(curvature).max() < L * (1 + 1e-3)


def test_one_sided_differences_settle_where_they_should():
    """d = 9, eps = 0.5 on |x|^2 / 2: a mean over 400 runs and 300 steps, after 100 of relaxation 1 - 1/d."""
    rng, d, eps, x, total = np.random.default_rng(2), 9, 0.5, np.zeros((400, 9)), np.zeros(400)
    for k in range(400):
        z = sphere(rng, 400, d)
        slope = (((x + eps * z) ** 2).sum(1) - (x**2).sum(1)) / (2 * eps)
        x = x - slope[:, None] * z / d
        total += (x**2).sum(1) * (k >= 100) / 300
    expected = zeroth_order_floor.one_sided_floor.at(L=1.0, d=d, eps=eps)
    assert abs(total.mean() - expected) < 4 * total.std() / 20
    assert expected > 1.7 * floor(d, eps)


def test_it_is_lower_than_the_floor_of_the_largest_error_from_six_dimensions_on():
    old = {d: zeroth_order_rate.finite_eps.at(L=1.0, d=d, K=1, Delta=0.0, eps=1.0) for d in (4, 6, 1000)}
    assert old[4] < floor(4) and old[6] > floor(6) and old[1000] > 200 * floor(1000)
