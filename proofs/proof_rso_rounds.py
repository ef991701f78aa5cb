"""Theorem. Let P be drawn anew in every round, independently of W, with P^T P = (m/r) I and E P P^T = I, and let every round obey

    |P^T grad f(W_k)|^2 <= C(t) Lhat (f(W_k) - f(W_k+1))      (proof_rso_exact_subproblem.py; for inner steps ..._inner_steps.py).

Then for every K >= 1, m and r,

    sum_{k<K} E|grad f(W_k)|^2  <=  C(t) Lhat (f(W_0) - E f(W_K)),
    sum_{k<K} E|grad f(W_k)|^2  <=  v_K (f(W_0) - inf f),     v_0 = 0,  v_K = 2 L + rho v_(K-1) = 2 L (1 - rho^K) / (1 - rho),

rho = 1 - (r/m) (1 - (1+t)^-2), and both are equalities on L |W|^2 / 2 for every K. As v_K < C Lhat the second is the sharper one
where only inf f is known; and C Lhat Delta0 / K, the bound on the mean, is below the trivial 2 L Delta0 only for K > (C/2) m/r.

Source:    derived; both sums were seen in semidefinite programs over outcome trees (m = 2, r = 1, K <= 3)
Bounds:    exact_constant (sums), gradient_sum_from_gap of sandbox.theory.rso
Not here:  |grad f|^2 <= 2 L (f - inf f) for smooth f; the induction over K (proof_gradient_sum_from_gap.py); that conditional
           expectations given W_k average; E|P^T g|^2 = trace(g g^T E P P^T) = |g|^2 for laws other than coordinates.

Letters: G = E|grad f(W_0)|^2, R = the sum over the other rounds, gap0, gap1 = expected gaps before and after the first round,
v = v_(K-1).
"""

from itertools import combinations

import sympy

from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.rso import Delta0, K, L, L_hat, exact_constant, gradient_sum_from_gap, m, progress, r, t

G, R, gap0, gap1, v, f0, f1, f2, power = sympy.symbols("G R gap0 gap1 v f0 f1 f2 power", real=True)
C = exact_constant.value
rho = 1 - r / m * progress
best = 2 * L / (1 - rho)  # C Lhat, where v_K tends
domain = (L > 0, t > 0, r >= 1, r <= m)
quarter = {m: 4, r: 1, t: sympy.Rational(1, 2), L: 3, Delta0: 5}


def v_of(rounds: sympy.Expr) -> sympy.Expr:
    """v_K with rho^K written as one symbol `power`."""
    value = sympy.expand_power_exp((gradient_sum_from_gap.value / Delta0).subs(K, rounds))
    return value.subs(rho**K, power)


adding_up = Certificate(
    name="rso_rounds_adding_up",
    claim=C * L_hat * (f0 - f2) - G - R,
    hypotheses=((sympy.Integer(1), G - C * L_hat * (f0 - f1)), (sympy.Integer(1), R - C * L_hat * (f1 - f2))),
    domain=domain,
)
induction = Certificate(
    name="rso_rounds_induction",
    claim=(2 * L + rho * v) * gap0 - G - R,
    hypotheses=((sympy.Integer(1), R - v * gap1), (v, gap1 - gap0 + G / best), (1 - v / best, G - 2 * L * gap0)),
    domain=(*domain, v >= 0, v * r * t * (2 + t) <= 2 * L * m * (1 + t) ** 2),
)
recursion = Identity("rso_rounds_recursion", v_of(K + 1), 2 * L + rho * v_of(K))
CERTIFICATES = (adding_up, induction, recursion)


def sum_on_the_isotropic(rounds: int, shrink: sympy.Expr) -> sympy.Expr:
    """sum of E|grad f|^2 on f = L |W|^2 / 2, where f falls by the factor `shrink` in a round, from f = Delta0."""
    return sum((2 * L * Delta0 * shrink**k for k in range(rounds)), sympy.Integer(0))


def step_01_a_coordinate_basis_keeps_the_squared_gradient_on_average():
    gradient = sympy.symbols("g1:5")
    for rank in (1, 2, 3, 4):
        subsets = list(combinations(gradient, rank))
        average = sum(sympy.Rational(4, rank) * sum(g**2 for g in chosen) for chosen in subsets) / len(subsets)
        assert is_zero(average - sum(g**2 for g in gradient))


def step_02_the_bounds_of_rounds_add_up():
    adding_up.check()


def step_03_the_closed_form_obeys_the_recursion():
    recursion.check()
    assert is_zero(v_of(K).subs(power, 1))  # v_0 = 0


def step_04_one_more_round_in_front():
    induction.check()


def step_05_the_sum_never_passes_C_Lhat_so_that_the_induction_applies():
    assert is_zero(best - C * L_hat)
    assert is_zero(best - v_of(K) - best * power)
    assert counterexample(rho, domain) is None and counterexample(1 - rho, domain) is None


def step_06_it_is_attained_for_every_K():
    """On L |W|^2 / 2 all three hypotheses of the induction are equalities: G = 2 L gap0, gap1 = rho gap0."""
    equality = {G: 2 * L * gap0, gap1: rho * gap0, R: v * rho * gap0}
    assert all(is_zero(Q.subs(equality)) for _, Q in induction.hypotheses)
    assert is_zero(induction.claim.subs(equality))
    for rounds in (1, 2, 3):
        assert is_zero(sum_on_the_isotropic(rounds, rho) - gradient_sum_from_gap.value.subs(K, rounds))


def step_07_so_is_the_sum_against_the_decrease():
    for rounds in (1, 2, 3):
        assert is_zero(sum_on_the_isotropic(rounds, rho) - C * L_hat * Delta0 * (1 - rho**rounds))


def step_08_no_smaller_sum_will_do():
    limit = gradient_sum_from_gap.value.subs({**quarter, K: 3})
    assert sympy.Rational(999, 1000) * limit < sum_on_the_isotropic(3, rho).subs(quarter)


def step_09_neither_the_decrease_nor_the_gap_can_be_dropped():
    """Without a decrease every round costs 2 L Delta0; without inf f the first round alone may cost C Lhat Delta0."""
    limit = gradient_sum_from_gap.value.subs({**quarter, K: 2})
    assert limit < sum_on_the_isotropic(2, sympy.Integer(1)).subs(quarter)
    first_round = gradient_sum_from_gap.value.subs({**quarter, K: 1})
    assert first_round < (C * L_hat * Delta0).subs(quarter)


def step_10_beyond_orthogonal_bases_it_fails():
    """r = 1, |P|^2 = m/2 or 3m/2 with equal chance: E P P^T = I, but on L |W|^2 / 2 the loss falls by less."""
    share = sum(1 - (1 + t * sympy.Rational(x, 2)) ** -2 for x in (1, 3)) / 2
    assert (share - progress).subs(t, sympy.Rational(1, 2)) < 0
    slower = sum_on_the_isotropic(2, 1 - share / m).subs(quarter)
    assert gradient_sum_from_gap.value.subs({**quarter, K: 2}) < slower


def step_11_the_bound_on_the_mean_says_something_only_after_C_halves_m_over_r_rounds():
    assert is_zero(C * L_hat / K - 2 * L - 2 * L / K * (C / 2 * m / r - K))
    assert is_zero((C / 2).subs(t, sympy.Rational(1, 2)) - sympy.Rational(9, 5))
