"""Theorem. Let a subproblem with t = eta Lhat < 1 be solved by steps that shrink its slowest curvature by q = 1 - c / kappa (gradient
descent of length c / (1/eta + Lhat), 0 < c <= 1), q = t (length eta, the best constant step) or q = 1 - sqrt(c / kappa) (Nesterov),
kappa = (1+t) / (1-t). The product of rounds and inner steps, C(t) / -log q, has exactly one minimum in (0, 1), at which -log q is

    c t (2+t) / (1 + t - c (1-t)),        (1+t)(2+t) / 2,        sqrt(c) (1-u^2)(3+u^2) / (4 u (1+u^2)(1 - sqrt(c) u)),   u = kappa^(-1/2).

At c = 1 the best t is 0.19970, 0.24655 and 0.29223 to 4 digits; for c -> 0 it is that of proof_rso_best_eta.py, 0.303 and 0.449. For no
algebraic c > 0 is the best t algebraic, so no polynomial has it as a root. The paper's t = 1/2 costs 49.0 % more than the best at c = 1.

Source:    derived
Bounds:    log_factor, log_factor_best_step, log_factor_accelerated, best_t, best_t_best_step, best_t_accelerated of
           sandbox.theory.rso_full_steps
Not here:  that the slowest curvature is what counts; Lindemann's theorem: log q is transcendental for algebraic q other than 0 and 1.

Letters: ell = -log q, of which only the derivative -q'/q is used; root = sqrt(c).
"""

import sympy

from sandbox.theory import certificate
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.rso import constant, t
from sandbox.theory.rso_full_steps import (
    WIDTH,
    best_t,
    best_t_accelerated,
    best_t_best_step,
    log_factor,
    log_factor_accelerated,
    log_factor_best_step,
    root,
    share,
    u,
)
from sandbox.theory.rso_rates import best_t_accelerated as short_t_accelerated
from sandbox.theory.rso_rates import best_t_gradient as short_t_gradient
from sandbox.theory.rso_rates import kappa

ell = sympy.Symbol("ell", real=True)
t_of_u = (1 - u**2) / (1 + u**2)
q, q_best, q_fast = 1 - share / kappa, t, 1 - root * u
C_of_u = constant.subs(t, t_of_u)


def slope(rounds: sympy.Expr, factor: sympy.Expr, x: sympy.Symbol) -> sympy.Expr:
    """d/dx log(rounds / ell), where d ell = -factor' / factor dx."""
    return sympy.diff(rounds, x) / rounds + sympy.diff(factor, x) / (factor * ell)


CERTIFICATES = (
    Identity("rso_full_steps_gradient", slope(constant, q, t) * ell * t * (1 + t) * (2 + t) / 2, log_factor.value - ell),
    Identity("rso_full_steps_best_step", slope(constant, q_best, t) * ell * t * (1 + t) * (2 + t) / 2, log_factor_best_step.value - ell),
    Identity(
        "rso_full_steps_accelerated",
        slope(C_of_u, q_fast, u) * ell * (1 - u**2) * (3 + u**2) / (4 * u * (1 + u**2)),
        ell - log_factor_accelerated.value,
    ),
)
LIMITS = (  # (-log q, the value that it has at the minimum) as expressions of t
    (best_t, -sympy.log(q.subs(share, 1)), log_factor.value.subs(share, 1)),
    (best_t_best_step, -sympy.log(q_best), log_factor_best_step.value),
    (
        best_t_accelerated,
        -sympy.log(q_fast.subs(root, 1).subs(u, 1 / sympy.sqrt(kappa))),
        log_factor_accelerated.value.subs(root, 1).subs(u, 1 / sympy.sqrt(kappa)),
    ),
)


def cost(ell_of_t: sympy.Expr, at: sympy.Expr) -> sympy.Expr:
    return (constant / ell_of_t).subs(t, at)


def step_01_the_slopes_of_the_products():
    for one in CERTIFICATES:
        one.check()
    assert is_zero(kappa.subs(t, t_of_u) - u**-2)


def step_02_for_gradient_descent_log_q_falls_and_the_value_rises_so_there_is_one_zero():
    domain = log_factor.requires
    assert counterexample(sympy.factor(sympy.diff(log_factor.value, t)), domain) is None
    assert counterexample(sympy.factor(sympy.diff(q, t)), domain) is None
    assert counterexample(sympy.diff(log_factor_best_step.value, t), (t > 0, t < 1)) is None


def step_03_for_nesterov_log_q_rises_with_u_and_the_value_falls():
    assert counterexample(sympy.factor(-sympy.diff(log_factor_accelerated.value, u)), log_factor_accelerated.requires) is None
    assert counterexample(-sympy.diff(q_fast, u), log_factor_accelerated.requires) is None


def step_04_between_the_ends_the_sign_changes():
    """t -> 0: -log q exceeds the value; t -> 1: it vanishes and the value does not. u -> 1 is t -> 0."""
    assert sympy.limit((log_factor.value - ell).subs(t, 0), share, sympy.Rational(1, 2)) == -ell
    assert counterexample(log_factor.value.subs(t, 1) - share, (share > 0, share <= 1)) is None and is_zero(q.subs({t: 1}) - 1)
    assert log_factor_best_step.value.subs(t, 1) == 3 and log_factor_best_step.value.subs(t, 0) == 1
    assert sympy.limit(log_factor_accelerated.value * u, u, 0) == 3 * root / 4
    assert is_zero(log_factor_accelerated.value.subs(root, sympy.Rational(1, 2)).subs(u, 1))


def step_05_full_steps_of_gradient_descent():
    assert is_zero(log_factor.value.subs(share, 1) - (1 + t / 2))


def step_06_for_short_steps_the_known_minima_are_attained():
    """-log(1 - e) / e -> 1, with e = c / kappa or sqrt(c) u."""
    first = sympy.cancel(log_factor.value / (share / kappa)).subs(share, 0) - 1
    assert is_zero(first.subs(t, short_t_gradient.value))
    second = sympy.cancel(log_factor_accelerated.value / (root * u)).subs(root, 0) - 1
    assert is_zero(sympy.cancel(second.subs(u, 1 / sympy.sqrt(kappa))).subs(t, short_t_accelerated.value))


def step_07_the_best_t_lies_in_a_narrow_interval():
    """Before the zero -log q is larger, beyond it smaller than the value."""
    for bound, ell_of_t, value in LIMITS:
        assert (ell_of_t - value).subs(t, bound.value - WIDTH) > 0 > (ell_of_t - value).subs(t, bound.value)


def step_08_no_smaller_and_no_larger_t_is_as_good():
    for bound, ell_of_t, _ in LIMITS:
        for factor in (sympy.Rational(998, 1000), sympy.Rational(1002, 1000)):
            assert cost(ell_of_t, bound.value - WIDTH / 2) < cost(ell_of_t, factor * bound.value)


def step_09_the_price_of_one_half():
    ell_of_t = LIMITS[0][1]
    price = cost(ell_of_t, sympy.Rational(1, 2)) / cost(ell_of_t, best_t.value)
    assert sympy.Rational(1489, 1000) < price < sympy.Rational(1491, 1000)


def step_10_an_algebraic_t_would_make_log_q_algebraic():
    """value is a rational function of t, c and sqrt((1-t)(1+t)), and q one that is 1 nowhere in the domain and 0 nowhere."""
    for _, _, value in LIMITS:
        assert value.subs(sympy.sqrt(kappa), 1 / u).is_rational_function(t, u)
    for bound, factor in ((log_factor, q), (log_factor_accelerated, q_fast)):
        for number in (factor, 1 - factor):
            assert certificate.root(sympy.fraction(sympy.together(number))[0], bound.requires) is None


def step_11_with_full_length_dropped_the_minimum_of_short_steps_is_not_one():
    ell_of_t, value = LIMITS[0][1:]
    assert (ell_of_t - value).subs(t, short_t_gradient.value) < -sympy.Rational(1, 10)


def step_12_beyond_the_full_length_another_curvature_is_the_slowest():
    """c > 2 kappa / (1 + kappa): the largest curvature shrinks by c - 1 > 1 - c / kappa; c = 2 kappa / (1 + kappa) is the step eta."""
    c = 2 * kappa / (1 + kappa)
    assert is_zero(1 - c / kappa - q_best) and is_zero(c - 1 - q_best) and is_zero(c - (1 + t))
