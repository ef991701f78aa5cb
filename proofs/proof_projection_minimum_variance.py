"""Theorem. Let A have singular values s_1 >= s_2 >= ... >= s_n, and let Y be random with rank Y <= r and E Y = A. Put
r1 < r, k = r - r1, T = sum_{i > r1} s_i, E = sum_{i > r1} s_i^2. If s_r1 >= T/k >= s_(r1+1), then

    E |Y - A|_F^2  >=  T^2 / k - E,

and there is a Y with equality: the r1 leading parts as they are, and k of the others, part i drawn with the probability
s_i k / T, each scaled to T/k. PRAC's estimator (a scaled Haar projection of the tail, n - r1 directions) has the variance
((n - r1)/k - 1) E, which is larger by (1/k) sum_{i<j} (s_i - s_j)^2 over the tail: it is the minimum only where the tail
is flat. With A = I (r1 = 0) the minimum is m (m/r - 1): no unbiased compression to rank r has a smaller worst relative error than
m/r - 1, which Haar and coordinates attain; Gaussian P has (m+1)/r.

Source:    derived by a dual certificate; PRAC, https://arxiv.org/abs/2602.23111, says minimal under a spectral condition
           (read); the sampling is that of Benzing et al. (2019), https://arxiv.org/abs/1902.03993 (recalled)
Bounds:    minimum_variance, prac_variance of sandbox.theory.projections
Not here:  max over rank Y <= r of 2 <Z, Y> - |Y|_F^2 = the r largest sigma_i(Z)^2 (Eckart & Young); that a fixed number k of
           parts can be drawn with any probabilities <= 1 of sum k (systematic sampling).
"""

import sympy

from sandbox.theory import projections as law
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.projections import m, r, rank_left, tail, tail_energy, tail_sum

k, T, E = rank_left, tail_sum, tail_energy
head_energy = sympy.Symbol("head_energy", nonnegative=True)
LEVELS = (4, 2, 1, 1)  # r = 3, r1 = 1, k = 2: T/k = 2, and 4 >= 2 >= 2
PAIRS = ((1, 2), (1, 3))  # of the tail (2, 1, 1), one list per draw of k = 2 parts, with probability 1/2 each


def dual_value() -> sympy.Expr:
    """2 <Z, A> - (sum of the r largest sigma(Z)^2) for Z = A with the tail levelled to T/k: head, then k times T/k."""
    level = T / k
    return 2 * (head_energy + level * T) - (head_energy + k * level**2)


z, y = sympy.symbols("z y", real=True)
CERTIFICATES = (
    Certificate(name="one_part_of_the_dual", claim=z**2 - (2 * z * y - y**2), squares=((sympy.Integer(1), z - y),), vectors=(z, y)),
    Identity("levelled_dual_value", dual_value() - (head_energy + E), law.minimum_variance.value),
    Identity("prac_variance", law.prac_variance.value, law.error_orthogonal.value.subs({m: tail, r: k}) * E),
)


def at_levels(expr: sympy.Expr) -> sympy.Expr:
    tail_part = LEVELS[1:]
    return expr.subs({k: 2, T: sum(tail_part), E: sum(s**2 for s in tail_part), tail: len(tail_part)})


def variance(samples, A: sympy.Matrix) -> sympy.Expr:
    return sum(weight * sum(x**2 for x in Y - A) for weight, Y in samples)


def drawn() -> list[tuple[sympy.Rational, sympy.Matrix]]:
    half = sympy.Rational(1, 2)
    return [(half, sympy.diag(*[4 if i == 0 else 2 if i in pair else 0 for i in range(4)])) for pair in PAIRS]


def step_01_every_matrix_gives_a_lower_bound():
    """E|Y|^2 >= E [2 <Z, Y> - max (2 <Z, Y> - |Y|^2)]: for one part with y and z, z^2 - (2 z y - y^2) = (z - y)^2."""
    z, y = sympy.symbols("z y", real=True)
    assert is_zero(z**2 - (2 * z * y - y**2) - (z - y) ** 2)
    for one in CERTIFICATES:
        one.check()


def step_02_the_levelled_matrix_gives_the_bound():
    assert is_zero(dual_value() - (head_energy + E) - law.minimum_variance.value)


def step_03_where_the_head_is_above_the_level_the_r_largest_are_the_head_and_k_levels():
    """Z has the values s_1 ... s_r1, and n - r1 times T/k <= s_r1."""
    assert counterexample(law.head_least - T / k, law.minimum_variance.requires) is None


def step_04_the_probabilities_are_at_most_one_and_sum_to_k():
    assert counterexample(1 - law.tail_most * k / T, (*law.minimum_variance.requires, T > 0)) is None
    assert is_zero(T * k / T - k)


def step_05_the_sampling_attains_the_bound_for_every_spectrum():
    """E|Y|^2 = head + k (T/k)^2, and E Y_i = (s_i k / T) (T / k) = s_i."""
    assert is_zero(head_energy + k * (T / k) ** 2 - (head_energy + E) - law.minimum_variance.value)


def step_06_attained_by_two_draws_written_out():
    A = sympy.diag(*LEVELS)
    samples = drawn()
    assert sum((w * Y for w, Y in samples), sympy.zeros(4)) == A
    assert all(Y.rank() <= 3 for _, Y in samples)
    assert variance(samples, A) == at_levels(law.minimum_variance.value) == 2


def step_07_no_larger_bound_holds():
    assert variance(drawn(), sympy.diag(*LEVELS)) < sympy.Rational(1001, 1000) * at_levels(law.minimum_variance.value)


def step_08_no_smaller_value_is_the_variance_of_the_estimators():
    assert sympy.Rational(999, 1000) * at_levels(law.minimum_variance.value) < variance(drawn(), sympy.diag(*LEVELS))


def step_09_prac_is_the_error_of_a_haar_projection_of_the_tail():
    haar = law.error_orthogonal.value.subs({m: tail, r: k})
    assert is_zero(law.prac_variance.value - haar * E)


def step_10_prac_exceeds_the_minimum_by_the_spread_of_the_tail():
    """Lagrange: n sum s^2 - (sum s)^2 = sum_{i<j} (s_i - s_j)^2, for tails of 2 to 6 numbers, all symbolic."""
    for n in range(2, 7):
        s = sympy.symbols(f"s:{n}", nonnegative=True)
        numbers = {T: sum(s), E: sum(x**2 for x in s), tail: n}
        spread = sum((s[i] - s[j]) ** 2 for i in range(n) for j in range(i)) / k
        excess = (law.prac_variance.value - law.minimum_variance.value).subs(numbers)
        assert is_zero(excess - spread)


def step_11_prac_is_attained_as_a_minimum_by_a_flat_tail():
    flat = {T: tail * law.tail_most, E: tail * law.tail_most**2}
    assert is_zero((law.prac_variance.value - law.minimum_variance.value).subs(flat))


def step_12_prac_is_no_minimum_otherwise():
    assert at_levels(law.prac_variance.value) == 3 > at_levels(law.minimum_variance.value)


def step_13_without_a_head_the_identity_gives_m_over_r_minus_one():
    """A = I: T = E = m, and the worst relative error of a random matrix is at least its mean over the m axes."""
    identity = {T: m, E: m, k: r}
    assert is_zero(law.minimum_variance.value.subs(identity) - m * law.error_orthogonal.value)
    assert counterexample(law.error_gaussian.value - law.error_orthogonal.value, law.SIZES) is None


def step_14_dropped_unbiasedness_truncation_errs_less():
    """The 3 leading parts of LEVELS err by 1, half of the bound."""
    kept = sympy.diag(*LEVELS[:3], 0)
    assert variance([(1, kept)], sympy.diag(*LEVELS)) < at_levels(law.minimum_variance.value)


def step_15_beyond_a_head_below_the_level_the_bound_fails():
    """A = I_2 with r1 = 1, r = 2, k = 1: T/k = 1 = s_1 still; with s = (1, 1, 1) and r1 = 1, k = 1 the level is 2 > 1.

    There the bound would be 4 - 2 = 2, but r1 = 0 gives 9/2 - 3 = 3/2, which sampling two of three parts attains.
    """
    wrong = law.minimum_variance.value.subs({T: 2, E: 2, k: 1})
    half, third = sympy.Rational(3, 2), sympy.Rational(1, 3)
    samples = [(third, half * (sympy.eye(3) - sympy.diag(*[int(i == j) for i in range(3)]))) for j in range(3)]
    assert sum((w * Y for w, Y in samples), sympy.zeros(3)) == sympy.eye(3)
    assert variance(samples, sympy.eye(3)) == half < wrong == 2
