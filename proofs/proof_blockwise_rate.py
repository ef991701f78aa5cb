"""Theorem. Let H = blockdiag(H_1, ..., H_B) with the spectrum of H_b in [mu_b, L_b], 0 < mu_b <= L_b, and
x+ = x - diag(lr_b) H x. With lr_b = 2 / (L_b + mu_b) every step multiplies the distance by at most
max_b (kappa_b - 1) / (kappa_b + 1), kappa_b = L_b / mu_b; no other choice of the lr_b does better, and one common step
size cannot do better than (kappa - 1) / (kappa + 1), kappa >= max_b kappa_b.

Source:    classical for one block; blockwise derived
Bounds:    single_rate, blockwise_rate of sandbox.theory.adam_mini
Not here:  that the error of a block-diagonal quadratic splits into eigendirections, each multiplied by 1 - lr_b lambda.
"""

import sympy

from sandbox.theory.adam_mini import blockwise_rate, kappa, kappa_block, rate, single_rate
from sandbox.theory.certificate import counterexample, is_zero

L, mu, lam, lr = sympy.symbols("L mu lambda lr", real=True)
L_all, mu_all = sympy.symbols("L_all mu_all", real=True)
block = (mu > 0, lam >= mu, lam <= L)
best = 2 / (L + mu)
rho = (L - mu) / (L + mu)


def step_1_inside_a_block_the_best_step_contracts_every_eigendirection_by_rho():
    slack = 4 * (lam - mu) * (L - lam) / (L + mu) ** 2
    assert is_zero(rho**2 - (1 - best * lam) ** 2 - slack)
    assert counterexample(slack, block) is None


def step_2_rho_is_the_bound_in_terms_of_the_condition_number():
    assert is_zero(blockwise_rate.value.subs(kappa_block, L / mu) - rho)
    assert is_zero(single_rate.value.subs(kappa, L / mu) - rho)


def step_3_no_other_step_contracts_both_ends_of_a_block_by_less():
    """L (1 - lr mu) - mu (1 - lr L) = L - mu; with both factors at most q in size, L - mu <= (L + mu) q."""
    assert is_zero(L * (1 - lr * mu) - mu * (1 - lr * L) - (L - mu))
    assert is_zero((L + mu) * rho - (L - mu))


def step_4_it_is_attained_at_both_ends_of_the_worst_block():
    assert is_zero((1 - best * mu) - rho) and is_zero((1 - best * L) + rho)


def step_5_the_rate_grows_with_the_condition_number_so_the_worst_block_decides():
    assert is_zero(sympy.diff(rate(kappa), kappa) - 2 / (kappa + 1) ** 2)


def step_6_a_common_step_sees_the_larger_condition_number():
    whole = (L_all >= L, mu_all <= mu, mu_all > 0, mu <= L)
    assert counterexample(L_all / mu_all - L / mu, whole) is None


def step_7_on_the_three_groups_it_is_one_half_against_4999_in_5001():
    assert blockwise_rate.value.subs(kappa_block, 3) == sympy.Rational(1, 2)
    assert single_rate.value.subs(kappa, 5000) == sympy.Rational(4999, 5001)


def step_8_no_smaller_rate_will_do():
    assert abs(1 - best * mu).subs({L: 3, mu: 1}) > sympy.Rational(999, 1000) * rate(sympy.Integer(3))


def step_9_beyond_the_block_s_spectrum_the_certificate_fails():
    assert counterexample((lam - mu) * (L - lam), (mu > 0, lam >= mu, L >= mu)) is not None
