"""Theorem. Let w+ = w - tau (h w + sigma z) / sqrt(V), z independent with mean 0 and variance 1, V fixed. The stationary loss is

    E h w^2 / 2  =  a sigma^2 / (2 (2 - a h)),      a = tau / sqrt(V) < 2 / h;

for V = sigma^2 it is tau sigma^2 / (2 (2 sigma - tau h)). With V = E (h w + sigma z)^2, the second moment at its own stationary mean,

    sqrt(V) = (tau h + sqrt(tau^2 h^2 + 16 sigma^2)) / 4,      E h w^2 / 2  =  tau sqrt(V) / 4,

which is tau sigma / 4 for small tau and tau^2 h / 8 for sigma = 0: the cycle w = +-tau / 2 of a sign step, exactly. It always exists.

Source:    derived; for V = sigma^2 noted before (notes T16)
Bounds:    floor, noise_dominated_floor of sandbox.theory.adalomo_descent
Not here:  that the second moment is near its mean (a long average; measured); that s = max(eps2, RMS(w)) stays what it is.

Letters: var = E w^2; root = sqrt(V); q = sqrt(tau^2 h^2 + 16 sigma^2).
"""

import sympy

from sandbox.theory.adalomo_descent import floor, h, noise_dominated_floor, sigma, tau
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.induction import Induction

a, var, q, start = sympy.symbols("a var q start", real=True)
stationary = a * sigma**2 / (h * (2 - a * h))  # var
DOMAIN = (tau > 0, h > 0, sigma >= 0, q > 0, q**2 <= tau**2 * h**2 + 16 * sigma**2, q**2 >= tau**2 * h**2 + 16 * sigma**2)
root = (tau * h + q) / 4
the_floor = floor.value.subs(sympy.sqrt(tau**2 * h**2 + 16 * sigma**2), q)


def by_square(expr: sympy.Expr) -> sympy.Expr:
    """With q^2 written out."""
    numerator, denominator = sympy.fraction(sympy.together(expr))
    return sympy.rem(sympy.expand(numerator), q**2 - tau**2 * h**2 - 16 * sigma**2, q) / denominator


power, n = sympy.symbols("power n", real=True)
noise = (q**2 - tau**2 * h**2) / 16  # sigma^2
CERTIFICATES = (
    Identity("adalomo_floor_step", (1 - a * h) ** 2 * var + a**2 * sigma**2, stationary + (1 - a * h) ** 2 * (var - stationary)),
    Identity("adalomo_floor_of_noise", h * stationary.subs(a, tau / sigma) / 2, noise_dominated_floor.value),
    Identity("adalomo_floor_of_both", h * stationary.subs(a, tau / root).subs(sigma**2, noise) / 2, the_floor),
    Certificate(
        name="adalomo_floor_is_stable",
        claim=2 * root - tau * h,
        hypotheses=((1 / (2 * (q + tau * h)), tau**2 * h**2 + 16 * sigma**2 - q**2),),
        squares=((8 / (q + tau * h), sigma),),
        domain=(tau > 0, h > 0, q > 0),
    ),
    Induction(  # var_n = floor + (1 - a h)^(2 n) (var_0 - floor), times h (2 - a h)
        "adalomo_floor_is_approached",
        claim=h * (2 - a * h) * (var - start * power) - a * sigma**2 * (1 - power),
        index=n,
        sequences=((power, sympy.Integer(1), (1 - a * h) ** 2 * power), (var, start, (1 - a * h) ** 2 * var + a**2 * sigma**2)),
        factor=(1 - a * h) ** 2,
        relation="=",
    ),
)


def step_01_the_variance_that_a_step_leaves_as_it_is():
    after = (1 - a * h) ** 2 * var + a**2 * sigma**2
    assert is_zero((after - var).subs(var, stationary))


def step_02_with_the_noise_alone_in_the_second_moment():
    assert is_zero(h * stationary.subs(a, tau / sigma) / 2 - noise_dominated_floor.value)


def step_03_with_its_own_mean_the_second_moment_solves_a_quadratic():
    """V = h^2 var + sigma^2 with a = tau / sqrt V reads 2 V - tau h sqrt V - 2 sigma^2 = 0."""
    r = sympy.Symbol("r", positive=True)
    gap = r**2 - (h**2 * stationary.subs(a, tau / r) + sigma**2)
    assert is_zero(gap * (2 * r - tau * h) - r * (2 * r**2 - tau * h * r - 2 * sigma**2))
    assert is_zero(by_square(2 * root**2 - tau * h * root - 2 * sigma**2))


def step_04_and_the_floor_is_tau_root_over_4():
    assert is_zero(by_square(h * stationary.subs(a, tau / root) / 2 - the_floor))
    assert is_zero(the_floor - tau * root / 4)


def step_05_which_is_stable_for_every_rate():
    """a h < 2, and = 2 for sigma = 0 alone."""
    assert counterexample(2 * root - tau * h, DOMAIN) is None


def step_06_it_is_attained_without_noise_by_the_cycle_of_a_sign_step():
    """w = tau / 2: g = h tau / 2, V = g^2 for ever, so w+ = w - tau."""
    here = tau / 2
    assert is_zero(h * here**2 / 2 - tau * (tau * h + tau * h) / 16)
    assert sympy.simplify(floor.value.subs({sigma: 0, tau: 3, h: 2}) - sympy.Rational(9 * 2, 8)) == 0
    assert is_zero(here - tau * (h * here) / (h * here) + here)


def step_07_no_smaller_floor_will_do():
    at = {tau: 1, h: 1, sigma: 0}
    assert sympy.Rational(1, 8) > sympy.Rational(999, 1000) * floor.value.subs(at)


def step_08_at_a_small_rate_both_are_linear_in_it():
    for bound in (floor, noise_dominated_floor):
        assert sympy.limit(bound.value.subs({sigma: 5, h: 3}) / tau, tau, 0) == sympy.Rational(5, 4)


def step_09_the_floor_of_the_noise_alone_is_larger():
    assert counterexample(noise_dominated_floor.value - the_floor, (*DOMAIN, sigma > 0, tau * h < 2 * sigma)) is None


def step_10_with_the_curvature_dropped_from_v_it_has_no_limit_and_beyond_tau_h_of_2_sigma_no_meaning():
    assert counterexample(noise_dominated_floor.value, (tau > 0, h > 0, sigma > 0)) is not None
    assert sympy.limit(noise_dominated_floor.value.subs({sigma: 1, h: 1}), tau, 2, "-") == sympy.oo


def step_11_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
