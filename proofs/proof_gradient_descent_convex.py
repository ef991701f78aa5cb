"""Theorem. Let f be convex and L-smooth with minimiser w_star, w_k+1 = w_k - lr grad f(w_k), t = lr L <= 3/2, s = k t,

    V_k = |w_k - w_star|^2 + 2 s (f(w_k) - f_star) / L + s (s + 1) |grad f(w_k)|^2 / L^2,
    D_k = f(w_k) - f_star + s |grad f(w_k)|^2 / L.

Then V_k+1 <= V_k for k >= 1, V_2 <= V_0, also V_1 <= V_0 where t^2 <= 2, and D_k+1 <= D_k for k >= 0. Hence, with R = |w_0 - w_star|,

    f(w_K) - f_star    <=  L R^2 / (4 K t + 2)                          for every K >= 1,
    |grad f(w_K)|^2    <=  L^2 R^2 / (K t + 1)^2                        for every K >= 2, and for K = 1 where t^2 <= 2,
    |grad f(w_K)|^2    <=  2 L (f(w_0) - f_star) / (2 K t + 1)          for every K >= 1.

Huber functions attain all three for every K, and beyond the stated steps a quadratic breaks each.

Source:    derived; the first was known for t <= 1 (Drori and Teboulle 2014, https://arxiv.org/abs/1206.3209, recalled)
Bounds:    loss_from_distance, gradient_from_distance, gradient_from_gap of sandbox.theory.gradient_descent_convex
Not here:  the inequality of a convex function with L-Lipschitz gradient (Nesterov's lectures, Theorem 2.1.5, number recalled);
           that the potentials are compared step after step; longer steps, of which `any_loss` and its kin are conjectures.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.gradient_descent_convex import Delta0, K, L, R, gradient_from_distance, gradient_from_gap, loss_from_distance, lr

t, s, x, g0, g1, g2, f0, f1, f2, c = sympy.symbols("t s x g0 g1 g2 f0 f1 f2 c", real=True)  # x = w - w_star; values are above f_star
Point = tuple[sympy.Expr, sympy.Expr, sympy.Expr]  # position, gradient, value
now, after, best = (x, g0, f0), (x - t / L * g0, g1, f1), (sympy.Integer(0),) * 3
second = (x - t / L * (g0 + g1), g2, f2)  # one more step on
STEPS = {lr: t / L, K: s / t}
domain = (L > 0, t > 0, s >= 0)
smaller = sympy.Rational(999, 1000)


def gap(upper: Point, lower: Point) -> sympy.Expr:
    """Q with Q <= 0: f_low + <g_low, dx> + |dg|^2 / (2 L) <= f_up."""
    (x_up, g_up, f_up), (x_low, g_low, f_low) = upper, lower
    return f_low - f_up + g_low * (x_up - x_low) + (g_up - g_low) ** 2 / (2 * L)


def V(k_times_t: sympy.Expr, point: Point) -> sympy.Expr:
    position, gradient, value = point
    return position**2 + 2 * k_times_t * value / L + k_times_t * (k_times_t + 1) * gradient**2 / L**2


def D(k_times_t: sympy.Expr, point: Point) -> sympy.Expr:
    _, gradient, value = point
    return value + k_times_t * gradient**2 / L


mu_V = 2 * (s + t) * (s + 1) / (t * L)  # multiplier of the inequality of the old point against the new one
w2 = 1 + t - t**2  # 1/4 at t = 3/2
descends = ((2 * t / L, gap(best, now)), (2 * (s + t) / L + mu_V, gap(now, after)), (mu_V, gap(after, now)))
weight_V = (s + t) * (2 * (s + 1) / t - s - t) / L**2
mu_D = 1 + 2 * s / t
weight_D = (sympy.Rational(3, 2) - t + s * (2 - t) / t) / L
CERTIFICATES = (
    Certificate(
        name="convex_descent_of_V",
        claim=V(s, now) - V(s + t, after),
        hypotheses=descends,
        squares=((weight_V, g0 - g1),),
        vectors=(x, g0, g1),
        domain=(*domain, t**2 <= 2),
    ),
    Certificate(
        name="convex_descent_of_V_after_the_first_step",
        claim=V(s, now) - V(s + t, after),
        hypotheses=descends,
        squares=((weight_V, g0 - g1),),
        vectors=(x, g0, g1),
        domain=(L > 0, t > 0, s >= t, 2 * t <= 3),
    ),
    Certificate(
        name="convex_descent_of_V_in_two_steps",
        claim=V(sympy.Integer(0), now) - V(2 * t, second),
        hypotheses=(
            (2 * t / L, gap(best, now)),
            (2 * t / L, gap(best, after)),
            ((2 * t + 1) / L, gap(now, after)),
            ((8 * t + 4) / L, gap(after, second)),
            (1 / L, gap(second, now)),
            ((4 * t + 3) / L, gap(second, after)),
        ),
        squares=((w2 / L**2, g0 - g1 + (g1 - g2) / (2 * w2)), ((16 * w2**2 - 1) / (4 * w2) / L**2, g1 - g2)),
        vectors=(x, g0, g1, g2),
        domain=(L > 0, t > 0, 2 * t <= 3),
    ),
    Certificate(
        name="convex_loss_after_one_step",
        claim=x**2 - f1 * R**2 / loss_from_distance.value.subs({lr: t / L, K: 1}),
        hypotheses=(
            ((4 * t - 2) / L, gap(best, now)),
            (4 / L, gap(best, after)),
            (4 / L, gap(now, after)),
            ((6 - 4 * t) / L, gap(after, now)),
        ),
        squares=((sympy.Integer(1), x - (2 * t - 1) * g0 / L - 2 * g1 / L), ((3 - 2 * t) / L**2, g0 - g1)),
        vectors=(x, g0, g1),
        domain=(L > 0, t >= 1, 2 * t <= 3),
    ),
    Certificate(
        name="convex_descent_of_D",
        claim=D(s, now) - D(s + t, after),
        hypotheses=((1 + mu_D, gap(now, after)), (mu_D, gap(after, now))),
        squares=((weight_D, g0 - g1),),
        vectors=(x, g0, g1),
        domain=(*domain, 2 * t <= 3),
    ),
    Certificate(
        name="convex_loss_from_V",
        claim=V(s, now) - f0 * R**2 / loss_from_distance.value.subs(STEPS),
        hypotheses=((2 * (s + 1) / L, gap(best, now)),),
        squares=((sympy.Integer(1), x - (s + 1) * g0 / L),),
        vectors=(x, g0),
        domain=domain,
    ),
    Certificate(
        name="convex_gradient_from_V",
        claim=V(s, now) - g0**2 * R**2 / gradient_from_distance.value.subs(STEPS),
        hypotheses=((2 * (s + 1) / L, gap(now, best)), (2 / L, gap(best, now))),
        squares=((sympy.Integer(1), x - g0 / L),),
        vectors=(x, g0),
        domain=domain,
    ),
    Certificate(
        name="convex_gradient_from_D",
        claim=D(s, now) - g0**2 * Delta0 / gradient_from_gap.value.subs(STEPS),
        hypotheses=((sympy.Integer(1), gap(now, best)),),
        vectors=(x, g0),
        domain=domain,
    ),
)
descent_of_V, descent_later, two_steps, one_step, descent_of_D, loss_from_V, gradient_from_V, gradient_from_D = CERTIFICATES


def huber(slope: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr, sympy.Expr]:
    """(x_K, f(x_K), f(R)) on f = slope |x| - slope^2 / (2 L) where |x| >= slope / L, after K steps of that slope from R."""
    end = R - K * lr * slope
    return end, slope * end - slope**2 / (2 * L), slope * R - slope**2 / (2 * L)


def step_01_V_does_not_increase_while_t_squared_is_at_most_2_nor_after_the_first_step_up_to_three_halves():
    descent_of_V.check()
    descent_later.check()


def step_02_and_two_steps_do_not_increase_it_up_to_three_halves():
    """The weight 16 w^2 - 1 of the last square, w = 1 + t - t^2, is 0 at t = 3/2."""
    two_steps.check()


def step_03_the_loss_after_a_first_step_that_may_increase_it_is_certified_directly():
    one_step.check()


def step_04_nor_does_D():
    descent_of_D.check()


def step_05_V_starts_at_the_squared_distance_and_D_at_the_loss():
    assert is_zero(V(sympy.Integer(0), now) - x**2)
    assert is_zero(D(sympy.Integer(0), now) - f0)


def step_06_V_is_at_least_the_loss_over_its_bound():
    loss_from_V.check()


def step_07_and_at_least_the_squared_gradient_over_its_bound():
    gradient_from_V.check()


def step_08_so_is_D():
    gradient_from_D.check()


def step_09_the_loss_bound_is_attained_by_a_huber_function_for_every_K():
    slope = L * R / (2 * K * lr * L + 1)
    end, loss, _ = huber(slope)
    assert is_zero(loss - loss_from_distance.value)
    assert is_zero(end - slope / L - R * K * lr * L / (2 * K * lr * L + 1))  # >= 0: no step leaves the straight part


def step_10_so_is_the_gradient_bound_by_the_one_that_ends_where_the_slope_begins_to_fall():
    slope = L * R / (K * lr * L + 1)
    end, _, start = huber(slope)
    assert is_zero(end - slope / L)
    assert is_zero(slope**2 - gradient_from_distance.value)
    assert is_zero(slope**2 - gradient_from_gap.value.subs(Delta0, start))  # attained by the same function


def step_11_no_smaller_constant_will_do():
    numbers = {L: 1, lr: 1, K: 2, R: 1}
    _, loss, _ = huber(sympy.Rational(1, 5))
    assert smaller * loss_from_distance.value.subs(numbers) < loss.subs(numbers)
    slope = sympy.Rational(1, 3)
    start = huber(slope)[2].subs(numbers)
    assert smaller * gradient_from_distance.value.subs(numbers) < slope**2
    assert smaller * gradient_from_gap.value.subs({**numbers, Delta0: start}) < slope**2


def on_the_steepest_quadratic(step: sympy.Expr, steps: int) -> tuple[sympy.Expr, sympy.Expr]:
    """(f(w_K), |grad f(w_K)|^2) on x^2 / 2 from x = 1, where f(w_0) = 1 / 2."""
    return (1 - step) ** (2 * steps) / 2, (1 - step) ** (2 * steps)


def step_12_beyond_the_domain_each_bound_fails_on_a_quadratic():
    """The second first where t^2 > 2, after one step; all three where t > 3/2, the second after two."""
    numbers = {L: 1, K: 1, R: 1, Delta0: sympy.Rational(1, 2)}
    longer, too_long = sympy.Rational(3, 2), sympy.Rational(151, 100)
    assert on_the_steepest_quadratic(longer, 1)[1] > gradient_from_distance.value.subs({**numbers, lr: longer})
    loss, gradient = on_the_steepest_quadratic(too_long, 1)
    assert loss > loss_from_distance.value.subs({**numbers, lr: too_long})
    assert gradient > gradient_from_gap.value.subs({**numbers, lr: too_long})
    assert on_the_steepest_quadratic(too_long, 2)[1] > gradient_from_distance.value.subs({**numbers, lr: too_long, K: 2})


def step_13_at_the_edges_the_quadratic_attains_them_too():
    numbers = {L: 1, K: 1, R: 1, Delta0: sympy.Rational(1, 2), lr: sympy.Rational(3, 2)}
    loss, gradient = on_the_steepest_quadratic(numbers[lr], 1)
    assert loss == loss_from_distance.value.subs(numbers) and gradient == gradient_from_gap.value.subs(numbers)
    assert on_the_steepest_quadratic(numbers[lr], 2)[1] == gradient_from_distance.value.subs({**numbers, K: 2})


def step_14_beyond_their_domains_the_certificates_end():
    assert counterexample(weight_V, (*domain, t <= 2)) is not None
    assert counterexample(weight_D, (*domain, t <= 2)) is not None
    assert counterexample(16 * w2**2 - 1, (t > 0, t <= sympy.Rational(151, 100))) is not None


def step_15_with_convexity_dropped_a_maximum_is_never_left():
    """f = cos is 1-smooth, and at 0, where its gradient is 0, it is 2 above its minimum; R = pi, and pi^2 < 10."""
    loss, many = sympy.cos(0) - sympy.cos(sympy.pi), {L: 1, lr: 1, K: 10, R: sympy.sqrt(10)}
    assert sympy.diff(sympy.cos(c), c).subs(c, 0) == 0
    assert loss > loss_from_distance.value.subs(many)


def step_16_with_one_inequality_dropped_V_may_increase():
    """At t = s = L = 1 the three are enough, and each is needed: gradients and values that satisfy the other two let V increase."""
    numbers = {t: 1, s: 1, L: 1}
    claim, three = descent_of_V.claim.subs(numbers), [Q.subs(numbers) <= 0 for _, Q in descent_of_V.hypotheses]
    assert len(three) == 3 and counterexample(claim, three) is None
    for left_out in range(3):
        assert counterexample(claim, three[:left_out] + three[left_out + 1 :]) is not None
    assert counterexample(claim - x**2 / 1000, three) is not None  # nor can V fall by a thousandth of the squared distance
