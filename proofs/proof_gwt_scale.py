"""Theorem. GWT under Adam divides details by the moments of the approximation and averages them not at all. Where the gradient is
white noise of variance v and the second moment stands at its mean, step t has the root mean square (over lr and scale)

    sqrt(a (1 - b1^(2 t)) / N + 1 - 1/N) / (1 - b1^t),    a = (1 - b1)/(1 + b1),  N = 2^level,

so Adam's own, sqrt a in the limit, is restored by scale = sqrt(a / (a/N + 1 - 1/N)): 0.263 at level 2 and b1 = 0.9, the published
0.25. A detail is 1 / (1 - b1^t) times the detail over the corrected root of v: ten times at the first step. The first step
has the detail 1 / ((1 - b1) imbalance), imbalance = |A| / |D|: no bound, where Adam's entries stay below (1 - b1)/sqrt(1 - b2).

Source:    derived, for the update of the authors' repository (zqOuO/GWT), read; Adam's bound is Kingma & Ba (2015), section 2.1
Bounds:    step_rms, restoring_scale, detail_amplification, first_detail of sandbox.theory.wavelet
Not here:  that v stands at its mean, which it does as b2 -> 1; that an orthonormal transform keeps mean squares.

Letters: x = b1^t, y = b2^t; c = sqrt(1 - y) / (1 - x) is Adam's correction; A, D coefficients of one block.
"""

import sympy

from sandbox.theory import wavelet as gwt
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.wavelet import b1, imbalance, level, noise_share, t

x, N, b2, A, D = sympy.symbols("x N b2 A D", positive=True)
root_v = sympy.Symbol("root_v", positive=True)  # corrected root of the second moment


def in_letters(value: sympy.Expr) -> sympy.Expr:
    """b1^t as x, 2^level as N."""
    return value.subs(b1 ** (2 * t), x**2).subs(b1**t, x).subs(gwt.N, N)


def mean_square_of_average(steps: int) -> sympy.Expr:
    """E m_t^2 of independent numbers of variance 1."""
    return sum(((1 - b1) * b1**j) ** 2 for j in range(steps))


def one_block(steps: int, size: int) -> sympy.Expr:
    """Mean square of a step over lr and scale, entry by entry: one averaged coefficient and size - 1 raw ones."""
    correction = 1 / (1 - b1**steps)
    return (mean_square_of_average(steps) + size - 1) * correction**2 / size


CERTIFICATES = (
    Identity("average_of_noise", b1**2 * noise_share * (1 - x**2) + (1 - b1) ** 2, noise_share * (1 - (b1 * x) ** 2)),
    Identity("size_of_a_step", in_letters(gwt.step_rms.value**2), (noise_share * (1 - x**2) + N - 1) / N / (1 - x) ** 2),
)


def step_01_an_average_of_white_noise_by_induction():
    """E m_t^2 = b1^2 E m_(t-1)^2 + (1 - b1)^2, solved by a (1 - b1^(2 t))."""
    assert is_zero(b1**2 * noise_share * (1 - x**2) + (1 - b1) ** 2 - noise_share * (1 - (b1 * x) ** 2))


def step_02_the_mean_square_of_a_step():
    """c m / sqrt(v) with v = (1 - y) times its mean 1: m / (1 - x); the same factor on the details."""
    square = (noise_share * (1 - x**2) + N - 1) / N / (1 - x) ** 2
    assert is_zero(in_letters(gwt.step_rms.value**2) - square)
    for one in CERTIFICATES:
        one.check()


def step_03_attained_by_blocks_written_out():
    for levels, steps in ((1, 1), (1, 3), (2, 2), (3, 4)):
        assert is_zero(gwt.step_rms.value.subs({level: levels, t: steps}) ** 2 - one_block(steps, 2**levels))


def step_04_the_first_step_of_a_coefficient_is_one():
    assert is_zero(in_letters(gwt.step_rms.value**2).subs(x, b1).subs(N, 1) - 1)


def step_05_the_scale_that_restores_adam():
    limit = in_letters(gwt.step_rms.value**2).subs(x, 0)
    assert is_zero(in_letters(gwt.restoring_scale.value**2) * limit - noise_share)


def step_06_at_level_2_and_nine_tenths_it_is_between_26_and_27_hundredths():
    square = gwt.restoring_scale.value.subs({level: 2, b1: sympy.Rational(9, 10)}) ** 2
    assert sympy.Rational(26, 100) ** 2 < square < sympy.Rational(27, 100) ** 2


def step_07_details_are_enlarged_by_the_missing_average():
    """c D / sqrt(v) with sqrt(v) = sqrt(1 - y) root_v."""
    y = sympy.Symbol("y", positive=True)
    correction = sympy.sqrt(1 - y) / (1 - x)
    assert is_zero(correction * D / (sympy.sqrt(1 - y) * root_v) - in_letters(gwt.detail_amplification.value) * D / root_v)


def step_08_attained_ten_times_at_the_first_step():
    assert gwt.detail_amplification.value.subs({b1: sympy.Rational(9, 10), t: 1}) == 10


def step_09_the_first_step_written_out():
    """m = (1 - b1) A, v = (1 - b2) A^2, c = sqrt(1 - b2) / (1 - b1): the approximation moves by 1, the detail by D / ((1 - b1) |A|)."""
    correction, root = sympy.sqrt(1 - b2) / (1 - b1), sympy.sqrt(1 - b2) * A
    assert is_zero(correction * (1 - b1) * A / root - 1)
    assert is_zero(correction * D / root - gwt.first_detail.value.subs(imbalance, A / D))


def step_10_which_no_number_bounds():
    """A pair (1 + e, -1 + e) has the imbalance e."""
    e = sympy.Symbol("e", positive=True)
    assert is_zero(((1 + e) + (-1 + e)) / ((1 + e) - (-1 + e)) - e)
    assert sympy.limit(gwt.first_detail.value.subs(b1, 0), imbalance, 0, "+") == sympy.oo


def step_11_no_smaller_and_no_larger_value_will_do():
    for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert not is_zero((factor * gwt.step_rms.value.subs({level: 1, t: 2})) ** 2 - one_block(2, 2))
        assert factor * gwt.detail_amplification.value.subs({b1: sympy.Rational(9, 10), t: 1}) != 10


def step_12_dropped_averaging_of_the_approximation_the_step_is_one_everywhere():
    """b1 = 0: every coefficient has the mean square 1, and the scale that restores it is 1."""
    assert is_zero(gwt.step_rms.value.subs(b1, 0).subs(t, 1) - 1) and gwt.restoring_scale.value.subs(b1, 0) == 1


def step_13_dropped_whiteness_a_constant_gradient_makes_steps_of_one_and_no_details():
    """m = (1 - x) A and v = A^2: the approximation moves by 1, so the mean square is 1/N, which is not the law."""
    constant = {level: 1, b1: sympy.Rational(9, 10), t: 1}
    assert gwt.step_rms.value.subs(constant) ** 2 != sympy.Rational(1, 2)


def step_14_beyond_many_levels_the_scale_is_that_of_momentum_alone():
    """N -> oo: sqrt a = 0.229 at b1 = 0.9; the scale falls with the level towards it, and never below."""
    square = in_letters(gwt.restoring_scale.value**2)
    assert is_zero(sympy.limit(square, N, sympy.oo) - noise_share)
    assert counterexample(square - noise_share, (N >= 1, b1 >= 0, b1 < 1)) is None
