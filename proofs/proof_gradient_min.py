"""Theorem. Let f be L-smooth (convex or not), w_k+1 = w_k - lr grad f(w_k), t = lr L, m = min_{k<=K} |grad f(w_k)|^2. Then

    m  <=  4 L (f(w_0) - f(w_K)) / (K t min(4 - t, 4 - t^2)),         0 < t <= sqrt 3
    m  <=  2 L (t - 1)^2 (f(w_0) - f(w_K)) / (K t (2 - t)),           sqrt 3 <= t < 2, already over k = 1 .. K

and with Delta0 = f(w_0) - inf f for the decrease, 2 respectively (t - 1)^2 is added to the denominator.

Source:    sandbox.theory.gradient_descent names it per bound; the long steps are derived
Bounds:    gradient_min, gradient_min_from_gap, gradient_min_long, gradient_min_long_from_gap of sandbox.theory.gradient_descent
Not here:  the two quadratic bounds of a smooth function (`smooth_gap`, derived in proof_rso_exact_subproblem), and that points that
           meet it pairwise belong to such a function, whose infimum is the least f_k - |g_k|^2 / (2 L), which attainment for 1 < t
           needs; that one-step inequalities add up (proof_gradient_sum.py); that a weighted mean of squared norms is at least the least;
           |grad f(w_K)|^2 <= 2 L (f(w_K) - inf f), by the descent lemma.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero, smooth_gap
from sandbox.theory.gradient_descent import (
    Delta0,
    K,
    L,
    gradient_min,
    gradient_min_from_gap,
    gradient_min_long,
    gradient_min_long_from_gap,
    lr,
)

t, g0, g1, f0, f1, u = sympy.symbols("t g0 g1 f0 f1 u", real=True)
n = sympy.Symbol("n", integer=True)
at_0, at_1 = (sympy.Integer(0), g0, f0), (-t / L * g0, g1, f1)
Q01, Q10 = smooth_gap(at_0, at_1, L), smooth_gap(at_1, at_0, L)
domain = (L > 0, t > 0)
half, smaller = sympy.Rational(1, 2), sympy.Rational(999, 1000)
ONE = {K: 1, lr: t / L}
SHORT, MIDDLE, LONG = (4 - t) * t / 4, (4 - t**2) * t / 4, t * (2 - t) / (2 * (t - 1) ** 2)  # what a step gives, times L / m


def decrease_pays(name: str, weights: tuple, multiplier: sympy.Expr, squares: tuple, on: tuple) -> Certificate:
    """L (f0 - f1) >= weights[0] |g0|^2 + weights[1] |g1|^2."""
    return Certificate(
        name=name,
        claim=L * (f0 - f1) - weights[0] * g0**2 - weights[1] * g1**2,
        hypotheses=((L * (1 + multiplier), Q01), (L * multiplier, Q10)),
        squares=squares,
        vectors=(g0, g1),
        domain=(*domain, *on),
    )


short = ((3 * t - t**2) / 4, t / 4)
middle = ((3 * t - t**3) / 4, t / 4)
long = (sympy.Integer(0), LONG)
CERTIFICATES = (
    decrease_pays("gradient_min_short", short, sympy.Integer(0), (((1 - t) / 4, g0 - g1),), (t <= 1,)),
    decrease_pays("gradient_min_middle", middle, (t - 1) / 2, (), (t >= 1, t**2 <= 3)),
    decrease_pays("gradient_min_long", long, (2 - t) / (t - 1), (((t**2 - 3) / 4, g0 + g1 / (t - 1)),), (t**2 >= 3, t < 2)),
)


def step_01_one_step_pays_for_both_squared_gradients():
    for certificate in CERTIFICATES:
        certificate.check()


def step_02_with_weights_that_are_not_negative():
    for weights, on in ((short, (t <= 1,)), (middle, (t >= 1, t**2 <= 3)), (long, (t**2 >= 3, t < 2))):
        assert not [w for w in weights if counterexample(w, (*domain, *on)) is not None]


def step_03_whose_sum_is_the_share_of_the_bound():
    for weights, share in ((short, SHORT), (middle, MIDDLE), (long, LONG)):
        assert is_zero(sum(weights) - share)
    assert counterexample(4 * MIDDLE - 4 * SHORT, (*domain, t <= 1)) is None  # so that the bound takes the smaller one
    assert counterexample(4 * SHORT - 4 * MIDDLE, (*domain, t >= 1)) is None


def regime(bound, share: sympy.Expr, point: sympy.Rational, rest: sympy.Expr) -> sympy.Expr:
    """0 where the bound at this t is gap / (K share + rest) L, for every K."""
    at = {t: point, Delta0: 1}
    return (bound.value.subs(lr, t / L).subs(at) - L / (K * share + rest).subs(at)).simplify()


def step_04_K_steps_cost_K_such_shares_and_the_infimum_lies_half_a_squared_gradient_lower():
    for bound, rest in ((gradient_min, 0), (gradient_min_from_gap, half)):
        for point in (half, sympy.Integer(1)):
            assert is_zero(regime(bound, SHORT, point, rest))
        for point in (sympy.Integer(1), sympy.Rational(3, 2), sympy.sqrt(3)):
            assert is_zero(regime(bound, MIDDLE, point, rest))
    assert is_zero(gradient_min_long.value.subs(lr, t / L) - L / (K * LONG))
    assert is_zero(gradient_min_long_from_gap.value.subs(lr, t / L) - L * Delta0 / (K * LONG + half))


def step_05_it_is_attained_by_short_steps_for_every_K_on_a_zigzag():
    """L = 1, in one dimension: f' falls from 1 with slope -1 to the middle of each step and rises again: all w_k have slope 1.

    Below w_K it falls to 0 with slope 1, over the distance 1, and ends in a minimum.
    """
    per_step = 2 * sympy.integrate(1 - u, (u, 0, t / 2))
    below = sympy.integrate(1 - u, (u, 0, 1))
    assert counterexample(1 - t / 2, (*domain, t <= 1)) is None  # the slope stays positive, and |f''| = 1 everywhere
    for point in (half, sympy.Integer(1)):
        at = {L: 1, lr: point}
        assert is_zero(gradient_min.value.subs(at) * (K * per_step).subs(t, point) - 1)
        assert is_zero(gradient_min_from_gap.value.subs(at).subs(Delta0, (K * per_step + below).subs(t, point)) - 1)


def step_06_it_is_attained_by_middle_steps_for_every_K_on_a_turning_gradient():
    """L = 1, in the plane: g_k = (a, b), (a, -b), (a, b), ... with b = t / 2, a^2 + b^2 = 1; f falls by t a^2 a step.

    Any two of the points, n steps apart, meet the inequality of smooth functions in both directions.
    """
    b, a2 = t / 2, 1 - t**2 / 4
    even = (n * t) ** 2 * a2  # |dx|^2; dg = 0 and <g, dx> = n t a^2, which is the difference of the values
    assert counterexample(even / 4, (t > 0, t < 2)) is None
    dx2, dg2, dg_dx = t**2 * (n**2 * a2 + b**2), 4 * b**2, 2 * t * b**2
    quarter = (dg2 - dx2 + 2 * dg_dx) / 4
    for tangent in (-n * t * a2 + t * (n * a2 - b**2), n * t * a2 - t * (n * a2 + b**2)):  # f_low - f_up + <g_low, dx>
        assert is_zero(tangent + quarter + t**2 * a2 * (n**2 - 1) / 4)  # <= 0 for every n >= 1
    for point in (sympy.Rational(5, 4), sympy.Rational(3, 2), sympy.sqrt(3)):
        at, decrease = {L: 1, lr: point}, (K * t * a2).subs(t, point)
        assert is_zero(1 - gradient_min.value.subs(at) * decrease)
        assert is_zero(1 - gradient_min_from_gap.value.subs(at).subs(Delta0, decrease + half))  # the infimum lies 1/2 below f(w_K)


def on_the_steepest_quadratic(step: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """One step on w^2 / 2 from w = 1: its decrease, and the squared gradient after it; w = 1 is 1/2 above the minimum."""
    return (1 - (1 - step) ** 2) / 2, (1 - step) ** 2


def step_07_it_is_attained_by_one_long_step_on_the_steepest_quadratic():
    decrease, after = on_the_steepest_quadratic(t)
    assert is_zero(gradient_min_long.value.subs(ONE).subs(L, 1) * decrease - after)
    assert is_zero(gradient_min_long_from_gap.value.subs(ONE).subs({L: 1, Delta0: half}) - after)


def step_08_no_smaller_constant_will_do():
    zigzag = {L: 1, lr: 1, K: 2}  # two steps, each of decrease 3/4, and 1/2 below
    assert smaller * gradient_min.value.subs(zigzag) * sympy.Rational(3, 2) < 1
    assert smaller * gradient_min_from_gap.value.subs({**zigzag, Delta0: 2}) < 1
    step = sympy.Rational(19, 10)
    decrease, after = on_the_steepest_quadratic(step)
    at = {L: 1, lr: step, K: 1}
    assert smaller * gradient_min_long.value.subs(at) * decrease < after
    assert smaller * gradient_min_long_from_gap.value.subs({**at, Delta0: half}) < after


def step_09_beyond_sqrt_3_the_form_of_the_middle_fails_on_a_quadratic():
    """It fails exactly there: with m = (1 - t)^2 it needs t^3 - 3 t <= 0."""
    decrease, after = on_the_steepest_quadratic(t)
    assert is_zero(decrease - MIDDLE * after - t * (2 - t) * (3 * t - t**3) / 4)
    at = {t: sympy.Rational(9, 5)}
    assert decrease.subs(at) < (MIDDLE * after).subs(at)


def step_10_with_the_second_inequality_dropped_a_middle_step_has_no_certificate():
    """The values force the multiplier 1 on the first one, and then |g1|^2 is not paid for beyond t = 1."""
    alone = (L * (f0 - f1) - middle[0] * g0**2 - middle[1] * g1**2 + L * Q01).subs({L: 1, g0: 0, g1: 1})
    assert is_zero(alone - (1 - t) / 4)
    assert counterexample(alone, (t >= 1, t**2 <= 3)) is not None


def step_11_with_smoothness_dropped_the_least_gradient_need_not_fall():
    """f = |w| from 1/4 with lr = 1/2: slope 1 for ever, and nothing is gained in two steps."""
    assert gradient_min_from_gap.value.subs({L: 1, lr: half, Delta0: sympy.Rational(1, 4), K: 50}) < 1
