"""Theorem. Let w+ = w - lr s u - lr s wd w with RMS(u) <= d and s = max(eps2, RMS(w)), as in AdaLomo's code. With
theta = lr s wd <= 1,

    RMS(w+)  <=  (1 - theta) RMS(w) + theta d / wd,

so that d / wd, once not exceeded, never is while lr d <= 1 and lr eps2 wd <= 1; and it is a fixed point. For lr d > 1 one step from
there can reach (2 lr d - 1) d / wd > d / wd, if eps2 <= d / wd.

Source:    derived; the decay is that of the reference code of https://arxiv.org/abs/2310.10195 (not in the paper's figure)
Bounds:    decay_ceiling, decay_overshoot of sandbox.theory.adalomo
Not here:  the triangle inequality of RMS.

Letters: r = RMS(w); s; theta.
"""

import sympy

from sandbox.theory.adalomo import d, decay_ceiling, decay_overshoot, eps2, lr, rms, wd
from sandbox.theory.certificate import Identity, counterexample, is_zero

r, s = sympy.symbols("r s", real=True)
theta = lr * s * wd
ceiling, overshoot = decay_ceiling.value, decay_overshoot.value
DOMAIN = tuple(relation.subs(rms, r) for relation in decay_ceiling.requires)
one = {d: 1, wd: 1, lr: sympy.Rational(1, 2)}
CERTIFICATES = (Identity(name="adalomo_decay", left=(1 - theta) * r + lr * s * d, right=(1 - theta) * r + theta * ceiling),)


def farthest(at: dict, aligned: int) -> sympy.Expr:
    """RMS after one step from RMS r = s, u of RMS d along w (aligned = 1) or against it (-1)."""
    return abs((r - lr * r * wd * r + aligned * lr * r * d).subs(at))


def step_1_a_step_is_an_average_of_the_rms_and_the_ceiling():
    for identity in CERTIFICATES:
        identity.check()


def step_2_theta_is_at_most_1_below_the_ceiling():
    """Whether s is RMS(w) <= d / wd or eps2."""
    assert counterexample(1 - theta.subs(s, r), DOMAIN) is None
    assert counterexample(1 - theta.subs(s, eps2), DOMAIN) is None


def step_3_so_the_ceiling_is_kept():
    after = (1 - theta) * r + lr * s * d
    assert is_zero(ceiling - after - (1 - theta) * (ceiling - r))
    assert counterexample(ceiling - after, (*DOMAIN, s >= 0, theta <= 1)) is None


def step_4_it_is_attained_for_ever_where_every_step_points_away_from_0():
    assert is_zero(((1 - theta) * r + lr * s * d).subs({r: ceiling, s: ceiling}) - ceiling)
    assert farthest({**one, r: 1}, 1) == ceiling.subs(one)


def step_5_no_smaller_ceiling_is_kept():
    below = sympy.Rational(999, 1000) * ceiling.subs(one)
    assert farthest({**one, r: below}, 1) > below


def step_6_with_the_factor_s_of_the_decay_dropped_there_is_no_ceiling():
    """torch.optim.Adafactor decays by lr wd: r (1 - lr wd + lr) grows for ever where wd < 1."""
    factor = 1 - lr * wd + lr
    assert factor.subs({lr: sympy.Rational(1, 10), wd: sympy.Rational(1, 2)}) > 1


def step_7_beyond_lr_d_of_1_one_step_against_w_passes_it():
    assert is_zero(-(r - lr * r * wd * r - lr * r * d).subs(r, d / wd) - overshoot)
    assert counterexample(overshoot - ceiling, decay_overshoot.requires) is None
    from_eps2 = -(r - lr * eps2 * wd * r - lr * eps2 * d).subs(r, d / wd)  # where s = eps2 instead
    assert counterexample(from_eps2 - overshoot, (*decay_overshoot.requires[:-1], eps2 * wd >= d)) is None
    assert farthest({d: 1, wd: 1, lr: 2, r: 1}, -1) == overshoot.subs({d: 1, wd: 1, lr: 2}) == 3


def step_8_which_is_the_farthest_from_there():
    """Along w it stays at d / wd, which is less."""
    assert farthest({d: 1, wd: 1, lr: 2, r: 1}, 1) == 1
