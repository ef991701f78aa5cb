"""AdaLomo against LOMO: the bounds against recursions in plain numpy, which know the update and no formula."""

import math

import numpy as np
import pytest

from sandbox.theory import adalomo_crossover as bounds


def rms(x):
    return math.sqrt(np.mean(np.square(x)))


class Vector:
    """AdaLomo on one vector tensor with minimiser 0, eps1 = 0, no decay: v is an average of the past where decay > 0."""

    def __init__(self, w, H, lr, decay):
        self.w, self.H, self.lr, self.decay, self.v, self.t = np.array(w, float), H, lr, decay, 0.0, 0

    def step(self):
        self.t += 1
        g = self.H @ self.w
        b = 1 - self.t**-self.decay
        self.v = b * self.v + (1 - b) * g**2
        u = np.divide(g, np.sqrt(self.v), out=np.zeros_like(g), where=self.v > 0)
        self.w = self.w - self.lr * rms(self.w) * u / max(1.0, rms(u))
        return self.w


def test_no_function_memory_or_start_shrinks_faster_than_1_minus_lr_and_equal_magnitudes_do_so():
    rng, lr = np.random.default_rng(1), 0.2
    limit = bounds.contraction_least.at(lr=lr, rms=1.0, eps2=1e-3)
    ratios = []
    for k in range(200):
        Q = np.linalg.qr(rng.standard_normal((5, 5)))[0]
        run = Vector(rng.standard_normal(5), Q @ np.diag(10 ** rng.uniform(-3, 3, 5)) @ Q.T, lr, (0.0, 0.8)[k % 2])
        for _ in range(10):
            before = rms(run.w)
            ratios.append(rms(run.step()) / before)
    assert min(ratios) >= limit - 1e-12  # rounding
    equal = Vector([1.0, -1, 1, 1, -1], np.diag([1.0, 1e2, 1e-2, 3, 7]), lr, 0.0)
    assert rms(equal.step()) == pytest.approx(limit, rel=1e-13)


def test_the_largest_entry_shrinks_by_the_aligned_factor_on_any_start_and_one_entry_attains_it():
    rng, dim = np.random.default_rng(2), 6
    edge = math.sqrt(dim) / (1 + math.sqrt(dim - 1))  # largest lr of the domain
    for lr in (0.05, 0.999 * edge):
        limit = bounds.aligned_factor.at(lr=lr, dim=dim)
        for _ in range(300):
            w = rng.standard_normal(dim) * 10 ** rng.uniform(-3, 0, dim)
            run = Vector(w, np.diag(10 ** rng.uniform(-3, 3, dim)), lr, 0.0)
            assert np.abs(run.step()).max() <= limit * np.abs(w).max() * (1 + 1e-12)
        assert np.abs(Vector(np.eye(dim)[0], np.eye(dim), lr, 0.0).step()).max() == pytest.approx(limit, rel=1e-12)
    beyond = Vector([1e-9] + [1.0] * (dim - 1), np.eye(dim), 1.05 * edge, 0.0).step()
    assert np.abs(beyond).max() > 1 - 1.05 * edge / math.sqrt(dim)


def test_the_steps_to_another_minimiser_are_those_of_the_fastest_growth():
    lr, size, gap = 0.1, 2.0, 3.0
    w, steps = size, 0
    while size + gap - w > 0.5 * gap:
        w, steps = w + lr * w, steps + 1
    least = bounds.steps_least.at(lr=lr, size=size, distance=gap, kept=0.5)
    assert least <= steps < least + 1


@pytest.mark.parametrize("q", [0.5, 0.98])
def test_the_crossover_is_where_gradient_descent_with_its_best_step_has_the_same_factor(q):
    """The best step by search over rates, the factor as the largest |1 - lr h| of h in {1, kappa}."""
    kappa = bounds.crossover.at(q=q)
    rates = np.linspace(0, 2 / kappa, 400_001)
    assert np.maximum(abs(1 - rates), abs(1 - rates * kappa)).min() == pytest.approx(q, abs=1e-5)  # the grid of rates


def steps_of_lomo(kappa, kept):
    """From equal magnitudes along the curvatures 1 and kappa, with the step 2 / (1 + kappa)."""
    w, steps = np.ones(2), 0
    while np.abs(w).max() > kept:
        w, steps = w * (1 - 2 / (1 + kappa) * np.array([1, kappa])), steps + 1
    return steps


def steps_of_adalomo(start, kappa, lr, kept):
    run, steps = Vector(start, np.diag(np.geomspace(1, kappa, len(start))), lr, 0.0), 0
    while np.abs(run.w).max() > kept:
        run.step()
        steps += 1
    return steps


@pytest.mark.parametrize(
    ("start", "bound", "constants"),
    [((1.0, -1.0), bounds.crossover_equal, {}), ((1.0, 0.0, 0.0), bounds.crossover_any, {"dim": 3})],
    ids=["equal", "one entry"],
)
def test_five_percent_below_the_crossover_lomo_is_faster_and_five_percent_above_adalomo(start, bound, constants):
    lr, kept = 0.02, 1e-3
    kappa = bound.at(lr=lr, **constants)
    assert steps_of_lomo(0.95 * kappa, kept) < steps_of_adalomo(start, 0.95 * kappa, lr, kept)
    assert steps_of_lomo(1.05 * kappa, kept) > steps_of_adalomo(start, 1.05 * kappa, lr, kept)


def rotated(x, y, kappa, lr):
    return Vector([x + y, x - y], np.array([[kappa + 1, kappa - 1], [kappa - 1, kappa + 1]]) / 2, lr, 0.0)


@pytest.mark.parametrize(("factor", "stalls"), [(0.99, False), (1.01, True)])
def test_the_rotated_quadratic_stalls_from_the_threshold_on(factor, stalls):
    lr = 0.3
    run = rotated(lr / 2, math.sqrt(1 - lr**2 / 4), factor * bounds.stall.at(lr=lr), lr)
    start = rms(run.w)
    for _ in range(500):
        run.step()
    assert (rms(run.w) == pytest.approx(start, rel=1e-9)) == stalls


def test_starts_within_the_radius_are_drawn_into_the_cycle_and_those_inside_its_inner_end_are_not():
    lr, kappa = 0.3, 20.0
    y, radius = math.sqrt(1 - lr**2 / 4), bounds.stall_radius.at(lr=lr, kappa=kappa)
    for share in (-0.999, -0.5, 0.7, 0.999):
        run = rotated(lr / 2 + share * radius, y, kappa, lr)
        for _ in range(2000):  # the distance to the cycle falls by 1 - lr^2 / 2 = 0.955 a step
            run.step()
        assert abs(run.w.sum()) / 2 == pytest.approx(lr / 2, rel=1e-9) and abs(run.w[0] - run.w[1]) / 2 == pytest.approx(y, rel=1e-12)
    leaves = rotated(lr / 2 - 1.001 * radius, y, kappa, lr).step()
    assert abs(leaves[0] - leaves[1]) / 2 < y * (1 - 0.1)


def test_no_diagonal_preconditioner_lowers_the_condition_number_of_an_equal_diagonal():
    rng = np.random.default_rng(3)
    limit = bounds.rotated_condition.at(cosine=0.9)
    H = np.array([[1, 0.9], [0.9, 1]])
    for d in 10 ** rng.uniform(-2, 2, (300, 2)):
        low, high = np.linalg.eigvalsh(np.sqrt(d)[:, None] * H * np.sqrt(d))
        assert high / low >= limit * (1 - 1e-9)
    low, high = np.linalg.eigvalsh(H)
    assert high / low == pytest.approx(limit, rel=1e-12)
