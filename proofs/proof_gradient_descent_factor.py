"""Theorem. Let f be mu-strongly convex and L-smooth, w+ = w - lr grad f(w), 0 < lr < 2/L, 0 < mu <= L. Then

    |w+ - w_star| <= max(1 - lr mu, lr L - 1) |w - w_star|,

and on quadratics with spectrum in [mu, L] also f(w+) - f_star <= max((1 - lr mu)^2, (1 - lr L)^2) (f(w) - f_star). Both
are attained. The best step, 2 / (L + mu), gives the distance factor (L - mu) / (L + mu).

Source:    sandbox.theory.gradient_descent names it per bound
Bounds:    loss_factor, distance_factor, best_distance_factor of sandbox.theory.gradient_descent
Not here:  <g - mu x, g - L x> <= 0 for x = w - w_star, g = grad f(w) (co-coercivity of f - mu |.|^2 / 2; Nesterov's
           lectures, Theorem 2.1.12, number recalled); the loss factor for functions that are not quadratic; that a
           quadratic splits into its eigendirections.
"""

import sympy

from sandbox.theory.certificate import counterexample, is_zero
from sandbox.theory.gradient_descent import L, best_distance_factor, distance_factor, loss_factor, lr, mu

x, g, c, lam = sympy.symbols("x g c lambda", real=True)  # w - w_star; grad f(w); one coordinate of x; its eigenvalue
cocoercive = (g - mu * x) * (g - L * x)  # <= 0
domain = (*distance_factor.requires, mu < L)  # at mu = L both sides are (1 - lr L)^2 |x|^2
numbers = {mu: 1, L: 10, lr: sympy.Rational(19, 100)}
smaller = sympy.Rational(999, 1000)


def factor_along(eigenvalue: sympy.Expr) -> sympy.Expr:
    """(f+ - f_star) / (f - f_star) when the iterate lies along one eigenvector."""
    f = eigenvalue * c**2 / 2
    return sympy.cancel(f.subs(c, c - lr * sympy.diff(f, c)) / f)


def residual(end: sympy.Expr, multiplier: sympy.Expr) -> sympy.Expr:
    """(1 - lr end)^2 |x|^2 - |x - lr g|^2 + multiplier * cocoercive; where it is a square, the bound holds."""
    return (1 - lr * end) ** 2 * x**2 - (x - lr * g) ** 2 + multiplier * cocoercive


short = 2 * lr * (1 - lr * mu) / (L - mu)  # multiplier while lr (L + mu) <= 2
long = 2 * lr * (lr * L - 1) / (L - mu)  # and beyond
short_weight = lr * (2 - lr * (L + mu)) / (L - mu)
long_weight = lr * (lr * (L + mu) - 2) / (L - mu)


def step_01_an_eigendirection_of_a_quadratic_contracts_by_one_minus_lr_lambda_squared():
    assert is_zero(factor_along(lam) - (1 - lr * lam) ** 2)


def step_02_the_factor_is_convex_in_lambda_so_its_maximum_is_at_an_end():
    assert is_zero(sympy.diff(factor_along(lam), lam, 2) - 2 * lr**2)


def step_03_the_loss_factor_is_the_larger_end():
    assert isinstance(loss_factor.value, sympy.Max) and len(loss_factor.value.args) == 2
    for eigenvalue in (mu, L):
        assert any(is_zero(end - factor_along(eigenvalue)) for end in loss_factor.value.args)


def step_04_a_short_step_is_certified_by_one_multiple_of_cocoercivity():
    assert is_zero(residual(mu, short) - short_weight * (g - mu * x) ** 2)
    for number in (short, short_weight):
        assert counterexample(number, (*domain, lr * (L + mu) <= 2)) is None


def step_05_and_a_long_step_by_another():
    assert is_zero(residual(L, long) - long_weight * (g - L * x) ** 2)
    for number in (long, long_weight):
        assert counterexample(number, (*domain, lr * (L + mu) >= 2)) is None


def step_06_the_distance_factor_is_the_larger_of_the_two():
    assert distance_factor.value == sympy.Max(1 - lr * mu, lr * L - 1)
    assert counterexample((1 - lr * mu) - (lr * L - 1), (*domain, lr * (L + mu) <= 2)) is None
    assert counterexample((lr * L - 1) - (1 - lr * mu), (*domain, lr * (L + mu) >= 2)) is None


def step_07_the_best_step_makes_the_two_ends_equal():
    best = 2 / (L + mu)
    assert is_zero((1 - best * mu) - best_distance_factor.value)
    assert is_zero((best * L - 1) - best_distance_factor.value)
    assert is_zero(L * (1 - lr * mu) - mu * (1 - lr * L) - (L - mu))  # so no lr makes both ends smaller than this


def step_08_both_are_attained_along_the_steepest_eigenvector():
    assert factor_along(L).subs(numbers) == loss_factor.value.subs(numbers) == distance_factor.value.subs(numbers) ** 2


def step_09_and_along_the_flattest_one_when_the_step_is_short():
    short_numbers = {**numbers, lr: sympy.Rational(1, 10)}
    assert factor_along(mu).subs(short_numbers) == loss_factor.value.subs(short_numbers)


def step_10_no_smaller_constant_will_do():
    assert factor_along(L).subs(numbers) > smaller * loss_factor.value.subs(numbers)
    assert factor_along(L).subs(numbers) > smaller * distance_factor.value.subs(numbers) ** 2


def step_11_the_short_certificate_fails_beyond_its_domain():
    assert counterexample(short_weight, domain) is not None


def step_12_without_cocoercivity_there_is_no_certificate():
    assert residual(mu, sympy.Integer(0)).subs({**numbers, x: 1, g: -1}) < 0
