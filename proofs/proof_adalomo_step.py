"""Theorem. Let x = RMS(u) of the normalised update and s = max(eps2, RMS(w)), no weight decay. Then the step lr s u / max(1, x / d)
has RMS lr s min(x, d) <= lr s d, and no entry above lr s d sqrt(N), whatever the gradients. Both are attained. In a vector, before
clipping, u^2 = g^2 / (b v + (1 - b) g^2) <= 1 / (1 - b) = t^0.8 at step t, attained by an entry that has been silent.

Source:    derived; the update is that of https://arxiv.org/abs/2310.10195 and its code
Bounds:    step_rms, step_entry, vector_entry of sandbox.theory.adalomo
Not here:  eps1, which makes u smaller.

Letters: x = RMS(u); N = size; age = t^0.8 = 1 / (1 - b).
"""

import sympy

from sandbox.theory import adalomo  # its bounds `step_...` by their module: pytest collects names that begin so
from sandbox.theory.adalomo import age, d, eps2, lr, rms, size, vector_entry
from sandbox.theory.certificate import Certificate, counterexample, is_zero

x, s, b, v, g, entry, rest = sympy.symbols("x s b v g entry rest", real=True)
largest_rms = adalomo.step_rms.value.subs(sympy.Max(eps2, rms), s)
largest_entry = adalomo.step_entry.value.subs(sympy.Max(eps2, rms), s)
ONE = {lr: sympy.Rational(1, 10), d: 1, eps2: sympy.Rational(1, 1000), rms: 2}


def silent_entry(t: int) -> sympy.Expr:
    """Its update at step t, if its first gradient comes there: eps1 = 0, v = 0 before."""
    share = sympy.Integer(t) ** sympy.Rational(-4, 5)
    return g / sympy.sqrt((1 - share) * 0 + share * g**2)


CERTIFICATES = (
    Certificate(
        name="adalomo_step_rms",
        claim=largest_rms - lr * s * x,
        hypotheses=((lr * s, x - d),),
        domain=(lr >= 0, s >= 0),
    ),
    Certificate(
        name="adalomo_step_entry",
        claim=largest_entry**2 - entry**2,
        hypotheses=((sympy.Integer(1), entry**2 + rest - size * largest_rms**2), (sympy.Integer(1), -rest)),
    ),
    Certificate(
        name="adalomo_vector_entry",
        claim=vector_entry.value**2 * ((1 - 1 / age) * v + g**2 / age) - g**2,
        squares=(((age - 1) * v, sympy.Integer(1)),),
        domain=(age >= 1, v >= 0),
    ),
)


def step_01_clipping_leaves_the_smaller_of_x_and_d():
    assert counterexample(d - x, (x >= 0, d > 0, x <= d)) is None  # max(1, x / d) = 1
    assert is_zero(x / (x / d) - d)  # max(1, x / d) = x / d


def step_02_so_the_rms_of_a_step_is_at_most_lr_s_d():
    assert counterexample(largest_rms - lr * s * x, (lr >= 0, s >= 0, x >= 0, x <= d)) is None
    assert is_zero(largest_rms - lr * s * d)


def step_03_it_is_attained_by_the_first_step_of_a_vector():
    """u = sign(g), RMS 1 = d; w = (2, 2)."""
    step = ONE[lr] * max(ONE[eps2], ONE[rms]) * (sympy.Integer(-3) / sympy.sqrt(sympy.Integer(-3) ** 2))
    assert abs(step) == adalomo.step_rms.value.subs(ONE)


def step_04_no_smaller_bound_will_do():
    assert ONE[lr] * ONE[rms] > sympy.Rational(999, 1000) * adalomo.step_rms.value.subs(ONE)
    assert ONE[lr] * ONE[rms] < sympy.Rational(1001, 1000) * adalomo.step_rms.value.subs(ONE)


def step_05_an_entry_is_at_most_sqrt_N_times_the_rms():
    """N RMS^2 = entry^2 + rest."""
    total = size * (lr * s * d) ** 2
    assert counterexample(total - entry**2, (rest >= 0, entry**2 + rest <= total)) is None
    assert is_zero(largest_entry**2 - total)


def step_06_it_is_attained_by_a_silent_entry_of_four_at_step_6():
    """6^0.4 >= sqrt(4), so that clipping acts and leaves RMS 1 in one entry."""
    assert sympy.Integer(6) ** 4 >= sympy.Integer(4) ** 5
    u = sympy.sqrt(sympy.Integer(4)) * 1
    assert is_zero(ONE[lr] * ONE[rms] * u - adalomo.step_entry.value.subs({**ONE, size: 4}))


def step_07_before_clipping_the_update_of_a_vector_is_at_most_t_to_the_0_4():
    gap = age * (b * v + (1 - b) * g**2) - g**2
    assert counterexample(gap.subs(b, 1 - 1 / age), (age >= 1, v >= 0)) is None
    assert is_zero(vector_entry.value**2 - age)


def step_08_a_silent_entry_attains_that_too():
    t = 32  # 32^0.8 = 16
    assert is_zero(silent_entry(t).subs(g, 3) - vector_entry.value.subs(age, 16))


def step_09_with_clipping_dropped_a_diagonal_gradient_takes_any_step():
    """diag(1, k): N RMS(u)^2 = (1 + k^2)^2 / k^2, N = 4."""
    k = 10
    assert sympy.Rational((1 + k**2) ** 2, 4 * k**2) > 1


def step_10_beyond_no_weight_decay_a_step_is_larger():
    decay = sympy.Rational(1, 2) * ONE[lr] * ONE[rms] * ONE[rms]  # lr s wd RMS(w) for wd = 1/2, the same way as the step
    assert ONE[lr] * ONE[rms] + decay > adalomo.step_rms.value.subs(ONE)


def step_11_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
