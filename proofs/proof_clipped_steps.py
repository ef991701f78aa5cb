"""Theorem. Let f be L-smooth (convex or not), w+ = w - lr min(1, c / |g|) g with g = grad f(w), t = lr L, 0 < t < 2. Then for all K

    sum_{k<K} min(|g_k|^2, c |g_k|)  <=  2 / (lr (2 - t)) (f(w_0) - f(w_K)),

the constant of steps that are not clipped, so that clipping costs nothing but the smaller left side; hence with Delta0 = f(w_0) - inf f
min_{k<K} |g_k| <= max(sqrt(B / K), B / (c K)), B = 2 Delta0 / (lr (2 - t)).
With noise it does cost something: on w^2 / 2 with noise A (probability p) or -A p / (1 - p), of mean 0, the clipped gradient has mean
0 at w = p (A - c) / (1 - p) and not at 0, where p <= 1/2 and c < A.

Source:    derived
Bounds:    clipped_sum, clipped_min, clipping_centre of sandbox.theory.normalised
Not here:  the descent lemma f(w + d) <= f(w) + <grad f(w), d> + L |d|^2 / 2; that one-step inequalities add up
           (proof_gradient_sum.py); min(x^2, c x) grows with x; the clipped gradient is along g, so that norms suffice.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.gradient_descent import Delta0, K, L, lr
from sandbox.theory.normalised import A, c, clipped_min, clipped_sum, clipping_centre, p, recalled_clipped_sum

t, G, f0, f1, w, m = sympy.symbols("t G f0 f1 w m", real=True)  # G = |g|, a number
B = clipped_sum.value.subs(lr, t / L)
domain = (L > 0, t > 0, t < 2, c > 0)
half, smaller = sympy.Rational(1, 2), sympy.Rational(999, 1000)


def descent(length: sympy.Expr) -> sympy.Expr:
    """Q <= 0 for a step of this length along -g."""
    return f1 - f0 + length * G - L * length**2 / 2


CERTIFICATES = (
    Certificate(
        name="clipped_step_inside",
        claim=B * (f0 - f1) - G**2,
        hypotheses=((2 * L / (t * (2 - t)), descent(t / L * G).subs(L * (t / L * G) ** 2 / 2, t**2 * G**2 / (2 * L))),),
        domain=domain,
    ),
    Certificate(
        name="clipped_step_outside",
        claim=B * (f0 - f1) - c * G,
        hypotheses=((2 * L / (t * (2 - t)), descent(t / L * c)), (t * c / (2 - t), c - G)),
        domain=domain,
    ),
)
inside, outside = CERTIFICATES


def step_01_a_gradient_within_c_takes_the_usual_step():
    inside.check()


def step_02_a_longer_one_is_paid_for_by_c_times_its_norm():
    """The second hypothesis is c <= |g|: what the clipped step leaves over is t c (|g| - c) / (2 - t)."""
    outside.check()


def step_03_the_least_norm_follows_in_either_case():
    """K min(m^2, c m) <= B Delta0 gives m^2 <= B Delta0 / K or m <= B Delta0 / (c K)."""
    one, other = clipped_min.value.args
    total = clipped_sum.value * Delta0
    assert {is_zero(one**2 * K - total), is_zero(other**2 * K - total)} == {True, False}
    assert {is_zero(one * c * K - total), is_zero(other * c * K - total)} == {True, False}


def step_04_it_is_attained_on_the_quadratic_wherever_nothing_is_clipped():
    f = L * w**2 / 2
    assert is_zero(B * (f - f.subs(w, (1 - t) * w)) - (L * w) ** 2)


def step_05_the_centre_of_clipped_skewed_noise():
    """Of the two values of the gradient, w + A is clipped to c, and w - A p / (1 - p) is not."""
    centre = clipping_centre.value
    rare, usual = centre + A, centre - A * p / (1 - p)
    assert is_zero(p * A + (1 - p) * (-A * p / (1 - p)))
    assert is_zero(p * c + (1 - p) * usual)
    inside_domain = clipping_centre.requires
    assert counterexample(rare - c, inside_domain) is None
    for edge in (c - usual, usual + c):
        assert counterexample(edge, inside_domain) is None


def step_06_no_smaller_constant_will_do():
    numbers = {L: 1, lr: half}
    decrease = half - half * half**2  # of w^2 / 2 from 1, |g| = 1 <= c = 1
    assert smaller * clipped_sum.value.subs(numbers) * decrease < 1
    one_step = {L: 1, lr: 1, c: 1, K: 1, Delta0: half}  # on w^2 / 2 from 1, |g| = 1, and the step ends in the minimum
    assert smaller * clipped_min.value.subs(one_step) < 1 == clipped_min.value.subs(one_step)


def step_07_with_the_minimum_dropped_on_the_left_a_clipped_step_does_not_pay():
    """min(|g|^2, c |g|) replaced by |g|^2: on the line of slope 10, c = 1, lr = 1 the step gains 10, and not 50."""
    assert clipped_sum.value.subs({L: 1, lr: 1}) * 10 < 100


def step_08_the_usual_constant_is_larger_on_its_domain():
    assert counterexample(recalled_clipped_sum.value.subs(lr, t / L) - B, (L > 0, t > 0, t <= 1)) is None


def step_09_beyond_two_over_L_the_constant_changes_sign():
    assert counterexample(B, (L > 0, t > 0, t < 3)) is not None


def step_10_beyond_p_equal_one_half_the_usual_value_is_clipped_too():
    usual = clipping_centre.value - A * p / (1 - p)
    assert is_zero(usual + p * c / (1 - p))  # within c up to p = 1/2 ...
    assert usual.subs({p: sympy.Rational(3, 4), A: 4, c: 1}) == -3  # ... and not at 3/4: the mean of the clipped values is p c - (1 - p) c
