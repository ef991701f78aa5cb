"""Theorem. In the setting of proof_rso_exact_subproblem.py let 0 < t < 1 and F(B) - min F <= w^2 (F(0) - min F), 0 < w < 1. Then

    |grad h(0)|^2  <=  2 / (1 - q^2) * Lhat (f(W) - f(W+)),     q = (1 + w t) / (1 + t),

with equality on a quadratic of curvature Lhat, for every t and w. No floor is left: a subproblem solved to 1 % in value, w = 1/10,
has the constant 3.92 (t = 1/2), to a quarter, w = 1/2, 6.55.

Source:    derived
Bound:     sandbox.theory.rso_inexact.relative_value
Not here:  the inequality of smooth functions between two points; that one-step inequalities add up
           (proof_gradient_sum.py); units: Lhat = 1. t < 1 is what makes F convex: for t > 1 it need not have a minimum, which step 7 shows.

Letters: points 0, s (the minimiser of F, at -t gs) and T (the point B, at xT); g and h with them: gradients and values.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero, smooth_gap
from sandbox.theory.rso import constant, t
from sandbox.theory.rso_inexact import relative_value, w

g0, gs, gT, xT, h0, hs, hT, b = sympy.symbols("g0 gs gT xT h0 hs hT b", real=True)
C = relative_value.value
one, half = sympy.Integer(1), sympy.Rational(1, 2)
zero, best, point = (sympy.Integer(0), g0, h0), (-t * gs, gs, hs), (xT, gT, hT)
F0, Fs, FT = h0, hs + t * gs**2 / 2, hT + xT**2 / (2 * t)
k = w * t + t + 2
q = 3 - t**2 + w * t * (1 - t)
q2 = 2 * w**2 * t**2 + w * t**2 + 4 * w * t - w - t**2 + 3
certificate = Certificate(
    name="rso_relative_value",
    claim=C * (h0 - hT) - g0**2,
    hypotheses=(
        (2 * (1 + t) / t, smooth_gap(zero, best, one)),
        (2 * (1 + t) / (t * k), smooth_gap(point, zero, one)),
        (2 * (1 - w) * (1 + t) / (w * t * k), smooth_gap(point, best, one)),
        (2 * (1 + t) * (1 + w * t) / (w * t * (1 - w) * k), FT - Fs - w**2 * (F0 - Fs)),
    ),
    squares=(
        (q / (2 * t * k), g0 - ((1 + t) * (gT - xT) + (1 - t) * (1 + t) * k * gs) / q),
        ((1 - t) * (1 + t) ** 2 * q2 / (2 * w * t * k * q), gs + (xT - gT) / (1 + t)),
        ((1 - w) / (w * k), gT + xT * (1 + w * t) / (t * (1 - w))),
    ),
    vectors=(g0, gs, gT, xT),
    domain=(t > 0, t < 1, w > 0, w < 1),
)
CERTIFICATES = (certificate,)


def round_of(curvature: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """(|g0|^2, decrease) of the laziest accurate point B = (1 - w) B* on h = curvature (1 + B)^2 / 2."""
    h, F = curvature * (1 + b) ** 2 / 2, curvature * (1 + b) ** 2 / 2 + b**2 / (2 * t)
    minimiser = sympy.solve(sympy.diff(F, b), b)[0]
    lazy = (1 - w) * minimiser
    gap = F.subs(b, lazy) - F.subs(b, minimiser) - w**2 * (F.subs(b, 0) - F.subs(b, minimiser))
    assert is_zero(gap)
    return curvature**2, h.subs(b, 0) - h.subs(b, lazy)


def step_1_the_certificate():
    certificate.check()


def step_2_it_is_attained_for_every_t_and_w():
    squared, decrease = round_of(one)
    assert is_zero(C * decrease - squared)


def step_3_no_smaller_constant_will_do():
    squared, decrease = (part.subs({t: half, w: half}) for part in round_of(one))
    assert sympy.Rational(999, 1000) * C.subs({t: half, w: half}) * decrease < squared


def step_4_it_joins_the_exact_constant_and_these_are_its_values():
    assert is_zero(C.subs(w, 0) - constant)
    assert is_zero(C - 2 / (1 - ((1 + w * t) / (1 + t)) ** 2))
    assert C.subs({t: half, w: sympy.Rational(1, 10)}) == sympy.Rational(200, 51)  # 3.92
    assert C.subs({t: half, w: half}) == sympy.Rational(72, 11)


def step_5_with_the_accuracy_or_the_smoothness_dropped_it_fails():
    """B = 0 does not lower f at all; curvature 2 Lhat has the ratio 64 / 7 > 72 / 11 at t = w = 1/2."""
    squared, decrease = (part.subs({t: half, w: half}) for part in round_of(sympy.Integer(2)))
    assert C.subs({t: half, w: half}) * decrease < squared
    assert C.subs({t: half, w: half}) * 0 < 1


def step_6_beyond_w_equal_one_nothing_is_promised():
    squared, decrease = (part.subs({t: half, w: 1}) for part in round_of(one))
    assert decrease == 0 < squared
    assert counterexample(C, (t > 0, t < 1, w > 1)) is not None


def step_7_beyond_t_equal_one_F_need_not_have_a_minimum():
    F = b - b**2 / 2 + b**2 / (2 * t)
    assert sympy.limit(F.subs(t, 2), b, sympy.oo) == -sympy.oo
