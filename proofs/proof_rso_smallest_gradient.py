"""Theorem. (i) In the setting of proof_rso_exact_subproblem.py let r = m, so that P is orthogonal and a round is a proximal point
step on f, W_(k+1) = W_k - (t / L) grad f(W_(k+1)). Then for every K >= 1

    K min_{k<=K} |grad f(W_k)|^2  <=  4 / (t (4 - t)) * L (f(W_0) - f(W_K))             0 < t <= 1      (16/7 at t = 1/2)
    K min_{k<=K} |grad f(W_k)|^2  <=  4 / (t (4 - t^2)) * L (f(W_0) - f(W_K))           1 <= t <= sqrt 3
    min_{k<=K} |grad f(W_k)|^2    <=  4 L (f(W_0) - inf f) / (K t (4 - t) + 2)          0 < t <= 1

the first and the third with equality for every K on a one-dimensional saw-tooth: curvature +L on the first half of every
round and -L on the second. The first two are those of gradient descent with the step t / L, whose steps on -f are these rounds read
backwards; so the second is attained for every K as well, by the turning gradient of proof_gradient_min.py.
(ii) For random P, r < m, this fails: K min_k E|grad f(W_k)|^2 / (Lhat (f - E f(W_K))) can be 13/5 > 16/7 at t = 1/2, m = 2, K = 1,
and no constant below C(t), which follows from the sum, holds for all m, whatever K: on L |W|^2 / 2 it is at least
C(t) (1 - K (r/m) (1 - (1+t)^-2)). A random basis thus leaves nothing to be gained by taking the smallest instead of the mean.

Source:    derived; (i) and a failure of (ii) at K = 3 were seen in semidefinite programs
Bounds:    smallest_gradient, smallest_gradient_long, smallest_gradient_from_gap, smallest_expected_gradient of sandbox.theory.rso_rates
Not here:  the inequality of smooth functions (step 1 of the exact proof); |grad f|^2 <= 2 L (f - inf f); that one-step inequalities
           add up (proof_gradient_sum.py); units: L = 1.

Letters: g0, g1 = gradients at W_k and W_(k+1); f0, f1 = losses; low = the smallest squared gradient.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero, smooth_gap
from sandbox.theory.gradient_descent import gradient_min, lr
from sandbox.theory.rso import Delta0, K, L, constant, m, progress, r, t
from sandbox.theory.rso_rates import smallest_expected_gradient, smallest_gradient, smallest_gradient_from_gap, smallest_gradient_long

g0, g1, f0, f1, low, best = sympy.symbols("g0 g1 f0 f1 low best", real=True)
one, half = sympy.Integer(1), sympy.Rational(1, 2)
before, after = (sympy.Integer(0), g0, f0), (-t * g1, g1, f1)
Q01, Q10 = smooth_gap(before, after, one), smooth_gap(after, before, one)
short = Certificate(
    name="rso_smallest_gradient",
    claim=smallest_gradient.value * (f0 - f1) - low,
    hypotheses=(
        (smallest_gradient.value, Q01),
        (1 / (4 - t), low - g0**2),
        ((3 - t) / (4 - t), low - g1**2),
    ),
    squares=(((1 - t) / (t * (4 - t)), g0 - g1),),
    vectors=(g0, g1),
    domain=(t > 0, t <= 1),
)
long = Certificate(
    name="rso_smallest_gradient_long",
    claim=smallest_gradient_long.value * (f0 - f1) - low,
    hypotheses=(
        (smallest_gradient_long.value * (t + 1) / 2, Q01),
        (smallest_gradient_long.value * (t - 1) / 2, Q10),
        (1 / (4 - t**2), low - g0**2),
        ((3 - t**2) / (4 - t**2), low - g1**2),
    ),
    vectors=(g0, g1),
    domain=(t >= 1, t**2 <= 3),
)
from_gap = Certificate(  # f0 - f1 now stands for the decrease of all K rounds
    name="rso_smallest_gradient_from_gap",
    claim=smallest_gradient_from_gap.value.subs({L: 1, Delta0: f0 - best}) - low,
    hypotheses=(
        (smallest_gradient_from_gap.value.subs({L: 1, Delta0: 1}), low * K / smallest_gradient.value - (f0 - f1)),
        (smallest_gradient_from_gap.value.subs({L: 1, Delta0: 1}), low / 2 - (f1 - best)),
    ),
    domain=(t > 0, t <= 1, K >= 1),
)
CERTIFICATES = (short, long, from_gap)


def tooth() -> tuple[sympy.Expr, sympy.Expr]:
    """(slope, fall of f) after moving t against a slope of 1: curvature +1 over the first t / 2, then -1."""
    s = sympy.Symbol("s", real=True)
    down, up = 1 - s, 1 - t / 2 + s
    fall = sympy.integrate(down, (s, 0, t / 2)) + sympy.integrate(up, (s, 0, t / 2))
    return up.subs(s, t / 2), fall


def isotropic_ratio(rounds: int) -> sympy.Expr:
    """K min_k E|grad f|^2 / (Lhat (f - E f(W_K))) on L |W|^2 / 2, whose gap shrinks by rho a round."""
    rho = 1 - r / m * progress
    return rounds * 2 * rho**rounds / (m / r * (1 - rho**rounds))


def step_01_for_short_rounds_the_decrease_pays_for_both_gradients():
    short.check()


def step_02_for_long_rounds_both_inequalities_are_needed():
    long.check()


def step_03_with_inf_f_the_last_gradient_pays_too():
    from_gap.check()


def step_04_the_two_domains_meet():
    assert is_zero((smallest_gradient.value - smallest_gradient_long.value).subs(t, 1))


def step_05_it_is_attained_for_every_K_on_a_saw_tooth():
    slope, fall = tooth()
    assert is_zero(slope - 1)  # so that the next round begins as this one did, and W_+ is stationary
    assert is_zero(smallest_gradient.value * fall - 1)
    total = K * fall + half  # after K rounds curvature +1 to the minimum
    assert is_zero(smallest_gradient_from_gap.value.subs({L: 1, Delta0: total}) - 1)


def step_06_that_stationary_point_is_the_argmin():
    """s / t < slope for 0 < s < t: on the first half s / t < 1 - s, on the second s / t < 1 - t + s."""
    s = sympy.Symbol("s", real=True)
    assert counterexample(t * (1 - s) - s, (t > 0, t <= 1, s > 0, 2 * s <= t)) is None
    assert counterexample(t * (1 - t + s) - s, (t > 0, t <= 1, 2 * s >= t, s < t)) is None


def step_07_no_smaller_constant_will_do():
    slope, fall = (part.subs(t, half) for part in tooth())
    assert sympy.Rational(999, 1000) * smallest_gradient.value.subs(t, half) * fall < slope**2
    assert smallest_gradient.value.subs(t, half) == sympy.Rational(16, 7)


def step_08_the_long_one_is_attained_by_one_round_on_an_indefinite_quadratic():
    """t = 3/2, H = diag(1, -1), squared components 25 and 7 of the gradient at W_0; a round divides the components by 1 + t, 1 - t."""
    t0 = 3 * half
    a2, b2 = sympy.Integer(25), sympy.Integer(7)
    after_a2, after_b2 = a2 / (1 + t0) ** 2, b2 / (1 - t0) ** 2
    assert a2 + b2 == after_a2 + after_b2
    fall = (a2 - after_a2) / 2 - (b2 - after_b2) / 2
    assert smallest_gradient_long.value.subs(t, t0) * fall == a2 + b2


def step_09_read_backwards_a_round_is_a_gradient_step_on_minus_f_so_the_long_one_is_attained_for_every_K():
    """W_k = W_(k+1) - t grad(-f)(W_(k+1)), with the same gradients and the same decrease; see proof_gradient_min.py, step 6."""
    assert is_zero(before[0] - (after[0] - t * -g1))
    for point, bound in ((half, smallest_gradient), (3 * half, smallest_gradient_long)):
        assert is_zero(K * gradient_min.value.subs({L: 1, lr: point}) - bound.value.subs(t, point))


def step_10_neither_gradient_may_be_dropped():
    """The first alone costs C(t) > 4 / (t (4 - t)), by proof_rso_exact_subproblem.py: (1 - B)^2 / 2 shows it."""
    fall = (1 - (1 + t) ** -2) / 2
    assert (smallest_gradient.value * fall).subs(t, half) < 1
    assert (smallest_gradient_long.value * fall).subs(t, 3 * half) < 1


def step_11_beyond_one_the_first_form_fails():
    t0 = 3 * half
    assert smallest_gradient.value.subs(t, t0) < smallest_gradient_long.value.subs(t, t0)


def step_12_for_a_random_basis_it_fails_at_m_2_and_one_round():
    ratio = isotropic_ratio(1).subs({m: 2, r: 1, t: half})
    assert ratio == sympy.Rational(13, 5) > smallest_gradient.value.subs(t, half)


def step_13_and_no_constant_below_that_of_the_sum_serves_all_m():
    """1 - rho^K <= K (1 - rho), so the ratio is at least C rho^K >= C (1 - K (1 - rho)), C (1 - rho) = 2 r / m."""
    rho = sympy.Symbol("rho", real=True)
    for rounds in (1, 2, 5):
        bernoulli = rho**rounds - 1 + rounds * (1 - rho)
        assert counterexample(bernoulli, (rho >= 0, rho < 1)) is None
        assert is_zero(sympy.limit(isotropic_ratio(rounds), m, sympy.oo) - constant)
    assert is_zero(constant * progress - 2)
    near = isotropic_ratio(3).subs({m: 10**4, r: 1, t: half})
    assert sympy.Rational(999, 1000) * smallest_expected_gradient.value.subs(t, half) < near
    assert near < smallest_expected_gradient.value.subs(t, half) and is_zero(smallest_expected_gradient.value - constant)
