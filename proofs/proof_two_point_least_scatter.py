"""Theorem. Let z_1..z_n be random directions on R^d, of any joint law, P = (1/n) sum_j z_j z_j^T and E P = I, so that ghat = P g has the
mean g for every g. Then the mean over orthonormal g of E |ghat|^2 / |g|^2, which is E tr P^2 / d, is

    at least d/n                          equality: n orthogonal directions of length sqrt d, in a Haar or a random coordinate frame
    at least (d + n - 1)/n                if the directions are independent, of one law; equality exactly where |z|^2 = d always

A gradient exists whose own ratio is at least the mean, so no law does better for every gradient. One step lr on L |x|^2 / 2 multiplies
|x|^2, on average over starts, by at least 1 - n/d, and per direction the orthogonal ones gain: (1 - n/d) <= (1 - 1/d)^n, while
for independent ones (1 - n/(d+n-1)) >= (1 - 1/d)^n, and (1 - n/(d+n+1)) >= (1 - 1/(d+2))^n for Gaussian ones. So "one direction per
step is the best use of forward passes" (MeZO) is a property of independent directions, and false for orthogonal ones.

Source:    derived; MeZO, https://arxiv.org/abs/2305.17333, section 2 for n = 1 (read); the case of one matrix of rank n is also
           in proofs/proof_projection_minimum_variance.py
Bounds:    least_scatter, least_independent_scatter of sandbox.theory.zeroth_order
Not here:  that z_i and z_j are independent, so E (z_i^T z_j)^2 = tr I = d; E (Y - E Y)^2 >= 0. The inductions over n of steps 6 and
           7 are among the certificates.
"""

import sympy

from sandbox.theory import zeroth_order as zo
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.induction import Induction
from sandbox.theory.zeroth_order import d, n

level, value = sympy.symbols("level value", real=True)
square, F = sympy.symbols("square F", real=True)  # |z|^2, and a factor per direction
FACTOR = sympy.Rational(999, 1000)
at = {d: 5, n: 2}


def independent(fourth: sympy.Expr) -> sympy.Expr:
    """E tr P^2 / d: n terms |z|^4 and n (n - 1) terms (z_i^T z_j)^2, whose mean is d."""
    return (n * fourth + n * (n - 1) * d) / n**2 / d


y, u, power, count = sympy.symbols("y u power count", real=True)  # 1/d, a slope, a power with the exponent `count`
CERTIFICATES = (
    Certificate(
        name="scatter_of_one_eigenvalue", claim=value**2 - (2 * level * value - level**2), squares=((sympy.Integer(1), value - level),)
    ),
    Identity("scatter_of_a_flat_spectrum", (2 * level * d - n * level**2).subs(level, d / n) / d, zo.least_scatter.value),
    Certificate(name="scatter_fourth_moment", claim=square**2 - d**2 - 2 * d * (square - d), squares=((sympy.Integer(1), square - d),)),
    Identity("scatter_of_a_sphere", independent(d**2), zo.least_independent_scatter.value),
    Identity("scatter_of_gaussians", independent(d * (d + 2)), zo.gaussian_second_moment.value),
    Induction(  # 1 - n/d <= (1 - 1/d)^n
        "orthogonal_directions_gain",
        claim=power - (1 - count * y),
        index=count,
        sequences=((power, sympy.Integer(1), (1 - y) * power),),
        factor=1 - y,
        squares=((count, y),),
        domain=(y >= 0, y <= 1),
    ),
    Induction(  # (1 + u)^n >= 1 + n u, with u = 1/(d-1) on the sphere and 1/(d+1) for Gaussian z
        "independent_directions_lose",
        claim=power - (1 + count * u),
        index=count,
        sequences=((power, sympy.Integer(1), (1 + u) * power),),
        factor=1 + u,
        squares=((count, u),),
        domain=(u >= 0,),
    ),
)


def step_01_a_matrix_of_rank_n_and_trace_d_has_the_least_square_where_its_spectrum_is_flat():
    """For one eigenvalue: value^2 >= 2 level value - level^2; summed over n of them with sum value = d and level = d/n."""
    assert is_zero(value**2 - (2 * level * value - level**2) - (value - level) ** 2)
    assert is_zero((2 * level * d - n * level**2).subs(level, d / n) / d - zo.least_scatter.value)


def step_02_it_is_attained_by_orthogonal_directions_of_length_sqrt_d():
    """P is d/n times a projector of rank n: tr P^2 = n (d/n)^2, and E P = I by symmetry."""
    assert is_zero(n * (d / n) ** 2 / d - zo.least_scatter.value)


def step_03_no_smaller_ratio_is_attained_and_no_larger_bound_holds():
    assert zo.least_scatter.value.subs(at) / FACTOR > (n * (d / n) ** 2 / d).subs(at)
    assert zo.least_independent_scatter.value.subs(at) / FACTOR > independent(d**2).subs(at)


def step_04_independent_directions_need_their_fourth_moment_which_is_least_on_a_sphere():
    """E |z|^2 = d, so E |z|^4 - d^2 = E (|z|^2 - d)^2."""
    assert is_zero(square**2 - d**2 - 2 * d * (square - d) - (square - d) ** 2)
    assert is_zero(independent(d**2) - zo.least_independent_scatter.value)


def step_05_a_gaussian_does_not_reach_it():
    assert is_zero(independent(d * (d + 2)) - zo.gaussian_second_moment.value)
    assert counterexample(zo.gaussian_second_moment.value - zo.least_independent_scatter.value - 2 / n, zo.SIZES) is None


def step_06_orthogonal_directions_gain_by_being_many():
    """(1 - 1/d)^(n+1) - (1 - (n+1)/d) = (1 - 1/d) [(1 - 1/d)^n - (1 - n/d)] + n/d^2, so it stays >= 0; equality at n = 1."""
    after = (1 - 1 / d) * F - (1 - (n + 1) / d)
    assert is_zero(after - (1 - 1 / d) * (F - (1 - n / d)) - n / d**2)


def step_07_independent_ones_lose():
    """With F >= 1 + n u the next is (1 + u) F >= 1 + (n + 1) u; u = 1/(d-1) on the sphere and 1/(d+1) for Gaussian z."""
    u = sympy.Symbol("u", positive=True)
    assert is_zero((1 + u) * F - (1 + (n + 1) * u) - (1 + u) * (F - (1 + n * u)) - n * u**2)
    for slope, ratio in ((1 / (d - 1), zo.sphere_second_moment.value), (1 / (d + 1), zo.gaussian_second_moment.value)):
        assert is_zero(1 / (1 - 1 / ratio) - (1 + n * slope))  # 1 - n/(d+n-1), 1 - n/(d+n+1): the best factor of one step
        assert is_zero((1 - 1 / ratio.subs(n, 1)) * (1 + slope) - 1)


def step_08_the_mean_dropped_a_biased_matrix_can_be_smaller():
    """Half of P: the mean is I/2, and the ratio a quarter."""
    assert (n * (d / n) ** 2 / d / 4 - zo.least_scatter.value).subs(at) < 0


def step_09_beyond_n_equal_d_the_bound_would_fall_below_one():
    """But E |ghat|^2 >= |E ghat|^2 = |g|^2 always, so it says nothing there, and its domain ends."""
    assert counterexample(zo.least_scatter.value - 1, zo.least_scatter.requires) is None
    assert counterexample(zo.least_scatter.value - 1, (d >= 1, n >= 1)) is not None


def step_10_orthogonality_dropped_two_equal_directions_pay_twice():
    """z_1 = z_2 of length sqrt d: P has the one eigenvalue d, so tr P^2 / d = d, and not d/2."""
    assert is_zero(d**2 / d - zo.least_scatter.value.subs(n, 1)) and (d - d / 2).subs(d, 5) > 0


def step_11_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
