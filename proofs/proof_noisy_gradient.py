"""Theorem. Let f be L-smooth, w+ = w - lr (grad f(w) + xi), E xi = 0 and E|xi|^2 <= v given w, t = lr L, 0 < t < 2. Then

    mean_{k<K} E|grad f(w_k)|^2  <=  (2 Delta0 / (K lr) + t v) / (2 - t),
    sum_{k<K} E|grad f(w_k)|^2   <=  2 L Delta0 s_K + v t^2 (K - s_K) / (1 - rho),   rho = (1-t)^2, s_K = (1 - rho^K) / (1 - rho);

the second is an equality on L |w|^2 / 2 for every K, and adds t v / (2 - t) a step in the end. With D = 2 L Delta0 / K the first is
least at lr = (sqrt(D^2 + 4 v D) - D) / (2 v L), where it is (D + sqrt(D^2 + 4 v D)) / 2. If f is mu-strongly convex, q its distance
factor, then E|w_K - w_star|^2 <= q^2K R^2 + lr^2 v (1 - q^2K) / (1 - q^2), projected onto a convex set that holds w_star
or not.

Source:    derived; the first is the textbook's argument
Bounds:    noisy_gradient_mean of sandbox.theory.gradient_descent, and those of sandbox.theory.noisy_gradient
Not here:  the descent lemma; that expectations are linear; |grad f|^2 <= 2 L (f - inf f); the distance factor of a step without
           noise (proof_gradient_descent_factor); that a projection p of a has <a - p, y - p> <= 0 for every y of the set.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.gradient_descent import Delta0, K, L, gradient_sum_from_gap, lr, mu, noisy_gradient_mean, v
from sandbox.theory.noisy_gradient import R, best_mean, best_step, bias, biased_floor, distance, floor, recalled_mean, sum_from_gap

t, p, g, Delta1, w, q, y, a, b, pa, pb = sympy.symbols("t p g Delta1 w q y a b pa pb", real=True)  # p = rho^K; q = 1 - t
step = {lr: t / L}
domain = (L > 0, t > 0, t < 2, p >= 0, p <= 1)
half, smaller = sympy.Rational(1, 2), sympy.Rational(999, 1000)


def after_more(expr: sympy.Expr, more: int) -> sympy.Expr:
    """A bound for K + more steps in t, p = rho^K and K."""
    powers = expr.subs(K, K + more).subs(lr, (1 - q) / L)
    powers = powers.replace(lambda e: e.is_Pow and e.exp.has(K), lambda e: p * e.base ** (e.exp - 2 * K).expand())
    return powers.subs(q, 1 - t)


def mean_of(steps: sympy.Expr | int, gap: sympy.Expr | int) -> sympy.Expr:
    return noisy_gradient_mean.value.subs(step).subs({K: steps, Delta0: gap})


steepest = g**2 - 2 * L * Delta0  # <= 0
descent = Delta1 - Delta0 + t * (2 - t) / (2 * L) * g**2 - t**2 / (2 * L) * v  # <= 0, Delta1 in expectation
price = after_more(gradient_sum_from_gap.value, 0) / Delta0
CERTIFICATES = (
    Certificate(
        name="noisy_gradient_mean",
        claim=mean_of(1, Delta0 - Delta1) - g**2,
        hypotheses=((2 * L / (t * (2 - t)), descent),),
        vectors=(g,),
        domain=domain[:3],
    ),
    Certificate(
        name="noisy_gradient_sum_from_gap",
        claim=sympy.expand(after_more(sum_from_gap.value, 1) - g**2 - after_more(sum_from_gap.value, 0).subs(Delta0, Delta1)),  # without K
        hypotheses=((p, steepest), (price, descent)),
        vectors=(g,),
        domain=domain,
    ),
    Certificate(
        name="projection_is_nonexpansive",
        claim=(a - b) ** 2 - (pa - pb) ** 2,
        hypotheses=((sympy.Integer(2), (a - pa) * (pb - pa)), (sympy.Integer(2), (b - pb) * (pa - pb))),
        squares=((sympy.Integer(1), (a - b) - (pa - pb)),),
        vectors=(a, b, pa, pb),
    ),
)
one_step, induction, projection = CERTIFICATES


def moments(steps: int) -> tuple[sympy.Expr, sympy.Expr]:
    """(sum of E|grad|^2, E f(w_K)) of `steps` steps on L w^2 / 2: E w_k+1^2 = (1 - t)^2 E w_k^2 + (t / L)^2 v."""
    second, total = w**2, sympy.Integer(0)
    for _ in range(steps):
        total += L**2 * second
        second = (1 - t) ** 2 * second + (t / L) ** 2 * v
    return total, L * second / 2


def step_01_one_step_pays_for_its_squared_gradient_and_for_the_noise():
    one_step.check()


def step_02_and_K_steps_pay_for_the_mean():
    assert is_zero(K * mean_of(K, Delta0) - (mean_of(1, Delta0) - mean_of(1, 0)) - K * mean_of(1, 0))


def step_03_the_mean_is_attained_on_the_quadratic_with_its_own_decrease():
    for steps in (1, 3):
        total, end = moments(steps)
        assert is_zero(steps * mean_of(steps, L * w**2 / 2 - end) - total)


def step_04_one_more_step_in_front_of_K_steps_gives_the_sum_for_K_plus_one():
    induction.check()
    assert is_zero(sum_from_gap.value.subs(K, 0))
    assert is_zero(sum_from_gap.value.subs(v, 0) - gradient_sum_from_gap.value)


def step_05_the_sum_is_attained_on_the_quadratic_for_every_K():
    for steps in (1, 2, 4):
        assert is_zero(sum_from_gap.value.subs(step).subs({K: steps, Delta0: L * w**2 / 2}) - moments(steps)[0])
    first, later = (after_more(sum_from_gap.value, more) for more in (1, 0))
    next_gap = (1 - t) ** 2 * L * w**2 / 2 + t**2 * v / (2 * L)
    assert is_zero(first.subs(Delta0, L * w**2 / 2) - (L * w) ** 2 - later.subs(Delta0, next_gap))


def step_06_a_further_step_adds_the_floor_in_the_end():
    """p = rho^K goes to 0; the floor is what E|grad|^2 is where it no longer changes on the quadratic."""
    more = after_more(sum_from_gap.value, 1) - after_more(sum_from_gap.value, 0)
    assert is_zero(more.subs(p, 0) - floor.value.subs(step))
    still = floor.value.subs(step)
    assert is_zero((1 - t) ** 2 * still + t**2 * v - still)


def step_07_noise_with_a_mean_adds_its_square():
    """On L w^2 / 2 the mean of L w_k goes to -bias, and its variance to the floor."""
    assert is_zero((1 - t) * -bias - t * bias + bias)
    assert is_zero(biased_floor.value - floor.value - bias**2)


D = y**2 / (y + v)  # y stands for best_mean: y^2 = D y + v D, y > 0


def step_08_the_best_step_and_its_mean():
    gap = D * K / (2 * L)
    assert is_zero((2 * best_mean.value - 2 * L * Delta0 / K) ** 2 - (best_step.value * 2 * v * L + 2 * L * Delta0 / K) ** 2)
    assert is_zero(best_mean.value**2 - 2 * L * Delta0 / K * (best_mean.value + v))
    assert is_zero(best_step.value * L * (best_mean.value + v) - best_mean.value)
    better = mean_of(K, gap) - y  # >= 0 at every step, and 0 at t = y / (v + y)
    assert is_zero(better - (v + y) * (t - y / (v + y)) ** 2 / (t * (2 - t)))


def step_09_which_is_shorter_than_one_over_L_and_better_than_the_textbook():
    assert counterexample(1 - y / (v + y), (v > 0, y > 0)) is None
    root = sympy.Symbol("root", real=True)  # root^2 = v D
    d = sympy.Symbol("d", real=True)  # best_mean <= recalled_mean: sqrt(d^2 + 4 root^2) <= d + 4 root
    assert counterexample((d + 4 * root) ** 2 - d**2 - 4 * root**2, (d > 0, root > 0)) is None
    numbers = {Delta0: half, K: 1, L: 1, v: 1}
    assert recalled_mean.value.subs(numbers) == 3 and best_mean.value.subs(numbers) < 2


def step_10_the_distance_recursion_sums_to_the_bound():
    """E|w+ - w_star|^2 <= q^2 |w - w_star|^2 + lr^2 v, because the noise has mean 0; p = q^2K."""
    q2 = sympy.Symbol("q2", positive=True)
    bound = lambda power: power * R**2 + lr**2 * v * (1 - power) / (1 - q2)  # noqa: E731
    assert is_zero(q2 * bound(p) + lr**2 * v - bound(p * q2))
    short = {lr: sympy.Rational(1, 10), L: 10, mu: 1}
    assert is_zero(distance.value.subs(short).subs(K, 3) - bound(q2**3).subs({**short, q2: sympy.Rational(81, 100)}))


def step_11_it_is_attained_along_the_flattest_axis_and_along_the_steepest_when_the_step_is_long():
    for eigenvalue, lr_now in ((1, sympy.Rational(1, 10)), (10, sympy.Rational(19, 100))):
        second = R**2
        for _ in range(3):
            second = (1 - lr_now * eigenvalue) ** 2 * second + lr_now**2 * v
        assert is_zero(distance.value.subs({lr: lr_now, L: 10, mu: 1, K: 3}) - second)


def step_12_a_projection_brings_no_two_points_further_apart():
    projection.check()


def step_13_no_smaller_constant_will_do():
    numbers = {t: half, L: 1, v: 1, w: 1}
    total, end = (part.subs(numbers) for part in moments(2))
    assert smaller * 2 * mean_of(2, half - end).subs(numbers) < total
    assert smaller * sum_from_gap.value.subs({lr: half, L: 1, v: 1, K: 2, Delta0: half}) < total
    still = floor.value.subs({lr: half, L: 1, v: 1})
    assert smaller * still < still / 4 + sympy.Rational(1, 4)  # what the recursion makes of it


def step_14_with_the_centre_of_the_noise_dropped_the_bounds_fail():
    """The dropped assumption E xi = 0: xi = 1 always, v = 1 as E|xi|^2, on w^2 / 2 at its resting point w = -1."""
    numbers = {lr: half, L: 1, v: 1, K: 100, Delta0: half}
    assert sum_from_gap.value.subs(numbers) < 100  # |grad f| = 1 at every step
    assert noisy_gradient_mean.value.subs(numbers) < 1


def step_15_beyond_two_over_L_the_price_of_the_noise_changes_sign():
    assert counterexample(floor.value.subs(step), (t > 0, t < 3, v > 0)) is not None
