"""Theorem. Let f be L-smooth (convex or not), w+ = w - gamma g / |g| with g = grad f(w) not 0. Then for all K

    mean_{k<K} |g_k|  <=  (f(w_0) - f(w_K)) / (K gamma) + L gamma / 2;

with Delta0 = f(w_0) - inf f for the decrease the right side is least at gamma = sqrt(2 Delta0 / (K L)), where it is sqrt(2 L Delta0
/ K). With gamma constant nothing better than L gamma / 2 remains in the end: on L w^2 / 2 the step oscillates between gamma / 2 and
-gamma / 2.

Source:    textbook argument (recalled)
Bounds:    normalised_mean, normalised_best_step, normalised_best_mean, normalised_floor of sandbox.theory.normalised
Not here:  the descent lemma f(w + d) <= f(w) + <grad f(w), d> + L |d|^2 / 2; that one-step inequalities add up
           (proof_gradient_sum.py).
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.gradient_descent import Delta0, K, L
from sandbox.theory.normalised import decrease, gamma, normalised_best_mean, normalised_best_step, normalised_floor, normalised_mean

G, f0, f1, w = sympy.symbols("G f0 f1 w", real=True)
one_step = normalised_mean.value.subs(K, 1)
half, smaller = sympy.Rational(1, 2), sympy.Rational(999, 1000)
CERTIFICATES = (
    Certificate(
        name="normalised_step",
        claim=one_step.subs(decrease, f0 - f1) - G,
        hypotheses=((1 / gamma, f1 - f0 + gamma * G - L * gamma**2 / 2),),
        domain=(L > 0, gamma > 0),
    ),
)


def step_01_the_descent_lemma_pays_for_the_norm():
    (certificate,) = CERTIFICATES
    certificate.check()


def step_02_and_K_steps_for_the_mean():
    assert is_zero(K * normalised_mean.value - one_step - (K - 1) * one_step.subs(decrease, 0))


def step_03_the_mean_is_attained_at_every_step_of_the_quadratic():
    """From w > 0 one step leads to w - gamma, whether it crosses 0 or not: |g| = L w."""
    f = L * w**2 / 2
    assert is_zero(one_step.subs(decrease, f - f.subs(w, w - gamma)) - L * w)


def step_04_the_best_step_and_its_mean():
    """value(gamma) - best = L (gamma - best_step)^2 / (2 gamma)."""
    best, step = normalised_best_mean.value, normalised_best_step.value
    assert is_zero(step**2 * K * L - 2 * Delta0) and is_zero(best**2 * K - 2 * L * Delta0)
    y = sympy.Symbol("y", positive=True)  # the best mean: Delta0 = K y^2 / (2 L), best step = y / L
    better = normalised_mean.value.subs(decrease, K * y**2 / (2 * L)) - y
    assert is_zero(better - L * (gamma - y / L) ** 2 / (2 * gamma))


def step_05_the_floor_is_attained_by_an_oscillation():
    f = L * w**2 / 2
    slope = sympy.diff(f, w)
    assert is_zero(slope.subs(w, gamma / 2) - normalised_floor.value)
    assert is_zero(slope.subs(w, gamma / 2 - gamma) + normalised_floor.value)  # and from there back again
    assert is_zero(one_step.subs(decrease, 0) - normalised_floor.value)


def step_06_no_smaller_constant_will_do():
    numbers = {L: 1, gamma: 1, K: 7, decrease: 0}
    assert smaller * normalised_mean.value.subs(numbers) < half  # the oscillation, whose norms are 1/2
    assert smaller * normalised_floor.value.subs(numbers) < half
    two = {Delta0: 2, K: 1, L: 1}  # w^2 / 2 from 2: |g| = 2, gap 2
    assert normalised_best_mean.value.subs(two) == 2 == normalised_best_step.value.subs(two)
    assert smaller * normalised_best_mean.value.subs(two) < 2


def step_07_with_smoothness_dropped_the_mean_stays_at_the_slope():
    """f = |w| oscillates between gamma / 2 and -gamma / 2 with norm 1, whatever gamma."""
    assert normalised_mean.value.subs({L: 1, gamma: sympy.Rational(1, 10), K: 7, decrease: 0}) < 1


def step_08_beyond_positive_step_lengths_there_is_nothing_to_show():
    """The domain is every gamma > 0; for gamma < 0 the step climbs, and the certificate's multiplier is negative."""
    assert counterexample(1 / gamma, (gamma < 0,)) is not None
