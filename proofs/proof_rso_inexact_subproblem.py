"""Theorem. In the setting of proof_rso_exact_subproblem.py let B be any point with F(B) <= inf F + eps, where
F(B) = h(B) + |B|^2 / (2 eta). Then for every t = eta Lhat > 0

    |grad h(0)|^2  <=  2 (1+t) / t * Lhat (f(W) - f(W+) + eps),

and for f = L |W|^2 / 2, r = m, it is an equality with B = 0 as long as that is eps-accurate: the iteration stands
still at |grad f|^2 = 2 (1+t) / t * Lhat eps. At t = 1/2 the constant is 6; the paper's 18 is recalled.

Source:    derived
Bounds:    inexact_constant, inexact_floor of sandbox.theory.rso
Not here:  the descent lemma for h; that one-step inequalities add up (proof_gradient_sum.py) also in expectation (they are linear).

Letters: l = Lhat; g0 = grad h(0); h0 = h(0).
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.rso import L_hat, eps, inexact_constant, inexact_floor, t

l = sympy.Symbol("l", positive=True)  # noqa: E741
g0, h0, B, w, h1 = sympy.symbols("g0 h0 B w h1", real=True)
C = inexact_constant.value
eta = t / l
certificate = Certificate(
    name="rso_inexact_subproblem",
    claim=C * l * (h0 - h1 + eps) - g0**2,
    hypotheses=((C * l, h1 - (h0 - g0**2 / (C * l)) - eps),),  # h(B) <= F(B) <= inf F + eps
    vectors=(g0,),
    domain=(t > 0, l > 0),
)
CERTIFICATES = (certificate,)


def step_1_one_gradient_step_limits_the_infimum_of_F():
    a = t / ((1 + t) * l)
    trial = h0 - a * g0**2 + l * (a * g0) ** 2 / 2 + (a * g0) ** 2 / (2 * eta)
    assert is_zero(trial - (h0 - g0**2 / (C * l)))


def step_2_so_the_decrease_of_f_and_eps_pay_for_the_gradient():
    certificate.check()


def step_3_the_constant_is_positive_on_its_domain():
    assert counterexample(C, inexact_constant.requires) is None


def step_4_it_is_attained_by_standing_still():
    F = l * (w + B) ** 2 / 2 + B**2 / (2 * eta)
    best = sympy.solve(sympy.diff(F, B), B)[0]
    gap = F.subs(B, 0) - F.subs(B, best)  # the eps for which B = 0 is just accurate enough; the decrease is 0
    assert is_zero(sympy.diff(F, B).subs(B, 0) ** 2 - C * l * gap)


def step_5_no_smaller_constant_will_do():
    gap = (g0**2 / (C * l)).subs({t: sympy.Rational(1, 2), l: 1, g0: 1})  # that of step 4
    assert C.subs(t, sympy.Rational(1, 2)) == 6
    assert sympy.Rational(999, 1000) * 6 * gap < 1


def step_6_the_floor_is_the_constant_times_Lhat_eps():
    assert is_zero(inexact_floor.value - C * L_hat * eps)


def step_7_with_eps_or_the_smoothness_dropped_it_fails():
    """B = 0 does not lower f, so without eps nothing pays; with curvature 2 Lhat the gap of B = 0 at t = 1/2 is 1/2, and 6 / 2 < 4."""
    assert certificate.claim.subs({h1: h0, eps: 0, g0: 1}) == -1
    F = (1 + B) ** 2 + B**2  # Lhat = 1, eta = 1/2
    best = sympy.solve(sympy.diff(F, B), B)[0]
    assert F.subs(B, 0) - F.subs(B, best) == sympy.Rational(1, 2)
    assert C.subs(t, sympy.Rational(1, 2)) / 2 < sympy.diff((1 + B) ** 2, B).subs(B, 0) ** 2


def step_8_nothing_lies_beyond_its_domain():
    """All t > 0 are in it; at t < 0 the constant would be negative for a positive gap."""
    assert C.subs(t, -sympy.Rational(1, 2)) < 0
