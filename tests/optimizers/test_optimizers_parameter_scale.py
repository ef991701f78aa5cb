"""Parameter scale around rules and frames: it acts on the weight itself, hands the frame on, and is never applied twice."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import advance, due, with_fields
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.parameter_scale import ParameterScale, levels, scales_by_weight, size
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.weight_decay import WeightDecay

UNSCALED = AdaLomo(lr=0.1, parameter_scale="off")
FRAMES = (GaLore(Adam(lr=0.1), rank=2, update_gap=3), RSO(UNSCALED, rank=2, update_gap=3))
each_frame = pytest.mark.parametrize("frame", FRAMES, ids=lambda f: type(f).__name__)


def test_size_is_the_rms_above_eps_and_eps_below():
    assert size(torch.tensor([3.0, 4.0, 0.0, 0.0]), 1e-3) == 2.5
    assert size(torch.zeros(4), 1e-3) == torch.tensor(1e-3)
    assert size(torch.tensor(-2.0), 1e-3) == 2.0  # a scalar has the size of its magnitude
    assert size(torch.full((8,), 300.0, dtype=torch.bfloat16), 1e-3).dtype == torch.float32


@each_frame
def test_multiplies_the_step_of_the_weight_and_nothing_else(frame):
    w, wrapped = normal((5, 6), generator(0)), ParameterScale(frame)
    bare_state, state = frame.init(w), wrapped.init(w)
    for k in range(7):
        g, draw = normal((5, 6), generator(1, k)), frame.draw(generator(2, k), (5, 6))
        bare, bare_state = advance(frame, g, bare_state, w, k, draw)
        delta, state = advance(wrapped, g, state, w, k, draw)
        # one product and one root more
        torch.testing.assert_close(delta, bare * w.square().mean().sqrt(), rtol=1e-14, atol=0)
        w = w + delta
    assert [due(wrapped, k) for k in range(4)] == [True, False, False, True]


def test_below_eps_the_size_of_the_weight_drops_out():
    w, g = 1e-9 * normal((5, 6), generator(0)), normal((5, 6), generator(1))
    for eps in (1e-3, 0.5):
        delta, _ = ParameterScale(GradientDescent(lr=0.1), eps).step(g, GradientDescent(lr=0.1).init(w), w)
        torch.testing.assert_close(delta, -0.1 * eps * g, rtol=1e-14, atol=0)


@pytest.mark.parametrize("shape", [(7, 5), (7,), (), (2, 4, 3)], ids=str)
def test_around_the_unscaled_rule_is_adalomo_with_its_decay_inside(shape):
    """lr s wd, because the inner decay is scaled as well; other than lr, s the same factor comes in at another place."""
    ours = theirs = normal(shape, generator(0))
    scaled = ParameterScale(AdaLomo(lr=0.1, weight_decay=0.3, parameter_scale="off"))
    rule = AdaLomo(lr=0.1, weight_decay=0.3)
    mine, state = scaled.init(ours), rule.init(theirs)
    for k in range(20):
        g = normal(shape, generator(1, k))
        delta, mine = scaled.step(g, mine, ours)
        ours = ours + delta
        delta, state = rule.step(g, state, theirs)
        theirs = theirs + delta
    torch.testing.assert_close(ours, theirs, rtol=0, atol=20 * 1e-15)  # a few roundings of numbers near 1 per step


def test_the_default_eps_is_that_of_adalomo_and_adafactor():
    """Seen on a weight of zeros, whose step is eps lr u with u = sign(g) at first."""
    w, g = torch.zeros(5, dtype=torch.float64), normal((5,), generator(1))
    for rule in (ParameterScale(UNSCALED), AdaLomo(lr=0.1), Adafactor(lr=0.1)):
        torch.testing.assert_close(rule.step(g, rule.init(w), w)[0], -0.1 * 1e-3 * g.sign(), rtol=1e-14, atol=0)


def test_decay_outside_is_not_scaled():
    w, rule = 5.0 * normal((5, 6), generator(0)), WeightDecay(ParameterScale(UNSCALED), weight_decay=0.3)
    delta, _ = rule.step(torch.zeros_like(w), rule.init(w), w)
    torch.testing.assert_close(delta, -0.1 * 0.3 * w, rtol=1e-14, atol=0)


def test_inside_random_subspaces_the_step_keeps_its_size_where_a_scaled_inner_rule_stands_still():
    """B = 0 after a refresh, so a rule relative to B moves eps2 = 1e-3 of lr; around the frame it is RMS(W) = 1 of it."""
    w, g = torch.ones(6, 8, dtype=torch.float64), normal((6, 8), generator(1))
    frame = RSO(UNSCALED, rank=2, update_gap=3)
    draw = frame.draw(generator(2), (6, 8))
    right, _ = advance(ParameterScale(frame), g, frame.init(w), w, 0, draw)
    state = frame.refresh(g, frame.init(w), w, draw)
    coefficients, _ = AdaLomo(lr=0.1).step(g @ state.P, state.inner, state.B)
    torch.testing.assert_close(coefficients @ state.P.T, 1e-3 * right, rtol=1e-13, atol=0)


SCALING = {
    "adalomo": (AdaLomo(lr=0.1), True),
    "adafactor": (Adafactor(lr=0.1), True),
    "adafactor, relative step": (Adafactor(), True),
    "the wrapper": (ParameterScale(Adam(lr=0.1)), True),
    "inside a decay": (WeightDecay(AdaLomo(lr=0.1), weight_decay=0.1), True),
    "inside a frame": (GaLore(Adafactor(lr=0.1), rank=2), True),
    "adalomo, off": (UNSCALED, False),
    "adafactor, off": (Adafactor(lr=0.1, parameter_scale="off"), False),
    "adam": (Adam(lr=0.1), False),
    "a decay of adam": (WeightDecay(AdamW(lr=0.1), weight_decay=0.1), False),
}


@pytest.mark.parametrize("name", SCALING)
def test_a_rule_that_scales_by_its_weight_is_known_and_not_scaled_twice(name):
    rule, scales = SCALING[name]
    assert scales_by_weight(rule) is scales
    if scales:
        with pytest.raises(
            ValueError, match='must not scale its step by its weight, got .*; give the innermost rule parameter_scale="off"'
        ):
            ParameterScale(rule)
    else:
        assert scales_by_weight(ParameterScale(rule))


def test_levels_go_from_the_outside_in():
    frame = FRAMES[1]
    assert levels(WeightDecay(frame, weight_decay=0.1))[1:] == [frame, UNSCALED]


def test_a_proximal_term_inside_is_refused():
    """B counts unscaled steps while W - W_0 is scaled, so B / eta would belong to another eta."""
    with pytest.raises(ValueError, match=r"RSO inside ParameterScale needs eta=None, got eta 0.5: its coefficients count unscaled steps"):
        ParameterScale(WeightDecay(RSO(UNSCALED, rank=2, update_gap=3, eta=0.5), weight_decay=0.1))


def test_settings_reach_the_level_that_has_them():
    rule = with_fields(ParameterScale(FRAMES[0]), lr=0.3, eps=0.25)
    assert (learning_rate(rule), rule.eps, rule.inner.inner.eps) == (0.3, 0.25, 1e-8)


def test_negative_eps_is_refused():
    with pytest.raises(ValueError, match="eps of ParameterScale must be >= 0, got -1"):
        ParameterScale(Adam(lr=0.1), eps=-1)
