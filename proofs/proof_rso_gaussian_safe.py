"""Theorem. Let the law of P be unchanged by rotations of R^m, E P P^T = I, x_i the eigenvalues of (r/m) P^T P, share = E mean_i
t x_i / (1 + t x_i), and f any L-smooth function. (i) If F(B) <= inf F + eps, then for every t > 0, on average over P,

    |grad f(W)|^2  <=  2 / share * Lhat (f(W) - E f(W+) + eps),

with equality on L |W|^2 / 2 for B = 0 as long as that is eps-accurate. Stiefel: 2 (1+t) / t; every other law is worse. Gaussian P,
m -> oo, r/m = c: a closed form, 6.34 at t = 1/2, c = 1/4. So a Gaussian basis keeps a guarantee, 6 % above
the 6 of Stiefel.
(ii) One gradient step of length a / Lhat from B = 0, Gaussian P, every m and r and a (m + r + 1) < 2 m:

    |grad f(W)|^2  <=  2 / (a (2 - a (m + r + 1) / m)) * Lhat (f(W) - E f(W+)),       at best 2 (1 + (r + 1) / m), Stiefel 2,

with equality on L |W|^2 / 2.

Source:    derived
Bounds:    any_law, safe_constant, one_step of sandbox.theory.rso_gaussian
Not here:  the descent lemma; E (u_i^T g)^2 = |g|^2 / m for the left singular vectors u_i of P, by invariance; moments of chi-square, E
           |u|^4 = 1 + 2 / r for u ~ N(0, I / r); the Marchenko-Pastur law (proof_rso_gaussian_isotropic.py); that rounds add up.

Letters: g = |grad f|; p = u_i^T grad f; b = the coefficient along the i-th right singular vector; sigma2 = (m/r) x its singular value^2.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.rso import inexact_constant, m, r, t
from sandbox.theory.rso_gaussian import any_law, c, one_step, safe_constant, share
from sandbox.theory.rso_inner_steps import one_step as stiefel_step
from sandbox.theory.rso_inner_steps import step

w, z, x, p, g, h0, h1, eps, fall = sympy.symbols("w z x p g h0 h1 eps fall", real=True)
half = sympy.Rational(1, 2)
c_of_z = z * (1 + w - z) / (1 - z)  # as in proof_rso_gaussian_isotropic.py, where S = 1 / (1 + w - z)
q = 1 + c_of_z + w - 2 * z
at_z = {w: 2, z: sympy.Rational(1, 5)}  # t = 1/2, c = 7/10
sigma2 = m / r * x
eta = t * r / m  # L = 1

accurate = Certificate(
    name="rso_gaussian_any_law",
    claim=any_law.value * (h0 - h1 + eps) - g**2,
    hypotheses=((any_law.value, h1 - (h0 - share * g**2 / 2) - eps),),  # E h(B) <= E F(B) <= E inf F + eps, Lhat = 1
    vectors=(g,),
    domain=(share > 0, share < 1),
)
plain = Certificate(
    name="rso_gaussian_one_step",
    claim=one_step.value * fall - g**2,
    hypotheses=((one_step.value, step * g**2 - step**2 * (m + r + 1) / m * g**2 / 2 - fall),),
    vectors=(g,),
    domain=(step > 0, r >= 1, r <= m, step * (m + r + 1) < 2 * m),
)
tangent = Certificate(
    name="rso_gaussian_share",
    claim=t / (1 + t) - t * x / (1 + t * x) + (x - 1) * t / (1 + t) ** 2,
    squares=((t**2 / ((1 + t) ** 2 * (1 + t * x)), x - 1),),
    domain=(t > 0, x >= 0),
)
CERTIFICATES = (accurate, plain, tangent)


def in_z(value: sympy.Expr) -> sympy.Expr:
    value = value.subs(t, 1 / w).subs(c, c_of_z)
    roots = [node for node in value.atoms(sympy.Pow) if node.exp in (half, -half)]
    assert roots and all(is_zero(node.base - q**2) for node in roots)
    return value.subs({node: q ** (2 * node.exp) for node in roots})


def step_01_along_one_direction_the_infimum_of_F_lies_below_its_upper_bound():
    """h <= sqrt(sigma2) p b + sigma2 b^2 / 2 along b, so inf F <= -p^2 t x / (2 (1 + t x)), in units of L = 1."""
    b = sympy.Symbol("b", real=True)
    root = sympy.Symbol("root", positive=True)  # sqrt(sigma2)
    above = root * p * b + root**2 * b**2 / 2 + b**2 / (2 * eta)
    least = above.subs(b, sympy.solve(sympy.diff(above, b), b)[0])
    assert is_zero((least + p**2 * t * x / (2 * (1 + t * x))).subs(root**2, sigma2).subs(x, r / m * root**2))


def step_02_the_average_over_directions_gives_the_share():
    """E p^2 = g^2 / m for r directions: r/m share g^2 / 2 in units of L, share g^2 / 2 in units of Lhat."""
    accurate.check()


def step_03_the_stiefel_law_is_the_best():
    tangent.check()
    assert is_zero(any_law.value.subs(share, t / (1 + t)) - inexact_constant.value)


def step_04_the_share_of_a_gaussian_basis():
    """1 - w S(w) with S = 1 / (1 + w - z)."""
    gaussian = 1 - w / (1 + w - z)
    assert is_zero(in_z(safe_constant.value) - any_law.value.subs(share, gaussian))
    assert counterexample(1 / (1 + w) - gaussian, (w > 0, z > 0, z < 1)) is None


def step_05_it_is_attained_by_standing_still_while_that_is_accurate():
    """On L |W|^2 / 2 the upper bound of step 1 is h itself: the gap of B = 0 is eps, and f does not fall."""
    standing = {h1: h0, eps: share * g**2 / 2}
    assert is_zero(accurate.claim.subs(standing))


def step_06_no_smaller_constant_will_do():
    gap = (1 - w / (1 + w - z)).subs(at_z) / 2
    assert sympy.Rational(999, 1000) * in_z(safe_constant.value).subs(at_z) * gap < 1 <= in_z(safe_constant.value).subs(at_z) * gap


def step_07_the_fourth_moment_of_a_gaussian_basis():
    """|P P^T v|^2 = |u|^4 + |P_perp u|^2 for u = P^T v ~ N(0, I / r), |v| = 1, and m - 1 independent rows P_perp."""
    second, fourth = sympy.Integer(1), (r * (r + 2)) / r**2  # E |u|^2, E |u|^4
    assert is_zero(fourth + (m - 1) / r * second - (m + r + 1) / r)


def step_08_one_step_pays_for_its_gradient():
    """E h(-alpha P^T g) <= h(0) - alpha g^2 + L alpha^2 (m + r + 1) / (2 r) g^2, alpha = step r / m."""
    alpha = step * r / m
    fallen = alpha * g**2 - alpha**2 * (m + r + 1) / (2 * r) * g**2
    assert is_zero(m / r * fallen - (step * g**2 - step**2 * (m + r + 1) / m * g**2 / 2))
    plain.check()


def step_09_one_step_is_attained_on_the_isotropic_quadratic_and_no_smaller_one_holds():
    """There the descent lemma is an equality."""
    numbers = {step: half, m: 8, r: 2}
    fallen = (step - step**2 * (m + r + 1) / m / 2).subs(numbers)
    assert one_step.value.subs(numbers) * fallen == 1
    assert sympy.Rational(999, 1000) * one_step.value.subs(numbers) * fallen < 1


def step_10_with_the_extra_moment_dropped_it_fails():
    numbers = {step: half, m: 8, r: 2}
    fallen = (step - step**2 * (m + r + 1) / m / 2).subs(numbers)
    assert stiefel_step.value.subs(numbers) * fallen < 1


def step_11_the_best_step():
    longest = m / (m + r + 1)
    assert is_zero(one_step.value.subs(step, longest) - 2 * (1 + (r + 1) / m))
    assert counterexample(sympy.factor(one_step.value - 2 * (m + r + 1) / m), plain.domain) is None


def step_12_beyond_twice_that_step_f_may_rise():
    numbers = {step: 2, m: 8, r: 2}
    assert (step - step**2 * (m + r + 1) / m / 2).subs(numbers) < 0
