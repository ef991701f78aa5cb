"""Theorem. In the setting of proof_rso_exact_subproblem.py let 0 < t < 1 and E[F(B_k) - min F] <= eps in every round. With dec = the
mean decrease (f(W_0) - E f(W_K)) / K >= 0,

    mean_k E|grad f(W_k)|^2  <=  2 Lhat / (t (2+t)^2) * ( (1+t) sqrt((2+t) dec + (1+t) eps) + sqrt((1+t) eps) )^2,

which is C(t) Lhat dec at eps = 0 and 2 (1+t) / t Lhat eps at dec = 0, and is attained for every dec and eps by one round on
a quadratic of curvature Lhat. It is the infimum over a of C(t, a) Lhat (dec + a eps) of proof_rso_weighted_inexact.py, at
a = ((1+t) + sqrt(((2+t) dec + (1+t) eps) / ((1+t) eps))) / (2+t). At t = 1/2:

    Lhat (18/5 dec + 78/25 eps + 24 sqrt 3 / 25 sqrt(eps (5 dec + 3 eps)))   where a = 1 gives 6 Lhat (dec + eps).

Source:    derived
Bound:     sandbox.theory.rso_inexact.accuracy_envelope
Not here:  the bound for one a (its own proof); that for one a it is linear in (dec, eps), so that means over rounds and P keep it.

Letters: X = sqrt((2+t) dec + (1+t) eps) and Y = sqrt((1+t) eps), in which everything is rational; u = a (2+t) - (1+t).
"""

import sympy

from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.rso import L, a, constant, eps, inexact_constant, m, r, t, weighted_inexact_constant
from sandbox.theory.rso_inexact import accuracy_envelope, decrease

X, Y = sympy.symbols("X Y", positive=True)
u, y = sympy.symbols("u y", real=True)
half = sympy.Rational(1, 2)
in_roots = {decrease: (X**2 - Y**2) / (2 + t), eps: Y**2 / (1 + t)}
weighted = (weighted_inexact_constant.value * (decrease + a * eps)).subs(a, (u + 1 + t) / (2 + t)).subs(in_roots)
envelope = 2 / (t * (2 + t) ** 2) * ((1 + t) * X + Y) ** 2
above = 2 * (1 + t) / (t * (2 + t) ** 2) * (Y * u - X) ** 2 / u
gap = Identity("rso_accuracy_envelope", weighted - envelope, above)
CERTIFICATES = (gap,)


def bound_at(**numbers: sympy.Expr) -> sympy.Expr:
    return accuracy_envelope.value.subs({symbol: numbers[symbol.name] for symbol in accuracy_envelope.value.free_symbols})


def worst_case(y: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """On h = (1 + B)^2 / 2, |g0| = 1: (decrease, F - min F) at B = -y."""
    return (1 - (1 - y) ** 2) / 2, (1 + 1 / t) / 2 * (y - t / (1 + t)) ** 2


def step_1_the_bound_is_the_envelope_in_the_two_roots():
    assert is_zero(accuracy_envelope.value.subs({L: 1, m: 1, r: 1}).subs(in_roots) - envelope)


def step_2_every_weighting_lies_above_it():
    gap.check()
    assert counterexample(above, (t > 0, t < 1, u > 0)) is None


def step_3_the_best_weighting_reaches_it():
    assert is_zero(above.subs(u, X / Y))
    assert is_zero(weighted.subs(u, X / Y) - envelope)


def step_4_it_is_attained_on_the_steepest_quadratic():
    """For every y up to t / (1+t), the minimiser: there the roots are (t + y) / sqrt(2 t) and (t - y (1+t)) / sqrt(2 t)."""
    falls, accurate = worst_case(y)
    root_X, root_Y = (t + y) / sympy.sqrt(2 * t), (t - y * (1 + t)) / sympy.sqrt(2 * t)
    assert is_zero(root_Y**2 - (1 + t) * accurate)
    assert is_zero(root_X**2 - ((2 + t) * falls + (1 + t) * accurate))
    assert is_zero(envelope.subs({X: root_X, Y: root_Y}) - 1)


def step_5_no_smaller_bound_will_do():
    falls, accurate = (part.subs(t, half) for part in worst_case(sympy.Rational(1, 6)))
    limit = bound_at(t=half, L=1, m=1, r=1, eps=accurate, decrease=falls)
    assert sympy.Rational(999, 1000) * limit < 1 <= limit


def step_6_its_two_ends():
    assert is_zero(envelope.subs({Y: 0, X: sympy.sqrt(2 + t)}) - constant)
    assert is_zero(envelope.subs({X: sympy.sqrt(1 + t), Y: sympy.sqrt(1 + t)}) - inexact_constant.value)


def step_7_at_one_half():
    x, y = sympy.symbols("x y", positive=True)  # eps = y^2, 5 dec + 3 eps = x^2
    plain = sympy.Rational(18, 25) * (x**2 - 3 * y**2) + sympy.Rational(78, 25) * y**2 + 24 * sympy.sqrt(3) / 25 * x * y
    at_half = envelope.subs(t, half).subs({X: x / sympy.sqrt(2), Y: sympy.sqrt(3) * y / sympy.sqrt(2)})
    assert is_zero(plain - at_half)


def step_8_with_eps_dropped_it_fails_and_beyond_the_best_weighting_it_is_larger():
    falls, _ = (part.subs(t, half) for part in worst_case(sympy.Rational(1, 6)))
    assert bound_at(t=half, L=1, m=1, r=1, eps=sympy.Integer(0), decrease=falls) < 1
    for other in (sympy.Rational(9, 10), sympy.Rational(11, 10)):
        assert above.subs({u: 2 * other, t: half, X: 2, Y: 1}) > 0
