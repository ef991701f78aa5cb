"""Theorem. Let f be L-smooth, the law of P unchanged by rotations of R^m, E P P^T = I, T = t x for the eigenvalues x of (r/m) P^T P,
s > 1, and W+ = W + P B with B an exact solution of RSO's subproblem. With the averages share = E T / (1 + T), low = E 1 / (T + 1/s),
high = E 1 / (s - T) over the r eigenvalues and over P,

    |grad f(W)|^2  <=  Lhat (f(W) - E f(W+)) / gain,

(i)   B a global argmin, all T < s:                    gain = [share + s / (s^2 - 1) - s^2 / (s^4 - 1) (low + high)] / 2;
(ii)  B any stationary point, all T < s <= 1 + sqrt 2: gain = descending_gain of the module, and where T >= s with some chance, F(B) <=
      F(0) makes the averages over the other P do. Gaussian P, m -> oo, c = r/m, s > t (1 + sqrt c)^2: both in closed form; at t = 1/2 and
      c = 1/4 they are 3.870 and 3.866, between 3.851 (what L |W|^2 / 2 costs) and 1.005 times as much. (i) has an s for every t.
(iii) With stationary points that may lie higher no constant holds, for no t, m and r: f(W) = h(W_1) can be chosen so that E f(W+) > f(W)
      (a slope that turns up again just beyond that point makes it a local minimum).

Source:    derived
Bounds:    argmin_any_law, descending_any_law, argmin_constant, descending_constant, rise of sandbox.theory.rso_gaussian_losses
Not here:  the two quadratic bounds of a smooth function (proof_rso_exact_subproblem.py); E (u_i^T grad f)^2 = |grad f|^2 / m for the left
           singular vectors u_i of P; the Marchenko-Pastur law, and that F(B) <= F(0) makes f fall on the vanishing rest; that for N(0, 1/r)
           entries T = t chi2_m / m along the first coordinate exceeds 3 with some chance; sums over more than two directions; that no f
           costs more than L |W|^2 / 2 (a conjecture).

Letters: L = 1; p1, p2 = components of grad f(W) along u_1, u_2; k1, k2 = those of grad f(W+), so that W+ - W = -(T1 k1, T2 k2).
"""

import sympy

from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero, smooth_gap
from sandbox.theory.rso import constant, t
from sandbox.theory.rso_gaussian import c, share
from sandbox.theory.rso_gaussian_losses import (
    IN_THE_LIMIT,
    T,
    argmin_any_law,
    argmin_constant,
    descending_any_law,
    descending_constant,
    high,
    low,
    rise,
    s,
    share_at,
)

p1, p2, k1, k2, h0, h1, T1, T2, g, a, w, S, z, G = sympy.symbols("p1 p2 k1 k2 h0 h1 T1 T2 g a w S z G", real=True)
half = sympy.Rational(1, 2)
beta = s / (s**2 - 1)
b = 2 * beta


def at(bound_of_law: sympy.Expr, eigenvalue: sympy.Expr) -> sympy.Expr:
    """The gain of a law with one eigenvalue: what a direction contributes."""
    one = {share: eigenvalue / (1 + eigenvalue), low: 1 / (eigenvalue + 1 / s), high: 1 / (s - eigenvalue)}
    return 1 / bound_of_law.subs(one, simultaneous=True)


def both(term) -> sympy.Expr:
    return term(T1, p1, k1) + term(T2, p2, k2)


def gap_without_values(x: sympy.Expr, p: sympy.Expr, k: sympy.Expr) -> sympy.Expr:
    """Of one direction, the start being the upper point: the inequality reads h1 - h0 + sum of these <= 0."""
    zero = sympy.Integer(0)
    return smooth_gap((zero, p, zero), (-x * k, k, zero), sympy.Integer(1))


def gap_from_the_end(x: sympy.Expr, p: sympy.Expr, k: sympy.Expr) -> sympy.Expr:
    zero = sympy.Integer(0)
    return smooth_gap((-x * k, k, zero), (zero, p, zero), sympy.Integer(1))


lipschitz = both(lambda x, p, k: (p - k) ** 2 - x**2 * k**2)  # |grad f(W) - grad f(W+)| <= |W - W+|
below_trial = h1 + both(lambda x, p, k: x * k**2 / 2) - h0 + both(lambda x, p, k: x / (1 + x) * p**2 / 2)  # F(B) <= F(trial point)
ORDER = (T1 > 0, T1 < s, T2 > 0, T2 < s, s > 1)


def curve(x: sympy.Expr) -> sympy.Expr:
    """x + beta (1 - x^2), positive for 0 < x < s."""
    return beta * (s - x) * (x + 1 / s)


argmin = Certificate(
    name="rso_gaussian_losses_argmin",
    claim=h0 - h1 - both(lambda x, p, k: at(argmin_any_law.value, x) * p**2),
    hypotheses=((sympy.Integer(1), below_trial), (beta / 2, lipschitz)),
    squares=tuple((1 / (2 * curve(x)), curve(x) * k - beta * p) for x, p, k in ((T1, p1, k1), (T2, p2, k2))),
    vectors=(p1, p2, k1, k2),
    domain=ORDER,
)
descending = Certificate(
    name="rso_gaussian_losses_descending",
    claim=h0 - h1 - both(lambda x, p, k: at(descending_any_law.value, x) * p**2),
    hypotheses=(((b + 1) / 2, h1 - h0 + both(gap_without_values)), ((b - 1) / 2, h0 - h1 + both(gap_from_the_end))),
    squares=tuple((1 / (8 * curve(x)), 2 * curve(x) * k + (x - b) * p) for x, p, k in ((T1, p1, k1), (T2, p2, k2))),
    vectors=(p1, p2, k1, k2),
    domain=(*ORDER, s**2 <= 2 * s + 1),
)
argmin_gain = Identity(
    "rso_gaussian_losses_argmin_gain", at(argmin_any_law.value, T), (T / (1 + T) + T * (1 - beta * T) / ((s - T) * (T + 1 / s))) / 2
)
descending_gain = Identity(
    "rso_gaussian_losses_descending_gain",
    at(descending_any_law.value, T),
    T * (4 * b - (b**2 + 1) * T) / (4 * b * (s - T) * (T + 1 / s)),
)
CERTIFICATES = (argmin, descending, argmin_gain, descending_gain)
stiefel = (s - 1 / s - 1, (3 - b) / (b - 1))  # t at which T = t gives the constant of an orthogonal basis
sharp = (sympy.Rational(2), sympy.Rational(3, 2))  # s at which t is between 0 and s: 1/2 and 3/7


def saw_tooth() -> tuple[sympy.Expr, sympy.Expr]:
    """Slope g at 0, curvature +1 up to a, then -1: (position, rise) of the stationary point beyond a."""
    position = sympy.Symbol("position", real=True)
    far = sympy.solve(g + 2 * a - position + position / T, position)[0]
    return far, g * a + a**2 / 2 + (g + a) * (far - a) - (far - a) ** 2 / 2


def step_01_the_trial_point_of_the_argmin():
    """Along u_1: h(z) <= h0 + p z + z^2 / 2, plus z^2 / (2 T), at its least."""
    trial = -p1 * T1 / (1 + T1)
    assert is_zero(p1 * trial + trial**2 / 2 + trial**2 / (2 * T1) + T1 / (1 + T1) * p1**2 / 2)


def step_02_one_multiplier_serves_all_directions_of_an_argmin():
    argmin.check()


def step_03_and_of_a_stationary_point():
    descending.check()
    assert is_zero(2 * both(gap_without_values) + 2 * both(gap_from_the_end) - lipschitz)


def step_04_what_a_direction_contributes():
    argmin_gain.check()
    descending_gain.check()


def step_05_the_gain_is_the_average_of_the_contributions():
    """It is linear in share, low and high; r directions with E p^2 = |grad f|^2 / m make (r/m) |grad f|^2 gain."""
    for bound in (argmin_any_law, descending_any_law):
        terms = sympy.expand(1 / bound.value)
        assert all(is_zero(sympy.diff(terms, one, other)) for one in (share, low, high) for other in (share, low, high))


def step_06_the_averages_of_a_gaussian_basis():
    """S = E 1 / (x + w): share = 1 - S / t at w = 1/t, low = S / t at w = 1 / (s t); G = E 1 / (z - x): high = G / t at z = s / t."""
    law, turned = c * w * S**2 + (1 - c + w) * S - 1, -c * z * G**2 + (z - 1 + c) * G - 1
    lower, upper = (1 - share_at.subs(t, 1 / w)) / w, IN_THE_LIMIT[high].subs(s, z * t) * t
    assert sympy.simplify(law.subs(S, lower)) == 0 and sympy.simplify(turned.subs(G, upper)) == 0
    assert is_zero(IN_THE_LIMIT[low] - s * (1 - share_at.subs(t, s * t)))
    assert is_zero(turned.subs({G: -S, z: -w}) - law)
    for one, at in ((lower, w), (upper, z)):  # of the two roots those of mass 1: 1/w and 1/z far out
        assert sympy.limit((one * at).subs(c, sympy.Rational(1, 4)), at, sympy.oo) == 1


def step_07_the_closed_forms_are_the_gains_of_that_law():
    for limit, bound in ((argmin_constant, argmin_any_law), (descending_constant, descending_any_law)):
        assert limit.value - bound.value.subs(IN_THE_LIMIT, simultaneous=True) == 0


def step_08_it_is_attained_by_an_orthogonal_basis():
    for bound, time in zip((argmin_any_law, descending_any_law), stiefel, strict=True):
        assert is_zero(1 / at(bound.value, time) - constant.subs(t, time))


def step_09_no_smaller_constant_will_do():
    for bound, time, number in zip((argmin_any_law, descending_any_law), stiefel, sharp, strict=True):
        exact = constant.subs(t, time).subs(s, number)
        assert 0 < time.subs(s, number) < number
        assert sympy.Rational(999, 1000) / at(bound.value, time).subs(s, number) < exact <= 1 / at(bound.value, time).subs(s, number)


def step_10_with_the_lipschitz_gradient_dropped_only_the_share_is_left():
    assert is_zero(sympy.limit(at(argmin_any_law.value, T), s, sympy.oo) - T / (1 + T) / 2)


def step_11_with_the_trial_point_dropped_nothing_bounds_f_from_above():
    """The values h0 - h1 stand in it alone."""
    assert is_zero(sympy.diff(argmin.claim + beta / 2 * lipschitz, h0) - 1)


def step_12_beyond_s_the_certificates_fail():
    assert counterexample(curve(T), (T > 0, s > 1)) is not None
    assert counterexample((b - 1) / 2, (s > 1,)) is not None


def step_13_the_largest_rise_is_attained_on_a_saw_tooth():
    far, height = saw_tooth()
    assert is_zero((height - rise.value * far**2).subs(g, 0))
    above = Certificate(
        name="rise",
        claim=rise.value * (T * k1) ** 2 - (h1 - h0),
        hypotheses=((sympy.Integer(1), h1 - h0 + gap_without_values(T, sympy.Integer(0), k1)),),
    )
    above.check()


def step_14_beyond_three_f_rises_as_high_as_one_likes():
    """By at least a^2 / 2, whatever the slope; where T < 3 it falls by at most g^2 / 2 to the stationary point on curvature +1."""
    far, height = saw_tooth()
    assert counterexample(sympy.factor(height - a**2 / 2), (g > 0, a > 0, T >= 3)) is None
    assert counterexample(sympy.factor(far - a), (g > 0, a > 0, T >= 3)) is None
    near = -g * T / (1 + T)
    assert is_zero(g + near + near / T)
    assert counterexample(sympy.factor(g**2 / 2 + g * near + near**2 / 2), (g > 0, T > 0)) is None
