"""Theorem. Let f be convex and L-smooth with minimiser w_star, w_k+1 = w_k - lr grad f(w_k), 1 < t = lr L < 2, tau = t - 1, R = |w_0 -
w_star|, Delta0 = f(w_0) - f_star. Then

    f(w_1) - f_star    <=  L R^2 tau^2 / 2            where t >= 3/2,
    |grad f(w_1)|^2    <=  L^2 R^2 tau^2              where t^2 >= 2,
    |grad f(w_K)|^2    <=  2 L Delta0 tau^(2 K)       where 2 tau^(2 K) >= 1 - tau,
    |grad f(w_K)|^2    <=  L^2 R^2 tau^(2 K)          where 2 tau^(2 K - 2) >= 1 - tau and t >= 3/2,

all equalities on L |w|^2 / 2. The third comes from Phi_k = f_k - f_star + (M_k - 1/2) |grad f_k|^2 / L, M_0 = 1/2, M_k+1 = M_k / tau^2,
which no step increases as long as M_k (1 - tau) <= tau^2. With shorter steps a Huber function breaks the first, the second, the third for
K = 1 and the fourth for K = 2; so for these the domain cannot be wider.

Source:    derived; the forms are conjectures of Taylor, Hendrickx, Glineur (2017, https://arxiv.org/abs/1502.05666)
Bounds:    loss_one_step, gradient_one_step, gradient_from_gap, gradient_from_distance of sandbox.theory.gradient_descent_long_steps
Not here:  the inequality of a convex function with L-Lipschitz gradient (Nesterov's lectures, Theorem 2.1.5, number recalled); that f / L
           is 1-smooth, so that L = 1 may be taken; that one-step inequalities of Phi add up; for K >= 2 the steps between this domain and
           the one where Huber functions are the worst, and the loss (conjectures, see gradient_descent_convex.any_loss).

Letters: L = 1; x = w - w_star; g0, g1, f0, f1 at w and after a step; values are above f_star.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.gradient_descent import Delta0, K, L, lr
from sandbox.theory.gradient_descent_convex import R
from sandbox.theory.gradient_descent_long_steps import gradient_from_distance, gradient_from_gap, gradient_one_step, loss_one_step

T, M, x, g0, g1, f0, f1 = sympy.symbols("tau M x g0 g1 f0 f1", real=True)
half, smaller = sympy.Rational(1, 2), sympy.Rational(999, 1000)
t = 1 + T
Point = tuple[sympy.Expr, sympy.Expr, sympy.Expr]  # position, gradient, value
now, after, best = (x, g0, f0), (x - t * g0, g1, f1), (sympy.Integer(0),) * 3
ONE = {L: 1, lr: t, K: 1, R: 1, Delta0: 1}
UNIT = (T > 0, T < 1)


def gap(upper: Point, lower: Point) -> sympy.Expr:
    """Q with Q <= 0: f_low + <g_low, dx> + |dg|^2 / 2 <= f_up."""
    (x_up, g_up, f_up), (x_low, g_low, f_low) = upper, lower
    return f_low - f_up + g_low * (x_up - x_low) + (g_up - g_low) ** 2 / 2


def Phi(weight: sympy.Expr, value: sympy.Expr, gradient: sympy.Expr) -> sympy.Expr:
    return value + (weight - half) * gradient**2


back = (2 * M - T**2) / (T * (1 + T))  # multiplier of the inequality of the new point against the old one
loss = Certificate(
    name="long_step_loss",
    claim=loss_one_step.value.subs(ONE) * 2 * x**2 - 2 * f1,
    hypotheses=((2 * T, gap(best, now)), (2 * (1 - T), gap(best, after)), (2 * T, gap(now, after))),
    squares=((sympy.Integer(1), T * x - g0 - (1 - T) / T * g1), ((2 * T - 1) / T**2, T * g0 + g1)),
    vectors=(x, g0, g1),
    domain=(2 * T >= 1, T < 1),
)
gradient_short = Certificate(
    name="long_step_gradient_from_root_2",
    claim=gradient_one_step.value.subs(ONE) * x**2 - g1**2,
    hypotheses=(
        (2 * T**2 * (1 + T), gap(best, now)),
        (2 * T**2, gap(best, after)),
        (2 * T, gap(now, after)),
        (2 * T * (1 - T - T**2), gap(after, now)),
        (2 * T**2 * (2 + T), gap(after, best)),
    ),
    squares=((sympy.Integer(1), T * x - T * (1 + T) * g0 - T * g1), (T**2 + 2 * T - 1, T * g0 + g1)),
    vectors=(x, g0, g1),
    domain=(T > 0, T**2 + 2 * T >= 1, T + T**2 <= 1),
)
gradient_long = Certificate(
    name="long_step_gradient",
    claim=gradient_one_step.value.subs(ONE) * x**2 - g1**2,
    hypotheses=(
        (2 * T**2, gap(best, now)),
        (2 * T, gap(now, after)),
        (2 * T * (1 - T), gap(after, now)),
        (2 * T**2, gap(after, best)),
    ),
    squares=((sympy.Integer(1), T * x - T * g0), (2 * T - 1, T * g0 + g1)),
    vectors=(x, g0, g1),
    domain=(2 * T >= 1, T < 1),
)
descent = Certificate(
    name="long_step_descent_of_Phi",
    claim=Phi(M, f0, g0) - Phi(M / T**2, f1, g1),
    hypotheses=((1 + back, gap(now, after)), (back, gap(after, now))),
    squares=(((T**2 - M * (1 - T)) / (T**2 * (1 + T)), T * g0 + g1),),
    vectors=(x, g0, g1),
    domain=(*UNIT, 2 * M >= 1, M * (1 - T) <= T**2),
)
end = Certificate(
    name="long_step_gradient_from_Phi",
    claim=Phi(M, f0, g0) - M * g0**2,
    hypotheses=((sympy.Integer(1), gap(now, best)),),
    vectors=(x, g0),
)
CERTIFICATES = (loss, gradient_short, gradient_long, descent, end)


def huber(slope: sympy.Expr, steps: int) -> tuple[sympy.Expr, sympy.Expr]:
    """(loss after the steps from 1, loss at the start) on slope |x| - slope^2 / 2, which no step leaves."""
    return slope * (1 - steps * t * slope) - slope**2 / 2, slope - slope**2 / 2


def step_01_the_loss_after_one_step():
    loss.check()


def step_02_the_gradient_after_one_step():
    """The second certificate begins before the first ends: 1/2 against (sqrt 5 - 1) / 2."""
    gradient_short.check()
    gradient_long.check()
    assert counterexample(1 - T - T**2, (T > 0, 2 * T <= 1)) is None


def step_03_no_step_increases_Phi_while_its_weight_is_small():
    descent.check()


def step_04_it_starts_at_the_loss_and_ends_above_the_gradient():
    assert is_zero(Phi(half, f0, g0) - f0)
    end.check()


def step_05_so_K_steps_divide_by_the_last_weight():
    """M_K = tau^(-2 K) / 2; the last step needs M_K-1 (1 - tau) <= tau^2, that is 1 - tau <= 2 tau^(2 K), and earlier ones less."""
    for steps in (1, 2, 5):
        last = half / T ** (2 * (steps - 1))
        assert is_zero(gradient_from_gap.value.subs({**ONE, K: steps}) - 1 / (last / T**2))
        condition = gradient_from_gap.requires[-2].subs({**ONE, K: steps})
        assert is_zero(condition.lhs - condition.rhs - (T**2 - last * (1 - T)) / last)


def step_06_from_the_distance_one_step_makes_it_a_loss():
    for steps in (1, 2, 5):
        through = gradient_from_gap.value.subs({**ONE, K: steps - 1}) * loss_one_step.value.subs(ONE)
        assert is_zero(gradient_from_distance.value.subs({**ONE, K: steps}) - through)


def step_07_attained_by_the_quadratic():
    """From x = 1: f_k = tau^(2 k) / 2, g_k = (-tau)^k."""
    assert is_zero(loss_one_step.value.subs(ONE) - T**2 / 2) and is_zero(gradient_one_step.value.subs(ONE) - T**2)
    for steps in (1, 2, 3):
        gradient = (-T) ** steps
        assert is_zero(gradient_from_gap.value.subs({**ONE, K: steps, Delta0: half}) - gradient**2)
        assert is_zero(gradient_from_distance.value.subs({**ONE, K: steps}) - gradient**2)


def step_08_no_smaller_constant_will_do():
    numbers = {**ONE, T: sympy.Rational(3, 4)}
    reached = sympy.Rational(9, 16)
    assert smaller * loss_one_step.value.subs(ONE).subs(numbers) < reached / 2
    assert smaller * gradient_one_step.value.subs(ONE).subs(numbers) < reached


def step_09_dropped_a_link_the_loss_fails():
    """Without the inequality of the two points f1 may be as large as the distance allows: L (R tau)^2 / 2 is below f1 = g1 x1 there."""
    at = {T: sympy.Rational(3, 4), x: 1, g0: sympy.Rational(1, 10), f0: sympy.Rational(1, 20), g1: sympy.Rational(8, 10)}
    highest = (g1 * (x - t * g0) - g1**2 / 2).subs(at)  # gap(best, after) = 0
    left = at | {f1: highest}
    assert gap(best, now).subs(left) <= 0 and is_zero(gap(best, after).subs(left))
    assert loss.claim.subs(left) < 0 < gap(now, after).subs(left)


def step_10_beyond_the_domain_at_shorter_steps_a_huber_function_is_worse():
    """K = 1: slopes 1 / (2 t + 1) for the loss, 1 / (t + 1) for the gradient; K = 2: 1 / (2 t + 1). Just below the ends of the domains."""
    short = {T: sympy.Rational(49, 100)}
    assert (huber(1 / (2 * t + 1), 1)[0] - loss_one_step.value.subs(ONE)).subs(short) > 0
    for slope, steps, at in ((1 / (t + 1), 1, sympy.Rational(41, 100)), (1 / (2 * t + 1), 2, sympy.Rational(49, 100))):
        assert (slope**2 - gradient_from_distance.value.subs({**ONE, K: steps})).subs(T, at) > 0
    slope = 1 / (t + 1)
    allowed = gradient_from_gap.value.subs({**ONE, Delta0: huber(slope, 1)[1]})
    assert (slope**2 - allowed).subs(short) > 0 > (slope**2 - allowed).subs(T, sympy.Rational(51, 100))
