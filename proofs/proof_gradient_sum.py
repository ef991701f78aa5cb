"""Theorem. Let f be L-smooth (convex or not), w_k+1 = w_k - lr grad f(w_k), 0 < lr < 2/L. Then for every K

    sum_{k<K} |grad f(w_k)|^2  <=  2 / (lr (2 - lr L)) * (f(w_0) - f(w_K)),

with equality for f = L |w|^2 / 2. The same holds for LOMO, whose updates are those of gradient descent.

Source:    derived (textbook argument)
Bound:     sandbox.theory.gradient_descent.gradient_sum
Not here:  the descent lemma f(w + d) <= f(w) + <grad f(w), d> + L |d|^2 / 2. That one-step inequalities add up is among the
           certificates, for this constant and for any.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.gradient_descent import L, gradient_sum, lr
from sandbox.theory.induction import Induction, adding_up

g, w = sympy.symbols("g w", real=True)  # a gradient and a point, as scalars
guaranteed = lr * g**2 - L * (lr * g) ** 2 / 2  # decrease of f that the descent lemma promises for d = -lr g


decrease, cost, price, extra, total, term, least, K = sympy.symbols("decrease cost price extra total term least K", real=True)
CERTIFICATES = (
    Certificate(
        name="gradient_sum_of_one_step",
        claim=gradient_sum.value * decrease - g**2,
        hypotheses=((gradient_sum.value, guaranteed - decrease),),
        vectors=(g,),
        domain=gradient_sum.requires,
    ),
    adding_up("gradient_sum_adding_up", cost=lr * (2 - lr * L), price=sympy.Integer(2)),  # the descent lemma, twice
    adding_up("one_step_inequalities_add_up", cost, price, extra),  # whatever they are
    Induction(  # so do lower bounds of the terms: the least of K numbers, K times, is at most their sum
        "the_least_is_at_most_the_mean",
        claim=total - K * least,
        index=K,
        sequences=((total, sympy.Integer(0), total + term), (term, *sympy.symbols("term_0 term_next", real=True))),
        hypotheses=((sympy.Integer(1), least - term),),
    ),
)


def step_1_the_descent_lemma_pays_for_the_squared_gradient():
    assert is_zero(gradient_sum.value * guaranteed - g**2)


def step_2_the_price_is_positive_on_the_whole_domain():
    assert counterexample(gradient_sum.value, gradient_sum.requires) is None


def step_3_it_is_attained_at_every_step_on_the_steepest_quadratic():
    f = L * w**2 / 2
    decrease = f - f.subs(w, w - lr * sympy.diff(f, w))
    assert is_zero(gradient_sum.value * decrease - sympy.diff(f, w) ** 2)


def step_4_no_smaller_constant_will_do():
    decrease = guaranteed.subs({L: 1, lr: sympy.Rational(1, 2), g: 1})  # equals that of the quadratic of step 3
    constant = gradient_sum.value.subs({L: 1, lr: sympy.Rational(1, 2)})
    assert sympy.Rational(999, 1000) * constant * decrease < 1


def step_5_beyond_two_over_L_the_constant_changes_sign():
    assert counterexample(gradient_sum.value, (L > 0, lr > 0, lr * L < 3)) is not None


def step_6_with_smoothness_dropped_it_fails():
    """f = w^2 has curvature 2: with L = 1 and lr = 1/2 the first step pays 8/3 for a squared gradient of 4."""
    f = w**2
    decrease = (f - f.subs(w, w - sympy.diff(f, w) / 2)).subs(w, 1)
    assert gradient_sum.value.subs({L: 1, lr: sympy.Rational(1, 2)}) * decrease < sympy.diff(f, w).subs(w, 1) ** 2


def step_7_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
