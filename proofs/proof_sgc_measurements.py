"""Theorem. Let A (k, d) have independent columns of length 1 with mean 0 and E a a^T = I / k (uniform on the sphere, or signs over
sqrt k). For every x, with kappa = sum_i x_i^4 / |x|^4,

    E |A x|^2 = |x|^2,     Var |A x|^2 = (2 / k) (1 - kappa) |x|^4.

So one entry is measured without error, s equal entries with variance (2/k)(1 - 1/s), never more; columns of N(0, 1/k)
without the scaling to length 1 have 2/k, whatever x. The error depends on k alone and not on d.

Source:    derived
Bound:     energy_spread of sandbox.theory.sparse_recovery
Not here:  that products of independent mean-0 columns have mean 0; E <a_i, a_j>^2 = tr(I/k I/k) = 1/k is step 1.
"""

from itertools import product

import sympy

from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.sparse_recovery import energy_spread, k, kappa

s = sympy.Symbol("s", positive=True)
x = sympy.symbols("x0:3", real=True)


def signs(rows: int) -> list[sympy.Matrix]:
    return [sympy.Matrix(v) / sympy.sqrt(rows) for v in product((1, -1), repeat=rows)]


def axes(rows: int) -> list[sympy.Matrix]:
    return [sign * sympy.eye(rows)[:, i] for i in range(rows) for sign in (1, -1)]


def concentration(entries) -> sympy.Expr:
    return sum(e**4 for e in entries) / sum(e**2 for e in entries) ** 2


def measured(chosen, entries) -> sympy.Matrix:
    return sum((e * a for e, a in zip(entries, chosen, strict=True)), sympy.zeros(chosen[0].rows, 1))


def energies(columns, entries) -> list[sympy.Expr]:
    """|A x|^2 for every choice of the columns, all equally likely."""
    seen = [measured(chosen, entries) for chosen in product(columns, repeat=len(entries))]
    return [y.dot(y) for y in seen]


def mean_and_variance(columns, entries) -> tuple[sympy.Expr, sympy.Expr]:
    seen = [sympy.expand(e) for e in energies(columns, entries)]
    mean = sympy.expand(sum(seen) / len(seen))
    return mean, sympy.expand(sum(e**2 for e in seen) / len(seen) - mean**2)


y = tuple(e**2 for e in x)
CERTIFICATES = (
    Identity(
        "measurements_variance_of_three_entries",
        4 * sum(y[i] * y[j] for i in range(3) for j in range(i)) / k,
        energy_spread.value.subs(kappa, concentration(x)) * sum(y) ** 2,
    ),
    Identity("measurements_unit_length", energy_spread.value + 2 * kappa / k, 2 / k),
    Certificate(
        name="measurements_equal_entries_are_the_worst",
        claim=3 * sum(e**2 for e in y) - sum(y) ** 2,
        squares=tuple((sympy.Integer(1), y[i] - y[j]) for i in range(3) for j in range(i)),
    ),
    Certificate(
        name="measurements_never_more_than_gaussian",
        claim=2 / k - energy_spread.value,
        squares=((2 * kappa / k, sympy.Integer(1)),),
        domain=(k >= 1, kappa >= 0),
    ),
)


def step_01_two_columns_have_the_mean_square_product_one_over_k():
    size = sympy.Symbol("size", positive=True)
    assert is_zero(size * (1 / size) ** 2 - 1 / size)  # trace of (I/k)(I/k)
    for rows in (2, 3):
        pairs = [a.dot(b) ** 2 for a in signs(rows) for b in signs(rows)]
        assert is_zero(sum(pairs) / len(pairs) - sympy.Rational(1, rows))


def step_02_the_variance_is_the_sum_over_pairs_of_entries():
    """|A x|^2 - |x|^2 = 2 sum_{i<j} x_i x_j <a_i, a_j>, terms uncorrelated: 4 sum_{i<j} x_i^2 x_j^2 / k."""
    pairs = 4 * sum(x[i] ** 2 * x[j] ** 2 for i in range(3) for j in range(i)) / k
    total = sum(e**2 for e in x) ** 2
    assert is_zero(pairs - energy_spread.value.subs(kappa, concentration(x)) * total)


def step_03_attained_by_all_sign_matrices_of_two_rows():
    mean, variance = mean_and_variance(signs(2), x)
    limit = energy_spread.value.subs({k: 2, kappa: concentration(x)})
    assert is_zero(mean - sum(e**2 for e in x)) and is_zero(variance - limit * sum(e**2 for e in x) ** 2)


def step_04_attained_by_all_signed_axes_of_three_rows():
    entries = x[:2]
    mean, variance = mean_and_variance(axes(3), entries)
    limit = energy_spread.value.subs({k: 3, kappa: concentration(entries)})
    assert is_zero(mean - sum(e**2 for e in entries)) and is_zero(variance - limit * sum(e**2 for e in entries) ** 2)


def step_05_no_smaller_and_no_larger_value_will_do():
    _, variance = mean_and_variance(signs(2), (1, 1))
    limit = energy_spread.value.subs({k: 2, kappa: sympy.Rational(1, 2)}) * 4
    assert variance == limit
    for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert variance != factor * limit


def step_06_s_equal_entries_are_the_worst_of_s():
    """kappa >= 1/s by Cauchy & Schwarz: s sum x^4 - (sum x^2)^2 is a sum of squares; and 2/k is never reached."""
    y = [e**2 for e in x]
    spread = sum((y[i] - y[j]) ** 2 for i in range(3) for j in range(i))
    assert is_zero(3 * sum(e**2 for e in y) - sum(y) ** 2 - spread)
    assert counterexample(2 / k - energy_spread.value, energy_spread.requires) is None


def step_07_one_entry_is_measured_without_error():
    assert energy_spread.value.subs(kappa, 1) == 0


def step_08_dropped_unit_length_the_variance_is_two_over_k_whatever_x():
    """N(0, 1/k): each |A x|^2 k / |x|^2 is a chi-square of k, variance 2 k; the lengths of the columns add (2/k) kappa."""
    assert is_zero(energy_spread.value + 2 * kappa / k - 2 / k)


def step_09_dropped_the_mean_of_0_the_mean_is_too_large():
    """Axes without signs have E a a^T = I / 2 too, but two of them are the same half of the time: 3, not 2."""
    mean, _ = mean_and_variance([sympy.eye(2)[:, i] for i in range(2)], (1, 1))
    assert mean == 3


def step_10_beyond_independent_columns_the_mean_itself_fails():
    """Both columns the same: |A (1, 1)|^2 = 4, not 2."""
    a = signs(2)[0]
    assert measured((a, a), (1, 1)).dot(measured((a, a), (1, 1))) == 4


def step_11_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
