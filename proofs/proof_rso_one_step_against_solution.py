"""Theorem. Let f be L-smooth (convex or not) and 0 < t <= 1/2, or convex too and 0 < t <= 1. From every W and for every P with
P^T P = (m/r) I, one gradient step 1 / Lhat in the subspace lowers f at least as much as every stationary point B* of the subproblem
with t = eta Lhat:

    f(W - P P^T grad f(W) / Lhat)  <=  f(W + P B*).

Both ranges of t are the largest. So at the paper's eta = 1 / (2 Lhat) solving a subproblem pays on no function whatever, and for no
other eta below it; the theorem for quadratics is not special to them.

Source:    derived; the multipliers were seen in a semidefinite program: 1 on the pair (solution, step), 2 or 1 on both pairs of
           (start, solution), 0 on all others, whatever t
Bounds:    gain_any_smooth, gain_any_convex of sandbox.theory.rso_one_step
Not here:  that the inequalities Q <= 0 hold for every such f (interpolation conditions, of smooth functions derived in
           proof_rso_exact_subproblem.py; of convex ones the classical f(y) >= f(x) + <f'(x), y - x> + |f'(x) - f'(y)|^2 / (2 L))

Letters: h(B) = f(W + P B), Lhat = 1; g, p, q = gradients of h at 0, at the solution -t p and at the end -g of the step; h0, hp, hq.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, smooth_gap
from sandbox.theory.rso import t
from sandbox.theory.rso_one_step import gain_any_convex, gain_any_smooth

g, p, q, h0, hp, hq, x = sympy.symbols("g p q h0 hp hq x", real=True)
half, quarter = sympy.Rational(1, 2), sympy.Rational(1, 4)
one = sympy.Integer(1)
ANY, CONVEX = (t > 0, t <= half), (t > 0, t <= 1)
start, solution, end = (sympy.Integer(0), g, h0), (-t * p, p, hp), (-g, q, hq)
reach = q - p + g - t * p  # q - p + the way from the end of the step to the solution


def convex_gap(upper: tuple, lower: tuple) -> sympy.Expr:
    """Q <= 0 for two points (x, gradient, value) of a convex 1-smooth function."""
    (x_up, g_up, f_up), (x_low, g_low, f_low) = upper, lower
    return f_low - f_up + g_low * (x_up - x_low) + (g_up - g_low) ** 2 / 2


smooth = Certificate(
    name="rso_one_step_smooth",
    claim=hp - hq,
    hypotheses=(
        (one, smooth_gap(solution, end, one)),
        (2 * one, smooth_gap(start, solution, one)),
        (2 * one, smooth_gap(solution, start, one)),
    ),
    squares=((quarter, reach), (half, g - (1 - t) * p), ((1 - 4 * t**2) / 2, p)),
    vectors=(g, p, q),
    domain=ANY,
)
convex = Certificate(
    name="rso_one_step_convex",
    claim=hp - hq,
    hypotheses=((one, convex_gap(solution, end)), (one, convex_gap(start, solution)), (one, convex_gap(solution, start))),
    squares=((half, reach), (half, g - p), ((1 - t**2) / 2, p)),
    vectors=(g, p, q),
    domain=CONVEX,
)
CERTIFICATES = (smooth, convex)


def falls(curvature: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """What the step and the solution gain on h = B + x B^2 / 2, where the solution is B = -t / (1 + x t)."""
    return tuple((-(B + x * B**2 / 2)).subs(x, curvature) for B in (-one, -t / (1 + x * t)))


def step_1_on_every_smooth_function_the_step_ends_no_higher_up_to_t_one_half():
    smooth.check()
    assert gain_any_smooth.requires[:2] == ANY


def step_2_on_every_convex_function_up_to_t_one():
    convex.check()
    assert gain_any_convex.requires[:2] == CONVEX


def step_3_both_are_attained():
    """At t = 1/2 by curvature -1, at t = 1 by a linear function: then no larger ratio is promised, and 1 is reached."""
    for bound, curvature, largest in ((gain_any_smooth, -1, half), (gain_any_convex, 0, 1)):
        of_step, of_solution = (fall.subs(t, largest) for fall in falls(sympy.Integer(curvature)))
        assert of_step == bound.value * of_solution and of_solution > 0


def step_4_no_larger_and_no_smaller_ratio_is_the_least():
    for bound, curvature, largest in ((gain_any_smooth, -1, half), (gain_any_convex, 0, 1)):
        of_step, of_solution = (fall.subs(t, largest) for fall in falls(sympy.Integer(curvature)))
        assert of_step < sympy.Rational(1001, 1000) * bound.value * of_solution
        assert of_step / of_solution == bound.value


def step_5_beyond_one_half_and_beyond_one_it_fails():
    """t between 1/2 and 1 at curvature -1; t > 1 at no curvature."""
    of_step, of_solution = falls(-one)
    assert counterexample(of_solution - of_step, (t > half, t < 1)) is None
    assert (of_solution - of_step).subs(t, sympy.Rational(51, 100)) > 0
    assert (of_solution - of_step).subs(t, half) == 0
    of_step, of_solution = falls(sympy.Integer(0))
    assert counterexample(of_solution - of_step, (t > 1, t < 100)) is None and (of_solution - of_step).subs(t, 2) > 0


def step_6_with_the_pairs_of_start_and_solution_dropped_it_fails():
    """g = -1, p = q = 1: the pair (solution, step) is content with an end above the solution; the other two are not, whatever h0 is."""
    for certificate, above in ((smooth, 2), (convex, 1)):
        numbers = {t: half, g: -1, p: 1, q: 1, hp: 0, hq: above}
        kept, *dropped = (Q for _, Q in certificate.hypotheses)
        assert certificate.claim.subs(numbers) < 0 and kept.subs(numbers) <= 0
        assert sum(dropped).subs(numbers) > 0 and h0 not in sympy.expand(sum(dropped)).free_symbols


def step_7_beyond_curvature_one_it_fails():
    """h = 3 B^2 / 2 - 3 B: the step of length 1 climbs, the solution at t = 1/2 gains."""
    h = 3 * x**2 / 2 - 3 * x
    assert h.subs(x, 3) > h.subs(x, 3 * half / (1 + 3 * half))
