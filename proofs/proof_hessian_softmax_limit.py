"""Theorem. Linear softmax, n inputs N(0, I_d), logits N(0, s2) independent over classes, cross entropy. With Z = sum_k e^(z_k)
replaced by its mean C e^(s2/2) and the weights lambda_ij(n) taken as independent of the inputs, as C, d, n -> infinity at
d / n = gamma,

    C |H_ij| / |H_ii|  ->  sqrt((1 + gamma e^(2 s2)) / (1 + gamma e^(s2)))      (Frobenius).

Source:    derived; Dong et al. (2505.02809) prove the rate 1/C, second-hand; at s2 = 1 the constants are 1.27 (gamma 0.2), 1.50 (1)
Bounds:    softmax_ratio_gaussian of sandbox.theory.hessian_blocks
Not here:  both replacements of the statement: laws of large numbers, which need C >> e^(s2) and C << d; tests and an experiment
           measure what is left of them.

Letters: z = a logit; E e^(a z) for a = 1, 2; q1, q2 = first two moments of the weight of a block; p_i = e^(z_i) / Z.
"""

import sympy

from sandbox.theory.certificate import Identity, is_zero
from sandbox.theory.hessian_blocks import C, gamma, logit_variance, softmax_ratio_gaussian, uniform_ratio

a, z, q1, q2, d, n = sympy.symbols("a z q1 q2 d n", positive=True)
s2 = logit_variance
E = sympy.Symbol("E", positive=True)  # e^(s2 / 2), so that e^(a^2 s2 / 2) = E^(a^2)
value2 = (softmax_ratio_gaussian.value**2).subs(sympy.exp(s2), E**2).subs(sympy.exp(2 * s2), E**4)


def moment(power: int) -> sympy.Expr:
    """E p_i^power."""
    return E ** (power**2) / (C * E) ** power


def squared_block(q1: sympy.Expr, q2: sympy.Expr) -> sympy.Expr:
    """E |(1/n) sum_n weight x x'|^2 for independent weights: E |x|^4 = d (d + 2), E (x'y)^2 = d."""
    return (n * q2 * d * (d + 2) + n * (n - 1) * q1**2 * d) / n**2


def limit_of(q1: sympy.Expr, q2: sympy.Expr) -> sympy.Expr:
    return sympy.limit((squared_block(q1, q2) / d).subs(n, d / gamma), d, sympy.oo)


CERTIFICATES = (
    Identity("softmax_limit_completing_the_square", a * z - z**2 / (2 * s2), a**2 * s2 / 2 - (z - a * s2) ** 2 / (2 * s2)),
    Identity(  # E = e^(s2 / 2)
        "softmax_limit_ratio", C**2 * (gamma * moment(2) ** 2 + moment(1) ** 4) / (gamma * moment(2) + moment(1) ** 2), value2
    ),
    Identity("softmax_limit_second_moment", squared_block(q1, q2) / d, (d + 2) / n * q2 + (1 - 1 / n) * q1**2),
)


def step_01_the_exponential_of_a_gaussian_by_completing_the_square():
    assert is_zero(a * z - z**2 / (2 * s2) - (a**2 * s2 / 2 - (z - a * s2) ** 2 / (2 * s2)))


def step_02_moments_of_the_probabilities():
    assert is_zero(moment(1) - 1 / C)
    assert is_zero(moment(2) - E**2 / C**2)


def step_03_a_block_weighs_its_second_moment_by_gamma():
    """|H|^2 / d -> gamma E weight^2 + (E weight)^2."""
    assert is_zero(limit_of(q1, q2) - (gamma * q2 + q1**2))


def step_04_the_ratio():
    """Off the diagonal p_i p_j of two independent classes; on it p_i (1 - p_i), which is p_i as C grows."""
    off = gamma * moment(2) ** 2 + moment(1) ** 4
    on = gamma * moment(2) + moment(1) ** 2
    assert is_zero(C**2 * off / on - value2)
    assert is_zero((softmax_ratio_gaussian.value**2).subs({s2: 1, gamma: 1}) - (1 + sympy.exp(2)) / (1 + sympy.E))


def step_05_it_is_attained_at_weights_of_zero_where_the_exact_ratio_is_known():
    assert softmax_ratio_gaussian.value.subs(s2, 0) == 1 == sympy.limit(C * uniform_ratio.value, C, sympy.oo)


def step_06_no_smaller_constant_will_do():
    assert sympy.Rational(999, 1000) * softmax_ratio_gaussian.value.subs(s2, 0) < 1


def step_07_the_second_moments_cannot_be_dropped():
    """With gamma = 0, many more samples than inputs, the constant is 1 whatever the logits: first moments alone."""
    assert softmax_ratio_gaussian.value.subs(gamma, 0) == 1
    assert sympy.limit(softmax_ratio_gaussian.value, gamma, sympy.oo) == sympy.exp(s2 / 2)


def step_08_beyond_the_limit_two_classes_have_the_ratio_1():
    """The formula would say at least 1/2: C = 2 is not many."""
    assert uniform_ratio.value.subs(C, 2) == 1 > softmax_ratio_gaussian.value.subs(s2, 0) / 2


def step_09_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
