"""Theorem. The Haar transform of any level is orthonormal: |coefficients|^2 = |x|^2. Where the entries of a block of N = 2^level
neighbours have mean 0, one variance and mean correlation rho, the approximation holds the share

    (1 + (N - 1) rho) / N

of the energy: 1/N of white noise, all of a constant, and for rows with correlations phi^|i-j|
(N (1 - phi^2) - 2 phi (1 - phi^N)) / (N (1 - phi))^2. For exchangeable entries with rho >= 0 no other unit direction of the
block holds more. So compaction needs positive correlation within blocks, not smoothness. Rows of n entries that sum to 0, as
those of the gradient of a matrix behind a LayerNorm do (before its scale is trained), have less than white noise: averaged over all
orders of the columns exactly (n - N) / (N (n - 1)), whatever else the rows hold.

Source:    Haar (1910) for the transform; the shares derived
Bounds:    energy, approximation_share, ar1_share, centred_share of sandbox.theory.wavelet
Not here:  that sums over the levels and blocks add up.

Letters: y = phi^N, which stands for itself in the induction over N.
"""

from itertools import permutations

import sympy

from sandbox.theory import wavelet as haar
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.induction import Induction
from sandbox.theory.wavelet import level, phi, rho

even, odd, y = sympy.symbols("even odd y", real=True)
count = sympy.Symbol("count", positive=True)
SIZES = ((1, 2), (2, 4), (3, 8))  # level, N


def transform(levels: int) -> sympy.Matrix:
    """Rows: the approximation, then all details, as sandbox/optimizers/haar.py makes them from pairs."""
    root = 1 / sympy.sqrt(2)
    if levels == 0:
        return sympy.eye(1)
    size = 2**levels
    sums = sympy.Matrix(size // 2, size, lambda i, j: root if j // 2 == i else 0)
    differences = sympy.Matrix(size // 2, size, lambda i, j: (root if j % 2 == 0 else -root) if j // 2 == i else 0)
    return (transform(levels - 1) * sums).col_join(differences)


def energy_of_approximation(covariance: sympy.Matrix) -> sympy.Expr:
    """E A^2 over the mean energy of the block."""
    return sum(covariance) / covariance.rows / covariance.trace()


def equicorrelated(size: int) -> sympy.Matrix:
    return sympy.Matrix(size, size, lambda i, j: 1 if i == j else rho)


def autoregressive(size: int) -> sympy.Matrix:
    return sympy.Matrix(size, size, lambda i, j: phi ** abs(i - j))


def ar1_total(n: sympy.Expr, power: sympy.Expr) -> sympy.Expr:
    """Sum of phi^|i-j| over i, j < n, where power = phi^n."""
    return (n * (1 - phi**2) - 2 * phi * (1 - power)) / (1 - phi) ** 2


FOUR = sympy.symbols("u0:4", real=True)
total, sums, power, length = sympy.symbols("total sums power length", real=True)
POWER = (power, sympy.Integer(1), phi * power)  # phi^length
SUMS = (sums, sympy.Integer(0), sums + phi * power)  # phi + .. + phi^length
CERTIFICATES = (
    Identity("haar_energy_of_a_pair", even**2 + odd**2, ((even + odd) ** 2 + (even - odd) ** 2) / 2),
    Certificate(
        name="haar_mean_is_the_best_direction_of_four",
        claim=4 * sum(x**2 for x in FOUR) - sum(FOUR) ** 2,
        squares=tuple((sympy.Integer(1), FOUR[i] - FOUR[j]) for i in range(4) for j in range(i)),
        vectors=FOUR,
    ),
    Induction("haar_geometric_sum", claim=(1 - phi) * sums - phi * (1 - power), index=length, sequences=(POWER, SUMS), relation="="),
    Induction(  # total = the sum of phi^|i - j| over a row; a longer row adds 1 + 2 sums, which the one above knows
        "haar_autoregressive_row",
        claim=sympy.cancel((1 - phi) ** 2 * (total - ar1_total(length, power))),
        index=length,
        sequences=(POWER, SUMS, (total, sympy.Integer(0), total + 1 + 2 * sums)),
        hypotheses=((-2 * (1 - phi), (1 - phi) * sums - phi * (1 - power)),),
        relation="=",
    ),
)


def step_01_a_sum_and_a_difference_keep_the_energy_of_a_pair():
    assert is_zero(haar.energy.value * (even**2 + odd**2) - ((even + odd) ** 2 + (even - odd) ** 2) / 2)


def step_02_so_every_level_is_orthonormal():
    for levels, size in SIZES:
        H = transform(levels)
        assert H.shape == (size, size)
        assert (H * H.T).applyfunc(sympy.expand) == haar.energy.value * sympy.eye(size)


def step_03_the_approximation_is_the_sum_of_the_block_over_root_N():
    for levels, size in SIZES:
        assert all(is_zero(entry**2 - sympy.Rational(1, size)) and entry > 0 for entry in transform(levels).row(0))


def step_04_its_share_for_any_covariance_with_mean_correlation_rho():
    """E A^2 = (N + N (N-1) rho) / N of N for symbolic N: only the mean of the off-diagonal entries counts."""
    assert is_zero((count + count * (count - 1) * rho) / count / count - haar.approximation_share.value.subs(haar.N, count))


def step_05_attained_by_equicorrelated_entries():
    for levels, size in SIZES:
        assert is_zero(energy_of_approximation(equicorrelated(size)) - haar.approximation_share.value.subs(level, levels))


def step_06_white_noise_has_one_over_N_and_a_constant_everything():
    assert is_zero(haar.approximation_share.value.subs(rho, 0) * haar.N - 1)
    assert is_zero(haar.approximation_share.value.subs(rho, 1) - 1)


def step_07_autoregressive_rows_by_induction_over_the_length():
    """A longer row adds 1 + 2 (phi + ... + phi^n) = 1 + 2 phi (1 - phi^n) / (1 - phi)."""
    longer = ar1_total(count + 1, y * phi) - ar1_total(count, y)
    assert is_zero(longer - (1 + 2 * phi * (1 - y) / (1 - phi)))
    assert is_zero(ar1_total(sympy.Integer(1), phi) - 1)
    assert is_zero(haar.ar1_share.value.subs(level, 2) - ar1_total(sympy.Integer(4), phi**4) / 16)


def step_08_attained_by_autoregressive_rows_written_out():
    for levels, size in SIZES:
        assert is_zero(energy_of_approximation(autoregressive(size)) - haar.ar1_share.value.subs(level, levels))


def step_09_a_pair_of_an_autoregressive_row_has_half_of_one_plus_phi():
    assert is_zero(haar.ar1_share.value.subs(level, 1) - (1 + phi) / 2)


def step_10_the_mean_of_the_block_is_the_best_direction_for_exchangeable_entries():
    """E <u, x>^2 = 1 - rho + rho (sum u)^2 for a unit u, and N - (sum u)^2 = sum_{i<j} (u_i - u_j)^2 where |u| = 1."""
    for _, size in SIZES:
        u = sympy.symbols(f"u:{size}", real=True)
        spread = sum((u[i] - u[j]) ** 2 for i in range(size) for j in range(i))
        assert is_zero(size * sum(x**2 for x in u) - sum(u) ** 2 - spread)


def share_over_orders(row: tuple[int, ...], size: int) -> sympy.Expr:
    """Mean over all orders of the energy of the blocks' approximations over that of the row."""
    shares = []
    for order in permutations(row):
        blocks = [order[i : i + size] for i in range(0, len(row), size)]
        shares.append(sympy.Rational(sum(sum(block) ** 2 for block in blocks), size * sum(x**2 for x in row)))
    return sum(shares) / len(shares)


def step_11_rows_that_sum_to_zero_have_the_mean_correlation_minus_one_over_n_minus_one():
    """0 = (sum x)^2 = sum x_i^2 + sum over pairs, and every pair meets equally often over all orders."""
    n = haar.n
    assert is_zero(haar.centred_share.value - haar.approximation_share.value.subs(rho, -1 / (n - 1)))
    assert counterexample(1 - haar.N.subs(level, 2) * haar.centred_share.value.subs(level, 2), (n >= 4,)) is None


def step_12_attained_by_every_row_that_sums_to_zero():
    for row in ((3, -1, -2, 0), (1, 1, 1, -3), (5, -2, -2, -1)):
        for levels, size in ((1, 2), (2, 4)):
            assert share_over_orders(row, size) == haar.centred_share.value.subs({level: levels, haar.n: 4})
    assert share_over_orders((1, 2, -3, 4, -5, 1), 2) == haar.centred_share.value.subs({level: 1, haar.n: 6})


def step_13_dropped_the_zero_sum_the_share_is_another():
    assert share_over_orders((3, -1, -2, 1), 2) != haar.centred_share.value.subs({level: 1, haar.n: 4})


def step_14_no_smaller_and_no_larger_share_will_do():
    for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert not is_zero(factor * haar.approximation_share.value.subs(level, 1) - energy_of_approximation(equicorrelated(2)))
        assert not is_zero(factor * haar.ar1_share.value.subs(level, 2) - energy_of_approximation(autoregressive(4)))


def step_15_dropped_equal_variances_the_share_is_another():
    unequal = sympy.diag(3, 1) * equicorrelated(2) * sympy.diag(3, 1)
    assert not is_zero(energy_of_approximation(unequal) - haar.approximation_share.value.subs(level, 1))


def step_16_dropped_exchangeability_smooth_rows_need_their_own_formula():
    """The correlation phi of neighbours in place of the mean correlation of the block says too much."""
    phi_0 = {rho: sympy.Rational(1, 2), phi: sympy.Rational(1, 2), level: 2}
    assert haar.ar1_share.value.subs(phi_0) < haar.approximation_share.value.subs(phi_0)


def step_17_beyond_the_least_correlation_no_covariance_exists():
    """(1 + (N-1) rho) < 0 would be a negative energy; at -1/(N-1) the approximation is empty."""
    assert haar.approximation_share.value.subs({level: 2, rho: -sympy.Rational(1, 3)}) == 0
    assert counterexample(haar.approximation_share.value.subs(level, 2), (rho <= 1, rho >= -1)) is not None


def step_18_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
