"""Signs, accept-if-better and residual feedback against sampled steps in plain numpy, with their own standard errors."""

import math

import numpy as np
import pytest

from sandbox.theory import zeroth_order_steps as steps
from sandbox.theory.base import OutOfScope

RUNS, D = 40_000, 4
H = np.diag([1.0, 2.0, 0.5, 3.0]) + 0.3
G = np.array([1.0, -0.5, 0.2, 2.0])


def z_score(samples, expected=0.0):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def quadratic_fall(moved):
    """f(x) - f(x + moved) for f = G x + x H x / 2 at 0."""
    return -(moved @ G) - np.einsum("ri,ij,rj->r", moved, H, moved) / 2


def test_the_sign_of_the_slope_falls_as_stated():
    z, lr = np.random.default_rng(1).standard_normal((RUNS, D)), 0.3
    expected = steps.signed_slope_fall.at(lr=lr, grad=float(np.linalg.norm(G)), tr_H=float(np.trace(H)))
    samples = quadratic_fall(-lr * np.sign(z @ G)[:, None] * z)
    assert abs(z_score(samples, expected)) < 4 and abs(z_score(samples, 1.1 * expected)) > 4


@pytest.mark.parametrize("g", [G, np.array([0.0, 0.0, 3.0, 0.0]), np.ones(4)], ids=["any", "axis", "flat"])
def test_the_sign_of_every_entry_falls_between_its_two_ends(g):
    z, lr = np.random.default_rng(2).standard_normal((RUNS, D)), 0.3
    moved = -lr * np.sign(z @ g)[:, None] * np.sign(z)
    samples = -(moved @ g) - np.einsum("ri,ij,rj->r", moved, H, moved) / 2
    norm, half_trace = float(np.linalg.norm(g)), lr**2 * np.trace(H) / 2
    exact = lr * 2 / math.pi * np.sum(g * np.arcsin(g / norm)) - half_trace
    least = steps.signed_entries_fall.at(lr=lr, grad=norm, tr_H=float(np.trace(H)))
    assert abs(z_score(samples, exact)) < 4
    assert least < exact <= (least + half_trace) * math.pi / 2 - half_trace + 1e-12


def test_a_flat_gradient_in_many_dimensions_comes_down_to_the_bound():
    """sqrt(d) arcsin(1/sqrt d) = 1 + 1/(6 d) + ..."""
    d = 400
    exact = 2 / math.pi * math.sqrt(d) * math.asin(1 / math.sqrt(d))
    assert exact == pytest.approx(steps.signed_entries_fall.at(lr=1.0, grad=1.0, tr_H=0.0), rel=0.2 / d)


@pytest.mark.parametrize("L", [0.5, 4.0])
def test_the_signed_slope_stops_at_its_floor(L):
    """E |x|^2 falls just above and rises just below, for every curvature."""
    rng, lr = np.random.default_rng(3), 0.2
    z = rng.standard_normal((RUNS, D))
    floor = steps.signed_slope_floor.at(lr=lr, d=D)
    for share, sign in ((1.15, -1), (0.85, 1)):
        x = np.full(D, share * floor / 2)
        after = x - lr * np.sign(z @ (L * x))[:, None] * z
        assert sign * z_score((after**2).sum(1), x @ x) > 4


def test_the_signed_rates_on_the_isotropic_quadratic():
    """Equal for the slope; for the entries the bound is above, by less than pi/2."""
    rng, lr, L, K = np.random.default_rng(4), 0.1, 1.5, 8
    for rate, entries in ((steps.signed_slope_rate, False), (steps.signed_entries_rate, True)):
        x, total = np.full((RUNS // 4, D), 1.0), 0.0
        start = L * (x**2).sum(1) / 2
        for _ in range(K):
            total += np.linalg.norm(L * x, axis=1)
            z = rng.standard_normal(x.shape)
            s = np.sign((z * x).sum(1))[:, None]
            x = x - lr * (np.sign(s * z) if entries else s * z)
        fell = start - L * (x**2).sum(1) / 2
        slope = rate.at(d=D, L=L, K=K, lr=lr, Delta=1.0) - rate.at(d=D, L=L, K=K, lr=lr, Delta=0.0)
        excess = total / K - slope * fell - rate.at(d=D, L=L, K=K, lr=lr, Delta=0.0)
        assert z_score(excess) < -4 if entries else abs(z_score(excess)) < 4


@pytest.mark.parametrize("lr", [0.15, 0.4, 1.0])
@pytest.mark.parametrize("d", [1, 2, 7])
def test_conservative_steps(d, lr):
    """The best of three points by evaluation, on L |x|^2 / 2."""
    rng, L = np.random.default_rng(5), 1.2
    x, z = np.ones(d), rng.standard_normal((RUNS, d))
    slope = (L * x * z).sum(1)[:, None]
    f = [L * (y**2).sum(1) / 2 for y in (np.broadcast_to(x, z.shape), x - lr * slope * z, x + lr * slope * z)]
    chosen = np.argmin(f, axis=0)
    assert (chosen != 2).all()
    assert abs(z_score(chosen == 1, steps.acceptance.at(d=d, L=L, lr=lr))) < 4
    gradient = L**2 * d
    fall = (f[0] - np.min(f, axis=0)) / (lr * gradient)
    expected = steps.conservative_fall.at(d=d, L=L, lr=lr)
    assert abs(z_score(fall, expected)) < 4
    assert lr * expected < steps.conservative_limit.at(d=d, L=L)


def test_the_conservative_limit_is_reached_by_signs():
    d, L = 5, 1.2
    z = np.random.default_rng(6).choice([-1.0, 1.0], (RUNS, d))
    x = np.arange(1.0, d + 1)
    after = x - (L * x * z).sum(1)[:, None] * z / (L * d)
    fall = L * ((x**2).sum() - (after**2).sum(1)) / 2 / (L**2 * x @ x)
    assert abs(z_score(fall, steps.conservative_limit.at(d=d, L=L))) < 4


@pytest.mark.parametrize("tau", [0.0, 0.3])
def test_the_residual_on_a_linear_function(tau):
    """40 steps: tau^40 of the start is left, which is 0.3^40."""
    rng, eps, g = np.random.default_rng(7), 0.1, np.array([1.0, -2.0, 0.5])
    lr = math.sqrt(tau) * eps / np.linalg.norm(g)
    x, before, square = np.zeros((RUNS, 3)), np.zeros(RUNS), []
    for _ in range(41):
        z = rng.standard_normal((RUNS, 3))
        here = (x + eps * z) @ g
        ghat = ((here - before) / eps)[:, None] * z
        square.append((ghat**2).sum(1) / (g @ g))
        x, before = x - lr * ghat, here
    expected = steps.residual_second_moment.at(d=3, eps=eps, lr=lr, grad=float(np.linalg.norm(g)))
    assert abs(z_score(square[-1], expected)) < 4
    assert steps.residual_edge.at(eps=eps, grad=float(np.linalg.norm(g))) > lr


def test_past_its_edge_the_residual_grows_and_its_bound_says_out_of_scope():
    rng, eps, runs = np.random.default_rng(8), 0.1, 20_000
    lr = 1.3 * steps.residual_edge.at(eps=eps, grad=1.0)
    u, sizes = np.zeros(runs), []
    for _ in range(12):
        s = rng.standard_normal(runs)
        c = s - u
        u = s + lr / eps * c * s
        sizes.append(np.mean(c**2))
    assert sizes[-1] > 30 * sizes[0]
    with pytest.raises(OutOfScope, match="lr"):
        steps.residual_second_moment.at(d=3, eps=eps, lr=lr, grad=1.0)
