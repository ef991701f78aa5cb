"""Theorem. In the setting of proof_rso_exact_subproblem.py let 0 < t < 1 and |grad F(B)| <= s |grad F(0)|, 0 < s < 1. While

    (1 + t^2) s^2 - (2 t^3 + 4 t^2 + 2 t + 4) s + 3 - t^2 >= 0          (t = 1/2: s <= (25 - 9 sqrt 5) / 10 = 0.4875)

    |grad h(0)|^2  <=  2 / (1 - q^2) * Lhat (f(W) - f(W+)),     q = (1 + s t) / (1 + t),

with equality on a quadratic of curvature Lhat. For every s beyond that domain it fails, on an indefinite quadratic: at t = 1/2, s = 3/4
one has 15.5 where the formula says 12.5. So from there on a residual promises less than the same accuracy in value.

Source:    derived
Bound:     sandbox.theory.rso_inexact.relative_residual
Not here:  the inequality of smooth functions between two points; that one-step inequalities add up
           (proof_gradient_sum.py); units: Lhat = 1; the constant outside the domain.

Letters: points 0 and T (the point B, with the residual e = grad F(B), so at xT = t (e - gT)).
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero, smooth_gap
from sandbox.theory.rso import constant, t
from sandbox.theory.rso_inexact import relative_residual, s

g0, gT, e, h0, hT, b = sympy.symbols("g0 gT e h0 hT b", real=True)
C = relative_residual.value
one, half, three_quarters = sympy.Integer(1), sympy.Rational(1, 2), sympy.Rational(3, 4)
zero, point = (sympy.Integer(0), g0, h0), (t * (e - gT), gT, hT)
k = s * t + t + 2
u = 3 - t**2 - s + 6 * s * t + 3 * s * t**2 - 2 * s**2 * t
margin = (1 + t**2) * s**2 - (2 * t**3 + 4 * t**2 + 2 * t + 4) * s + 3 - t**2
certificate = Certificate(
    name="rso_relative_residual",
    claim=C * (h0 - hT) - g0**2,
    hypotheses=(
        (2 * (1 + t) * (2 + t - s) / (t * (1 - s) ** 2 * k), smooth_gap(zero, point, one)),
        (2 * (1 + t) * (1 + s * t) / (t * (1 - s) ** 2 * k), smooth_gap(point, zero, one)),
        ((1 + s * t) / (s * (1 - s) * k), e**2 - s**2 * g0**2),
    ),
    squares=(
        (
            u / (2 * t * (1 - s) ** 2 * k),
            g0 - (t * (1 - s) * (1 + t) ** 2 * e + (1 + t) * (s * t**2 + 2 * s * t - s - t**2 + 3) * gT) / u,
        ),
        (s * (1 + t) ** 2 * margin / ((1 - s) ** 2 * k * u), gT - e * (1 + s * t) / (s * (1 + t))),
    ),
    vectors=(g0, gT, e),
    domain=(t > 0, t < 1, s > 0, s < 1, margin >= 0),
)
CERTIFICATES = (certificate,)


def round_of(curvature: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """(|g0|^2, decrease) on h = curvature (1 + B)^2 / 2 where the residual is s grad F(0)."""
    h = curvature * (1 + b) ** 2 / 2
    pull = sympy.diff(h + b**2 / (2 * t), b)
    lazy = sympy.solve(pull - s * curvature, b)[0]
    return curvature**2, h.subs(b, 0) - h.subs(b, lazy)


def step_1_the_certificate():
    certificate.check()


def step_2_it_is_attained_for_every_t_and_s():
    squared, decrease = round_of(one)
    assert is_zero(C * decrease - squared)


def step_3_no_smaller_constant_will_do():
    numbers = {t: half, s: sympy.Rational(2, 5)}
    squared, decrease = (part.subs(numbers) for part in round_of(one))
    assert C.subs(numbers) == sympy.Rational(50, 9)
    assert sympy.Rational(999, 1000) * C.subs(numbers) * decrease < squared


def step_4_it_joins_the_exact_constant():
    assert is_zero(C.subs(s, 0) - constant)
    assert is_zero(C - 2 / (1 - ((1 + s * t) / (1 + t)) ** 2))


def step_5_the_domain_at_one_half():
    edge = (25 - 9 * sympy.sqrt(5)) / 10
    assert is_zero(margin.subs(t, half).subs(s, edge))
    assert counterexample(margin.subs(t, half), (s > 0, s <= edge)) is None


def step_6_with_the_residual_or_the_smoothness_dropped_it_fails():
    numbers = {t: half, s: sympy.Rational(2, 5)}
    squared, decrease = (part.subs(numbers) for part in round_of(sympy.Integer(2)))
    assert C.subs(numbers) * decrease < squared
    assert C.subs(numbers) * 0 < 1  # B = 0, whose residual is that of the start


def step_7_beyond_the_domain_an_indefinite_quadratic_breaks_it():
    """h = 7 x + 4 y + (x^2 - y^2) / 2, t = 1/2, s = 3/4, B = (-6/5, 1): residual^2 = 914/25 <= 9/16 * 65."""
    x, y = sympy.Rational(-6, 5), sympy.Integer(1)
    squared, decrease = 7**2 + 4**2, -(7 * x + 4 * y + (x**2 - y**2) / 2)
    residual = (7 + x + 2 * x, 4 - y + 2 * y)
    assert residual[0] ** 2 + residual[1] ** 2 <= three_quarters**2 * squared
    assert C.subs({t: half, s: three_quarters}) * decrease < squared
    assert margin.subs({t: half, s: three_quarters}) < 0


def step_8_beyond_the_domain_nothing_is_saved_a_small_second_gradient_breaks_it_everywhere():
    """h = x + eps y + (x^2 - y^2) / 2 with the residual (e1, k eps) of length s |g0|: with the best k the excess of |g0|^2 over C times
    the decrease grows like -margin eps^2, so that the formula fails for every s outside of the domain.
    """
    E, size, k = sympy.symbols("E size k", positive=True)  # E = eps^2, size = s
    e1 = sympy.sqrt(size**2 + (size**2 - k**2) * E)
    x, y = (e1 - 1) * t / (1 + t), (k - 1) * t / (1 - t)  # the second in units of eps
    decrease = -(x + x**2 / 2) - E * (y - y**2 / 2)
    excess = 1 + E - C.subs(s, size) * decrease
    assert is_zero(excess.subs(E, 0))
    worst_k = size * (1 + t) ** 2 / (2 * size * t * (1 + t**2) + (1 - t) ** 2)
    slope = sympy.diff(excess, E).subs(E, 0).subs(k, worst_k)
    positive = C * t**2 / ((1 + t) ** 2 * (2 * s * t * (1 + t**2) + (1 - t) ** 2))
    assert is_zero(slope + (positive * margin).subs(s, size))
    assert counterexample(positive, (t > 0, t < 1, s > 0, s < 1)) is None
