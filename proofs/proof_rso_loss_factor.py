"""Theorem. In the setting of proof_rso_exact_subproblem.py let |grad f|^2 >= 2 mu (f - inf f) (Polyak-Lojasiewicz; every mu-strongly
convex f). Then for every m and r

    E f(W+) - inf f  <=  (1 - 2 mu / (C(t) Lhat)) (f(W) - inf f),       2 / C(t) = t (2+t) / (1+t)^2,   5/9 at t = 1/2,

with equality on L |W|^2 / 2 (mu = L). For every mu < L the fall per round cannot be promised larger for all m: with coordinates, r
= 1 and H = L I - (L - mu) 1 1^T / m, from W along 1, it tends to this one as m grows.
If r = m and f is mu-strongly convex, the factor is (1 + t mu / L)^-2, smaller, for every t > 0, and attained for every mu.

Source:    derived; the factor of the proximal point method for r = m is classical (recalled), proved again
Bounds:    loss_factor of sandbox.theory.rso, proximal_loss_factor of sandbox.theory.rso_rates
Not here:  that strong convexity implies the PL inequality and the lower bound of step 8; expectations (E|P^T g|^2 = |g|^2).

Letters: G = |grad f(W)|^2; gap, gap1 = f - inf f before and, on average, after the round; g1 = grad f(W+); L = 1 where mu is x.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.rso import L, L_hat, constant, loss_factor, m, mu, r, t
from sandbox.theory.rso_rates import proximal_loss_factor

G, gap, gap1, g1, w, f0, f1, best = sympy.symbols("G gap gap1 g1 w f0 f1 best", real=True)
x = sympy.Symbol("x", real=True)  # mu / L
PRICE = constant * L_hat
half = sympy.Rational(1, 2)
contraction = Certificate(
    name="rso_loss_factor",
    claim=loss_factor.value * gap - gap1,
    hypotheses=((sympy.Integer(1), gap1 - gap + G / PRICE), (1 / PRICE, 2 * mu * gap - G)),
    domain=(t > 0, L > 0, mu > 0, mu <= L, r >= 1, r <= m),
)
proximal = Certificate(
    name="rso_proximal_loss_factor",
    claim=(f0 - best) - (f1 - best) / proximal_loss_factor.value.subs({mu: x, L: 1}),
    hypotheses=(
        (sympy.Integer(1), f1 - f0 + g1 * t * g1 + x * (t * g1) ** 2 / 2),  # strong convexity from W+ = W - t g1 to W
        (t + x * t**2 / 2, 2 * x * (f1 - best) - g1**2),
    ),
    vectors=(g1,),
    domain=(t > 0, x > 0, x <= 1),
)
CERTIFICATES = (contraction, proximal)


def fall(curvature: sympy.Expr) -> sympy.Expr:
    """(h(0) - h(B*)) Lhat / |g0|^2 of the exact subproblem where h has the curvature `curvature` Lhat along g0."""
    B = -t / (1 + curvature * t)
    return -(B + curvature * B**2 / 2)


def step_01_the_decrease_pays_for_the_gradient_and_the_gradient_for_the_gap():
    contraction.check()


def step_02_the_factor_is_below_one_and_not_negative():
    for number in (loss_factor.value, 1 - loss_factor.value):
        assert counterexample(number, contraction.domain) is None


def step_03_it_is_attained_at_mu_equal_L_for_every_m_and_r():
    f = L * w**2 / 2
    assert is_zero(f * (1 - r / m * (1 - (1 + t) ** -2)) - loss_factor.value.subs(mu, L) * f)
    assert loss_factor.value.subs({t: half, mu: L}) == 1 - sympy.Rational(5, 9) * r / m


def step_04_for_smaller_mu_it_is_approached_as_m_grows():
    """H = L I - (L - mu) 1 1^T / m has the eigenvalues mu, on 1, and L; along a coordinate h has the curvature m H_ii."""
    for size in (2, 3, 4):
        H = L * sympy.eye(size) - (L - mu) * sympy.ones(size, size) / size
        assert all(is_zero(entry) for entry in H * sympy.ones(size, 1) - mu * sympy.ones(size, 1))
        assert is_zero(size * H[0, 0] - L_hat.subs({m: size, r: 1}) * (1 - (1 - mu / L) / size))
    curvature = 1 - (1 - x) / m
    share = 2 * x / m * fall(curvature)  # of f - inf f = |grad f|^2 / (2 mu)
    promised = 1 - loss_factor.value.subs({mu: x, L: 1, r: 1})
    assert is_zero(sympy.limit(m * share, m, sympy.oo) - m * promised)
    numbers = {x: half, t: half, m: 10**4}
    assert share.subs(numbers) < sympy.Rational(1001, 1000) * promised.subs(numbers)


def step_05_no_smaller_factor_will_do():
    numbers = {t: half, mu: 1, L: 1, m: 4, r: 1}
    assert sympy.Rational(999, 1000) * loss_factor.value.subs(numbers) < 1 - sympy.Rational(5, 36)


def step_06_with_the_inequality_of_polyak_and_lojasiewicz_dropped_it_fails():
    """A gradient that only pays for half of the gap."""
    numbers = {t: half, mu: 1, L: 1, m: 4, r: 1, gap: 1, G: 1}
    after = (gap - G / PRICE).subs(numbers)
    assert contraction.claim.subs(numbers).subs(gap1, after) < 0


def step_07_beyond_mu_equal_L_no_function_is_left():
    """2 mu gap <= |grad f|^2 <= 2 L gap; and the factor would be negative from some mu on."""
    assert counterexample((2 * mu - 2 * L) * gap, (mu > L, gap > 0)) is None
    assert loss_factor.value.subs({t: half, mu: 2, L: 1, m: 1, r: 1}) < 0


def step_08_a_full_basis_on_a_strongly_convex_f_does_better():
    proximal.check()
    better = (loss_factor.value.subs(r, m) - proximal_loss_factor.value).subs({mu: x, L: 1})
    assert counterexample(sympy.factor(better), (t > 0, x > 0, x <= 1)) is None


def step_09_which_is_attained_for_every_mu():
    W = w / (1 + t * x)  # the exact round on mu W^2 / 2, L = 1
    assert is_zero(W - w + t * x * W)
    assert is_zero(x * W**2 / 2 - proximal_loss_factor.value.subs({mu: x, L: 1}) * x * w**2 / 2)


def step_10_and_no_smaller_there():
    numbers = {t: half, mu: 1, L: 2}
    assert proximal_loss_factor.value.subs(numbers) == sympy.Rational(16, 25)
    assert sympy.Rational(999, 1000) * proximal_loss_factor.value.subs(numbers) < sympy.Rational(4, 5) ** 2


def step_11_but_a_random_basis_keeps_none_of_that():
    """r < m: the full-basis formula with mu m / r, L m / r inside the subspace would promise the factor of a curvature mu."""
    promised = (1 - fall(x) * 2 * x / m).subs({x: sympy.Rational(1, 10), t: half, m: 100})
    true = (1 - fall(1 - (1 - x) / m) * 2 * x / m).subs({x: sympy.Rational(1, 10), t: half, m: 100})
    assert promised < true
