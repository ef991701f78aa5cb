"""Theorem. An average v_t = b_t v_{t-1} + (1 - b_t) q_t with b_1 = 0 has weights that sum to 1, for any b. With b_t = 1 - t^-c,
0 <= c <= 1, the sum Q_T of its squared weights lies between 1 / (2 T^c - 1) and 1 / T^c: it is the mean of at least T^c and at most
2 T^c - 1 values.

Source:    derived; the schedule is Adafactor's and AdaLomo's, https://arxiv.org/abs/1804.04235, section 7.2 (second-hand), c = 0.8
Bounds:    averages_least, averages_most of sandbox.theory.factorisation_noise
Not here:  T^c <= (T - 1)^c + 1 (subadditivity of a concave power), and (T - 1)^c <= T^c; that induction over t is one.

Letters: x = t^-c = 1 / P, y = (t - 1)^-c = 1 / O; Q, Qold = sums of squared weights at t and at t - 1; W = sum of weights.
"""

import sympy

from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.factorisation_noise import averages_least, averages_most, power

P, O, Qold, W, b = sympy.symbols("P O Qold W b", real=True)
x = 1 / P
ORDER = (O >= 1, P >= O, P <= O + 1)


def squared(old: sympy.Expr) -> sympy.Expr:
    """Q_t = b^2 Q_{t-1} + (1 - b)^2."""
    return (1 - x) ** 2 * old + x**2


def effective(rates: list) -> sympy.Expr:
    """1 / Q for these values of 1 - b."""
    total = sympy.Integer(0)
    for rate in rates:
        total = (1 - rate) ** 2 * total + rate**2
    return 1 / total


least_now, least_before = (1 / averages_least.value.subs(power, size) for size in (P, O))
most_now, most_before = (1 / averages_most.value.subs(power, size) for size in (P, O))
CERTIFICATES = (
    Certificate(
        name="schedule_at_least",
        claim=least_now - squared(Qold),
        hypotheses=(((1 - x) ** 2, Qold - least_before),),
        squares=(((P - 1) * (O + 1 - P) / (P**2 * O), sympy.Integer(1)),),
        domain=ORDER,
    ),
    Certificate(
        name="schedule_at_most",
        claim=squared(Qold) - most_now,
        hypotheses=(((1 - x) ** 2, most_before - Qold),),
        squares=((2 * (1 - x) ** 2 * (P - O) / ((2 * O - 1) * (2 * P - 1)), sympy.Integer(1)),),
        domain=ORDER,
    ),
    Identity("schedule_fixed_point", squared(most_now), most_now),
    Identity("schedule_weights", b * W + (1 - b), 1 + b * (W - 1)),
)


def step_1_the_weights_sum_to_1():
    assert is_zero((b * W + (1 - b)).subs(W, 1) - 1)
    assert (b * W + (1 - b)).subs(b, 0) == 1  # the first, whatever came before


def step_2_at_least_power_averages_are_kept_by_a_step():
    """Q_{t-1} <= 1 / O implies Q_t <= 1 / P."""
    least = {power: P}, {power: O}
    gap = 1 / averages_least.value.subs(least[0]) - squared(1 / averages_least.value.subs(least[1]))
    assert counterexample(gap, ORDER) is None
    assert counterexample((1 - x) ** 2, (P >= 1,)) is None  # so that Q_t grows with Q_{t-1}


def step_3_at_most_twice_power_minus_1():
    """Q_{t-1} >= 1 / (2 O - 1) implies Q_t >= 1 / (2 P - 1), which is the fixed point of the step."""
    gap = squared(1 / averages_most.value.subs(power, O)) - 1 / averages_most.value.subs(power, P)
    assert counterexample(gap, ORDER) is None
    assert is_zero(squared(1 / averages_most.value.subs(power, P)) - 1 / averages_most.value.subs(power, P))


def step_4_both_are_attained_by_the_first_step():
    assert averages_least.value.subs(power, 1) == averages_most.value.subs(power, 1) == effective([sympy.Integer(1)])


def step_5_the_lower_one_is_attained_by_the_plain_mean():
    """c = 1: rates 1 / t."""
    for T in (2, 5, 9):
        assert effective([sympy.Rational(1, t) for t in range(1, T + 1)]) == averages_least.value.subs(power, T)


def step_6_no_smaller_upper_and_no_larger_lower_number_will_do():
    """The upper one with c = 0, no memory: one value at every T, where T^0 = 1; in between, c = 1/2 at T = 4 and 9."""
    assert effective([sympy.Integer(1)] * 5) == averages_most.value.subs(power, 1)
    assert effective([sympy.Integer(1)]) > sympy.Rational(999, 1000) * averages_most.value.subs(power, 1)
    roots = effective([1 / sympy.sqrt(t) for t in range(1, 10)])
    assert averages_least.value.subs(power, 3) < roots < averages_most.value.subs(power, 3)


def step_7_with_b_of_0_at_the_first_step_dropped_the_weights_do_not_sum_to_1():
    """A constant b from the zero state, as the paper's figure prints it: 1 - b^t."""
    assert is_zero((b * (b * 0 + (1 - b)) + (1 - b)) - (1 - b**2))


def step_8_beyond_c_of_1_the_lower_bound_fails():
    """c = 2, T = 2: rates 1, 1/4."""
    assert effective([sympy.Integer(1), sympy.Rational(1, 4)]) < averages_least.value.subs(power, 4)


def step_9_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
