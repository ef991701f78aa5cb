"""Theorem. Let A have unit columns and coherence mu = max |<a_i, a_j>|. If mu < 1 / (2 s - 1), orthogonal matching pursuit recovers every
s-sparse x from A x in s rounds. At mu = 1 / (2 s - 1) no algorithm does: the 2 s corners of a regular simplex have two s-sparse
representations of one vector. Every A obeys mu >= sqrt((d - k) / (k (d - 1))), so the condition needs more than
d (2 s - 1)^2 / (d - 1 + (2 s - 1)^2) measurements: of the order s^2, where SGC takes of the order s log(d/s).

Source:    Tropp (2004), IEEE Trans. Inf. Theory 50(10), Theorem 3.5 and corollary; Welch (1974), 20(3); both recalled, proved again
Bounds:    coherence_threshold, least_coherence, coherence_measurements of sandbox.theory.sparse_recovery
Not here:  that the residual stays in the span of the columns of the support and orthogonal to those taken, so that none is taken
           twice; that a positive semidefinite Gram matrix of rank k has vectors in k dimensions.

Letters: u_1 >= u_i >= 0: sizes of the coefficients of the residual in the support; G = A^T A.
"""

import sympy

from sandbox.theory import sparse_recovery as sgc
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.sparse_recovery import d, k, s

mu, u1, rest = sympy.symbols("mu u1 rest", real=True)
threshold, least, needed = (one.value for one in (sgc.coherence_threshold, sgc.least_coherence, sgc.coherence_measurements))
third = sympy.Rational(1, 3)
TETRAHEDRON = sympy.Matrix([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).T  # columns of length sqrt 3; s = 2


def inside(largest: sympy.Expr, others: sympy.Expr) -> sympy.Expr:
    """Least correlation of the residual with the column of the largest coefficient; others = sum of the rest of them."""
    return largest - mu * others


def outside(largest: sympy.Expr, others: sympy.Expr) -> sympy.Expr:
    """Largest correlation with a column outside of the support."""
    return mu * (largest + others)


def gram(size: int, coherence: sympy.Expr) -> sympy.Matrix:
    """Equal inner products -coherence."""
    return (1 + coherence) * sympy.eye(size) - coherence * sympy.ones(size, size)


CERTIFICATES = (
    Certificate(
        name="pursuit_margin",
        claim=inside(u1, rest) - outside(u1, rest),
        hypotheses=((2 * mu, rest - (s - 1) * u1), (1 - (2 * s - 1) * mu, -u1)),
        domain=(s >= 1, mu >= 0, mu * (2 * s - 1) < 1),
    ),
    Identity("welch", k * (d + d * (d - 1) * mu**2) - d**2, k * d * (d - 1) * (mu**2 - (d - k) / (k * (d - 1)))),
    Identity("measurements_of_coherence", threshold**2, ((d - k) / (k * (d - 1))).subs(k, needed)),
)


def step_01_the_margin_between_inside_and_outside():
    """others <= (s - 1) u1, and the margin falls with others."""
    margin = inside(u1, rest) - outside(u1, rest)
    assert is_zero(margin - (u1 * (1 - (2 * s - 1) * mu) + 2 * mu * ((s - 1) * u1 - rest)))
    for one in CERTIFICATES:
        one.check()


def step_02_it_is_positive_below_the_threshold():
    """With mu = threshold - gap, the first term is u1 (2 s - 1) gap."""
    gap = sympy.Symbol("gap", positive=True)
    assert is_zero((1 - (2 * s - 1) * mu).subs(mu, threshold - gap) - (2 * s - 1) * gap)
    assert counterexample(2 * s - 1, (s >= 1,)) is None


def step_03_so_every_round_takes_a_column_of_the_support_and_s_rounds_take_all():
    """The least eigenvalue of the Gram matrix of s columns is at least 1 - (s - 1) mu > 0: the least squares has one solution."""
    assert counterexample(1 - (s - 1) * mu, (s >= 1, mu >= 0, mu * (2 * s - 1) < 1)) is None


def step_04_at_the_threshold_a_simplex_has_dependent_corners():
    """G 1 = (1 - (2 s - 1) mu) 1, and the other eigenvalues are 1 + mu."""
    assert is_zero((1 + mu - 2 * s * mu).subs(mu, threshold))
    for size in (2, 4, 6):
        G = gram(size, threshold.subs(s, sympy.Rational(size, 2)))
        assert G * sympy.ones(size, 1) == sympy.zeros(size, 1) and G.rank() == size - 1


def step_05_attained_by_a_tetrahedron_two_pairs_of_corners_have_one_sum():
    A = TETRAHEDRON
    assert A.T * A / 3 == gram(4, threshold.subs(s, 2))
    x, other = sympy.Matrix([1, 1, 0, 0]), sympy.Matrix([0, 0, -1, -1])
    assert A * x == A * other and x != other
    assert len({abs(entry) for entry in A.T * (A * x)}) == 1  # matching pursuit sees four equal columns


def step_06_no_larger_threshold_will_do():
    """The tetrahedron of step 5 has the coherence 1/3, below 1001/1000 of it."""
    assert third < sympy.Rational(1001, 1000) * threshold.subs(s, 2)
    assert gram(4, third).det() == 0


def step_07_no_smaller_threshold_is_where_the_margin_ends():
    assert is_zero((inside(u1, (s - 1) * u1) - outside(u1, (s - 1) * u1)).subs(mu, threshold))


def step_08_welch_by_two_traces():
    """d^2 = (tr G)^2 <= k tr G^2 <= k (d + d (d-1) mu^2), equality where all |inner products| and all eigenvalues are equal."""
    assert is_zero(k * (d + d * (d - 1) * mu**2).subs(mu, least) - d**2)
    assert is_zero((k * (d + d * (d - 1) * mu**2) - d**2) - k * d * (d - 1) * (mu**2 - least**2))


def step_09_welch_is_attained_by_a_simplex():
    for size in (2, 4, 6):
        assert is_zero(least.subs({d: size, k: size - 1}) - sympy.Rational(1, size - 1))
    assert abs((TETRAHEDRON.T * TETRAHEDRON)[0, 1]) * third == least.subs({d: 4, k: 3})


def step_10_no_larger_least_coherence_holds():
    assert third < sympy.Rational(1001, 1000) * least.subs({d: 4, k: 3})


def step_11_so_the_condition_needs_so_many_measurements():
    """threshold^2 - least^2 = 0 there; it rises with k."""
    assert is_zero((threshold**2 - least**2).subs(k, needed))
    assert is_zero(sympy.diff(-(least**2), k) - d / (k**2 * (d - 1)))


def step_12_attained_the_simplex_lies_exactly_there():
    assert is_zero(needed.subs(d, 2 * s) - (2 * s - 1))


def step_13_the_theorem_says_nothing_of_sgc_at_its_own_sizes():
    """d = 400, s = 10: 190 measurements; 3 s log(d/s) = 111 recover in practice (e > 2.718, so log 40 < 3.7)."""
    assert needed.subs({d: 400, s: 10}) == sympy.Rational(400 * 361, 760) == 190
    assert sympy.Rational(2718, 1000) ** 37 > 40**10


def step_14_dropped_unit_columns_a_long_column_is_taken_first():
    A = sympy.Matrix([[1, 4 * sympy.Rational(3, 5)], [0, 4 * sympy.Rational(4, 5)]])  # coherence 3/5 < 1 = threshold at s = 1
    seen = A.T * A[:, 0]
    assert sympy.Rational(3, 5) < threshold.subs(s, 1) and abs(seen[1]) > abs(seen[0])


def step_15_beyond_s_entries_the_same_matrix_fails():
    """Three of four corners of the tetrahedron sum to minus the fourth: pursuit takes that one first."""
    seen = TETRAHEDRON.T * (TETRAHEDRON * sympy.Matrix([1, 1, 1, 0]))
    assert abs(seen[3]) > max(abs(entry) for entry in seen[:3])
