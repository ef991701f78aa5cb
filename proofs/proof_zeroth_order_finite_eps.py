"""Theorem. Let f be L-smooth on R^d, convex or not, z uniform on the sphere |z|^2 = d (or of signs), s the CENTRAL difference slope at
any eps > 0, and x <- x - s z / (L d). Then for every K

    (1/K) sum_{k<K} E |grad f(x_k)|^2  <=  2 L d Delta / K + (eps L d / 2)^2,        Delta = f(x_0) - E f(x_K).

No Gaussian tails, no bound on the Hessian's change. In one dimension both parts are attained: the first by L x^2 / 2, the floor by
f' = eps L / 2 - L |x|, on which both losses are equal at x = 0 and the method stands still for ever.

Source:    derived
Bound:     sandbox.theory.zeroth_order_rate.finite_eps
Not here:  that E (z^T g)^2 = |g|^2; that f is within L eps^2 |z|^2 / 2 of its tangent at x, so |s - z^T g| <= eps L d / 2;
           that the floor is not attained for d >= 6 (proof_zeroth_order_floor.py); whether it is for d = 2 to 5 is open.
"""

import sympy

from sandbox.theory import zeroth_order_rate as rate
from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.induction import adding_up
from sandbox.theory.zeroth_order import eps
from sandbox.theory.zeroth_order_pairings import d
from sandbox.theory.zeroth_order_rate import Delta, K, L

true, error, x, lr = sympy.symbols("true error x lr", real=True)  # z^T g, and s - z^T g
decrease = lr * (true + error) * true - L * d / 2 * (lr * (true + error)) ** 2  # promised by smoothness for one direction
at_step = {lr: 1 / (L * d)}
at = {eps: 1, L: 1, d: 1, K: 1}


fall = sympy.Symbol("fall", real=True)
worst = eps * L * d / 2
promise = (2 * L * d * decrease).subs(at_step).expand()  # true^2 - error^2
CERTIFICATES = (
    Certificate(
        name="finite_eps_of_one_step",
        claim=rate.finite_eps.value.subs({Delta: fall, K: 1}) - true**2,
        hypotheses=((sympy.Integer(1), promise - 2 * L * d * fall), (sympy.Integer(1), error**2 - worst**2)),
    ),
    adding_up("finite_eps_adding_up", cost=sympy.Integer(1), price=2 * L * d, extra=worst**2),  # terms: E |grad f(x_k)|^2 = E true^2
)


def step_1_at_lr_1_over_Ld_the_promise_is_a_difference_of_squares():
    assert is_zero(decrease.subs(at_step) - (true**2 - error**2) / (2 * L * d))


def step_2_so_the_squared_slope_costs_2_L_d_and_leaves_the_largest_error():
    worst = eps * L * d / 2
    promised = decrease.subs(at_step).subs(error, worst)
    assert is_zero(rate.finite_eps.value.subs({Delta: promised, K: 1}) - true**2)
    assert counterexample(worst**2 - error**2, (eps > 0, L > 0, d >= 1, error <= worst, error >= -worst)) is None


def step_3_the_error_of_a_slope_is_at_most_eps_L_d_over_2():
    """Both losses are off their tangent by at most L eps^2 d / 2, in opposite directions at worst."""
    off = L * eps**2 * d / 2
    assert is_zero((off - (-off)) / (2 * eps) - eps * L * d / 2)


def step_4_the_first_part_is_attained_by_a_parabola():
    """d = 1: s = g for every eps, one step of 1/L ends at the minimum, and the decrease is g^2 / (2 L)."""
    f = L * x**2 / 2
    slope = (f.subs(x, x + eps) - f.subs(x, x - eps)) / (2 * eps)
    assert is_zero(slope - L * x)
    assert is_zero(rate.finite_eps.value.subs({eps: 0, d: 1, K: 1, Delta: f}) - sympy.diff(f, x) ** 2)


def step_5_the_floor_is_attained_where_both_losses_are_equal():
    """f = eps L x / 2 - L x |x| / 2: f' is L-Lipschitz, f(eps) = f(-eps) = 0, and f'(0)^2 is the floor."""
    right, left = eps * L * x / 2 - L * x**2 / 2, eps * L * x / 2 + L * x**2 / 2
    assert is_zero(right.subs(x, eps)) and is_zero(left.subs(x, -eps))
    assert is_zero(sympy.diff(right, x).subs(x, 0) ** 2 - rate.finite_eps.value.subs({Delta: 0, d: 1}))


def step_6_no_smaller_constant_will_do():
    factor = sympy.Rational(999, 1000)
    assert factor * rate.finite_eps.value.subs({**at, Delta: 0}) < sympy.Rational(1, 4)  # the gradient of step 5, squared
    assert factor * rate.finite_eps.value.subs({**at, eps: 0, Delta: sympy.Rational(1, 2)}) < 1  # that of step 4 at x = 1


def step_7_the_smoothness_dropped_a_kink_keeps_its_slope():
    """f = |x| beside its kink at x = eps/2: the losses differ by eps, s = 1/2 while |f'| = 1, and no eps -> 0 helps at distance eps/2."""
    losses = (eps + eps / 2, eps - eps / 2)
    assert is_zero((losses[0] - losses[1]) / (2 * eps) - sympy.Rational(1, 2))


def step_8_beyond_this_step_length_the_error_is_multiplied():
    """At lr = 2/(L d) the promise is -true error - error^2: negative for error = true, however large the slope is."""
    assert is_zero(decrease.subs(lr, 2 / (L * d)) + 2 * error * (true + error) / (L * d))


def step_9_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
