"""Theorem. Let P = g^2 / S with row sums p > 0 and column sums q > 0, an m x n matrix, and u_ij = g_ij sqrt(S / (R_i C_j)) its first
normalised update. Then

    m n RMS(u)^2  =  sum P_ij / (p_i q_j)  >=  m + n - 1,

with equality for a single row or column and, in the limit, for one dominant entry beside its row and column; RMS(u) = 1 for equal
marginals and for rank one (u = sign g, as for a vector); there is no upper limit. With eps1 added to g^2 a vector's first update is
1 / sqrt(1 + eps1 / g^2), short of 1 by at most eps1 / (2 g^2), so that the scale of the loss drops out; without it, exactly.

Source:    derived
Bounds:    first_rms, scale_shortfall of sandbox.theory.factored_update
Not here:  that sums over i and j may be exchanged for general sizes (steps 2 and 3 fix them).
"""

import sympy

from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.factored_update import cols, first_rms, rows, scale, scale_shortfall

p, q, t, c = sympy.symbols("p q t c", real=True)
eps = sympy.Symbol("eps", positive=True)
CERTIFICATES = (Identity(name="factored_first_step", left=1 / (p * q) - (1 / p + 1 / q - 1), right=(1 / p - 1) * (1 / q - 1)),)
SIZES = ((1, 1), (1, 3), (2, 2), (2, 3))


def squares(rows_: int, cols_: int) -> sympy.Matrix:
    return sympy.Matrix(rows_, cols_, lambda i, j: sympy.Symbol(f"G{i}{j}", positive=True))


def sum_of_u_squared(G: sympy.Matrix) -> sympy.Expr:
    """Of G = g^2, from the definition of the update: u^2 = g^2 S / (R C)."""
    total, R, C = sum(G), [sum(G.row(i)) for i in range(G.rows)], [sum(G.col(j)) for j in range(G.cols)]
    return sum((G[i, j] * total / (R[i] * C[j]) for i in range(G.rows) for j in range(G.cols)), sympy.Integer(0))


def least(rows_: int, cols_: int) -> sympy.Expr:
    """m n times the square of the bound."""
    return (rows * cols * first_rms.value**2).subs({rows: rows_, cols: cols_})


def cross(size: int) -> sympy.Matrix:
    """One dominant entry, eps in its row and its column, 0 elsewhere."""
    return sympy.Matrix(size, size, lambda i, j: 1 if i == j == 0 else eps if i == 0 or j == 0 else 0)


def step_1_for_shares_p_and_q_the_inverse_product_is_at_least_the_sum_of_inverses_minus_1():
    gap = 1 / (p * q) - (1 / p + 1 / q - 1)
    for identity in CERTIFICATES:
        identity.check()
    assert counterexample(gap, (p > 0, p <= 1, q > 0, q <= 1)) is None


def step_2_averaged_over_P_the_right_side_is_m_plus_n_minus_1():
    for size in SIZES:
        G = squares(*size)
        total = sum(G)
        weights = [total / sum(G.row(i)) + total / sum(G.col(j)) - 1 for i in range(size[0]) for j in range(size[1])]
        assert is_zero(sum(w * g / total for w, g in zip(weights, G, strict=True)) - least(*size))


def step_3_it_is_attained_by_a_single_row_or_column():
    for size in ((1, 1), (1, 4), (4, 1)):
        assert is_zero(sum_of_u_squared(squares(*size)) - least(*size))


def step_4_and_approached_by_one_dominant_entry_so_that_no_smaller_and_no_larger_bound_will_do():
    for size in (2, 3, 4):
        assert sympy.limit(sum_of_u_squared(cross(size)), eps, 0, "+") == least(size, size)
    near = sum_of_u_squared(cross(3)).subs(eps, sympy.Rational(1, 10**4))
    assert least(3, 3) < near < sympy.Rational(1001, 1000) ** 2 * least(3, 3)


def step_5_a_rank_one_moment_gives_the_sign_of_the_gradient_and_equal_marginals_an_rms_of_1():
    outer = sympy.Matrix(2, 1, sympy.symbols("a0 a1", positive=True)) * sympy.Matrix(1, 3, sympy.symbols("b0:3", positive=True))
    assert is_zero(sum_of_u_squared(outer) - 6)
    assert sum_of_u_squared(sympy.Matrix([[1, 2, 3], [3, 1, 2], [2, 3, 1]])) == 9


def step_6_beyond_every_number_there_is_a_diagonal_gradient():
    """diag(1, k): the sum is (1 + k^2)^2 / k^2."""
    k = sympy.Symbol("k", positive=True)
    assert is_zero(sum_of_u_squared(sympy.diag(1, k**2)) - (1 + k**2) ** 2 / k**2)


def step_7_with_shares_dropped_for_any_positive_numbers_step_1_fails():
    assert counterexample((1 / p - 1) * (1 / q - 1), (p > 0, q > 0)) is not None


def step_8_the_scale_of_the_gradient_drops_out_without_eps1():
    G = squares(2, 2)
    assert is_zero(sum_of_u_squared(c**2 * G) - sum_of_u_squared(G))


def step_9_with_it_an_entry_falls_short_by_half_of_eps1_over_g_squared_at_most():
    """1 / sqrt(1 + x) >= 1 - x / 2, squared: (1 - x / 2)^2 (1 + x) <= 1 while x < 2, and trivial beyond."""
    x = scale
    assert counterexample(1 - (1 - scale_shortfall.value) ** 2 * (1 + x), (x >= 0, x <= 2)) is None
    assert counterexample(scale_shortfall.value - 1, (x >= 2,)) is None
    assert sympy.limit((1 - 1 / sympy.sqrt(1 + t)) / scale_shortfall.value.subs(scale, t), t, 0, "+") == 1
