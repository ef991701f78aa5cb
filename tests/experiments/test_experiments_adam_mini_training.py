"""Leave-one-out and trajectories: who gets which rule, and what the measures say where the answer is known."""

from dataclasses import replace

import pytest
import torch

from sandbox.measures import leave_one_out
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.gradient_descent import GradientDescent


@pytest.fixture(scope="module")
def leave():
    """What both files measure, without decay of the tensor that is left out and with it."""
    return leave_one_out


@pytest.fixture(scope="module")
def path(module):
    return module["adam_mini_trajectory"]


@pytest.mark.parametrize(("kind", "count"), [("query", 1), ("ffn_gate", 1), ("embedding", 1), ("head", 1), ("norm", 5), ("", 0)])
def test_only_the_tensor_that_is_left_out_loses_adam(leave, kind, count):
    problem = leave.problem_of(leave.Setting())
    rules = leave.rules_of(leave.Setting(kind, lr=0.5), problem.roles)
    plain = [name for name, rule in rules.items() if isinstance(rule, GradientDescent)]
    assert len(plain) == count and len(rules) == len(problem.roles)
    assert {problem.roles[name].kind for name in plain} <= {kind}
    assert all(rules[name].lr == 0.5 for name in plain)
    rest = {rule.lr for rule in rules.values() if isinstance(rule, AdamW)}
    assert rest == {leave.ADAM_LR if kind else 0.5}


@pytest.mark.parametrize("lr", [0.04, 10.24])
def test_a_tensor_without_a_gradient_decays_as_under_adamw_whatever_its_rate(leave, lr):
    """... and without decay it stays; after one step at the top of the schedule."""
    w, setting = torch.ones(3), leave.Setting("norm", lr=lr)
    alone, adam = leave.decayed(setting), AdamW(leave.ADAM_LR, leave.BETAS, weight_decay=leave.DECAY)
    found, wanted, none = (rule.step(0 * w, rule.init(w), w)[0] for rule in (alone, adam, leave.undecayed(setting)))
    assert torch.allclose(found, wanted, rtol=1e-6)  # rounding of float32
    assert not none.any() and wanted[0] == pytest.approx(-8e-4)


def test_what_is_left_out_decays_where_it_should(leave, module):
    problem, setting = leave.problem_of(leave.Setting()), leave.Setting("norm", lr=0.5)
    for alone in (leave.undecayed, leave.decayed):
        rules = leave.rules_of(setting, problem.roles, alone)
        assert {rules[name] for name, role in problem.roles.items() if role.kind == "norm"} == {alone(setting)}
    claims = {name: module[name].CLAIMS[0] for name in ("adam_mini_leave_one_out", "adam_mini_leave_one_out_decay")}
    assert [one.measure for one in claims.values()] == [leave.train, leave.train_decayed]


def test_decay_is_seen_in_the_loss(leave):
    """The planted fault: decay 300 times AdamW's (rate 0.64 with a decay meant for the rate 0.64 / 300) shrinks the norms to nothing."""
    short = replace(leave.Setting("norm", lr=0.16), steps=60)
    plain, right, wrong = (
        leave.train(short, (1,), alone)[0]["loss_100"]
        for alone in (leave.undecayed, leave.decayed, lambda s: replace(leave.decayed(s), weight_decay=300 * leave.decayed(s).weight_decay))
    )
    assert plain != right
    assert wrong > right + 0.1  # 60 steps of 0.24: gains are gone, and with them all that the model says


def test_a_kind_that_the_model_lacks_is_refused(leave):
    problem = leave.problem_of(leave.Setting())
    with pytest.raises(ValueError, match="left must be a kind of the model"):
        leave.rules_of(leave.Setting("router", lr=0.5), problem.roles)


def test_a_rate_of_zero_on_the_head_is_seen_in_the_loss(leave):
    """The planted fault: a head that never moves."""
    short = replace(leave.Setting(), steps=60)
    frozen, adam = (leave.train(s, (1,))[0]["loss_100"] for s in (replace(short, left="head", lr=0.0), replace(short, lr=8e-3)))
    assert frozen > adam + 0.1  # untrained is 4.2; a head at its start can tell the frequencies of characters only by the stream


def test_distances_are_relative_to_the_way_of_adam(path):
    end, start = torch.tensor([3.0, 4.0]), torch.zeros(2)
    assert path.away(end, end, start) == 0.0
    assert path.away(start, end, start) == 1.0
    assert path.away(torch.tensor([3.0, 14.0]), end, start) == 2.0


def test_one_step_of_adam_mini_is_as_far_from_adam_as_the_closed_form_says(path):
    """After one step both have moved by lr sqrt(d) per block; Adam's entries all by lr, so away^2 = 2 - 2 mean cosine over blocks."""
    setting = path.Setting(steps=1, lr=1e-3)
    row = path.measure(setting, (3,))[0]
    problem = path.problem_of(setting)
    params = {name: w.requires_grad_() for name, w in problem.start(3).items()}
    slopes = torch.autograd.grad(problem.loss(params, problem.batch(3, 0)), list(params.values()))
    cuts = path.adam_mini(problem.roles, problem.shapes)
    dots, n = 0.0, 0
    for g, cut in zip(slopes, (cuts[name] for name in params), strict=True):
        rows = g.detach().double().reshape(cut.count, -1)
        rms = rows.square().mean(1, keepdim=True).sqrt()
        dots, n = dots + float((rows.abs() / rms.clamp(min=1e-30)).sum()), n + g.numel()
    still = sum(int((g == 0).sum()) for g in slopes)  # characters that the batch lacks: nobody moves them
    wanted = (((n - still) + n - _idle(slopes, cuts, params) - 2 * dots) / (n - still)) ** 0.5
    assert row["adam-mini"] == pytest.approx(wanted, rel=2e-3)  # float32 weights near 1 under steps of 1e-3: 1e-4 of a step, and eps


def _idle(slopes, cuts, params) -> int:
    """Entries of blocks whose gradient is 0."""
    blocks = [g.detach().reshape(cuts[name].count, -1) for name, g in zip(params, slopes, strict=True)]
    return sum(int((rows == 0).all(1).sum()) * rows.shape[1] for rows in blocks)


def test_other_order_shares_the_start_and_not_the_batches(path):
    problem = path.problem_of(path.Setting())
    other = path.OtherOrder(problem)
    assert all(torch.equal(other.start(3)[name], w) for name, w in problem.start(3).items())
    assert not torch.equal(other.batch(3, 0), problem.batch(3, 0))
