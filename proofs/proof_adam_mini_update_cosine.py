"""Theorem. In a block let s_i = sqrt(v_i) > 0, q^2 the mean of v, k = max s / min s. Adam moves entry i by u_i = m_i / s_i,
Adam-mini by u_i s_i / q. With M1, M2, M4 the means of s, s^2, s^4, weighted by u_i^2, the cosine of the two updates is

    M1 / sqrt(M2)  >=  2 sqrt(k) / (k + 1)      for all first moments.

Where |m_i| = s_i, entries that noise decides, u_i^2 = 1: the means are plain, the norms equal, and with spread = sd(s) / M1,
snr = M2^2 / (M4 - M2^2)

    cosine = 1 / sqrt(1 + spread^2)  >=  sqrt(snr / (1 + snr)).

Hence |difference| / |Adam's update| = sqrt(2 (1 - cosine)), at most sqrt(2 - sqrt 2) = 0.765 where snr >= 1.

Source:    derived; sharp. For gamma laws the difference at snr = 1 is 0.48, which is not the worst case
Bounds:    update_cosine, update_cosine_of_range, update_cosine_of_snr of sandbox.theory.adam_mini_mean
Not here:  nothing
"""

import sympy

from sandbox.theory.adam_mini_mean import k, snr, spread, update_cosine, update_cosine_of_range, update_cosine_of_snr
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero

s, b, M1, M2, M4, w = sympy.symbols("s b M1 M2 M4 w", positive=True)
KANTOROVICH = Certificate(  # cosine^2 >= bound^2, from (s - 1)(k - s) >= 0 in the mean
    name="cosine_of_a_range",
    claim=M1**2 - update_cosine_of_range.value**2 * M2,
    hypotheses=((4 * k / (k + 1) ** 2, M2 - (1 + k) * M1 + k),),
    squares=((1 / (k + 1) ** 2, (1 + k) * M1 - 2 * k),),
    domain=update_cosine_of_range.requires,
)
TANGENT = Identity("cubic_tangent", s**4 - 3 * b**2 * s**2 + 2 * b**3 * s, s * (s - b) ** 2 * (s + 2 * b))
CERTIFICATES = (KANTOROVICH, TANGENT)


def step_01_the_cosine_is_M1_over_root_M2_and_under_noise_both_updates_have_one_norm():
    """sum u^2 s / q over the roots of sum u^2 and of sum u^2 s^2 / q^2; q drops out."""
    u1, u2, s1, s2, q = sympy.symbols("u1 u2 s1 s2 q", positive=True)
    adam, mini = sympy.Matrix([u1, u2]), sympy.Matrix([u1 * s1, u2 * s2]) / q
    mean = lambda x1, x2: (u1**2 * x1 + u2**2 * x2) / (u1**2 + u2**2)  # noqa: E731
    assert is_zero(adam.dot(mini) ** 2 / (adam.dot(adam) * mini.dot(mini)) - mean(s1, s2) ** 2 / mean(s1**2, s2**2))
    noise = {u1: 1, u2: 1, q: sympy.sqrt((s1**2 + s2**2) / 2)}
    assert is_zero((adam.dot(adam) - mini.dot(mini)).subs(noise))
    assert is_zero((update_cosine.value**2).subs(spread**2, (M2 - M1**2) / M1**2) - M1**2 / M2)


def step_02_the_difference_follows():
    cosine = sympy.Symbol("cosine")
    assert is_zero((1 - 2 * cosine + 1) - 2 * (1 - cosine))
    assert is_zero(2 * (1 - update_cosine_of_snr.value.subs(snr, 1)) - (2 - sympy.sqrt(2)))


def step_03_within_a_range():
    KANTOROVICH.check()
    assert is_zero((s - 1) * (k - s) + (s**2 - (1 + k) * s + k))


def step_04_within_a_signal_to_noise_ratio():
    """The mean of the tangent, at b = M2 / M1: M4 - M2^3 / M1^2 >= 0."""
    TANGENT.check()
    assert counterexample(TANGENT.right, ()) is None
    mean = (M4 - 3 * b**2 * M2 + 2 * b**3 * M1).subs(b, M2 / M1)
    assert is_zero(mean - (M4 - M2**3 / M1**2))
    assert is_zero((update_cosine_of_snr.value**2).subs(snr, M2**2 / (M4 - M2**2)) - M2**2 / M4)


def step_05_the_range_is_attained_by_a_share_of_large_entries():
    large = 1 / (k + 1)
    mean, square = large * k + (1 - large), large * k**2 + (1 - large)
    assert is_zero(mean**2 / square - update_cosine_of_range.value**2)


def step_06_the_ratio_is_attained_by_entries_that_are_alike_beside_entries_of_nothing():
    mean, square, fourth = w * b, w * b**2, w * b**4
    ratio = square**2 / (fourth - square**2)
    assert is_zero(mean**2 / square - (update_cosine_of_snr.value**2).subs(snr, ratio))


def step_07_no_larger_bound_and_no_smaller_identity_will_do():
    """s = 1 and 4 in the shares 4/5 and 1/5: M1 = 8/5, M2 = 4, cosine 4/5 = 2 sqrt(4) / 5; spread^2 = 9/16."""
    assert sympy.Rational(1001, 1000) * update_cosine_of_range.value.subs(k, 4) > sympy.Rational(4, 5)
    assert update_cosine.value.subs(spread, sympy.Rational(3, 4)) == sympy.Rational(4, 5)
    assert (sympy.Rational(1001, 1000) * update_cosine_of_snr.value.subs(snr, 1)) ** 2 > sympy.Rational(1, 2)  # w = 1/2 above


def step_08_the_noise_cannot_be_dropped():
    """m = (1, 8), s = (1, 64): steps (1, 1/8) and along (1, 8), of cosine 16/65, the bound of the range; that of the ratio is 0.7."""
    steps = sympy.Matrix([1, sympy.Rational(8, 64)]), sympy.Matrix([1, 8])
    cosine2 = steps[0].dot(steps[1]) ** 2 / (steps[0].dot(steps[0]) * steps[1].dot(steps[1]))
    assert cosine2 == sympy.Rational(16, 65) ** 2 == update_cosine_of_range.value.subs(k, 64) ** 2
    square, fourth = sympy.Rational(1 + 64**2, 2), sympy.Rational(1 + 64**4, 2)
    assert cosine2 < update_cosine_of_snr.value.subs(snr, square**2 / (fourth - square**2)) ** 2


def step_09_beyond_the_range_the_inequality_turns():
    assert counterexample((s - 1) * (k - s), (k >= 1, s >= 1)) is not None
    assert counterexample((s - 1) * (k - s), (k >= 1, s <= k)) is not None
