"""Theorem. Let the gradient of an n x n matrix be diag(g_1, ..., g_n), all g_k != 0, and V1 that of g^2. Then
u_k = |g| / g_k, RMS(u) >= 1, and after clipping the step is lr s n sign(g_k) / (|g_k| |1/g|): inverse to the gradient,
with the same first-order decrease of the loss in every entry, lr s n / |1/g| <= lr s n min |g_k|.

In a run on f = flat w_11 + sum_{k > 1} f_k(w_kk), f_k convex, from the state 0 with AdaLomo's averages, let no |f_k'|
grow. Then every steep entry loses at most

    f_k(w_0) - f_k(w_K)  <=  n flat (lr s summed over the steps),

whatever its curvature. So for every lr, L, Delta0, and K there is such an f on which the gradient stays above 1 / sqrt 2 of its
start, and which LOMO with lr = 1 / L reduces to its flat entry in one step: no rate of AdaLomo in those constants exists.

Source:    derived; found as a stall in runs, notes T7
Bounds:    inverse_step, equal_share, frozen_decrease of sandbox.theory.factored_update
Not here:  f_k(w) - f_k(w - d) <= f_k'(w) d for convex f_k; that f may be made bounded below
           beyond the range of the run.

Letters: n = size; the gradient has one entry `small` and n - 1 entries `large`; v1 = flat^2 and vk >= g^2 are averages of squares.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.factored_update import equal_share, flat, frozen_decrease, inverse_step, large, length, size, small
from sandbox.theory.factorisation import rank_one
from sandbox.theory.induction import adding_up

g, vk, u1, uk, h, e, rate = sympy.symbols("g vk u1 uk h e rate", positive=True)
EXAMPLE = (1, 2, 2, 2)
HERE = {size: 4, small: 1, large: 2}


def first_update(gradient: tuple) -> list[sympy.Expr]:
    """u of the diagonal, before clipping."""
    V1 = rank_one(sympy.diag(*(sympy.Integer(entry) ** 2 for entry in gradient)))
    return [entry / sympy.sqrt(V1[i, i]) for i, entry in enumerate(gradient)]


def clipped(gradient: tuple) -> list[sympy.Expr]:
    """Over max(1, RMS(u)), with RMS over all n^2 entries."""
    u = first_update(gradient)
    rms = sympy.sqrt(sum(x**2 for x in u)) / len(gradient)
    return [x / max(sympy.Integer(1), rms) for x in u]


ratio = sympy.Symbol("ratio", positive=True)
CERTIFICATES = (
    Certificate(name="freeze_always_clipped", claim=ratio + 1 / ratio - 2, squares=((1 / ratio, ratio - 1),)),
    Certificate(
        name="freeze_of_a_steep_entry",
        claim=flat / g - (g / vk) / (1 / flat),
        hypotheses=((flat / (g * vk), g**2 - vk),),
        domain=(flat > 0,),
    ),
    Certificate(
        name="freeze_equal_share",
        claim=(size * small) ** 2 - equal_share.value**2,
        squares=((size**2 * (size - 1) / (large**2 + small**2 * (size - 1)), small**2),),
        domain=(size >= 1, large > 0),
    ),
    adding_up("freeze_adding_up", cost=-frozen_decrease.value / length, price=-sympy.Integer(1)),  # terms: lr s of every step
)


def step_01_the_update_is_the_norm_over_the_gradient():
    names = sympy.symbols("g0:3", positive=True)
    V1 = rank_one(sympy.diag(*(x**2 for x in names)))
    norm2 = sum(x**2 for x in names)
    assert all(is_zero(x**2 / V1[i, i] - norm2 / x**2) for i, x in enumerate(names))


def step_02_it_is_always_clipped():
    """n^2 RMS(u)^2 = sum g^2 sum 1/g^2 >= n^2: the terms in pairs are g_i^2/g_j^2 + g_j^2/g_i^2 >= 2."""
    ratio = sympy.Symbol("ratio", positive=True)
    assert counterexample(ratio + 1 / ratio - 2, ()) is None


def step_03_the_bound_is_attained_with_exact_numbers():
    steps = clipped(EXAMPLE)
    assert steps[0] == inverse_step.value.subs(HERE) and steps[1] == steps[0] / 2
    assert steps[0] == 8 / sympy.sqrt(7)


def step_04_every_entry_has_the_same_first_order_decrease():
    products = [entry * step for entry, step in zip(EXAMPLE, clipped(EXAMPLE), strict=True)]
    assert set(products) == {equal_share.value.subs(HERE)}
    assert is_zero(equal_share.value - small * inverse_step.value)


def step_05_which_is_at_most_n_times_the_smallest_gradient():
    assert counterexample((size * small) ** 2 - equal_share.value**2, (size >= 1, small > 0, large >= small)) is None
    assert sympy.limit(equal_share.value / small, small, 0) == size


def step_06_no_smaller_number_will_do():
    assert clipped(EXAMPLE)[0] > sympy.Rational(999, 1000) * inverse_step.value.subs(HERE)
    assert is_zero(sum(x**2 for x in clipped(EXAMPLE)) - 16)  # RMS 1 over the 16 entries


def step_07_with_averages_a_steep_entry_moves_by_n_flat_over_its_gradient_at_most():
    """|u_k| n / |u| <= n |u_k| / |u_1|; u_k = g S / v_k with one S for all, v_1 = flat^2, v_k >= g^2."""
    ratio = (g / vk) / (flat / flat**2)
    assert counterexample(flat / g - ratio, (flat > 0, vk >= g**2)) is None


def step_08_so_its_loss_falls_by_n_flat_lr_s_a_step_whatever_its_curvature():
    moved = size * flat / g * length
    assert is_zero(g * moved - frozen_decrease.value)
    assert is_zero(sympy.diff(frozen_decrease.value, h))


def step_09_it_is_approached_by_one_step_for_a_vanishing_slope():
    """f_k = h e^2 / 2: its true decrease with the first step of the rule, lr s = length, over the bound."""
    step = length * inverse_step.value.subs({small: flat, large: h * e}) * flat / (h * e)
    decrease = h * e**2 / 2 - h * (e - step) ** 2 / 2
    assert sympy.limit(decrease / frozen_decrease.value, flat, 0) == 1


def step_10_for_every_run_a_slope_leaves_the_gradient_above_1_over_root_2_of_its_start():
    """In units where h = e_0 = 1: with flat = 1 / (4 n length) at least 1/4 of the loss 1/2 is left, and |g|^2 = 2 f_k >= 1/2 of 1."""
    left = sympy.Rational(1, 2) - frozen_decrease.value.subs(flat, 1 / (4 * size * length))
    assert left == sympy.Rational(1, 4) and 2 * left == sympy.Rational(1, 2)
    assert is_zero(e - sympy.diff(h * e**2 / 2, e) / h)  # LOMO with lr = 1 / h is there in one step


def step_11_with_the_full_second_moment_the_factors_dropped_every_entry_moves_alike():
    """v_k = g_k^2 gives u = sign(g): a steep entry loses |g| lr s a step, which the bound forbids for a small slope."""
    decrease = (g * length).subs({g: 1, length: 1})
    assert decrease > frozen_decrease.value.subs({size: 4, flat: sympy.Rational(1, 10), length: 1})


def step_12_beyond_gradients_that_do_not_grow_the_average_may_lie_below_the_square():
    assert counterexample(flat / g - (g / vk) / (1 / flat), (flat > 0, vk > 0)) is not None


def step_13_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
