"""Theorem. Let s_i > 0 be the roots of the second moments in a block, q = sqrt(mean s^2), k = max s / min s. Per unit of first
moment Adam's steps are 1 / s_i and Adam-mini's 1 / q, and

    1  <=  q mean(1 / s)  <=  2 (k^2 + k + 1)^(3/2) / (3 sqrt(3) k (k + 1)),

on the left with equality exactly where s is constant, on the right where a share (k + 2) / (3 (k + 1)) of the entries has the
largest s and the rest the smallest. So the shared step is never longer than Adam's mean step, and shorter by a known factor.

Source:    derived; the left side is Jensen's inequality, the right one its sharp reverse on an interval
Bounds:    price_lower, price_upper of sandbox.theory.adam_mini_mean
Not here:  that the factor is the same in all units, so that min s = 1.

Letters: M = mean of s^2; on [1, k] the chord A - B s^2 lies above 1 / s and meets it at both ends.
"""

import sympy

from sandbox.theory.adam_mini_mean import k, price_lower, price_upper
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero

s, q, M = sympy.symbols("s q M", positive=True)
A, B = (k**2 + k + 1) / (k * (k + 1)), 1 / (k * (k + 1))
squared = price_upper.value**2
share = (k + 2) / (3 * (k + 1))
inside = (*price_upper.requires, s >= 1, s <= k)
TANGENT = Identity("tangent_of_the_inverse_root", s**3 - 3 * q**2 * s + 2 * q**3, (s - q) ** 2 * (s + 2 * q))
CHORD = Identity("chord_of_the_inverse_root", s * (A - B * s**2) - 1, B * (s - 1) * (k - s) * (s + k + 1))
PEAK = Certificate(  # M (A - B M)^2 is at most the squared bound
    name="price_of_the_mean",
    claim=squared - M * (A - B * M) ** 2,
    squares=(((4 * A - 3 * B * M) / (27 * B), A - 3 * B * M),),
    domain=(*price_upper.requires, M >= 1, M <= k**2),
)
CERTIFICATES = (TANGENT, CHORD, PEAK)


def price(shares: tuple[tuple[sympy.Expr, sympy.Expr], ...]) -> sympy.Expr:
    """Squared q mean(1 / s) of entries given as (share, s)."""
    return sum(w * x**2 for w, x in shares) * sum(w / x for w, x in shares) ** 2


def step_01_the_tangent_at_q_lies_below_the_inverse_root():
    """1 / s >= 1 / q - (s^2 - q^2) / (2 q^3), and the mean of the last term is 0."""
    TANGENT.check()
    assert is_zero(1 / s - 1 / q + (s**2 - q**2) / (2 * q**3) - TANGENT.left / (2 * q**3 * s))
    assert counterexample(TANGENT.right, ()) is None


def step_02_so_the_price_is_at_least_one_attained_where_s_is_constant():
    assert price(((sympy.Integer(1), s),)) == 1 == price_lower.value
    assert counterexample((s - q) ** 2 * (s + 2 * q), (s > q,)) is None  # 0 at s = q only


def step_03_the_chord_lies_above_it():
    CHORD.check()
    assert counterexample(CHORD.right, inside) is None
    assert is_zero((A - B * s**2).subs(s, 1) - 1) and is_zero((A - B * s**2).subs(s, k) - 1 / k)


def step_04_the_worst_mean_square_gives_the_bound():
    """mean(1 / s) <= A - B M, which is positive; the certificate maximises over M."""
    assert counterexample(A - B * M, PEAK.domain) is None
    PEAK.check()


def step_05_it_is_attained_by_two_values():
    assert is_zero(price(((share, k), (1 - share, sympy.Integer(1)))) - squared)
    assert counterexample(share, price_upper.requires) is None and counterexample(1 - share, price_upper.requires) is None


def step_06_no_smaller_upper_bound_and_no_larger_lower_bound_will_do():
    four = {k: 4}
    reached = price(((share.subs(four), 4), (1 - share.subs(four), 1)))
    assert (sympy.Rational(999, 1000) ** 2) * squared.subs(four) < reached
    assert sympy.Rational(1001, 1000) * price_lower.value > price(((sympy.Integer(1), sympy.Integer(2)),))


def step_07_no_end_of_the_range_can_be_dropped():
    """One entry in ten thousand with s = 1/1000, the rest 1: q mean(1/s) > 1.09, above the bound for k = 1 and without limit."""
    few = sympy.Rational(1, 10**4)
    assert price(((few, sympy.Rational(1, 1000)), (1 - few, sympy.Integer(1)))) > sympy.Rational(109, 100) ** 2 > squared.subs(k, 1)
    assert sympy.limit(price_upper.value, k, sympy.oo) == sympy.oo


def step_08_beyond_the_range_the_chord_is_below():
    assert counterexample(CHORD.right, (k >= 1, s >= 1)) is not None
