"""Theorem. Let m <- b1 m + (1 - b1) t, t on a support whose entries stay for N steps, each with one value, and never return; N independent
of the values and of each other, with any law. In the stationary state the energy of m outside of the current support is

    b1^2 E (1 - b1^N)^2 / ((1 - b1^2) E N - 2 b1 E (1 - b1^N))

of the whole. Among all laws with E N = T it is at most that of lives which are all T (for T = 1, ..., 8; for larger T a conjecture),

    b1^2 (1 - b1^T)^2 / ((1 - b1^2) T - 2 b1 (1 - b1^T)),       47 % at T = 10, b1 = 0.9, where geometric lives have 30 %,

and at least b1^2 (1 - b1) / ((1 + b1) T - 2 b1), which lives of one step or nearly for ever approach: 4.7 % there.

Source:    derived; the averages in k dimensions are those of https://arxiv.org/abs/2502.00311 (second-hand)
Bounds:    any_life, fixed_life, most_outside, least_outside of sandbox.theory.sparse_recovery_lives
Not here:  that time averages are means over entries (renewal theorem), so that the share is a ratio of means over entries; that a sequence
           which is convex up to a place and concave after it lies below a line if it does so at its first element and on its concave part.

Letters: v = b1^N. Energies are those of an entry of value 1, summed over its life and after it.
"""

import sympy

from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.sparse_recovery import b1, churn, momentum_outside
from sandbox.theory.sparse_recovery_lives import PROVED_UP_TO, T, any_life, fixed_life, least_outside, life, most_outside, once, twice

v, S, n, inside = sympy.symbols("v S n inside", real=True)
UNIT = (b1 > 0, b1 < 1)
outside = b1**2 * (1 - v) ** 2 / (1 - b1**2)
whole = n - 2 * b1 * (1 - v) / (1 - b1**2)
later = {v: b1 * v, n: n + 1}
grows_inside = Identity("sgc_life_inside", (whole - outside).subs(later, simultaneous=True) - (whole - outside), (1 - b1 * v) ** 2)
settles_outside = Identity("sgc_life_outside", outside, b1**2 * (outside + (1 - v) ** 2))
CERTIFICATES = (grows_inside, settles_outside)


def share(N: int) -> sympy.Expr:
    return sympy.cancel((outside / whole).subs({v: b1**N, n: N}))


def excess(N: int, T_at: int) -> sympy.Expr:
    """outside - S whole of a life of N steps, S the share of lives that are all T: it is 0 at N = T."""
    return (outside - share(T_at) * whole).subs({v: b1**N, n: N})


def polynomial_sign(expr: sympy.Expr) -> sympy.Expr:
    """The same sign on 0 < b1 < 1, with the powers of b1 and of 1 - b1 taken out, which the sign does not need."""
    numerator, denominator = sympy.fraction(sympy.cancel(expr))
    assert counterexample(sympy.factor(denominator), UNIT) is None
    constant, factors = sympy.factor_list(numerator)
    kept = [factor**power for factor, power in factors if factor not in (b1, b1 + 1) and sympy.rem(factor, b1 - 1) != 0]
    flips = sum(power for factor, power in factors if sympy.rem(factor, b1 - 1) == 0 and factor.subs(b1, sympy.Rational(1, 2)) < 0)
    return constant * (-1) ** flips * sympy.Mul(*kept)


def step_01_what_an_entry_holds_in_its_life_and_after_it():
    """Inside: the sum of (1 - b1^a)^2 up to its age; outside: what it leaves decays by b1^2 a step."""
    grows_inside.check()
    settles_outside.check()
    assert is_zero((whole - outside).subs({v: 1, n: 0}))


def step_02_the_share_is_the_ratio_of_the_means():
    """Both are linear in N, b1^N and b1^(2 N)."""
    mean = {v**2: twice, v: once, n: life}
    energies = [sympy.expand(e * (1 - b1**2)).subs(v**2, twice).subs(mean) for e in (outside, whole)]
    assert is_zero(energies[0] / energies[1] - any_life.value)


def step_03_attained_by_a_fixed_life_and_by_geometric_lives():
    assert is_zero(any_life.value.subs({once: v, twice: v**2, life: n}) - fixed_life.value.subs({b1**T: v, T: n}))
    mean_power = [churn * q / (1 - (1 - churn) * q) for q in (b1, b1**2)]
    geometric = any_life.value.subs({once: mean_power[0], twice: mean_power[1], life: 1 / churn})
    assert is_zero(geometric - momentum_outside.value)


def step_04_excess_is_first_convex_and_then_concave_in_the_life():
    """Its second difference has the sign of v (1 + b1)^2 - 2 (b1 + S), and v falls with N."""
    u = outside - S * whole
    before = {v: v / b1, n: n - 1}
    second = u.subs(later, simultaneous=True) - 2 * u + u.subs(before, simultaneous=True)
    assert is_zero(second - v * (1 - b1) / (1 + b1) * (v * (1 + b1) ** 2 - 2 * (b1 + S)))


def step_05_it_is_concave_from_the_fixed_life_on():
    for T_at in range(1, PROVED_UP_TO + 1):
        assert counterexample(polynomial_sign(2 * (b1 + share(T_at)) - b1**T_at * (1 + b1) ** 2), UNIT) is None


def step_06_and_lies_below_the_line_through_it_at_a_life_of_one_step():
    """The line through N = T with the slope u(T + 1), u(T) = 0: u(1) <= -(T - 1) u(T + 1)."""
    for T_at in range(2, PROVED_UP_TO + 1):
        assert counterexample(polynomial_sign(-(T_at - 1) * excess(T_at + 1, T_at) - excess(1, T_at)), UNIT) is None


def step_07_so_no_law_of_that_mean_has_more_than_the_fixed_life():
    """E u <= 0 for E N = T says E outside <= S E whole."""
    for T_at in range(1, PROVED_UP_TO + 1):
        assert excess(T_at, T_at).equals(0)
        assert is_zero(most_outside.value.subs(T, T_at) - share(T_at))


def step_08_no_smaller_share_bounds_all_laws():
    at = {b1: sympy.Rational(9, 10)}
    seen = any_life.value.subs({once: b1**5, twice: b1**10, life: 5}).subs(at)
    assert sympy.Rational(999, 1000) * most_outside.value.subs(T, 5).subs(at) < seen == most_outside.value.subs(T, 5).subs(at)


def step_09_the_least_share():
    """E (1 - b1^N)^2 >= (1 - b1)^2 and E (1 - b1^N) >= 1 - b1, as every N >= 1."""
    bound = b1**2 * (1 - b1) ** 2 / ((1 - b1**2) * life - 2 * b1 * (1 - b1))
    assert is_zero(bound - least_outside.value)
    assert counterexample((1 - v) ** 2 - (1 - b1) ** 2, (*UNIT, v > 0, v <= b1)) is None


def step_10_is_approached_by_lives_of_one_step_or_nearly_for_ever():
    """A share e of lives of 1 + (T - 1) / e steps, the others of one: once and twice tend to b1 and b1^2."""
    assert is_zero(any_life.value.subs({once: b1, twice: b1**2}) - least_outside.value)


def step_11_dropped_the_value_that_stays_new_signs_at_every_step_leave_less_outside():
    """Independent values: inside (1 - b1)^2 (1 - b1^(2 a)) / (1 - b1^2) at age a. T = 2, b1 = 9/10."""
    energy = [(1 - b1) ** 2 * (1 - b1 ** (2 * a)) / (1 - b1**2) for a in (1, 2)]
    gone = energy[1] * b1**2 / (1 - b1**2)
    fresh = (gone / (gone + sum(energy))).subs(b1, sympy.Rational(9, 10))
    assert fresh < fixed_life.value.subs(T, 2).subs(b1, sympy.Rational(9, 10)) - sympy.Rational(1, 30)


def step_12_beyond_a_life_of_one_step_there_is_no_shorter_one():
    assert is_zero(share(1) - b1**2) and is_zero(least_outside.value.subs(life, 1) - b1**2)
