"""Theorem. Let V have entries >= 0, positive row sums R and column sums C, total S, V1 = R C^T / S; let D be the
I-divergence, with 0 log 0 = 0. Then for all positive vectors a, b

    D(V || a b^T) = D(V || V1) + D(V1 || a b^T)  >=  D(V || V1) = S I(V / S),

with equality if and only if a b^T = V1; I is the mutual information of the row and the column index.

Source:    Shazeer & Stern (2018), https://arxiv.org/abs/1804.04235, section 3 (second-hand), for the minimiser; the identity derived
Bound:     sandbox.theory.factorisation.error
Not here:  that sums over i and j may be exchanged for general sizes (step 3 names the pairings; 1 and 2 fix the size).
"""

from itertools import permutations, product

import sympy

from sandbox.theory.certificate import Identity, is_zero
from sandbox.theory.factorisation import S, divergence, error, information, mutual_information, rank_one

u = sympy.Symbol("u", positive=True)
example = sympy.Matrix([[1, 2], [3, 5]])
SIZES = ((1, 1), (2, 2), (2, 3), (3, 3))
PATTERNS = (  # 1 where an entry is positive: all patterns of these sizes that leave no row and no column empty, and a permutation
    *(sympy.Matrix(2, n, bits) for n in (2, 3) for bits in product((0, 1), repeat=2 * n)),
    sympy.Matrix([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
)


def positive_matrix(name: str, rows: int, cols: int) -> sympy.Matrix:
    return sympy.Matrix(rows, cols, lambda i, j: sympy.Symbol(f"{name}{i}{j}", positive=True))


def ordered(mask: sympy.Matrix) -> tuple:
    """The same for patterns that differ by the order of their rows and columns."""
    rows, cols = permutations(range(mask.rows)), list(permutations(range(mask.cols)))
    return max(tuple(mask[i, j] for i in order for j in other) for order in rows for other in cols)


def is_zero_in_logs(expr: sympy.Expr) -> bool:
    """Whether an expression linear in logarithms vanishes: logs are split into those of sums and entries, and named."""
    expr = sympy.expand_log(expr, force=True)
    return is_zero(expr.subs({log: sympy.Symbol(f"log{k}") for k, log in enumerate(sorted(expr.atoms(sympy.log), key=str))}))


def pythagoras(V: sympy.Matrix, W: sympy.Matrix, V1: sympy.Matrix) -> sympy.Expr:
    return divergence(V, W) - divergence(V, V1) - divergence(V1, W)


VlogV, RlogR, ClogC, SlogS, Rloga, Clogb, total, mass = sympy.symbols("VlogV RlogR ClogC SlogS Rloga Clogb S mass")
ANY, OUTER = positive_matrix("v", 3, 4), positive_matrix("a", 2, 1) * positive_matrix("b", 1, 3)
D_OF = {  # the divergences of every size, in the pairings of step 3
    "V_W": VlogV - (Rloga + Clogb) - total + mass,
    "V_V1": VlogV - (RlogR + ClogC - SlogS) - total + total,
    "V1_W": (RlogR + ClogC - SlogS) - (Rloga + Clogb) - total + mass,
}
CERTIFICATES = (  # logarithms enter as their pairings: what the second kernel sees is that these add up, and that the marginals are equal
    Identity("nmf_pythagoras_in_pairings", D_OF["V_W"], D_OF["V_V1"] + D_OF["V1_W"]),
    *(Identity(f"nmf_row_{i}_keeps_its_sum", sum(rank_one(ANY).row(i)), sum(ANY.row(i))) for i in range(ANY.rows)),
    *(Identity(f"nmf_column_{j}_keeps_its_sum", sum(rank_one(ANY).col(j)), sum(ANY.col(j))) for j in range(ANY.cols)),
    *(
        Identity(f"nmf_rank_one_is_kept_{i}", rank_one(OUTER)[i], OUTER[i])  # a b^T is its own factorisation
        for i in range(len(OUTER))
    ),
)


def step_01_the_pythagorean_identity_with_all_entries_symbolic():
    for rows, cols in SIZES:
        V = positive_matrix("v", rows, cols)
        W = positive_matrix("a", rows, 1) * positive_matrix("b", 1, cols)
        assert is_zero_in_logs(pythagoras(V, W, rank_one(V)))


def step_02_the_error_is_the_total_times_the_mutual_information():
    for rows, cols in SIZES:
        V = positive_matrix("v", rows, cols)
        limit = error.value.subs({S: sum(V), information: mutual_information(V)})
        assert is_zero_in_logs(divergence(V, rank_one(V)) - limit)


def step_03_the_identity_for_every_size_in_pairings():
    """V and V1 have the same row and column sums, so <V, log a_i> = <V1, log a_i> = <R, log a>, and so on.

    Entries 0 of V drop out of VlogV and of every pairing with V, and V1 has none.
    """
    assert is_zero(D_OF["V_W"] - D_OF["V_V1"] - D_OF["V1_W"])
    for i in range(ANY.rows):
        assert is_zero(sum(rank_one(ANY).row(i)) - sum(ANY.row(i)))
    for j in range(ANY.cols):
        assert is_zero(sum(rank_one(ANY).col(j)) - sum(ANY.col(j)))


def step_04_the_divergence_is_nonnegative_and_zero_only_at_equality():
    """x log(x/y) - x + y = y phi(x/y) with phi(u) = u log u - u + 1 strictly convex, zero with zero slope at u = 1."""
    phi = u * sympy.log(u) - u + 1
    assert phi.subs(u, 1) == 0 and sympy.diff(phi, u).subs(u, 1) == 0
    assert sympy.diff(phi, u, 2).is_positive


def step_05_it_is_attained_by_row_sums_times_column_sums():
    assert rank_one(example) == sympy.Matrix([[12, 21], [32, 56]]) / 11
    assert rank_one(example).rank() == 1
    assert is_zero_in_logs(pythagoras(example, rank_one(example), rank_one(example)))


def step_06_a_rank_one_matrix_is_its_own_factorisation():
    V = positive_matrix("a", 2, 1) * positive_matrix("b", 1, 3)
    assert all(is_zero(entry) for entry in rank_one(V) - V)


def step_07_no_other_rank_one_matrix_does_better():
    near = sympy.Rational(1001, 1000) * rank_one(example)
    assert (divergence(example, near) - divergence(example, rank_one(example))).is_positive


def step_08_no_smaller_error_will_do():
    limit = error.value.subs({S: 11, information: mutual_information(example)})
    assert (divergence(example, rank_one(example)) - sympy.Rational(999, 1000) * limit).is_positive


def step_09_with_equal_marginals_dropped_the_identity_fails():
    wrong = sympy.Matrix([[1, 2], [3, 6]])  # of rank one, but with other column sums than the example
    assert not is_zero_in_logs(pythagoras(example, sympy.Matrix([[1, 1], [2, 2]]), wrong))


def step_10_entries_may_be_0():
    patterns = [
        mask for mask in PATTERNS if all(sum(mask.row(i)) for i in range(mask.rows)) and all(sum(mask.T.row(j)) for j in range(mask.cols))
    ]
    assert len(patterns) == 7 + 25 + 1  # by inclusion and exclusion over the empty rows and columns
    for mask in {ordered(mask): mask for mask in patterns}.values():  # both sides stay as they are where rows or columns change places
        V = positive_matrix("v", *mask.shape).multiply_elementwise(mask)
        W = positive_matrix("a", mask.rows, 1) * positive_matrix("b", 1, mask.cols)
        limit = error.value.subs({S: sum(V), information: mutual_information(V)})
        assert is_zero_in_logs(pythagoras(V, W, rank_one(V)))
        assert is_zero_in_logs(divergence(V, rank_one(V)) - limit)
    assert sympy.limit(u * sympy.log(u) - u + 1, u, 0, "+") == 1  # phi of step 4 at an entry 0: convex up to there, and positive


def step_11_a_permutation_loses_all_of_its_entropy():
    """V = identity: D = S log n, which is S times the entropy of the rows; so entries 0 do not make the error vanish."""
    assert is_zero_in_logs(divergence(sympy.eye(3), rank_one(sympy.eye(3))) - 3 * sympy.log(3))


def step_12_beyond_rank_one_nothing_need_be_lost():
    """Of rank 2 the example is its own factorisation, with error 0."""
    assert example.rank() == 2 and divergence(example, example) == 0
    assert divergence(example, rank_one(example)).is_positive


def step_13_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
