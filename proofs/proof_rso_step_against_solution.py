"""Theorem. Let f be a quadratic with curvature between -L and L and 0 < t <= 1/2, or a convex one and 0 < t <= 1. From every W and for
every P with P^T P = (m/r) I, one gradient step 1 / Lhat in the subspace lowers f at least as much as the exact solution of its
subproblem with t = eta Lhat. Both ranges of t are the largest: beyond 1/2 curvature -Lhat, beyond 1 no curvature at all
makes the solution the better one. So the paper's eta = 1 / (2 Lhat) is exactly the largest for which solving a subproblem never
pays on any quadratic; what solving can bring needs a larger eta.

Source:    derived; seen at t = 1/2 before (the experiment rso_one_inner_step)
Bounds:    gain_of_one_step, gain_of_one_step_convex of sandbox.theory.rso_inner_steps
Not here:  that decreases add up over the eigenvectors of P^T H P, so that one number x stands for all curvatures; functions
           that are not quadratic, for which proof_rso_one_step_against_solution.py shows the same by a certificate; here are the exact
           gains on a quadratic, curvature by curvature.

Letters: x = curvature over Lhat along an eigenvector; decreases in units of the squared gradient over 2 Lhat.
"""

import sympy

from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.rso import t
from sandbox.theory.rso_inner_steps import gain_of_one_step, gain_of_one_step_convex

x, B = sympy.symbols("x B", real=True)
half = sympy.Rational(1, 2)
of_step = 2 - x
of_solution = t * (2 + x * t) / (1 + x * t) ** 2
excess = of_step * (1 + x * t) ** 2 - t * (2 + x * t)
ANY, CONVEX = (t > 0, t <= half, x >= -1, x <= 1), (t > 0, t <= 1, x >= 0, x <= 1)
difference = Identity("rso_step_against_solution", of_step - of_solution, excess / (1 + x * t) ** 2)
CERTIFICATES = (difference,)


def fall(move: sympy.Expr) -> sympy.Expr:
    """2 (h(0) - h(move)) for h = B + x B^2 / 2."""
    return -2 * (move + x * move**2 / 2)


def step_1_what_the_step_and_the_solution_gain():
    assert is_zero(fall(sympy.Integer(-1)) - of_step)
    best = sympy.solve(sympy.diff(B + x * B**2 / 2 + B**2 / (2 * t), B), B)[0]
    assert is_zero(fall(best) - of_solution)
    difference.check()


def step_2_on_every_quadratic_the_step_gains_at_least_as_much_up_to_t_one_half():
    assert gain_of_one_step.requires[:2] == ANY[:2]
    assert counterexample(of_step - gain_of_one_step.value * of_solution, ANY) is None
    assert counterexample(excess, ANY) is None


def step_3_and_on_convex_ones_up_to_t_one():
    assert gain_of_one_step_convex.requires[:2] == CONVEX[:2]
    assert counterexample(of_step - gain_of_one_step_convex.value * of_solution, CONVEX) is None
    assert counterexample(excess, CONVEX) is None


def step_4_both_are_attained():
    assert is_zero((of_step - gain_of_one_step.value * of_solution).subs({t: half, x: -1}))
    assert is_zero((of_step - gain_of_one_step_convex.value * of_solution).subs({t: 1, x: 0}))


def step_5_no_larger_and_no_smaller_ratio_is_the_least():
    for bound, instance in ((gain_of_one_step, {t: half, x: -1}), (gain_of_one_step_convex, {t: 1, x: 0})):
        assert (of_step - sympy.Rational(1001, 1000) * bound.value * of_solution).subs(instance) < 0
        assert (of_step / of_solution).subs(instance) == bound.value


def step_6_beyond_one_half_curvature_minus_Lhat_breaks_it_and_beyond_one_no_curvature():
    """At x = -1 the excess has the sign of (2t - 1)(2t - 3), at x = 0 of 1 - t."""
    assert is_zero(excess.subs(x, -1) - (1 - 2 * t) * (3 - 2 * t))
    assert counterexample(-excess.subs(x, -1), (t > half, t < 1)) is None
    assert is_zero(excess.subs(x, 0) - 2 * (1 - t))


def step_7_with_the_lower_bound_on_the_curvature_dropped_it_fails():
    assert excess.subs({t: half, x: -sympy.Rational(3, 2)}) < 0


def step_8_the_most_that_a_step_can_be_ahead():
    """At t = 1/2 the ratio (2 - x)(2 + x)^2 / (4 + x) stays below 21/10; at no curvature it is 1 / t."""
    ratio = (2 - x) * (2 + x) ** 2 / (4 + x)
    assert is_zero((of_step / of_solution).subs(t, half) - ratio)
    assert counterexample(sympy.Rational(21, 10) - ratio, (x >= -1, x <= 1)) is None
    assert is_zero((of_step / of_solution).subs(x, 0) - 1 / t)
