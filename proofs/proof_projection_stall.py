"""Theorem. On GoLore's counterexample let all singular values s of X_11 be below sigma, X_12 = 0, xi = +-1. Then the r leading left
singular vectors of the stochastic gradient span the r rows of the noise, P^T grad f = 0, and no rule that works on P^T G
moves f: |grad f|^2 = (n - r) s^2 for ever, with probability 1, for every learning rate, refresh interval and inner rule.

Source:    He et al. (2024), https://arxiv.org/abs/2410.11289, first theorem (second-hand: an instance exists); derived for this one
Bound:     galore_stall of sandbox.theory.projections_golore
Not here:  the r leading left singular vectors U maximise |G^T U|_F^2 over orthonormal U (Ky Fan).

Letters: u = a column of P, a and b = its parts in the signal rows and in the noise rows; A = the sum of |a|^2 over the
columns, so sum |b|^2 = r - A.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.projections_golore import galore_stall, n, r, s, sigma

A, loss = sympy.symbols("A loss", real=True)
values = sympy.Matrix([[s, 0, 0], [0, s, 0], [0, 0, sigma]])  # n = 3, r = 1


def captured(share: sympy.Expr) -> sympy.Expr:
    """|G^T P|_F^2 where the columns of P have the total part `share` in the signal rows."""
    return s**2 * share + sigma**2 * (r - share)


def stochastic_gradient(xi: int) -> sympy.Matrix:
    return sympy.diag(s, s, xi * sigma)


CERTIFICATES = (
    Certificate(
        name="noise_captures_most",
        claim=sympy.expand(captured(sympy.Integer(0)) - captured(A)),
        hypotheses=((sigma**2 - s**2, -A),),
        domain=(s > 0, s < sigma),
    ),
)


def step_01_the_noise_captures_more_than_any_other_basis():
    assert is_zero(captured(0) - captured(A) - (sigma**2 - s**2) * A)
    CERTIFICATES[0].check()


def step_02_strictly_so_where_the_signal_is_below_the_noise():
    domain = (s > 0, s < sigma, A > 0, A <= r)
    assert counterexample(captured(0) - captured(A), domain) is None
    assert counterexample((sigma**2 - s**2) - (sigma - s) * s, (s > 0, s < sigma)) is None  # and (sigma - s) s > 0 there


def step_03_its_columns_see_nothing_of_the_true_gradient():
    P, true_gradient = sympy.Matrix([0, 0, 1]), sympy.diag(s, s, 0)
    assert P.T * true_gradient == sympy.zeros(1, 3)
    for xi in (1, -1):
        assert P.T * stochastic_gradient(xi) == sympy.Matrix([[0, 0, xi * sigma]])


def step_04_so_a_step_in_that_basis_leaves_the_signal_rows():
    delta = sympy.Matrix([0, 0, 1]) * sympy.Matrix([sympy.symbols("d0:3")])
    assert delta[:2, :] == sympy.zeros(2, 3)


def step_05_attained_the_squared_gradient_norm_is_that_of_the_start():
    start = sum(x**2 for x in sympy.diag(s, s, 0))
    assert is_zero(start - galore_stall.value.subs({n: 3, r: 1}))
    assert is_zero(sum(x**2 for x in sympy.diag(s, s, s, 0, 0)) - galore_stall.value.subs({n: 5, r: 2}))


def step_06_no_smaller_and_no_larger_value_will_do():
    numbers = {n: 3, r: 1, s: 1, sigma: 2}
    for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert factor * galore_stall.value.subs(numbers) != 2


def step_07_dropped_noise_below_the_signal_is_captured_less():
    """sigma < s: a signal row is the better basis, and f moves."""
    assert captured(1).subs({s: 2, sigma: 1, r: 1}) > captured(0).subs({s: 2, sigma: 1, r: 1})


def step_08_dropped_a_random_basis_sees_the_gradient_on_average():
    """Mean of P P^T over the three axes: (1/3) I, so the mean of P P^T grad f is grad f / 3."""
    axes = [sympy.eye(3)[:, i] for i in range(3)]
    assert sum((u * u.T for u in axes), sympy.zeros(3)) * sympy.diag(s, s, 0) / 3 == sympy.diag(s, s, 0) / 3


def step_09_beyond_a_batch_of_two_has_no_noise_half_of_the_time():
    """xi averages to 0 with probability 1/2, where the signal rows are captured."""
    assert captured(1).subs({sigma: 0, r: 1}) - captured(0).subs({sigma: 0, r: 1}) == s**2


def step_10_beyond_weight_decay_of_the_whole_matrix_is_no_rule_on_the_projection():
    decayed = sympy.Rational(9, 10) * sympy.diag(s, s, 0)
    assert sum(x**2 for x in decayed).subs(s, 1) < galore_stall.value.subs({n: 3, r: 1, s: 1})
