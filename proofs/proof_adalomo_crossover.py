"""Theorem. Let w+ = w - lr s u with s = RMS(w), RMS(u) <= 1 and 0 < lr <= 1, whatever f, the shape and the memory of u. Then

    RMS(w+)  >=  (1 - lr) RMS(w),

so that with minimiser 0 no start comes closer by more than 1 - lr a step; and from a start of size s_0 = max(eps2, RMS(w_0)) and RMS
distance D to any minimiser, at least log(1 + (1 - kept) D / s_0) / log(1 + lr) steps leave a share `kept` of it.

On f = sum h_i w_i^2 / 2 of a vector with v = g^2 (u = sign g), lr (1 + sqrt(d - 1)) <= sqrt d, and M = max |w_i|,

    (1 - lr) M  <=  M+  <=  (1 - lr / sqrt d) M        whatever the curvatures h,

the first with equality for equal magnitudes, the second where one entry alone is not 0. LOMO with its best step contracts by
(kappa - 1) / (kappa + 1) at worst, so it needs more steps exactly for kappa > (1 + q) / (1 - q): 2 / lr - 1 from equal magnitudes,
2 sqrt(d) / lr - 1 in the worst case; below 2 / lr - 1 it is the faster one on every strongly convex f with minimiser 0.
With memory, too, an aligned vector's u does not see h, and no u, factored or not, sees a factor of its tensor's gradients: condition
numbers between tensors drop out of AdaLomo, and stay in LOMO with one rate.

Source:    derived; "superior convergence" is claimed in the abstract of https://arxiv.org/abs/2310.10195 (ACL version); no theorem was
           seen, but the body of the paper was not read
Bounds:    contraction_least, steps_least, aligned_factor, crossover, crossover_equal, crossover_any of sandbox.theory.adalomo_crossover
Not here:  the triangle inequality of RMS; that one-step factors multiply; the factor of gradient descent on every strongly convex f
           (proof_gradient_descent_factor); growth of s (proof_adalomo_growth). Memory (v an average) is not covered by the upper bound.

Letters: p2 = sqrt(d - 1), p1 = sqrt(d); x = |w_i| of an entry that is not the largest, M = 1.
"""

import sympy

from sandbox.theory.adalomo_crossover import (
    aligned_factor,
    contraction_least,
    crossover,
    crossover_any,
    crossover_equal,
    dim,
    distance,
    kappa,
    kept,
    lr,
    q,
    size,
    steps_least,
)
from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.factorisation import rank_one
from sandbox.theory.gradient_descent import L, best_distance_factor, mu

w, delta, x, p1, p2 = sympy.symbols("w delta x p1 p2", real=True)
ROOTS = (p1 >= 1, p2 >= 0, p1**2 <= p2**2 + 1, p1**2 >= p2**2 + 1)
in_roots = {sympy.sqrt(dim - 1): p2, sympy.sqrt(dim): p1, dim: p1**2}
DOMAIN = (*(relation.subs(in_roots) for relation in aligned_factor.requires), *ROOTS)
least, worst = contraction_least.value, aligned_factor.value.subs(sympy.sqrt(dim), p1)
lomo = best_distance_factor.value.subs({L: kappa, mu: 1})
K = sympy.Symbol("K", positive=True)
tenth = {lr: sympy.Rational(1, 10)}
CERTIFICATES = (
    Certificate(
        name="adalomo_contraction_least",
        vectors=(w, delta),
        claim=(w + delta) ** 2 - least**2 * w**2,
        hypotheses=(((1 - lr) / lr, delta**2 - lr**2 * w**2),),
        squares=((lr, w + delta / lr),),
        domain=(lr > 0, lr <= 1),
    ),
)


def sign_step(start: tuple, rate: sympy.Expr, curvatures: tuple) -> tuple:
    """One memoryless step on sum h_i w_i^2 / 2, from the update: u = g / sqrt(g^2), and 0 where g is."""
    s = sympy.sqrt(sum(c**2 for c in start) / sympy.Integer(len(start)))
    gradients = [k * c for k, c in zip(curvatures, start, strict=True)]
    return tuple(c - (rate * s * g / sympy.sqrt(g**2) if g else 0) for c, g in zip(start, gradients, strict=True))


def largest(point: tuple) -> sympy.Expr:
    return max(abs(c) for c in point)


def step_01_no_step_brings_the_weight_closer_to_0_than_by_1_minus_lr():
    for one in CERTIFICATES:
        one.check()


def step_02_it_is_attained_by_equal_magnitudes_whatever_the_curvatures():
    start = (3, -3, 3, 3)
    assert sign_step(start, lr, (1, 10, 100, 1000)) == tuple(sympy.expand(least * c) for c in start)


def step_03_no_larger_contraction_bound_and_no_smaller_one_is_true():
    after = sign_step((2, -2), tenth[lr], (1, 7))
    assert largest(after) < sympy.Rational(1001, 1000) * 2 * least.subs(tenth)
    assert largest(after) == 2 * least.subs(tenth)


def step_04_the_clip_cannot_be_dropped():
    """diag(1, 10) has u = |g| / g on its diagonal, RMS(u) = 101 / 20, so a weight along u shrinks by 1 - 101 lr / 20."""
    square = sum((sympy.Integer(101) / g**2 for g in (1, 10)), sympy.Integer(0)) / 4
    assert square == sympy.Rational(101, 20) ** 2
    assert 1 - sympy.sqrt(square) * tenth[lr] < least.subs(tenth)


def step_05_another_minimiser_takes_at_least_the_steps_in_which_the_size_can_grow():
    """(1 - kept) D <= lr (s_0 + s_1 + ...) <= s_0 ((1 + lr)^K - 1), attained where every step points away from 0 and at the minimiser."""
    total = (1 - kept) * distance
    reached = size * ((1 + lr) ** K - 1)
    ratio = sympy.solve(sympy.Eq(total, reached), kept)[0]
    assert is_zero(sympy.exp(steps_least.value * sympy.log(1 + lr)).subs(kept, ratio).rewrite(sympy.Pow) - (1 + lr) ** K)
    powers = sum((lr * (1 + lr) ** k for k in range(5)), sympy.Integer(0))
    assert is_zero(powers - ((1 + lr) ** 5 - 1))


def step_06_an_entry_that_is_not_the_largest_may_overshoot_by_a_convex_function_of_it():
    """lr s - x with s^2 <= (x^2 + (d - 1)) / d is largest at x = 0 or at x = M = 1."""
    overshoot = lr * sympy.sqrt(x**2 + p2**2) / p1 - x
    assert is_zero(sympy.diff(overshoot, x, 2) * p1 * (x**2 + p2**2) ** sympy.Rational(3, 2) - lr * p2**2)


def step_07_at_both_ends_it_is_within_the_factor():
    assert counterexample(worst - lr * p2 / p1, DOMAIN) is None
    assert counterexample(worst - (lr - 1), DOMAIN) is None


def step_08_the_largest_entry_shrinks_by_lr_s_and_s_is_at_least_M_over_sqrt_d():
    s = sympy.Symbol("s", real=True)
    assert counterexample(worst - (1 - lr * s), (s * p1 >= 1, s <= 1, lr > 0, p1 >= 1)) is None
    assert counterexample((1 - lr * s) - least, (s <= 1, lr > 0)) is None  # and at most M, the other end


def step_09_it_is_attained_at_every_step_where_one_entry_alone_is_not_0():
    start, factor = (1, 0, 0, 0), aligned_factor.value.subs({**tenth, dim: 4})
    once = sign_step(start, tenth[lr], (1, 2, 3, 4))
    assert largest(once) == factor and largest(sign_step(once, tenth[lr], (1, 2, 3, 4))) == factor**2


def step_10_no_smaller_factor_will_do():
    factor = aligned_factor.value.subs({**tenth, dim: 4})
    assert largest(sign_step((1, 0, 0, 0), tenth[lr], (1,) * 4)) > sympy.Rational(999, 1000) * factor


def step_11_beyond_the_step_of_the_domain_a_small_entry_overshoots():
    start, rate = (sympy.Rational(1, 1000), sympy.Integer(1)), sympy.Rational(3, 4)
    assert rate * (1 + 1) > sympy.sqrt(2)
    assert largest(sign_step(start, rate, (1, 1))) > aligned_factor.value.subs({lr: rate, dim: 2})


def step_12_lomo_needs_more_steps_exactly_beyond_the_crossover():
    assert is_zero(lomo.subs(kappa, crossover.value) - q)
    assert is_zero(sympy.diff(lomo, kappa) - 2 / (kappa + 1) ** 2)


def step_13_from_equal_magnitudes_it_lies_at_two_over_lr_minus_1():
    assert is_zero(crossover.value.subs(q, least) - crossover_equal.value)
    assert crossover_equal.value.subs(lr, sympy.Rational(1, 2000)) == 3999  # the learning rate 5e-4 of AdaLomo's code


def step_14_in_the_worst_case_it_lies_sqrt_d_times_as_high():
    assert is_zero(crossover.value.subs(q, worst) - crossover_any.value.subs(sympy.sqrt(dim), p1))


def step_15_below_it_lomo_is_the_faster_one_for_every_memory_and_every_rotation():
    assert counterexample(least - lomo, (kappa >= 1, lr > 0, lr <= 1, kappa * lr <= 2 - lr)) is None
    assert counterexample(least - lomo, (kappa >= 1, lr > 0, lr <= 1, kappa * lr <= 2)) is not None


def step_16_with_memory_the_update_of_an_aligned_vector_does_not_see_its_curvature():
    """v_t = b v + (1 - b) g^2 with g = h w is h^2 times that of h = 1, whatever the weights w0, w1, w2 were."""
    w0, w1, w2, b1, b2, h = sympy.symbols("w0 w1 w2 b1 b2 h", real=True)
    for curvature in (h, sympy.Integer(1)):
        v = b2 * (b1 * (curvature * w0) ** 2 + (1 - b1) * (curvature * w1) ** 2) + (1 - b2) * (curvature * w2) ** 2
        assert is_zero((curvature * w2) ** 2 / v - w2**2 / v.subs(h, 1))


def step_17_nor_does_a_factored_one_see_a_factor_of_its_tensor_but_a_factor_of_one_row():
    entries = sympy.Matrix(2, 2, sympy.symbols("q0:4", positive=True))
    factor = sympy.Symbol("factor", positive=True)
    assert all(is_zero(value) for value in rank_one(factor * entries) - factor * rank_one(entries))
    row = sympy.diag(factor, 1)
    assert not all(is_zero(value) for value in rank_one(row * entries) - row * rank_one(entries))
