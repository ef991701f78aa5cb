"""Theorem. Let f be mu-strongly convex and L-smooth, w+ = w - lr grad f(w), 0 < lr < 2/L, 0 < mu <= L. Then

    |w+ - w_star| <= max(1 - lr mu, lr L - 1) |w - w_star|
    f(w+) - f_star <= max((1 - lr mu)^2, (1 - lr L)^2) (f(w) - f_star)

and quadratics attain both. The best step, 2 / (L + mu), gives the distance factor (L - mu) / (L + mu).

Source:    sandbox.theory.gradient_descent names it per bound; the certificates were found here
Bounds:    loss_factor, distance_factor, best_distance_factor of sandbox.theory.gradient_descent
Not here:  the inequality of a convex function with M-Lipschitz gradient (Nesterov's lectures, Theorem 2.1.5, number
           recalled), which is used for f - mu |.|^2 / 2 with M = L - mu; that a quadratic splits into its
           eigendirections, which only attainment needs.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.gradient_descent import L, best_distance_factor, distance_factor, loss_factor, lr, mu

x, g, g1, f0, f1, c, lam = sympy.symbols("x g g1 f0 f1 c lambda", real=True)  # w - w_star; gradients at w, w+;
# values at w, w+ above f_star; one coordinate of x; its eigenvalue
Point = tuple[sympy.Expr, sympy.Expr, sympy.Expr]  # position, gradient, value
now, after, best = (x, g, f0), (x - lr * g, g1, f1), (sympy.Integer(0),) * 3
domain = (*distance_factor.requires, mu < L)  # at mu = L f is f_star + L |x|^2 / 2, and step 8 is the claim
short_domain, long_domain = (*domain, lr * (L + mu) <= 2), (*domain, lr * (L + mu) >= 2)
numbers = {mu: 1, L: 10, lr: sympy.Rational(19, 100)}
smaller = sympy.Rational(999, 1000)


def gap(upper: Point, lower: Point) -> sympy.Expr:
    """Q with Q <= 0: phi_low + <phi'_low, dx> + |dphi'|^2 / (2 (L - mu)) <= phi_up for phi = f - mu |.|^2 / 2."""
    (x_up, g_up, f_up), (x_low, g_low, f_low) = upper, lower
    phi_up, phi_low = f_up - mu * x_up**2 / 2, f_low - mu * x_low**2 / 2
    s_up, s_low = g_up - mu * x_up, g_low - mu * x_low
    return phi_low - phi_up + s_low * (x_up - x_low) + (s_up - s_low) ** 2 / (2 * (L - mu))


def factor_along(eigenvalue: sympy.Expr) -> sympy.Expr:
    """(f+ - f_star) / (f - f_star) when the iterate lies along one eigenvector."""
    f = eigenvalue * c**2 / 2
    return sympy.cancel(f.subs(c, c - lr * sympy.diff(f, c)) / f)


cocoercive = (g - mu * x) * (g - L * x)  # <= 0, by step 1


def distance_residual(end: sympy.Expr, multiplier: sympy.Expr) -> sympy.Expr:
    """(1 - lr end)^2 |x|^2 - |x - lr g|^2 + multiplier * cocoercive; where it is a square, the bound holds."""
    return (1 - lr * end) ** 2 * x**2 - (x - lr * g) ** 2 + multiplier * cocoercive


def loss_residual(rho: sympy.Expr) -> sympy.Expr:
    """rho^2 f0 - f1 + three multiples of inequalities; where it is a sum of squares, the loss factor is rho^2."""
    return rho**2 * f0 - f1 + sum(multiplier * Q for multiplier, Q in loss_hypotheses(rho))


def loss_hypotheses(rho: sympy.Expr) -> tuple[tuple[sympy.Expr, sympy.Expr], ...]:
    return (rho, gap(now, after)), (rho * (1 - rho), gap(best, now)), (1 - rho, gap(best, after))


short = 2 * lr * (1 - lr * mu) / (L - mu)  # multiplier while lr (L + mu) <= 2
long = 2 * lr * (lr * L - 1) / (L - mu)  # and beyond
short_weight = lr * (2 - lr * (L + mu)) / (L - mu)
long_weight = lr * (lr * (L + mu) - 2) / (L - mu)
half = 1 / (2 * (L - mu))
short_squares = half * (g1 + (lr * (L + mu) - 1) * g - lr * L * mu * x) ** 2 + L * short_weight / 2 * (g - mu * x) ** 2
long_rest = half * (2 - lr * L) * (lr * (L + mu) - 2)
long_squares = half * (g1 + g - L * (2 - lr * L) * x) ** 2 + long_rest * (g - L * x) ** 2


CERTIFICATES = (
    Certificate(
        name="gradient_descent_distance_short",
        claim=(1 - lr * mu) ** 2 * x**2 - (x - lr * g) ** 2,
        hypotheses=((short, cocoercive),),
        squares=((short_weight, g - mu * x),),
        vectors=(x, g),
        domain=short_domain,
    ),
    Certificate(
        name="gradient_descent_distance_long",
        claim=(1 - lr * L) ** 2 * x**2 - (x - lr * g) ** 2,
        hypotheses=((long, cocoercive),),
        squares=((long_weight, g - L * x),),
        vectors=(x, g),
        domain=long_domain,
    ),
    Certificate(
        name="gradient_descent_loss_short",
        claim=(1 - lr * mu) ** 2 * f0 - f1,
        hypotheses=loss_hypotheses(1 - lr * mu),
        squares=((half, g1 + (lr * (L + mu) - 1) * g - lr * L * mu * x), (L * short_weight / 2, g - mu * x)),
        vectors=(x, g, g1),
        domain=short_domain,
    ),
    Certificate(
        name="gradient_descent_loss_long",
        claim=(lr * L - 1) ** 2 * f0 - f1,
        hypotheses=loss_hypotheses(lr * L - 1),
        squares=((half, g1 + g - L * (2 - lr * L) * x), (long_rest, g - L * x)),
        vectors=(x, g, g1),
        domain=long_domain,
    ),
)


def step_01_two_inequalities_of_the_class_add_up_to_cocoercivity():
    assert is_zero(gap(now, best) + gap(best, now) - cocoercive / (L - mu))


def step_02_a_short_step_is_certified_by_one_multiple_of_cocoercivity():
    assert is_zero(distance_residual(mu, short) - short_weight * (g - mu * x) ** 2)
    for number in (short, short_weight):
        assert counterexample(number, short_domain) is None


def step_03_and_a_long_step_by_another():
    assert is_zero(distance_residual(L, long) - long_weight * (g - L * x) ** 2)
    for number in (long, long_weight):
        assert counterexample(number, long_domain) is None


def step_04_the_distance_factor_is_the_larger_of_the_two():
    assert distance_factor.value == sympy.Max(1 - lr * mu, lr * L - 1)
    assert counterexample((1 - lr * mu) - (lr * L - 1), short_domain) is None
    assert counterexample((lr * L - 1) - (1 - lr * mu), long_domain) is None


def step_05_the_loss_of_a_short_step_is_certified_by_three_inequalities_and_two_squares():
    rho = 1 - lr * mu
    assert is_zero(loss_residual(rho) - short_squares)
    for number in (rho, 1 - rho, L * short_weight, half):
        assert counterexample(number, short_domain) is None


def step_06_and_of_a_long_step_with_the_other_end():
    rho = lr * L - 1
    assert is_zero(loss_residual(rho) - long_squares)
    for number in (rho, 1 - rho, long_rest, half):
        assert counterexample(number, long_domain) is None


def step_07_the_loss_factor_is_the_larger_of_the_two():
    assert loss_factor.value == sympy.Max((1 - lr * mu) ** 2, (1 - lr * L) ** 2)
    assert counterexample((1 - lr * mu) ** 2 - (lr * L - 1) ** 2, short_domain) is None
    assert counterexample((lr * L - 1) ** 2 - (1 - lr * mu) ** 2, long_domain) is None


def step_08_an_eigendirection_of_a_quadratic_contracts_by_one_minus_lr_lambda_squared():
    assert is_zero(factor_along(lam) - (1 - lr * lam) ** 2)


def step_09_the_best_step_makes_the_two_ends_equal():
    best_lr = 2 / (L + mu)
    assert is_zero((1 - best_lr * mu) - best_distance_factor.value)
    assert is_zero((best_lr * L - 1) - best_distance_factor.value)
    assert is_zero(L * (1 - lr * mu) - mu * (1 - lr * L) - (L - mu))  # so no lr makes both ends smaller than this


def step_10_both_are_attained_along_the_steepest_eigenvector():
    assert factor_along(L).subs(numbers) == loss_factor.value.subs(numbers) == distance_factor.value.subs(numbers) ** 2


def step_11_and_along_the_flattest_one_when_the_step_is_short():
    short_numbers = {**numbers, lr: sympy.Rational(1, 10)}
    assert factor_along(mu).subs(short_numbers) == loss_factor.value.subs(short_numbers)


def step_12_no_smaller_constant_will_do():
    assert factor_along(L).subs(numbers) > smaller * loss_factor.value.subs(numbers)
    assert factor_along(L).subs(numbers) > smaller * distance_factor.value.subs(numbers) ** 2


def step_13_the_short_certificates_fail_beyond_their_domain():
    assert counterexample(short_weight, domain) is not None


def step_14_with_cocoercivity_dropped_there_is_no_certificate():
    assert distance_residual(mu, sympy.Integer(0)).subs({**numbers, x: 1, g: -1}) < 0


def step_15_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
