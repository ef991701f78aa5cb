"""The sharp bias against linear programs over all cubics, quadrature, and a search over eps: none of them knows the formulas."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import linprog, minimize_scalar

from sandbox.theory import zeroth_order_bias as zo
from sandbox.theory.base import OutOfScope

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def laplacian_slope(powers):
    """d/dx_0 of the Laplacian of the cubic monomial with these powers."""
    total = 0
    for axis in range(len(powers)):
        counts, value = list(powers), 1
        for direction in (axis, axis, 0):
            value *= counts[direction]
            counts[direction] -= 1
        total += value if min(counts) >= 0 else 0
    return total


def largest_slope(d, points):
    """max of |grad Laplacian f| / L2 over the cubics with |D^3 f[u, u, u]| = 6 |f(u)| <= 1 at given unit vectors: a linear program."""
    monomials = [p for p in itertools.product(range(4), repeat=d) if sum(p) == 3]
    table = 6 * np.stack([np.prod(points ** np.array(p), axis=1) for p in monomials], 1)
    gain = [-laplacian_slope(p) for p in monomials]
    solved = linprog(gain, A_ub=np.vstack([table, -table]), b_ub=np.ones(2 * len(points)), bounds=(None, None))
    return -solved.fun


def circle(n):
    angle = np.linspace(0, np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def fibonacci_sphere(n):
    z = 1 - (2 * np.arange(n) + 1) / n
    angle = np.pi * (1 + math.sqrt(5)) * np.arange(n)
    return np.stack([np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z], 1)


@pytest.mark.parametrize(("d", "points", "rel"), [(2, circle(801), 1e-4), (3, fibonacci_sphere(3000), 4e-3)])
def test_the_bias_is_the_largest_of_all_cubics(d, points, rel):
    """A grid of spacing h relaxes the constraints by about (3 h)^2 / 2 of a cubic's extremum: 7e-5 and 3e-3 here, upwards."""
    sharp = zo.low_dimensional_bias.at(eps=1.0, L2=1.0, d=d)
    assert 0.5 * largest_slope(d, points) == pytest.approx(sharp, rel=rel)


@pytest.mark.parametrize("d", [4, 9, 10, 11, 40])
def test_and_of_all_cubics_around_an_axis(d):
    """p = a c - b c^3 on the sphere, c in [-1, 1]; the slope of the Laplacian of (a |x|^2 x_1 - b x_1^3) / 6 is (a (2 d + 4) - 6 b) / 6."""
    c = np.linspace(-1, 1, 2001)
    table = np.stack([c, -(c**3)], 1)
    solved = linprog([-(2 * d + 4) / 6, 1], A_ub=table, b_ub=np.ones(len(c)), bounds=(None, None))
    sharp = (zo.low_dimensional_bias if d <= 10 else zo.bias).at(eps=1.0, L2=1.0, d=d)
    assert -0.5 * solved.fun == pytest.approx(sharp, rel=2e-5)  # the grid relaxes by (3 * 1e-3)^2 / 2


def test_the_two_forms_meet_at_ten_dimensions():
    assert zo.bias.at(eps=0.3, L2=2.0, d=10) == pytest.approx(zo.low_dimensional_bias.at(eps=0.3, L2=2.0, d=10), rel=1e-14)
    with pytest.raises(OutOfScope, match="d >= 10"):
        zo.bias.at(eps=0.3, L2=2.0, d=9)


def two_point_bias(f, slope, eps, law="gaussian"):
    """E (f(eps z) - f(-eps z)) z_0 / (2 eps) - slope in two dimensions: Gauss-Hermite, or the circle of radius sqrt 2."""
    if law == "sphere":
        angle = (np.arange(64) + 0.5) * np.pi / 32
        z, weight = math.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], 1), np.full(64, 1 / 64)
    else:
        z = np.stack(np.meshgrid(NODES, NODES), -1).reshape(-1, 2)
        weight = np.outer(WEIGHTS, WEIGHTS).ravel()
    return float(weight @ ((f(eps * z) - f(-eps * z)) / (2 * eps) * z[:, 0])) - slope


def test_the_bias_of_quartics_and_its_share_on_the_sphere():
    """f = (1 + x)^4 / 4 + x y^2 / 2 at 0: grad Laplacian along x is 6 + 1, no, d/dx (3 (1 + x)^2 + x) = 7."""

    def f(z):
        return (1 + z[:, 0]) ** 4 / 4 + z[:, 0] * z[:, 1] ** 2 / 2

    exact = zo.quartic_bias.at(eps=0.7, curvature_slope=7.0)
    assert two_point_bias(f, 1.0, 0.7) == pytest.approx(exact, rel=1e-12)
    on_the_sphere = zo.sphere_quartic_bias.at(eps=0.7, curvature_slope=7.0, d=2)
    assert two_point_bias(f, 1.0, 0.7, "sphere") == pytest.approx(on_the_sphere, rel=1e-12)


@pytest.mark.parametrize("k", [(1.0, 0.0), (0.7, 1.9), (2.5, -1.0)])
def test_waves_stay_below_the_bias(k):
    """f = sin(k x): L2 = |k|^3, and every eps."""
    k = np.array(k)
    for eps in (0.05, 0.4, 1.0):
        found = two_point_bias(lambda z: np.sin(z @ k), k[0], eps)
        assert abs(found) <= zo.low_dimensional_bias.at(eps=eps, L2=np.linalg.norm(k) ** 3, d=2)
        assert zo.low_dimensional_bias.at(eps=eps, L2=1.0, d=2) < zo.classical_bias.at(eps=eps, L2=1.0, d=2)


def test_the_best_eps_against_a_search():
    d, n, c, s2 = 50, 2, 3.0, 1e-4
    found = minimize_scalar(lambda eps: eps**4 * c**2 / 4 + d * s2 / (2 * n * eps**2), bounds=(1e-3, 1.0), method="bounded")
    constants = {"d": d, "n": n, "curvature_slope": c, "loss_variance": s2}
    assert found.x == pytest.approx(zo.best_eps.at(**constants), rel=1e-4)
    assert found.fun == pytest.approx(zo.least_error.at(**constants), rel=1e-7)
