"""Theorem. Leave the details of a Haar transform out, with N = 2^level neighbours in a block. What is lost is the deviation from the
means of the blocks:

    (1 - 1/N)(1 - rho) of the energy        for entries of mean 0, one variance, mean correlation rho within blocks
    at most delta^2 (N^2 - 1) / 12 an entry   where neighbours differ by at most delta, with equality for a ramp

A rule whose steps have no details never changes the details of W, so on L |W|^2 / 2 its loss cannot fall below that of the
details of the start: the share (1 - 1/N)(1 - rho), which is reached when the approximation is solved.

Source:    derived; GWT without details is what a public re-implementation of https://arxiv.org/abs/2501.07237 does (read)
Bounds:    dropped_error, dropped_ramp, frozen_loss of sandbox.theory.wavelet
Not here:  that the transform is orthonormal (proof_haar_energy.py); |x_i - x_j| <= |i - j| delta (triangle inequality); that
           losses of blocks add up.
"""

import sympy

from sandbox.theory import wavelet as haar
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.induction import Induction
from sandbox.theory.wavelet import delta, level, rho

count, d = sympy.Symbol("count", positive=True), sympy.Symbol("d", integer=True)
a, b, u, v, L = sympy.symbols("a b u v L", real=True)
SIZES = ((1, 2), (2, 4), (3, 8))
FOUR = sympy.symbols("x0:4", real=True)


def lost(block) -> sympy.Expr:
    """Squared distance of a block from its mean."""
    mean = sum(block) / sympy.Integer(len(block))
    return sum((x - mean) ** 2 for x in block)


def mean_lost(size: int) -> sympy.Expr:
    """E of the same over E|block|^2 for unit variances: N - E A^2, by E x_i x_j = rho."""
    return sympy.expand(size - (size + size * (size - 1) * rho) / sympy.Integer(size)) / size


def ramp(size: int) -> list[sympy.Expr]:
    return [i * delta for i in range(size)]


squares_to, inner_sum, length = sympy.symbols("squares_to inner_sum length", real=True)
SUM_OF_SQUARES = (squares_to, sympy.Integer(0), squares_to + (length + 1) ** 2)  # 1 + 4 + .. + length^2
CERTIFICATES = (
    Certificate(
        name="details_are_what_a_frozen_loss_keeps",
        claim=L * (u**2 + v**2) / 2 - L * (u - v) ** 2 / 4,
        squares=((L / 4, u + v),),
        vectors=(u, v),
        domain=(L > 0,),
    ),
    Identity("details_of_a_block_of_four", lost(FOUR), sum((FOUR[i] - FOUR[j]) ** 2 for i in range(4) for j in range(i)) / 4),
    Induction(
        "details_sum_of_squares",
        claim=6 * squares_to - length * (length + 1) * (2 * length + 1),
        index=length,
        sequences=(SUM_OF_SQUARES,),
        relation="=",
    ),
    Induction(  # the sum over d < N of (N - d) d^2, for every N; a longer block adds the sum of squares, which the one above knows
        "details_of_a_ramp",
        claim=12 * inner_sum - length**2 * (length**2 - 1),
        index=length,
        sequences=(SUM_OF_SQUARES, (inner_sum, sympy.Integer(0), inner_sum + squares_to)),
        hypotheses=((-sympy.Integer(2), 6 * squares_to - length * (length + 1) * (2 * length + 1)),),
        relation="=",
    ),
)


def step_01_the_loss_is_the_mean_of_all_squared_differences_of_a_block():
    for size in (2, 4, 8):
        x = sympy.symbols(f"x:{size}", real=True)
        pairs = sum((x[i] - x[j]) ** 2 for i in range(size) for j in range(i))
        assert is_zero(lost(x) - pairs / size)


def step_02_its_mean_is_what_the_approximation_leaves():
    assert is_zero(haar.dropped_error.value - (1 - haar.approximation_share.value))
    for levels, size in SIZES:
        assert is_zero(haar.dropped_error.value.subs(level, levels) - mean_lost(size))


def step_03_neighbours_that_differ_by_delta_lose_at_most_what_a_ramp_loses():
    """(1/N) sum over distances of (N - d) (d delta)^2, per entry another 1/N; the sum for symbolic N."""
    total = sympy.summation((count - d) * d**2, (d, 1, count - 1))
    assert is_zero(total - count**2 * (count**2 - 1) / 12)
    assert is_zero(delta**2 * total / count**2 - haar.dropped_ramp.value.subs(haar.N, count))


def step_04_attained_by_a_ramp():
    for levels, size in SIZES:
        assert is_zero(lost(ramp(size)) / size - haar.dropped_ramp.value.subs(level, levels))


def step_05_attained_by_white_noise_and_by_a_constant():
    assert is_zero(haar.dropped_error.value.subs(rho, 0) - (1 - 1 / haar.N))
    assert haar.dropped_error.value.subs(rho, 1) == 0


def step_06_no_smaller_and_no_larger_value_will_do():
    for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert not is_zero(lost(ramp(4)) / 4 - factor * haar.dropped_ramp.value.subs(level, 2))
        assert not is_zero(mean_lost(4) - factor * haar.dropped_error.value.subs(level, 2))


def step_07_steps_without_details_leave_the_details_of_the_weight():
    """A step (s, s) / 2 on a pair: the difference of the pair does not change, whatever s."""
    s = sympy.Symbol("s")
    assert is_zero((u + s / 2) - (v + s / 2) - (u - v))


def step_08_so_the_loss_is_at_least_that_of_the_details():
    """L (u^2 + v^2) / 2 = L (u + v)^2 / 4 + L (u - v)^2 / 4: the first part can be solved, the second never moves."""
    assert is_zero(L * (u**2 + v**2) / 2 - L * (u + v) ** 2 / 4 - L * (u - v) ** 2 / 4)
    loss, details = L * (u**2 + v**2) / 2, L * (u - v) ** 2 / 4
    assert counterexample(loss - details, (L > 0,)) is None
    assert counterexample(loss - sympy.Rational(1001, 1000) * details, (L > 0,)) is not None  # reached where u + v = 0


def step_09_frozen_loss_attained_where_the_approximation_is_solved():
    """The start (1, 0) has the mean 1/2: from L/2 to L/4; as one sample of a pair with u v = 0, rho = 0."""
    solved = (sympy.Rational(1, 2), -sympy.Rational(1, 2))
    ratio = sum(x**2 for x in solved) / sympy.Integer(1)
    assert ratio == haar.frozen_loss.value.subs({level: 1, rho: 0})
    assert is_zero(haar.frozen_loss.value - haar.dropped_error.value)


def step_10_dropped_differences_of_neighbours_without_them_nothing_bounds_the_error():
    """Alternating signs: neighbours differ by 2, and the error is 1 per entry, not delta^2 (N^2-1)/12 of a smaller delta."""
    alternating = [1, -1, 1, -1]
    assert lost(alternating) / 4 > haar.dropped_ramp.value.subs({level: 2, delta: sympy.Rational(1, 2)})
    assert lost(alternating) / 4 < haar.dropped_ramp.value.subs({level: 2, delta: 2})


def step_11_beyond_isotropic_losses_the_frozen_details_are_not_the_floor():
    """f = (2 u + v)^2 / 2 from (1, 0): adding s = -2/3 to both solves it, although u - v is frozen."""
    s = sympy.Symbol("s", real=True)
    moved = ((2 * (1 + s) + s) ** 2 / 2).subs(s, -sympy.Rational(2, 3))
    assert moved == 0 and haar.frozen_loss.value.subs({level: 1, rho: 0}) > 0


def step_12_beyond_one_block_length_a_ramp_loses_more_than_four_times_as_much_in_a_block_of_twice_the_length():
    ratio = (haar.dropped_ramp.value.subs(level, 3) / haar.dropped_ramp.value.subs(level, 2)).subs(delta, 1)
    assert ratio == sympy.Rational(63, 15)


def step_13_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
