"""Theorem. Let V have entries >= 0 and positive row and column sums R, C, total S, and V1 = R C^T / S. Then

    D(V || V1)  =  S I  <=  S min(H(row), H(column))  <=  S log min(m, n),        S (V_ij - V1_ij)  =  sum of the 2 x 2 minors through ij,

so that |V_ij - V1_ij| <= (m - 1)(n - 1) max |minor| / S, and the factorisation is exact if and only if V has rank one. A permutation
attains the first, a corner entry with a constant block the second, for every size.

Source:    derived
Bounds:    error_limit, entry_error of sandbox.theory.factorisation
Not here:  that sums may be exchanged for general sizes (the steps fix them); that the entropy of k shares is at most log k.
"""

import sympy

from sandbox.theory.certificate import Identity, is_zero
from sandbox.theory.factorisation import S, divergence, entropy, entry_error, error_limit, m, minor, mutual_information, n, rank_one

x = sympy.Symbol("x", positive=True)
SIZES = ((2, 2), (2, 3), (3, 3))


def positive_matrix(rows: int, cols: int) -> sympy.Matrix:
    return sympy.Matrix(rows, cols, lambda i, j: sympy.Symbol(f"v{i}{j}", positive=True))


def entropy_of(shares: list) -> sympy.Expr:
    return -sum((p * sympy.log(p) for p in shares), sympy.Integer(0))


def is_zero_in_logs(expr: sympy.Expr) -> bool:
    """Whether an expression linear in logarithms vanishes, once they are split and named."""
    expr = sympy.expand_log(sympy.expand_log(expr, force=True), force=True)
    return is_zero(expr.subs({log: sympy.Symbol(f"log{k}") for k, log in enumerate(sorted(expr.atoms(sympy.log), key=str))}))


def minors_through(V: sympy.Matrix, i: int, j: int) -> list[sympy.Expr]:
    others = [(k, l) for k in range(V.rows) for l in range(V.cols) if k != i and l != j]  # noqa: E741
    return [V[i, j] * V[k, l] - V[i, l] * V[k, j] for k, l in others]


def corner(rows: int, cols: int, value: int) -> sympy.Matrix:
    """1 in the corner, 0 beside it, `value` elsewhere: every minor is 0 or value."""
    return sympy.Matrix(rows, cols, lambda i, j: 1 if i == j == 0 else value if i and j else 0)


# sums over V of any size: an entry, the rest of its row, the rest of its column, and all others; the minors through the entry then
# add up to entry * others - row * column
entry, row, column, others = sympy.symbols("entry row column others", positive=True)
CERTIFICATES = (
    Identity(
        "entry_error_of_every_size",
        entry - (entry + row) * (entry + column) / (entry + row + column + others),
        (entry * others - row * column) / (entry + row + column + others),
    ),
    *(
        Identity(
            f"entry_error_{rows}_by_{cols}",
            positive_matrix(rows, cols)[0] - rank_one(positive_matrix(rows, cols))[0],
            sum(minors_through(positive_matrix(rows, cols), 0, 0)) / sum(positive_matrix(rows, cols)),
        )
        for rows, cols in SIZES
    ),
)


def step_01_information_is_the_entropy_of_the_rows_less_that_within_the_columns():
    """I = H(row) - sum_j q_j H(row | j), in sizes with symbolic entries."""
    for size in SIZES[:2]:
        V = positive_matrix(*size)
        total = sum(V)
        rows = entropy_of([sum(V.row(i)) / total for i in range(V.rows)])
        within = [sum(V.col(j)) / total * entropy_of([v / sum(V.col(j)) for v in V.col(j)]) for j in range(V.cols)]
        assert is_zero_in_logs(mutual_information(V) - rows + sum(within))


def step_02_an_entropy_is_nonnegative():
    """-x log x >= 0 for a share x <= 1: log is increasing, and 0 at 1."""
    assert sympy.diff(sympy.log(x), x).is_positive and sympy.log(1) == 0


def step_03_a_permutation_attains_the_limit():
    for size in (2, 3, 4):
        V = 2 * sympy.eye(size)
        limit = error_limit.value.subs({S: 2 * size, entropy: sympy.log(size)})
        assert is_zero_in_logs(divergence(V, rank_one(V)) - limit)


def step_04_no_smaller_limit_will_do():
    V = sympy.eye(3)
    limit = error_limit.value.subs({S: 3, entropy: sympy.log(3)})
    assert (divergence(V, rank_one(V)) - sympy.Rational(999, 1000) * limit).is_positive


def step_05_with_shannon_s_entropy_dropped_for_the_collision_entropy_the_limit_fails():
    """A diagonal of shares 1/4 and 3/4 attains its entropy, below log 2 and above the -log(1/16 + 9/16) = log(8/5) of a collision."""
    V, shares = sympy.diag(1, 3), [sympy.Rational(1, 4), sympy.Rational(3, 4)]
    loss, limit = divergence(V, rank_one(V)), error_limit.value.subs(S, 4)
    assert is_zero_in_logs(loss - limit.subs(entropy, entropy_of(shares)))
    assert (limit.subs(entropy, sympy.log(2)) - loss).is_positive
    assert (loss - limit.subs(entropy, -sympy.log(sum(p**2 for p in shares)))).is_positive


def step_06_the_error_of_an_entry_is_the_sum_of_the_minors_through_it():
    for size in SIZES:
        V = positive_matrix(*size)
        V1, total = rank_one(V), sum(V)
        for i in range(V.rows):
            for j in range(V.cols):
                assert is_zero(total * (V[i, j] - V1[i, j]) - sum(minors_through(V, i, j)))


def step_07_of_which_there_are_m_minus_1_times_n_minus_1():
    for rows, cols in ((2, 2), (3, 4), (5, 2)):
        assert len(minors_through(sympy.zeros(rows, cols), 0, 0)) == (entry_error.value * S / minor).subs({m: rows, n: cols})


def step_08_it_is_attained_for_every_size_by_a_corner():
    for rows, cols in ((2, 2), (3, 4), (5, 3)):
        V = corner(rows, cols, 7)
        found = {abs(value) for i in range(rows) for j in range(cols) for value in minors_through(V, i, j)}
        limit = entry_error.value.subs({m: rows, n: cols, minor: max(found), S: sum(V)})
        assert max(found) == 7 and V[0, 0] - rank_one(V)[0, 0] == limit


def step_09_the_factorisation_is_exact_for_rank_one_alone():
    """All minors 0 is rank one, and gives V = V1; V = V1 is rank one."""
    outer = sympy.Matrix(2, 1, sympy.symbols("a0 a1", positive=True)) * sympy.Matrix(1, 3, sympy.symbols("b0:3", positive=True))
    assert all(is_zero(value) for value in outer - rank_one(outer))
    assert rank_one(positive_matrix(3, 3)).rank(simplify=True) == 1


def step_10_beyond_nonnegative_entries_a_matrix_of_rank_one_may_have_no_factorisation():
    """Its total is 0, by which V1 divides."""
    V = sympy.Matrix([[1, -1], [1, -1]])
    assert V.rank() == 1 and sum(V) == 0


def step_11_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
