"""Theorem. Let f be L-smooth and w_k+1 = w_k - delta_k with |delta_k| = step and <grad f(w_k), delta_k> >= rho |grad f(w_k)| step,
rho > 0. Then

    (1/K) sum_{k<K} |grad f(w_k)|  <=  (Delta0 / (K step) + L step / 2) / rho,        Delta0 = f(w_0) - f(w_K),

least for step = sqrt(2 Delta0 / (K L)), where it is sqrt(2 L Delta0 / K) / rho. Equality on L |w|^2 / 2 for every constant angle. For
AdaLomo step <= lr s d sqrt(entries), and rho >= 2 sqrt(k) / (1 + k) from its own state (proof_factored_angle).

Source:    derived; no convergence theorem was seen in https://arxiv.org/abs/2310.10195, whose abstracts and code were read and body not
Bounds:    descent, best_descent of sandbox.theory.adalomo_descent
Not here:  the descent lemma f(w - d) <= f(w) - <grad f(w), d> + L |d|^2 / 2; that one-step inequalities add up
           (proof_gradient_sum.py). Without a lower bound
           for rho there is no such theorem: proof_factored_freeze.

Letters: g = |grad f|; along = <grad f, delta>; f0, f1 = f before and after; w, delta = vectors in the plane.
"""

import sympy

from sandbox.theory.adalomo_descent import Delta0, K, L, best_descent, descent, rho, step
from sandbox.theory.certificate import Certificate, counterexample, is_zero

g, along, f0, f1 = sympy.symbols("g along f0 f1", real=True)
one = {K: 1, Delta0: f0 - f1}
DOMAIN = (L > 0, step > 0, rho > 0, rho <= 1)
CERTIFICATES = (
    Certificate(
        name="adalomo_descent",
        claim=descent.value.subs(one) - g,
        hypotheses=(
            (1 / (rho * step), f1 - f0 + along - L * step**2 / 2),
            (1 / (rho * step), rho * g * step - along),
        ),
        domain=DOMAIN,
    ),
)


def quadratic_step(w: tuple, cosine: tuple, length: sympy.Expr) -> tuple:
    """A step of this length on |w|^2 / 2, turned against the gradient by the angle of (cos, sin)."""
    c, s = cosine
    norm = sympy.sqrt(w[0] ** 2 + w[1] ** 2)
    turned = (c * w[0] - s * w[1], s * w[0] + c * w[1])
    return tuple(x - length * y / norm for x, y in zip(w, turned, strict=True))


def loss(w: tuple) -> sympy.Expr:
    return (w[0] ** 2 + w[1] ** 2) / sympy.Integer(2)


def step_01_one_step_of_the_descent_lemma_pays_for_the_gradient():
    """f1 <= f0 - along + L step^2 / 2 and along >= rho g step, added; and the same by z3 alone."""
    for certificate in CERTIFICATES:
        certificate.check()
    gap = descent.value.subs(one) - g
    domain = (*DOMAIN, f1 <= f0 - along + L * step**2 / 2, along >= rho * g * step)
    assert counterexample(gap, domain) is None


def step_02_k_of_them_add_up_to_the_mean():
    first, second = sympy.symbols("first second", real=True)
    total = descent.value.subs({K: 1, Delta0: first}) + descent.value.subs({K: 1, Delta0: second})
    assert is_zero(total / 2 - descent.value.subs({K: 2, Delta0: first + second}))


def step_03_it_is_attained_on_the_isotropic_quadratic_at_every_angle():
    for cosine in ((1, 0), (sympy.Rational(3, 5), sympy.Rational(4, 5)), (sympy.Rational(5, 13), sympy.Rational(12, 13))):
        start = (sympy.Integer(3), sympy.Integer(4))
        after = quadratic_step(start, cosine, sympy.Rational(1, 2))
        at = {K: 1, Delta0: loss(start) - loss(after), L: 1, step: sympy.Rational(1, 2), rho: cosine[0]}
        assert is_zero(descent.value.subs(at) - 5)  # |grad f| = 5


def step_04_no_smaller_bound_will_do():
    """Nor without progress: w = step / 2 moves to -step / 2, with Delta0 = 0 and the gradient L step / 2 for ever."""
    at = {K: 7, Delta0: 0, L: 3, step: 2, rho: 1}
    assert 3 * 1 > sympy.Rational(999, 1000) * descent.value.subs(at)
    assert descent.value.subs(at) == 3 * 1


def step_05_the_best_length():
    length = sympy.Symbol("length", positive=True)
    best = {Delta0: K * L * length**2 / 2}  # step = sqrt(2 Delta0 / (K L))
    assert is_zero(sympy.diff(descent.value, step).subs(best).subs(step, length))
    assert counterexample(sympy.diff(descent.value, step, 2), (*DOMAIN, Delta0 >= 0, K >= 1)) is None
    assert is_zero((descent.value**2 - best_descent.value**2).subs(best).subs(step, length))


def step_06_it_is_attained_by_one_step_to_the_minimum():
    """w = 1, L = 1, step = 1: Delta0 = 1 / 2, K = 1, and the gradient was 1."""
    assert best_descent.value.subs({K: 1, Delta0: sympy.Rational(1, 2), L: 1, rho: 1}) == 1


def step_07_with_the_angle_dropped_the_bound_fails():
    """A step at right angles to the gradient of |w|^2 / 2 gains nothing: Delta0 < 0, and no rho > 0 covers it."""
    start = (sympy.Integer(3), sympy.Integer(4))
    after = quadratic_step(start, (0, 1), sympy.Rational(1, 2))
    at = {K: 1, Delta0: loss(start) - loss(after), L: 1, step: sympy.Rational(1, 2), rho: sympy.Rational(1, 2)}
    assert descent.value.subs(at) < 5


def step_08_beyond_smoothness_L_it_fails():
    """Curvature 4, judged with L = 1: w = 1, a step 1."""
    at = {K: 1, Delta0: 4 * sympy.Rational(1, 2), L: 1, step: 1, rho: 1}
    assert 4 > descent.value.subs(at)
