"""The control of Adam-mini's cut: random blocks are what they say, each method cuts what it names, and a planted fault is seen."""

from dataclasses import replace

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.models.cuts import adam_mini
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import advance


@pytest.fixture(scope="module")
def control(module):
    return module["adam_mini_partition_control"]


def path(rule, gradients, draw=None):
    """The weight after each gradient, from a start of 0."""
    w = torch.zeros_like(gradients[0])
    state, seen = rule.init(w), []
    for k, g in enumerate(gradients):
        delta, state = advance(rule, g, state, w, k, draw)
        w = w + delta
        seen.append(w)
    return torch.stack(seen), state


def gradients(count=4, shape=(4, 6)):
    return [normal(shape, generator(0, k)) for k in range(count)]


def test_scattered_blocks_are_adam_mini_on_the_reordered_vector(control):
    rule, gs = AdamMini(0.1, (0.9, 0.99), n_blocks=4), gradients()
    draw = control.Scattered(rule).draw(generator(5), (4, 6))
    order = draw.argsort()
    wanted, _ = path(rule, [g.reshape(-1)[order] for g in gs])
    found, _ = path(control.Scattered(rule), gs, draw)
    assert torch.equal(found.reshape(4, -1)[:, order], wanted)
    plain, _ = path(rule, gs)
    assert (found - plain).abs().max() > 0.01  # the order matters: steps are of size 0.1


def test_scattered_entries_of_one_block_share_one_step_size(control):
    g = gradients(1)[0]
    rule = control.Scattered(AdamMini(0.1, (0.0, 0.0), eps=0.0, n_blocks=4))
    found, state = path(rule, [g], rule.draw(generator(7), (4, 6)))
    ratio = (found[0] / g).reshape(-1)[state.order].reshape(4, 6)
    assert ratio.std(dim=1).max() < 1e-15 * 10  # rounding of one quotient
    assert ratio[:, 0].unique().numel() == 4
    assert torch.equal(state.order[state.place], torch.arange(24))
    assert isinstance(state, control.ScatteredState)


def test_each_method_cuts_what_it_names(control):
    problem = control.problem_of(control.OURS)
    cuts = adam_mini(problem.roles, problem.shapes)
    changed = {
        method: {role.kind for n, role in problem.roles.items() if control.cut_of(method, role, problem.shapes[n], cuts[n]) != cuts[n]}
        for method in ("fan-out", "features", "by input", "whole", "random", "adam-mini")
    }
    assert changed["fan-out"] == {"value", "attention_out", "ffn_out"}
    assert changed["features"] == {"embedding", "head"}
    assert changed["by input"] == changed["whole"] == {*control.MATRICES, "embedding", "head"}
    assert changed["random"] == changed["adam-mini"] == set()
    rules = control.rules_of(control.Setting("random matrices"), problem.roles, problem.shapes)
    scattered = {problem.roles[name].kind for name, rule in rules.items() if isinstance(rule, control.Scattered)}
    assert scattered == set(control.MATRICES)


def test_norms_are_decayed_by_adamw_alone(control):
    problem = control.problem_of(control.OURS)
    for method, wanted in (("adamw", 0.1), ("adamw, norms undecayed", 0.0), ("adam-mini", 0.0)):
        rules = control.rules_of(control.Setting(method, lr=0.01), problem.roles, problem.shapes)
        assert {rules[n].weight_decay for n, role in problem.roles.items() if role.kind == "norm"} == {wanted}
        assert {rules[n].weight_decay for n, role in problem.roles.items() if role.kind != "norm"} == {0.1}


def test_every_random_cut_is_drawn_anew_for_a_seed_and_again_for_the_same(control):
    short = replace(control.Setting("random", lr=8e-3), steps=10)
    first, again = control.train(short, (1, 2)), control.train(short, (1, 2))
    assert first == again
    assert first[0]["loss_100"] != first[1]["loss_100"]


def test_a_learning_rate_that_is_far_too_large_is_seen_by_the_loss(control):
    good, bad = (control.train(control.Setting("adam-mini", lr=lr, steps=30), (3,))[0]["loss_100"] for lr in (8e-3, 8.0))
    assert bad > good + 0.5 or bad == float("inf")  # untrained is 4.2; 30 good steps reach about 2.6


def test_an_unknown_method_is_refused(control):
    problem = control.problem_of(control.OURS)
    with pytest.raises(ValueError, match="method must be one of"):
        control.rules_of(control.Setting("rows"), problem.roles, problem.shapes)


def test_both_sides_of_every_claim_get_the_same_budget(control):
    assert all(len(claim.plan.our_lrs) == len(claim.plan.their_lrs) == 6 and len(claim.plan.seeds) >= 12 for claim in control.CLAIMS)
