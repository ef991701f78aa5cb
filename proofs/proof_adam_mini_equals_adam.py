"""Theorem. In one entry, with moments corrected for their start, Adam's step minus Adam-mini's is

    -lr m (q - s) / ((s + eps)(q + eps)),     s = sqrt(v_i), q = sqrt(mean of v over the block).

So at a step the two agree in an entry exactly where m = 0 or v_i equals the mean; where no first moment is 0 they agree in
every entry at every step exactly where the squared gradients of a block are equal at every step: blocks of one entry,
gradients of one magnitude. As eps grows beyond s and q the gap falls like 1 / eps^2, the steps like 1 / eps.

Source:    derived
Bounds:    entry_gap of sandbox.theory.adam_mini_steps
Not here:  nothing
"""

import sympy

from sandbox.theory.adam_mini_steps import entry_gap, eps, lr, m, q, s
from sandbox.theory.certificate import Identity, counterexample, is_zero

b2, v, x, y = sympy.symbols("b2 v x y", real=True)
gap = entry_gap.value
EXACT = Identity("entry_gap", -lr * m / (s + eps) + lr * m / (q + eps), gap)
CERTIFICATES = (EXACT,)
third = sympy.Rational(1, 3)


def step_01_the_difference_of_the_two_steps():
    EXACT.check()


def step_02_its_sign_is_that_of_q_minus_s_times_m_so_it_vanishes_only_with_one_of_them():
    signs = (lr > 0, s > 0, q > 0, eps >= 0)
    assert counterexample(-gap, (*signs, m > 0, q > s)) is None and counterexample(gap, (*signs, m > 0, q < s)) is None
    assert sympy.factor(sympy.fraction(sympy.together(gap))[0]) in (lr * m * (s - q), -lr * m * (q - s))


def step_03_equal_second_moments_at_every_step_are_equal_squared_gradients():
    """v_t - b2 v_(t-1) = (1 - b2) g_t^2: equal v before and after, b2 < 1, so equal squares."""
    after = lambda g: b2 * v + (1 - b2) * g**2  # noqa: E731
    assert is_zero((after(x) - after(y)) / (1 - b2) - (x**2 - y**2))


def step_04_it_is_attained_as_zero_by_blocks_of_one_entry_and_by_gradients_of_one_magnitude():
    assert gap.subs(q, s) == 0  # the mean of equal numbers is the number


def step_05_no_smaller_gap_will_do():
    """v = (1, 4, 4) and m = 1: q = sqrt 3; with q = 2 exactly, v = (1, 5, 6): the gap is 1/2, lr = 1, eps = 0."""
    one = {lr: 1, m: 1, eps: 0, s: 1, q: 2}
    assert third * (1 + 5 + 6) == 2**2
    assert gap.subs(one) == -sympy.Rational(1, 2) == -1 + sympy.Rational(1, 2)
    assert sympy.Rational(999, 1000) * abs(gap.subs(one)) < sympy.Rational(1, 2)


def step_06_every_step_cannot_be_dropped():
    """b2 = 1/2: gradients (1, 2) and (3, 0) give v = 1/4 + 2 and 9/4 + 0 after two steps, equal, and 1/2, 9/2 after one."""
    half = {b2: sympy.Rational(1, 2)}
    after = lambda v_, g: (b2 * v_ + (1 - b2) * g**2).subs(half)  # noqa: E731
    first = [after(0, g) for g in (1, 3)]
    assert after(first[0], 2) == after(first[1], 0) and first[0] != first[1]


def step_07_a_first_moment_that_is_not_zero_cannot_be_dropped():
    assert gap.subs({m: 0, lr: 1, eps: 0, s: 1, q: 2}) == 0


def step_08_beyond_all_second_moments_eps_makes_them_one_rule():
    size = lr * m / (q + eps)
    assert sympy.limit(gap / size, eps, sympy.oo) == 0
    assert sympy.limit((gap / size * eps).subs({lr: 1, m: 1, s: 1, q: 2}), eps, sympy.oo) == -1  # -(q - s): relative gap (q - s) / eps
