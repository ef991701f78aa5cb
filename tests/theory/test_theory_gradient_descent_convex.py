"""The last iterate on convex functions, against runs of plain gradient descent that know no formula."""

import numpy as np
import pytest

from sandbox.theory import gradient_descent_convex as convex
from sandbox.theory.base import OutOfScope

L = 2.0


def descend(gradient, w, t, K):
    for _ in range(K):
        w = w - t / L * gradient(w)
    return w


def huber(slope):
    """Curvature L up to the slope, straight beyond: (loss, gradient), both of arrays."""
    bend = slope / L
    loss = lambda w: np.where(np.abs(w) < bend, L * w**2 / 2, slope * np.abs(w) - slope * bend / 2)  # noqa: E731
    return loss, lambda w: np.clip(L * w, -slope, slope)


def worst(t, K, R=1.5):
    """Largest last loss, squared gradient, and squared gradient over the first loss, of 200,001 Huber functions and L w^2 / 2."""
    slopes = L * R * np.geomspace(0.01, 1, 200_001)  # the last one is the quadratic
    loss, gradient = huber(slopes)
    start = np.full_like(slopes, R)
    end = descend(gradient, start, t, K)
    return loss(end).max(), (gradient(end) ** 2).max(), (gradient(end) ** 2 / loss(start)).max()


@pytest.mark.parametrize(("t", "K"), [(0.3, 1), (1.0, 4), (1.4, 1), (1.5, 2), (1.48, 9)])
def test_the_worst_huber_function_attains_all_three(t, K):
    """Slopes in ratios of 2.3e-5; beyond the best slope the squared gradient falls 2 K times as fast: 4e-4 for K = 9."""
    loss, gradient, share = worst(t, K)
    at = {"L": L, "lr": t / L, "K": K}
    assert loss == pytest.approx(convex.loss_from_distance.at(**at, R=1.5), rel=5e-4)
    assert gradient == pytest.approx(convex.gradient_from_distance.at(**at, R=1.5), rel=5e-4)
    assert share == pytest.approx(convex.gradient_from_gap.at(**at, Delta0=1.0), rel=5e-4)


@pytest.mark.parametrize(("t", "K"), [(1.0, 3), (1.6, 1), (1.6, 2), (1.95, 4)])
def test_the_conjectures_are_attained_by_one_of_the_two_families(t, K):
    loss, gradient, share = worst(t, K)
    at = {"L": L, "lr": t / L, "K": K}
    assert loss == pytest.approx(convex.any_loss.at(**at, R=1.5), rel=5e-4)
    assert gradient == pytest.approx(convex.any_gradient.at(**at, R=1.5), rel=5e-4)
    assert share == pytest.approx(convex.any_gradient_from_gap.at(**at, Delta0=1.0), rel=5e-4)


def soft(w, offsets, scales):
    """sum_i a_i log cosh((w - o_i) / s_i), with sum a_i / s_i^2 = L: convex, L-smooth, neither family."""
    z = (w[:, None] - offsets) / scales
    weights = L / offsets.shape[1] * scales**2
    return (weights * np.logaddexp(z, -z)).sum(1), (weights / scales * np.tanh(z)).sum(1)


@pytest.mark.parametrize(("t", "K"), [(0.5, 6), (1.49, 3)])
def test_no_random_sum_of_soft_absolute_values_is_above(t, K):
    rng = np.random.default_rng(11)
    offsets, scales = rng.standard_normal((500, 3)), 10 ** rng.uniform(-2, 1, (500, 3))
    low, high = np.full(500, -50.0), np.full(500, 50.0)
    for _ in range(60):  # the minimiser, by bisection to 1e-16 of the bracket
        middle = (low + high) / 2
        left = soft(middle, offsets, scales)[1] < 0
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    start = high + 2.0
    end = descend(lambda w: soft(w, offsets, scales)[1], start, t, K)
    (loss, gradient), (least, _), (first, _) = (soft(w, offsets, scales) for w in (end, high, start))
    at = {"L": L, "lr": t / L, "K": K}
    assert (loss - least).max() <= convex.loss_from_distance.at(**at, R=2.0)
    assert (gradient**2).max() <= convex.gradient_from_distance.at(**at, R=2.0)
    assert (gradient**2 / (first - least)).max() <= convex.gradient_from_gap.at(**at, Delta0=1.0)


def test_values_worked_out_by_hand_and_what_is_refused():
    at = {"L": 2.0, "lr": 0.5, "K": 2}
    assert convex.loss_from_distance.at(**at, R=3.0) == pytest.approx(1.8, rel=1e-12)  # 2 * 9 / 10
    assert convex.textbook_loss.at(**at, R=3.0) == pytest.approx(4.5, rel=1e-12)
    assert convex.gradient_from_distance.at(**at, R=3.0) == pytest.approx(4.0, rel=1e-12)  # 4 * 9 / 9
    assert convex.gradient_from_gap.at(**at, Delta0=5.0) == pytest.approx(4.0, rel=1e-12)  # 20 / 5
    for bound, lr, gap in (
        (convex.loss_from_distance, 0.76, {"R": 1.0}),
        (convex.gradient_from_distance, 0.71, {"R": 1.0}),
        (convex.gradient_from_gap, 0.76, {"Delta0": 1.0}),
        (convex.any_loss, 1.0, {"R": 1.0}),
    ):
        with pytest.raises(OutOfScope, match="requires"):
            bound.at(L=2.0, lr=lr, K=1, **gap)
