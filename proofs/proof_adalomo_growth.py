"""Theorem. Let s_k = max(eps2, RMS(w_k)) and let every step have RMS at most lr_k s_k (clip_threshold 1, no weight decay). Then

    s_K <= s_0 prod (1 + lr_k) <= s_0 exp(sum lr_k),      RMS(w_K - w_0) <= s_0 (prod (1 + lr_k) - 1) <= s_0 (exp(sum lr_k) - 1),

with equality in the products where RMS(w_0) >= eps2 and every step points away from 0. So from an RMS below a target at least
log(target / s_0) / log(1 + lr) steps are needed, and 1 / (lr d) for a tensor that starts at 0 to reach the RMS eps2.

Source:    derived; the recipe of https://arxiv.org/abs/2310.10195 (5e-4, 1218 steps, linear decay; recalled) has sum lr = 0.3045: no tensor
           moves by more than 35.6 % of its RMS
Bounds:    growth, growth_at_rate, movement, steps_to_grow, steps_from_zero of sandbox.theory.adalomo
Not here:  the triangle inequality RMS(w + x) <= RMS(w) + RMS(x); the bound of one step (proof_adalomo_step).

Letters: r = RMS(w); r1..r3 = learning rates of three steps, whose product stands for any number of steps.
"""

import sympy

from sandbox.theory.adalomo import K, d, eps2, growth, growth_at_rate, lr, lr_sum, movement, rms, steps_from_zero, steps_to_grow, target
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.induction import Induction

r, s = sympy.symbols("r s", real=True)
start = sympy.Symbol("start", positive=True)
rate, total = sympy.symbols("rate total", positive=True)
r1, r2, r3 = sympy.symbols("r1 r2 r3", real=True)
n = sympy.Symbol("n", positive=True, integer=True)
from_start = {sympy.Max(eps2, rms): start}
NUMBERS = {eps2: sympy.Rational(1, 1000), rms: 2}


level, after, product, moved, moved_after, step, first, coming = sympy.symbols(
    "level after product moved moved_after step first coming", real=True
)
steps, begin = sympy.symbols("steps begin", real=True)
PRODUCT = (product, sympy.Integer(1), (1 + step) * product)  # of all 1 + lr_k, with the learning rate `step`
CERTIFICATES = (
    Induction(
        "adalomo_growth_of_the_scale",
        claim=product * begin - level,
        index=steps,
        sequences=(PRODUCT, (level, begin, after), (step, first, coming)),
        factor=1 + step,
        hypotheses=((sympy.Integer(1), after - (1 + step) * level),),
        always=(step >= 0,),
    ),
    Induction(  # its second hypothesis is what the first induction proves
        "adalomo_growth_of_the_movement",
        claim=(product - 1) * begin - moved,
        index=steps,
        sequences=(PRODUCT, (level, begin, after), (moved, sympy.Integer(0), moved_after), (step, first, coming)),
        hypotheses=((sympy.Integer(1), moved_after - moved - step * level), (step, level - product * begin)),
        always=(step >= 0,),
    ),
    Identity("adalomo_growth_of_three_steps", r1 + r2 * (1 + r1) + r3 * (1 + r1) * (1 + r2), (1 + r1) * (1 + r2) * (1 + r3) - 1),
    Identity("adalomo_growth_from_zero", lr * eps2 * d * steps_from_zero.value, eps2),
)


def step_01_one_step_multiplies_s_by_1_plus_lr_at_most():
    """max(eps2, r + lr s) <= (1 + lr) s, whichever of eps2 and r is s."""
    domain = (lr >= 0, s >= eps2, s >= r, eps2 >= 0, r >= 0)
    assert counterexample((1 + lr) * s - (r + lr * s), domain) is None
    assert counterexample((1 + lr) * s - eps2, domain) is None


def step_02_which_is_below_the_exponential():
    """exp(x) - 1 - x is convex, with value and slope 0 at x = 0."""
    x = sympy.Symbol("x", real=True)
    gap = sympy.exp(x) - 1 - x
    assert gap.subs(x, 0) == 0 and sympy.diff(gap, x).subs(x, 0) == 0 and sympy.diff(gap, x, 2).is_positive


def step_03_the_distances_telescope_to_the_product_minus_1():
    product = (1 + r1) * (1 + r2) * (1 + r3)
    assert is_zero(r1 + r2 * (1 + r1) + r3 * (1 + r1) * (1 + r2) - (product - 1))


def step_04_it_is_attained_where_every_step_points_away_from_0():
    w = NUMBERS[rms]
    for _ in range(3):
        w = w + w / sympy.Integer(10)  # RMS(w) > eps2, u = 1
    assert w == growth_at_rate.value.subs({**NUMBERS, lr: sympy.Rational(1, 10), K: 3})


def step_05_the_exponentials_are_approached_by_many_small_rates():
    reached = sympy.limit(start * (1 + total / n) ** n, n, sympy.oo)
    assert sympy.simplify(reached - growth.value.subs(from_start).subs(lr_sum, total)) == 0
    assert sympy.simplify(reached - start - movement.value.subs(from_start).subs(lr_sum, total)) == 0


def step_06_no_smaller_bound_will_do():
    thousand = sympy.Rational(1001, 1000) ** 1000
    shrunk = sympy.Rational(999, 1000)
    assert 2 * thousand > shrunk * growth.value.subs({**NUMBERS, lr_sum: 1})
    assert 2 * (thousand - 1) > shrunk * movement.value.subs({**NUMBERS, lr_sum: 1})


def step_07_the_steps_to_a_target_are_those_of_the_fastest_growth():
    reached = start * (1 + rate) ** n
    steps = steps_to_grow.value.subs(from_start).subs({target: reached, lr: rate})
    assert is_zero(sympy.expand_log(steps, force=True) - n)


def step_08_below_eps2_the_rms_grows_by_lr_eps2_d_a_step_at_most():
    """Attained by a constant gradient: after 1 / (lr d) steps of lr eps2 d it is eps2."""
    assert is_zero(steps_from_zero.value * lr * eps2 * d - eps2)
    assert steps_from_zero.value.subs({lr: sympy.Rational(1, 2000), d: 1}) == 2000


def step_09_with_the_clip_dropped_one_step_exceeds_it():
    """diag(1, 10): RMS(u) = 101 / 20, so a weight along u grows by the factor 1 + 101 / 200 at lr = 1 / 10."""
    grown = 2 * (1 + sympy.Rational(101, 200))
    assert grown > growth.value.subs({**NUMBERS, lr_sum: sympy.Rational(1, 10)})


def step_10_beyond_a_scale_by_the_weight_growth_has_no_such_limit():
    """Steps of RMS lr alone, from RMS 1 / 10: after one step of lr = 1 / 2 it is 6 / 10, above exp(1 / 2) / 10."""
    small = {eps2: sympy.Rational(1, 1000), rms: sympy.Rational(1, 10), lr_sum: sympy.Rational(1, 2)}
    assert sympy.Rational(6, 10) > growth.value.subs(small)


def step_11_the_paper_s_recipe_cannot_move_a_tensor_by_36_percent():
    moved = movement.value.subs({**NUMBERS, lr_sum: sympy.Rational(3045, 10000)}) / 2
    assert sympy.Rational(355, 1000) < moved < sympy.Rational(356, 1000)


def step_12_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
