"""The claims on RSO's theorems under planted faults: a wrong step, constant, promise or law must turn the verdict; other seeds must not."""

from dataclasses import replace

import pytest
import torch

from sandbox.ledger.judging import why_out
from sandbox.optimizers.rso import RSO
from sandbox.oracles.subproblem import solve
from sandbox.verdict import Outcome

THEORY = (
    "rso_smallest_gradient",
    "rso_inner_steps",
    "rso_gaussian_basis",
    "rso_rounds",
    "rso_linear_rate",
    "rso_inexact_forms",
    "rso_one_inner_step",
)


def test_what_breaks_an_assumption_is_out_of_scope_and_nothing_else_is(module):
    out = {
        (one.id, setting): why_out(one, setting)
        for name in THEORY
        for one in module[name].CLAIMS
        for setting in one.plan.settings
        if why_out(one, setting)
    }
    by_id = {}
    for (name, _), why in out.items():
        by_id.setdefault(name, []).append(why)
    assert {name: len(why) for name, why in by_id.items()} == {
        "rso.inner-steps": 2,
        "rso.rounds": 1,
        "rso.linear-rate.random-basis": 1,
        "rso.inexact.residual": 1,
    }
    assert any("step*(t + 1) <= t" in why for why in by_id["rso.inner-steps"])
    assert any("gram_defect" in why for why in by_id["rso.inner-steps"] + by_id["rso.rounds"])


@pytest.mark.parametrize("inner", [1, 4])
def test_an_inner_step_of_another_length_no_longer_attains_the_price(module, claim, inner, monkeypatch, verdict_of):
    """A step of 0.8 lowers less per gradient of one step and more steps follow: the ratio leaves 3.6 on either side."""
    file, one = module["rso_inner_steps"], claim["rso.inner-steps.attained"]
    setting = file.Setting("isotropic", inner, rows=8, rounds=2)
    assert verdict_of(one, setting, range(40, 44)).outcome is Outcome.ATTAINED
    inner_rule = file.GradientDescent
    monkeypatch.setattr(file, "GradientDescent", lambda lr: inner_rule(0.8 * lr))
    assert verdict_of(one, setting, range(40, 44)).outcome is not Outcome.ATTAINED


def test_a_proximal_term_of_the_wrong_weight_is_caught(module, claim, monkeypatch, verdict_of):
    file, one = module["rso_inner_steps"], claim["rso.inner-steps.attained"]
    setting = file.Setting("isotropic", 3, rows=8, rounds=2)
    monkeypatch.setattr(file, "RSO", lambda *args, **kw: RSO(*args, **(kw | {"eta": kw["eta"] / 4})))
    assert verdict_of(one, setting, range(4)).outcome is not Outcome.ATTAINED


def test_the_needed_curvature_is_that_of_the_quadratic(module):
    """Along every link h has curvature x Lhat, and nothing else is needed: the largest eigenvalue met lies in [-1, 1]."""
    file = module["rso_inner_steps"]
    setting = file.Setting("indefinite", 3, rows=8, rounds=2, share=1)
    needed = file.needed_curvature(setting, *file.run_rounds(setting, (0, 1, 2)))
    assert float(needed.max()) < 1 + 1e-6 and float(needed.min()) > -1
    steepest = replace(setting, problem="isotropic", t=0.3, stretch=0.5)
    assert file.needed_curvature(steepest, *file.run_rounds(steepest, (0, 1))).tolist() == pytest.approx([1.0, 1.0], rel=1e-6)


def test_a_transformer_with_too_small_an_L_needs_more_curvature_than_was_assumed(module, claim, monkeypatch, verdict_of):
    """With L = 0.02 the steps are so long that the loss must break the descent lemma; the claim on curvature then fails."""
    file = module["rso_inner_steps"]
    real = file.Matrices
    monkeypatch.setattr(file, "Matrices", lambda assumed: real(assumed=0.02))
    setting = file.Setting("transformer", 2, rounds=3)
    assert verdict_of(claim["rso.inner-steps.curvature"], setting, range(50, 52)).outcome is Outcome.VIOLATED


def test_the_price_of_a_gaussian_step_tells_the_law(module, claim, monkeypatch, verdict_of):
    file, one = module["rso_gaussian_basis"], claim["rso.gaussian-step"]
    setting = file.Setting("isotropic", 12, 6)
    assert verdict_of(one, setting, range(2000, 2768)).outcome is Outcome.HOLDS
    monkeypatch.setattr(file, "RSO", lambda *args, **kw: RSO(*args, **(kw | {"law": "haar"})))
    assert verdict_of(one, setting, range(768)).outcome is Outcome.VIOLATED
    assert verdict_of(claim["rso.gaussian-step.orthogonal-price"], setting, range(768)).outcome is Outcome.ATTAINED


def test_the_sum_over_rounds_tells_a_gap_that_is_too_small(module, claim, monkeypatch, verdict_of):
    """inf f raised by 5 % of the first gap, or a step of twice the length, which lowers f faster than the theorem's worst case."""
    file, one = module["rso_rounds"], claim["rso.rounds.attained"]
    setting = file.Setting("isotropic", 6)
    assert verdict_of(one, setting, range(3000, 3256)).outcome is Outcome.ATTAINED
    measured = file.measure
    worse = lambda s, seeds: [{**row, "gap": 0.95 * row["gap"]} for row in measured(s, seeds)]  # noqa: E731
    assert verdict_of(replace(one, measure=worse), setting, range(256)).outcome is Outcome.VIOLATED
    inner = file.GradientDescent
    monkeypatch.setattr(file, "GradientDescent", lambda lr: inner(2 * lr))
    assert verdict_of(one, setting, range(256)).outcome is Outcome.HOLDS


def test_the_smallest_gradient_of_a_full_basis_obeys_its_bound(module, claim, verdict_of):
    """The same claim with r = m: 2 (4/9) / (1 - 4/9) = 8/5 of the fall, below 16/7; so the violation is the random basis' doing."""
    file, one = module["rso_rounds"], claim["rso.rounds.smallest.full-basis"]
    assert verdict_of(one, file.Setting("isotropic", 1, rows=2, rank=2), range(16)).outcome is Outcome.HOLDS
    assert verdict_of(one, file.Setting("isotropic", 1, rows=2, rank=1), range(5000, 6024)).outcome is Outcome.VIOLATED


def test_the_saw_tooth_is_met_by_its_own_prox_weight_only(module, claim, monkeypatch, verdict_of):
    """f' as the autograd of the problem sees it: -1, -1 + t/2, -1 again; a longer round ends on the next tooth, a shorter one before."""
    file, one = module["rso_smallest_gradient"], claim["rso.smallest-gradient.attained"]
    problem, slope = (
        file.SawTooth(0.6),
        lambda w: float(torch.func.grad(lambda W: problem.loss({"W": W}, None))(torch.full((1, 1), w)).sum()),
    )
    assert [slope(w) for w in (0.0, 0.3, 0.45, 1.2)] == pytest.approx([-1.0, -0.7, -0.85, -1.0], abs=1e-6)
    setting = file.Setting("saw-tooth", 3, t=0.6)
    assert verdict_of(one, setting, (0,)).outcome is Outcome.ATTAINED
    for factor in (0.9, 1.1):
        monkeypatch.setattr(file, "solve", lambda problem, params, P, eta, by=factor: solve(problem, params, P, by * eta))
        assert verdict_of(one, setting, (0,)).outcome is not Outcome.ATTAINED


def test_another_prox_weight_changes_the_rate_of_a_full_basis(module, claim, monkeypatch, verdict_of):
    file, one = module["rso_linear_rate"], claim["rso.linear-rate.full-basis"]
    setting = file.Setting(4, rows=4)
    assert verdict_of(one, setting, range(70, 73)).outcome is Outcome.ATTAINED
    monkeypatch.setattr(file, "RSO", lambda *args, **kw: RSO(*args, **(kw | {"eta": 0.8 * kw["eta"]})))
    assert verdict_of(one, setting, range(3)).outcome is Outcome.VIOLATED


def test_an_adversary_who_breaks_its_promise_is_caught(module, claim, monkeypatch, verdict_of):
    file = module["rso_inexact_forms"]
    kept = file.inexact
    lazier = lambda setting, sub, rng: kept(replace(setting, accuracy=1.1 * setting.accuracy), sub, rng)  # noqa: E731
    lazy = file.Setting("lazy", 0.4, rows=6, rank=3, rounds=2)
    scattered = file.Setting("scattered", 0.4, rows=6, rank=3, rounds=2)
    assert verdict_of(claim["rso.inexact.value"], lazy, range(90, 93)).outcome is Outcome.ATTAINED
    assert verdict_of(claim["rso.inexact.value.scattered"], scattered, range(90, 93)).outcome is Outcome.HOLDS
    monkeypatch.setattr(file, "inexact", lazier)
    for name in ("rso.inexact.value", "rso.inexact.residual"):
        assert verdict_of(claim[name], lazy, range(3)).outcome is Outcome.VIOLATED


def test_points_on_the_edge_of_an_accuracy_are_on_the_edge(module):
    file = module["rso_inexact_forms"]
    for way, accuracy in (("lazy", 0.3), ("scattered", 0.6)):
        setting = file.Setting(way, accuracy, "indefinite", rounds=2)
        for _, _, sub, B in file.rounds_of(setting, 5):
            assert sub.gap(B) == pytest.approx(accuracy**2 * sub.gap(sub.zero), rel=1e-9)
            assert way == "scattered" or sub.residual(B) == pytest.approx(accuracy * sub.residual(sub.zero), rel=1e-9)
            assert float(sub.F(sub.best)) <= float(sub.F(B)) and torch.isfinite(B).all()


def test_a_wrong_subproblem_is_caught_by_the_gain_of_one_step(module, claim, monkeypatch, verdict_of):
    """eta off by a tenth: the ratio 4/7 at t = 0.6 would be 0.80 at 0.54."""
    file, one = module["rso_one_inner_step"], claim["rso.one-inner-step.larger-eta"]
    setting = one.plan.settings[0]
    assert verdict_of(one, setting, range(30, 34)).outcome is Outcome.HOLDS
    monkeypatch.setattr(file, "solve", lambda problem, params, P, eta: solve(problem, params, P, 0.9 * eta))
    assert verdict_of(one, setting, range(4)).outcome is Outcome.VIOLATED
