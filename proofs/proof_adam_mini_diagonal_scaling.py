"""Theorem. For every symmetric positive definite H and every diagonal D > 0,

    max_i D_i H_ii / min_i D_i H_ii   <=   kappa(D H)   <=   kappa(D) kappa(H).

Source:    derived; both sides are classical
Bounds:    diagonal_lower, diagonal_upper of sandbox.theory.adam_mini_frozen
Not here:  that the Rayleigh quotients of a symmetric matrix fill [lam_min, lam_max].

Letters: A = D^1/2 H D^1/2, similar to D H, with eigenvalues in [low, top] and diagonal entries D_i H_ii; y = D^1/2 x; s = |x|^2,
n = |y|^2, form = x' A x = y' H y; [mu, L] and [d, D] hold the eigenvalues of H and the entries of the preconditioner.
"""

import sympy

from sandbox.theory.adam_mini_frozen import a_max, a_min, diagonal_lower, diagonal_upper, kappa, kappa_D
from sandbox.theory.certificate import Certificate, counterexample, is_zero

s, n, form, L, mu, d, D, top, low = sympy.symbols("s n form L mu d D top low", real=True)
box = (mu > 0, L >= mu, d > 0, D >= d)
CERTIFICATES = (
    Certificate(
        name="diagonal_scaling_above",  # y' H y <= L |y|^2 and |y|^2 <= D |x|^2
        claim=L * D * s - form,
        hypotheses=((sympy.Integer(1), form - L * n), (L, n - D * s)),
        domain=box,
    ),
    Certificate(
        name="diagonal_scaling_below",  # y' H y >= mu |y|^2 and |y|^2 >= d |x|^2
        claim=form - mu * d * s,
        hypotheses=((sympy.Integer(1), mu * n - form), (mu, d * s - n)),
        domain=box,
    ),
)


def eigenvalue_ratio_plus(matrix: sympy.Matrix) -> sympy.Expr:
    """kappa + 1/kappa + 2 = trace^2 / determinant of a 2 x 2 matrix with two positive eigenvalues."""
    return matrix.trace() ** 2 / matrix.det()


def step_01_the_form_lies_between_the_products_of_the_ends():
    for one in CERTIFICATES:
        one.check()


def step_02_whose_ratio_is_the_upper_bound():
    assert is_zero(diagonal_upper.value.subs({kappa_D: D / d, kappa: L / mu}) - L * D / (mu * d))


def step_03_each_diagonal_entry_is_the_form_at_a_unit_vector():
    """e_i' A e_i = D_i H_ii: low <= a_min and a_max <= top, so that top / low is at least their ratio."""
    inside = (low > 0, low <= a_min, a_max <= top, a_min <= a_max)
    assert counterexample(top / low - diagonal_lower.value, inside) is None
    root1, root2, h11, h12, h22 = sympy.symbols("root1 root2 h11 h12 h22")
    A = sympy.diag(root1, root2) * sympy.Matrix([[h11, h12], [h12, h22]]) * sympy.diag(root1, root2)
    assert is_zero(A[0, 0] - root1**2 * h11) and is_zero(A[1, 1] - root2**2 * h22)


def step_04_both_are_attained_where_H_is_diagonal_and_ordered_as_D():
    ends = (mu * d, L * D)  # D H
    assert is_zero(ends[1] / ends[0] - diagonal_upper.value.subs({kappa_D: D / d, kappa: L / mu}))
    assert is_zero(ends[1] / ends[0] - diagonal_lower.value.subs({a_max: L * D, a_min: mu * d}))


def step_05_no_smaller_upper_and_no_larger_lower_bound_will_do():
    six = sympy.Integer(2 * 3)  # kappa of diag(1, 2) diag(1, 3)
    assert sympy.Rational(999, 1000) * diagonal_upper.value.subs({kappa_D: 2, kappa: 3}) < six
    assert sympy.Rational(1001, 1000) * diagonal_lower.value.subs({a_max: 6, a_min: 1}) > six


def step_06_neither_condition_number_can_be_dropped():
    """kappa(D H) <= kappa(D) fails for D = I, and kappa(D H) <= kappa(H) for H = I."""
    assert diagonal_upper.value.subs({kappa_D: 1, kappa: 2}) == 2 > 1
    assert diagonal_upper.value.subs({kappa_D: 2, kappa: 1}) == 2 > 1


def step_07_the_diagonality_of_D_cannot_be_dropped():
    """D = H^-1 has kappa(D H) = 1, and D_ii H_ii = 2, 2, 1."""
    H = sympy.Matrix([[2, 1, 0], [1, 1, 0], [0, 0, 1]])
    D_full = H.inv()
    assert D_full * H == sympy.eye(3)
    assert [D_full[i, i] * H[i, i] for i in range(3)] == [2, 2, 1]


def step_08_beyond_diagonal_hessians_the_lower_bound_leaves_everything_open():
    """D = I, H = [[1, r], [r, 1]]: the lower bound is 1, and kappa + 1/kappa + 2 = 4 / (1 - r^2) grows without bound."""
    r = sympy.Symbol("r", real=True)
    assert is_zero(eigenvalue_ratio_plus(sympy.Matrix([[1, r], [r, 1]])) - 4 / (1 - r**2))
    assert diagonal_lower.value.subs({a_max: 1, a_min: 1}) == 1
