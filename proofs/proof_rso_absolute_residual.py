"""Theorem. In the setting of proof_rso_exact_subproblem.py let 0 < t < 1, |grad F(B)|^2 <= delta2, and D a weight with
4 (3 - t^2) D^2 - 8 t D + t^2 >= 0 and (3 - t^2) D > t; D >= 1 is enough for every t. Then

    |grad h(0)|^2  <=  tau Lhat (f(W) - f(W+) + D delta2 / Lhat),     tau = 2 (2 D (1+t)^2 - t^2) / (t (2 D (2+t) - t)),

with equality on a quadratic of curvature Lhat for every t and D. tau falls to C(t) as D grows: at t = 1/2 from 34/9 at D = 1.
Below the domain it fails for every D at which tau is still positive, on an indefinite quadratic; at t = 1/2, D = 1/4 also for h = B -
B^2 / 2 and B = 1/3, uphill.

Source:    derived; the domain D >= 1/2 of a first version was refuted by z3 (t = 7/8, D = 5/8)
Bound:     sandbox.theory.rso_inexact.absolute_residual
Not here:  the inequality of smooth functions between two points; that one-step inequalities add up
           (proof_gradient_sum.py; delta2 may be a mean over P); units: Lhat = 1; the constant outside the domain.

Letters: points 0 and T (the point B, with the residual e = grad F(B), so at xT = t (e - gT)).
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero, smooth_gap
from sandbox.theory.rso import constant, t
from sandbox.theory.rso_inexact import D, absolute_residual

g0, gT, e, h0, hT, delta2, b, y = sympy.symbols("g0 gT e h0 hT delta2 b y", real=True)
tau = absolute_residual.value
one, half = sympy.Integer(1), sympy.Rational(1, 2)
zero, point = (sympy.Integer(0), g0, h0), (t * (e - gT), gT, hT)
N = 2 * D * (1 + t) ** 2 - t**2
p, q = 2 * D * (1 + t) - t, 2 * D * (2 + t) - t
M = 4 * D**2 * (1 + t) * (3 - t**2) + 4 * D * t**3 + 2 * D * t**2 - 2 * D * t - t**3
margin = 4 * (3 - t**2) * D**2 - 8 * t * D + t**2
domain = (t > 0, t < 1, margin >= 0, (3 - t**2) * D > t)
implied = (D, 3 * D - t, M)  # nonnegative there, see step 2; said to the kernel of Coq, which does not find them
certificate = Certificate(
    name="rso_absolute_residual",
    claim=tau * (h0 - hT + D * delta2) - g0**2,
    hypotheses=(
        (2 * N / (t * p), smooth_gap(zero, point, one)),
        (4 * D * N / (t * p * q), smooth_gap(point, zero, one)),
        (2 * D * N / (t * q), e**2 - delta2),
    ),
    squares=(
        (M / (2 * t * p * q), g0 - (t * p * N * e + (6 * D - 2 * D * t**2 + t**2 - t) * N * gT) / M),
        (t * N * margin / (p * q * M), gT - 2 * D * (1 + t) * e / t),
    ),
    vectors=(g0, gT, e),
    domain=(*domain, *(number >= 0 for number in implied)),
)
CERTIFICATES = (certificate,)


def cost(h: sympy.Expr, B: sympy.Expr) -> sympy.Expr:
    """Decrease of h + D |grad F|^2 at B."""
    pull = sympy.diff(h + b**2 / (2 * t), b)
    return h.subs(b, 0) - h.subs(b, B) + D * pull.subs(b, B) ** 2


def worst(curvature: sympy.Expr) -> sympy.Expr:
    """The smallest cost of a point on h = curvature (1 + B)^2 / 2, where |g0|^2 = curvature^2."""
    h = curvature * (1 + b) ** 2 / 2
    return cost(h, sympy.solve(sympy.diff(cost(h, b), b), b)[0])


def step_1_the_certificate():
    certificate.check()


def step_2_its_domain_is_that_of_the_bound():
    """In y = (3 - t^2) D - t > 0 it reads 4 y^2 >= t^2 + t^4, and M has no negative term."""
    assert set(domain) <= set(absolute_residual.requires)
    assert all(counterexample(number, domain) is None for number in implied)
    in_y = {D: (t + y) / (3 - t**2)}
    assert is_zero(((3 - t**2) * margin).subs(in_y) - (4 * y**2 - t**2 - t**4))
    plain = 2 * t**2 + 3 * t**3 + 4 * t**4 + t**5 + (6 * t + 10 * t**2 + 4 * t**3) * y + 4 * (1 + t) * y**2
    assert is_zero(((3 - t**2) * M).subs(in_y) - plain)


def step_3_a_weight_of_one_is_enough_for_every_t():
    assert counterexample(margin, (t > 0, t < 1, D >= 1)) is None
    assert counterexample((3 - t**2) * D - t, (t > 0, t < 1, D >= 1)) is None


def step_4_it_is_attained_for_every_t_and_D():
    assert is_zero(tau * worst(one) - 1)


def step_5_no_smaller_constant_will_do():
    assert tau.subs({t: half, D: 1}) == sympy.Rational(34, 9)
    assert sympy.Rational(999, 1000) * tau.subs({t: half, D: 1}) * worst(one).subs({t: half, D: 1}) < 1


def step_6_it_falls_to_the_exact_constant():
    assert is_zero(sympy.limit(tau, D, sympy.oo) - constant)


def step_7_with_the_residual_or_the_smoothness_dropped_it_fails():
    numbers = {t: half, D: 1}
    assert tau.subs(numbers) * worst(sympy.Integer(2)).subs(numbers) < 4
    assert tau.subs(numbers) * 0 < 1  # B = 0 with delta2 left out


def step_8_beyond_the_domain_curvature_minus_Lhat_breaks_it():
    numbers = {t: half, D: sympy.Rational(1, 4)}
    uphill = cost(b - b**2 / 2, sympy.Rational(1, 3)).subs(numbers)
    assert uphill == sympy.Rational(1, 6) and tau.subs(numbers) * uphill < 1
    assert margin.subs(numbers) < 0


def step_9_beyond_the_domain_a_small_second_gradient_breaks_it_for_every_D():
    """h = x + eps y + (x^2 - y^2) / 2: the worst x of step 4 leaves no room, and y adds eps^2 (1 - tau (fall + D residual^2))."""
    k = sympy.Symbol("k", real=True)  # residual along y, in units of eps
    second = cost(b - b**2 / 2, (k - 1) * t / (1 - t))
    excess = 1 - tau * second.subs(k, t / (2 * D * (1 - t) ** 2 + t**2))
    assert is_zero(excess + 2 * t * margin / (q * (2 * D * (1 - t) ** 2 + t**2)))
    outside = (t > 0, t < 1, 2 * D * (2 + t) > t)
    assert counterexample(excess, (*outside, margin < 0)) is None
    assert counterexample((3 - t**2) * D - t, (*outside, margin >= 0)) is None  # so that nothing else is outside
