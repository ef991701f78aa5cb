"""Theorem. Let f be L-smooth, P a random m x r matrix with P^T P = (m/r) I and E P P^T = I, independent of W;
Lhat = (m/r) L, t = eta Lhat, h(B) = f(W + P B), W+ = W + P B, where B is a stationary point of h(B) + |B|^2 / (2 eta).
If 0 < t <= sqrt 3,

    |grad h(0)|^2  <=  C(t) Lhat (f(W) - f(W+)),     C(t) = 2 (1+t)^2 / (t (2+t)),     C(1/2) = 18/5.

Beyond sqrt 3 a stationary point may cost more: curvature -Lhat shows it for every such t < 2. If B is a global argmin, the same
holds for every t > 0. Hence sum_k E|grad f(W_k)|^2 <= C(t) Lhat (f(W_0) - E f(W_K)), see proof_rso_rounds.py, with
equality at every step on f = L |W|^2 / 2, for every m and r.

Source:    derived; the constant 18 of https://arxiv.org/abs/2502.07222 is recalled and is five times as large
Bounds:    exact_constant, argmin_constant of sandbox.theory.rso
Not here:  the two quadratic bounds of a smooth function, h(z) within L |z - x|^2 / 2 of its tangent at x; that h is
           Lhat-smooth; E|P^T g|^2 = |g|^2 (trace of E P P^T = I); the triangle inequality; that one-step inequalities
           add up (proof_gradient_sum.py).

Letters: l = Lhat; g0, g1 = grad h at 0 and at B; h0, h1 = h there; stationarity reads B = -eta g1.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero, smooth_gap
from sandbox.theory.rso import L, L_hat, argmin_constant, exact_constant, m, r, t

l = sympy.Symbol("l", positive=True)  # noqa: E741
x0, x1, z, g0, g1, h0, h1, w = sympy.symbols("x0 x1 z g0 g1 h0 h1 w", real=True)
C = exact_constant.value
eta = t / l
at_zero, at_B = (sympy.Integer(0), g0, h0), (-eta * g1, g1, h1)
Q01 = smooth_gap(at_zero, at_B, l)  # <= 0
Q10 = smooth_gap(at_B, at_zero, l)  # <= 0
lambda01 = l * 2 * (1 + t) / t
lambda10 = l * 2 * (1 + t) / (t * (2 + t))
weight = (3 - t**2) / (2 * t * (2 + t))
CERTIFICATES = (
    Certificate(
        name="rso_exact_subproblem",
        claim=C * l * (h0 - h1) - g0**2,
        hypotheses=((lambda01, Q01), (lambda10, Q10)),
        squares=((weight, g0 - (1 + t) * g1),),
        vectors=(g0, g1),
        domain=(t > 0, t**2 <= 3),
    ),
)
half = {t: sympy.Rational(1, 2), l: 1}


def residual(constant: sympy.Expr) -> sympy.Expr:
    """constant l (h0 - h1) - |g0|^2 + a nonnegative combination of Q01 <= 0 and Q10 <= 0."""
    return constant * l * (h0 - h1) - g0**2 + lambda01 * Q01 + lambda10 * Q10


def isotropic_round() -> tuple[sympy.Expr, sympy.Expr]:
    """For h = l |B - b|^2 / 2 along a line, written in w = -b at B = 0: (|g0|^2, h0 - h1) of the exact round."""
    B = sympy.Symbol("B", real=True)
    h = l * (w + B) ** 2 / 2
    best = sympy.solve(sympy.diff(h + B**2 / (2 * eta), B), B)[0]
    return sympy.diff(h, B).subs(B, 0) ** 2, h.subs(B, 0) - h.subs(B, best)


def step_01_the_inequality_of_smooth_functions_is_two_quadratic_bounds_that_meet_at_a_point():
    above = h0 + g0 * (z - x0) + l * (z - x0) ** 2 / 2
    below = h1 + g1 * (z - x1) - l * (z - x1) ** 2 / 2
    meet = (x0 + x1) / 2 + (g1 - g0) / (2 * l)
    assert is_zero(sympy.diff(below - above, z).subs(z, meet))
    assert is_zero((below - above).subs(z, meet) - smooth_gap((x0, g0, h0), (x1, g1, h1), l))


def step_02_stationarity_turns_both_into_forms_of_the_two_gradients():
    assert is_zero(4 * l * (Q01 + Q10) - 2 * (g0**2 - 2 * g0 * g1 + (1 - t**2) * g1**2))
    assert is_zero(2 * l * (Q01 - Q10) - 4 * l * (h1 - h0) - 2 * t * g1 * (g0 + g1))


def step_03_the_certificate():
    assert is_zero(residual(C) - weight * (g0 - (1 + t) * g1) ** 2)
    CERTIFICATES[0].check()


def step_04_its_multipliers_and_its_square_are_nonnegative_on_the_domain_of_the_bound():
    for number in (lambda01, lambda10, weight):
        assert counterexample(number, (*exact_constant.requires, l > 0)) is None


def step_05_at_the_paper_s_step_the_constant_is_18_fifths():
    assert C.subs(half) == sympy.Rational(18, 5)


def step_06_it_is_attained_for_curvature_plus_Lhat_and_every_t():
    squared_gradient, decrease = isotropic_round()
    assert is_zero(squared_gradient - C * l * decrease)


def step_07_no_smaller_constant_will_do():
    squared_gradient, decrease = (part.subs({**half, w: 1}) for part in isotropic_round())
    assert sympy.Rational(999, 1000) * C.subs(half) * decrease < squared_gradient


def step_08_in_expectation_it_is_attained_for_every_m_and_r():
    """On f = L |W|^2 / 2 the share r/m of |W|^2 lies in the subspace and shrinks by (1+t)^-2."""
    f = L * w**2 / 2
    expected_decrease = f * r / m * (1 - (1 + t) ** -2)
    assert is_zero(sympy.diff(f, w) ** 2 - C * L_hat * expected_decrease)


def step_09_neither_inequality_can_be_dropped():
    """h0 - h1 has the coefficient C l - lambda01 + lambda10, which must be 0 with multipliers >= 0."""
    assert is_zero(C * l - lambda01 + lambda10)
    alone = (C * l * (h0 - h1) - g0**2 + C * l * Q01).subs(half)  # without Q10, lambda01 must be C l
    assert alone.subs({g0: 1, g1: 0}).expand() == -sympy.Rational(1, 10)
    assert (-C * l).subs(half) < 0  # without Q01, lambda10 must be -C l


def step_10_beyond_sqrt_3_the_certificate_fails():
    assert counterexample(weight, (t > 0, t <= 2)) is not None


def step_11_and_so_does_the_bound_at_a_stationary_point_on_curvature_minus_Lhat():
    """h = B - B^2 / 2 has one at B = t / (t-1); its ratio meets C(t) at t^2 = 3 and is larger for all sqrt 3 < t < 2; then h rises."""
    B = t / (t - 1)
    assert is_zero(1 - B + B / t)
    decrease = -(B - B**2 / 2)
    assert is_zero((1 - C * decrease) * (t - 1) ** 2 * (2 + t) - 2 * t * (t**2 - 3))
    assert counterexample((1 - C * decrease) - (t**2 - 3) / 100, (t > 1, t**2 > 3, t < 2)) is None


def step_12_a_global_argmin_is_no_worse_than_one_gradient_step():
    """h1 + |B|^2 / (2 eta) <= h(-a g0) + |a g0|^2 / (2 eta), bounded by the descent lemma, with the best a."""
    a = t / ((1 + t) * l)
    trial = h0 - a * g0**2 + l * (a * g0) ** 2 / 2 + (a * g0) ** 2 / (2 * eta)
    assert is_zero(trial - (h0 - t * g0**2 / (2 * l * (1 + t))))


def step_13_which_gives_the_same_constant_for_every_t():
    """|B| = eta |g1|, and |g0| <= |g1| + l |B| = (1 + t) |g1|."""
    squared_B = (eta * g0 / (1 + t)) ** 2  # at most |B|^2
    guaranteed = t * g0**2 / (2 * l * (1 + t)) + squared_B / (2 * eta)
    assert is_zero(argmin_constant.value * l * guaranteed - g0**2)
