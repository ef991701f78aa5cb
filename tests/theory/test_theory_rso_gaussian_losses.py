"""What a Gaussian basis keeps over all smooth f, against quadrature, random and adversarial losses in plain numpy."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from sandbox.theory import rso, rso_gaussian
from sandbox.theory import rso_gaussian_losses as losses
from sandbox.theory.base import OutOfScope


def marchenko_pastur(c):
    """Nodes and weights: x = 1 + c + 2 sqrt(c) cos(a) has the density 2 sin^2(a) / (pi x)."""
    a = (np.arange(4000) + 0.5) * np.pi / 4000
    x = 1 + c + 2 * math.sqrt(c) * np.cos(a)
    return x, 2 * np.sin(a) ** 2 / (np.pi * x) * (np.pi / 4000)


def averages(T, weight, s):
    return {"low": float(weight @ (1 / (T + 1 / s))), "high": float(weight @ (1 / (s - T)))}


def share_of(T, weight):
    return float(weight @ (T / (1 + T)))


@pytest.mark.parametrize(("t", "c", "s"), [(0.5, 0.25, 2.1), (0.3, 1.0, 1.9), (2.0, 0.0625, 3.5)])
def test_the_limit_of_the_argmin_against_quadrature(t, c, s):
    x, weight = marchenko_pastur(c)
    of_law = losses.argmin_any_law.at(s=s, top=t * x.max(), share=share_of(t * x, weight), **averages(t * x, weight, s))
    assert losses.argmin_constant.at(t=t, c=c, s=s) == pytest.approx(of_law, rel=1e-9)


@pytest.mark.parametrize(("t", "c", "s"), [(0.5, 0.25, 1.6), (0.3, 1.0, 1.5)])
def test_the_limit_of_stationary_points_against_quadrature(t, c, s):
    x, weight = marchenko_pastur(c)
    of_law = losses.descending_any_law.at(s=s, top=t * x.max(), **averages(t * x, weight, s))
    assert losses.descending_constant.at(t=t, c=c, s=s) == pytest.approx(of_law, rel=1e-9)


@pytest.mark.parametrize(("t", "argmin", "stationary"), [(0.25, 5.864, 5.862), (0.5, 3.870, 3.866), (1.0, 2.905, 4.726)])
def test_the_table_of_the_module(t, argmin, stationary):
    """c = 1/4; the limit lies above the constant of L |W|^2 / 2, and closely so for both at t <= 1/2."""
    start = t * 1.5**2
    best = minimize_scalar(lambda s: losses.argmin_constant.at(t=t, c=0.25, s=s), bounds=(max(1, start) + 1e-6, 20), method="bounded")
    short = (max(1, start) + 1e-6, 1 + math.sqrt(2) - 1e-6)
    other = minimize_scalar(lambda s: losses.descending_constant.at(t=t, c=0.25, s=s), bounds=short, method="bounded")
    assert (best.fun, other.fun) == pytest.approx((argmin, stationary), abs=6e-4)
    least = rso_gaussian.constant_on_isotropic.at(t=t, c=0.25)
    assert least < best.fun < 1.02 * least and least < other.fun


def contributions(T, s):
    """phi(T) of both theorems, each from the bound of a law with one eigenvalue."""
    argmin, stationary, one = [], [], np.ones(1)
    for value in T:
        law = averages(np.array([value]), one, s) | {"s": s, "top": float(value)}
        argmin.append(1 / losses.argmin_any_law.at(share=share_of(np.array([value]), one), **law))
        stationary.append(1 / losses.descending_any_law.at(**law) if s**2 <= 2 * s + 1 else math.nan)
    return np.array(argmin), np.array(stationary)


def test_random_quadratics_never_fall_by_less_and_some_fall_by_hardly_more():
    """Three directions, curvatures in [-1, 1] along random axes; where all T < 1 the subproblem is convex, so B is its argmin too."""
    rng, s = np.random.default_rng(0), 1.6
    T = np.array([0.3, 0.5, 0.9])
    argmin, stationary = contributions(T, s)
    slack = []
    for _ in range(4000):
        Q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        H, p = (Q * rng.choice([-1.0, 1.0, 1.0, 1.0], 3)) @ Q.T, rng.standard_normal(3)
        k = np.linalg.solve(np.eye(3) + H * T, p)  # grad at W+ = W - T k
        fall = p @ (T * k) - (T * k) @ H @ (T * k) / 2
        slack.append(((fall - argmin @ p**2) / (p @ p), (fall - stationary @ p**2) / (p @ p)))
    slack = np.array(slack)
    assert slack.min() > -1e-12
    assert slack[:, 0].min() < 0.02 and slack[:, 1].min() < 0.02  # the falls are 0.2 to 0.4 of p^2


def test_an_orthogonal_basis_has_its_own_constant():
    """At t = 1/2: s = 2 for the argmin, and (3 + sqrt(58)) / 7 = 1.5166 for stationary points."""
    argmin, stationary = contributions([0.5], 2.0)[0], contributions([0.5], (3 + math.sqrt(58)) / 7)[1]
    assert 1 / argmin[0] == pytest.approx(3.6, rel=1e-12) == rso.exact_constant.at(t=0.5, gram_defect=0.0)
    assert 1 / stationary[0] == pytest.approx(3.6, rel=1e-12)


def slope_of_teeth(z, a, g):
    """f' with slope g at 0, curvature +1 up to a, then -1; on the left +1."""
    return np.where(z < a, g + z, g + 2 * a - z)


@pytest.mark.parametrize("T", [2.0, 3.0, 10.0])
def test_the_rise_is_that_of_a_saw_tooth(T):
    """f' by quadrature up to the last zero of f' + z / T, for g = 0."""
    z = np.linspace(0, 2 * T / (T - 1) + 1, 400_001)
    slope = slope_of_teeth(z, 1.0, 0.0)
    last = np.flatnonzero(np.diff(np.sign(slope + z / T)))[-1]
    height = ((slope[1 : last + 1] + slope[:last]) / 2 * np.diff(z[: last + 1])).sum()
    assert height / z[last] ** 2 == pytest.approx(losses.rise.at(T=T), abs=1e-4)
    assert (height > 0) == (1 + math.sqrt(2) < T)


def test_in_a_gaussian_basis_far_stationary_points_make_f_rise_on_average():
    """f(W) = h(W_1), m = 6, r = 2, t = 1/2: T = t chi2_6 / 6, and 3 is exceeded with chance exp(-18) (1 + 18 + 162)."""
    t, m, g = 0.5, 6, 1.0
    T = t * np.random.default_rng(1).chisquare(m, 4_000_000) / m
    chance = (T > 3).mean()
    exact = math.exp(-18) * (1 + 18 + 162)
    assert abs(chance - exact) < 5 * math.sqrt(exact / len(T))  # about 11 of 4 million
    a = 10 * g / math.sqrt(exact)
    far = (g + 2 * a) * T / (T - 1)
    rise = g * a + a**2 / 2 + (g + a) * (far - a) - (far - a) ** 2 / 2
    fall = (g**2 / 2) * (1 - (1 + T) ** -2)
    assert np.where(T > 3, rise, -fall).mean() > g**2


def test_outside_of_its_domain_no_constant_is_given():
    with pytest.raises(OutOfScope):
        losses.argmin_constant.at(t=0.5, c=0.25, s=1.1)
    with pytest.raises(OutOfScope):
        losses.descending_constant.at(t=0.5, c=0.25, s=2.5)
    with pytest.raises(OutOfScope):
        losses.rise.at(T=0.9)


@pytest.mark.parametrize("bound", [losses.argmin_constant, losses.descending_constant], ids=lambda one: one.name)
def test_an_s_that_proves_nothing_is_out_of_scope(bound):
    """s is free within 1 < s; where it makes the gain negative, 1 / gain would be a negative bound of a positive ratio."""
    assert bound.at(t=0.5, c=0.25, s=2.2) > 0
    with pytest.raises(OutOfScope, match="requires"):
        bound.at(t=0.5, c=0.25, s=1.2)
