"""Theorem. Let x+ = x - lr D (H x + xi), H positive definite, D > 0 diagonal and constant, E xi = 0, Cov xi = Sigma, the xi
independent, lr lam_max(D H) < 2. The stationary expectation of x' H x / 2 obeys, exactly,

    E f  =  (lr / 4) (tr(D Sigma) + tr(D H P H)),     P = E x x',
    lr tr(D Sigma) / 4   <   E f   <=   lr tr(D Sigma) / (4 - 2 lr lam_max(D H)),

an equality on the right where D H has one eigenvalue; as lr -> 0 both are (lr / 4) tr(D Sigma), and the Hessian drops out. With
D_i = 1 / sqrt(Sigma_ii) (Adam) that is (lr / 4) sum_i sqrt(Sigma_ii), with D_b = sqrt(d_b / tr Sigma_b) (Adam-mini) it is
(lr / 4) sum_b sqrt(d_b tr Sigma_b), which is never smaller, and equal exactly where Sigma_ii is constant in each block.

With a first moment m <- b1 m + (1 - b1) g in place of g, and one eigenvalue, E f = lr tr(D Sigma) / (4 - 2 lr top (1 - b1) /
(1 + b1)): momentum lowers what is left at a finite lr, and nothing to first order.

Source:    derived
Bounds:    noise_floor, noise_floor_upper, noise_floor_momentum, noise_floor_ratio of sandbox.theory.adam_mini
Not here:  that the stationary law exists; tr(D H P H) <= lam_max(D H) tr(H P), as both factors are positive semidefinite; that
           second moments settle at those of the noise, which is the limit of small lr and of beta2 -> 1.
"""

import sympy

from sandbox.theory.adam_mini import (
    b1,
    block_sum,
    entry_sum,
    lr,
    noise_floor,
    noise_floor_momentum,
    noise_floor_ratio,
    noise_floor_upper,
    noise_trace,
    top,
)
from sandbox.theory.certificate import Certificate, counterexample, is_zero

d1, d2, h11, h12, h22, p11, p12, p22 = sympy.symbols("d1 d2 h11 h12 h22 p11 p12 p22", positive=True)
f, s, q, h, D, var = sympy.symbols("f s q h D var", positive=True)
UPPER = Certificate(  # E f = (lr/4) (trace + cross) and cross <= top tr(H P) = 2 top f
    name="noise_floor_upper",
    claim=noise_floor_upper.value - f,
    hypotheses=((4 / (4 - 2 * lr * top), f - lr * noise_trace / 4 - lr / 4 * (2 * top * f)),),
    domain=(lr > 0, top > 0, lr * top < 2),
)
ROOTS = Certificate(  # s_i <= (s_i^2 + q^2) / (2 q), so that mean(s) <= q with q^2 = mean(s^2)
    name="roots_below_the_root_of_the_mean",
    claim=s**2 + q**2 - 2 * s * q,
    squares=((sympy.Integer(1), s - q),),
)
CERTIFICATES = (UPPER, ROOTS)


def stationary() -> tuple[sympy.Matrix, sympy.Matrix, sympy.Matrix, sympy.Matrix]:
    """(D, H, P, Sigma) in two dimensions, Sigma such that P stays: P = F P F' + lr^2 D Sigma D, F = I - lr D H."""
    D_, H, P = sympy.diag(d1, d2), sympy.Matrix([[h11, h12], [h12, h22]]), sympy.Matrix([[p11, p12], [p12, p22]])
    F = sympy.eye(2) - lr * D_ * H
    return D_, H, P, D_.inv() * (P - F * P * F.T) * D_.inv() / lr**2


def scalar_floor() -> sympy.Expr:
    """h var(x) / 2 of one coordinate, from its own recursion."""
    x = sympy.Symbol("x")
    return sympy.solve(h * x / 2 - h / 2 * ((1 - lr * D * h) ** 2 * x + (lr * D) ** 2 * var), x)[0] * h / 2


def step_01_the_exact_balance():
    """Half the trace of H P, after the trace of D^-1 times the stationary equation."""
    D_, H, P, Sigma = stationary()
    balance = lr / 4 * ((D_ * Sigma).trace() + (D_ * H * P * H).trace()) - (H * P).trace() / 2
    assert is_zero(balance)


def step_02_dropping_the_positive_cross_term_gives_the_lower_bound():
    cross = sympy.Symbol("cross", positive=True)
    assert is_zero(lr / 4 * (noise_trace + cross) - noise_floor.value - lr * cross / 4)
    assert counterexample(lr * cross / 4, (lr > 0,)) is None


def step_03_bounding_it_gives_the_upper_bound():
    UPPER.check()
    assert set(UPPER.domain) <= set(noise_floor_upper.requires)


def step_04_the_upper_bound_is_attained_by_one_eigenvalue_and_the_lower_one_as_lr_vanishes():
    exact = {noise_trace: D * var, top: D * h}
    assert is_zero(scalar_floor() - noise_floor_upper.value.subs(exact))
    assert sympy.limit(scalar_floor() / noise_floor.value.subs(exact), lr, 0) == 1


def step_05_no_smaller_upper_and_no_larger_lower_bound_will_do():
    numbers = {D: 1, h: 1, var: 1, lr: sympy.Rational(1, 1000)}
    exact = scalar_floor().subs(numbers)
    assert sympy.Rational(999, 1000) * noise_floor_upper.value.subs({noise_trace: 1, top: 1, **numbers}) < exact
    assert sympy.Rational(1001, 1000) * noise_floor.value.subs({noise_trace: 1, **numbers}) > exact
    ratio = noise_floor_ratio.value.subs({block_sum: 10, entry_sum: 8})  # one block, s = 1 and q = 7
    assert ratio == sympy.sqrt(2 * (1 + 49)) / (1 + 7)


def step_06_the_two_traces():
    """One block of two: tr(D Sigma) = s^2 / s + q^2 / q under Adam, and c (s^2 + q^2) with c = sqrt(2 / (s^2 + q^2))."""
    shared = sympy.sqrt(2 / (s**2 + q**2))
    assert is_zero(s**2 / s + q**2 / q - (s + q))
    assert is_zero((shared * (s**2 + q**2)) ** 2 - 2 * (s**2 + q**2))
    assert is_zero(noise_floor_ratio.value * entry_sum - block_sum)


def step_07_adam_mini_s_is_never_smaller():
    ROOTS.check()
    assert is_zero(2 * (s**2 + q**2) - (s + q) ** 2 - (s - q) ** 2)


def step_08_a_small_step_cannot_be_dropped():
    """At lr D h = 1 the loss is twice the first-order one."""
    at_one = scalar_floor().subs({D: 1, h: 1, var: 1, lr: 1})
    assert at_one == 2 * noise_floor.value.subs({noise_trace: 1, lr: 1})


def step_09_beyond_lr_top_2_the_upper_bound_is_negative():
    assert counterexample(noise_floor_upper.value, (lr > 0, top > 0, noise_trace >= 0)) is not None


def step_10_beyond_constant_preconditioners_the_two_traces_change():
    """D in proportion to Sigma_ii^-1 instead of its root: tr(D Sigma) counts coordinates, whatever the noise."""
    assert is_zero(s**2 / s**2 + q**2 / q**2 - 2)


def step_11_with_momentum_the_three_second_moments_have_one_solution():
    """m+ = b1 m + (1 - b1)(h x + xi), x+ = x - lr D m+, one coordinate: xx, xm, mm are E x^2, E x m, E m^2."""
    xx, xm, mm = sympy.symbols("xx xm mm")
    after_mm = b1**2 * mm + 2 * b1 * (1 - b1) * h * xm + (1 - b1) ** 2 * (h**2 * xx + var)
    cross = b1 * xm + (1 - b1) * h * xx  # E x m+
    equations = (after_mm - mm, cross - lr * D * after_mm - xm, xx - 2 * lr * D * cross + (lr * D) ** 2 * after_mm - xx)
    solved = sympy.solve(equations, (xx, xm, mm), dict=True)
    assert len(solved) == 1
    exact = noise_floor_momentum.value.subs({noise_trace: D * var, top: D * h})
    assert is_zero(h * solved[0][xx] / 2 - exact)
    assert is_zero(noise_floor_momentum.value.subs(b1, 0) - noise_floor_upper.value)


def step_12_momentum_never_raises_it():
    gap = 1 / noise_floor_momentum.value - 1 / noise_floor_upper.value
    assert counterexample(gap, (*noise_floor_momentum.requires, noise_trace > 0, lr * top < 2)) is None
    assert sympy.limit(noise_floor_momentum.value / noise_floor.value, lr, 0) == 1
