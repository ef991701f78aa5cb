"""The GWT claims as records, and their checkers under planted faults.

Nothing here is a number of a run. The faults: a transform that loses its scale, details that are not dropped, Adam without its average, a
detail that is divided by the wrong size. Independent channel: means of blocks by hand, one step of Adam by hand.
"""

import numpy as np
import pytest
import torch

from sandbox.ledger.judging import why_out
from sandbox.optimizers.base import advance
from sandbox.optimizers.gwt import GWT
from sandbox.verdict import Outcome


def block_energy(x, N):
    """Energy of the means of blocks of N, by numpy."""
    means = x.reshape(x.shape[0], -1, N).mean(-1)
    return N * (means**2).sum()


@pytest.mark.parametrize(("kind", "number"), [("white", 0.0), ("equal correlations", 0.5), ("autoregressive", 0.9), ("network up", 0.0)])
def test_the_measured_energy_is_that_of_the_means_of_blocks(module, kind, number):
    file = module["gwt_energy"]
    setting = file.Rows(kind, 2, number)
    x, row = file.rows_of(setting, 9).numpy(), file.energies(setting, 9)
    assert row["approximation"] == pytest.approx(block_energy(x, 4), rel=1e-12)
    assert row["gradient"] == pytest.approx((x**2).sum(), rel=1e-12) and row["kept"] == pytest.approx(1, rel=1e-12)


def test_rows_behind_a_layer_norm_sum_to_zero_and_behind_a_gelu_they_do_not(module):
    file = module["gwt_energy"]
    up, down = (file.network_gradient(3, matrix) for matrix in ("up", "down"))
    largest = up.sum(1).abs().max() / up.abs().sum(1).max()
    assert largest < 1e-5 < 1e-2 < down.sum(1).abs().max() / down.abs().sum(1).max()  # 1e-7 roundings of float32, 32 terms


def test_what_is_out_of_scope(module, claim):
    def out(name):
        one = claim[name]
        return [setting for setting in one.plan.settings if why_out(one, setting)]

    assert [s.kind for s in out("gwt.share")] == ["unequal variances"]
    assert [s.kind for s in out("gwt.share.centred")] == ["network down"]
    assert [s.kind for s in out("gwt.dropped.walk")] == ["white"]
    assert [s.details for s in out("gwt.frozen-loss")] == ["clipped"]
    assert [s.limiter for s in out("gwt.scale")] == ["on"]


def test_a_transform_without_its_scale_is_caught(module, claim, monkeypatch, verdict_of):
    file = module["gwt_energy"]
    coefficients = file.coefficients
    monkeypatch.setattr(file, "coefficients", lambda x, level: [1.1 * part for part in coefficients(x, level)])
    seeds = range(300, 324)
    assert verdict_of(claim["gwt.energy"], file.Rows("white", 2), (0, 1)).outcome is Outcome.VIOLATED
    for name, setting in (
        ("gwt.share", file.Rows("equal correlations", 2, 0.5)),
        ("gwt.share.autoregressive", file.Rows("autoregressive", 1, 0.9)),
        ("gwt.share.centred", file.Rows("network up", 2)),
    ):
        assert verdict_of(claim[name], setting, seeds).outcome is Outcome.VIOLATED


def test_the_law_of_equal_correlations_is_not_that_of_neighbours(module, claim, verdict_of):
    file, seeds = module["gwt_energy"], range(300, 324)
    for kind, outcome in (
        ("equal correlations", Outcome.HOLDS),
        ("autoregressive", Outcome.VIOLATED),
        ("unequal variances", Outcome.VIOLATED),
    ):
        assert verdict_of(claim["gwt.share"], file.Rows(kind, 2, 0.7), seeds).outcome is outcome


def test_a_steeper_ramp_is_caught(module, claim, monkeypatch, verdict_of):
    file, one = module["gwt_dropped_details"], claim["gwt.dropped.ramp"]
    setting = file.Rows("ramp", 2, 0.1)
    assert verdict_of(one, setting, (0, 1)).outcome is Outcome.ATTAINED
    rows_of = file.rows_of
    monkeypatch.setattr(file, "rows_of", lambda setting, seed: 1.001 * rows_of(setting, seed))
    assert verdict_of(one, setting, (0, 1)).outcome is Outcome.VIOLATED
    assert verdict_of(claim["gwt.dropped.noise"], file.Rows("equal correlations", 2, 0.0), range(24)).outcome is Outcome.HOLDS


def test_details_that_are_not_dropped_do_not_freeze_the_loss(module, claim, monkeypatch, verdict_of):
    file, one = module["gwt_dropped_details"], claim["gwt.frozen-loss"]
    seeds = range(5000, 5256)
    assert verdict_of(one, file.Descent(2), seeds).outcome is Outcome.HOLDS
    monkeypatch.setattr(file, "GWT", lambda inner, level, scale, growth_limit, details: GWT(inner, level, scale, growth_limit, "clipped"))
    assert verdict_of(one, file.Descent(2), seeds).outcome is Outcome.VIOLATED


def test_adam_without_its_average_is_caught(module, claim, monkeypatch, verdict_of):
    """b1 = 0.5: the approximation has the share 1/3 and not 0.053: sqrt((1/3 + 1) / 2) = 0.82 at level 1, not 0.73."""
    file = module["gwt_scale"]
    seeds = range(50, 58)
    assert verdict_of(claim["gwt.scale"], file.Noise(1, 100), seeds).outcome is Outcome.HOLDS
    adam = file.Adam
    monkeypatch.setattr(file, "Adam", lambda lr, betas: adam(lr, (0.5, betas[1])))
    assert verdict_of(claim["gwt.scale"], file.Noise(1, 100), seeds).outcome is Outcome.VIOLATED
    assert verdict_of(claim["gwt.scale.restored"], file.Noise(1, 100, scale=0.0), seeds).outcome is Outcome.VIOLATED


def test_the_first_detail_by_hand(module, claim, monkeypatch, verdict_of):
    """One step: m = 0.1 A, v = 0.001 A^2, correction sqrt(0.001) / 0.1: the detail is D / (0.1 |A|)."""
    file, one = module["gwt_opposite_signs"], claim["gwt.first-step"]
    row = file.first_step(file.Pair(0.25), 3)
    assert row["detail"] == pytest.approx(1 / (0.1 * 0.25), rel=1e-9) and row["approximation"] == pytest.approx(1, rel=1e-9)
    advance = file.advance
    monkeypatch.setattr(file, "advance", lambda *given: (1.01 * advance(*given)[0], None))
    assert verdict_of(one, file.Pair(0.25), (0, 1)).outcome is Outcome.VIOLATED


def test_alternating_columns_have_no_approximation(module):
    file = module["gwt_opposite_signs"]
    W = file.Alternating().start(0)["W"]
    assert torch.equal(W[:, ::2] + W[:, 1::2], torch.zeros(8, 4, dtype=torch.float64))


@pytest.mark.parametrize(("rate", "grows"), [(0.25, False), (20.0, True)])
def test_other_rates_on_the_same_sides(module, claim, rate, grows):
    file = module["gwt_opposite_signs"]
    rows = file.alternate(file.OppositeSigns("gwt", rate, steps=80), tuple(range(60, 64)))
    assert all((np.log10(row["end"] / row["half"]) > 3) == grows for row in rows)


def test_columns_of_two_curvatures_are_out_of_scope_and_end_where_a_block_by_hand_does(module, claim):
    """One block (1, -1) with curvatures 1 and 3: the least of (a + 1)^2 + 3 (a - 1)^2 is 3, at a = 1/2, of 4 at the start."""
    file, one = module["gwt_column_curvatures"], claim["gwt.frozen-loss.columns.equal"]
    assert [s.curvatures for s in one.plan.settings if why_out(one, s)] == [(1.0, 9.0)]
    problem = file.ColumnQuadratic((1.0, 3.0), rows=1, columns=2)
    rule = file.GWT(file.GradientDescent(0.5), 1, scale=1.0, growth_limit=None, details="dropped")
    w = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    state = rule.init(w)
    for step in range(20):
        g = torch.func.grad(problem.loss)({"W": w}, None)["W"]
        delta, state = advance(rule, g, state, w, step)
        w = w + delta
    assert w.tolist()[0] == pytest.approx([1.5, -0.5]) and float(problem.loss({"W": w}, None)) == pytest.approx(3 / 2)


def test_details_or_an_early_end_on_columns_are_caught(module, claim, monkeypatch, verdict_of):
    file, seeds = module["gwt_column_curvatures"], range(5000, 5512)
    cases = (("", file.Columns(1, (1.0, 4.0))), (".equal", file.Columns(1, (2.0, 2.0))))
    for name, setting in cases:
        assert verdict_of(claim[f"gwt.frozen-loss.columns{name}"], setting, seeds).outcome is Outcome.HOLDS
    assert verdict_of(claim["gwt.frozen-loss.columns.as-equal"], cases[0][1], seeds).outcome is Outcome.VIOLATED
    monkeypatch.setattr(file, "GWT", lambda inner, level, scale, growth_limit, details: GWT(inner, level, scale, growth_limit, "clipped"))
    for name, setting in cases:
        assert verdict_of(claim[f"gwt.frozen-loss.columns{name}"], setting, seeds).outcome is Outcome.VIOLATED


def test_the_mean_inverse_of_an_average_of_squares(module):
    """Over 66 steps 1 + Var v, Var v = 2 (1 - b2) / (1 + b2): the next two terms, -8 sum w^3 and 3 Var^2, are 0.0025 and 0.0028."""
    file = module["gwt_scale"]
    assert file.mean_inverse(0.97) == pytest.approx(1 + 2 * 0.03 / 1.97, rel=1e-3)
    squares = np.random.default_rng(0).standard_normal((40_000, 60)) ** 2
    inverse = 1 / (squares @ (0.2 * 0.8 ** np.arange(60)))
    assert abs(inverse.mean() - file.mean_inverse(0.8)) < 5 * inverse.std() / 200


def test_another_memory_is_caught(module, claim, monkeypatch, verdict_of):
    file, seeds = module["gwt_scale"], range(50, 66)
    short, as_long = claim["gwt.scale.short-memory"], claim["gwt.scale.short-memory.as-long"]
    assert verdict_of(short, file.ShortMemory(2, 0.8, 50), seeds).outcome is Outcome.HOLDS
    assert verdict_of(as_long, file.ShortMemory(2, 0.8, 50), seeds).outcome is Outcome.VIOLATED
    assert verdict_of(as_long, file.ShortMemory(2, 0.9999, 120), seeds).outcome is Outcome.HOLDS
    adam = file.Adam
    monkeypatch.setattr(file, "Adam", lambda lr, betas: adam(lr, (betas[0], 0.9999)))
    assert verdict_of(short, file.ShortMemory(2, 0.8, 50), seeds).outcome is Outcome.VIOLATED


def test_the_share_fails_with_two_variances_and_holds_with_one(module, claim, verdict_of):
    file, one, seeds = module["gwt_energy"], claim["gwt.share.any-variances"], range(300, 332)
    assert verdict_of(one, file.Rows("equal correlations", 2, 0.5), seeds).outcome is Outcome.HOLDS
    assert verdict_of(one, file.Rows("unequal variances", 2, 0.5), seeds).outcome is Outcome.VIOLATED
