"""Theorem. Let T g be g on its s entries of largest magnitude of d.
  1. |T g|^2 >= (s/d) |g|^2, with equality for entries of one magnitude.
  2. With exact gradients w+ = w - lr T grad f(w) converges on every L-smooth f although T is biased and nothing feeds the rest back:
     sum |grad f|^2 <= 2 d / (s lr (2 - lr L)) (f(w_0) - f(w_K)), 0 < lr L < 2; equality for one step on L |w|^2 / 2.
  3. With noise it can stall for ever: f = sum of squares of `signals` entries of size a, noise +-sigma, sigma > a, in s other
     entries: T keeps the noise alone and |grad f|^2 = signals a^2, with any rule on A T g that is linear in it (gradient
     descent, momentum: its steps are measurements of the same s entries); a step of Adam is none, and nothing is said of it.
  4. Of independent N(0, 1) entries those above tau in size are the share erfc(tau / sqrt 2), and hold the share
     erfc(tau / sqrt 2) + tau sqrt(2/pi) exp(-tau^2/2) of the energy.

Source:    derived; 1 is folklore (Stich et al. 2018, https://arxiv.org/abs/1809.07599, recalled)
Bounds:    largest_share, gradient_sum, noise_stall, gaussian_count, gaussian_share of sandbox.theory.sparse_recovery
Not here:  the descent lemma; that an average of the s largest squares is at least that of all d; the law of large numbers for the
           order statistics of 4; exact recovery (proof_sgc_recovery.py).
"""

import sympy

from sandbox.theory import sparse_recovery as sgc
from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.sparse_recovery import L, a, d, lr, s, sigma, signals

g, w = sympy.symbols("g w", real=True)
z, kept = sympy.Symbol("z", nonnegative=True), sympy.Symbol("kept", nonnegative=True)  # kept = |T g|^2
concrete = {L: 1, lr: sympy.Rational(1, 2), s: 1, d: 4}
count, share = (one.value.subs(sgc.tau, z) for one in (sgc.gaussian_count, sgc.gaussian_share))
density = 2 * sympy.exp(-(z**2) / 2) / sympy.sqrt(2 * sympy.pi)  # of the size of a N(0, 1) number


def largest(entries: list, n: int) -> list:
    """The entries with all but the n of largest size set to 0; the first ones of equal size."""
    order = sorted(range(len(entries)), key=lambda i: -abs(entries[i]))
    return [e if i in order[:n] else 0 for i, e in enumerate(entries)]


def energy(entries: list) -> sympy.Expr:
    return sum(e**2 for e in entries)


def guaranteed() -> sympy.Expr:
    """Decrease of f that the descent lemma promises: <g, T g> = |T g|^2."""
    return lr * kept - L * lr**2 * kept / 2


decrease_of_f = sympy.Symbol("decrease_of_f", real=True)
CERTIFICATES = (
    Certificate(
        name="largest_entries_gradient_sum",
        claim=sgc.gradient_sum.value * decrease_of_f - g**2,
        hypotheses=(
            (sgc.gradient_sum.value, guaranteed() - decrease_of_f),
            (sgc.gradient_sum.value * lr * (2 - lr * L) / (2 * d), s * g**2 - d * kept),
        ),
        vectors=(g,),
        domain=sgc.gradient_sum.requires,
    ),
)


def step_01_the_largest_hold_at_least_their_share():
    """top >= s t and rest <= (d - s) t for a level t between them: d top - s (top + rest) >= 0."""
    top, rest, level = sympy.symbols("top rest level", real=True)
    domain = (s >= 1, d >= s + 1, level >= 0, top >= s * level, rest >= 0, rest <= (d - s) * level, top + rest > 0)
    assert counterexample(top / (top + rest) - sgc.largest_share.value, domain) is None


def step_02_attained_by_entries_of_one_magnitude():
    entries = [3, -3, 3, 3]
    assert sympy.Rational(energy(largest(entries, 1)), energy(entries)) == sgc.largest_share.value.subs({s: 1, d: 4})


def step_03_no_larger_share_holds():
    entries = [1, 1, 1, 1]
    assert energy(largest(entries, 1)) < sympy.Rational(1001, 1000) * sgc.largest_share.value.subs({s: 1, d: 4}) * 4


def step_04_the_descent_lemma_pays_for_the_squared_gradient():
    """kept >= (s/d) |g|^2."""
    least = guaranteed().subs(kept, sgc.largest_share.value * g**2)
    assert is_zero(sgc.gradient_sum.value * least - g**2)
    assert counterexample(sgc.gradient_sum.value, sgc.gradient_sum.requires) is None
    CERTIFICATES[0].check()


def step_05_attained_by_one_step_on_a_quadratic_with_equal_entries():
    """L |w|^2 / 2 with d entries w: s of them shrink by 1 - lr L."""
    decrease = L * s * w**2 / 2 * (1 - (1 - lr * L) ** 2)
    assert is_zero(sgc.gradient_sum.value * decrease - d * (L * w) ** 2)


def step_06_no_smaller_constant_will_do():
    decrease = guaranteed().subs(concrete).subs(kept, 1)  # g = (1, 1, 1, 1), |g|^2 = 4
    assert sympy.Rational(999, 1000) * sgc.gradient_sum.value.subs(concrete) * decrease < 4


def step_07_the_noise_is_kept_and_the_signal_is_not():
    entries = [1, 1, 2, -2]  # a = 1 in two signals, sigma = 2 in s = 2 entries without use
    assert largest(entries, 2) == [0, 0, 2, -2]
    assert counterexample(sigma - a, sgc.noise_stall.requires) is None


def step_08_the_stall_is_attained_at_the_start_and_for_ever():
    assert energy([a, a, 0, 0]) == sgc.noise_stall.value.subs(signals, 2)
    assert largest([1, 1, 2, -2], 2)[:2] == [0, 0]


def step_09_no_smaller_and_no_larger_stall():
    for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert factor * sgc.noise_stall.value.subs({signals: 2, a: 1}) != energy([1, 1])


def step_10_the_energy_above_a_threshold_is_an_integral():
    """-d/dz of the count is the density, of the energy z^2 times it; at 0 all, at infinity nothing."""
    assert is_zero(sympy.expand(sympy.diff(count, z) + density))
    assert is_zero(sympy.expand(sympy.diff(share, z) + z**2 * density))
    assert share.subs(z, 0) == count.subs(z, 0) == 1
    assert sympy.limit(share, z, sympy.oo) == sympy.limit(count, z, sympy.oo) == 0


def step_11_gaussian_entries_hold_more_than_the_worst_case():
    """The difference is z times the density, positive for every threshold."""
    assert is_zero(sympy.expand(share - count - z * density))


def step_12_dropped_exactness_of_the_gradient_the_sum_has_no_bound():
    """f = |w|^2 / 2 over the signals, each at 1, and half of 4 entries are kept. Four signals: a step pays exactly for the squared
    gradient 4. Two signals beside the noise of step 7: f does not decrease, while the squared gradient is 2.
    """
    numbers = {L: 1, lr: sympy.Rational(1, 2), s: 2, d: 4}
    assert sgc.gradient_sum.value.subs(numbers) * decrease([1, 1, 1, 1], 4) == 4
    assert sgc.gradient_sum.value.subs(numbers) * decrease([1, 1, 2, -2], 2) == 0 < energy([1, 1])


def decrease(seen: list, n_signals: int) -> sympy.Expr:
    """Of f from all signals at 1, by one step of lr = 1/2 along the two largest entries of what is seen."""
    step = largest(seen, 2)[:n_signals]
    return (n_signals - energy([1 - sympy.Rational(1, 2) * e for e in step])) / 2


def step_13_dropped_noise_above_the_signal_the_signal_is_kept():
    assert largest([2, 2, 1, -1], 2) == [2, 2, 0, 0]


def step_14_beyond_twice_the_smoothness_the_constant_changes_sign():
    assert counterexample(sgc.gradient_sum.value, (s >= 1, s <= d, L > 0, lr > 0, lr * L < 3)) is not None
