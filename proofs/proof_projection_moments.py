"""Theorem. Let S = P P^T with P (m, r), Q = the m x r matrix of uniformly distributed orthonormal columns. For every m x m
matrix H, symmetric or not,

    P = sqrt(m/r) Q:         E S H S = m / (r (m-1)(m+2)) ((m r + r - 2) H + (m - r) (H^T + tr(H) I)),   m >= 2
    P_ij ~ N(0, 1/r) iid:    E S H S = H + (H^T + tr(H) I) / r

Hence E S^2 = (m/r) I and (m+r+1)/r I; E|P^T g|^4 / |g|^4 = m (r+2) / (r (m+2)) and (r+2)/r; E|S g - g|^2 / |g|^2 = m/r - 1
and (m+1)/r; and for H >= 0 with largest eigenvalue L the largest eigenvalue of E S H S is m/(r(m-1)(m+2)) ((mr+m-2) L +
(m-r) tr H) and ((r+1) L + tr H) / r. Both laws have E S = I.

Source:    derived by Wick pairings and Weingarten's calculus; the Haar error is in https://arxiv.org/abs/2602.23111
Bounds:    form_haar, form_gaussian, square_orthogonal, square_gaussian, fourth_haar, fourth_gaussian, error_orthogonal,
           error_gaussian, smoothness_gaussian of sandbox.theory.projections; also haar_smoothness of sandbox.theory.rso
Not here:  Wick's theorem; that moments of Q are sums over two pairings weighted by the inverse of the Gram matrix
           (Collins & Sniady 2006); the moments of Beta and chi-square variables; that a cubature rule of degree 4 is one.
           Beyond: every H, every m >= 2 and r is covered; m = 1 is the number 1 / r times |P|^2.
"""

from itertools import product

import sympy

from sandbox.theory import projections as law
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.projections import L, m, r, tr_yx, trace_H, xHy, yHx
from sandbox.theory.rso import haar_smoothness

PAIRINGS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))
# rows of P_ak P_ck H_cd P_dl P_bl in the order a, c, d, b: what the Kronecker deltas of a pairing leave of H_cd y_a x_b
ROWS = (yHx, xHy, tr_yx)
COLUMNS = PAIRINGS[0]  # k, k, l, l


def loops(p, q) -> int:
    """Components of the union of two pairings of four points: 2 where they are the same, else 1."""
    return 2 if p == q else 1


def weingarten() -> sympy.Matrix:
    return sympy.Matrix(3, 3, lambda i, j: m ** loops(PAIRINGS[i], PAIRINGS[j])).inv().applyfunc(sympy.factor)


def derived(kind: str) -> sympy.Expr:
    """E y^T S H S x by pairings."""
    columns = sympy.Matrix([r ** loops(COLUMNS, q) for q in PAIRINGS])
    if kind == "haar":
        return (m / r) ** 2 * sum(weight * row for weight, row in zip(weingarten() * columns, ROWS, strict=True))
    return sum(count * row for count, row in zip(columns, ROWS, strict=True)) / r**2


CERTIFICATES = (
    Identity("haar_form", law.form_haar.value, derived("haar")),
    Identity("gaussian_form", law.form_gaussian.value, derived("gaussian")),
)


def coefficients(form: sympy.Expr) -> tuple[sympy.Expr, ...]:
    return tuple(form.expand().coeff(row) for row in ROWS)


def average(samples, H: sympy.Matrix) -> sympy.Matrix:
    return sum((weight * S * H * S for weight, S in samples), sympy.zeros(*H.shape))


def predicted(form: sympy.Expr, H: sympy.Matrix, sizes: dict) -> sympy.Matrix:
    a, b, c = (one.subs(sizes) for one in coefficients(form))
    return a * H + b * H.T + c * H.trace() * sympy.eye(H.rows)


def general(size: int) -> sympy.Matrix:
    return sympy.Matrix(size, size, lambda i, j: sympy.Symbol(f"h{i}{j}"))


def directions(size: int):
    """Unit vectors with weights that average every polynomial of degree 4 over the sphere: 8 on the circle, 14 in space."""
    half, third = sympy.Rational(1, 2), sympy.Rational(1, 3)
    eye = [sympy.eye(size)[:, i] for i in range(size)]
    signs = [sympy.Matrix([1, *s]) for s in product((1, -1), repeat=size - 1)]
    if size == 2:
        return [(half / 2, v * v.T) for v in eye] + [(half / 2, half * v * v.T) for v in signs]
    return [(sympy.Rational(2, 15), v * v.T) for v in eye] + [(sympy.Rational(3, 20), third * v * v.T) for v in signs]


def gaussian_samples(rows: int):
    """One column of `rows` independent numbers 0, sqrt 3, -sqrt 3 with weights 2/3, 1/6, 1/6: the moments of N(0, 1) up to 5."""
    nodes = ((0, sympy.Rational(2, 3)), (sympy.sqrt(3), sympy.Rational(1, 6)), (-sympy.sqrt(3), sympy.Rational(1, 6)))
    for chosen in product(nodes, repeat=rows):
        v = sympy.Matrix([x for x, _ in chosen])
        yield sympy.prod(w for _, w in chosen), v * v.T


def step_01_weingarten_inverts_the_gram_matrix_of_pairings():
    gram = sympy.Matrix(3, 3, lambda i, j: m ** loops(PAIRINGS[i], PAIRINGS[j]))
    assert all(is_zero(entry) for entry in gram * weingarten() - sympy.eye(3))


def step_02_the_haar_form():
    assert is_zero(law.form_haar.value - derived("haar"))


def step_03_the_gaussian_form():
    assert is_zero(law.form_gaussian.value - derived("gaussian"))
    for one in CERTIFICATES:
        one.check()


def step_04_the_haar_form_again_by_beta_moments():
    """Invariance leaves three numbers; two are equal because S is symmetric; |Q^T e_1|^2 ~ Beta(r/2, (m-r)/2); Pi^2 = Pi."""
    a, c = sympy.symbols("a c")
    beta_2 = r * (r + 2) / (m * (m + 2))
    found = sympy.solve([a + 2 * c - beta_2, a + c + m * c - r / m], [a, c], dict=True)[0]
    for mine, coefficient in zip((found[a], found[c], found[c]), coefficients(law.form_haar.value), strict=True):
        assert is_zero((m / r) ** 2 * mine - coefficient)


def step_05_the_gaussian_form_again_by_chi_square_moments():
    """E S_11 S_22 = 1 because rows are independent, E S_11^2 = (r + 2) / r because r S_11 is a chi-square of r."""
    a, b, c = coefficients(law.form_gaussian.value)
    assert is_zero(a - 1) and is_zero(b - c) and is_zero(a + b + c - (r + 2) / r)


def step_06_the_second_moment_is_H_equal_to_the_identity():
    identity = {yHx: 1, xHy: 1, tr_yx: m}
    assert is_zero(law.form_haar.value.subs(identity) - law.square_orthogonal.value)
    assert is_zero(law.form_gaussian.value.subs(identity) - law.square_gaussian.value)


def step_07_for_every_orthogonal_law_it_is_m_over_r_without_any_average():
    """(P P^T)^2 = P (P^T P) P^T = (m/r) P P^T, whose mean is (m/r) I; here for lines and for planes."""
    for size in (2, 3):
        for rank, bases in ((1, [Pi for _, Pi in directions(size)]), (size - 1, [sympy.eye(size) - Pi for _, Pi in directions(size)])):
            for S in (sympy.Rational(size, rank) * Pi for Pi in bases):
                assert S * S == law.square_orthogonal.value.subs({m: size, r: rank}) * S


def step_08_the_fourth_moment_is_H_equal_to_g_g_transposed():
    outer = {yHx: 1, xHy: 1, tr_yx: 1}
    assert is_zero(law.form_haar.value.subs(outer) - law.fourth_haar.value)
    assert is_zero(law.form_gaussian.value.subs(outer) - law.fourth_gaussian.value)


def step_09_the_error_is_the_second_moment_less_one():
    """E|S g - g|^2 = g^T (E S^2 - 2 E S + I) g."""
    assert is_zero(law.error_orthogonal.value - (law.square_orthogonal.value - 1))
    assert is_zero(law.error_gaussian.value - (law.square_gaussian.value - 1))


def step_10_for_symmetric_H_the_top_eigenvalue_is_read_off():
    top = {yHx: L, xHy: L, tr_yx: trace_H}
    assert is_zero(law.form_haar.value.subs(top) - haar_smoothness.value)
    assert is_zero(law.form_gaussian.value.subs(top) - law.smoothness_gaussian.value)
    a, b, _ = coefficients(law.form_haar.value)  # the coefficient of an eigenvalue, >= 0: so the order is kept
    assert counterexample(a + b, law.SIZES) is None


def step_11_attained_by_finite_samples_that_have_the_same_moments():
    for size in (2, 3):
        lines, H = directions(size), general(size)
        planes = [(weight, sympy.eye(size) - Pi) for weight, Pi in lines]
        for rank, samples in ((1, lines), (size - 1, planes)):
            scaled = [(weight, sympy.Rational(size, rank) * Pi) for weight, Pi in samples]
            off = average(scaled, H) - predicted(law.form_haar.value, H, {m: size, r: rank})
            assert all(is_zero(entry) for entry in off)


def step_12_attained_by_a_gaussian_column():
    H = general(2)
    off = average(gaussian_samples(2), H) - predicted(law.form_gaussian.value, H, {m: 2, r: 1})
    assert all(is_zero(entry) for entry in off)


def step_13_no_smaller_and_no_larger_coefficient_will_do():
    for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert not is_zero(factor * law.form_haar.value - derived("haar"))
        assert not is_zero(factor * law.form_gaussian.value - derived("gaussian"))


def step_14_dropped_orthogonality_costs_one_plus_one_over_m_and_r():
    """The Gaussian law has the same mean, and its second moment is larger by (r+1)/r: never smaller."""
    assert is_zero(law.square_gaussian.value - law.square_orthogonal.value - (r + 1) / r)


def step_15_dropped_rotations_the_axes_alone_are_not_enough():
    axes = [(sympy.Rational(1, 3), 3 * S) for S in (sympy.diag(1, 0, 0), sympy.diag(0, 1, 0), sympy.diag(0, 0, 1))]
    H = general(3)
    off = average(axes, H) - predicted(law.form_haar.value, H, {m: 3, r: 1})
    assert not all(is_zero(entry) for entry in off)


def step_16_beyond_a_full_basis_nothing_is_random():
    """r = m: S = I for Haar, so E S H S = H; a Gaussian basis still errs by (m+1)/m."""
    assert is_zero(law.form_haar.value.subs(r, m) - yHx)
    assert is_zero(law.error_gaussian.value.subs(r, m) - (m + 1) / m)
