"""Weight decay around frames: it acts on the weight itself, and hands the frame on unchanged."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import advance, due, with_fields
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay

FRAMES = (GaLore(Adam(lr=0.1), rank=2, update_gap=3), RSO(Adam(lr=0.1), rank=2, update_gap=3))
each_frame = pytest.mark.parametrize("frame", FRAMES, ids=lambda f: type(f).__name__)


@each_frame
def test_adds_minus_lr_wd_w_and_nothing_else(frame):
    w, wrapped = normal((5, 6), generator(0)), WeightDecay(frame, weight_decay=0.2)
    bare_state, state = frame.init(w), wrapped.init(w)
    for k in range(7):
        g, draw = normal((5, 6), generator(1, k)), frame.draw(generator(2, k), (5, 6))
        bare, bare_state = advance(frame, g, bare_state, w, k, draw)
        delta, state = advance(wrapped, g, state, w, k, draw)
        torch.testing.assert_close(delta, bare - 0.1 * 0.2 * w, rtol=0, atol=1e-16)
    assert [due(wrapped, k) for k in range(4)] == [True, False, False, True]


def test_a_plain_rule_never_refreshes():
    assert not due(WeightDecay(Adam(lr=0.1), weight_decay=0.2), 0)


@each_frame
def test_a_scheduled_learning_rate_reaches_the_decay(frame):
    w = normal((5, 6), generator(0))
    rule = with_fields(WeightDecay(frame, weight_decay=0.2), lr=0.3)
    delta, _ = rule.step(torch.zeros_like(w), rule.init(w), w)
    torch.testing.assert_close(delta, -0.3 * 0.2 * w, rtol=1e-14, atol=0)


def test_negative_decay_is_refused():
    with pytest.raises(ValueError, match="weight_decay of WeightDecay must be >= 0, got -1"):
        WeightDecay(Adam(lr=0.1), weight_decay=-1)
