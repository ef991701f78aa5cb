"""Theorem. Let m <- beta m + ghat, x <- x - lr m, 0 <= beta < 1, on x^T H x / 2 with eigenvalues lam_i >= 0, E ghat = g = H x,
E ghat ghat^T = alpha g g^T + gamma |g|^2 I, alpha >= 1 (the sphere has it from d = 2 on), and lr lam_i ((1+beta) alpha - 2 beta) <
2 (1 - beta^2) for all i. There is a nonnegative quadratic form
V = sum_i (w_i x_i^2 + 2 u_i x_i m_i + v_i m_i^2) with, exactly, for every spectrum and every d,

    E V(x+, m+)  =  V(x, m) - (1 - S) |g|^2,    S = sum_i gamma lr lam_i (1+beta) / (2 (1-beta^2) - lr lam_i ((1+beta) alpha - 2 beta))

so second moments contract if and only if S < 1, and then sum_k E |grad f(x_k)|^2 = V(x_0, m_0) / (1 - S). Slopes with independent errors
of variance v leave the floor E |grad f|^2 = v S / (1 - S) (Gaussian directions). For H = L I the edge is

    lr = 2 (1 - beta^2) / ((q (1+beta) - 2 beta) L),    q = (d + n + 1)/n,

that is (1 - beta) times the edge without momentum, times 1 / (1 - 2 beta / (q (1+beta))), a factor in [1, q/(q-1)): momentum only
rescales lr where q is large. At equal effective steps lr/(1-beta) the load differs by O(1/q) alone.

Source:    derived; our dossier had measured 2.00 to 2.02 for lr (d+2) L / (1 - beta)
Bounds:    gradient_per_potential, noise_floor, momentum_edge of sandbox.theory.zeroth_order_edge
Not here:  that sums over i of step 1 are sums over i; that a form that is >= 0, falls by a multiple of |g|^2, and is bounded below
           sums it up; that the edge beyond the pole of a coordinate is not reached (there S has grown past 1 before).
"""

import sympy

from sandbox.theory import zeroth_order_edge as edge
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.zeroth_order import n, slope_variance
from sandbox.theory.zeroth_order_edge import L, alpha, beta, gamma, lam, load, lr
from sandbox.theory.zeroth_order_pairings import d

xx, xm, mm, others = sympy.symbols("xx xm mm others", real=True)  # E x_i^2, E x_i m_i, E m_i^2, and gamma E |g|^2 or the noise
w, u, v = edge.position_weight, edge.cross_weight, edge.momentum_weight
DOMAIN = (lr > 0, lam > 0, alpha >= 1, gamma > 0, beta >= 0, beta < 1, lr * lam * ((1 + beta) * alpha - 2 * beta) < 2 * (1 - beta**2))
FACTOR = sympy.Rational(999, 1000)
cross = beta * xm + lam * xx  # E x_i m_i+, before x moves
mm_next = beta**2 * mm + 2 * beta * lam * xm + alpha * lam**2 * xx + others
xm_next = cross - lr * mm_next
xx_next = xx - 2 * lr * cross + lr**2 * mm_next


def V(a: sympy.Expr, c: sympy.Expr, e: sympy.Expr) -> sympy.Expr:
    return w * a + 2 * u * c + v * e


falls = V(xx_next, xm_next, mm_next) - V(xx, xm, mm)
CERTIFICATES = (
    Identity(
        name="zeroth_order_momentum_potential",
        left=falls,
        right=edge.load_term / gamma * others - lam**2 * xx,
    ),
)


def isotropic_matrix() -> sympy.Matrix:
    """(E |x|^2, E x m, E |m|^2) of L |x|^2 / 2 -> the same after a step."""
    q = (d + n + 1) / n
    c = sympy.Matrix([[q * L**2, 2 * beta * L, beta**2]])
    x_m = sympy.Matrix([[L, beta, 0]])
    return sympy.Matrix([sympy.Matrix([[1, 0, 0]]) - 2 * lr * x_m + lr**2 * c, x_m - lr * c, c])


def step_01_the_potential_falls_by_exactly_the_gradient_times_one_minus_the_load():
    """Per coordinate; summed over i with others = gamma sum lam^2 xx it is (S - 1) E |g|^2."""
    for certificate in CERTIFICATES:
        certificate.check()
    assert is_zero(falls - (edge.load_term / gamma * others - lam**2 * xx))


def step_02_the_potential_is_a_nonnegative_form():
    for number in (w, v, w * v - u**2):
        assert counterexample(number, DOMAIN) is None


def step_03_the_sum_over_the_steps_is_the_fall_of_the_potential_over_one_minus_the_load():
    assert is_zero((1 - load) * edge.gradient_per_potential.value - 1)


def step_04_noise_enters_where_the_other_coordinates_do():
    """Errors of variance v add v/n to every E m_i^2, as gamma |g|^2 = |g|^2 / n does: V falls by (1 - S) |g|^2 - S v, 0 when stationary."""
    floor = edge.noise_floor.value
    assert is_zero((1 - load) * floor - load * slope_variance)


def step_05_the_isotropic_edge_is_attained():
    load_there = (d * edge.load_term).subs(lam, L).subs(edge.gaussian)
    assert is_zero(load_there.subs(lr, edge.momentum_edge.value) - 1)
    fixed = (sympy.eye(3) - isotropic_matrix()).det()
    assert is_zero(fixed.subs(lr, edge.momentum_edge.value))


def step_06_no_smaller_edge_a_longer_step_is_stable():
    at = {d: 4, n: 1, beta: sympy.Rational(1, 2), L: 1}
    load_at = (d * edge.load_term).subs(lam, L).subs(edge.gaussian).subs(at)
    assert edge.momentum_edge.value.subs(at) == sympy.Rational(3, 16)
    assert load_at.subs(lr, FACTOR * sympy.Rational(3, 16)) < 1 < load_at.subs(lr, sympy.Rational(3, 16) / FACTOR)


def step_07_momentum_rescales_the_learning_rate_and_little_else():
    q = (d + n + 1) / n
    factor = edge.momentum_edge.value / ((1 - beta) * edge.isotropic_edge.value)
    assert is_zero(1 / factor - (1 - 2 * beta / (q * (1 + beta))))
    domain = (d >= 1, n >= 1, beta >= 0, beta < 1)
    assert counterexample(factor - 1, domain) is None and counterexample(q / (q - 1) - factor, domain) is None


def step_08_without_momentum_both_are_those_of_the_plain_step():
    assert is_zero((edge.momentum_edge.value - edge.isotropic_edge.value).subs(beta, 0))
    assert is_zero(u.subs(beta, 0)) and is_zero(v.subs(beta, 0))


def step_09_the_cross_term_dropped_from_the_potential_it_no_longer_closes():
    without = falls - 2 * (u * (xm_next - xm))
    assert not is_zero(sympy.diff(without, xm))


def step_10_beyond_the_pole_or_with_alpha_below_1_the_form_is_no_longer_nonnegative():
    wider = (lr > 0, lam > 0, alpha >= 1, beta > 0, beta < 1)
    assert counterexample(v, wider) is not None
    smaller = (*(relation for relation in DOMAIN if relation != (alpha >= 1)), alpha > 0)
    assert counterexample(w * v - u**2, smaller) is not None
    assert counterexample(edge.sphere[alpha] - 1, (d >= 2, n >= 1)) is None


def step_11_two_steps_by_hand_agree_with_the_potential():
    """beta = 1/2, one coordinate of curvature 1 and a Gaussian in d = 1: alpha = 2, gamma = 1, lr = 1/8, from x = 1, m = 0."""
    at = {beta: sympy.Rational(1, 2), lam: 1, alpha: 2, gamma: 1, lr: sympy.Rational(1, 8)}
    state, total = sympy.Matrix([1, 0, 0]), 0
    form = sympy.Matrix([[w, 2 * u, v]]).subs(at)
    step = sympy.Matrix([expr.subs(others, xx).subs(at) for expr in (xx_next, xm_next, mm_next)]).jacobian([xx, xm, mm])
    start = (form * state)[0]
    for _ in range(2):
        total += state[0]
        state = step * state
    share = edge.load_term.subs(at)
    assert share == sympy.Rational(3, 20) and (form * state)[0] == start - (1 - share) * total
