"""Theorem. Let H be symmetric positive definite, z and y unit eigenvectors at the two ends L and mu of its spectrum.

(a) Where z_i^2 = y_i^2 for every i, kappa(D H) >= kappa(H) for every diagonal D > 0: in such a block no preconditioner with
    one number per coordinate, Adam's with any history of gradients included, conditions better than one number for all.
(b) A 2 x 2 block with correlation r, and d_i = D_i H_ii:  kappa + 1/kappa + 2 = (d_1 + d_2)^2 / (d_1 d_2 (1 - r^2)). Equal
    diagonals are case (a). Adam frozen at its first gradient is worse by a factor without bound.

Source:    (a) derived; the argument of Forsythe & Straus (1955, recalled), whose case is an equal diagonal with bipartite
           couplings, H = [[I, B], [B', I]]; (b) derived
Bounds:    two_by_two, scalar_is_best of sandbox.theory.adam_mini_frozen
Not here:  that lam_max / lam_min of D^1/2 H D^1/2 is at least the ratio of two quotients v' H v / v' D^-1 v.
"""

import sympy

from sandbox.theory.adam_mini_frozen import d_1, d_2, kappa, r, scalar_is_best, two_by_two
from sandbox.theory.certificate import Certificate, is_zero

L, mu, S, h = sympy.symbols("L mu S h", real=True)
S2 = two_by_two.value
CERTIFICATES = (
    Certificate(  # kappa + 1/kappa + 2 is at least that of equal d_1 = d_2
        name="two_by_two_best_scalar",
        claim=S2 - 4 / (1 - r**2),
        squares=((1 / (d_1 * d_2 * (1 - r**2)), d_1 - d_2),),
        domain=two_by_two.requires,
    ),
)


def step_01_equal_squares_give_the_two_eigenvectors_one_denominator():
    """v' D^-1 v = sum v_i^2 / D_i = S for z and for y, so the ratio of the quotients is L / mu = kappa(H)."""
    quotients = L / S, mu / S
    assert is_zero(quotients[0] / quotients[1] - scalar_is_best.value.subs(kappa, L / mu))


def step_02_a_bipartite_block_is_such_a_case():
    """H = [[I, B], [B', I]]: (u, v) with eigenvalue 1 + sigma gives (u, -v) with 1 - sigma; here B = 1 x 1 and 1 x 2."""
    b1, b2 = sympy.symbols("b1 b2", real=True)
    H = sympy.Matrix([[1, b1, b2], [b1, 1, 0], [b2, 0, 1]])
    sigma = sympy.Symbol("sigma", positive=True)  # sigma^2 = b1^2 + b2^2
    z, y = sympy.Matrix([sigma, b1, b2]), sympy.Matrix([sigma, -b1, -b2])
    for vector, value in ((z, 1 + sigma), (y, 1 - sigma)):
        rest = (H * vector - value * vector).subs(sigma**2, b1**2 + b2**2)
        assert all(is_zero(entry.expand().subs(sigma**2, b1**2 + b2**2)) for entry in rest)


def step_03_in_two_dimensions_trace_and_determinant_say_it():
    root = r * sympy.sqrt(d_1) * sympy.sqrt(d_2)
    A = sympy.Matrix([[d_1, root], [root, d_2]])
    assert is_zero(A.trace() ** 2 / A.det() - S2)
    assert is_zero((L + mu) ** 2 / (L * mu) - (L / mu + mu / L + 2))


def step_04_the_certificate():
    CERTIFICATES[0].check()


def step_05_it_is_attained_by_one_number_for_both_coordinates():
    assert is_zero(S2.subs({d_1: h, d_2: h}) - 4 / (1 - r**2))
    largest = (1 + r) / (1 - r)  # kappa of [[1, r], [r, 1]], r >= 0
    assert is_zero(largest + 1 / largest + 2 - 4 / (1 - r**2))


def step_06_no_larger_bound_will_do_and_no_smaller_identity():
    """D = I attains kappa(H); at d = (1, 4), r = 1/2 the identity gives 25/3."""
    H = sympy.Matrix([[1, sympy.Rational(1, 2)], [sympy.Rational(1, 2), 1]])
    assert max(H.eigenvals()) / min(H.eigenvals()) == 3
    assert sympy.Rational(1001, 1000) * scalar_is_best.value.subs(kappa, 3) > 3
    D_H = sympy.diag(1, 4) * H
    assert D_H.trace() ** 2 / D_H.det() == sympy.Rational(25, 3) == S2.subs({d_1: 1, d_2: 4, r: sympy.Rational(1, 2)})


def step_07_adam_s_first_step_is_worse_without_bound():
    """H = [[1, r], [r, 1]], start (1, -r + h): g = (1 - r^2 + r h, h), so d_1 / d_2 = h / (1 - r^2 + r h) -> 0."""
    x = sympy.Matrix([1, -r + h])
    g = sympy.Matrix([[1, r], [r, 1]]) * x
    assert is_zero(g[0] - (1 - r**2 + r * h)) and is_zero(g[1] - h)
    under_adam = S2.subs({d_1: 1 / g[0], d_2: 1 / g[1]})
    assert is_zero(under_adam - (g[0] + g[1]) ** 2 / (g[0] * g[1] * (1 - r**2)))
    assert sympy.limit(under_adam.subs(r, sympy.Rational(1, 2)), h, 0, "+") == sympy.oo


def step_08_equal_squares_cannot_be_dropped():
    """d log lam = sum_i v_i^2 d log D_i, so where z_i^2 and y_i^2 differ some D does better: H = diag(1, 2), D = diag(2, 1)."""
    D_H = sympy.diag(2, 1) * sympy.diag(1, 2)
    assert D_H == 2 * sympy.eye(2)  # kappa 1, and kappa(H) = 2


def step_09_beyond_two_dimensions_an_equal_diagonal_is_not_enough():
    """Three couplings of one sign are not bipartite: diag(8, 8, 3) H has the eigenvalues 60, 8, 8, and kappa(H) >= 26/3 > 15/2."""
    H = sympy.Matrix([[4, 3, 2], [3, 4, 2], [2, 2, 4]])
    assert (sympy.diag(8, 8, 3) * H).eigenvals() == {60: 1, 8: 2}
    low, high = sympy.Matrix([1, -1, 0]), sympy.Matrix([1, 1, 1])
    quotients = [sympy.Rational((v.T * H * v)[0], (v.T * v)[0]) for v in (low, high)]
    assert quotients == [1, sympy.Rational(26, 3)] and quotients[1] / quotients[0] > sympy.Rational(60, 8)
