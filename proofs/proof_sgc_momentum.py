"""Theorem. Let m <- b1 m + (1 - b1) t with t on a support of s entries, each of which leaves for a new entry with the chance `churn` at
every step, however long it was in and whatever its value. In the stationary state the energy of m outside of the current support is

    churn b1^2 / (1 - b1^2 + churn b1^2)

of the whole: 0 only for a fixed support; 30 % at a churn of a tenth with b1 = 0.9, and b1^2 = 81 % at churn 1. There, with entries of
one magnitude and no support met twice, the newest support is the best one, so every s-sparse vector, recovered by whatever
means, misses at least b1^2 of the energy. The measurements themselves stay right: A m is the average of A t.

Source:    derived; the averages in k dimensions are those of https://arxiv.org/abs/2502.00311 (second-hand)
Bounds:    momentum_outside, momentum_floor of sandbox.theory.sparse_recovery
Not here:  that the stationary state exists (b1 < 1); that the best s-sparse vector keeps the s largest entries.

Letters: I, O = mean energy of m inside and outside of the current support.
"""

import sympy

from sandbox.theory import sparse_recovery as sgc
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.sparse_recovery import b1, churn

inside, x, A, m, t = sympy.symbols("I x A m t", real=True)
nine_tenths = {b1: sympy.Rational(9, 10)}


def fallen_out() -> sympy.Expr:
    """O = b1^2 (O + churn I): what was outside decays, and the share churn of the inside falls out, decaying too."""
    O = sympy.Symbol("O")  # noqa: E741
    return sympy.solve(O - b1**2 * (O + churn * inside), O)[0]


def ages(steps: int) -> list[sympy.Expr]:
    """Energies of the disjoint supports of the last steps, newest first, each of one unit before averaging."""
    return [((1 - b1) * b1**j) ** 2 for j in range(steps)]


def simulated(lifetimes: tuple[int, ...], steps: int) -> tuple[sympy.Expr, sympy.Expr]:
    """(inside, outside) after `steps` steps of one slot whose entry is replaced after each of the lifetimes in turn."""
    entries, current, left = [sympy.Integer(0)], 0, list(lifetimes)
    age = 0
    for _ in range(steps):
        if left and age == left[0]:
            left.pop(0)
            entries, current, age = [*entries, sympy.Integer(0)], len(entries), 0
        entries = [b1 * e + (1 - b1) * int(i == current) for i, e in enumerate(entries)]
        age += 1
    return entries[current] ** 2, sum(e**2 for i, e in enumerate(entries) if i != current)


settled = churn * b1**2 * inside / (1 - b1**2)
CERTIFICATES = (
    Identity("outside_settles", settled, b1**2 * (settled + churn * inside)),
    Identity("share_outside", settled / (settled + inside), sgc.momentum_outside.value),
)


def step_01_averages_and_measurements_change_places():
    assert is_zero((b1 * A * m + (1 - b1) * A * t) - A * (b1 * m + (1 - b1) * t))


def step_02_the_share_outside_does_not_depend_on_the_values():
    O = fallen_out()  # noqa: E741
    assert is_zero(O / (O + inside) - sgc.momentum_outside.value)
    for one in CERTIFICATES:
        one.check()


def step_03_attained_by_one_slot_that_is_new_at_every_step():
    """t steps: energies (1-b1)^2 b1^(2 j), the newest inside; the rest is b1^2 (1 - b1^(2 (T-1))) / (1 - b1^(2 T)) of all."""
    for steps in (3, 6):
        seen_inside, seen_outside = simulated((1,) * steps, steps)
        assert is_zero(seen_inside - ages(steps)[0]) and is_zero(seen_outside - sum(ages(steps)[1:]))
        share = b1**2 * (1 - b1 ** (2 * (steps - 1))) / (1 - b1 ** (2 * steps))
        assert is_zero(seen_outside / (seen_inside + seen_outside) - share)
    assert is_zero(sgc.momentum_outside.value.subs(churn, 1) - b1**2)


def step_04_attained_by_geometric_lifetimes_for_values_that_stay():
    """An entry of value 1 that is in for n steps has 1 - b1^n; E b1^n = e solves e = churn b1 + (1 - churn) b1 e.

    Then O as a series: churn E(1 - b1^n)^2 (b1^2 + b1^4 + ...), against the fixed point of step 2.
    """
    mean_power = [churn * q / (1 - (1 - churn) * q) for q in (b1, b1**2)]
    for q, e in zip((b1, b1**2), mean_power, strict=True):
        assert is_zero(e - (churn * q + (1 - churn) * q * e))
    now = 1 - 2 * mean_power[0] + mean_power[1]
    assert is_zero(churn * now * b1**2 / (1 - b1**2) - fallen_out().subs(inside, now))


def step_05_a_fixed_support_keeps_everything_inside():
    assert sgc.momentum_outside.value.subs(churn, 0) == 0
    assert simulated((), 4)[1] == 0


def step_06_the_share_rises_with_the_churn_to_b1_squared():
    slope = sympy.diff(sgc.momentum_outside.value, churn)
    assert counterexample(slope, sgc.momentum_outside.requires) is None
    assert counterexample(b1**2 - sgc.momentum_outside.value, sgc.momentum_outside.requires) is None


def step_07_at_a_tenth_it_is_three_tenths():
    share = sgc.momentum_outside.value.subs(nine_tenths).subs(churn, sympy.Rational(1, 10))
    assert share == sympy.Rational(81, 271) and sympy.Rational(29, 100) < share < sympy.Rational(3, 10)


def step_08_with_equal_magnitudes_the_newest_support_is_the_best():
    older = ages(5)
    for newer, one in zip(older, older[1:], strict=False):
        assert counterexample(newer - one, (b1 >= 0, b1 < 1)) is None


def step_09_the_floor_is_attained_by_it():
    """1 - newest / all, with all = (1 - b1)^2 / (1 - b1^2)."""
    everything = (1 - b1) ** 2 / (1 - b1**2)
    assert is_zero(1 - ages(1)[0] / everything - sgc.momentum_floor.value)


def step_10_no_smaller_and_no_larger_value_will_do():
    everything = (1 - b1) ** 2 / (1 - b1**2)
    seen = (1 - ages(1)[0] / everything).subs(nine_tenths)
    assert seen < sympy.Rational(1001, 1000) * sgc.momentum_floor.value.subs(nine_tenths)
    assert seen > sympy.Rational(999, 1000) * sgc.momentum_floor.value.subs(nine_tenths)


def step_11_dropped_newness_a_support_that_returns_is_partly_recovered():
    """Two supports in turn: the energies are (1 - b1)^2 / (1 - b1^2)^2 times 1 and b1^2, so the floor is b1^2 / (1 + b1^2)."""
    newest, other = 1, b1**2
    share = other / (newest + other)
    assert counterexample(sgc.momentum_floor.value - share, (b1 >= 0, b1 < 1)) is None
    assert share.subs(nine_tenths) < sgc.momentum_floor.value.subs(nine_tenths)


def step_12_dropped_independence_entries_that_leave_young_take_less_along():
    """Nine entries for ever and one new at every step: churn 1/10, but only energy (1 - b1)^2 falls out each step."""
    young = (1 - b1) ** 2 * b1**2 / (1 - b1**2)
    share = young / (young + 9 + (1 - b1) ** 2)
    assert share.subs(nine_tenths) < sgc.momentum_outside.value.subs(nine_tenths).subs(churn, sympy.Rational(1, 10))


def step_13_beyond_an_average_without_memory_nothing_is_lost():
    assert sgc.momentum_outside.value.subs(b1, 0) == 0 and sgc.momentum_floor.value.subs(b1, 0) == 0
