"""Theorem. Let f = kappa x^2 + y^2 in w = (x + y, x - y), whose curvatures kappa and 1 are turned by 45 degrees against
the coordinates, and let u = sign(g) (v = g^2, one vector tensor), s = RMS(w) = sqrt(x^2 + y^2), 0 < lr < 1. If
kappa > sqrt(4 / lr^2 - 1), then

    x -> -x at |x| = lr s / 2,   y unchanged,

is a cycle for ever, and every start with ||x| - lr s0 / 2| < lr s0 / 2 - |y| / kappa is drawn into it, where
s0 = |y| / sqrt(1 - lr^2 / 4): the loss does not go to 0, while LOMO's falls by ((kappa - 1) / (kappa + 1))^2 a step.
At and below that kappa there is no such cycle (at it one gradient entry is 0, and y moves). With a second moment that is
fixed instead, D^1/2 H D^1/2 has a condition number of at least (1 + c) / (1 - c) = kappa(H) for every diagonal D > 0 and
H = [[1, c], [c, 1]]: on these axes no fixed second moment is faster than LOMO with its best step.

Source:    derived; a counter-example to "superior convergence" in the abstract of https://arxiv.org/abs/2310.10195
Bounds:    stall, stall_radius, rotated_condition of sandbox.theory.adalomo_crossover
Not here:  that a map of slope within (-1, 1) on an interval around its fixed point draws the interval into it; the rate of gradient
           descent (proof_gradient_descent_factor); what a second moment with memory does, which is measured and not proven.

Letters: m = |x|; s0 = 1 on the cycle, so that y = root = sqrt(1 - lr^2 / 4) there.
"""

import sympy

from sandbox.theory.adalomo_crossover import cosine, kappa, lr, rotated_condition, stall, stall_radius
from sandbox.theory.certificate import Identity, counterexample, is_zero

x, y, m, s, root, d1, d2, k = sympy.symbols("x y m s root d1 d2 k", real=True)
ON_CYCLE = (lr > 0, lr < 1, root > 0, 4 * root**2 <= 4 - lr**2, 4 * root**2 >= 4 - lr**2)
radius = stall_radius.value.subs(sympy.sqrt(1 - lr**2 / 4), root)
RATIONAL = {lr: sympy.Rational(10, 13), root: sympy.Rational(12, 13)}  # a rational point of root^2 = 1 - lr^2 / 4
H = sympy.Matrix([[1, cosine], [cosine, 1]])
here = rotated_condition.value
ratio = (sympy.diag(d1, d2) * H).trace() ** 2 / (sympy.diag(d1, d2) * H).det()
CERTIFICATES = (
    Identity(
        name="adalomo_rotated_condition",
        left=ratio - (here + 1) ** 2 / here,
        right=(d1 - d2) ** 2 / (d1 * d2 * (1 - cosine**2)),
    ),
)


def gradient(at_x: sympy.Expr, at_y: sympy.Expr, curvature: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """With respect to w, from f as a function of w = (x + y, x - y)."""
    a, b = sympy.symbols("a b", real=True)
    f = curvature * ((a + b) / 2) ** 2 + ((a - b) / 2) ** 2
    here = {a: at_x + at_y, b: at_x - at_y}
    return sympy.diff(f, a).subs(here), sympy.diff(f, b).subs(here)


def sign_step(at: tuple, rate: sympy.Expr, curvature: sympy.Expr) -> tuple:
    """One memoryless step, in (x, y) again, of rational numbers."""
    w = (at[0] + at[1], at[0] - at[1])
    size = sympy.sqrt((w[0] ** 2 + w[1] ** 2) / sympy.Integer(2))
    a, b = (c - rate * size * sympy.sign(g) for c, g in zip(w, gradient(*at, curvature), strict=True))
    return sympy.nsimplify((a + b) / 2), sympy.nsimplify((a - b) / 2)


def step_01_its_curvatures_are_kappa_and_1_along_the_diagonals():
    hessian = sympy.hessian(kappa * (x + y) ** 2 / 4 + (x - y) ** 2 / 4, (x, y))
    assert hessian.eigenvals() == {kappa: 1, sympy.Integer(1): 1}


def step_02_while_kappa_m_exceeds_y_every_step_is_along_the_steep_diagonal():
    g1, g2 = gradient(x, y, kappa)
    for g in (g1, g2):
        assert counterexample(g, (kappa > 0, x > 0, kappa * x >= y, kappa * x >= -y)) is None
    assert is_zero((x + y) ** 2 / 2 + (x - y) ** 2 / 2 - x**2 - y**2)  # s^2


def step_03_the_cycle_is_attained_and_lasts():
    rate, height = RATIONAL[lr], RATIONAL[root]
    start, curvature = (rate / 2, height), stall.value.subs(lr, rate) + sympy.Rational(1, 10)
    once = sign_step(start, rate, curvature)
    assert once == (-rate / 2, height) and sign_step(once, rate, curvature) == start


def step_04_the_threshold_is_where_kappa_lr_over_2_meets_y():
    assert is_zero((stall.value**2 - 4 * root**2 / lr**2).subs(root**2, 1 - lr**2 / 4))
    assert is_zero(kappa * (lr / 2 - root / kappa) - (kappa * lr / 2 - root))


def step_05_no_smaller_threshold_will_do():
    rate, height = RATIONAL[lr], RATIONAL[root]
    below = sign_step((rate / 2, height), rate, sympy.Rational(999, 1000) * stall.value.subs(lr, rate))
    above = sign_step((rate / 2, height), rate, sympy.Rational(1001, 1000) * stall.value.subs(lr, rate))
    assert below[1] < height and above[1] == height
    assert stall.value.subs(lr, rate) == sympy.Rational(12, 5)


def step_06_the_slope_of_m_to_lr_s_minus_m_lies_within_minus_1_and_1():
    """m' = lr s - m with s = sqrt(m^2 + y^2); its slope is lr m / s - 1, with 0 <= m <= s."""
    slope = sympy.diff(lr * sympy.sqrt(m**2 + y**2) - m, m)
    assert is_zero(slope.subs(y, sympy.sqrt(s**2 - m**2)).subs(sympy.sqrt(s**2), s) - (lr * m / s - 1))
    inside = (lr > 0, lr < 1, s > 0, m > 0, m <= s)
    assert counterexample(lr * m / s, inside) is None and counterexample(1 - lr * m / s, inside) is None


def step_07_so_the_interval_of_the_radius_is_drawn_in_and_stays_in_the_steep_region():
    """s0 = 1: its inner end is m = y / kappa; at its outer end m < lr s, so that m' > 0."""
    assert is_zero((lr / 2 - radius) * kappa - root)
    outer = lr / 2 + radius
    domain = (*ON_CYCLE, kappa > 0, kappa * lr >= 2 * root)
    assert counterexample(lr - outer, domain) is None
    assert counterexample(lr**2 * (m**2 + root**2) - m**2, (*ON_CYCLE, m >= 0, m <= lr)) is None


def step_08_just_inside_its_inner_end_a_start_leaves_and_just_beyond_it_stays():
    rate, height, curvature = RATIONAL[lr], RATIONAL[root], sympy.Integer(4)
    inner = rate / 2 - radius.subs(RATIONAL).subs(kappa, curvature)
    assert sign_step((sympy.Rational(999, 1000) * inner, height), rate, curvature)[1] < height
    assert sign_step((sympy.Rational(1001, 1000) * inner, height), rate, curvature)[1] == height


def step_09_a_fixed_diagonal_preconditioner_cannot_lower_the_condition_number():
    """(k + 1)^2 / k = trace^2 / det of the preconditioned Hessian, least for d1 = d2, and increasing in k >= 1."""
    for identity in CERTIFICATES:
        identity.check()
    assert counterexample(ratio - (here + 1) ** 2 / here, (d1 > 0, d2 > 0, cosine >= 0, cosine < 1)) is None
    assert counterexample(sympy.diff((k + 1) ** 2 / k, k), (k >= 1,)) is None


def step_10_and_equal_second_moments_leave_it_as_it_is():
    eigenvalues = sorted(H.subs(cosine, sympy.Rational(1, 2)).eigenvals())
    assert eigenvalues[1] / eigenvalues[0] == rotated_condition.value.subs(cosine, sympy.Rational(1, 2))


def step_11_with_the_equal_diagonal_dropped_from_the_assumptions_a_preconditioner_gains():
    unequal = sympy.Matrix([[1, 0], [0, 9]])
    assert (sympy.diag(9, 1) * unequal).eigenvals() == {9: 2}


def step_12_beyond_the_rotation_of_45_degrees_an_aligned_run_moves_its_flat_direction():
    """kappa x^2 / 2 + y^2 / 2 in w = (x, y): at the start of step 3, y falls by lr s, whatever kappa is."""
    rate, height = RATIONAL[lr], RATIONAL[root]
    slope = sympy.diff(kappa * x**2 / 2 + y**2 / 2, y).subs(y, height)
    size = sympy.sqrt((rate**2 / 4 + height**2) / 2)
    assert slope > 0 and height - rate * size * sympy.sign(slope) < height
