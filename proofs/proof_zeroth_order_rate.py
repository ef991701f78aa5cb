"""Theorem. Let f be L-smooth, convex or not, x <- x - lr ghat with n Gaussian directions and exact slopes, c = L (d+n+1)/n, 0 < lr < 2/c.
Then for every K

    (1/K) sum_{k<K} E |grad f(x_k)|^2  <=  2 Delta / (K lr (2 - lr c)),      Delta = f(x_0) - E f(x_K),

with equality at every step on L |x|^2 / 2; at lr = 1/c it is 2 (d+2) L Delta / K for n = 1. If one matrix H with largest eigenvalue L
is above every Hessian of f, the same holds with c = (tr H + (n+1) L)/n: the dimension does not enter, only r = tr H / L, and a
quadratic that is flat in all but r directions attains it. Gradient descent has 2 L Delta / K at its best step, so the slow-down is
(r + n + 1)/n: MeZO's Theorem 1 with its constants, without its local terms. Batch gradients of variance v (one batch per step) add
lr c v / (2 - lr c).

Source:    derived; MeZO, https://arxiv.org/abs/2305.17333, Theorem 1 (read)
Bounds:    any_step, best_step, effective_rank, mezo_slowdown, noisy_step of sandbox.theory.zeroth_order_rate
Not here:  f(x + s) <= f + <grad f, s> + s^T H s / 2 where every Hessian is below H (H = L I for smooth f); the moments, which are in
           proofs/proof_two_point_moments.py; |H g| <= L |g|, so g^T H g <= L |g|^2.
"""

import sympy

from sandbox.theory import zeroth_order_rate as rate
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.induction import adding_up
from sandbox.theory.zeroth_order import n, scatter
from sandbox.theory.zeroth_order_pairings import GAUSSIAN, RADEMACHER, SPHERE, d, g2, gHg, mean, tr_H
from sandbox.theory.zeroth_order_rate import Delta, K, L, lr, variance

c, r, w = sympy.symbols("c r w", positive=True)
g = sympy.Symbol("g", real=True)
FACTOR = sympy.Rational(999, 1000)
at_c = {d: n * c / L - n - 1}  # so that L (d+n+1)/n is c
guaranteed = lr * g2 - c / 2 * lr**2 * g2  # decrease of E f that smoothness promises


def curvature(law=GAUSSIAN) -> sympy.Expr:
    """E ghat^T H ghat of n independent directions."""
    return (mean(law, "GH") + (n - 1) * gHg) / n


fall = sympy.Symbol("fall", real=True)
price = rate.any_step.value.subs({K: 1, Delta: 1}).subs(at_c)  # of the squared gradient, in the decrease of one step
CERTIFICATES = (
    Identity("zo_rate_constant", (scatter(GAUSSIAN) * L).subs(at_c), c),
    Certificate(
        name="zo_rate_of_one_step",
        claim=price * fall - g2,
        hypotheses=((price, guaranteed - fall),),
        domain=(lr > 0, lr * c < 2),
    ),
    adding_up("zo_rate_adding_up", cost=lr * (2 - lr * c), price=sympy.Integer(2)),  # terms: E |grad f(x_k)|^2
    Identity(
        "zo_rate_on_the_isotropic_quadratic",
        L / 2 * (2 * lr * g2 / L - lr**2 * scatter(GAUSSIAN) * g2),
        lr * g2 - L * (d + n + 1) / n / 2 * lr**2 * g2,
    ),
    Identity("zo_rate_of_an_effective_rank", rate.effective_rank.value / (2 * L * Delta / K), rate.mezo_slowdown.value),
    Identity("zo_rate_with_noise", rate.noisy_step.value.subs({K: 1, Delta: lr * g2 - c / 2 * lr**2 * (g2 + variance)}).subs(at_c), g2),
)


def step_01_the_expected_quadratic_term_has_the_constant_c():
    smooth = scatter(GAUSSIAN) * L
    assert is_zero(smooth.subs(at_c) - c)
    with_rank = curvature().subs(gHg, L * g2) / g2  # g^T H g <= L |g|^2
    assert is_zero(with_rank - (tr_H + (n + 1) * L) / n)


def step_02_every_step_pays_for_its_squared_gradient():
    per_step = rate.any_step.value.subs({K: 1, Delta: guaranteed})
    assert is_zero(per_step.subs(at_c) - g2)


def step_03_the_price_is_positive_on_the_whole_domain():
    assert counterexample(rate.any_step.value / Delta, (*rate.any_step.requires, Delta > 0)) is None


def step_04_half_way_to_the_edge_it_is_least():
    price = rate.any_step.value.subs(at_c)
    assert is_zero(sympy.diff(price, lr).subs(lr, 1 / c))
    assert is_zero((price.subs(lr, 1 / c) - rate.best_step.value).subs(at_c))


def step_05_with_a_matrix_above_all_hessians_only_its_trace_enters():
    c_rank = (tr_H + (n + 1) * L) / n
    assert is_zero(rate.effective_rank.value - 2 * c_rank * Delta / K)
    assert is_zero(rate.effective_rank.value / (2 * L * Delta / K) - rate.mezo_slowdown.value)


def step_06_it_is_attained_at_every_step_by_the_isotropic_quadratic():
    """E L |x - lr ghat|^2 / 2 falls by exactly what smoothness promises, for L x = g."""
    falls = L / 2 * (2 * lr * g2 / L - lr**2 * scatter(GAUSSIAN) * g2)
    assert is_zero((falls - guaranteed).subs(at_c))


def step_07_and_in_any_dimension_by_r_curved_directions():
    """H = L on r coordinates: tr H = r L, g^T H g = L |g|^2, and f falls by exactly what is promised."""
    quadratic = (curvature().subs({gHg: L * g2, tr_H: r * L})) * lr**2 / 2
    promised = (((r + n + 1) * L / n) * lr**2 / 2) * g2
    assert is_zero(quadratic - promised)
    assert is_zero(rate.effective_rank.value.subs(tr_H, r * L) - rate.best_step.value.subs(d, r))


def step_08_no_smaller_constant_will_do():
    """d = 4, n = L = 1, lr = 1/6: |g|^2 = 12 costs a decrease of 1."""
    at = {d: 4, n: 1, L: 1, g2: 12, lr: sympy.Rational(1, 6)}
    assert guaranteed.subs(c, 6).subs(at) == 1
    assert FACTOR * rate.best_step.value.subs({**at, K: 1, Delta: 1}) < 12


def step_09_signs_and_the_sphere_need_two_dimensions_less():
    for law in (SPHERE, RADEMACHER):
        assert is_zero(scatter(law) - (d + n - 1) / n)


def step_10_batch_noise_adds_its_variance_where_the_gradient_stands():
    """E |ghat|^2 = (d+n+1)/n (|g|^2 + v); the cross term with grad f keeps |g|^2."""
    falls = lr * g2 - c / 2 * lr**2 * (g2 + variance)
    assert is_zero((rate.noisy_step.value.subs({K: 1, Delta: falls}) - g2).subs(at_c))
    assert is_zero((rate.noisy_step.value - rate.any_step.value).subs(variance, 0))


def step_11_the_directions_moments_dropped_the_constant_of_gradient_descent_fails():
    """2 L Delta / K is 6 times too small at d = 4."""
    assert (rate.best_step.value / (2 * L * Delta / K)).subs({d: 4, n: 1}) == 6


def step_12_beyond_the_edge_nothing_is_promised():
    assert counterexample(rate.any_step.value, (Delta > 0, K >= 1, n >= 1, L > 0, d >= 1, lr > 0)) is not None


def step_13_a_rank_that_holds_at_one_point_only_does_not_count():
    """f = w^4 / 4 has the Hessian 0 at 0, and no H below 3 w^2 serves a step that ends at w."""
    f = w**4 / 4
    assert counterexample(sympy.diff(f, w, 2) - 1, (w > 1,)) is None and sympy.diff(f, w, 2).subs(w, 0) == 0


def step_14_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
