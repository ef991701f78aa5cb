"""The SGC claims as records, and their checkers under planted faults.

Nothing here is a number of a run. The faults: a pursuit that takes the wrong column, columns that are not of length 1, entries that are not
the largest, averages that are not averages. Independent channels: least squares over all supports, a moment by hand.
"""

from itertools import combinations

import numpy as np
import pytest
import torch

from sandbox.ledger.judging import why_out
from sandbox.verdict import Outcome


def test_what_is_out_of_scope(claim):
    def out(name):
        return [setting for setting in claim[name].plan.settings if why_out(claim[name], setting)]

    assert {s.kind for s in out("sgc.recovery")} == {"gaussian"} and len(out("sgc.recovery")) == 2
    assert [s.rule for s in out("sgc.largest.stall")] == ["adam"]
    assert [s.sparsity for s in out("sgc.largest.sum.attained")] == [8]
    assert [s.kind for s in out("sgc.moment.floor")] == ["two in turn"]


def test_below_the_threshold_the_sparsest_vector_is_the_only_one(module):
    """Of all supports of size 2 one alone explains the measurements, so pursuit had no other answer to give."""
    file = module["sgc_recovery"]
    A = file.matrix_of(file.Matrix("leaning", 2, columns=8), 40).numpy()
    assert file.coherence(torch.from_numpy(A)) < 1 / 3
    y = A[:, [1, 6]] @ [1.0, -2.0]
    exact = [pair for pair in combinations(range(8), 2) if np.linalg.norm(A[:, pair] @ np.linalg.lstsq(A[:, pair], y)[0] - y) < 1e-9]
    assert exact == [(1, 6)]


def test_a_pursuit_that_takes_the_second_best_column_is_caught(module, claim, monkeypatch, verdict_of):
    file = module["sgc_recovery"]
    setting = file.Matrix("leaning", 2)
    assert verdict_of(claim["sgc.recovery"], setting, range(60, 64)).outcome is Outcome.HOLDS
    recover = file.recover
    monkeypatch.setattr(file, "recover", lambda A, y, s: recover(A, y, s - 1))
    assert verdict_of(claim["sgc.recovery"], setting, range(60, 64)).outcome is Outcome.VIOLATED
    assert verdict_of(claim["sgc.recovery.threshold"], file.Family(2), (0,)).outcome is not Outcome.ATTAINED


def test_matrices_above_the_threshold_lose_some_vectors(module, claim, monkeypatch, verdict_of):
    """12 measurements of 24 entries, 6 of them of one magnitude."""
    file = module["sgc_recovery"]
    monkeypatch.setattr(file.Matrix, "measurements", property(lambda self: 12))
    setting = file.Matrix("gaussian", 6, "one magnitude")
    assert verdict_of(claim["sgc.recovery"], setting, range(60, 64)).outcome is Outcome.VIOLATED


def test_the_spread_of_measured_energy_follows_the_entries_and_needs_independent_columns(module, claim, monkeypatch, verdict_of):
    """Two equal entries: (2/k)/2, four: (2/k) 3/4. Where all columns are the same |A x|^2 is (sum x)^2."""
    file, one = module["sgc_recovery"], claim["sgc.measured-energy"]
    pair = torch.tensor([0.5**0.5, 0.5**0.5], dtype=torch.float64)
    monkeypatch.setattr(file, "vector_of", lambda setting: pair)
    setting = file.Measured(6, "normal")
    assert verdict_of(one, setting, range(500, 600)).outcome is Outcome.HOLDS
    monkeypatch.setattr(file, "vector_of", lambda setting: torch.cat([pair, pair]) * 0.5**0.5)
    row = verdict_of(one, setting, range(500, 600))
    assert row.outcome is Outcome.HOLDS and row.limit == pytest.approx(2 / 6 * 0.75)
    monkeypatch.setattr(file, "normal", lambda shape, rng: torch.ones(shape, dtype=torch.float64))
    assert verdict_of(one, setting, range(500, 510)).outcome is Outcome.VIOLATED


def test_keeping_other_entries_than_the_largest_is_caught(module, claim, monkeypatch, verdict_of):
    file, one = module["sgc_energy"], claim["sgc.largest.energy"]
    assert verdict_of(one, file.Energy(1.0), range(70, 76)).outcome is Outcome.HOLDS
    monkeypatch.setattr(file, "largest", lambda g, s: torch.where(torch.arange(len(g)) < s, g, 0.0))
    assert verdict_of(one, file.Energy(1.0), range(70, 76)).outcome is Outcome.VIOLATED


def test_a_step_at_another_rate_is_caught(module, claim, monkeypatch, verdict_of):
    file, one = module["sgc_largest_entries"], claim["sgc.largest.sum.attained"]
    assert verdict_of(one, file.Descent(3, 1), (30, 31)).outcome is Outcome.ATTAINED
    descent = file.GradientDescent
    monkeypatch.setattr(file, "GradientDescent", lambda lr: descent(0.9 * lr))
    assert verdict_of(one, file.Descent(3, 1), (30, 31)).outcome is Outcome.VIOLATED


def test_quiet_noise_is_no_stall(module, claim, monkeypatch, verdict_of):
    """Noise of 0.4 against a signal of 0.5: the signal is kept, and f moves."""
    file, one = module["sgc_largest_entries"], claim["sgc.largest.stall"]
    setting = file.Stall("descent", 0.1, steps=10)
    assert verdict_of(one, setting, (30, 31)).outcome is Outcome.HOLDS

    class Quiet(file.GoLoreCounterexample):
        def batch(self, seed, step):
            return 0.4 * super().batch(seed, step)

    monkeypatch.setattr(file, "STALLING", Quiet())
    assert verdict_of(one, setting, (30, 31)).outcome is Outcome.VIOLATED
    assert verdict_of(claim["sgc.largest.stall.adam"], file.Stall("adam", 0.01, steps=10), (30, 31)).outcome is Outcome.HOLDS


def test_the_moment_of_one_entry_that_left_by_hand(module):
    """Two steps with the support {0}, then {1}: m = (0.1 * 0.9, 0.1), and the entry that left holds 0.81 / 1.81."""
    file = module["sgc_momentum"]
    gradients = torch.eye(2, dtype=torch.float64)
    A, p, m = file.first_moment(gradients, 1, 2, 7)
    assert m.tolist() == pytest.approx([0.09, 0.1], rel=1e-12)
    assert torch.allclose(p, A @ m, rtol=1e-12) and A.norm(dim=0).tolist() == pytest.approx([1, 1])


def test_another_churn_is_caught(module, claim, verdict_of, monkeypatch):
    file, one = module["sgc_momentum"], claim["sgc.moment.outside"]
    setting, seeds = file.Churn(0.2), range(700, 740)
    assert verdict_of(one, setting, seeds).outcome is Outcome.HOLDS
    outside = file.Churn
    monkeypatch.setattr(file, "B1", 0.8)  # the bound and the run follow it together
    assert verdict_of(one, outside(0.2), seeds).outcome is Outcome.HOLDS
    adam = file.Adam
    monkeypatch.setattr(file, "Adam", lambda lr, betas: adam(lr, (0.9, betas[1])))
    assert verdict_of(one, outside(0.2), seeds).outcome is Outcome.VIOLATED


def test_supports_that_return_break_the_floor(module, claim, verdict_of):
    file = module["sgc_momentum"]
    assert verdict_of(claim["sgc.moment.floor"], file.Supports(steps=64, sparsity=2), (8, 9)).outcome is Outcome.ATTAINED
    assert verdict_of(claim["sgc.moment.floor"], file.Supports("two in turn", steps=64, sparsity=2), (8, 9)).outcome is Outcome.VIOLATED


def test_signs_that_are_not_independent_or_not_scaled_are_caught(module, claim, monkeypatch, verdict_of):
    file = module["sgc_measurements"]
    listed, signs = claim["sgc.measurements.listed"], claim["sgc.measurements.signs"]
    assert [s.columns for s in signs.plan.settings if why_out(signs, s)] == ["unscaled"]
    pair, drawn = file.Measuring("all signs", 4, (2.0, 1.0)), file.Measuring("signs", 6, (1.0, 1.0, 1.0))
    assert verdict_of(listed, pair, (0,)).outcome is Outcome.ATTAINED
    assert verdict_of(signs, drawn, range(500, 532)).outcome is Outcome.HOLDS
    matrices = file.matrices
    monkeypatch.setattr(file, "matrices", lambda setting, seed: matrices(setting, seed)[:, :1].expand(-1, setting.measurements, -1))
    assert verdict_of(listed, pair, (0,)).outcome is Outcome.VIOLATED  # one measurement, k times
    assert verdict_of(signs, drawn, range(500, 532)).outcome is Outcome.VIOLATED


def test_unscaled_columns_have_their_own_law(module, claim, monkeypatch, verdict_of):
    """Scaled to length 1 they would spread by (2/k)/2 for two equal entries: half of what is claimed without."""
    file, setting = module["sgc_measurements"], module["sgc_measurements"].Measuring("unscaled", 6, (1.0, 1.0))
    unscaled, scaled = claim["sgc.measurements.unscaled"], claim["sgc.measurements.unscaled.as-scaled"]
    assert verdict_of(unscaled, setting, range(500, 564)).outcome is Outcome.HOLDS
    assert verdict_of(scaled, setting, range(500, 564)).outcome is Outcome.VIOLATED
    matrices = file.matrices
    monkeypatch.setattr(file, "matrices", lambda *given: torch.nn.functional.normalize(matrices(*given), dim=1))
    assert verdict_of(unscaled, setting, range(500, 564)).outcome is Outcome.VIOLATED
    assert verdict_of(scaled, setting, range(500, 564)).outcome is Outcome.HOLDS


def test_the_law_of_a_fixed_life_by_a_list_of_ages(module):
    """One slot by hand: an entry for T steps at value 1, then the next; averages over one period of the phase."""
    file, T, b1 = module["sgc_momentum"], 4, 0.9
    inside = outside = 0.0
    for phase in range(T):
        m = [0.0] * 102
        for step in range(400):
            entry = (step + phase) // T
            m = [b1 * x + (1 - b1) * (i == entry) for i, x in enumerate(m)]
        inside, outside = inside + m[entry] ** 2, outside + sum(x**2 for i, x in enumerate(m) if i != entry)
    assert file.fixed_life_share(file.FixedLife(T)) == pytest.approx(outside / (inside + outside), rel=1e-9)


def test_entries_that_leave_in_another_order_are_caught(module, claim, monkeypatch, verdict_of):
    """As many leave, but by chance: then the law of churn holds, and that of a fixed life does not."""
    file, setting, seeds = module["sgc_momentum"], module["sgc_momentum"].FixedLife(10), range(700, 716)
    life, order = claim["sgc.moment.outside.fixed-life"], claim["sgc.moment.outside.any-order"]
    assert verdict_of(life, setting, seeds).outcome is Outcome.HOLDS
    assert verdict_of(order, setting, seeds).outcome is Outcome.VIOLATED
    monkeypatch.setattr(file, "leaving", lambda setting, step, rng: torch.randperm(800, generator=rng) < 80)
    assert verdict_of(life, setting, seeds).outcome is Outcome.VIOLATED
    assert verdict_of(order, setting, seeds).outcome is Outcome.HOLDS
