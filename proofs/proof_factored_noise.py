"""Theorem. Let V_ij = a_i b_j chi^2_N / N independently, m x n, V1 its factorisation, h(x) = psi(x / 2 + 1) - log(x / 2). Then

    E D(V || V1) / E S  <=  h(N)                                         for all a, b and every size,
    E D(V || V1) / E S   =  h(N) - h(N m) - h(N n) + h(N m n)            for equal a and b,

and there V1 is unbiased, with the mean squared relative error

    2/N (N^2 m n (m+n-1) + 2 N m n + 8 N (m+n-1) + 24) / ((N m n + 4) (N m n + 6))  ->  2/N (m+n-1) / (m n),

against 2/N of V: where the truth has rank one, factoring removes noise.

Source:    derived; the identity of proof_rank_one_nmf; first order and large sizes were noted before (notes T4)
Bounds:    loss_of_size, full_error, factored_error of sandbox.theory.factorisation_noise; sampling_error = h(N) of
           sandbox.theory.factorisation
Not here:  E x^s = Gamma(k + s) / Gamma(k) of a Gamma(k) variable; that shares of independent ones are Dirichlet, with moments that are
           products of rising factorials, and independent of the total; D >= 0; exchange of E and d/ds.

Letters: k = N / 2; x = share of the entry, A, B = shares of the rest of its row and of its column.
"""

from itertools import product

import sympy

from sandbox.theory.certificate import Identity, is_zero
from sandbox.theory.factorisation import N, m, n, sampling_error
from sandbox.theory.factorisation_noise import factored_error, full_error, loss_of_size

k, s = sympy.symbols("k s", positive=True)
whole = m * n * k


def rising(base: sympy.Expr, power: int) -> sympy.Expr:
    return sympy.prod([base + i for i in range(power)])


def shares(powers: tuple[int, int, int]) -> sympy.Expr:
    """E x^i A^j B^l of Dirichlet shares."""
    top = sympy.prod([rising(base, power) for base, power in zip((k, (n - 1) * k, (m - 1) * k), powers, strict=True)])
    return top / rising(whole, sum(powers))


def moment(power: int) -> sympy.Expr:
    """E V1_ij^power for a_i b_j = 1: V1 = S p q with p = x + A, q = x + B, S = Gamma(m n k) / k."""
    x, A, B = sympy.symbols("x A B")
    terms = sympy.Poly((x + A) ** power * (x + B) ** power, x, A, B).terms()
    return rising(whole, power) / k**power * sum(c * shares(powers) for powers, c in terms)


CERTIFICATES = (
    Identity(name="factored_noise_unbiased", left=moment(1), right=sympy.Integer(1)),
    Identity(name="factored_noise_error", left=moment(2) - 1, right=factored_error.value.subs(N, 2 * k)),
)


def h(x: sympy.Expr) -> sympy.Expr:
    return sampling_error.value.subs(N, x)


def step_01_the_entropy_is_the_slope_of_a_moment_at_1():
    """E v^s = Gamma(k + s) / (Gamma(k) k^s), and E v log v its derivative at s = 1."""
    slope = sympy.diff(sympy.gamma(k + s) / (sympy.gamma(k) * k**s), s).subs(s, 1)
    assert sympy.simplify(sympy.expand_func(slope) - sympy.expand_func(h(2 * k))) == 0


def step_02_against_the_truth_v_loses_h_of_N_of_which_v1_has_its_part():
    """D(V || truth) = D(V || V1) + D(V1 || truth), with the expectation E v log v - E v + 1 = h(N) an entry; the last is >= 0."""
    ED_V_truth, ED_V_V1, ED_V1_truth = sympy.symbols("ED_V_truth ED_V_V1 ED_V1_truth", nonnegative=True)
    assert (ED_V_truth - ED_V_V1).subs(ED_V_truth, ED_V_V1 + ED_V1_truth).is_nonnegative


def step_03_rows_columns_and_the_total_are_means_of_more_squares():
    """D(V1 || 1) = sum R log R + sum C log C - S log S - S + m n, where R / n is a mean of N n squares: E R log R = n (h(N n) + log n)."""
    rows, cols, total = h(N * n), h(N * m), h(N * m * n)
    sides = m * n * (rows + sympy.log(n)) + n * m * (cols + sympy.log(m)) - m * n * (total + sympy.log(m) + sympy.log(n))
    assert sympy.expand(sides - m * n * (rows + cols - total)) == 0
    assert sympy.expand(loss_of_size.value - (h(N) - (rows + cols - total))) == 0


def step_04_the_limit_is_approached_for_large_sizes():
    """h(x) -> 0 as x grows: the three other terms go."""
    x = sympy.Symbol("x", positive=True)
    assert sympy.limit(sympy.loggamma(x + 1).diff(x) - sympy.log(x), x, sympy.oo) == 0


def step_05_a_single_row_or_column_loses_nothing_which_is_attained_exactly():
    assert sympy.simplify(loss_of_size.value.subs(m, 1)) == 0 and sympy.simplify(loss_of_size.value.subs(n, 1)) == 0


def step_06_at_two_by_two_and_two_averages_the_numbers_are_rational_and_logs():
    """h(2) - 2 h(4) + h(8), with psi(j + 1) = 1 + ... + 1/j - gamma."""
    psi = {j: sympy.harmonic(j) - sympy.EulerGamma for j in (1, 2, 4)}
    by_hand = psi[1] - 2 * (psi[2] - sympy.log(2)) + psi[4] - 2 * sympy.log(2)
    assert sympy.simplify(loss_of_size.value.subs({N: 2, m: 2, n: 2}) - by_hand) == 0
    assert by_hand == sympy.Rational(1, 12)


def step_07_the_full_moment_has_the_variance_of_its_gamma_variable():
    assert is_zero(full_error.value.subs(N, 2 * k) - (rising(k, 2) / k**2 - 1))


def step_08_the_factorisation_is_unbiased():
    CERTIFICATES[0].check()


def step_09_and_its_error_is_exact_for_every_size():
    CERTIFICATES[1].check()


def step_10_no_smaller_factor_than_m_plus_n_minus_1_over_m_n_is_left_in_the_limit():
    ratio = factored_error.value / full_error.value
    assert is_zero(sympy.limit(ratio.subs({m: 32, n: 48}), N, sympy.oo) - sympy.Rational(79, 1536))
    assert is_zero(ratio.subs(m, 1) - 1)


def step_11_with_equal_truth_dropped_the_exact_law_is_only_a_limit():
    """b = (1, 0): two columns of which one is silent lose nothing, as a single one does; the law of two says 1/12 at m = N = 2."""
    assert loss_of_size.value.subs({N: 2, m: 2, n: 2}).simplify() != loss_of_size.value.subs({N: 2, m: 2, n: 1}).simplify()


def step_12_beyond_independent_entries_the_marginals_no_longer_average():
    """One z for the whole matrix: V has rank one and loses nothing, whatever h(N) is."""
    z = sympy.Symbol("z", positive=True)
    V = [[a * b * z for b in (1, 2)] for a in (1, 3)]
    total = sum(map(sum, V))
    assert all(is_zero(V[i][j] - sum(V[i]) * (V[0][j] + V[1][j]) / total) for i, j in product((0, 1), (0, 1)))
