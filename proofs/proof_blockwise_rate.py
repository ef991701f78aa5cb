"""Theorem. Let H = blockdiag(H_1, ..., H_B) with the spectrum of H_b in [mu_b, L_b], both ends in it, 0 < mu_b <= L_b, and
x+ = x - diag(lr_b) H x. With lr_b = 2 / (L_b + mu_b) every step multiplies the distance by at most
max_b (kappa_b - 1) / (kappa_b + 1), kappa_b = L_b / mu_b; no other choice of one number a block does better, constant
over the steps; and one common number cannot do better than (kappa - 1) / (kappa + 1), kappa = max_b L_b / min_b mu_b,
which is never smaller, and equal exactly where one block holds both ends of the whole spectrum.

Source:    classical for one block; blockwise derived
Bounds:    single_rate, blockwise_rate of sandbox.theory.adam_mini
Not here:  that the error of a block-diagonal quadratic splits into eigendirections, each multiplied by 1 - lr_b lambda.
"""

import sympy

from sandbox.theory.adam_mini import blockwise_rate, kappa, kappa_block, rate, single_rate
from sandbox.theory.certificate import Certificate, counterexample, is_zero

L, mu, lam, lr, q = sympy.symbols("L mu lambda lr q", real=True)
L_all, mu_all = sympy.symbols("L_all mu_all", real=True)
block = (mu > 0, lam >= mu, lam <= L)
best = 2 / (L + mu)
rho = (L - mu) / (L + mu)
OPTIMAL = Certificate(  # a factor q that serves both ends, -q <= 1 - lr mu <= q and -q <= 1 - lr L <= q, is at least rho
    name="blockwise_rate_optimal",
    claim=(L + mu) * q - (L - mu),
    hypotheses=((L, (1 - lr * mu) - q), (mu, -(1 - lr * L) - q)),
    domain=(mu > 0, L >= mu),
)
CERTIFICATES = (OPTIMAL,)


def step_01_inside_a_block_the_best_step_contracts_every_eigendirection_by_rho():
    slack = 4 * (lam - mu) * (L - lam) / (L + mu) ** 2
    assert is_zero(rho**2 - (1 - best * lam) ** 2 - slack)
    assert counterexample(slack, block) is None


def step_02_rho_is_the_bound_in_terms_of_the_condition_number():
    assert is_zero(blockwise_rate.value.subs(kappa_block, L / mu) - rho)
    assert is_zero(single_rate.value.subs(kappa, L / mu) - rho)


def step_03_no_other_number_contracts_both_ends_of_a_block_by_less():
    """Blocks do not interact, so that the worst block's number decides whatever the other blocks do."""
    OPTIMAL.check()
    assert is_zero((L + mu) * rho - (L - mu))


def step_04_it_is_attained_at_both_ends_of_the_worst_block():
    assert is_zero((1 - best * mu) - rho) and is_zero((1 - best * L) + rho)


def step_05_the_rate_grows_with_the_condition_number_so_the_worst_block_decides():
    assert is_zero(sympy.diff(rate(kappa), kappa) - 2 / (kappa + 1) ** 2)


def step_06_a_common_number_sees_the_larger_condition_number():
    """Of the worst block: L_all >= L_b and mu_all <= mu_b. Equality only where both are equalities."""
    whole = (L_all >= L, mu_all <= mu, mu_all > 0, mu <= L)
    assert counterexample(L_all / mu_all - L / mu, whole) is None
    gap = L_all * mu - L * mu_all
    assert is_zero(gap - (mu * (L_all - L) + L * (mu - mu_all)))


def step_07_on_the_three_groups_it_is_one_half_against_4999_in_5001():
    assert blockwise_rate.value.subs(kappa_block, 3) == sympy.Rational(1, 2)
    assert single_rate.value.subs(kappa, 5000) == sympy.Rational(4999, 5001)


def step_08_no_smaller_rate_will_do():
    assert abs(1 - best * mu).subs({L: 3, mu: 1}) > sympy.Rational(999, 1000) * rate(sympy.Integer(3))


def step_09_neither_end_can_be_dropped():
    """Without the upper end lr = 1 / mu has factor 0 at mu; without the lower end lr = 1 / L has factor 0 at L."""
    three = {L: 3, mu: 1}
    assert (1 - lr * mu).subs({lr: 1, **three}) == 0 and abs((1 - lr * L).subs({lr: 1, **three})) > rho.subs(three)
    assert (1 - lr * L).subs({lr: sympy.Rational(1, 3), **three}) == 0
    assert abs((1 - lr * mu).subs({lr: sympy.Rational(1, 3), **three})) > rho.subs(three)


def step_10_beyond_the_block_s_spectrum_the_certificate_fails():
    assert counterexample((lam - mu) * (L - lam), (mu > 0, lam >= mu, L >= mu)) is not None


def step_11_beyond_numbers_that_stay_the_same_two_that_alternate_do_better():
    """Chebyshev: on [1, 3] the pair of numbers 1 / (2 -+ 1 / sqrt 2) takes 1/7 in two steps, below (1/2)^2."""
    two_steps = 1 - sympy.Rational(8, 7) * lam + sympy.Rational(2, 7) * lam**2
    root = sympy.sqrt(2) / 2
    assert sympy.expand(two_steps - (1 - lam / (2 - root)) * (1 - lam / (2 + root))).equals(0)
    inside = (lam >= 1, lam <= 3)
    for sign in (1, -1):
        assert counterexample(sympy.Rational(1, 7) - sign * two_steps, inside) is None
    assert sympy.Rational(1, 7) < rate(sympy.Integer(3)) ** 2
