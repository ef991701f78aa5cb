"""Theorem. Let x <- x - lr ghat on x^T H x / 2 with H >= 0 of eigenvalues lam_i, E ghat = g = H x and E ghat ghat^T = alpha g g^T +
gamma |g|^2 I, alpha, gamma > 0. With V = sum_i w_i x_i^2, w_i = lam_i / (2 - alpha lr lam_i), in eigen-coordinates,

    E V(x+)  =  V(x) - lr (1 - S) |g|^2,        S = sum_i gamma lr lam_i / (2 - alpha lr lam_i)

exactly, for every spectrum and every d. So, where alpha lr L < 2, second moments contract if and only if S < 1: the edge is the only
root of S(lr) = 1. For Gaussian directions (alpha = (n+1)/n, gamma = 1/n) it obeys

    2 n / (tr H + (n+1) L)  <=  edge  <=  2 n / tr H         (left: equality where all eigenvalues but zeros are equal)

and for H = L I it is 2 n / ((d+n+1) L); the best factor per step is 1 - n/(d+n+1), at half of it. On the sphere 2 n / ((d+n-1) L), and
there one step (n = 1) contracts for EVERY draw where lr < 2/(d L), keeps |x| at 2/(d L), and grows for every draw beyond.
Against gradient descent, 2/L, the edge is smaller by at most (r + n + 1)/n and at least r/n, r = tr H / L.

Source:    derived; MeZO, https://arxiv.org/abs/2305.17333, Theorem 1, has the slow-down as Theta(r/n) (read)
Bounds:    isotropic_edge, sphere_isotropic_edge, least_edge, largest_edge, best_isotropic_factor of sandbox.theory.zeroth_order_edge
Not here:  that a quadratic is diagonal in eigen-coordinates, and both laws are invariant under rotations; that sums over i of step 1 are
           sums over i; that V is a norm on the range of H.
"""

import sympy

from sandbox.theory import zeroth_order_edge as edge
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.zeroth_order import n, scatter
from sandbox.theory.zeroth_order_edge import L, alpha, gamma, lam, lr
from sandbox.theory.zeroth_order_pairings import GAUSSIAN, SPHERE, d, tr_H

second, others = sympy.symbols("second others", real=True)  # E x_i^2, and E |g|^2
S, r = sympy.symbols("S r", real=True)
weight = lam / (2 - alpha * lr * lam)
FACTOR = sympy.Rational(999, 1000)
after = second * (1 - 2 * lr * lam + alpha * lr**2 * lam**2) + gamma * lr**2 * others  # E x_i^2 after the step
term = gamma * lr * weight  # one eigenvalue's part of S
BELOW_THE_POLE = (lr > 0, lam > 0, alpha > 0, gamma > 0, alpha * lr * lam < 2)
CERTIFICATES = (
    Identity(
        name="zeroth_order_edge_potential",
        left=weight * (after - second),
        right=lr * (term * others - lam**2 * second),
    ),
)


def isotropic(laws: dict) -> sympy.Expr:
    """Factor of E |x|^2 of one step on L |x|^2 / 2."""
    return (1 - 2 * lr * L + lr**2 * L**2 * (alpha + d * gamma)).subs(laws)


def step_01_the_second_moment_of_an_entry_after_one_step():
    """alpha g_i^2 + gamma |g|^2 with g_i = lam x_i; the two laws have the alpha and gamma of their fourth moments."""
    for law, laws in ((GAUSSIAN, edge.gaussian), (SPHERE, edge.sphere)):
        assert is_zero((1 + (2 * law.pair + law.own - 1) / n) - laws[alpha]) and is_zero(law.pair / n - laws[gamma])
        assert is_zero(laws[alpha] + d * laws[gamma] - scatter(law))  # the trace of E ghat ghat^T


def step_02_the_potential_falls_by_exactly_what_the_gradient_is_times_one_minus_S():
    """Per coordinate; summed over i, lr (S - 1) E |g|^2, for others = sum lam^2 second."""
    for certificate in CERTIFICATES:
        certificate.check()
    assert is_zero(weight * (after - second) - lr * (term * others - lam**2 * second))


def step_03_S_is_the_load_at_momentum_zero_and_the_potential_too():
    assert is_zero(edge.load_term.subs(edge.beta, 0) - term)
    assert is_zero(edge.position_weight.subs(edge.beta, 0) - weight / lr)


def step_04_the_potential_is_positive_and_S_grows_with_the_learning_rate():
    for number in (weight, sympy.diff(term, lr)):
        assert counterexample(number, BELOW_THE_POLE) is None


def step_05_at_the_pole_a_coordinate_no_longer_contracts_by_itself():
    """alpha lr lam >= 2: E x_i^2 does not fall, whatever the others do."""
    grows = after - second
    assert is_zero(grows.subs(others, 0) - second * lr * lam * (alpha * lr * lam - 2))


def step_06_the_edge_of_an_isotropic_quadratic_is_attained():
    for laws, bound in ((edge.gaussian, edge.isotropic_edge), (edge.sphere, edge.sphere_isotropic_edge)):
        load = (d * term).subs(lam, L).subs(laws)
        assert is_zero(load.subs(lr, bound.value) - 1) and is_zero(isotropic(laws).subs(lr, bound.value) - 1)


def step_07_half_the_edge_is_the_best_rate():
    factor, best = isotropic(edge.gaussian), edge.isotropic_edge.value / 2
    assert is_zero(sympy.diff(factor, lr).subs(lr, best))
    assert is_zero(factor.subs(lr, best) - edge.best_isotropic_factor.value)


def step_08_on_the_sphere_every_single_step_contracts():
    """|x - lr L s z|^2 = |x|^2 - L lr s^2 (2 - L lr |z|^2), s = z^T x, |z|^2 = d; n = 1."""
    s, x2, z2 = sympy.symbols("s x2 z2", real=True)
    grown = x2 - 2 * lr * L * s * s + lr**2 * L**2 * s**2 * z2
    assert is_zero(grown - x2 + L * lr * s**2 * (2 - L * lr * z2))
    assert is_zero((2 - L * lr * z2).subs(z2, d).subs(lr, edge.sphere_isotropic_edge.value.subs(n, 1)))


def step_09_for_any_spectrum_the_load_is_at_most_that_of_the_largest_eigenvalue():
    """lam / (2 - alpha lr lam) <= lam / (2 - alpha lr L), so S <= gamma lr tr H / (2 - alpha lr L), which is 1 at the lower bound."""
    domain = (lr > 0, lam > 0, lam <= L, alpha > 0, alpha * lr * L < 2)
    assert counterexample(lam / (2 - alpha * lr * L) - weight, domain) is None
    cap = (gamma * lr * tr_H / (2 - alpha * lr * L)).subs(edge.gaussian)
    assert is_zero(cap.subs(lr, edge.least_edge.value) - 1)


def step_10_and_at_least_half_the_trace():
    assert counterexample(weight - lam / 2, BELOW_THE_POLE) is None
    assert is_zero((gamma * lr * tr_H / 2).subs(edge.gaussian).subs(lr, edge.largest_edge.value) - 1)


def step_11_the_lower_bound_is_attained_by_r_equal_eigenvalues_and_zeros():
    load = (r * term).subs(lam, L).subs(edge.gaussian)
    assert is_zero(load.subs(lr, edge.least_edge.value.subs(tr_H, r * L)) - 1)


def step_12_no_smaller_upper_and_no_larger_lower_bound():
    """2000 equal eigenvalues come within 1/1000 of 2 n / tr H."""
    edge_of = edge.isotropic_edge.value.subs({n: 1, L: 1, d: 2000})
    assert FACTOR * edge.largest_edge.value.subs({n: 1, tr_H: 2000}) < edge_of == sympy.Rational(1, 1001)
    assert edge.least_edge.value.subs({n: 1, L: 1, tr_H: 2000}) / FACTOR > edge_of


def step_13_the_fourth_moments_dropped_gradient_descent_would_be_told_to_go_d_times_as_far():
    """With ghat = g (alpha = 1, gamma = 0) the edge is 2/L; a Gaussian step of that length multiplies E |x|^2 by 1 + 4 (d + 1)."""
    assert is_zero(isotropic({alpha: 1, gamma: 0}).subs(lr, 2 / L) - 1)
    assert is_zero(isotropic(edge.gaussian).subs(n, 1).subs(lr, 2 / L) - 1 - 4 * (d + 1))


def step_14_beyond_the_edge_the_potential_grows_at_every_step():
    load = (d * term).subs(lam, L).subs(edge.gaussian).subs({n: 1, d: 3, L: 1})
    assert load.subs(lr, sympy.Rational(2, 5)) == 1 < load.subs(lr, sympy.Rational(9, 20))
    assert isotropic(edge.gaussian).subs({n: 1, d: 3, L: 1}).subs(lr, sympy.Rational(9, 20)) > 1
