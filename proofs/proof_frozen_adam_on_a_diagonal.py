"""Theorem. Let H be diagonal and positive, x a start without zeros, g = H x, and D = diag(1 / |g_i|): Adam with beta1 = 0 and
its second moment frozen at the first gradient. Then D H = diag(1 / |x_i|), so that kappa(D H) = max |x_i| / min |x_i|
whatever H is. For x ~ N(0, I_d), d >= 2,

    P[kappa(D H) > t]  >=  2 - (4 / pi) atan t     for t >= 1,    with equality for d = 2;

the right side behaves like 4 / (pi t), so that kappa(D H) has no finite mean, for any d and any H.

Source:    derived; numbers of the frozen-Adam study of Zhang et al. (2406.16793), second-hand, are what it explains
Bounds:    start_ratio, two_coordinate_tail of sandbox.theory.adam_mini_frozen
Not here:  that the angle of a Gaussian vector in the plane is uniform; that max / min over d coordinates is at least that over
           the first two. The median for large d, a law of order statistics, is `adam_mini.frozen_adam_condition`, not proven.
"""

import sympy

from sandbox.theory.adam_mini_frozen import start_ratio, t, two_coordinate_tail, x_max, x_min
from sandbox.theory.certificate import Certificate, counterexample, is_zero

h1, h2, a, b = sympy.symbols("h1 h2 a b", positive=True)  # curvatures; |x_i|
K = start_ratio.value.subs({x_max: a, x_min: b})
tail = two_coordinate_tail.value


one, other = sympy.symbols("one other", positive=True)  # |x_i|, |x_j|
CERTIFICATES = (
    Certificate(
        name="frozen_adam_extreme_coordinates_decide",
        claim=K - (h1 / (h1 * other)) / (h2 / (h2 * one)),  # the ratio of any two entries of D H
        hypotheses=((1 / b, one - a), (one / (b * other), b - other)),
    ),
)


def step_01_the_hessian_drops_out_of_every_entry():
    for h, size in ((h1, a), (h2, b)):
        for sign in (1, -1):
            g = h * sign * size
            assert is_zero(h / (sign * g) - 1 / size)  # sign g = |g|


def step_02_so_the_condition_number_is_attained_by_every_diagonal_hessian():
    entries = (h1 / (h1 * a), h2 / (h2 * b))  # with a >= b the second is the larger
    assert is_zero(entries[1] / entries[0] - K)
    assert not K.free_symbols & {h1, h2}


def step_03_of_all_pairs_of_coordinates_the_extreme_ones_decide():
    c = sympy.Symbol("c", positive=True)
    assert counterexample(K - a / c, (c >= b, c <= a)) is None and counterexample(K - c / b, (c >= b, c <= a)) is None


def step_04_no_smaller_number_will_do():
    assert sympy.Rational(999, 1000) * K.subs({a: 3, b: 2}) < (1 / sympy.Integer(2)) / (1 / sympy.Integer(3))


def step_05_in_the_plane_the_ratio_is_at_most_t_in_a_share_of_the_angles():
    """max/min <= t for angles between atan(1/t) and atan(t), a share of the quarter turn; atan(1/t) = pi/2 - atan(t)."""
    angle = sympy.Symbol("angle", positive=True)  # atan t
    share = (angle - (sympy.pi / 2 - angle)) / (sympy.pi / 2)
    assert is_zero((1 - share).subs(angle, sympy.atan(t)) - tail)


def step_06_the_law_is_attained_with_the_density_of_a_folded_ratio():
    """|x_1| / |x_2| has density 2 / (pi (1 + t^2)); folding t and 1/t doubles it beyond 1."""
    assert is_zero(sympy.diff(tail, t) + 4 / (sympy.pi * (1 + t**2)))
    assert tail.subs(t, 1) == 1 and sympy.limit(tail, t, sympy.oo) == 0
    density = lambda s: 2 / (sympy.pi * (1 + s**2))  # noqa: E731
    assert is_zero(density(1 / t) / t**2 - density(t))


def step_07_no_larger_tail_will_do():
    assert tail.subs(t, 1) * sympy.Rational(1001, 1000) > 1  # more than certain


def step_08_the_mean_is_infinite():
    """t times the tail tends to 4 / pi, and the integral of 1 / t diverges."""
    assert sympy.limit(t * tail, t, sympy.oo) == 4 / sympy.pi


def step_09_the_start_without_zeros_cannot_be_dropped():
    assert sympy.limit(K, b, 0, "+") == sympy.oo


def step_10_beyond_diagonal_hessians_the_hessian_stays():
    """H = [[2, 1], [1, 1]], x = (1, 1): g = (3, 2), trace^2 / determinant of D H is 49/6, not (1 + 1)^2 / 1 = 4."""
    D_H = sympy.Matrix([[2, 1], [1, 1]])
    g = D_H * sympy.Matrix([1, 1])
    D_H = sympy.diag(1 / g[0], 1 / g[1]) * D_H
    assert D_H.trace() ** 2 / D_H.det() == sympy.Rational(49, 6) != 4


def step_11_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
