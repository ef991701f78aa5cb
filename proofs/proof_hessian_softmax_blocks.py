"""Theorem. Let z = V h, cross entropy under softmax with C >= 2 classes, any features h(n) (the inputs, or the network below)
and any weights V; H the Hessian in V, its blocks H_ij by class, BD its diagonal blocks. Then, whatever the data,

    1/2  <=  sum_i |H_ii|^2 / |H|^2  <=  1 - 1/C            (Frobenius),
    C / (C - 1)  <=  lam_max(BD^-1 H)  <=  2                (BD invertible).

The right sides of the first and the left side of the second are attained at V = 0, where moreover |H_ij| = |H_ii| / (C - 1) and
|H - BD|_2 = (1 - 1/C) |H|_2 in operator norm; the other two are attained by C = 2, and approached for every C where two classes
share all the probability. H (1, ..., 1) x u = 0 for every u, where BD (1, ..., 1) x u is not.

Source:    derived; Dong et al. (2505.02809) have rates for random data as C grows, second-hand
Bounds:    softmax_mass_lower, softmax_mass_upper, uniform_ratio, uniform_error, block_newton_upper, block_newton_lower of
           sandbox.theory.hessian_blocks
Not here:  the derivative of the softmax, lambda = diag(p) - p p', H_ij = mean_n lambda_ij(n) h_n h_n'; <A, B> >= 0 for sums of
           nonnegative multiples of h h', since <h h', k k'> = (h'k)^2; that the number of eigenvalues that are not 0 is the rank.

Letters: A_j = -H_ij for one i and every j other than i, so that H_ii = sum_j A_j; D2, O2 = squared norm of all diagonal and of all
other blocks; F = size of h.
"""

from itertools import combinations

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.hessian_blocks import (
    C,
    block_newton_lower,
    block_newton_upper,
    softmax_mass_lower,
    softmax_mass_upper,
    uniform_error,
    uniform_ratio,
)

D2, O2, F, top, S, A = sympy.symbols("D2 O2 F top S A", real=True)
P = sympy.symbols("p1:5", positive=True)  # unnormalised: the first three of four classes, and the rest
Z = sympy.symbols("z1:5", real=True)
N = sympy.Symbol("C_", real=True)  # C as a real parameter, for the signs
MASS_LOWER = Certificate(
    name="softmax_mass_lower",
    claim=D2 - softmax_mass_lower.value * (D2 + O2),
    hypotheses=((sympy.Rational(1, 2), O2 - D2),),
)
MASS_UPPER = Certificate(
    name="softmax_mass_upper",
    claim=softmax_mass_upper.value.subs(C, N) * (D2 + O2) - D2,
    hypotheses=((1 / N, D2 - (N - 1) * O2),),
    domain=(N >= 2,),
)
CERTIFICATES = (MASS_LOWER, MASS_UPPER)


def probabilities(count: int) -> list[sympy.Expr]:
    """count - 1 symbols and what is left of 1."""
    return [*P[: count - 1], 1 - sum(P[: count - 1])]


def curvature(p: list[sympy.Expr]) -> sympy.Matrix:
    """lambda = diag(p) - p p'."""
    column = sympy.Matrix(p)
    return sympy.diag(*p) - column * column.T


def mass(matrix: sympy.Matrix) -> sympy.Expr:
    """For one feature, blocks of one entry."""
    return sum(matrix[i, i] ** 2 for i in range(matrix.rows)) / sum(x**2 for x in matrix)


def uniform(count: int) -> sympy.Matrix:
    return curvature([sympy.Rational(1, count)] * count)


def step_01_each_row_of_lambda_adds_up_to_zero_and_its_other_entries_are_negative():
    for count in (2, 3, 4):
        matrix = curvature(probabilities(count))
        assert all(is_zero(sum(matrix.row(i))) for i in range(count))
        p = probabilities(count)
        assert all(is_zero(matrix[i, j] + p[i] * p[j]) for i, j in combinations(range(count), 2))


def step_02_so_the_diagonal_block_holds_at_least_the_squares_of_the_others():
    """|sum A_j|^2 = sum |A_j|^2 + 2 sum_{j<k} <A_j, A_k>, all of them >= 0."""
    a, b, c = sympy.symbols("a b c", real=True)
    assert is_zero((a + b + c) ** 2 - (a**2 + b**2 + c**2) - 2 * (a * b + b * c + a * c))
    MASS_LOWER.check()


def step_03_and_at_most_C_minus_1_times_them():
    """sum_j |A_j - S / (C-1)|^2 = sum |A_j|^2 - |S|^2 / (C-1) >= 0, with S = sum_j A_j = H_ii."""
    total = sympy.Symbol("sum_of_squares", real=True)
    expanded = total - 2 * S * S / (C - 1) + (C - 1) * (S / (C - 1)) ** 2
    assert is_zero(expanded - (total - S**2 / (C - 1)))
    MASS_UPPER.check()


def step_04_the_curvature_is_a_sum_over_pairs_of_classes():
    """z' lambda z = sum_{i<j} p_i p_j (z_i - z_j)^2, and with 2 BD - H in its place (z_i + z_j)^2: so 0 <= H <= 2 BD."""
    for count in (2, 3, 4):
        p, z = probabilities(count), sympy.Matrix(Z[:count])
        matrix = curvature(p)
        diagonal = sympy.diag(*(matrix[i, i] for i in range(count)))
        pairs = list(combinations(range(count), 2))
        assert is_zero((z.T * matrix * z)[0] - sum(p[i] * p[j] * (z[i] - z[j]) ** 2 for i, j in pairs))
        upper = block_newton_upper.value * diagonal - matrix
        assert is_zero((z.T * upper * z)[0] - sum(p[i] * p[j] * (z[i] + z[j]) ** 2 for i, j in pairs))


def step_05_the_trace_gives_the_lower_end_of_the_spectrum():
    """tr(BD^-1 H) = C F, and of its C F eigenvalues F are 0, on (1, ..., 1) x u: (C - 1) F top >= C F."""
    assert all(uniform(count) * sympy.ones(count, 1) == sympy.zeros(count, 1) for count in (2, 3, 4))
    assert is_zero((C - 1) * F * block_newton_lower.value - C * F)


def step_06_the_upper_mass_and_the_lower_spectrum_are_attained_at_weights_of_zero():
    for count in (2, 3, 5, 8):
        matrix = uniform(count)
        assert mass(matrix) == softmax_mass_upper.value.subs(C, count)
        assert max((matrix / matrix[0, 0]).eigenvals()) == block_newton_lower.value.subs(C, count)
        assert -matrix[0, 1] / matrix[0, 0] == uniform_ratio.value.subs(C, count)
        rest = matrix - sympy.diag(*[matrix[0, 0]] * count)
        assert max(map(abs, rest.eigenvals())) / max(matrix.eigenvals()) == uniform_error.value.subs(C, count)
    p = 1 / C
    assert is_zero(p**2 / (p * (1 - p)) - uniform_ratio.value)
    assert is_zero(C * (p * (1 - p)) ** 2 / (C * (p * (1 - p)) ** 2 + C * (C - 1) * p**4) - softmax_mass_upper.value)
    assert is_zero((C - 1) * p**2 / p - uniform_error.value)  # eigenvalues of (J - I) / C^2 and of I / C - J / C^2


def step_07_the_other_two_are_attained_by_two_classes():
    matrix = curvature(probabilities(2))
    assert is_zero(mass(matrix) - softmax_mass_lower.value)
    scaled = (matrix / matrix[0, 0]).applyfunc(sympy.factor)
    assert scaled == sympy.Matrix([[1, -1], [-1, 1]]) and max(scaled.eigenvals()) == block_newton_upper.value


def step_08_and_approached_for_every_number_of_classes():
    h = sympy.Symbol("h", positive=True)
    for count in (3, 5):
        matrix = curvature([(1 - h) / 2] * 2 + [h / (count - 2)] * (count - 2))
        assert sympy.limit(mass(matrix), h, 0) == softmax_mass_lower.value
        first = matrix[:2, :2].subs(h, 0)
        assert max((first / first[0, 0]).eigenvals()) == block_newton_upper.value


def step_09_no_smaller_upper_and_no_larger_lower_bound_will_do():
    three = uniform(3)
    assert sympy.Rational(999, 1000) * softmax_mass_upper.value.subs(C, 3) < mass(three) == sympy.Rational(2, 3)
    assert sympy.Rational(1001, 1000) * softmax_mass_lower.value > mass(uniform(2)) == sympy.Rational(1, 2)
    assert sympy.Rational(999, 1000) * block_newton_upper.value < max((4 * uniform(2)).eigenvals()) == 2  # BD = I / 4
    assert sympy.Rational(1001, 1000) * block_newton_lower.value.subs(C, 3) > sympy.Rational(3, 2)


def step_10_the_rows_that_add_up_to_zero_cannot_be_dropped():
    """Squared error has lambda = I in place of diag(p) - p p': mass 1 and lam_max(BD^-1 H) = 1 for every C."""
    for count in (2, 5):
        assert mass(sympy.eye(count)) == 1 > softmax_mass_upper.value.subs(C, count)
        assert 1 < block_newton_lower.value.subs(C, count)


def step_11_the_signs_of_the_other_entries_cannot_be_dropped():
    """w w' with w = (1, 1, -1, -1): rows that add up to 0, positive semidefinite, and a mass of 1/4."""
    column = sympy.Matrix([1, 1, -1, -1])
    assert column.T * sympy.ones(4, 1) == sympy.zeros(1, 1)
    assert mass(column * column.T) == sympy.Rational(1, 4) < softmax_mass_lower.value


def step_12_beyond_one_class_there_is_a_second():
    """C = 1 has p = 1 and H = 0, of which no share can be taken."""
    assert curvature([sympy.Integer(1)]) == sympy.zeros(1, 1)
    assert counterexample(N - 1, (N >= 2,)) is None and counterexample(N - 2, (N >= 1,)) is not None
