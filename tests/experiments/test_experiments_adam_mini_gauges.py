"""Gauges leave the function alone, wrong ones do not, and a rule that breaks one is seen."""

import pytest
import torch

from sandbox.draws import generator
from sandbox.problems.rotations import haar


@pytest.fixture(scope="module")
def gauges(module):
    return module["adam_mini_gauges"]


@pytest.mark.parametrize("gauge", ["heads", "value"])
def test_a_gauge_leaves_the_loss_alone_and_moves_the_weights(gauges, gauge):
    problem, turn = gauges.transformer(), gauges.turn_of(gauges.Setting(gauge, "adam-mini"), 5)
    start, batch = problem.start(0), problem.batch(0, 0)
    turned = turn(start)
    assert torch.allclose(problem.loss(start, batch), problem.loss(turned, batch), rtol=1e-13)  # rounding
    assert sum(not torch.equal(start[name], turned[name]) for name in start) == 2


def test_a_rotation_that_mixes_heads_is_no_gauge(gauges):
    """The planted fault."""
    problem = gauges.transformer()
    start, batch, R = problem.start(0), problem.batch(0, 0), haar(16, generator(1))
    names = [f"blocks.0.attention.{name}.weight" for name in ("query", "key")]
    large = {name: w * 30 if name in names else w for name, w in start.items()}  # attention that decides something
    mixed = large | {name: R @ large[name] for name in names}
    assert abs(problem.loss(large, batch) - problem.loss(mixed, batch)) > 1e-4


def test_turned_inputs_are_a_gauge_of_the_first_layer(gauges):
    R = haar(12, generator(0, 3))
    plain, turned = gauges.Regression(torch.eye(12, dtype=torch.float64)), gauges.Regression(R)
    turn = gauges.turn_of(gauges.Setting("inputs", "adam-mini"), 0)
    start = plain.start(0)
    assert torch.allclose(plain.loss(start, plain.batch(0, 0)), turned.loss(turn(start), turned.batch(0, 0)), rtol=1e-13)
    assert not torch.allclose(plain.loss(start, plain.batch(0, 0)), turned.loss(start, turned.batch(0, 0)), rtol=1e-3)


def test_only_the_asked_tensor_is_cut_by_head_and_three_biases_rest(gauges):
    problem = gauges.transformer()
    rows, heads = (gauges.rules_of(gauges.Setting("value", "adam-mini", cut), problem) for cut in ("row", "head"))
    assert [name for name in rows if rows[name] != heads[name]] == ["blocks.0.attention.value.weight"]
    assert heads["blocks.0.attention.value.weight"].n_blocks == 4
    assert sorted(name for name, rule in rows.items() if rule.lr == 0.0) == [
        f"blocks.0.attention.{name}.bias" for name in ("key", "query", "value")
    ]


def test_a_bias_with_adam_breaks_the_gauge(gauges, monkeypatch):
    """The planted fault of the rules: nothing rests."""
    setting = gauges.Setting("value", "adam-mini", "head", steps=3)
    right = gauges.defect(setting, 0)["defect"]
    monkeypatch.setattr(gauges, "GradientDescent", lambda lr: gauges.AdamMini(gauges.LR, gauges.BETAS, n_blocks=16))
    assert right < 1e-12 < 1e-3 < gauges.defect(setting, 0)["defect"]
