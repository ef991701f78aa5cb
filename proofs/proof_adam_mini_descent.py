"""Theorem. Let f(w + h) <= f(w) + <g, h> + sum_b L_b |h_b|^2 / 2, and h_b = -lr sqrt(d_b) g_b / |g_b|: Adam-mini at betas
(0, 0) and eps 0, d_b entries in block b. With N(g) = sum_b sqrt(d_b) |g_b| and size = sum_b d_b L_b,

    (1/T) sum_{t<T} N(g_t)  <=  Delta / (lr T) + lr size / 2,     Delta = f(w_0) - inf f,

for every lr and T, at the best lr, sqrt(2 Delta / (size T)), at most sqrt(2 Delta size / T). With f(w_0) - f(w_T) for Delta
it is an equality on f = sum_b L_b |w_b|^2 / 2, and with inf f where that meets its minimum after T steps. The least N(g_t)
is at most the mean. Between one entry a block (sign descent) and one block: |g|_1 <= N(g) <= sqrt(d) |g|_2, and sum L_i <=
size <= d max L.

Source:    derived; the stochastic version for blockwise Adam is in Xie, Mohamadi, Li (2410.08198), second-hand
Bounds:    normalised_mean, normalised_best of sandbox.theory.adam_mini_steps
Not here:  that one-step inequalities add up (proof_gradient_sum.py).

Letters: n = |g_b|, r = sqrt(d_b), x = |w_b|, for one block; sums over blocks are sums of what is shown.
"""

import sympy

from sandbox.theory.adam_mini_steps import Delta, T, lr, normalised_best, normalised_mean, size
from sandbox.theory.certificate import Certificate, counterexample, is_zero

n, r, L, x, N, s, q = sympy.symbols("n r L x N s q", positive=True)
bound = normalised_mean.value
guaranteed = lr * r * n - L * (lr * r) ** 2 / 2  # decrease in one block that the smoothness promises
SPREAD = Certificate(  # s_i <= (s_i^2 + q^2) / (2 q), and in the mean |g|_1 / d <= q = |g|_2 / sqrt d
    name="l1_below_block_norm",
    claim=s**2 + q**2 - 2 * s * q,
    squares=((sympy.Integer(1), s - q),),
)
CERTIFICATES = (SPREAD,)


def step_01_each_step_decreases_f_by_lr_N_minus_half_lr_squared_size():
    per_block = {N: r * n, size: r**2 * L}
    assert is_zero((lr * N - lr**2 * size / 2).subs(per_block) - guaranteed)


def step_02_added_up_that_is_the_bound():
    """T (lr mean(N) - lr^2 size / 2) <= Delta."""
    assert is_zero(T * (lr * bound - lr**2 * size / 2) - Delta)


def step_03_the_best_learning_rate():
    best = sympy.sqrt(2 * Delta / (size * T))
    assert is_zero(sympy.diff(bound, lr) + Delta / (lr**2 * T) - size / 2)
    positive = {Delta: n, size: L, T: r}
    assert sympy.simplify((bound.subs(lr, best) - normalised_best.value).subs(positive)) == 0
    gap = sympy.together((bound**2 - 2 * Delta * size / T) * (2 * lr * T) ** 2)
    assert is_zero(gap - (2 * Delta - lr**2 * size * T) ** 2)


def step_04_it_is_attained_at_every_step_where_L_is_all_curvature():
    """|w_b| = x goes to |x - lr r|, and g = L x."""
    decrease = L * x**2 / 2 - L * (x - lr * r) ** 2 / 2
    assert is_zero(decrease - guaranteed.subs(n, L * x))


def step_05_with_inf_f_it_is_attained_for_every_T_and_at_the_best_rate_in_one_step():
    """|w_b| = lr r T goes to 0 in T steps of length lr r: Delta = (lr T)^2 size / 2, the mean of N = lr size (T - t) over t < T."""
    total = lr * size * (T * (T + 1) / 2) / T
    assert is_zero(bound.subs(Delta, (lr * T) ** 2 * size / 2) - total)
    one = {Delta: lr**2 * size / 2, T: 1}
    assert is_zero(normalised_best.value.subs(one) ** 2 - (lr * size) ** 2)


def step_06_for_every_T_the_floor_is_attained_by_an_oscillation():
    """x = lr r / 2 goes to -x: no decrease, and N = L x r = lr r^2 L / 2."""
    x0 = lr * r / 2
    assert is_zero((x0 - lr * r) + x0)
    assert is_zero(L * x0 * r - bound.subs({Delta: 0, size: r**2 * L}))


def step_07_no_smaller_constant_will_do():
    numbers = {Delta: 1, lr: 1, T: 1, size: 2}  # step 5 at lr = 1, size = 2: N = 2
    assert sympy.Rational(999, 1000) * bound.subs(numbers) < 2
    assert sympy.Rational(999, 1000) * normalised_best.value.subs(numbers) < 2


def step_08_one_block_and_one_entry_a_block_are_the_two_ends():
    SPREAD.check()
    assert counterexample(s**2 + q**2 - 2 * s * q, ()) is None
    assert (s**2 + q**2 - 2 * s * q).subs(s, q) == 0


def step_09_the_smoothness_of_each_block_cannot_be_dropped():
    """f = w^2 with the L of w^2 / 2: from 1/2 with lr 1 the true decrease is 0, the promised one 1 - 1/2."""
    w0 = sympy.Rational(1, 2)
    assert w0**2 - (w0 - 1) ** 2 == 0 < guaranteed.subs({lr: 1, r: 1, n: 2 * w0, L: 1})


def step_10_beyond_steps_along_the_present_gradient_it_fails():
    """f = w^2 / 2, lr = 1, each step along the sign of the gradient before: a cycle of six without decrease, mean N = 5/6 > 1/2."""
    path = [sympy.Rational(k, 2) for k in (3, 1, -1, -3, -1, 1, 3)]
    assert all(path[t + 1] - path[t] == -sympy.sign(path[t - 1]) for t in range(1, 6))
    assert sum(map(abs, path[:-1])) / 6 == sympy.Rational(5, 6) > bound.subs({Delta: 0, lr: 1, T: 6, size: 1})
