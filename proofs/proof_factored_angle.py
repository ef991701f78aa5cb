"""Theorem. Let x_i = V_i^-1/2 lie in [lo, hi] and k = hi / lo = sqrt(max V / min V), over the entries whose gradient is not 0. Then

    cos(g, g / sqrt(V))  =  sum g_i^2 x_i / (|g| |g x|)  >=  2 sqrt(k) / (1 + k),

for every g, whatever past V comes from. AdaLomo's first step on diag(a, b) attains it, with the k that its own state shows,
sqrt(max r max c / (min r min c)) = max(a, b)^2 / min(a, b)^2 and u = |g| / g there.

Source:    Kantorovich's inequality, here for an average with weights g_i^2 / |g|^2; that AdaLomo attains it: derived
Bound:     sandbox.theory.factored_update.angle
Not here:  that sums over i are finite; clipping, which multiplies u by a number and leaves the angle.

Letters: A, B = averages of x and of x^2 with the weights g_i^2 / |g|^2, so that cos = A / sqrt(B); lo = 1, which scales out.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.factored_update import angle, spread
from sandbox.theory.factorisation import rank_one

A, B, x, lo = sympy.symbols("A B x lo", real=True)
a, b = sympy.symbols("a b", positive=True)
square = angle.value**2
CERTIFICATES = (
    Certificate(
        name="factored_angle",
        claim=A**2 - square * B,
        hypotheses=((square, B - (1 + spread) * A + spread),),
        squares=((sympy.Integer(1), A - 2 * spread / (1 + spread)),),
        domain=angle.requires,
    ),
)


def cosine_of_first_step(g: tuple) -> sympy.Expr:
    """On diag(g), from V1 of g^2; only the entries of the diagonal have a gradient."""
    V1 = rank_one(sympy.diag(*(entry**2 for entry in g)))
    u = [entry / sympy.sqrt(V1[i, i]) for i, entry in enumerate(g)]
    inner = sum(entry * step for entry, step in zip(g, u, strict=True))
    return inner / sympy.sqrt(sum(entry**2 for entry in g) * sum(step**2 for step in u))


def step_1_a_number_between_the_ends_satisfies_a_quadratic_inequality():
    """(x - 1) (k - x) >= 0, averaged: B <= (1 + k) A - k."""
    assert is_zero((x - 1) * (spread - x) - ((1 + spread) * x - spread - x**2))
    assert counterexample((x - 1) * (spread - x), (x >= 1, x <= spread)) is None


def step_2_the_certificate():
    for one in CERTIFICATES:
        one.check()


def step_3_it_is_attained_by_the_first_step_on_two_diagonal_entries():
    for pair in ((1, 3), (2, 7)):
        seen = sympy.Rational(max(pair), min(pair)) ** 2  # k, from r = c = g^2
        assert is_zero(cosine_of_first_step(tuple(map(sympy.Integer, pair))) - angle.value.subs(spread, seen))


def step_4_in_symbols():
    direct = 2 * a * b / (a**2 + b**2)
    assert is_zero(cosine_of_first_step((a, b)) ** 2 - direct**2)
    assert is_zero(square.subs(spread, a**2 / b**2) - direct**2)


def step_5_no_larger_bound_is_true_and_no_smaller_one_is_attained():
    here = cosine_of_first_step((sympy.Integer(1), sympy.Integer(3)))
    assert here == sympy.Rational(3, 5)
    assert here < sympy.Rational(1001, 1000) * angle.value.subs(spread, 9)
    assert here > sympy.Rational(999, 1000) * angle.value.subs(spread, 9)


def step_6_with_the_lower_end_dropped_no_bound_is_left():
    """x >= 0 alone: B <= k A, and a weight 1 / k^2 on k^2, the rest at 0, has cos = 1 / k."""
    weight = 1 / spread**2
    cosine = weight * spread**2 / sympy.sqrt(weight * spread**4)
    assert is_zero(cosine.subs(spread, 1000) - sympy.Rational(1, 1000))


def step_7_beyond_the_spread_of_the_state_the_angle_grows():
    """V of spread 25 judged by 16: the cosine 2 sqrt(25) / 26 of its worst gradient lies below the bound of 16."""
    assert angle.value.subs(spread, 25) == sympy.Rational(10, 26) < angle.value.subs(spread, 16)
    assert counterexample(-sympy.diff(square, spread), angle.requires) is None
