"""Theorem. Let f = g^T x, and let the one-point gradient with residual feedback, ghat_t = c_t z_t with Gaussian z_t and
c_t = [f(x_t + eps z_t) - f(x_(t-1) + eps z_(t-1))] / eps, drive x_(t+1) = x_t - lr ghat_t. Given the past E ghat_t = g. With
tau = (lr |g| / eps)^2 < 1 its variance tends to

    E c_t^2 = 2 |g|^2 / (1 - tau),      E |ghat_t|^2 = [d + 2 + d (1 + tau)/(1 - tau)] |g|^2,

and for tau >= 1, lr >= eps / |g|, it grows without bound, although f is linear and nothing is curved. As lr -> 0 it is
(2 d + 2) |g|^2, against (d + 2) |g|^2 of two points, which take two forward passes: the mean of two residual estimates has
(d + 3/2) |g|^2. So what makes it clearly worse in MeZO's comparison is not its variance at small steps, but tau, or the change of batch
between its two losses. On any f its mean is that of a one-sided two-point gradient (the old loss is independent of z_t and E z_t = 0),
so its bias is theirs.

Source:    derived; the estimate is the one of MeZO's appendix B.5 (read: two points are clearly better there), after Zhang et al. (2022)
Bounds:    residual_second_moment, residual_edge of sandbox.theory.zeroth_order_steps
Not here:  that tau^n tends to 0 where tau < 1 (a certificate gives the mean square of every step).

Letters: s_t = z_t^T g; k = lr/eps; c_t = s_t - u_(t-1), u_t = s_t + k c_t s_t what a loss remembers; U = E u^2; G = |g|^2.
"""

import sympy

from sandbox.theory import zeroth_order_steps as steps
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero
from sandbox.theory.induction import Induction
from sandbox.theory.zeroth_order import eps
from sandbox.theory.zeroth_order_edge import lr
from sandbox.theory.zeroth_order_pairings import GAUSSIAN, d, g2, mean
from sandbox.theory.zeroth_order_steps import grad

s, u, k, G, U = sympy.symbols("s u k G U", real=True)
new = s + k * (s - u) * s  # u_t from s_t and u_(t-1)
FACTOR = sympy.Rational(999, 1000)
t = sympy.Symbol("tau", real=True)


def expectation(expr: sympy.Expr, first: sympy.Expr, second: sympy.Expr) -> sympy.Expr:
    """E over s ~ N(0, G) and an independent u with these two moments."""
    moments = {0: 1, 1: 0, 2: G, 3: 0, 4: 3 * G**2}
    remembered = {0: 1, 1: first, 2: second}
    terms = sympy.Poly(sympy.expand(expr), s, u).terms()
    return sympy.expand(sum(factor * moments[a] * remembered[b] for (a, b), factor in terms))


power, count, first = sympy.symbols("power count first", real=True)
TAU = k**2 * G
CERTIFICATES = (
    Identity("residual_recursion", expectation(new**2, k * G, U), G + TAU * G + TAU * U),
    Identity("residual_fixed_point", (G * (1 + TAU) + TAU * G * (1 + TAU) / (1 - TAU)), G * (1 + TAU) / (1 - TAU)),
    Identity(
        "residual_second_moment",
        (mean(GAUSSIAN, "G1").subs(g2, G) + G * (1 + TAU) / (1 - TAU) * d).subs({k: lr / eps, G: grad**2}) / grad**2,
        steps.residual_second_moment.value,
    ),
    Induction(  # U_n = fixed + tau^n (U_0 - fixed), times 1 - tau
        "residual_mean_square_of_every_step",
        claim=(1 - TAU) * (U - first * power) - G * (1 + TAU) * (1 - power),
        index=count,
        sequences=((power, sympy.Integer(1), TAU * power), (U, first, G + TAU * G + TAU * U)),
        factor=TAU,
        relation="=",
    ),
    Induction(  # past the edge it grows by at least G at every step
        "residual_beyond_the_edge",
        claim=U - first - count * G,
        index=count,
        sequences=((U, first, G + TAU * G + TAU * U),),
        squares=((TAU * G + (TAU - 1) * U, sympy.Integer(1)),),
        domain=(k > 0, G > 0, k**2 * G >= 1),
        always=(U >= 0,),
    ),
    Certificate(
        name="residual_never_below_2d_plus_2",
        claim=d * (1 + t) / (1 - t) - d,
        squares=((2 * d * t / (1 - t), sympy.Integer(1)),),
        domain=(d >= 1, t >= 0, t < 1),
    ),
)


def step_01_a_loss_remembers_its_slope_and_the_step_that_follows():
    """f(x_t + eps z_t) - f(x_(t-1) + eps z_(t-1)) = eps s_t - lr c_(t-1) s_(t-1) - eps s_(t-1), from x_t = x_(t-1) - lr c_(t-1) z_(t-1)."""
    s_old, c_old = sympy.symbols("s_old c_old")
    difference = eps * s - lr * c_old * s_old - eps * s_old
    remembered = s_old + lr / eps * c_old * s_old
    assert is_zero(difference / eps - (s - remembered))


def step_02_its_mean_is_k_G_and_its_mean_square_obeys_a_linear_recursion():
    first = expectation(new, k * G, U)
    second = expectation(new**2, k * G, U)
    assert is_zero(first - k * G)
    assert is_zero(second - (G + k**2 * G**2 + k**2 * G * U))


def step_03_the_fixed_point_is_attained_and_gives_the_bound():
    tau = k**2 * G
    fixed = G * (1 + tau) / (1 - tau)
    assert is_zero((G + k**2 * G**2 + k**2 * G * U - U).subs(U, fixed))
    at = {k: lr / eps, G: grad**2}
    second_moment = mean(GAUSSIAN, "G1").subs(g2, G) + fixed * mean(GAUSSIAN, "1")  # (s - u)^2 |z|^2: E s |z|^2 = 0
    assert is_zero((second_moment / G).subs(at) - steps.residual_second_moment.value)
    assert is_zero(G + fixed - 2 * G / (1 - tau))


def step_04_the_factor_of_the_recursion_is_one_at_the_edge():
    factor = (lr / eps) ** 2 * grad**2
    assert is_zero(factor.subs(lr, steps.residual_edge.value) - 1)


def step_05_no_smaller_constant_will_do():
    """d = 1, k^2 G = 1/2: the recursion has the fixed point 3 G, the second moment is 6."""
    at = {d: 1, grad: 1, eps: 2, lr: sympy.sqrt(2)}
    assert steps.residual_second_moment.value.subs(at) == 6
    assert FACTOR * steps.residual_second_moment.value.subs(at) < 3 + 3


def step_06_it_never_scatters_less_than_two_d_plus_two():
    gap = steps.residual_second_moment.value - (2 * d + 2)
    assert counterexample(gap, steps.residual_second_moment.requires) is None
    assert is_zero(gap.subs(lr, 0))


def step_07_with_the_movement_dropped_the_edge_would_not_be_seen():
    """k = 0: U = G for ever, whatever lr is."""
    assert is_zero(expectation(new.subs(k, 0) ** 2, 0, U) - G)


def step_08_beyond_the_edge_the_mean_square_grows_at_every_step():
    grown = (G + k**2 * G**2 + k**2 * G * U) - U
    assert counterexample(grown, (k > 0, G > 0, U >= 0, k**2 * G >= 1)) is None
    assert counterexample(grown, (k > 0, G > 0, U >= 0)) is not None


def step_09_two_of_its_estimates_scatter_less_than_one_of_two_points_as_lr_vanishes():
    """E ghat_t^T ghat_(t+1) = E (s_t - s_(t-1)) (s_(t+1) - s_t) z_t^T z_(t+1) = E s_t s_(t+1) z_t^T z_(t+1) = |g|^2."""
    one = steps.residual_second_moment.value.subs(lr, 0)
    pair = (2 * one + 2) / 4
    assert is_zero(pair - (d + sympy.Rational(3, 2)))
    assert is_zero(mean(GAUSSIAN, "G1") / g2 - pair - sympy.Rational(1, 2))


def step_10_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
