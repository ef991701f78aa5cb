"""Sums and least values of squared gradients, with and without noise, against runs that know no formula."""

import numpy as np
import pytest

from sandbox.theory import gradient_descent as theory
from sandbox.theory.base import OutOfScope

L = 2.0


def smooth_waves(rng, n, terms=4):
    """n functions sum_i a_i cos(c_i w + o_i) + L w^2 / 8 with |f''| <= L: nonconvex, bounded below; (loss, gradient)."""
    c, o = 10 ** rng.uniform(-0.5, 1, (n, terms)), rng.uniform(0, 7, (n, terms))
    a = 0.75 * L / terms / c**2 * rng.uniform(0.5, 1, (n, terms))
    loss = lambda w: (a * np.cos(c * w[:, None] + o)).sum(1) + L / 8 * w**2  # noqa: E731
    return loss, lambda w: -(a * c * np.sin(c * w[:, None] + o)).sum(1) + L / 4 * w


def path(gradient, w, t, K):
    """Points (K + 1, n) and their squared gradients."""
    points = [w]
    for _ in range(K):
        points.append(points[-1] - t / L * gradient(points[-1]))
    return np.stack(points), np.stack([gradient(w) ** 2 for w in points])


def lowest(loss, n):
    """Least value of each function on a grid over [-30, 30]; its spacing of 1e-2 costs at most L 1e-4 / 8."""
    return np.min([loss(np.full(n, w)) for w in np.linspace(-30, 30, 6001)], axis=0)


@pytest.mark.parametrize(("t", "K"), [(0.5, 8), (1.0, 5), (1.6, 5), (1.9, 3)])
def test_no_random_wave_is_above_any_of_the_bounds(t, K):
    n, rng = 200, np.random.default_rng(21)
    loss, gradient = smooth_waves(rng, n)
    points, squares = path(gradient, rng.uniform(-8, 8, n), t, K)
    gap, decrease = loss(points[0]) - lowest(loss, n), loss(points[0]) - loss(points[-1])
    at = {"L": L, "lr": t / L, "K": K}
    assert (squares[:-1].sum(0) / gap).max() <= theory.gradient_sum_from_gap.at(**at, Delta0=1.0)
    over, from_gap = (
        (theory.gradient_min_long, theory.gradient_min_long_from_gap) if t * t > 3 else (theory.gradient_min, theory.gradient_min_from_gap)
    )
    assert (squares.min(0) / decrease).max() <= over.at(**at)
    assert (squares.min(0) / gap).max() <= from_gap.at(**at, Delta0=1.0)


def zigzag(t, K):
    """L = 1: f' = 1 - distance to the nearest of 0, -t, -2t, ... -K t, and falls to 0 below; (grid, f', f)."""
    w = np.linspace(-K * t - 1, 0.0, 400_001)
    slope = 1 - np.abs(w - t * np.clip(np.round(w / t), -K, 0))
    return w, slope, np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(w))])


@pytest.mark.parametrize(("t", "K"), [(0.25, 4), (1.0, 3)])
def test_a_zigzag_integrated_numerically_attains_the_least_gradient(t, K):
    """All K + 1 iterates have slope 1; the trapezoid rule is exact up to the kinks that fall between grid points: 1e-8."""
    w, slope, f = zigzag(t, K)
    iterate, seen = 0.0, []
    for _ in range(K + 1):
        seen.append(np.interp(iterate, w, slope))
        iterate -= t * seen[-1]
    last = iterate + t * seen[-1]
    decrease = f[-1] - np.interp(last, w, f)
    at = {"L": 1.0, "lr": t, "K": K}
    assert seen == pytest.approx([1.0] * (K + 1), rel=1e-5)
    assert theory.gradient_min.at(**at) * decrease == pytest.approx(1.0, rel=1e-4)
    assert theory.gradient_min_from_gap.at(**at, Delta0=f[-1] - f[0]) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("t", [1.8, 1.99])
def test_one_long_step_on_the_quadratic_attains_the_long_form(t):
    decrease, after = L / 2 * (1 - (1 - t) ** 2), (L * (1 - t)) ** 2
    at = {"L": L, "lr": t / L, "K": 1}
    assert theory.gradient_min_long.at(**at) * decrease == pytest.approx(after, rel=1e-12)
    assert theory.gradient_min_long_from_gap.at(**at, Delta0=L / 2) == pytest.approx(after, rel=1e-12)


def test_the_two_forms_meet_at_sqrt_3_and_neither_goes_on():
    edge = {"L": 1.0, "lr": 3**0.5, "K": 4}
    just_below, just_above = edge | {"lr": edge["lr"] * (1 - 1e-12)}, edge | {"lr": edge["lr"] * (1 + 1e-12)}
    assert theory.gradient_min.at(**just_below) == pytest.approx(theory.gradient_min_long.at(**just_above), rel=1e-9)
    with pytest.raises(OutOfScope, match="requires"):
        theory.gradient_min.at(**just_above)
    with pytest.raises(OutOfScope, match="requires"):
        theory.gradient_min_long.at(**just_below)


def test_at_one_over_L_the_least_gradient_costs_four_thirds_and_not_two():
    at = {"L": 3.0, "lr": 1 / 3.0, "K": 6}
    assert theory.gradient_min.at(**at) == pytest.approx(3 * 4 / 18, rel=1e-12)  # 4 L / (3 K)
    assert theory.gradient_min_from_gap.at(**at, Delta0=1.0) == pytest.approx(3 * 4 / 20, rel=1e-12)  # 4 L / (3 K + 2)
    assert theory.gradient_sum.at(L=3.0, lr=1 / 3.0) / 6 == pytest.approx(1.0, rel=1e-12)  # 2 L / K
