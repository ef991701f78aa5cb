"""Theorem. On x^T H x / 2, H symmetric, a conservative zeroth-order step (the best of x, x - lr s z, x + lr s z; s = z^T g) never takes
the opposite where s is not 0, and takes the step exactly where lr z^T H z < 2, whatever g is. For H = L I, d dimensions and c = 2/(lr L)

    P(taken) = P(chi^2_d < c),        E [f(x) - f(x+)] = lr |g|^2 [P(chi^2_(d+2) < c) - (d+2)/c P(chi^2_(d+4) < c)]        Gaussian z
    E [f(x) - f(x+)] <= |g|^2 / (2 L d)                         every lr, every law that is invariant under rotations,

the latter with equality for directions of one length at lr = 1/(L d). Plain ZO-SGD reaches |g|^2 / (2 L (d+2)): accepting gains at most
(d+2)/d, for five forward passes in place of two, so per pass it loses for every d >= 2. It cannot diverge; past the edge it stalls.

Source:    derived; ZO-Bench, https://arxiv.org/abs/2402.11592 (its code was read)
Bounds:    acceptance, conservative_fall, conservative_limit of sandbox.theory.zeroth_order_steps
Not here:  that |z| and z/|z| are independent, so E s^2 given |z| is |z|^2 |g|^2 / d; the density of chi^2.
"""

import sympy

from sandbox.theory import zeroth_order_steps as steps
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.zeroth_order_edge import L, lr
from sandbox.theory.zeroth_order_pairings import d
from sandbox.theory.zeroth_order_rate import best_step

s, zHz = sympy.symbols("s zHz", real=True)
c, square = sympy.symbols("c square", positive=True)  # 2 / (lr L), and |z|^2
FACTOR = sympy.Rational(999, 1000)
at_c = {lr: 2 / (L * c)}


def density(degrees: sympy.Expr) -> sympy.Expr:
    """Of chi^2 with this many degrees of freedom, at c."""
    half = degrees / 2
    return c ** (half - 1) * sympy.exp(-c / 2) / (2**half * sympy.gamma(half))


def vanishes(expr: sympy.Expr) -> bool:
    return sympy.simplify(sympy.gammasimp(sympy.powsimp(sympy.expand(expr)))) == 0


def change(sign: int) -> sympy.Expr:
    """f(x + sign lr s z) - f(x)."""
    return sign * lr * s * s + (lr * s) ** 2 * zHz / 2


CERTIFICATES = (
    Identity("conservative_change_of_a_step", change(-1), lr * s**2 * (lr * zHz - 2) / 2),
    Identity("conservative_change_of_its_opposite", change(1) - change(-1), 2 * lr * s**2),
    Certificate(
        name="conservative_against_a_line_search",
        claim=1 / (2 * L * square) - lr * (1 - lr * L * square / 2),
        squares=((1 / (2 * L * square), 1 - lr * L * square),),
        domain=(L > 0,),
    ),
    Identity("conservative_limit_is_reached", (lr * (1 - lr * L * d / 2)).subs(lr, 1 / (L * d)), steps.conservative_limit.value),
)


def step_01_whether_a_candidate_is_better_does_not_depend_on_the_gradient():
    assert is_zero(change(-1) - lr * s**2 * (lr * zHz - 2) / 2)
    assert is_zero(change(1) - lr * s**2 * (lr * zHz + 2) / 2)


def step_02_the_opposite_is_never_the_best_whatever_the_curvature():
    assert is_zero(change(1) - change(-1) - 2 * lr * s**2)


def step_03_the_probability_of_being_taken_is_a_chi_square():
    """L lr |z|^2 < 2: its derivative in c is the density of |z|^2, and it starts at 0."""
    taken = steps.acceptance.value.subs(at_c)
    assert vanishes(sympy.diff(taken, c) / density(d) - 1)
    assert sympy.limit(taken.subs(d, 3), c, 0) == 0


def step_04_a_square_times_a_density_is_that_of_two_more_degrees():
    assert vanishes(c * density(d) / density(d + 2) - d)


def step_05_the_fall_is_an_integral_over_the_accepted_lengths():
    """c times the bound is E [(|z|^2/d) (c - |z|^2)], |z|^2 < c; its derivative is E [|z|^2/d], |z|^2 < c, a chi^2 of d + 2."""
    times_c = sympy.expand(c * steps.conservative_fall.value.subs(at_c))
    inner = sympy.lowergamma((d + 2) / 2, c / 2) / sympy.gamma((d + 2) / 2)
    rest = sympy.expand(sympy.diff(times_c, c) - inner)
    assert vanishes(rest / density(d + 2))
    assert sympy.limit(times_c.subs(d, 2), c, 0) == 0


def step_06_no_step_length_takes_more_than_a_line_search():
    """lr (1 - lr L |z|^2 / 2) = 1/(2 L |z|^2) - a square; E s^2 / |z|^2 = |g|^2 / d."""
    search = 1 / (2 * L * square)
    assert is_zero(search - lr * (1 - lr * L * square / 2) - (1 - lr * L * square) ** 2 * search)
    assert is_zero(search * square / d - steps.conservative_limit.value)


def step_07_it_is_attained_by_directions_of_one_length():
    """|z|^2 = d at lr = 1/(L d): E s^2 = |g|^2, taken always."""
    assert is_zero((lr * (1 - lr * L * d / 2)).subs(lr, 1 / (L * d)) - steps.conservative_limit.value)


def step_08_in_two_dimensions_all_is_elementary():
    """d = 2, c = 2 (lr = 1/L): taken with 1 - 1/e; the fall is the integral of (r/2) (1 - r/2) exp(-r/2) / 2 over r < 2."""
    at = {d: 2, L: 1, lr: 1}
    taken = steps.acceptance.value.subs(at)
    fall = sympy.integrate(square / 2 * (1 - square / 2) * sympy.exp(-square / 2) / 2, (square, 0, 2))
    assert is_zero(sympy.expand_func(taken) - (1 - sympy.exp(-1)))
    assert sympy.simplify(sympy.expand_func(steps.conservative_fall.value.subs(at)) - fall) == 0


def step_09_no_smaller_constant_will_do():
    at = {d: 3, L: 1, lr: sympy.Rational(1, 3)}
    reached = (lr * (1 - lr * d / 2)).subs(at)
    assert FACTOR * steps.conservative_limit.value.subs(at) < reached == sympy.Rational(1, 6)


def step_10_against_plain_steps_it_gains_at_most_two_over_d_and_loses_per_pass():
    plain = 1 / best_step.value.subs({sympy.Symbol("n", real=True): 1, sympy.Symbol("K", real=True): 1}) * sympy.Symbol("Delta", real=True)
    gain = steps.conservative_limit.value / plain
    assert is_zero(gain - (d + 2) / d)
    assert counterexample(sympy.Rational(5, 2) - gain, (d >= 2,)) is None


def step_11_acceptance_dropped_a_plain_step_rises_past_the_edge():
    plain = lr * (1 - (d + 2) * lr * L / 2)
    assert plain.subs({d: 2, L: 1, lr: 1}) == -1
    assert sympy.simplify(sympy.expand_func(steps.conservative_fall.value.subs({d: 2, L: 1, lr: 1})) - 3 * sympy.exp(-1) + 1) == 0  # > 0


def step_12_beyond_quadratics_the_opposite_step_is_taken():
    """f = x^3 - x at 0 with eps = 2: the slope over the wave is 3, and that of f is -1."""
    x = sympy.Symbol("x", real=True)
    f = x**3 - x
    slope = (f.subs(x, 2) - f.subs(x, -2)) / 4
    step = slope / 9  # lr = 1/9
    assert slope == 3 and f.subs(x, step) < 0 < f.subs(x, -step)


def step_13_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
