"""The zeroth-order claims whose means are sums over all draws, and those on a transformer, under planted faults.

Independent channel: the formulas of sandbox.theory; here oracles, subspaces and draws are broken, and every claim must notice.
"""

from dataclasses import replace

import pytest
import torch

from sandbox.oracles.conservative import Conservative
from sandbox.oracles.probing import Measured
from sandbox.oracles.signed_slope import SignedSlope
from sandbox.oracles.two_point import TwoPoint
from sandbox.verdict import Outcome

FEW = range(500_000, 500_200)


@pytest.fixture
def slopes_times(monkeypatch):
    """Every slope of TwoPoint times a function of the oracle: 2 is a forgotten factor, eps a forgotten division."""

    def plant(factor):
        original = TwoPoint.coefficients

        def wrong(self, loss_at, count, memory=None):
            measured = original(self, loss_at, count, memory)
            return Measured(measured.loss, tuple(factor(self) * c for c in measured.coefficients))

        monkeypatch.setattr(TwoPoint, "coefficients", wrong)

    return plant


def outcomes(one, verdict_of, seeds=(0,)):
    return [verdict_of(one, setting, seeds).outcome for setting in one.plan.settings]


SEEN_BY_ALL = [
    "zo.edge.isotropic",
    "zo.edge.signs",
    "zo.edge.least.attained",
    "zo.edge.least",
    "zo.blocks.attained",
    "zo.blocks.unequal.sizes",
    "zo.scatter.least.in-turn",
    "zo.finite-eps.kink.left",
    "zo.best-eps.one-sided.triple",
    "subzero.refresh.attained",
    "subzero.refresh.kept.factor",
]


@pytest.mark.parametrize("name", SEEN_BY_ALL)
def test_a_forgotten_factor_of_two_violates_what_is_exact(claim, verdict_of, slopes_times, name):
    slopes_times(lambda oracle: 2.0)
    assert set(outcomes(claim[name], verdict_of)) == {Outcome.VIOLATED}


def test_it_makes_the_least_error_no_longer_attained_and_the_price_of_a_parabola_infinite(claim, verdict_of, slopes_times):
    slopes_times(lambda oracle: 2.0)
    assert set(outcomes(claim["zo.best-eps.attained"], verdict_of)) == {Outcome.HOLDS}
    assert outcomes(claim["zo.finite-eps.attained"], verdict_of)[0] is Outcome.VIOLATED


def test_a_slope_that_is_not_divided_by_its_distance_is_caught_by_the_order_in_eps(claim, verdict_of, slopes_times):
    slopes_times(lambda oracle: oracle.eps)
    assert outcomes(claim["zo.bias.rough.ratio"], verdict_of, range(8)) == [Outcome.VIOLATED]


def test_a_quarter_of_a_slope_passes_the_upper_edge(claim, verdict_of, slopes_times):
    """A step a quarter as long has an edge four times as large."""
    slopes_times(lambda oracle: 0.25)
    assert Outcome.VIOLATED in outcomes(claim["zo.edge.largest"], verdict_of)


def test_a_sign_that_keeps_its_size_is_caught_on_signs_too(claim, verdict_of, monkeypatch):
    monkeypatch.setattr(SignedSlope, "coefficients", lambda self, loss_at, count, memory=None: self.inner.coefficients(loss_at, count))
    assert set(outcomes(claim["zo.sign.two-signs.largest"], verdict_of)) == {Outcome.VIOLATED}


def test_a_conservative_step_that_goes_the_other_way_is_caught(claim, verdict_of, monkeypatch):
    original = Conservative.coefficients

    def wrong(self, loss_at, count, memory=None):
        measured = original(self, loss_at, count, memory)
        return measured._replace(coefficients=tuple(-c for c in measured.coefficients))

    monkeypatch.setattr(Conservative, "coefficients", wrong)
    one = claim["zo.conservative.opposite.indefinite"]
    rows = one.measure(one.plan.settings[1], range(64))
    assert sum(row["opposite"] for row in rows) > 32


def test_a_short_difference_never_takes_the_opposite_on_the_wave(claim):
    one = claim["zo.conservative.opposite"]
    rows = one.measure(replace(one.plan.settings[0], eps=1e-3), range(64))
    assert not any(row["opposite"] for row in rows)


def test_below_its_edge_a_residual_does_not_grow(claim, verdict_of):
    one = claim["zo.residual.nothing-curved"]
    assert verdict_of(one, replace(one.plan.settings[0], tau=0.25), range(512)).outcome is not Outcome.VIOLATED


def test_one_matrix_for_both_sides_is_caught_by_the_share(claim, module, verdict_of, monkeypatch):
    file = module["subzero_exact_means"]
    original = file.subspace
    monkeypatch.setattr(file, "subspace", lambda draw, m: (original(draw, m)[0],) * 2)
    assert set(outcomes(claim["subzero.captured"], verdict_of)) == {Outcome.VIOLATED}


def test_half_of_what_is_inside_does_not_attain_the_stall(claim, module, verdict_of, monkeypatch):
    file = module["subzero_exact_means"]
    original = file.inside
    monkeypatch.setattr(file, "inside", lambda W, draw: original(W, draw) / 2)
    assert outcomes(claim["subzero.stall.attained"], verdict_of) == [Outcome.HOLDS]


@pytest.mark.parametrize("name", ["subzero.captured.sampled", "subzero.captured.one-side.moment"])
def test_a_share_that_is_not_squared_is_caught(claim, module, verdict_of, monkeypatch, name):
    one = claim[name]
    kind = module["subzero_exact_means"].Gradient
    original = kind.share
    monkeypatch.setattr(kind, "share", lambda self, draw: original(self, draw).sqrt())
    assert verdict_of(one, one.plan.settings[0], FEW if len(one.plan.seeds) > 1 else (0,)).outcome is Outcome.VIOLATED


def test_a_sixteenth_of_the_decrease_would_not_pay_for_the_gradients(claim, module, verdict_of, monkeypatch):
    """So what is measured lies within a factor of 16 of the bound."""
    one = claim["subzero.refresh.regression"]
    tight = replace(one, constants=lambda s: {**one.constants(s), "Delta": 1 / 16})
    assert outcomes(tight, verdict_of, range(64)) == [Outcome.VIOLATED] * 2


def test_the_nodes_have_the_moments_of_their_laws(module):
    every_draw = module["zeroth_order_exact_means"].every_draw
    for law, fourth in (("gaussian", 3.0), ("rademacher", 1.0)):
        z, weight = every_draw(law, 3)
        moments = [float(weight @ x) for x in (torch.ones(len(z)).double(), z[:, 0] ** 2, z[:, 0] ** 4, z[:, 0] ** 2 * z[:, 1] ** 2)]
        assert moments == pytest.approx([1.0, 1.0, fourth, 1.0], abs=1e-12)
        assert float((weight @ z).abs().max()) < 1e-12


def test_the_transformer_notices_a_forgotten_factor_and_a_mean_that_is_there(claim, verdict_of, slopes_times):
    mean = claim["zo.scatter.transformer.far.mean"]
    near = replace(mean.plan.settings[0], eps=1e-3)
    assert verdict_of(mean, near, mean.plan.seeds).outcome is Outcome.HOLDS
    slopes_times(lambda oracle: 2.0)
    for name in ("zo.scatter.transformer", "zo.scatter.transformer.sphere", "zo.blocks.transformer.more"):
        assert verdict_of(claim[name], claim[name].plan.settings[0], FEW).outcome is Outcome.VIOLATED
