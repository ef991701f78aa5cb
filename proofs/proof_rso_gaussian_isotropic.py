"""Theorem. Let the law of the m x r matrix P be unchanged by rotations of its rows' space R^m, E P P^T = I, and x_i the eigenvalues of
(r/m) P^T P. On f = L |W|^2 / 2 one exact round lowers f on average by |grad f|^2 / (2 L m) E sum_i (1 - (1 + t x_i)^-2). By Jensen this
is largest where all x_i = 1: the Stiefel law is the best of these laws, the only one for which the constant is C(t), and every other
violates it. For Gaussian P (entries N(0, 1/r)) and m -> oo at r/m = c the constant is C(t) times

    factor(t, c) = (1 - (1+t)^-2) / (1 - E (1 + t x)^-2) > 1,       1.070 at t = 1/2, c = 1/4,

in closed form; and P^T P <= m / (r t), by which a subproblem stays convex whatever f, holds up to c = (sqrt(1/t) - 1)^2.

Source:    derived
Bounds:    factor, constant_on_isotropic, stable_aspect of sandbox.theory.rso_gaussian
Not here:  the Marchenko-Pastur law: that S(w) = E 1 / (x + w) obeys c w S^2 + (1 - c + w) S = 1, and that the extreme eigenvalues
           tend to the ends of its support; finite m; that no other f is worse (a conjecture).

Letters: w = 1/t; z in (0, 1) with c = z (1 + w - z) / (1 - z), in which the square root of the law is rational: q = 1 + c + w - 2 z.
"""

import sympy

from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.rso import constant, m, r, t
from sandbox.theory.rso_gaussian import c, constant_on_isotropic, factor, stable_aspect

w, z, x, g, root_c = sympy.symbols("w z x g root_c", real=True)
half = sympy.Rational(1, 2)
c_of_z = z * (1 + w - z) / (1 - z)
q = 1 + c_of_z + w - 2 * z
S = 1 / (1 + w - z)
slope_of_z = -z / q  # dz / dw at fixed c
second = w**2 * (1 - slope_of_z) * S**2  # E (1 + t x)^-2 = -w^2 S'(w)
DOMAIN = (w > 0, z > 0, z < 1)
at_z = {w: 2, z: sympy.Rational(1, 5)}  # t = 1/2, c = 7/10


def gain(eigenvalue: sympy.Expr) -> sympy.Expr:
    return 1 - (1 + t * eigenvalue) ** -2


def in_z(value: sympy.Expr) -> sympy.Expr:
    """A formula of t and c with its square root replaced by q, whose square it is the root of."""
    value = value.subs(t, 1 / w).subs(c, c_of_z)
    roots = [node for node in value.atoms(sympy.Pow) if node.exp in (half, -half)]
    assert roots and all(is_zero(node.base - q**2) for node in roots)
    return value.subs({node: q ** (2 * node.exp) for node in roots})


jensen = Certificate(
    name="rso_gaussian_jensen",
    claim=gain(1) - gain(x) + (x - 1) * 2 * t / (1 + t) ** 3,  # the tangent at 1 lies above
    squares=((t**2 * (2 * t * x + t + 3) / ((1 + t) ** 3 * (1 + t * x) ** 2), x - 1),),
    domain=(t > 0, x >= 0),
)
stieltjes = Identity("rso_gaussian_stieltjes", c_of_z * w * S**2 + (1 - c_of_z + w) * S, sympy.Integer(1))
CERTIFICATES = (jensen, stieltjes)


def step_01_along_a_singular_direction_a_round_shrinks_by_its_own_eigenvalue():
    """With the singular value sigma, sigma^2 = (m/r) x, and L = 1: what is left of the component W is W / (1 + t x)."""
    W, b = sympy.symbols("W b", real=True)
    sigma = sympy.Symbol("sigma", positive=True)
    eta = t * r / m
    F = (W + sigma * b) ** 2 / 2 + b**2 / (2 * eta)
    left = W + sigma * sympy.solve(sympy.diff(F, b), b)[0]
    assert is_zero((left - W / (1 + t * x)).subs(x, r / m * sigma**2))


def step_02_the_best_law_has_all_eigenvalues_equal():
    jensen.check()
    assert counterexample(jensen.squares[0][0] - t**2 / (1 + t) ** 3 / (1 + t * x) ** 2, jensen.domain) is None  # > 0 unless x = 1


def step_03_the_transform_in_rational_form():
    stieltjes.check()
    assert is_zero(q**2 - (1 - c_of_z + w) ** 2 - 4 * c_of_z * w)
    assert is_zero(sympy.diff(c_of_z, z) * slope_of_z + sympy.diff(c_of_z, w))
    assert counterexample(q, DOMAIN) is None
    assert counterexample(sympy.factor(sympy.diff(c_of_z, z)), DOMAIN) is None  # one z for every c


def step_04_its_first_moments_are_those_of_gaussian_matrices():
    """w S = 1 - E x / w + E x^2 / w^2 - ...: 1 and 1 + c; E tr((r/m) P^T P)^2 / r = (m + r + 1) / m tends to 1 + c."""
    e = sympy.Symbol("e", positive=True)  # 1 / w
    root = sympy.sqrt((1 - c + 1 / e) ** 2 + 4 * c / e)
    series = sympy.series(sympy.expand(sympy.sqrt(((1 - c) * e + 1) ** 2 + 4 * c * e)), e, 0, 4).removeO()
    assert is_zero((root * e) ** 2 - (((1 - c) * e + 1) ** 2 + 4 * c * e))
    moments = sympy.expand((series - ((1 - c) * e + 1)) / (2 * c * e))
    assert [sympy.expand(moments.coeff(e, k)) for k in range(3)] == [1, -1, sympy.expand(1 + c)]


def step_05_the_factor_in_rational_form():
    assert is_zero(in_z(factor.value) - (1 - (1 + 1 / w) ** -2) / (1 - second))
    assert is_zero(in_z(constant_on_isotropic.value) - constant.subs(t, 1 / w) * in_z(factor.value))


def step_06_the_constant_is_attained_on_the_isotropic_quadratic():
    decrease = r / m * g**2 / 2 * (1 - second)  # with L = 1 and r of m directions
    assert is_zero(in_z(constant_on_isotropic.value) * m / r * decrease - g**2)


def step_07_no_smaller_factor_will_do():
    exact = ((1 - (1 + 1 / w) ** -2) / (1 - second)).subs(at_z)
    number = in_z(factor.value).subs(at_z)
    assert sympy.Rational(999, 1000) * number < exact <= number


def step_08_a_gaussian_basis_is_worse_at_every_aspect():
    assert counterexample(second - w**2 / (1 + w) ** 2, DOMAIN) is None
    assert second.subs(at_z) > sympy.Rational(4, 9)


def step_09_with_orthogonality_dropped_two_eigenvalues_already_break_it():
    """x = 1/2 or 3/2 with equal chance: E x = 1, and at t = 1/2 the constant is 18/5 * 6125/5697 = 3.87."""
    share = (gain(half) + gain(3 * half)).subs(t, half) / 2
    assert constant.subs(t, half) * share / 2 == sympy.Rational(5697, 6125)
    assert is_zero(constant * gain(1) / 2 - 1)


def step_10_the_support_ends_where_the_root_vanishes():
    at_edge = (1 - root_c**2 - x) ** 2 - 4 * root_c**2 * x
    for sign in (1, -1):
        assert is_zero(at_edge.subs(x, (1 + sign * root_c) ** 2))


def step_11_the_stable_aspect_is_attained_and_beyond_it_convexity_goes():
    """t x_max = 1 at the bound, with root_c = sqrt(1/t) - 1; a larger aspect has t x_max > 1, so curvature -Lhat x_max wins."""
    root = sympy.Symbol("root", positive=True)  # sqrt(1/t)
    assert is_zero((stable_aspect.value.subs(t, root**-2)) - (root - 1) ** 2)
    assert is_zero((1 + (root - 1)) ** 2 * root**-2 - 1)
    assert counterexample(root_c**2 + 2 * root_c + 1 - root**2, (root > 1, root_c > root - 1)) is None
    assert is_zero(stable_aspect.value.subs(t, half) - (3 - 2 * sympy.sqrt(2)))
