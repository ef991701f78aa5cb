"""Theorem. Let g = grad f(x), s = z^T g, z ~ N(0, I). On a quadratic of Hessian H, in every dimension,

    x+ = x - lr sign(s) z      E f(x+) = f(x) - lr sqrt(2/pi) |g| + lr^2 tr(H) / 2
    x+ = x - lr sign(s z)      E f(x+) = f(x) - lr (2/pi) sum_i g_i arcsin(g_i / |g|) + lr^2 tr(H) / 2,

and the sum lies between |g| (approached by flat g) and (pi/2) |g| (attained by g along an axis). So for any L-smooth f the mean of E |grad
f| over K steps is at most sqrt(pi/2) (Delta/(K lr) + lr L d/2) for the sign of the slope, with equality on L |x|^2 / 2, and pi/2
times the same bracket for the sign of every entry. Both stop at a floor: on L |x|^2 / 2 the first one at |x| = sqrt(pi/8) lr d, whatever
L is. The sign of every entry is better only where g is close to an axis: sum / |g| above sqrt(pi/2) = 1.2533.

Source:    derived; ZO-Bench, https://arxiv.org/abs/2402.11592, whose code runs the first and whose text (recalled) has the second
Bounds:    signed_slope_fall, signed_entries_fall, signed_slope_floor, signed_slope_rate, signed_entries_rate of
           sandbox.theory.zeroth_order_steps
Not here:  E sign(a) sign(b) = (2/pi) arcsin(correlation) of two Gaussians (Sheppard 1899); signs of a symmetric z are independent;
           the descent lemma.
"""

import sympy

from sandbox.theory import zeroth_order_steps as steps
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.induction import adding_up
from sandbox.theory.zeroth_order_edge import L, lr
from sandbox.theory.zeroth_order_pairings import d, tr_H
from sandbox.theory.zeroth_order_rate import Delta, K
from sandbox.theory.zeroth_order_steps import grad

u = sympy.Symbol("u", positive=True)
x = sympy.Symbol("x", real=True)
pi = sympy.pi
FACTOR = sympy.Rational(999, 1000)
mean_slope = sympy.sqrt(2 / pi)  # E |s| / |g|
quadratic_part = lr**2 * tr_H / 2  # E lr^2 v^T H v / 2 for v = sign(s) z and for v = sign(s z): both have E v v^T = I on the diagonal


slope = sympy.Symbol("slope", real=True)
CERTIFICATES = (  # slope stands for sqrt(2/pi), which no polynomial with rational coefficients holds, or for the 2/pi of signed entries
    adding_up("signed_slope_adding_up", cost=lr * slope, price=sympy.Integer(1), extra=lr**2 * L * d / 2),  # terms: E |grad f(x_k)|
    Identity("signed_slope_floor", (x**2 - 2 * lr * slope * x + lr**2 * d).subs(x, lr * d / (2 * slope)), (lr * d / (2 * slope)) ** 2),
    Identity("signed_slope_arcsine_slope", 1 / (1 - u**2) - 1, u**2 / (1 - u**2)),
)


def step_01_the_mean_size_of_a_slope():
    density = sympy.exp(-(u**2) / 2) / sympy.sqrt(2 * pi)
    assert is_zero(2 * sympy.integrate(u * density, (u, 0, sympy.oo)) - mean_slope)


def step_02_the_sign_of_the_slope_falls_by_the_bound():
    assert is_zero(lr * mean_slope * grad - quadratic_part - steps.signed_slope_fall.value)


def step_03_the_sign_of_every_entry_falls_by_an_arcsine():
    """E sign(s) sign(z_i) = (2/pi) arcsin(g_i/|g|), and arcsin u >= u: equal at 0, with the slopes (1 - u^2)^(-1/2) >= 1."""
    assert is_zero(lr * (2 / pi) * grad - quadratic_part - steps.signed_entries_fall.value)
    assert sympy.asin(0) == 0 and is_zero(sympy.diff(sympy.asin(u), u) ** 2 - 1 / (1 - u**2))
    assert counterexample(1 / (1 - u**2) - 1, (u < 1,)) is None


def step_04_at_most_pi_over_2_times_as_much_which_an_axis_attains():
    """arcsin u <= (pi/2) u, being convex; g = (1, 0, ..): arcsin 1 = pi/2, so E f falls by lr |g| itself."""
    assert counterexample(sympy.diff(sympy.asin(u), u, 2) * sympy.sqrt(1 - u**2) * (1 - u**2), (u < 1,)) is None
    assert sympy.asin(1) == pi / 2 and is_zero(lr * (2 / pi) * sympy.asin(1) - lr)


def step_05_no_larger_bound_for_signed_entries():
    """Flat g: sqrt(d) arcsin(1/sqrt d) <= sqrt(d/(d-1)), because arcsin u <= u (1-u^2)^(-1/2); within 1/1000 at d = 1001."""
    above = u / sympy.sqrt(1 - u**2)
    slopes = sympy.simplify(sympy.diff(above, u) / sympy.diff(sympy.asin(u), u))
    assert is_zero(slopes - 1 / (1 - u**2))
    assert sympy.Rational(1001, 1000) < (1 / FACTOR) ** 2
    flat = sympy.sqrt(sympy.Rational(1001, 1000)) * 2 / pi  # above what flat g in 1001 dimensions reaches
    assert steps.signed_entries_fall.value.subs({lr: 1, grad: 1, tr_H: 0}) / FACTOR - flat > 0


def step_06_the_floor_is_where_the_mean_square_stands_still():
    """E |x+|^2 = |x|^2 - 2 lr sqrt(2/pi) |x| + lr^2 d on L |x|^2 / 2, from twice step 2 over L."""
    change = -2 * steps.signed_slope_fall.value.subs({grad: L * x, tr_H: L * d}) / L
    assert is_zero(change + 2 * lr * mean_slope * x - lr**2 * d)
    assert is_zero(change.subs(x, steps.signed_slope_floor.value))


def step_07_smooth_functions_pay_for_their_gradient_norm():
    """tr H becomes L d."""
    for bound, fall in ((steps.signed_slope_rate, steps.signed_slope_fall), (steps.signed_entries_rate, steps.signed_entries_fall)):
        promised = fall.value.subs(tr_H, L * d)
        assert is_zero(sympy.expand(bound.value.subs({K: 1, Delta: promised}) - grad))


def step_08_the_first_rate_is_attained_by_the_isotropic_quadratic_at_every_step():
    """There tr H = L d, and step 2 is an equality: what step 7 promises is what happens."""
    falls = steps.signed_slope_fall.value.subs(tr_H, L * d)
    assert is_zero(sympy.expand(falls - lr * mean_slope * grad + L * d * lr**2 / 2))


def step_09_no_smaller_constant_will_do():
    at = {d: 1, L: 1, lr: 1, K: 1}
    gradient = 2
    falls = steps.signed_slope_fall.value.subs({tr_H: 1, lr: 1, grad: gradient})
    assert gradient - FACTOR * steps.signed_slope_rate.value.subs(at).subs(Delta, falls) > 0
    assert steps.signed_slope_floor.value.subs({lr: 1, d: 1}) * FACTOR - sympy.sqrt(pi / 8) < 0


def step_10_the_noise_dropped_a_vanishing_step_has_no_floor():
    """Without lr^2 tr H / 2 the bracket is Delta / (K lr); with it no lr makes the bound fall faster than K^(-1/2)."""
    bracket = Delta / (K * lr) + lr * L * d / 2
    best = sympy.sqrt(2 * Delta / (K * L * d))
    assert is_zero(sympy.diff(bracket, lr).subs(lr, best)) and is_zero(bracket.subs(lr, best) ** 2 - 2 * Delta * L * d / K)


def step_11_beyond_gaussian_directions_the_slope_of_a_sign_vector_depends_on_g():
    """Signs z in two dimensions: E |s| = max |g_i|, which is |g| on an axis and |g| / sqrt 2 on the diagonal."""
    for g, expected in (((1, 0), 1), ((1, 1), 1)):
        assert sum(abs(a * g[0] + b * g[1]) for a in (1, -1) for b in (1, -1)) / sympy.Integer(4) == expected


def step_12_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
