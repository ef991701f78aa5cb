"""Theorem. In the setting of proof_rso_exact_subproblem.py let B_0 = 0, B_j = B_(j-1) - alpha grad F(B_(j-1)), F(B) = h(B) +
|B|^2 / (2 eta), and W+ = W + P B_T. With s = alpha Lhat and 0 < s <= t / (1+t), for every T >= 1 and t > 0

    sum_{j<T} |grad F(B_j)|^2  <=  2 / (s (2 - s)) * Lhat (f(W) - f(W+)),        grad F(B_0) = grad h(0) = P^T grad f(W).

So T steps are never worse than one, and at s = t / (1+t) one is in the worst case as good as all: the constant is C(t) of the
exact solution, attained for every T. Only curvature above Lhat is excluded, not below -Lhat; and the stationary point to which
gradient descent leads from 0 keeps C(t) for every t, although beyond sqrt 3 not every stationary point does.
One step may be longer, 0 < s < 2, for the same constant: 2 at s = 1.

Source:    derived; equality of the constants of T steps and of the exact solution was seen in semidefinite programs for T <= 10
Bounds:    one_step, every_step, full_steps of sandbox.theory.rso_inner_steps
Not here:  the descent lemma for h, between any two points; that the inequalities of the links 1 .. T-1 add up (step 1 has each);
           E|P^T g|^2 = |g|^2, by which sums over rounds follow, see proof_rso_rounds.py; units: written for Lhat = 1.

Letters: B = B_(T-1); d = B_T - B, the last step, so that grad h(B) = -d / s - B / t; S = sum of |B_j - B_(j-1)|^2 over
0 < j < T; hB, hT = h(B), h(B_T).
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.rso import constant, t
from sandbox.theory.rso_inner_steps import every_step, full_steps, one_step, step

B, d, w, g0 = sympy.symbols("B d w g0", real=True)
h0, hB, hT, S = sympy.symbols("h0 hB hT S", real=True)
half = sympy.Rational(1, 2)
gradient = -d / step - B / t  # of h at B, where the next step is d
kappa = 1 / step - half - 1 / (2 * t)
p = step / t


def descent(start: sympy.Expr, end: sympy.Expr, slope: sympy.Expr, move: sympy.Expr) -> sympy.Expr:
    """h(end) - h(start) - <slope, move> - |move|^2 / 2, which is <= 0."""
    return end - start - slope * move - move**2 / 2


links = hB - h0 + kappa * S + B**2 / (2 * t)  # sum of the links 1 .. T-1
last = descent(hB, hT, gradient, d)
closing = descent(hB, h0, gradient, -B)  # from B back to 0, where everything began
surplus = (1 + p) * kappa - (1 / step - half)
many = Certificate(
    name="rso_inner_steps",
    claim=h0 - hT - (S + d**2) / (step**2 * every_step.value),
    hypotheses=((1 + p, links), (sympy.Integer(1), last), (p, closing), (surplus, -S)),
    squares=(((1 - step - p) / (2 * t), B),),
    vectors=(B, d),
    domain=(t > 0, step > 0, step * (1 + t) <= t),
)
single = Certificate(
    name="rso_inner_steps_one_step",
    claim=one_step.value * (h0 - hT) - g0**2,
    hypotheses=((one_step.value, descent(h0, hT, g0, -step * g0)),),
    vectors=(g0,),
    domain=(step > 0, step < 2),
)
CERTIFICATES = (single, many)


def descent_on_the_steepest(s: sympy.Expr, steps: int) -> tuple[sympy.Expr, sympy.Expr]:
    """(sum of |grad F|^2, h(0) - h(B_T)) for h = (w + B)^2 / 2."""
    b, total = sympy.Integer(0), sympy.Integer(0)
    for _ in range(steps):
        pull = w + b + b / t
        b, total = b - s * pull, total + pull**2
    return total, w**2 / 2 - (w + b) ** 2 / 2


def step_01_a_link_is_what_the_last_step_would_be_and_telescopes():
    """With B_j = B + d: the link j of the sum `links`."""
    assert is_zero(last - (hT - hB + kappa * d**2 + ((B + d) ** 2 - B**2) / (2 * t)))


def step_02_one_step_pays_for_its_gradient():
    single.check()


def step_03_every_number_of_steps_pays_for_all_its_gradients():
    many.check()


def step_04_the_way_back_to_zero_keeps_B_from_shrinking():
    """At the full step links + closing <= 0 reads |B|^2 + 2 <B, d> >= S, so |B_T|^2 is at least the sum of all |B_j - B_(j-1)|^2."""
    full = {step: t / (1 + t)}
    assert is_zero(((links + closing) * 2 * t / (1 + t) + B**2 + 2 * B * d - S).subs(full))


def step_05_at_the_full_step_it_is_the_constant_of_the_exact_solution():
    assert is_zero(full_steps.value - every_step.value.subs(step, t / (1 + t)))
    assert is_zero(full_steps.value - constant)
    assert every_step.value.subs(step, sympy.Rational(1, 3)) == sympy.Rational(18, 5)  # t = 1/2


def step_06_one_plain_step_of_length_1_does_better_than_the_exact_solution_at_any_t():
    assert one_step.value.subs(step, 1) == 2
    assert is_zero(constant - 2 - 2 / (t * (2 + t)))
    assert counterexample(one_step.value - 2, (step > 0, step < 2)) is None


def step_07_it_is_attained_by_one_step_of_any_length():
    squared, decrease = descent_on_the_steepest(step, 1)
    assert is_zero(squared - one_step.value * decrease)
    assert is_zero(squared - every_step.value * decrease)


def step_08_it_is_attained_by_every_number_of_full_steps():
    """The first step lands on the minimiser of F, where all others stay."""
    for steps in (1, 2, 3):
        squared, decrease = descent_on_the_steepest(t / (1 + t), steps)
        assert is_zero(squared - full_steps.value * decrease)
        assert is_zero(squared - w**2)


def step_09_no_smaller_constant_will_do():
    squared, decrease = (part.subs({t: half, w: 1}) for part in descent_on_the_steepest(t / (1 + t), 3))
    assert sympy.Rational(999, 1000) * full_steps.value.subs(t, half) * decrease < squared


def step_10_the_way_back_to_zero_cannot_be_dropped():
    """T = 2, t = 1/2, B_1 = 1, B_2 = 0: the two links are equalities, and the claim fails; `closing` says no h does this."""
    numbers = {t: half, step: sympy.Rational(1, 3), B: 1, d: -1, S: 1, h0: 0, hB: -5 * half, hT: -3}
    assert links.subs(numbers) == 0 and last.subs(numbers) == 0
    assert many.claim.subs(numbers) < 0 < closing.subs(numbers)


def step_11_beyond_the_full_step_two_steps_are_worse_than_one():
    """On h = (1 - B)^2 / 2 the second step turns back: the bound fails for every longer step, up to that at which B_2 = 0."""
    squared, decrease = descent_on_the_steepest(step, 2)
    fails = (squared - every_step.value * decrease).subs(w, 1)
    assert fails.subs({t: half, step: half}) > 0
    assert counterexample(fails, (t > 0, step * (1 + t) > t, step * (1 + t) <= 2 * t, step < 2)) is None


def step_12_beyond_curvature_Lhat_it_fails():
    """h = (1 - B)^2, curvature 2: the full step 1/3 of t = 1/2 lowers h by 5/9 and has |g0|^2 = 4, but C(1/2) 5/9 = 2."""
    assert full_steps.value.subs(t, half) * (1 - (1 - 2 * sympy.Rational(1, 3)) ** 2) < 4
