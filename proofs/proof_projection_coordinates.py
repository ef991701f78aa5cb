"""Theorem. Let P = sqrt(m/r) times r columns of the m x m identity, S = P P^T. For every m x m matrix H

    distinct columns, uniformly:    E S H S = m(r-1)/(r(m-1)) H + m(m-r)/(r(m-1)) diag(H),    m >= 2
    independent columns, uniformly: E S H S = (r-1)/r H + (m/r) diag(H)

Hence, with kappa = sum_i g_i^4 / |g|^4: E S^2 = (m/r) I and (m+r-1)/r I; E|P^T g|^4 / |g|^4 = the same two expressions with
H = 1 and diag(H) = kappa; E|S g - g|^2 / |g|^2 = m/r - 1 and (m-1)/r. Both laws have E S = I.

Source:    derived by inclusion probabilities; all subsets and sequences of small sizes are listed one by one
Bounds:    form_coordinate, form_replacement, square_replacement, fourth_coordinate, fourth_replacement, error_replacement
           of sandbox.theory.projections
Not here:  that factorial moments of hypergeometric and multinomial counts are r(r-1)/(m(m-1)) and r(r-1)/m^2.
           Beyond: every H, every m and r is covered (r <= m without replacement).
"""

from itertools import combinations, product

import sympy

from sandbox.theory import projections as law
from sandbox.theory.certificate import Identity, is_zero
from sandbox.theory.projections import kappa, m, r, yDx, yHx

SMALL = ((2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (5, 3), (3, 3))
SMALL_WITH_REPLACEMENT = ((2, 1), (2, 3), (3, 2), (3, 3), (4, 2))

CERTIFICATES = (
    Identity(
        "coordinate_form",
        law.form_coordinate.value,
        (m / r) ** 2 * (r * (r - 1) / (m * (m - 1)) * yHx + (r / m - r * (r - 1) / (m * (m - 1))) * yDx),
    ),
    Identity("replacement_form", law.form_replacement.value, (m / r) ** 2 * (r * (r - 1) / m**2 * yHx + r / m * yDx)),
)


def general(size: int) -> sympy.Matrix:
    return sympy.Matrix(size, size, lambda i, j: sympy.Symbol(f"h{i}{j}"))


def scaled(counts, rank: int) -> sympy.Matrix:
    size = len(counts)
    return sympy.Rational(size, rank) * sympy.diag(*counts)


def listed(size: int, rank: int, choices) -> list[sympy.Matrix]:
    """Every S of the law, all equally likely."""
    return [scaled([chosen.count(i) for i in range(size)], rank) for chosen in choices(size, rank)]


def subsets(size: int, rank: int):
    return combinations(range(size), rank)


def sequences(size: int, rank: int):
    return product(range(size), repeat=rank)


def mean(matrices: list[sympy.Matrix]) -> sympy.Matrix:
    return sum(matrices[1:], matrices[0]) / len(matrices)


def predicted(form: sympy.Expr, H: sympy.Matrix, sizes: dict) -> sympy.Matrix:
    a, d = (form.expand().coeff(part).subs(sizes) for part in (yHx, yDx))
    return a * H + d * sympy.diag(*[H[i, i] for i in range(H.rows)])


def agrees(form: sympy.Expr, size: int, rank: int, choices) -> bool:
    H = general(size)
    found = mean([S * H * S for S in listed(size, rank, choices)])
    return all(is_zero(entry) for entry in found - predicted(form, H, {m: size, r: rank}))


def step_01_the_mean_is_the_identity():
    for sizes, choices in ((SMALL, subsets), (SMALL_WITH_REPLACEMENT, sequences)):
        assert all(mean(listed(n, k, choices)) == sympy.eye(n) for n, k in sizes)


def step_02_distinct_columns_by_inclusion_probabilities():
    """E 1_i 1_j = r(r-1)/(m(m-1)) off the diagonal, r/m on it; S_ii = (m/r) 1_i."""
    pair, single = r * (r - 1) / (m * (m - 1)), r / m
    assert is_zero(law.form_coordinate.value - (m / r) ** 2 * (pair * yHx + (single - pair) * yDx))


def step_03_independent_columns_by_multinomial_moments():
    """E N_i N_j = r(r-1)/m^2 off the diagonal; E N_i^2 = r(r-1)/m^2 + r/m."""
    pair = r * (r - 1) / m**2
    assert is_zero(law.form_replacement.value - (m / r) ** 2 * (pair * yHx + r / m * yDx))
    for one in CERTIFICATES:
        one.check()


def step_04_the_second_moment_is_H_equal_to_the_identity():
    identity = {yHx: 1, yDx: 1}
    assert is_zero(law.form_coordinate.value.subs(identity) - law.square_orthogonal.value)
    assert is_zero(law.form_replacement.value.subs(identity) - law.square_replacement.value)


def step_05_the_error_is_the_second_moment_less_one():
    assert is_zero(law.error_replacement.value - (law.square_replacement.value - 1))


def step_06_the_fourth_moment_is_H_equal_to_g_g_transposed():
    outer = {yHx: 1, yDx: kappa}
    assert is_zero(law.form_coordinate.value.subs(outer) - law.fourth_coordinate.value)
    assert is_zero(law.form_replacement.value.subs(outer) - law.fourth_replacement.value)


def step_07_attained_by_all_subsets_listed():
    assert all(agrees(law.form_coordinate.value, size, rank, subsets) for size, rank in SMALL)


def step_08_attained_by_all_sequences_listed():
    assert all(agrees(law.form_replacement.value, size, rank, sequences) for size, rank in SMALL_WITH_REPLACEMENT)


def step_09_no_smaller_and_no_larger_coefficient_will_do():
    for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert not agrees(factor * law.form_coordinate.value, 3, 2, subsets)
        assert not agrees(factor * law.form_replacement.value, 3, 2, sequences)


def step_10_dropped_distinctness_costs_one_minus_one_over_r():
    """(m+r-1)/r - m/r = (r-1)/r, and the one form is not the other."""
    assert is_zero(law.square_replacement.value - law.square_orthogonal.value - (r - 1) / r)
    assert not agrees(law.form_coordinate.value, 3, 2, sequences)


def step_11_dropped_spread_of_the_gradient_the_fourth_moment_depends_on_it():
    """One entry (kappa = 1): m/r.  Equal entries (kappa = 1/m): 1, no error of the norm at all."""
    assert is_zero(law.fourth_coordinate.value.subs(kappa, 1) - m / r)
    assert is_zero(law.fourth_coordinate.value.subs(kappa, 1 / m) - 1)


def step_12_against_haar_the_fourth_moment_is_the_same_at_the_kappa_of_gaussian_entries():
    """kappa = 3 / (m + 2), the mean of sum_i u_i^4 over the unit sphere: a rotated coordinate law is the Haar law."""
    assert is_zero(law.fourth_coordinate.value.subs(kappa, 3 / (m + 2)) - law.fourth_haar.value)
