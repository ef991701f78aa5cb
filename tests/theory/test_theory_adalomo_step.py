"""AdaLomo's step, growth and decay: the bounds against the update written out in numpy, under adversarial gradients."""

import math

import numpy as np
import pytest

from sandbox.theory import adalomo as bounds


def rms(x):
    return math.sqrt(np.mean(np.square(x)))


def run(w, gradients, lr, wd=0.0, eps2=1e-3):
    """(weights, steps, unclipped updates) of a vector tensor, default decay, eps1 = 0."""
    v, path, steps, updates = 0.0, [w], [], []
    for t, g in enumerate(gradients, 1):
        b, now = 1 - t**-0.8, g(w) if callable(g) else g
        v = b * v + (1 - b) * now**2
        u = np.divide(now, np.sqrt(v), out=np.zeros_like(now), where=v > 0)
        updates.append(u)
        rate = lr * max(eps2, rms(w))
        steps.append(-rate * u / max(1.0, rms(u)) - rate * wd * w)
        w = w + steps[-1]
        path.append(w)
    return path, steps, updates


def test_the_step_bounds_hold_for_heavy_tails_and_a_silent_entry_attains_both():
    rng, lr = np.random.default_rng(1), 0.1
    w = np.array([1.0, 2.0, -3.0, 0.5])
    path, steps, updates = run(w, rng.standard_cauchy((60, 4)), lr)
    for t, (before, step, u) in enumerate(zip(path, steps, updates, strict=False), 1):
        at = {"lr": lr, "d": 1.0, "eps2": 1e-3, "rms": rms(before)}
        assert rms(step) <= bounds.step_rms.at(**at) * (1 + 1e-12)
        assert np.abs(step).max() <= bounds.step_entry.at(**at, size=4.0) * (1 + 1e-12)
        assert np.abs(u).max() <= bounds.vector_entry.at(age=t**0.8) * (1 + 1e-12)
    silent = [np.array([0.0, 1.0, 0.0, 0.0])] * 5 + [np.array([1e-3, 0.0, 0.0, 0.0])]
    path, steps, updates = run(w, silent, lr)
    at = {"lr": lr, "d": 1.0, "eps2": 1e-3, "rms": rms(path[5])}
    assert rms(steps[5]) == pytest.approx(bounds.step_rms.at(**at), rel=1e-12)
    assert abs(steps[5][0]) == pytest.approx(bounds.step_entry.at(**at, size=4.0), rel=1e-12)
    assert updates[5][0] == pytest.approx(bounds.vector_entry.at(age=6**0.8), rel=1e-12)


def test_growth_and_movement_under_the_gradient_that_pushes_away():
    lr, K, w = 0.05, 40, np.array([1.0, -1.0, 1.0])
    path, _, _ = run(w, [lambda w: -np.sign(w)] * K, lr)
    at = {"eps2": 1e-3, "rms": 1.0}
    assert rms(path[-1]) == pytest.approx(bounds.growth_at_rate.at(**at, lr=lr, K=K), rel=1e-12)
    growth, movement = (b.at(**at, lr_sum=lr * K) for b in (bounds.growth, bounds.movement))
    assert 0.95 * growth < rms(path[-1]) <= growth  # (1 + lr)^K against exp(lr K): exp(-K lr^2 / 2) = 0.951
    assert 0.94 * movement < rms(path[-1] - path[0]) <= movement
    random, _, _ = run(w, np.random.default_rng(2).standard_normal((K, 3)), lr)
    assert rms(random[-1] - random[0]) < movement


def test_the_steps_to_grow_and_out_of_zero():
    lr = 0.05
    path, _, _ = run(np.ones(2), [lambda w: -np.sign(w)] * 60, lr)
    first = next(k for k, w in enumerate(path) if rms(w) >= 10.0)
    least = bounds.steps_to_grow.at(lr=lr, eps2=1e-3, rms=1.0, target=10.0)
    assert least <= first < least + 1
    path, _, _ = run(np.zeros(2), [np.ones(2)] * 30, lr)
    reached = next(k for k, w in enumerate(path) if rms(w) >= 1e-3 * (1 - 1e-12))
    assert reached == bounds.steps_from_zero.at(lr=lr, d=1.0, eps2=1e-3) == pytest.approx(20)


@pytest.mark.parametrize("lr", [0.1, 1.0])
def test_under_the_decay_of_the_code_the_ceiling_is_reached_and_never_passed(lr):
    wd = 0.4
    limit = bounds.decay_ceiling.at(lr=lr, d=1.0, wd=wd, eps2=1e-3, rms=1.0)
    path, _, _ = run(np.ones(2), [lambda w: -np.sign(w)] * 400, lr, wd)
    assert rms(path[-1]) == pytest.approx(limit, rel=1e-9) and max(map(rms, path)) <= limit * (1 + 1e-12)
    random, _, _ = run(np.ones(2), np.random.default_rng(3).standard_cauchy((400, 2)), lr, wd)
    assert max(map(rms, random)) <= limit * (1 + 1e-12)


def test_beyond_lr_of_1_one_step_against_the_weight_overshoots_the_ceiling():
    wd, lr = 0.4, 1.5
    path, _, _ = run(np.full(2, 1 / wd), [lambda w: np.sign(w)], lr, wd)
    assert rms(path[-1]) == pytest.approx(bounds.decay_overshoot.at(lr=lr, d=1.0, wd=wd, eps2=1e-3), rel=1e-12)
    assert rms(path[-1]) > 1 / wd
