"""Theorem. Let f_1 .. f_k be L-smooth, |grad f_i(w_0)| <= G, w_i = w_i-1 - lr grad f_i(w_i-1), t = lr L. Then

    |w_k - (w_0 - lr sum_i grad f_i(w_0))|  <=  (G / L) ((1 + t)^k - 1 - k t)  =  lr^2 L G k (k - 1) / 2 + O(lr^3),

with equality for f_i = -L w^2 / 2 and every k. If all f_i are convex and t <= 2 the leading term is itself a bound, exact for k = 2.

Source:    derived; LOMO (https://arxiv.org/abs/2306.09782), section 3.1, argues that the two are close, without a constant
Bounds:    in_parts, in_parts_convex of sandbox.theory.gradient_descent_in_backward
Not here:  the triangle inequality, which gives d_i <= d_i-1 + lr (G + L d_i-1) for d_i = |w_i - w_0| and e_i <= e_i-1 + t d_i-1 for the
           distance e_i asked for; induction over i; two inequalities of a convex function with Lipschitz gradient (see
           proof_gradient_descent_factor), whose sum is the cocoercivity of step 3.
"""

import sympy

from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.gradient_descent import L, lr
from sandbox.theory.gradient_descent_in_backward import G, in_parts, in_parts_convex, k

t, P, x, y, gx, gy, w = sympy.symbols("t P x y gx gy w", real=True)  # P = (1 + t)^i
i = sympy.Symbol("i", integer=True)
half, smaller = sympy.Rational(1, 2), sympy.Rational(999, 1000)


def apart(more: int) -> sympy.Expr:
    """The bound after i + more parts, in t and P."""
    value = in_parts.value.subs(k, i + more).subs(lr, t / L)
    return value.replace(lambda e: e.is_Pow and e.exp.has(i), lambda e: P * e.base ** (e.exp - i))


moved = G / L * (P - 1)  # d_i = |w_i - w_0| at most
CERTIFICATES = (
    Identity(name="moved_in_parts", left=moved + t / L * (G + L * moved), right=moved.subs(P, P * (1 + t))),
    Identity(name="apart_in_parts", left=apart(0) + t * moved, right=apart(1)),
    Certificate(
        name="convex_steps_come_no_further_apart",
        claim=(x - y) ** 2 - ((x - t / L * gx) - (y - t / L * gy)) ** 2,
        hypotheses=((2 * t / L, (gx - gy) ** 2 / L - (gx - gy) * (x - y)),),
        squares=((t * (2 - t) / L**2, gx - gy),),
        vectors=(x, y, gx, gy),
        domain=(L > 0, t > 0, t <= 2),
    ),
)


def in_turn(gradients: tuple, start: sympy.Expr, step: sympy.Expr) -> sympy.Expr:
    """w_k minus the point of one step with all gradients at the start."""
    point = start
    for gradient in gradients:
        point = point - step * gradient(point)
    return sympy.expand(point - (start - step * sum(gradient(start) for gradient in gradients)))


def concave(z: sympy.Expr) -> sympy.Expr:
    return -L * z


def step_01_of_one_part_nothing_is_apart():
    assert is_zero(in_parts.value.subs(k, 1)) and is_zero(in_parts_convex.value.subs(k, 1))


def step_02_one_more_part_adds_t_times_what_was_moved():
    CERTIFICATES[0].check()
    CERTIFICATES[1].check()


def step_03_convex_parts_move_by_at_most_lr_G_each():
    """A step of a convex f_i with t <= 2 brings no two points apart, so that d_i <= d_i-1 + lr G <= i lr G."""
    CERTIFICATES[2].check()


def step_04_and_add_less():
    more = in_parts_convex.value.subs(k, i + 1) - in_parts_convex.value.subs(k, i)
    assert is_zero(more - lr * L * (i * lr * G))


def step_05_which_is_the_leading_term_of_the_other():
    for parts in (2, 3, 4):
        both = [bound.value.subs({k: parts, L: 1, G: 1}).expand() for bound in (in_parts, in_parts_convex)]
        assert both[0].coeff(lr, 2) == both[1].coeff(lr, 2) == sympy.binomial(parts, 2)
        assert both[0].coeff(lr, 0) == both[0].coeff(lr, 1) == 0


def step_06_it_is_attained_on_a_maximum_for_every_k():
    for parts in (2, 3, 5):
        distance = in_turn((concave,) * parts, w, lr)
        assert is_zero(distance - in_parts.value.subs({k: parts, G: L * w}))
    assert is_zero((P * w - w * (1 + i * t)) - apart(0).subs(G, L * w))  # w_i = (1 + t)^i w, against w (1 + i t)


def step_07_two_convex_parts_attain_theirs():
    """f_1 = G w, f_2 = -G w + L w^2 / 2 from 0: the second step sees what the first has moved."""
    distance = in_turn((lambda z: G, lambda z: L * z - G), sympy.Integer(0), lr)
    assert is_zero(distance - in_parts_convex.value.subs(k, 2))


def step_08_no_smaller_constant_will_do():
    numbers = {L: 1, G: 1, lr: half}
    assert smaller * in_parts.value.subs({**numbers, k: 3}) < in_turn((concave,) * 3, sympy.Integer(1), half).subs(L, 1)
    assert smaller * in_parts_convex.value.subs({**numbers, k: 2}) < half**2


def step_09_with_convexity_dropped_the_leading_term_is_no_bound():
    distance = in_turn((concave,) * 3, sympy.Integer(1), half).subs(L, 1)
    assert distance > in_parts_convex.value.subs({L: 1, G: 1, lr: half, k: 3})


def step_10_beyond_t_equal_two_convex_steps_come_apart():
    assert counterexample(t * (2 - t), (t > 0, t <= 3)) is not None
    long = {L: 1, lr: 4, k: 3, G: 1}  # f_i = w^2 / 2 from 1
    distance = in_turn((lambda z: z,) * 3, sympy.Integer(1), sympy.Integer(4))
    assert abs(distance) < in_parts.value.subs(long) and abs(distance) <= in_parts_convex.value.subs(long)  # not yet: ...
    further = in_turn((lambda z: z,) * 7, sympy.Integer(1), sympy.Integer(4))
    assert abs(further) > in_parts_convex.value.subs({**long, k: 7})  # ... the growth by 3^k overtakes k (k - 1)
