"""Theorem. Let f(w + h) <= f(w) + <g, h> + sum_b L_b |h_b|^2 / 2, G = g + xi with E xi = 0 given the past, N(g) = sum_b sqrt(d_b) |g_b|,
size = sum_b d_b L_b, Delta = f(w_0) - inf f, noise = sum_b sqrt(d_b) E |xi_b|.

(i)  Adam-mini at betas (0, 0), eps 0, h_b = -lr sqrt(d_b) G_b / |G_b|:   (1/T) sum_{t<T} E N(g_t) <= Delta / (lr T) + lr size / 2 + noise.
     The coefficient of the noise cannot be below 1; without E xi = 0 it is 2. The noise is a floor: where |g_b| = E |xi_b| there may be
     no descent at all, whatever lr.
(ii) The same steps along m <- beta m + (1 - beta) G, with the smoothness from both sides and spread = sum_b sqrt(d_b E |xi_b|^2):

         (1/T) sum E N(g_t) <= Delta / (lr T) + lr size / 2 + 2 lr size beta / (1 - beta)
                               + 2 spread (1 / (T (1 - beta)) + sqrt((1 - beta) / (1 + beta))),

     at the best lr and beta at most 4 (2 Delta size spread^2 / T)^(1/4) + 2 spread^2 / sqrt(2 Delta size T) once
     T spread^2 >= 2 Delta size.

Source:    derived; (ii) after Cutkosky and Mehta (2020, recalled), and Xie, Mohamadi, Li (2410.08198, second-hand) for blocks
Bounds:    unbiased_mean, averaged_mean, averaged_best of sandbox.theory.adam_mini_noisy
Not here:  that one-step inequalities add up; E |x| <= sqrt(E |x|^2), sqrt(a + b) <= sqrt a + sqrt b, triangle inequalities; sums of
           geometric series are at most those of all terms; that two-sided smoothness makes sum_b |dg_b|^2 / L_b <= sum_b L_b |h_b|^2 (the
           sum of both inequalities of proof_rso_exact_subproblem.py, step 2, for the norm with weights L_b). Adam-mini with memory in v
           (open: its step is divided by the norm of another average than the one it goes along).

Letters: one block; x = |xi|, u = G / |G|, n = |g|, r = sqrt(d_b), a = |dg_b|; e = m - g.
"""

import sympy

from sandbox.theory.adam_mini_noisy import averaged_best, averaged_mean, beta, noise, spread, unbiased_mean
from sandbox.theory.adam_mini_steps import Delta, T, lr, normalised_mean, size
from sandbox.theory.certificate import Certificate, Identity, counterexample, is_zero, smooth_gap

x, xi, u, n, r, L, a, N, p, eps, e, g, g_before, m, X = sympy.symbols("x xi u n r L a N p eps e g g_before m X", real=True)
half = sympy.Rational(1, 2)
alpha = sympy.Symbol("alpha", positive=True)

along = Certificate(  # <xi, u> <= |xi|, so <g, u> = |G| - <xi, u> >= |G| - |xi|
    name="noisy_descent_along",
    claim=x**2 - x * xi * u,
    hypotheses=((half, xi**2 - x**2), (x**2 / 2, u**2 - 1)),
    squares=((half, xi - x * u),),
    vectors=(xi, u),
    domain=(x >= 0,),
)
angle = Certificate(  # |g| <= |G| + x and |G| <= <g, u> + x
    name="noisy_descent_angle",
    claim=X - n + 2 * x,  # X = <g, u>
    hypotheses=((sympy.Integer(1), n - N - x), (sympy.Integer(1), N - X - x)),
)
movement = Certificate(  # sqrt(d_b) |dg_b| <= (lr d_b L_b + |dg_b|^2 / (lr L_b)) / 2; both add up to at most lr size
    name="noisy_descent_movement",
    claim=(lr * r**2 * L + a**2 / (lr * L)) / 2 - r * a,
    squares=((1 / (2 * lr * L), lr * L * r - a),),
    domain=(lr > 0, L > 0, r > 0, a >= 0),
)
error = Identity(
    "noisy_descent_error", beta * m + (1 - beta) * (g + xi) - g, beta * (m - g_before) + beta * (g_before - g) + (1 - beta) * xi
)
CERTIFICATES = (along, angle, movement, error)
variance = (1 - beta) / (1 + beta)


def step_01_along_the_noisy_direction():
    """<g, u> >= |G| - |xi|, and E |G| >= |E G| = |g|, by E <G, g / |g|> = |g| and the same inequality."""
    along.check()


def step_02_so_the_expected_decrease_pays_for_the_norm_less_the_noise():
    """E f(w+) <= f(w) - lr sum_b sqrt(d_b) (|g_b| - E |xi_b|) + lr^2 size / 2, T times."""
    assert is_zero(T * (lr * (unbiased_mean.value - noise) - lr**2 * size / 2) - Delta)


def step_03_attained_without_noise():
    assert is_zero(unbiased_mean.value.subs(noise, 0) - normalised_mean.value)


def step_04_the_coefficient_one_is_approached_and_no_smaller_one_holds():
    """d = 1, g = 1: G = -eps with probability p, else 1 + (1 + eps) p / (1 - p). E G = 1, what is lost is 2 p, E |xi| = 2 p (1 + eps)."""
    other = 1 + (1 + eps) * p / (1 - p)
    assert is_zero(-p * eps + (1 - p) * other - 1)
    lost, mean_noise = 1 - (-p + (1 - p)), p * (1 + eps) + (1 - p) * (other - 1)
    assert is_zero(lost - 2 * p) and is_zero(mean_noise - 2 * p * (1 + eps))
    coefficient = sympy.diff(unbiased_mean.value, noise)
    lost, mean_noise = (one.subs({p: half, eps: sympy.Rational(1, 2000)}) for one in (lost, mean_noise))
    assert sympy.Rational(999, 1000) * coefficient * mean_noise < lost <= coefficient * mean_noise


def step_05_at_even_odds_there_is_no_descent_and_the_noise_is_a_floor():
    """p = 1/2: the direction is +1 or -1 alike, so the expected decrease is not positive for any lr, with |g| = E |xi| / (1 + eps)."""
    up, down = lr + L * lr**2 / 2, -lr + L * lr**2 / 2
    assert counterexample((up + down) / 2, (lr > 0, L > 0)) is None


def step_06_dropped_unbiasedness_doubles_the_noise():
    """Every other step G = -eps g, else G = g: no progress, N = 1 in the mean, E |xi| = (1 + eps) / 2. Twice always suffices."""
    angle.check()
    mean_noise = (1 + eps) / 2
    assert (mean_noise < 1).subs(eps, half) and is_zero(2 * mean_noise.subs(eps, 0) - 1)


def step_07_the_gradient_moves_by_at_most_lr_size_in_N():
    movement.check()
    dx, dg = sympy.symbols("dx dg", real=True)
    forth = smooth_gap((dx, g + dg, n), (sympy.Integer(0), g, x), sympy.Integer(1))
    back = smooth_gap((sympy.Integer(0), g, x), (dx, g + dg, n), sympy.Integer(1))
    assert is_zero(2 * (forth + back) - (dg**2 - dx**2))


def step_08_the_error_of_the_average():
    """Its drift is at most beta / (1 - beta) times the movement; its noise has the variance (1 - beta) / (1 + beta), plus the start."""
    error.check()
    drift = beta / (1 - beta)
    assert is_zero(beta * (drift + 1) - drift)
    assert is_zero(beta**2 * variance + (1 - beta) ** 2 - variance)
    start = sympy.Symbol("start", real=True)
    assert is_zero(beta**2 * (start + variance) + (1 - beta) ** 2 - (beta**2 * start + variance))


def step_09_the_bound_of_the_average():
    """The loss of direction is twice the error; sum_t beta^t <= 1 / (1 - beta)."""
    of_error = lr * size * beta / (1 - beta) + spread * (1 / (T * (1 - beta)) + sympy.sqrt(variance))
    assert is_zero(averaged_mean.value - normalised_mean.value - 2 * of_error)
    assert averaged_mean.value.subs({beta: 0, spread: 0}) == normalised_mean.value


def step_10_it_is_at_most_three_powers_of_one_minus_beta():
    """1/2 + 2 beta / (1 - beta) <= 2 / alpha and (1 - beta) / (1 + beta) <= alpha, alpha = 1 - beta."""
    assert counterexample(2 / alpha - half - 2 * (1 - alpha) / alpha, (alpha > 0, alpha <= 1)) is None
    assert counterexample(alpha - variance.subs(beta, 1 - alpha), (alpha > 0, alpha <= 1)) is None


def step_11_with_the_best_rate_and_average_it_falls_like_the_fourth_root():
    """k = (2 Delta size / T)^(1/4), w = sqrt(spread): alpha = k^2 / w^2, and lr makes the first two terms 2 k^2 / sqrt(alpha) together."""
    k, w, s, D = sympy.symbols("k w s D", positive=True)  # s^2 = size, D^2 = Delta
    steps = 2 * D**2 * s**2 / k**4
    one_minus_beta = k**2 / w**2
    rate = D * k / w / (s * sympy.sqrt(2) * sympy.sqrt(2) * D * s / k**2)  # sqrt(Delta alpha / (2 size T))
    assert is_zero(rate**2 - D**2 * one_minus_beta / (2 * s**2 * steps))
    terms = D**2 / (rate * steps) + 2 * rate * s**2 / one_minus_beta + 2 * w**2 * (1 / (steps * one_minus_beta) + k / w)
    numbers = {Delta: D**2, size: s**2, spread: w**2, T: steps}
    assert is_zero(terms - sympy.powdenest(averaged_best.value.subs(numbers, simultaneous=True), force=True))


def step_12_beyond_there_being_much_noise_one_minus_beta_would_exceed_one():
    """T spread^2 < 2 Delta size; there beta = 0 does."""
    numbers = {Delta: 2, size: 2, spread: 1, T: 4}
    assert not averaged_best.requires[-1].subs(numbers)
