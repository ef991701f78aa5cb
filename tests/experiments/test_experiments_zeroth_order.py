"""The zeroth-order and SubZero claims under planted faults: what people get wrong must turn a verdict, and other seeds must not.

Independent channel: the formulas of sandbox.theory, whose proofs and tests know no oracle; here the oracles are broken, not the formulas.
"""

from dataclasses import replace

import pytest
import torch

from sandbox.ledger.judging import why_out
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.subzero import alignment
from sandbox.oracles.conservative import Conservative
from sandbox.oracles.probing import Measured
from sandbox.oracles.residual import Residual
from sandbox.oracles.signed_slope import SignedSlope
from sandbox.oracles.two_point import TwoPoint
from sandbox.verdict import Outcome

NEW = range(300_000, 300_512)


@pytest.mark.parametrize(
    "name", ["zo.scatter.gaussian", "zo.scatter.sphere", "zo.scatter.least", "zo.blocks-help", "zo.blocks-help.sphere", "zo.bias.attained"]
)
def test_other_seeds_do_not_change_the_verdict(claim, rejudged, name):
    one = claim[name]
    assert rejudged(one, seeds=tuple(range(400_000, 400_000 + len(one.plan.seeds)))) is one.predicted


@pytest.mark.parametrize("name", ["zo.edge.potential", "zo.rate.effective-rank.attained", "zo.sign.slope", "subzero.cosine"])
def test_nor_for_runs(claim, verdict_of, name):
    one = claim[name]
    inside = [setting for setting in one.plan.settings if not why_out(one, setting)]
    outcomes = {verdict_of(one, setting, NEW).outcome for setting in inside[:2]}
    assert outcomes == {one.predicted}


@pytest.fixture
def slopes_times(monkeypatch):
    """Every slope of TwoPoint times a factor: 2 is a forgotten factor in (f+ - f-) / (2 eps)."""

    def plant(factor):
        original = TwoPoint.coefficients

        def wrong(self, loss_at, count, memory=None):
            measured = original(self, loss_at, count, memory)
            return Measured(measured.loss, tuple(factor * c for c in measured.coefficients))

        monkeypatch.setattr(TwoPoint, "coefficients", wrong)

    return plant


@pytest.mark.parametrize("name", ["zo.scatter.gaussian", "zo.scatter.sphere", "zo.scatter.random-mask", "zo.blocks.gaussian"])
def test_a_forgotten_factor_of_two_is_caught(claim, verdict_of, slopes_times, name):
    slopes_times(2.0)
    one = claim[name]
    assert verdict_of(one, one.plan.settings[0], NEW).outcome is Outcome.VIOLATED


def test_a_difference_over_the_wrong_distance_is_caught_by_the_potential(claim, verdict_of, slopes_times):
    slopes_times(0.5)
    one = claim["zo.edge.potential"]
    assert verdict_of(one, one.plan.settings[0], NEW).outcome is Outcome.VIOLATED


def test_forgotten_momentum_is_caught_by_the_potential(claim, module, verdict_of, monkeypatch):
    file, one = module["zeroth_order_edge"], claim["zo.edge.potential"]
    setting = next(s for s in one.plan.settings if s.beta)
    monkeypatch.setattr(file, "GradientDescent", lambda lr, momentum: GradientDescent(lr / 4, momentum=momentum))
    assert verdict_of(one, setting, NEW).outcome is Outcome.VIOLATED


def test_one_direction_for_all_n_is_caught(claim, verdict_of, monkeypatch):
    """n equal directions scatter like one: 34 in place of 9.25."""
    one = claim["zo.scatter.gaussian"]
    setting = next(s for s in one.plan.settings if s.n > 1)
    original = TwoPoint.probes
    monkeypatch.setattr(TwoPoint, "probes", lambda self, names: tuple(replace(p, direction=0) for p in original(self, names)))
    assert verdict_of(one, setting, NEW).outcome is Outcome.VIOLATED


def test_a_step_without_its_test_is_caught(claim, verdict_of, monkeypatch):
    """Always stepping: all are taken, and f rises at lr = 2/d."""
    taken, gain = claim["zo.conservative.taken"], claim["zo.conservative.fall"]
    last = taken.plan.settings[-1]
    monkeypatch.setattr(Conservative, "coefficients", lambda self, loss_at, count, memory=None: self.inner.coefficients(loss_at, count))
    assert verdict_of(taken, last, NEW).outcome is Outcome.VIOLATED
    assert verdict_of(gain, last, NEW).outcome is Outcome.VIOLATED


def test_a_sign_that_keeps_its_size_is_caught(claim, verdict_of, monkeypatch):
    one = claim["zo.sign.slope"]
    monkeypatch.setattr(SignedSlope, "coefficients", lambda self, loss_at, count, memory=None: self.inner.coefficients(loss_at, count))
    assert verdict_of(one, one.plan.settings[0], NEW).outcome is not Outcome.ATTAINED


def test_a_residual_against_the_loss_without_perturbation_is_caught(claim, verdict_of, monkeypatch):
    """That is a one-sided difference, d + 2 in place of 2 d + 2."""

    def wrong(self, loss_at, count, memory):
        here = loss_at({0: self.eps})
        return Measured(here, ((here - loss_at({})) / self.eps,), here)

    one = claim["zo.residual.second-moment"]
    monkeypatch.setattr(Residual, "coefficients", wrong)
    assert verdict_of(one, one.plan.settings[1], range(1024)).outcome is Outcome.VIOLATED


def test_a_subspace_without_its_alignment_is_caught(claim, module, verdict_of, monkeypatch):
    """mu sqrt 2 too large quadruples |ghat|^2, and no cosine sees it."""
    file = module["subzero_cosine"]
    monkeypatch.setattr(file, "alignment", lambda U, V: 2**0.5 * alignment(U, V))
    moment, cosine = claim["subzero.second-moment"], claim["subzero.cosine"]
    assert verdict_of(moment, moment.plan.settings[0], range(2048)).outcome is Outcome.VIOLATED
    assert verdict_of(cosine, cosine.plan.settings[0], range(2048)).outcome is Outcome.HOLDS


def test_a_subspace_that_is_never_redrawn_is_caught(claim, module, verdict_of, monkeypatch):
    file, one = module["subzero_refresh"], claim["subzero.refresh"]
    original = file.SubZero
    monkeypatch.setattr(file, "SubZero", lambda inner, rank, update_gap: original(inner, rank, update_gap=1000))
    assert verdict_of(one, one.plan.settings[0], range(96)).outcome is Outcome.VIOLATED


def test_what_is_out_of_scope_is_so_before_anything_runs(claim):
    for name, expected in (
        ("zo.scatter.regression", 1),
        ("zo.bias", 1),
        ("zo.edge.potential", 1),
        ("zo.residual.second-moment", 1),
        ("subzero.cosine", 1),
        ("zo.rate.effective-rank", 1),
    ):
        one = claim[name]
        assert sum(why_out(one, setting) is not None for setting in one.plan.settings) == expected, name


def test_the_quadrature_of_the_mixed_cosine_against_sampling(module):
    file = module["subzero_cosine"]
    rng = torch.Generator().manual_seed(1)
    z = torch.randn(5, 400_000, generator=rng, dtype=torch.float64)
    Y = z[1:].square().sum(0)
    sampled = Y / (Y + 36 * z[0] ** 2) / 4
    assert file.mixed_cosine(file.Aim(1, "vector")) == pytest.approx(float(sampled.mean()), abs=4 * float(sampled.std()) / 632)
