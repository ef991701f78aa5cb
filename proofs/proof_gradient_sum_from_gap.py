"""Theorem. Let f be L-smooth (convex or not) and bounded below, w_k+1 = w_k - lr grad f(w_k), t = lr L, 0 < t < 2, and
Delta0 = f(w_0) - inf f. Then for every K

    sum_{k<K} |grad f(w_k)|^2  <=  2 L Delta0 (1 - rho^K) / (1 - rho),     rho = (1 - t)^2,

with equality for f = L |w|^2 / 2 and every K. It is below the form with f(w_0) - f(w_K) where that difference is Delta0.

Source:    derived, by induction over K from the last step to the first
Bound:     sandbox.theory.gradient_descent.gradient_sum_from_gap
Not here:  the descent lemma f(w + d) <= f(w) + <grad f(w), d> + L |d|^2 / 2, and that it gives |grad f|^2 <= 2 L (f - inf f). The
           induction over K is among the certificates, for every method that loses (1 - rho) |grad f|^2 / (2 L) a step.
"""

import sympy

from sandbox.theory.certificate import Certificate, counterexample, is_zero
from sandbox.theory.gradient_descent import Delta0, K, L, gradient_sum_from_gap, lr
from sandbox.theory.induction import Induction

t, p, g, Delta1, w, q = sympy.symbols("t p g Delta1 w q", real=True)  # p = rho^K, between 0 and 1; q = 1 - t
domain = (L > 0, t > 0, t < 2, p >= 0, p <= 1)
smaller = sympy.Rational(999, 1000)


def value(more: int) -> sympy.Expr:
    """The bound for K + more steps over Delta0, in t and p."""
    powers = (gradient_sum_from_gap.value / Delta0).subs(K, K + more).subs(lr, (1 - q) / L)
    powers = powers.replace(lambda e: e.is_Pow and e.exp.has(K), lambda e: p * e.base ** (e.exp - 2 * K).expand())
    return powers.subs(q, 1 - t)


steepest = g**2 - 2 * L * Delta0  # <= 0
descent = Delta1 - Delta0 + t * (2 - t) / (2 * L) * g**2  # <= 0
rho, price, power, seen, gap, earlier, total, TERM, first, coming = sympy.symbols(
    "rho price power seen gap earlier total term term_0 term_next", real=True
)
PRICE = (price, sympy.Integer(0), 1 + rho * price)  # (1 - rho^K) / (1 - rho)
CERTIFICATES = (
    Certificate(
        name="gradient_sum_from_gap",
        claim=value(1) * Delta0 - g**2 - value(0) * Delta1,
        hypotheses=((p, steepest), (value(0), descent)),
        vectors=(g,),
        domain=domain,
    ),
    Induction(
        "gradient_sum_from_gap_price",
        claim=1 - (1 - rho) * price - power,
        index=seen,
        sequences=(PRICE, (power, sympy.Integer(1), rho * power)),
        factor=rho,
        relation="=",
    ),
    Induction(  # that the price is not negative, and below 1 / (1 - rho): what the last induction takes as known at every n
        "gradient_sum_from_gap_price_at_least_zero",
        claim=price,
        index=seen,
        sequences=(PRICE,),
        factor=rho,
        squares=((sympy.Integer(1), sympy.Integer(1)),),
        domain=(rho >= 0,),
    ),
    Induction(
        "gradient_sum_from_gap_price_at_most_all",
        claim=1 - (1 - rho) * price,
        index=seen,
        sequences=(PRICE,),
        factor=rho,
        domain=(rho >= 0,),
    ),
    Induction(  # over the steps from the last to the first: total of the squared gradients seen, gap = f - inf f before the last of them
        "gradient_sum_from_gap_of_K_steps",
        claim=2 * L * price * gap - total,
        index=seen,
        sequences=(PRICE, (gap, sympy.Symbol("gap_0"), earlier), (total, sympy.Integer(0), total + TERM), (TERM, first, coming)),
        hypotheses=(
            (price, 2 * L * (gap - earlier) + (1 - rho) * TERM),
            (1 - (1 - rho) * price, TERM - 2 * L * earlier),
        ),
        domain=(L > 0, rho >= 0, rho <= 1),
        always=(price >= 0, (1 - rho) * price <= 1),
    ),
)


def quadratic(steps: int) -> tuple[sympy.Expr, sympy.Expr]:
    """(f(w_0), sum of squared gradients) of `steps` steps on L w^2 / 2."""
    point, total = w, sympy.Integer(0)
    for _ in range(steps):
        total += (L * point) ** 2
        point = point * (1 - t)
    return L * w**2 / 2, total


def step_01_of_no_step_at_all_the_sum_is_zero():
    assert is_zero(gradient_sum_from_gap.value.subs(K, 0))


def step_02_one_more_step_in_front_of_K_steps_gives_the_bound_for_K_plus_one():
    """What the first step gains is paid by the descent lemma at the price of K steps, the rest by the steepest descent."""
    assert is_zero(value(0) - (2 * L * (1 - p) / (1 - rho)).subs(rho, (1 - t) ** 2))  # 2 L times the price of the induction
    for certificate in CERTIFICATES:
        certificate.check()


def step_03_what_the_induction_takes_as_always_true_of_the_price_is_proven_by_two_others():
    named = {certificate.name: certificate for certificate in CERTIFICATES}
    lowest, most, last = (named[f"gradient_sum_from_gap_{end}"] for end in ("price_at_least_zero", "price_at_most_all", "of_K_steps"))
    assert all(PRICE in one.sequences and set(one.domain) <= set(last.domain) for one in (lowest, most))
    assert set(last.always) == {lowest.claim >= 0, (1 - rho) * price <= 1} and is_zero(most.claim - (1 - (1 - rho) * price))


def step_04_beyond_rho_zero_the_price_of_two_steps_can_be_negative():
    """1 + rho at two steps; with (1 - t)^2 in the place of rho no t gets there, so the domain of the theorem loses nothing."""
    assert counterexample(1 + rho, (rho >= -2,)) is not None
    assert counterexample((1 - t) ** 2, ()) is None


def step_05_the_bound_for_no_step_is_the_case_p_equal_one():
    assert is_zero(value(0).subs(p, 1)) and is_zero(value(1).subs(p, 1) - 2 * L)


def step_06_it_is_attained_on_the_steepest_quadratic():
    for steps in (1, 2, 3, 5):
        gap, total = quadratic(steps)
        assert is_zero(gradient_sum_from_gap.value.subs({K: steps, lr: t / L, Delta0: gap}) - total)


def step_07_for_every_K_by_its_own_recursion():
    """S_K+1(w) = |L w|^2 + S_K((1 - t) w), with S_K(w) = value * L w^2 / 2."""
    assert is_zero((value(1) * L * w**2 / 2) - (L * w) ** 2 - value(0) * L * ((1 - t) * w) ** 2 / 2)


def step_08_no_smaller_constant_will_do():
    gap, total = (part.subs({w: 1, L: 1, t: sympy.Rational(1, 2)}) for part in quadratic(3))
    numbers = {K: 3, L: 1, lr: sympy.Rational(1, 2), Delta0: gap}
    assert smaller * gradient_sum_from_gap.value.subs(numbers) < total


def step_09_with_the_steepest_descent_dropped_the_multiplier_of_the_rest_would_be_too_large():
    """Without |g|^2 <= 2 L Delta0 the certificate must pay all of |g|^2 by the descent lemma: 2 L / (t (2 - t)), for every K."""
    alone = 2 * L / (t * (2 - t))
    assert is_zero(alone * descent - alone * (Delta1 - Delta0) - g**2)
    assert counterexample(value(1) - alone, domain) is not None


def step_10_with_smoothness_dropped_the_sum_grows_without_bound():
    """f = |w| has gradient +-1 everywhere but at 0: from 1/4 with lr = 1/2 it steps between 1/4 and -1/4 for ever."""
    numbers = {L: 1, lr: sympy.Rational(1, 2), Delta0: sympy.Rational(1, 4), K: 50}
    assert gradient_sum_from_gap.value.subs(numbers) < 50


def step_11_beyond_t_equal_two_the_quadratic_breaks_every_bound_that_does_not_grow():
    gap, total = (part.subs({w: 1, L: 1, t: 3}) for part in quadratic(6))
    limit = 2 * gap / (1 - (1 - sympy.Rational(19, 10)) ** 2)  # at t = 1.9, for all K
    assert total > limit
