"""Inexact subproblems in plain numpy: random indefinite quadratics, points on the edge of their accuracy, grids over the worst one."""

import numpy as np
import pytest

from sandbox.theory import rso, rso_inexact
from sandbox.theory.base import OutOfScope

EXACT = {"gram_defect": 0.0}


class Subproblem:
    """h = g^T B + B^T diag(x) B / 2 with curvatures x in [-1, 1], so Lhat = 1 and eta = t < 1."""

    def __init__(self, x, g, t):
        self.x, self.g, self.t = np.asarray(x), np.asarray(g), t
        self.best = -self.g / (self.x + 1 / t)

    def h(self, B):
        return self.g @ B + (self.x * B) @ B / 2

    def F(self, B):
        return self.h(B) + B @ B / (2 * self.t)

    def residual(self, B):
        return self.g + (self.x + 1 / self.t) * B


def on_the_edge_of_value(one, direction, gap):
    """B with F(B) - min F = gap in a direction."""
    return one.best + direction * np.sqrt(gap / (direction @ (direction * (one.x + 1 / one.t)) / 2))


def random_subproblems(n, t):
    rng = np.random.default_rng(0)
    for _ in range(n):
        size = int(rng.integers(1, 4))
        yield Subproblem(rng.uniform(-1, 1, size), rng.standard_normal(size), t), rng.standard_normal(size)


@pytest.mark.parametrize(("t", "w"), [(0.5, 0.5), (0.9, 0.2), (0.2, 0.9)])
def test_a_relative_accuracy_in_value(t, w):
    limit, ratios = rso_inexact.relative_value.at(t=t, w=w, **EXACT), []
    for one, direction in random_subproblems(2000, t):
        B = on_the_edge_of_value(one, direction, w**2 * (one.F(0 * one.g) - one.F(one.best)))
        ratios.append(one.g @ one.g / -one.h(B))
    assert 0 < max(r for r in ratios if r > 0) < limit and min(ratios) > 0
    steepest = Subproblem([1.0], [1.0], t)
    assert limit == pytest.approx(1 / -steepest.h((1 - w) * steepest.best), rel=1e-12)
    assert rso_inexact.relative_value.at(t=t, w=0.0, **EXACT) == pytest.approx(rso.exact_constant.at(t=t, **EXACT), rel=1e-14)


def worst_residual(t, s):
    """The largest |g|^2 / decrease with |residual| = s |g| over diag(1, -1), by a grid over both angles."""
    a, b = np.meshgrid(np.linspace(0, np.pi / 2, 301), np.linspace(0, 2 * np.pi, 1201), indexing="ij")
    g, e = np.stack([np.cos(a), np.sin(a)]), s * np.stack([np.cos(b), np.sin(b)])
    x = np.array([1.0, -1.0])[:, None, None]
    B = (e - g) / (x + 1 / t)
    return float((1 / -(g * B + x * B**2 / 2).sum(0)).max())


@pytest.mark.parametrize(("t", "s"), [(0.5, 0.1), (0.5, 0.45), (0.25, 0.6), (0.8, 0.2)])
def test_a_relative_residual(t, s):
    assert rso_inexact.relative_residual.at(t=t, s=s, **EXACT) == pytest.approx(worst_residual(t, s), rel=1e-12)


def test_a_relative_residual_beyond_its_domain():
    """The grid finds what semidefinite programs found: 8.23 and 15.6 at t = 1/2, where the formula says 8.04 and 12.5."""
    for s, worst in ((0.6, 8.226), (0.75, 15.586)):
        assert worst_residual(0.5, s) == pytest.approx(worst, rel=2e-3) and worst > 2 / (1 - ((1 + s / 2) / 1.5) ** 2)
        with pytest.raises(OutOfScope, match="s"):
            rso_inexact.relative_residual.at(t=0.5, s=s, **EXACT)


@pytest.mark.parametrize(("t", "D"), [(0.5, 1.0), (0.5, 0.3), (0.9, 3.0)])
def test_an_absolute_residual_against_a_search_over_curvatures_and_points(t, D):
    worst = 0.0
    B = np.linspace(-3, 3, 60001)
    for x in np.linspace(-1, 1, 81):
        cost = B - x * B**2 / 2 + D * (1 - (x + 1 / t) * B) ** 2  # h = -B + x B^2 / 2, |g0| = 1
        worst = max(worst, 1 / cost.min()) if cost.min() > 0 else np.inf
    assert rso_inexact.absolute_residual.at(t=t, D=D, **EXACT) == pytest.approx(worst, rel=1e-6)


def test_an_absolute_residual_below_its_domain_is_worse_than_the_formula():
    t, D, B = 0.5, 0.25, np.linspace(-3, 3, 60001)
    cost = -B + B**2 / 2 + D * (1 + (1 / t - 1) * B) ** 2  # curvature -1, uphill
    with pytest.raises(OutOfScope, match="D"):
        rso_inexact.absolute_residual.at(t=t, D=D, **EXACT)
    assert 1 / cost.min() > 1.2 * 2 * (2 * D * 2.25 - 0.25) / (t * (2 * D * 2.5 - t))


@pytest.mark.parametrize(("t", "falls", "eps"), [(0.5, 1.0, 0.3), (0.5, 0.0, 0.2), (0.8, 0.4, 0.0), (0.3, 0.01, 2.0)])
def test_the_envelope_is_the_best_of_all_weightings(t, falls, eps):
    weights = (1 + t) / (2 + t) + np.geomspace(1e-4, 1e4, 20001)
    best = min(rso.weighted_inexact_constant.value.subs({rso.t: t, rso.a: w}) * (falls + w * eps) for w in weights[::100])
    numeric = 2 * (1 + t) * (weights * (1 + t) - t) / (t * (weights * (2 + t) - 1 - t)) * (falls + weights * eps)
    limit = rso_inexact.accuracy_envelope.at(t=t, L=1.0, m=1, r=1, eps=eps, decrease=falls, **EXACT)
    assert limit <= float(best) * (1 + 1e-12) and limit == pytest.approx(numeric.min(), rel=1e-3)
    wide = rso_inexact.accuracy_envelope.at(t=t, L=3.0, m=8, r=2, eps=eps, decrease=falls, **EXACT)
    assert wide == pytest.approx(12 * limit, rel=1e-12)


def test_no_point_of_a_quadratic_is_above_the_envelope_and_some_are_on_it():
    t, excess = 0.5, []
    for one, direction in random_subproblems(250, t):
        B = on_the_edge_of_value(one, direction, 0.3 * (one.F(0 * one.g) - one.F(one.best)))
        if (falls := -one.h(B)) >= 0:
            limit = rso_inexact.accuracy_envelope.value.subs({rso.t: t, rso.L: 1, rso.m: 1, rso.r: 1})
            limit = limit.subs({rso.eps: one.F(B) - one.F(one.best), rso_inexact.decrease: falls})
            excess.append(one.g @ one.g / float(limit))
    assert len(excess) > 100 and 0.9 < max(excess) <= 1 + 1e-12
