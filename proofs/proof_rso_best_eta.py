"""Theorem. Let a subproblem with t = eta Lhat < 1 cost an effort that is proportional to kappa(t) = (1+t) / (1-t) (gradient descent
to a fixed relative accuracy) or to its root (accelerated descent). The product of the effort and the number of rounds, C(t) kappa(t)
or C(t) sqrt(kappa(t)), has exactly one minimum in (0, 1): at t = (sqrt 13 - 3) / 2 = 0.303 and at t = sqrt 6 - 2 = 0.449. C(t)
itself has none: it falls for ever, to 2. The paper's t = 1/2 costs 18.7 % and 0.7 % more than the two minima.

Source:    derived
Bounds:    best_t_gradient, best_t_accelerated of sandbox.theory.rso_rates
Not here:  that the effort is proportional to kappa or its root. In the worst case over f it is not needed at all, see
           proof_rso_inner_steps.py: one gradient step per round is as good as many; this is the best eta for a solver that iterates.
"""

import sympy

from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.rso import constant, t
from sandbox.theory.rso_rates import best_t_accelerated, best_t_gradient, kappa

half = sympy.Rational(1, 2)
UNIT = (t > 0, t < 1)


def slope(power: sympy.Expr) -> sympy.Expr:
    """d/dt log(C kappa^power)."""
    return sympy.diff(constant, t) / constant + power * sympy.diff(kappa, t) / kappa


gradient_slope = Identity("rso_best_eta_gradient", slope(1) * t * (2 + t) * (1 - t**2), 2 * (t**2 + 3 * t - 1))
accelerated_slope = Identity("rso_best_eta_accelerated", slope(half) * t * (2 + t) * (1 - t**2), t**2 + 4 * t - 2)
constant_slope = Identity("rso_best_eta_constant", sympy.diff(constant, t), -4 * (1 + t) / (t**2 * (2 + t) ** 2))
CERTIFICATES = (gradient_slope, accelerated_slope, constant_slope)


def cost(power: int, at: sympy.Expr) -> sympy.Expr:
    """C^2 kappa^power."""
    return (constant**2 * kappa**power).subs(t, at)


def step_1_the_constant_alone_has_no_minimum():
    constant_slope.check()
    assert counterexample(-constant_slope.right, (t > 0,)) is None
    assert sympy.limit(constant, t, sympy.oo) == 2


def step_2_the_slopes_of_both_products():
    gradient_slope.check()
    accelerated_slope.check()


def step_3_a_zero_slope_is_attained_at_the_two_values():
    assert is_zero(gradient_slope.right.subs(t, best_t_gradient.value))
    assert is_zero(accelerated_slope.right.subs(t, best_t_accelerated.value))


def step_4_before_it_the_product_falls_and_after_it_rises():
    for one, quadratic in ((best_t_gradient, t**2 + 3 * t - 1), (best_t_accelerated, t**2 + 4 * t - 2)):
        assert counterexample(-quadratic, (t > 0, t <= one.value)) is None
        assert counterexample(quadratic, (t >= one.value, t < 1)) is None
        assert 0 < one.value < 1


def step_5_no_smaller_and_no_larger_t_is_as_good():
    for power, one in ((2, best_t_gradient), (1, best_t_accelerated)):
        for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
            assert cost(power, one.value) < cost(power, factor * one.value)


def step_6_the_price_of_one_half():
    """Squares of 1.187 and of 1.0068."""
    assert sympy.Rational(1187, 1000) ** 2 < cost(2, half) / cost(2, best_t_gradient.value) < sympy.Rational(1188, 1000) ** 2
    assert sympy.Rational(10067, 10000) ** 2 < cost(1, half) / cost(1, best_t_accelerated.value) < sympy.Rational(10069, 10000) ** 2


def step_7_with_the_effort_dropped_larger_is_better_and_beyond_one_there_is_no_kappa():
    assert constant.subs(t, 1) < constant.subs(t, half)
    assert kappa.subs(t, 2) < 0
