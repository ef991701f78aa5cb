"""Theorem. Let f be three times differentiable on R^d with an L2-Lipschitz Hessian, |D^3 f(x)[u, u, u]| <= L2 |u|^3, and let ghat be the
two-point gradient with Gaussian directions, central or one-sided. Then

    |E ghat - grad f|  <=  (eps^2 / 2) L2 A(d),        A(d) = d - 2 for d >= 10,     ((d+2)/3)^(3/2) for 1 <= d <= 10,

with equality for every d: a cubic L2/6 (3 |x|^2 x_1 - 4 x_1^3) where d >= 10. The classical bound has (d+4)^2 / 3 in place of A(d), which
is larger by the factor (d + 10)/3 + 12/(d - 2). For polynomials of degree <= 4 the bias is (eps^2/2) grad(Laplacian f), on the sphere
d/(d+2) times that; for quadratics it is 0.

Source:    derived; classical: Nesterov & Spokoiny (2017), recalled
Bounds:    bias, low_dimensional_bias, quartic_bias, sphere_quartic_bias of sandbox.theory.zeroth_order_bias
Not here:  that exponentials are enough for the heat equation (Fourier); Stein's identity E f(w + eps z) z = eps grad E f(w + eps z);
           that |D^3 f[u, u, u]| <= L2 |u|^3 is what an L2-Lipschitz Hessian gives (Banach 1938, recalled); Taylor for degree <= 4.

Letters: v = a unit vector; c = the cosine of a point to v; T_v = T[v, v, v], S = sum of T[u_i, u_i, v] over an orthonormal basis u_i of
the complement of v, so T_v + S = v^T grad(Laplacian f), T = D^3 f; a = the coefficient of the cubic where d <= 10.
"""

import sympy

from sandbox.theory import zeroth_order_bias as zo
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.zeroth_order import eps
from sandbox.theory.zeroth_order_bias import L2
from sandbox.theory.zeroth_order_pairings import GAUSSIAN, RADEMACHER, SPHERE, Law, d

T_v, S, T_uuu, T_uvv, c, a, y = sympy.symbols("T_v S T_uuu T_uvv c a y", real=True)
x, rho = sympy.symbols("x rho", positive=True)  # the first coordinate, and the length of the others
half, third = sympy.Rational(1, 2), sympy.Rational(1, 3)
w_half, w_end = 8 * (d - 1) / 9, (d - 10) / 9  # weights of the points c = 1/2 and of v itself, the latter with a minus
scale = eps**2 / 2 * L2


def average(cosine: sympy.Expr) -> sympy.Expr:
    """Mean of T[p, p, p] over the points p = c v +- sqrt(1 - c^2) u_i."""
    square = 1 - cosine**2
    signs = [cosine**3 * T_v + 3 * cosine * square * S / (d - 1) + sign * (3 * cosine**2 * T_uvv + square * T_uuu) for sign in (1, -1)]
    return sum(signs) / 2  # the odd terms, up to a common root of 1 - c^2, cancel


def cubic(first: sympy.Expr, second: sympy.Expr) -> sympy.Expr:
    """first |x|^2 x_1 - second x_1^3, in x_1 and the length of the other coordinates."""
    return first * (x**2 + rho**2) * x - second * x**3


def slope_of_laplacian(f: sympy.Expr) -> sympy.Expr:
    """d/dx_1 of the Laplacian on R^d of a function of x_1 and rho."""
    laplacian = sympy.diff(f, x, 2) + sympy.diff(f, rho, 2) + (d - 2) * sympy.diff(f, rho) / rho
    return sympy.diff(laplacian, x)


slope = zo.curvature_slope  # T_v + S
CERTIFICATES = (
    Identity("bias_two_points", w_half * average(half) - w_end * T_v, T_v + S),
    Identity("bias_weights", scale * (w_half + w_end), zo.bias.value),
    Identity("bias_one_point", (average(c) / c**3).subs(d, 3 / c**2 - 2), T_v + S),
    Certificate(
        name="bias_chebyshev_cubic",
        claim=1 - (3 * c - 4 * c**3) ** 2,
        squares=((1 - c**2, 4 * c**2 - 1),),
        domain=(c**2 <= 1,),
    ),
    Certificate(
        name="bias_cubic_in_fewer_dimensions",
        claim=1 - y * (a - 4 * a**3 / 27 * y) ** 2,
        squares=((1 - a**2 * y / 9, 1 - 4 * a**2 * y / 9),),
        domain=(a**2 <= 9, y >= 0, y <= 1),
    ),
    Certificate(  # ((d+2)/3)^3 is the square of the bound of one point, (d-2)^2 that of two
        name="bias_one_point_is_larger",
        claim=((d + 2) * third) ** 3 - (d - 2) ** 2,
        squares=(((d - 1) / 27, d - 10),),
        domain=(d >= 1,),
    ),
    Identity("bias_against_the_classical_one", zo.classical_bias.value / zo.bias.value, (d + 10) / 3 + 12 / (d - 2)),
    Identity("bias_of_a_quartic", eps**2 / 6 * (3 * GAUSSIAN.pair * slope + GAUSSIAN.own * T_v), zo.quartic_bias.value),
    Identity("bias_of_a_quartic_on_the_sphere", eps**2 / 6 * (3 * SPHERE.pair * slope + SPHERE.own * T_v), zo.sphere_quartic_bias.value),
)


def step_01_the_mean_of_f_obeys_the_heat_equation_in_half_the_square_of_eps():
    """For f = exp(t x): E f(w + s z) = exp(t w + s^2 t^2 / 2), and d/ds of it is s times the mean of f''."""
    t, w, s = sympy.symbols("t w s", real=True)
    mean = sympy.exp(t * w + s**2 * t**2 / 2)
    assert is_zero(sympy.simplify(sympy.diff(mean, s) / mean - s * sympy.diff(mean, w, 2) / mean))
    assert is_zero(sympy.integrate(s, (s, 0, eps)) - eps**2 / 2)


def step_02_the_slope_of_the_laplacian_is_a_weighted_sum_of_cubes_in_two_ways():
    """Two points, whatever T is: w_half T(1/2) - w_end T(1) = T_v + S."""
    assert is_zero(w_half * average(half) - w_end * T_v - (T_v + S))


def step_03_the_weights_add_up_to_the_bound_and_are_nonnegative_from_10_dimensions_on():
    assert is_zero(scale * (w_half + w_end) - zo.bias.value)
    for weight in (w_half, w_end):
        assert counterexample(weight, zo.bias.requires) is None


def step_04_in_fewer_dimensions_one_point_is_enough():
    """c^2 = 3/(d+2), weight c^-3; written with c as the parameter, d = 3/c^2 - 2."""
    at = {d: 3 / c**2 - 2}
    assert is_zero((average(c) / c**3 - T_v - S).subs(at))
    assert is_zero((scale**2 / c**6 - zo.low_dimensional_bias.value**2).subs(at))
    assert zo.low_dimensional_bias.value.subs({eps: 1, L2: 1, d: 1}) > 0


def step_05_it_is_attained_by_a_chebyshev_cubic():
    """D^3 f[x, x, x] = 6 f(x) for a cubic form; on the sphere |3 c - 4 c^3| <= 1."""
    assert is_zero(1 - (3 * c - 4 * c**3) ** 2 - (1 - c**2) * (4 * c**2 - 1) ** 2)
    assert is_zero(eps**2 / 2 * slope_of_laplacian(L2 / 6 * cubic(3, 4)) - zo.bias.value)


def step_06_and_in_fewer_dimensions_by_another_cubic():
    """a^2 = 3 (d+2)/4, at most 9 where d <= 10: there a c - (4 a^3/27) c^3 stays in [-1, 1]; y = c^2."""
    at = {d: 4 * a**2 / 3 - 2}
    second = 4 * a**3 / 27
    rest = 1 - a**2 * y / 9
    assert is_zero(1 - y * (a - second * y) ** 2 - (1 - 4 * a**2 * y / 9) ** 2 * rest)
    assert is_zero((rest - (1 - (d + 2) * y / 12)).subs(at))
    assert counterexample(1 - (d + 2) * y / 12, (*zo.low_dimensional_bias.requires, y >= 0, y <= 1)) is None
    reached = eps**2 / 2 * slope_of_laplacian(L2 / 6 * cubic(a, second))
    assert is_zero((reached**2 - zo.low_dimensional_bias.value**2).subs(at))


def step_07_no_smaller_constant_will_do():
    at = {d: 13, eps: 1, L2: 1}
    reached = (slope_of_laplacian(cubic(3, 4)) / 12).subs(at)
    assert sympy.Rational(999, 1000) * zo.bias.value.subs(at) < reached == sympy.Rational(11, 2)


def step_08_with_the_point_v_dropped_the_bound_is_larger():
    """((d+2)/3)^3 - (d-2)^2 = (d-1) (d-10)^2 / 27."""
    assert is_zero(((d + 2) * third) ** 3 - (d - 2) ** 2 - (d - 1) * (d - 10) ** 2 / 27)


def step_09_beyond_their_domains_both_forms_fail():
    """Below 10 a weight turns negative, and d = 1 would promise a bias below 0; above 10 the cubic of step 6 leaves [-1, 1]."""
    assert counterexample(w_end, (d >= 1, d <= 10)) is not None
    assert zo.bias.value.subs({d: 1, eps: 1, L2: 1}) < 0 < zo.low_dimensional_bias.value.subs({d: 1, eps: 1, L2: 1})
    assert counterexample(1 - a**2 * y / 9, (a > 0, a <= 4, y >= 0, y <= 1)) is not None


def step_10_the_classical_bound_is_larger_by_a_third_of_the_dimension():
    ratio = zo.classical_bias.value / zo.bias.value
    assert is_zero(ratio - (d + 10) / 3 - 12 / (d - 2))


def step_11_on_polynomials_of_degree_four_the_bias_is_exact():
    """The slope is z^T g + (eps^2/6) T[z, z, z]; E T[z, z, z] z_v = 3 pair (T_v + S) + own T_v."""
    slope = zo.curvature_slope  # T_v + S

    def exact(law: Law) -> sympy.Expr:
        return eps**2 / 6 * (3 * law.pair * slope + law.own * T_v)

    assert is_zero(exact(GAUSSIAN) - zo.quartic_bias.value)
    assert is_zero(exact(SPHERE) - zo.sphere_quartic_bias.value)
    assert is_zero(exact(RADEMACHER) - zo.quartic_bias.value + eps**2 / 3 * T_v)  # signs see less of their own axes


def step_12_on_x_cubed_it_is_3_eps_squared():
    """f''' = 6 = L2: all of A(1) = 1."""
    assert zo.low_dimensional_bias.value.subs({d: 1, L2: 6}) == 3 * eps**2 == zo.quartic_bias.value.subs(zo.curvature_slope, 6)


def step_13_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
