"""Theorem. A second moment is kept in p >= 2 significant bits, v <- round(b2 v + (1 - b2) G), to nearest, ties to even; no
underflow. With gradients of 0 (G = 0)

    every v stays where it is   exactly if   b2 >= 1 - 2^(-p-1),           1 - 1/512 in bfloat16;
    no v stays where it is      exactly if   b2 <= 1 - 1 / (2^p + 2),      1 - 1/258 in bfloat16.

With constant G > v, v can stay only while G / v <= 1 + 2^-p / (1 - b2), which powers of two attain: 4.9 in bfloat16 at 0.999.

Source:    derived; that bfloat16 states freeze was seen by users of Adam-mini from version 1.0.3 on
Bounds:    freezing_beta2, decaying_beta2, stalled_ratio of sandbox.theory.adam_mini_precision
Not here:  that the average is rounded once (torch's lerp of bfloat16 tensors computes in float32, whose own rounding is 2^-16
           of these distances).

Letters: v = M in units of its last place, N <= M <= 2 N - 1, N = 2^(p-1); e = 1 - b2. The next number above M is M + 1, the
next below M - 1, and below M = N, where the unit halves, N - 1/2.
"""

from fractions import Fraction

import sympy

from sandbox.theory.adam_mini_precision import b2, decaying_beta2, freezing_beta2, p, stalled_ratio
from sandbox.theory.certificate import Certificate, counterexample, is_zero

M, N, e, G = sympy.symbols("M N e G", real=True)
mantissa = (N >= 2, M >= N + 1, M <= 2 * N - 1)
bits = {N: 2 ** (p - 1)}
freezing, decaying = 1 - freezing_beta2.value, 1 - decaying_beta2.value


def place_of(x: Fraction, size: int) -> Fraction:
    """The unit in the last of `size` significant bits: 2^(size-1) to 2^size of them make x > 0."""
    unit = Fraction(1)
    while x / unit >= 2**size:
        unit *= 2
    while x / unit < 2 ** (size - 1):
        unit /= 2
    return unit


def rounded(x: Fraction, size: int) -> Fraction:
    """To nearest, ties to the even number of places."""
    unit = place_of(x, size)
    whole, rest = divmod(x / unit, 1)
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1)
    return (whole + up) * unit


def stays(beta2: Fraction, size: int, square: Fraction = Fraction(0)) -> list[bool]:
    """For every number of the binade from 1 to 2, whether it stays."""
    low = 2 ** (size - 1)
    return [rounded(beta2 * v + (1 - beta2) * square, size) == v for v in (Fraction(m, low) for m in range(low, 2 * low))]


def fraction(expr: sympy.Expr, size: int) -> Fraction:
    number = expr.subs(p, size)
    return Fraction(int(number.p), int(number.q))


CERTIFICATES = (
    Certificate(
        name="frozen_below_half_a_place",
        claim=sympy.Rational(1, 2) - M / (4 * N),
        hypotheses=((1 / (4 * N), M - 2 * N + 1),),
        squares=((1 / (4 * N), sympy.Integer(1)),),
        domain=(N >= 2,),
    ),
    Certificate(
        name="decaying_beyond_half_a_place",
        claim=M / (2 * (N + 1)) - sympy.Rational(1, 2),
        hypotheses=((1 / (2 * (N + 1)), N + 1 - M),),
        domain=(N >= 2,),
    ),
    Certificate(
        name="decaying_power_of_two",
        claim=N / (2 * (N + 1)) - sympy.Rational(1, 4),
        squares=(((N - 1) / (4 * (N + 1)), sympy.Integer(1)),),
        domain=(N >= 2,),
    ),
    Certificate(
        name="stalled_ratio_is_largest_at_a_power_of_two",
        claim=1 / (2 * e * N) - 1 / (2 * e * M),
        hypotheses=((1 / (2 * e * M * N), N - M),),
        domain=(N >= 2, M >= 2, e > 0),
    ),
)


def step_01_inside_a_binade_the_loss_is_below_half_a_place():
    """e M < 1/2 for every M <= 2 N - 1 at the threshold e = 1 / (4 N)."""
    assert is_zero(freezing - (1 / (4 * N)).subs(bits))
    assert counterexample(sympy.Rational(1, 2) - M / (4 * N), mantissa) is None
    assert counterexample((M / (4 * N)) - sympy.Rational(1, 2), mantissa) is not None  # and strictly, with room


def step_02_at_a_power_of_two_it_is_exactly_half_of_the_smaller_place_and_the_tie_goes_back():
    """e N = 1/4, half of the 1/2 below; N = 2^(p-1) is even. A larger e is beyond the middle, so that N moves."""
    assert is_zero(N / (4 * N) - sympy.Rational(1, 4))
    assert is_zero((N / 2).subs(bits) - 2 ** (p - 2))  # a whole number, p >= 2
    assert counterexample(e * N - sympy.Rational(1, 4), (N >= 2, 4 * N * e >= 1)) is None


def step_03_every_number_moves_once_the_smallest_odd_one_does():
    """At e = 1 / (2 (N + 1)): M = N + 1 is odd and at the middle, all larger M beyond it, and e N > 1/4."""
    threshold = 1 / (2 * (N + 1))
    assert is_zero(decaying - threshold.subs(bits))
    assert counterexample(M * threshold - sympy.Rational(1, 2), mantissa) is None
    assert counterexample(N * threshold - sympy.Rational(1, 4), (N >= 2,)) is None


def step_04_all_of_it_is_attained_by_exact_rounding_of_every_mantissa():
    for size in (2, 3, 4, 8):
        assert all(stays(fraction(freezing_beta2.value, size), size))
        assert not any(stays(fraction(decaying_beta2.value, size), size))


def step_05_no_smaller_freezing_and_no_larger_decaying_beta2_will_do():
    for size in (3, 8):
        assert not all(stays(fraction(freezing_beta2.value, size) - Fraction(1, 10**6), size))
        assert any(stays(fraction(decaying_beta2.value, size) + Fraction(1, 10**6), size))


def step_06_between_the_two_some_stay_and_some_do_not():
    assert 1 - Fraction(1, 512) > Fraction(997, 1000) > 1 - Fraction(1, 258)
    between = stays(Fraction(997, 1000), 8)
    assert any(between) and not all(between)


def step_07_a_constant_square_moves_v_only_beyond_half_a_place():
    """e (G - M) <= 1/2: G / M = 1 + 1 / (2 e M), largest at M = N, an even tie."""
    ratio = 1 + 1 / (2 * e * M)
    assert counterexample(ratio.subs(M, N) - ratio, (*mantissa, e > 0)) is None
    assert is_zero(ratio.subs(M, N).subs(bits).subs(e, 1 - b2) - stalled_ratio.value)


def step_08_the_ratio_is_attained_in_bfloat16_and_no_smaller_one_will_do():
    beta2 = Fraction(999, 1000)
    ratio = stalled_ratio.value.subs({p: 8, b2: sympy.Rational(999, 1000)})
    assert ratio == sympy.Rational(157, 32)
    square = Fraction(157, 32)
    assert rounded(beta2 + (1 - beta2) * square, 8) == 1
    assert rounded(beta2 + (1 - beta2) * square * Fraction(1001, 1000), 8) > 1


def step_09_rounding_to_nearest_cannot_be_dropped():
    """Towards zero, as truncation does, every v moves at every beta2 < 1: beta2 v lies below v."""
    beta2 = fraction(freezing_beta2.value, 8)
    for v in (Fraction(1), Fraction(3, 2)):
        unit = place_of(beta2 * v, 8)
        assert (beta2 * v) // unit * unit < v


def step_10_beyond_eight_bits_the_usual_beta2_is_safe():
    """0.999 freezes 8 significant bits and lies below the decaying threshold of 11 and of 24."""
    usual = sympy.Rational(999, 1000)
    assert usual >= freezing_beta2.value.subs(p, 8)
    assert usual < decaying_beta2.value.subs(p, 24)
    assert decaying_beta2.value.subs(p, 11) < freezing_beta2.value.subs(p, 11) and usual < decaying_beta2.value.subs(p, 11)


def step_11_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
