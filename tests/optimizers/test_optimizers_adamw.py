"""AdamW against torch.optim.AdamW (independent code)."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.weight_decay import WeightDecay


def test_matches_torch_over_fifty_steps(both_moved):
    settings = {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3}
    ours, theirs = both_moved(AdamW(**settings), lambda w: torch.optim.AdamW([w], **settings))
    # some ten roundings of 1e-16 per step
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-14)


def test_a_zero_gradient_leaves_the_decay_alone():
    w = normal((3, 2), generator(0))
    rule = AdamW(lr=0.1, weight_decay=0.2)
    delta, _ = rule.step(torch.zeros_like(w), rule.init(w), w)
    torch.testing.assert_close(delta, -0.02 * w, rtol=1e-15, atol=0)


def test_defaults_are_those_of_torch():
    theirs = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))]).defaults
    ours = AdamW(lr=theirs["lr"])
    assert (ours.betas, ours.eps, ours.weight_decay) == (theirs["betas"], theirs["eps"], theirs["weight_decay"])


def test_is_adam_inside_weight_decay():
    w, g = normal((3, 2), generator(0)), normal((3, 2), generator(1))
    together, apart = AdamW(lr=0.1, weight_decay=0.2), WeightDecay(Adam(lr=0.1), weight_decay=0.2)
    assert torch.equal(together.step(g, together.init(w), w)[0], apart.step(g, apart.init(w), w)[0])


def test_negative_decay_is_refused():
    with pytest.raises(ValueError, match="weight_decay of AdamW must be >= 0, got -0.1"):
        AdamW(lr=0.1, weight_decay=-0.1)
