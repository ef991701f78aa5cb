"""Theorem. On GoLore's counterexample let r of the singular directions be drawn without replacement with weights s_i, at every
refresh, and a chosen direction of the signal shrink by the factor 1 - move. Whatever the singular values are,

    P(direction i is drawn)  <=  1 - prod_{j=1..r} (1 + s_i / (j sigma))^-1  <=  H_r s_i / sigma,    H_r = 1 + 1/2 + ... + 1/r,

so the mean of 1/s grows by at most H_r move / ((1 - move) sigma) a refresh, approached as the s_i go to 0, and after K refreshes
E|grad f|^2 >= (n - r) / (1/s + K H_r move / ((1 - move) sigma))^2: no linear rate. GaLore with xi ~ N(0, 1) in place of +-1 obeys
the same with r/(n-r) sqrt(2/pi) for H_r, where 2 r <= n.

Source:    derived; that weights s_i / sum keep a direction alive is what I3S's and SARA's guarantees suppose (second-hand)
Bounds:    i3s_growth, i3s_gradient, galore_normal_growth of sandbox.theory.projections_golore
Not here:  that more directions in the draw make none of them likelier (each arrives at an exponential time of rate s_i, and the
           first r are taken; step 4 lists two of them); Jensen's inequality for x^-2; that expectations of steps add up.

Letters: x = s / sigma, the noise directions having weight 1 each.
"""

from itertools import permutations

import sympy

from sandbox.theory import projections_golore as golore
from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.projections_golore import K, move, n, r, s, sigma

x, y, Q, j = sympy.symbols("x y Q j", real=True)


def drawn(weights: list, rank: int, i: int) -> sympy.Expr:
    """P(i is among `rank` draws without replacement), by listing all orders of drawing."""
    total = sympy.Integer(0)
    for order in permutations(range(len(weights)), rank):
        if i in order:
            p, left = sympy.Integer(1), sum(weights)
            for k in order:
                p, left = p * weights[k] / left, left - weights[k]
            total += p
    return total


def product_form(rank: int) -> sympy.Expr:
    return 1 - sympy.prod([1 / (1 + x / k) for k in range(1, rank + 1)])


def growth(probability: sympy.Expr) -> sympy.Expr:
    """E[1/s+] - 1/s for sigma = 1: 1/((1 - move) s) with that probability, else 1/s."""
    return probability * (1 / ((1 - move) * x) - 1 / x)


def limit(rank: int) -> sympy.Expr:
    return golore.i3s_growth.value.subs({r: rank, sigma: 1})


CERTIFICATES = (
    Certificate(
        name="one_more_draw",
        claim=x / j - (Q - Q / (1 + x / j)),
        hypotheses=((x / (j + x), Q - 1),),
        squares=((1 / (j * (j + x)), x),),
        domain=(x >= 0, j >= 1),
    ),
)


def step_01_alone_against_the_noise_the_probability_is_a_product():
    for rank in (1, 2, 3, 4):
        assert is_zero(drawn([x] + [1] * rank, rank, 0) - product_form(rank))


def step_02_which_is_at_most_the_harmonic_number_times_the_ratio_for_every_rank():
    """Induction, Q = the product so far, 0 < Q <= 1: 1 - Q / (1 + x/j) exceeds 1 - Q by at most x/j."""
    more = (1 - Q / (1 + x / j)) - (1 - Q)
    assert counterexample(x / j - more, (x >= 0, j >= 1, Q >= 0, Q <= 1)) is None
    assert is_zero(golore.i3s_growth.value.subs(r, 5) - golore.i3s_growth.value.subs(r, 4) * sympy.Rational(137, 125))
    CERTIFICATES[0].check()


def step_03_and_touches_it_as_the_ratio_goes_to_zero():
    for rank in (1, 2, 3, 6):
        assert sympy.diff(product_form(rank), x).subs(x, 0) == sympy.harmonic(rank)


def step_04_another_direction_in_the_draw_only_takes_places():
    for rank in (1, 2):
        alone, together = drawn([x] + [1] * rank, rank, 0), drawn([x, y] + [1] * rank, rank, 0)
        assert counterexample(alone - together, (x > 0, y > 0)) is None


def step_05_so_the_inverse_grows_by_at_most_the_limit():
    for rank in (1, 2, 3):
        assert counterexample(limit(rank) - growth(product_form(rank)), (x > 0, move > 0, move < 1)) is None


def step_06_attained_as_the_singular_value_goes_to_zero():
    for rank in (1, 2, 4):
        assert is_zero(sympy.cancel(growth(product_form(rank))).subs(x, 0) - limit(rank))


def step_07_no_smaller_growth_will_do():
    numbers = {x: sympy.Rational(1, 10**5), move: sympy.Rational(1, 2)}
    assert growth(product_form(4)).subs(numbers) > sympy.Rational(999, 1000) * limit(4).subs(numbers)


def step_08_after_K_refreshes_by_jensen():
    """mean of s^2 >= (mean of 1/s)^-2, and the mean of 1/s starts at 1/s."""
    inverse = 1 / s + K * golore.i3s_growth.value
    assert is_zero(golore.i3s_gradient.value * inverse**2 - (n - r))
    a, b = sympy.symbols("a b", positive=True)  # two values of 1/s
    mean_square, power = (a**-2 + b**-2) / 2, ((a + b) / 2) ** -2
    assert counterexample(mean_square - power, (a > 0, b > 0)) is None


def step_09_the_gradient_bound_is_attained_before_the_first_refresh():
    assert is_zero(golore.i3s_gradient.value.subs(K, 0) - golore.galore_stall.value)


def step_10_normal_noise_leaves_a_value_uncovered_with_probability_at_most_sqrt_2_over_pi_x():
    """d/dx (sqrt(2/pi) x - erf(x / sqrt 2)) = sqrt(2/pi) (1 - exp(-x^2/2)) >= 0, and both are 0 at x = 0."""
    z = sympy.Symbol("z", nonnegative=True)
    gap = sympy.sqrt(2 / sympy.pi) * z - sympy.erf(z / sympy.sqrt(2))
    slope = sympy.sqrt(2 / sympy.pi) * (1 - sympy.exp(-(z**2) / 2))
    assert gap.subs(z, 0) == 0 and is_zero(sympy.expand(sympy.diff(gap, z) - slope))
    assert sympy.series(sympy.exp(-(z**2) / 2), z, 0, 3).removeO() == 1 - z**2 / 2  # at most 1, falling


def step_11_of_n_minus_r_values_at_most_r_move_so_the_mean_grows_by_the_second_limit():
    probability = sympy.sqrt(2 / sympy.pi) * x
    assert is_zero(r / (n - r) * growth(probability) - golore.galore_normal_growth.value.subs(sigma, 1))


def step_12_dropped_importance_uniform_draws_have_a_linear_rate():
    """P = r/n for every direction: 1/s grows by the factor 1 + (r/n) move / (1 - move), without a limit."""
    uniform = growth(r / n).subs({r: 4, n: 10, move: sympy.Rational(1, 2)})
    assert uniform.subs(x, sympy.Rational(1, 100)) > limit(4).subs(move, sympy.Rational(1, 2))


def step_13_beyond_a_move_of_one_a_single_draw_ends_it():
    """move = 1 takes the chosen direction to 0 at once: the limit has a pole there."""
    assert sympy.limit(limit(4), move, 1, "-") == sympy.oo
