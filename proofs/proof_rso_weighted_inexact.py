"""Theorem. In the setting of proof_rso_exact_subproblem.py let 0 < t < 1, F(B) <= min F + eps, a > (1+t) / (2+t). Then

    |grad h(0)|^2  <=  C(t, a) Lhat (f(W) - f(W+) + a eps),   C(t, a) = 2 (1+t) (a (1+t) - t) / (t (a (2+t) - (1+t))).

a trades progress against accuracy: C(1/2, 1) = 6, C(1/2, 2) = 30/7, and C(t, a) falls to the exact constant as a grows.
It is attained for every t and a on a quadratic of curvature Lhat.

Source:    derived
Bound:     sandbox.theory.rso.weighted_inexact_constant
Not here:  the inequality of smooth functions between two points (step 1 of the exact proof); that one-step inequalities
           add up (proof_gradient_sum.py); units: the proof is written for Lhat = 1, to which h / Lhat reduces every other case.

Letters: points 0, s (the minimiser of F, at -t gs) and T (the point B, at xT); g and h with them: gradients and values.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero, smooth_gap
from sandbox.theory.rso import a, eps, exact_constant, inexact_constant, t, weighted_inexact_constant

g0, gs, gT, xT, h0, hs, hT = sympy.symbols("g0 gs gT xT h0 hs hT", real=True)
C = weighted_inexact_constant.value
one = sympy.Integer(1)
zero, best, point = (sympy.Integer(0), g0, h0), (-t * gs, gs, hs), (xT, gT, hT)
accuracy = (hT + xT**2 / (2 * t)) - (hs + t * gs**2 / 2) - eps  # F(T) - min F - eps <= 0
below = a * (2 + t) - (1 + t)
above = a * (1 + t) - t
accuracy_multiplier = 2 * a * (1 + t) * above / (t * below)
scope = (*weighted_inexact_constant.requires, t < 1)

large_a = (  # a >= 1: (multiplier, inequality), then (weight, form) of the squares
    (2 * (1 + t) / t, smooth_gap(zero, best, one)),
    (2 * (a - 1) * (1 + t) / (t * below), smooth_gap(point, zero, one)),
    (2 * (a - 1) ** 2 * (1 + t) ** 2 / (t * below), smooth_gap(point, best, one)),
    (accuracy_multiplier, accuracy),
)
p = a * (3 - t**2) + t**2 - t - 2
p2 = a**2 * (3 - t**2) + a * (2 * t**2 - 3) + 1 - t**2
large_a_squares = (
    (p / (2 * t * below), g0 - ((a - 1) * (1 + t) * (gT - xT) + (1 - t) * (1 + t) * below * gs) / p),
    ((a - 1) * (1 - t) * (1 + t) ** 3 * p2 / (2 * t * below * p), gs + (xT - gT) / (1 + t)),
    ((1 + t) / below, a * xT / t + (a - 1) * gT),
)
small_a = (  # (1+t)/(2+t) < a <= 1
    (accuracy_multiplier, smooth_gap(zero, best, one)),
    (2 * (1 - a) * (1 + t) * above / (t * below), smooth_gap(zero, point, one)),
    (accuracy_multiplier, accuracy),
)
q = a * (1 - 2 * t - t**2) + t**2 + t
q2 = a * (1 - t) + t
small_a_squares = (
    (q / (2 * t * below), g0 + (1 + t) * above * ((a - 1) * (gT + xT) - a * (1 - t) * gs) / q),
    (a * (1 - a) * (1 - t) * (1 + t) ** 3 * q2 * above / (2 * t * below * q), gs - above * (gT + xT) / ((1 + t) * q2)),
    ((1 + t) * above / (q2 * below), a * xT / t + (a - 1) * gT),
)
claim = C * (h0 - hT + a * eps) - g0**2
vectors = (g0, gs, gT, xT)
at_least_one = Certificate(
    name="rso_weighted_inexact_large_a",
    claim=claim,
    hypotheses=large_a,
    squares=large_a_squares,
    vectors=vectors,
    domain=(t > 0, t < 1, a >= 1, p >= 0, p2 >= 0),  # the last two follow, see step 2; the kernel of Coq does not find them
)
at_most_one = Certificate(
    name="rso_weighted_inexact_small_a",
    claim=claim,
    hypotheses=small_a,
    squares=small_a_squares,
    vectors=vectors,
    domain=(t > 0, t < 1, a * (2 + t) > 1 + t, a <= 1),
)
CERTIFICATES = (at_least_one, at_most_one)


def worst_case() -> tuple[sympy.Expr, sympy.Expr]:
    """On h = (1 - B)^2 / 2: (decrease, eps) of the point B that makes the bound an equality."""
    B = sympy.Symbol("B", real=True)
    h, F = (1 - B) ** 2 / 2, (1 - B) ** 2 / 2 + B**2 / (2 * t)
    slowest = sympy.solve(sympy.diff(a * F - h, B), B)[0]
    return h.subs(B, 0) - h.subs(B, slowest), F.subs(B, slowest) - F.subs(B, t / (1 + t))


def step_1_the_certificate_for_a_at_least_one():
    at_least_one.check()


def step_2_none_of_its_weights_is_negative_or_has_a_pole():
    v = a - 1
    assert is_zero(p - (1 - t + (3 - t**2) * v)) and is_zero(p2 - (1 + 3 * v + (3 - t**2) * v**2))
    assert counterexample(p - (1 - t), at_least_one.domain[:3]) is None
    assert counterexample(p2, at_least_one.domain[:3]) is None


def step_3_the_certificate_for_a_at_most_one():
    at_most_one.check()


def step_4_none_of_its_weights_has_a_pole_either():
    assert counterexample(q - (1 - t) / 2, at_most_one.domain) is None


def step_5_it_is_attained_for_every_t_and_a():
    decrease, accurate = worst_case()
    assert is_zero(C * (decrease + a * accurate) - 1)


def step_6_no_smaller_constant_will_do():
    numbers = {t: sympy.Rational(1, 2), a: 2}
    decrease, accurate = (part.subs(numbers) for part in worst_case())
    assert C.subs(numbers) == sympy.Rational(30, 7)
    assert sympy.Rational(999, 1000) * C.subs(numbers) * (decrease + 2 * accurate) < 1


def step_7_it_joins_the_plain_constant_at_one_and_the_exact_one_at_infinity():
    assert is_zero(C.subs(a, 1) - inexact_constant.value)
    assert is_zero(sympy.limit(C, a, sympy.oo) - exact_constant.value)


def step_8_beyond_the_limit_of_a_the_constant_is_worthless():
    """At a (2 + t) = 1 + t it is infinite; below it would be negative."""
    assert counterexample(below, (t > 0, t < 1, a > 0)) is not None
    assert C.subs({t: sympy.Rational(1, 2), a: sympy.Rational(1, 2)}) < 0


def step_9_with_the_accuracy_or_a_link_dropped_it_fails():
    """B = 0 lowers nothing, so eps must pay; and g0 = 1, all else 0, breaks it and passes all but the inequalities at 0."""
    numbers = {t: sympy.Rational(1, 2), a: 2}
    assert claim.subs({**numbers, h0: 0, hT: 0, eps: 0, g0: 1}) == -1
    nothing_else = {**numbers, g0: 1, gs: 0, gT: 0, xT: 0, h0: 0, hs: 0, hT: 0, eps: 0}
    assert [bool(gap.subs(nothing_else) <= 0) for _, gap in large_a] == [False, False, True, True]
