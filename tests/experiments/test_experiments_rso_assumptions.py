"""The claims on where RSO's theorems end, under planted faults: a wrong point, curvature, law or step must turn the verdict."""

import math
from dataclasses import replace

import pytest
import torch

from sandbox.ledger.judging import why_out
from sandbox.measures import inner_steps
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.oracles.subproblem import solve
from sandbox.verdict import Outcome

FILE = "rso_inexact_assumptions"


def test_only_weights_below_their_domain_are_out_of_scope(module):
    out = {
        one.id
        for name in (FILE, "rso_best_eta", "rso_gaussian_isotropic")
        for one in module[name].CLAIMS
        for s in one.plan.settings
        if why_out(one, s)
    }
    assert out == {"rso.accuracy.absolute.low-weight", "rso.accuracy.low-weight"}


def test_points_meet_their_promise_with_equality(module):
    """On robust regression, where the way to the edge is found by iteration, and on a quadratic."""
    file = module[FILE]
    for problem in ("nonconvex", "indefinite"):
        for way in ("value", "residual"):
            setting = file.Setting(way, 0.3, problem, t=0.6)
            one = file.Round(setting, 70)
            B = file.returned(setting, one, file.generator(70, 1, 0))
            share = (one.gap(B) / one.gap(one.zero)) ** 0.5 if way == "value" else one.residual(B) / one.residual(one.zero)
            assert share == pytest.approx(0.3, rel=1e-9)


def test_the_slowest_point_is_the_slowest_of_its_line(module):
    """decrease + a eps at neighbouring points of the line is larger, for a uphill and a downhill u."""
    file = module[FILE]
    for a in (0.7, 3.0):
        setting = file.Setting("slowest", a=a)
        one = file.Round(setting, 71)
        B = file.returned(setting, one, file.generator(71, 1, 0))
        pay = lambda B: float(one.h(one.zero) - one.h(B)) + a * one.gap(B)  # noqa: E731, B023
        assert all(pay(B + shift * one.best) > pay(B) for shift in (-0.1, 0.1))  # noqa: B023


@pytest.mark.parametrize("name", ["rso.accuracy.weighted", "rso.accuracy.understated.price", "rso.accuracy.absolute.low-weight.price"])
def test_a_proximal_weight_off_by_a_fifth_is_caught(module, claim, name, monkeypatch, verdict_of):
    """Lhat too small by a fifth: eta, the unit of the ratios and the step uphill are all that much too large."""
    file, one = module[FILE], claim[name]
    setting = one.plan.settings[0]
    assert verdict_of(one, setting, range(80, 83)).outcome in (Outcome.ATTAINED, Outcome.HOLDS)
    kept = file.smoothness
    monkeypatch.setattr(file, "smoothness", lambda setting: 0.8 * kept(setting))
    assert verdict_of(one, setting, range(80, 83)).outcome is Outcome.VIOLATED


def test_what_an_understated_L_breaks_is_whole_with_the_true_one(module, claim, verdict_of):
    for name in ("rso.accuracy.understated", "rso.accuracy.understated.envelope", "rso.accuracy.understated.standing-still"):
        for setting in claim[name].plan.settings:
            assert verdict_of(claim[name], setting, range(84, 86)).outcome is Outcome.VIOLATED
            assert verdict_of(claim[name], replace(setting, stretch=1.0), range(84, 86)).outcome is Outcome.ATTAINED


def test_far_points_without_what_they_owe_break_the_price(module, claim, monkeypatch, verdict_of):
    """A solver that forgets its eps, or its residual: far from B* f rises, and nothing pays."""
    file = module[FILE]
    setting = file.Setting("anywhere", 6.0, a=2.0)
    names = ("rso.accuracy.weighted.anywhere", "rso.accuracy.anywhere", "rso.accuracy.absolute.anywhere")
    assert {verdict_of(claim[name], setting, range(5)).outcome for name in names} == {Outcome.HOLDS}
    monkeypatch.setattr(file.Round, "gap", lambda self, B: 1e-30)
    monkeypatch.setattr(file.Round, "residual", lambda self, B: 0.0)
    assert {verdict_of(claim[name], setting, range(5)).outcome for name in names} == {Outcome.VIOLATED}


@pytest.mark.parametrize("way", ["value", "residual"])
def test_points_beyond_the_edge_of_an_accuracy_break_its_price(module, claim, way, verdict_of):
    """Three times as far as promised, on L |W|^2 / 2: f rises."""
    file, one = module[FILE], claim[f"rso.accuracy.{way}.regression"]
    setting = file.Setting(way, 0.45, "isotropic")
    assert verdict_of(one, setting, range(6)).outcome is Outcome.HOLDS
    far = replace(one, measure=lambda setting, seeds: one.measure(replace(setting, accuracy=3 * setting.accuracy), seeds))
    assert verdict_of(far, setting, range(6)).outcome is Outcome.VIOLATED
    if way == "value":
        envelope = claim["rso.accuracy.envelope.regression"]
        assert verdict_of(envelope, setting, range(6)).outcome is Outcome.HOLDS


def test_a_weighting_inside_its_domain_pays(module, claim, verdict_of):
    """At a = 0.6001 and more decrease + a eps is positive; at 1/2 it is -1/6."""
    file, one = module[FILE], claim["rso.accuracy.low-weight.paid"]
    assert verdict_of(one, file.Setting("slowest", a=0.5), (90,)).outcome is Outcome.HOLDS
    assert verdict_of(one, file.Setting("slowest", a=0.61), (90,)).outcome is Outcome.VIOLATED
    assert file.measured(file.Setting("slowest", a=0.61), 90)["paid"] > 0 > file.measured(file.Setting("slowest", a=0.5), 90)["paid"]


def test_the_factor_of_the_inner_rules_is_that_of_the_textbook(module):
    """Gradient descent: 1 - c / kappa on the flat end; Nesterov: 1 - sqrt(c / kappa), a double root, so to the root of 1e-16."""
    file = module["rso_best_eta"]
    for t in (0.2, 0.5):
        kappa = (1 + t) / (1 - t)
        for solver, rate, near in (("gradient descent", 0.3 / kappa, 1e-12), ("nesterov", (0.3 / kappa) ** 0.5, 1e-6)):
            setting = file.Setting(solver, 0.3)
            assert file.steps_at(setting, t) == pytest.approx(-1 / math.log(1 - rate), rel=near)
        assert inner_steps.factor(file.inner_rule(file.Setting("gradient descent", 1.0), t), 1 / t + 1) == pytest.approx(0.0, abs=1e-12)


def test_another_count_of_rounds_or_steps_moves_the_best_eta(module, claim, monkeypatch, verdict_of):
    """With C(t) for a smoothness of 2 Lhat, or an inner step twice as long at the far end, the minimum is elsewhere."""
    file, one = module["rso_best_eta"], claim["rso.best-eta.gradient"]
    monkeypatch.setattr(file, "TIMES", tuple(round(0.05 + 0.01 * i, 3) for i in range(86)))
    setting = file.Setting("gradient descent", 0.03)
    assert verdict_of(one, setting, (0,)).outcome is Outcome.HOLDS
    rounds = file.rounds_at
    with monkeypatch.context() as fault:
        fault.setattr(file, "rounds_at", lambda t: rounds(t / 2))
        assert verdict_of(one, setting, (0,)).outcome is Outcome.VIOLATED
    with monkeypatch.context() as fault:
        fault.setattr(file, "inner_rule", lambda setting, t: GradientDescent(setting.share * t))
        assert verdict_of(one, setting, (0,)).outcome is Outcome.VIOLATED


def test_the_single_column_tells_haar_from_gaussian(module, claim, monkeypatch, verdict_of):
    """A Haar column has the constant 3.6; seeds other than the record's."""
    file, one = module["rso_gaussian_isotropic"], claim["rso.gaussian-exact.single-column"]
    setting = file.Setting("isotropic", 4, 1, columns=32)
    assert file.single_column(setting) == pytest.approx(2 / (1 - _left(4, 0.5)), rel=1e-3)
    assert verdict_of(one, setting, range(5000, 6500)).outcome is Outcome.HOLDS
    scaled = file.basis
    monkeypatch.setattr(file, "basis", lambda numbers, law: scaled(numbers, "haar"))
    assert verdict_of(one, setting, range(5000, 5500)).outcome is Outcome.VIOLATED
    assert verdict_of(claim["rso.gaussian-exact.small"], setting, range(5000, 5500)).outcome is Outcome.HOLDS


def _left(m: int, t: float) -> float:
    """E (1 + t chi2_m / m)^-2 from a million sums of squares: its own error is about 2e-4."""
    x = torch.randn(1_000_000, m, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).square().mean(1)
    return float(((1 + t * x) ** -2).mean())


def test_a_proximal_term_that_is_too_heavy_exceeds_the_gaussian_constant(module, claim, monkeypatch, verdict_of):
    """A sixteenth of eta: a round then lowers f by some sixteenth of what it did."""
    file, one = module["rso_gaussian_isotropic"], claim["rso.gaussian-exact"]
    setting = file.Setting("indefinite", 16, 2)
    assert verdict_of(one, setting, range(300, 332)).outcome is Outcome.HOLDS
    monkeypatch.setattr(file, "solve", lambda problem, params, P, eta: solve(problem, params, P, eta / 16))
    assert verdict_of(one, setting, range(300, 332)).outcome is Outcome.VIOLATED


def test_the_stable_aspect_is_one_of_its_t(module, claim, monkeypatch, verdict_of):
    """Smaller, so a wider tau: another law has no such limit at all."""
    file, one = module["rso_gaussian_isotropic"], replace(claim["rso.gaussian-exact.stable-aspect"], tau=0.2)
    setting = file.Setting("isotropic", 300, 250, t=0.3)
    assert verdict_of(one, setting, range(40, 48)).outcome is Outcome.HOLDS
    wrong = replace(one, constants=lambda setting: {"t": 0.5})
    assert verdict_of(wrong, setting, range(40, 48)).outcome is Outcome.VIOLATED
    scaled = file.basis
    monkeypatch.setattr(file, "basis", lambda numbers, law: scaled(numbers, "haar"))
    assert verdict_of(one, setting, range(40, 48)).outcome is Outcome.VIOLATED


def test_another_prox_weight_leaves_the_balanced_quadratic(module, claim, monkeypatch, verdict_of):
    """With eta off by a tenth the gradients before and after a round differ, and the smaller of them no longer pays all."""
    file, one = module["rso_smallest_gradient"], claim["rso.smallest-gradient.long"]
    setting = file.Setting("balanced", 1, t=1.4)
    assert verdict_of(one, setting, (0,)).outcome is Outcome.ATTAINED
    assert verdict_of(claim["rso.smallest-gradient.short-form"], setting, (0,)).outcome is Outcome.VIOLATED
    for factor in (0.9, 1.1):
        monkeypatch.setattr(file, "solve", lambda problem, params, P, eta, by=factor: solve(problem, params, P, by * eta))
        assert verdict_of(one, setting, (0,)).outcome is not Outcome.ATTAINED


def test_the_step_is_ahead_up_to_its_t_and_not_beyond(module, claim, verdict_of):
    file = module["rso_one_inner_step"]
    for t, outcome in ((0.5, Outcome.ATTAINED), (0.45, Outcome.HOLDS), (0.55, Outcome.VIOLATED)):
        assert verdict_of(claim["rso.one-inner-step.any-eta"], file.Setting(8, 4, curvature="negative", t=t), range(3)).outcome is outcome
    assert verdict_of(claim["rso.one-inner-step.attained"], file.Setting(8, 4), range(3)).outcome is Outcome.HOLDS


def test_a_shorter_step_is_not_ahead_on_a_convex_loss(module, claim, monkeypatch, verdict_of):
    """A step 0.4 / Lhat gains 0.32 at curvature Lhat, where the solution gains 3/8, and 0.4 on a linear part, where it gains 1."""
    file, one = module["rso_one_step_any_function"], claim["rso.one-step-any-function.convex"]
    setting = file.Setting(8, 8, 1.0, start=file.CONVEX)
    assert verdict_of(one, setting, range(60, 64)).outcome is Outcome.HOLDS
    assert verdict_of(claim["rso.one-step-any-function.any-t"], replace(setting, start=3.0, t=0.5), range(60, 62)).outcome is Outcome.HOLDS
    inner = file.GradientDescent
    monkeypatch.setattr(file, "GradientDescent", lambda lr: inner(0.4 * lr))
    assert verdict_of(one, setting, range(60, 64)).outcome is Outcome.VIOLATED


def test_a_residual_inside_its_domain_obeys_the_formula_that_fails_beyond(module, claim, verdict_of):
    file, one = module["rso_inexact_forms"], claim["rso.inexact.residual.beyond.formula"]
    assert verdict_of(one, file.Setting("lazy", 0.45, rows=6, rank=3, rounds=2), range(50, 53)).outcome is Outcome.ATTAINED
    assert file.counterexample(one.plan.settings[0])["left"] <= one.plan.settings[0].accuracy * (1 + 1e-12)
