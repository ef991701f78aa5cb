"""Theorem. SubZero on L |x|^2 / 2 with the step lr mu^2 = 1/(L (q+2)), whose subspace (dimension q of d, drawn without looking) is kept
for F steps. Over a period E |x|^2 is multiplied by exactly

    1 - (q/d) (1 - rho^F),    rho = 1 - 1/(q+2),

and whatever is done inside the subspace, for however long, by at least 1 - q/d. A new subspace at every step is best: for all F, q <= d,

    (1 - (q/d) (1 - rho))^F  <=  1 - (q/d) (1 - rho^F).

The edge is lr = 2 q / (d (q+2) L) for every F. On any L-smooth f, with exact slopes and lr = q/(d (q+2) L), the mean of E |grad f|^2 over
the K/F steps at which the subspace is new is at most 2 L d (1 + 2/q) F Delta / K, attained at F = 1.

Source:    derived; the measured speeds of our dossier (m = n = 20, r = 5) agree
Bounds:    refresh_factor, stall, edge, refreshed_gradient of sandbox.theory.subzero
Not here:  E |P^T x|^2 = (q/d) |x|^2 for a subspace drawn independently of x; the descent lemma. The inductions over F and K are
           among the certificates.
"""

import sympy

from sandbox.theory import subzero
from sandbox.theory.certificate import Identity, counterexample, is_zero
from sandbox.theory.induction import Induction, adding_up
from sandbox.theory.subzero import Delta, F, K, L, d, q
from sandbox.theory.zeroth_order_pairings import GAUSSIAN, g2, mean

inside, outside, rho, share, power, g = sympy.symbols("inside outside rho share power g", real=True)
best_rho = 1 - 1 / (q + 2)
scatter = mean(GAUSSIAN, "G1").subs(d, q) / g2  # q + 2
FACTOR = sympy.Rational(999, 1000)


def contraction(step: sympy.Expr) -> sympy.Expr:
    """Factor of E |P^T x|^2 of one step, step = lr mu^2."""
    return 1 - 2 * step * L + step**2 * L**2 * scatter


def period(steps: int) -> sympy.Expr:
    """E |x|^2 after that many steps in one subspace, from |x|^2 = 1 of which q/d lies inside."""
    now = q / d
    for _ in range(steps):
        now *= contraction(1 / (L * (q + 2)))
    return now + 1 - q / d


steps, kept, fresh = sympy.symbols("steps kept fresh", real=True)
POWER = (power, sympy.Integer(1), rho * power)  # rho^F
UNIT = (share >= 0, share <= 1, rho >= 0, rho <= 1)
CERTIFICATES = (
    Identity("refresh_factor_of_one_step", contraction(1 / (L * (q + 2))), best_rho),
    Induction(  # kept = E |x|^2 after F steps in one subspace, |x|^2 = 1 at the start, of which 1 - share never moves
        "refresh_factor_of_a_period",
        claim=kept - (1 - share * (1 - power)),
        index=steps,
        sequences=(POWER, (kept, sympy.Integer(1), rho * (kept - (1 - share)) + 1 - share)),
        factor=rho,
        relation="=",
    ),
    Induction(
        "refresh_powers_below_1",
        claim=1 - power,
        index=steps,
        sequences=(POWER,),
        factor=rho,
        squares=((1 - rho, sympy.Integer(1)),),
        domain=UNIT,
    ),
    Induction(  # fresh = (1 - share (1 - rho))^F, a new subspace at every step
        "refresh_at_every_step_is_best",
        claim=1 - share * (1 - power) - fresh,
        index=steps,
        sequences=(POWER, (fresh, sympy.Integer(1), (1 - share * (1 - rho)) * fresh)),
        factor=1 - share * (1 - rho),
        squares=((share * (1 - share) * (1 - rho) * (1 - power), sympy.Integer(1)),),
        domain=UNIT,
        always=(power <= 1,),
    ),
    adding_up("refresh_adding_up", cost=q, price=2 * L * d * (q + 2)),  # terms: E |grad f|^2 where the subspace is new
)


def step_01_inside_the_subspace_the_best_step_has_the_factor_rho():
    step = sympy.Symbol("step", real=True)
    assert is_zero(sympy.diff(contraction(step), step).subs(step, 1 / (L * (q + 2))))
    assert is_zero(contraction(1 / (L * (q + 2))) - best_rho)


def step_02_a_period_multiplies_by_the_bound():
    for steps in (1, 2, 3, 5):
        assert is_zero(period(steps) - subzero.refresh_factor.value.subs(F, steps))


def step_03_one_more_step_moves_both_alike_so_it_holds_for_every_F():
    """inside -> rho inside; with power = rho^F the bound goes from 1 - share (1 - power) to 1 - share (1 - rho power)."""
    bound = 1 - share * (1 - power)
    assert is_zero(bound.subs(power, rho * power) - bound - share * power * (rho - 1))
    ratio = (subzero.refresh_factor.value - 1 + q / d) * d / q  # rho^F
    assert all(is_zero(ratio.subs(F, k + 1) - best_rho * ratio.subs(F, k)) for k in range(1, 5))


def step_04_nothing_inside_the_subspace_does_better_than_emptying_it():
    """The part outside is never touched; it is attained by exact minimisation inside."""
    assert is_zero((inside + outside).subs({inside: 0, outside: 1 - q / d}) - subzero.stall.value)
    assert counterexample(subzero.refresh_factor.value.subs(F, 7) - subzero.stall.value, subzero.SUBSPACE) is None


def step_05_refreshing_at_every_step_is_never_worse():
    """With a = 1 - share: if (a + share rho)^F <= a + share rho^F then so for F + 1, by the identity below; equality at F = 1."""
    a = 1 - share
    after = a + share * rho * power - (a + share * rho) * (a + share * power)
    assert is_zero(after - a * share * (1 - rho) * (1 - power))
    domain = (share >= 0, share <= 1, rho >= 0, rho <= 1, power >= 0, power <= 1)
    assert counterexample(after, domain) is None


def step_06_the_edge_is_attained_for_every_F():
    """The factor inside is 1 there, so nothing contracts however long the period is."""
    assert is_zero(contraction(subzero.edge.value * d / q) - 1)


def step_07_any_smooth_function_pays_for_the_projected_gradient_at_every_step():
    """Promised decrease of a step with lr mu^2 = 1/(L (q+2)): |P^T g|^2 / (2 L (q+2)); at a new subspace E |P^T g|^2 = (q/d) |g|^2."""
    step = 1 / (L * (q + 2))
    promised = (step - L / 2 * step**2 * scatter) * (q / d) * g**2
    assert is_zero(subzero.refreshed_gradient.value.subs({F: 1, K: 1, Delta: promised}) - g**2)
    assert is_zero(subzero.refreshed_gradient.value / F - subzero.refreshed_gradient.value.subs(F, 1))  # K/F new subspaces in K steps


def step_08_which_is_attained_on_the_isotropic_quadratic_at_F_1():
    falls = L / 2 * (1 - period(1)) * (g / L) ** 2
    assert is_zero(subzero.refreshed_gradient.value.subs({F: 1, K: 1, Delta: falls}) - g**2)


def step_09_no_smaller_constant_will_do():
    at = {d: 4, q: 1, L: 1, F: 2, K: 1}
    assert period(2).subs(at) == 1 - sympy.Rational(5, 36) > FACTOR * subzero.refresh_factor.value.subs(at)
    assert subzero.stall.value.subs(at) / FACTOR > sympy.Rational(3, 4)  # reached by exact minimisation
    falls = (L / 2 * (1 - period(1)) * (g / L) ** 2).subs({**at, g: 1})
    assert FACTOR * subzero.refreshed_gradient.value.subs({**at, F: 1, Delta: falls}) < 1


def step_10_the_new_draw_dropped_a_kept_subspace_ends_at_its_share():
    """Two periods in the same subspace: 1 - (q/d) (1 - rho^(2 F)), which is above the product of two fresh ones."""
    fresh = (1 - share * (1 - power)) ** 2
    kept = 1 - share * (1 - power**2)
    assert is_zero(kept - fresh - share * (1 - share) * (1 - power) ** 2)


def step_11_beyond_factors_of_a_mean_square_refreshing_can_be_worse():
    """At rho = -2, which no mean square has, F = 3 and share 1/2: (-1/2)^3 is above 1/2 - 4."""
    at = {share: sympy.Rational(1, 2), rho: -2}
    assert ((1 - share + share * rho**3) - (1 - share + share * rho) ** 3).subs(at) < 0


def step_12_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
