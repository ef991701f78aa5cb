"""The RSO claims as records, and their checkers under planted faults.

Nothing here is a number of a run. A fault that people make (a prox weight off by m/r, a basis without its scale, a
solver that breaks its promise, a subspace step that is too long) must turn the verdict, and another set of seeds must
not. Independent channel: the recursion of second moments, against sampled projections.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sandbox.fit import Sample
from sandbox.ledger.judging import cases, missing, why_out
from sandbox.optimizers.rso import RSO
from sandbox.oracles.subproblem import solve
from sandbox.theory import rso
from sandbox.verdict import Outcome


def test_gaussian_bases_are_out_of_scope_before_anything_runs(claim):
    one = claim["rso.exact-rate"]
    out = [setting for setting in one.plan.settings if why_out(one, setting)]
    assert [setting.law for setting in out] == ["gaussian"] and "P^T P = (m/r) I" in why_out(one, out[0])
    todo = missing(one, lambda setting, seed: None)
    assert {task.setting for task in todo} == set(one.plan.settings) - set(out)
    enough = Sample(0, {"gradients": 1.0, "decrease": 1.0})
    verdicts = {case.setting.law: case.verdict.outcome for case in cases(one, lambda setting, seed: enough)}
    assert verdicts["gaussian"] is Outcome.OUT_OF_SCOPE and verdicts["haar"] is not Outcome.OUT_OF_SCOPE


SMALL = {"rows": 8, "rank": 4, "columns": 32, "rounds": 3}
EVERY_ROUND = range(40)


@pytest.mark.parametrize("seeds", [range(1024), range(5000, 6024)], ids=["these seeds", "other seeds"])
def test_other_seeds_do_not_change_the_verdict(module, claim, seeds, verdict_of):
    """By the frame, which is fast. A round's |P^T g|^2 / |g|^2 has sd sqrt(2 * 4 / (4 * 10 * 32)) = 8 % at first: 0.2
    % for the mean of 1024 seeds x 3 rounds, against a tau of 2 %.
    """
    setting = module["rso_exact_subproblem"].Setting(**SMALL, solver="rule")
    assert verdict_of(claim["rso.exact-rate.attained"], setting, seeds).outcome is Outcome.ATTAINED
    assert verdict_of(claim["rso.linear-rate"], setting, seeds).outcome is Outcome.HOLDS
    gaussian = replace(module["rso_exact_subproblem"].GAUSSIAN.settings[0], rows=32, rank=8, columns=4, rounds=2)
    assert verdict_of(claim["rso.exact-rate.any-sampling"], gaussian, seeds[:256]).outcome is Outcome.VIOLATED


def test_a_prox_weight_without_the_factor_m_over_r_is_caught(module, claim, monkeypatch, verdict_of):
    """|B|^2 / (2 eta) with eta = t / L in place of t / Lhat is an eta too large: C falls, so the bound is no longer
    attained, and the opposite mistake, eta = t r / (m Lhat), raises C(1/4) = 50/9 above 3.6.
    """
    file, setting = module["rso_exact_subproblem"], module["rso_exact_subproblem"].Setting(**SMALL)
    for factor, outcome in ((2.0, Outcome.HOLDS), (0.5, Outcome.VIOLATED)):
        monkeypatch.setattr(file, "solve", lambda problem, params, P, eta, f=factor: solve(problem, params, P, f * eta))
        assert verdict_of(claim["rso.exact-rate.attained"], setting, EVERY_ROUND).outcome is outcome
        assert verdict_of(claim["rso.linear-rate"], setting, EVERY_ROUND).outcome is Outcome.VIOLATED


def test_a_basis_without_its_scale_is_caught(module, claim, monkeypatch, verdict_of):
    """Orthonormal P makes the step smaller, so the ratio of its bound is too large."""
    file, setting = module["rso_exact_subproblem"], module["rso_exact_subproblem"].Setting(**SMALL)
    scaled = file.basis
    monkeypatch.setattr(file, "basis", lambda draw, law: scaled(draw, law) * (setting.rank / setting.rows) ** 0.5)
    assert verdict_of(claim["rso.exact-rate.attained"], setting, EVERY_ROUND).outcome is Outcome.VIOLATED


def test_a_wrong_smoothness_constant_is_caught(module, claim, monkeypatch, verdict_of):
    """Lhat = L in place of (m/r) L doubles the measured ratio here."""
    file, setting = module["rso_exact_subproblem"], module["rso_exact_subproblem"].Setting(**SMALL, solver="rule")
    monkeypatch.setattr(file, "smoothness", lambda setting, problem: problem.facts.L)
    assert verdict_of(claim["rso.exact-rate.attained"], setting, EVERY_ROUND).outcome is Outcome.VIOLATED


def test_the_rule_and_the_solver_make_the_same_rounds_where_one_inner_step_is_exact(module):
    """Two channels: a Newton step on the subproblem, and the frame RSO in the ensemble shell."""
    file, setting = module["rso_exact_subproblem"], module["rso_exact_subproblem"].Setting(**SMALL)
    solved, stepped = file.measure(setting, (0, 7)), file.measure(replace(setting, solver="rule"), (0, 7))
    for a, b in zip(solved, stepped, strict=True):
        assert a == pytest.approx(b, rel=1e-12)


def test_a_gradient_step_of_the_wrong_length_is_caught(module, claim, monkeypatch, verdict_of):
    """Step 2 / Lhat gains nothing at curvature Lhat, step 1 / (2 Lhat) too little at -Lhat: the ratio falls below 1.

    At x = -1 the step s / Lhat gains s (2 + s) / 2, and the subproblem 3/2: 5/8 against 3/2 for s = 1/2.
    """
    file, one = module["rso_one_inner_step"], claim["rso.one-inner-step"]
    positive = lambda setting: file.MatrixQuadratic((1.0,) * setting.rows, setting.columns)  # noqa: E731
    setting, negative = file.Setting(8, 4), file.Setting(8, 4, curvature="negative")
    assert verdict_of(one, setting, range(8)).outcome is Outcome.HOLDS
    assert verdict_of(one, negative, range(8)).outcome is Outcome.ATTAINED
    step = file.single_step
    with monkeypatch.context() as fault:
        fault.setattr(file, "single_step", lambda s: replace(step(s), inner=file.GradientDescent(0.25)))
        assert verdict_of(one, negative, range(8)).outcome is Outcome.VIOLATED
        assert file.compare(negative, 0)["ratio"] == pytest.approx(5 / 12, rel=1e-12)
    monkeypatch.setattr(file, "problem_of", positive)
    assert file.compare(setting, 0)["ratio"] == pytest.approx(9 / 5, rel=1e-12)
    monkeypatch.setattr(file, "single_step", lambda s: replace(step(s), inner=file.GradientDescent(1.0)))
    assert verdict_of(one, setting, range(8)).outcome is Outcome.VIOLATED


FLOOR = {"rows": 6, "rank": 3, "columns": 2, "rounds": 120}


def test_the_adversary_keeps_its_promise_and_no_more(module):
    """r = m: P is orthogonal, so the average over P is the value itself, and F(B) - F(B*) must equal eps until it
    stops.
    """
    file = module["rso_inexact_floor"]
    setting = file.Setting(rows=5, rank=5, columns=2, eps=0.02)
    problem, P, eta = file.isotropic(1.0, 5, 2), torch.linalg.qr(torch.randn(5, 5).double())[0], setting.t / setting.L
    W = problem.start(3)["W"]

    def F(B):
        return problem.loss({"W": W + P @ B}, None) + B.square().sum() / (2 * eta)

    after, gradient2 = file.lazy_round(setting, problem, W, P)
    assert gradient2 > rso.inexact_floor.at(**file.constants(setting))  # it has not stopped yet
    error = F(P.T @ (after - W)) - F(solve(problem, {"W": W}, P, eta))
    assert float(error) == pytest.approx(setting.eps, rel=1e-9)
    below = 1e-3 * W
    assert torch.equal(file.lazy_round(setting, problem, below, P)[0], below)


@pytest.mark.parametrize("seeds", [range(8), range(900, 908)], ids=["these seeds", "other seeds"])
def test_the_floor_is_reached_whatever_the_seeds(module, claim, seeds, verdict_of):
    setting = module["rso_inexact_floor"].Setting(**FLOOR)
    assert verdict_of(claim["rso.inexact-floor"], setting, seeds).outcome is Outcome.ATTAINED
    assert verdict_of(claim["rso.inexact-floor.recalled-18"], setting, seeds).outcome is Outcome.HOLDS


def test_a_solver_that_breaks_its_promise_is_caught(module, claim, monkeypatch, verdict_of):
    """Four times the error leaves four times the floor: above 6, still below the recalled 18 at 2.5 times, above it
    at 4.
    """
    file, setting = module["rso_inexact_floor"], module["rso_inexact_floor"].Setting(**FLOOR)
    kept = file.laziness
    for times, recalled in ((2.5, Outcome.HOLDS), (4.0, Outcome.VIOLATED)):
        worse = replace(setting, eps=times * setting.eps)
        monkeypatch.setattr(file, "laziness", lambda setting, gradient, worse=worse: kept(worse, gradient))
        assert verdict_of(claim["rso.inexact-floor"], setting, range(4)).outcome is Outcome.VIOLATED
        assert verdict_of(claim["rso.inexact-floor.recalled-18"], setting, range(4)).outcome is recalled


def test_a_round_changes_the_second_moments_as_the_recursion_says(module):
    """20,000 projections made by QR here, W = diag(sqrt p): E |((I - a P P^T H) W)_i|^2; 5 standard errors a row."""
    file, rng = module["rso_effective_rank"], np.random.default_rng(0)
    setting, lr, n, m = file.Setting(6, 2, "moments", 1), 0.3, 20_000, 6
    lam, p = np.array(file.problem_of(setting).spectrum), np.arange(1.0, m + 1)
    Q = np.linalg.qr(rng.standard_normal((n, m, 2)))[0]
    after = np.eye(m) - lr * m / 2 * (Q @ Q.transpose(0, 2, 1)) * lam
    moments = (after**2 * p).sum(2)
    error = moments.std(0) / n**0.5
    assert np.all(np.abs(moments.mean(0) - file.moment_step(setting, p, lr, 2)) < 5 * error)
    assert np.all(error < 0.03 * moments.mean(0))  # so that 5 of them could tell a wrong coefficient


def test_full_rank_is_gradient_descent(module):
    file = module["rso_effective_rank"]
    setting = file.Setting(5, 5, "moments", 1)
    lam, p = np.array(file.problem_of(setting).spectrum), np.arange(1.0, 6)
    assert file.moment_step(setting, p, 0.7, 5) == pytest.approx((1 - 0.7 * lam) ** 2 * p, rel=1e-14)
    assert file.expected_ratio(setting) == 1.0
    k = file.expected_iterations(setting, 1.0, 5)
    left = [(lam**2 * (1 - lam) ** (2 * j)).sum() / (lam**2).sum() for j in (k - 1, k)]
    assert left[1] <= setting.fall < left[0]


@pytest.mark.parametrize("step", ["worst case", "moments"])
def test_iteration_counts_follow_the_recursion_and_a_step_off_by_a_tenth_does_not(module, claim, step, monkeypatch, verdict_of):
    """64 seeds that spread by about 5 %: 1.3 % at two standard errors. The recursion asks `lr_of` too, so the fault is
    planted in the frame.
    """
    file, one = module["rso_effective_rank"], claim["rso.iterations.second-moments"]
    setting = file.Setting(24, 6, step, steps=600, columns=8, fall=1e-4)
    assert verdict_of(one, setting, range(64)).outcome is Outcome.HOLDS
    monkeypatch.setattr(file, "RSO", lambda inner, *rest, **more: RSO(replace(inner, lr=0.9 * inner.lr), *rest, **more))
    assert verdict_of(one, setting, range(64)).outcome is Outcome.VIOLATED


def test_each_step_law_is_refuted_by_the_other_step(module, claim, verdict_of):
    """A checker that could not tell m/r from the effective rank would be worthless: swap the steps, and both claims
    fail.
    """
    swapped = module["rso_effective_rank"].Setting(32, 8, "moments", steps=400, fall=1e-4)
    assert verdict_of(claim["rso.iterations.m-over-r"], swapped, range(8)).outcome is Outcome.VIOLATED
    swapped = replace(swapped, step="worst case", steps=900)
    assert verdict_of(claim["rso.iterations.effective-rank"], swapped, range(8)).outcome is Outcome.VIOLATED


def test_the_worst_case_step_costs_m_over_r_at_a_small_size_and_other_seeds(module, claim, verdict_of):
    setting = module["rso_effective_rank"].Setting(24, 12, "worst case", steps=400, columns=8)
    assert verdict_of(claim["rso.iterations.m-over-r"], setting, range(40, 48)).outcome is Outcome.HOLDS


def test_what_a_stronger_claim_implies_says_so(claim):
    for implied, by in (("rso.exact-rate.recalled-18", "rso.exact-rate"), ("rso.inexact-floor.recalled-18", "rso.inexact-floor")):
        assert f"implied by {by}" in claim[implied].source
        assert claim[implied].rows_of == by
        for setting in claim[implied].plan.settings:
            if not why_out(claim[implied], setting):
                assert claim[implied].limit_at(setting) > claim[by].limit_at(setting)


def test_too_few_steps_are_no_verdict_in_favour(module, claim, verdict_of):
    short = module["rso_effective_rank"].Setting(32, 8, "moments", steps=5, fall=1e-4)
    assert verdict_of(claim["rso.iterations.effective-rank"], short, range(4)).outcome is Outcome.VIOLATED
