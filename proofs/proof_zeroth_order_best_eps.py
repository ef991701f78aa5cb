"""Theorem. Let the losses carry independent errors of variance s^2, f a polynomial of degree <= 4, c = |grad(Laplacian f)| > 0, and ghat
the central two-point gradient with n Gaussian directions. What eps adds to E |ghat - grad f|^2 besides the scatter of exact slopes is, at
least to leading order, bias^2 + noise = eps^4 c^2 / 4 + d s^2 / (2 n eps^2), and

    eps^4 c^2 / 4 + d s^2 / (2 n eps^2)  >=  (3/4) (c d s^2 / n)^(2/3),       equality exactly at eps^6 = d s^2 / (n c^2).

So eps grows like the sixth root of d s^2: from float32 to bfloat16 losses (s 2^16 times as large) eps grows by 2^(16/3) = 40, and for the
same model in 1000 times the dimension by 3.2.

Source:    derived; the noise is noise_excess of sandbox.theory.zeroth_order, the bias quartic_bias of zeroth_order_bias
Bounds:    least_error, best_eps of sandbox.theory.zeroth_order_bias
Not here:  the part of E |ghat|^2 in which eps^2 T[z, z, z] enters squared or times z^T g: of order eps^2 c |g|, it belongs to the scatter,
           which is not changed by a better eps as long as eps^2 c is small against |g|.
"""

import sympy

from sandbox.theory import zeroth_order as moments
from sandbox.theory import zeroth_order_bias as zo
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.zeroth_order import n
from sandbox.theory.zeroth_order_pairings import d

u, best = sympy.symbols("u best", positive=True)  # eps^2, and its best value
c, s2 = zo.curvature_slope, zo.loss_variance
error = u**2 * c**2 / 4 + d * s2 / (2 * n * u)
at_best = {s2: best**3 * n * c**2 / d}  # best^3 = d s^2 / (n c^2)


CERTIFICATES = (
    Certificate(
        name="best_eps_is_best",
        claim=(error - error.subs(u, best)).subs(at_best),
        squares=((c**2 * (u + 2 * best) / (4 * u), u - best),),
    ),
    Identity("best_eps_least_error", error.subs(u, best).subs(at_best), 3 * c**2 * best**2 / 4),
)


def step_1_the_two_parts_are_those_of_bias_and_noise():
    noise = moments.noise_excess.value.subs(moments.slope_variance, s2 / (2 * u))
    assert is_zero(zo.quartic_bias.value.subs(moments.eps**2, u) ** 2 + noise - error)


def step_2_the_excess_over_the_best_is_a_square_times_something_positive():
    excess = (error - error.subs(u, best)).subs(at_best)
    assert is_zero(excess - c**2 * (u - best) ** 2 * (u + 2 * best) / (4 * u))
    assert counterexample((u + 2 * best) / u, ()) is None


def step_3_it_is_attained_at_the_sixth_root():
    assert is_zero((zo.best_eps.value**6 - best**3).subs(at_best))
    assert is_zero((zo.least_error.value**3 - error.subs(u, best) ** 3).subs(at_best))


def step_4_no_smaller_error_is_reached():
    at = {c: 2, d: 8, n: 1, s2: sympy.Rational(1, 2)}  # best: u = 1, error 1 + 2
    assert sympy.Rational(999, 1000) * zo.least_error.value.subs(at) < error.subs(at).subs(u, 1) == 3


def step_5_with_the_noise_dropped_no_eps_is_best():
    assert counterexample((error - u**2 * c**2 / 16).subs(s2, 0), (c > 0,)) is None  # at eps / sqrt 2 it is a quarter, and so on
    assert is_zero(error.subs(s2, 0).subs(u, u / 2) - error.subs(s2, 0) / 4)


def step_6_beyond_central_differences_the_noise_is_four_times_as_large():
    """A one-sided slope has 2 s^2 / eps^2, so the best eps grows by 4^(1/6), and the formula of the bound is 2^(1/3) too small."""
    one_sided = u**2 * c**2 / 4 + 2 * d * s2 / (n * u)
    assert is_zero(one_sided.subs(s2, s2 / 4) - error)


def step_7_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
