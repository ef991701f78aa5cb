"""The claims on projected gradients and on I3S as records, and their checkers under planted faults.

Nothing here is a number of a run. The faults: a basis without its scale, another rank, a step that is not the one claimed, directions drawn
with equal weights. Independent channel: a list of numbers that shrinks by hand, for importance sampling.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sandbox.draws import generator
from sandbox.ledger.judging import why_out
from sandbox.optimizers import i3s
from sandbox.verdict import Outcome


def test_gaussian_bases_and_normal_noise_are_out_of_scope(claim):
    out = [setting.law for setting in claim["projection.error"].plan.settings if why_out(claim["projection.error"], setting)]
    assert out == ["gaussian"]
    for name in ("growth", "slow"):
        one = claim[f"i3s.counterexample.{name}"]
        assert [setting.law for setting in one.plan.settings if why_out(one, setting)] == ["gaussian"]


@pytest.mark.parametrize("law", ["haar", "coordinate"])
def test_a_basis_without_its_scale_is_caught(module, claim, monkeypatch, verdict_of, law):
    """P of length 1: E|P P^T g - g|^2 = (1 - r/m) |g|^2 in place of m/r - 1."""
    file, one = module["projection_moments"], claim["projection.error"]
    setting, seeds = file.Moments(law, 16, 4), range(200, 220)
    assert verdict_of(one, setting, seeds).outcome is Outcome.HOLDS
    basis = file.basis
    monkeypatch.setattr(file, "basis", lambda draw, law: basis(draw, law) / 2)
    assert verdict_of(one, setting, seeds).outcome is Outcome.VIOLATED


def test_another_rank_is_caught(module, claim, monkeypatch, verdict_of):
    file = module["projection_moments"]
    basis = file.basis
    monkeypatch.setattr(file, "basis", lambda draw, law: basis(draw[:, :-1], law))
    for name, law in (("error.gaussian", "gaussian"), ("fourth.haar", "haar"), ("fourth.gaussian", "gaussian")):
        one = claim[f"projection.{name}"]
        assert verdict_of(one, file.Moments(law, 16, 4), range(200, 240)).outcome is Outcome.VIOLATED


def test_the_coordinate_law_depends_on_where_the_gradient_sits(module, claim, monkeypatch, verdict_of):
    """A Haar basis has 4/3 at m = 16, r = 4 wherever g sits; the coordinate law has 4 for one entry."""
    file, one = module["projection_moments"], claim["projection.fourth.coordinate"]
    setting = file.Moments("coordinate", 16, 4, "one entry")
    assert verdict_of(one, setting, range(200, 232)).outcome is Outcome.HOLDS
    basis = file.basis
    monkeypatch.setattr(file, "basis", lambda draw, law: basis(draw, "haar"))
    assert verdict_of(one, setting, range(200, 232)).outcome is Outcome.VIOLATED


def test_a_step_at_another_rate_is_caught(module, claim, monkeypatch, verdict_of):
    """1.3 times the rate: 2 / (lr (2 - lr L c)) at 1.3 is 10 % above its least value, which is at 1."""
    file, one = module["projection_moments"], claim["projection.step.attained"]
    setting, seeds = file.Step("gaussian", 16, 4, 8, 4), range(5000, 6024)
    assert verdict_of(one, setting, seeds).outcome is Outcome.ATTAINED
    descent = file.GradientDescent
    monkeypatch.setattr(file, "GradientDescent", lambda lr: descent(1.3 * lr))
    assert verdict_of(one, setting, seeds).outcome is Outcome.VIOLATED


def test_a_convex_loss_has_slack(module, claim, verdict_of):
    setting = module["projection_moments"].Step("haar", 12, 3, 2, 10, curvature="ill-conditioned")
    assert verdict_of(claim["projection.step.attained"], setting, range(64)).outcome is Outcome.HOLDS


def test_the_run_of_i3s_is_a_list_of_numbers_that_shrink_when_drawn(module):
    """Same draws, no matrix: the race of exponential arrivals over the weights, largest singular value first."""
    file = module["projection_i3s"]
    setting, signals, r = file.Sampled(0.2, 12), file.PROBLEM.n - file.PROBLEM.rank, file.PROBLEM.rank
    rule = file.I3S(file.GradientDescent(0.2), r)
    for seed, row in zip((3, 4), file.sample(setting, (3, 4)), strict=True):
        s = np.full(signals, 0.5)
        for k in range(12):
            s = -np.sort(-s)
            weights = np.concatenate([np.ones(r), s])
            draw = rule.draw(generator(seed, 0, k), (file.PROBLEM.n, file.PROBLEM.n)).numpy()
            chosen = np.argsort((draw**2).sum(0) / 2 / weights, kind="stable")[:r]
            s[chosen[chosen >= r] - r] *= 0.8
        assert row["gradient2"] == pytest.approx((s**2).sum(), rel=1e-10)
        assert row["growth"] == pytest.approx(((1 / s).mean() - 2) / 12, rel=1e-9)


def test_equal_weights_grow_faster_than_importance(module, claim, monkeypatch, verdict_of):
    """Drawn with probability r/n whatever their size, 1/s grows exponentially, and |grad f|^2 falls linearly."""
    setting = module["projection_i3s"].Sampled(0.3, 40)
    for name in ("growth", "slow"):
        assert verdict_of(claim[f"i3s.counterexample.{name}"], setting, range(900, 932)).outcome is Outcome.HOLDS
    drawn = i3s.drawn
    monkeypatch.setattr(i3s, "drawn", lambda weights, draw, count: drawn(weights * 0 + 1, draw, count))
    for name in ("growth", "slow"):
        assert verdict_of(claim[f"i3s.counterexample.{name}"], setting, range(900, 932)).outcome is Outcome.VIOLATED


def test_the_limit_of_i3s_needs_its_move(module, claim, monkeypatch, verdict_of):
    """Two steps between draws move by 1 - 0.9^2; counted as one step the limit is half of it."""
    file = module["projection_i3s"]
    monkeypatch.setattr(file, "move", lambda setting: setting.lr)
    setting = replace(file.Sampled(0.3, 60), update_gap=3)
    assert verdict_of(claim["i3s.counterexample.growth"], setting, range(900, 964)).outcome is Outcome.VIOLATED


def test_systematic_sampling_is_unbiased_and_keeps_k_parts(module):
    """Over a fine grid of offsets: part i is kept in the share s_i k / T of them, and k parts are kept in each."""
    file = module["projection_variance"]
    tail, k = torch.tensor([3.0, 2.0, 2.0, 1.0, 1.0, 1.0], dtype=torch.float64), 3
    errors = [float(file.sampled_error(tail, k, torch.tensor((i + 0.5) / 400, dtype=torch.float64))) for i in range(400)]
    assert np.mean(errors) == pytest.approx(100 / 3 - 20, rel=0.02)  # T^2/k - E; a grid of 400 offsets knows ends to 1/400


def test_a_projection_of_the_tail_without_its_scale_is_caught(module, claim, monkeypatch, verdict_of):
    file, setting = module["projection_variance"], module["projection_variance"].Compression("prac", "network")
    assert verdict_of(claim["projection.variance.prac"], setting, range(30, 40)).outcome is Outcome.HOLDS
    orthonormal = file.orthonormal
    monkeypatch.setattr(file, "orthonormal", lambda draw: 0.9 * orthonormal(draw))
    assert verdict_of(claim["projection.variance.prac"], setting, range(30, 40)).outcome is Outcome.VIOLATED


def test_the_head_is_the_least_for_which_the_level_lies_between(module):
    file = module["projection_variance"]
    for kind in ("flat", "network"):
        head, tail = file.head_and_tail(file.Compression("prac", kind))
        level = float(tail.sum()) / (8 - len(head))
        assert float(head[-1]) >= level >= float(tail[0]) and len(head) >= 1


def test_a_scaled_step_of_golore_is_caught(module, claim, monkeypatch, verdict_of):
    """The frame's default scale 0.25 is a quarter of the rate, and a lower floor."""
    file, one = module["projection_golore"], claim["golore.counterexample.floor"]
    setting, seeds = file.Random(0.4, 80), range(400, 496)
    assert verdict_of(one, setting, seeds).outcome is Outcome.HOLDS
    frame = file.GoLore
    monkeypatch.setattr(file, "GoLore", lambda inner, rank, gap, scale: frame(inner, rank, gap, scale=0.25))
    assert verdict_of(one, setting, seeds).outcome is Outcome.VIOLATED


def test_what_the_claims_on_coordinates_and_golore_do_not_reach(module, claim):
    one = claim["projection.coordinates.error"]
    assert [setting.chosen for setting in one.plan.settings if why_out(one, setting)] == ["repeated", "largest", "largest"]
    assert "requires" in why_out(claim["golore.counterexample.too-fast"], module["projection_golore"].FAST)


def test_a_golore_step_at_another_rate_has_another_factor(module, claim, monkeypatch, verdict_of):
    """At 0.6: 1 - 0.48 + 0.112 = 0.63; a third less of the rate has 0.73."""
    file, one = module["projection_golore"], claim["golore.counterexample.factor"]
    setting, seeds = file.Random(0.6, 4), range(3000, 4024)
    assert verdict_of(one, setting, seeds).outcome is Outcome.HOLDS
    frame = file.GoLore
    monkeypatch.setattr(file, "GoLore", lambda inner, rank, gap, scale: frame(inner, rank, gap, scale=2 / 3))
    assert verdict_of(one, setting, seeds).outcome is Outcome.VIOLATED


def test_coordinates_of_the_frame_are_the_ones_that_were_listed(module):
    """|P P^T g - g|^2 of every pair of three, by hand: (3/2 - 1)^2 of what is kept and 1 of the rest."""
    file = module["projection_coordinates"]
    setting, g = file.Columns("distinct", 3, 2), file.gradient_of("normal", 3).numpy()
    squares = [0.25 * (1 - g[i] ** 2) + g[i] ** 2 for i in range(3)]
    assert file.moments(setting, 0)["error"] == pytest.approx(np.mean(squares), rel=1e-12)
    row = file.moments(file.Columns("largest", 3, 2), 0)
    assert row["error"] == pytest.approx(min(squares), rel=1e-12)  # at 3/2 the scale of chance is small, and the largest are best


def test_coordinates_without_their_scale_or_one_choice_less_are_caught(module, claim, monkeypatch, verdict_of):
    file = module["projection_coordinates"]
    names = {"distinct": "distinct", "error": "distinct", "repeated": "repeated", "repeated.error": "repeated"}
    for name, chosen in names.items():
        assert verdict_of(claim[f"projection.coordinates.{name}"], file.Columns(chosen, 5, 2), (0,)).outcome is Outcome.ATTAINED
    assert verdict_of(claim["projection.coordinates.chosen"], file.Columns("largest", 9, 3), (0,)).outcome is Outcome.HOLDS
    matrix, choices = file.matrix, file.choices
    monkeypatch.setattr(file, "matrix", lambda setting, chosen: 1.01 * matrix(setting, chosen))
    for name, chosen in names.items():
        assert verdict_of(claim[f"projection.coordinates.{name}"], file.Columns(chosen, 5, 2), (0,)).outcome is not Outcome.ATTAINED
    monkeypatch.setattr(file, "matrix", lambda setting, chosen: matrix(setting, chosen) / 3**0.5)  # no scale at m = 9, r = 3
    assert verdict_of(claim["projection.coordinates.chosen"], file.Columns("largest", 9, 3), (0,)).outcome is Outcome.VIOLATED
    monkeypatch.setattr(file, "matrix", matrix)
    monkeypatch.setattr(file, "choices", lambda setting: choices(setting)[1:])
    for name, chosen in names.items():
        assert verdict_of(claim[f"projection.coordinates.{name}"], file.Columns(chosen, 5, 2), (0,)).outcome is not Outcome.ATTAINED


def test_what_the_claims_say_of_left_out_assumptions_fails_only_there(module, claim, verdict_of):
    """One column cannot repeat; entries of one magnitude make every choice the same."""
    file = module["projection_coordinates"]
    repeated, largest = (claim[f"projection.coordinates.{name}"] for name in ("repeated.as-distinct", "chosen.as-random"))
    assert verdict_of(repeated, file.Columns("repeated", 4, 1), (0,)).outcome is Outcome.ATTAINED
    assert verdict_of(repeated, file.Columns("repeated", 4, 2), (0,)).outcome is Outcome.VIOLATED
    assert verdict_of(largest, file.Columns("largest", 8, 2, "equal"), (0,)).outcome is Outcome.ATTAINED
    assert verdict_of(largest, file.Columns("largest", 8, 2), (0,)).outcome is Outcome.VIOLATED
