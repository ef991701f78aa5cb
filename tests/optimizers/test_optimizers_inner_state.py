"""The table of directions against its definition, and every frame around every rule: it works, or says why not."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import advance, as_tensors, due
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.inner_state import DIRECTIONS, directions
from sandbox.optimizers.parameter_scale import scales_by_weight
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sign_descent import SignDescent

RULES = {
    "adam": Adam(0.1),
    "adamw": AdamW(0.1),
    "adam-mini": AdamMini(0.1),
    "adam-mini, two blocks": AdamMini(0.1, n_blocks=2),
    "adalomo": AdaLomo(0.1),
    "adalomo, unscaled": AdaLomo(0.1, parameter_scale="off"),
    "adafactor": Adafactor(0.1),
    "adafactor, averaging, unscaled": Adafactor(0.1, beta1=0.9, parameter_scale="off"),
    "came": CAME(0.1),
    "gradient descent": GradientDescent(0.1),
    "momentum": GradientDescent(0.1, momentum=0.9),
    "damped": GradientDescent(0.1, momentum=0.9, dampening=0.5),
    "nesterov": GradientDescent(0.1, momentum=0.9, nesterov="on"),
    "sign": SignDescent(0.1),
}
FRAMES = {
    "galore": lambda rule, how: GaLore(rule, rank=2, update_gap=2, on_refresh=how),
    "galore, both": lambda rule, how: GaLore(rule, rank=2, update_gap=2, on_refresh=how if how == "reset" else "keep", side="both"),
    "golore": lambda rule, how: GoLore(rule, rank=2, update_gap=2, on_refresh=how),
    "i3s": lambda rule, how: I3S(rule, rank=2, update_gap=2, on_refresh=how),
    "rso": lambda rule, how: RSO(rule, rank=2, update_gap=2, on_refresh=how),
    "gwt": lambda rule, how: GWT(rule, level=1),
    "gwt, clipped": lambda rule, how: GWT(rule, level=1, details="clipped"),
    "galore of gwt": lambda rule, how: GaLore(GWT(rule, level=1), rank=4, side=0, update_gap=2),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("how", ["keep", "reset", "rotate"])
@pytest.mark.parametrize("name", RULES)
def test_every_frame_holds_every_rule_or_says_why_not(name, how, frame):
    """Five steps, refreshes at 0, 2 and 4, on f(W) = |W|^2 / 2, which must fall; the sentences are tested beside the frames."""
    if frame == "rso" and scales_by_weight(RULES[name]):
        with pytest.raises(ValueError, match="RSO must not scale its step by its weight"):
            FRAMES[frame](RULES[name], how)
        return
    w, rule = normal((6, 8), generator(0)), FRAMES[frame](RULES[name], how)
    state, before = rule.init(w), w.square().sum()
    for k in range(5):
        draw = rule.draw(generator(1, k), (6, 8)) if due(rule, k) else None
        delta, state = advance(rule, w, state, w, k, draw)
        assert delta.shape == w.shape and delta.dtype == w.dtype and delta.isfinite().all()
        w = w + 0.1 * delta
    assert w.square().sum() < before


@pytest.mark.parametrize("name", RULES)
def test_directions_change_sign_with_the_gradient_and_nothing_else_does(name):
    """The definition; the weight is 0 so that no step looks at it."""
    rule, w = RULES[name], torch.zeros(6, 8, dtype=torch.float64)
    states = []
    for sign in (1, -1):
        state = rule.init(w)
        for k in range(3):
            _, state = rule.step(sign * normal((6, 8), generator(1, k)), state, w)
        states.append(state)
    named = directions(states[0])
    for field in states[0]._fields:
        x, y = (getattr(state, field) for state in states)
        if field in named:
            assert x.any() and torch.equal(x, -y)
        else:
            assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(leaves(x), leaves(y), strict=True))


@pytest.mark.parametrize("rule", [CAME(0.1), Adafactor(0.1, beta1=0.9, parameter_scale="off")], ids=str)
@pytest.mark.parametrize("frame", ["galore", "golore", "i3s", "rso"])
def test_a_moment_that_is_wider_than_the_weight_is_turned_as_it_is(rule, frame):
    """float32 moments beside a bfloat16 weight: P_new^T P_old m of the rounded bases, with the products of float32."""
    frame, w = FRAMES[frame](rule, "rotate"), normal((6, 8), generator(0)).bfloat16()
    side = 1 if isinstance(frame, RSO) else 0
    state = frame.init(w)
    for k in range(2):
        draw = frame.draw(generator(1, k), (6, 8)) if due(frame, k) else None
        _, state = advance(frame, w, state, w, k, draw)
    new = frame.refresh(-w.T.reshape(6, 8), state, w, frame.draw(generator(1, 2), (6, 8)))
    turning = new.P.double().T @ state.P.double() * (2 / 8 if side else 1)
    m = state.inner.m.double()
    assert m.any() and new.inner.m.dtype == torch.float32
    torch.testing.assert_close(new.inner.m.double(), m @ turning.T if side else turning @ m, rtol=0, atol=1e-6 * m.abs().max().item())


def leaves(x) -> list:
    return torch.utils._pytree.tree_leaves(x)


def test_every_row_of_the_table_is_met():
    assert {type(rule.init(torch.zeros(6, 8))) for rule in RULES.values()} == set(DIRECTIONS)


def test_a_state_without_a_row_is_refused_when_the_frame_meets_its_weight():
    """GWT keeps a size beside its inner state; which of its parts turn is not written down."""
    sentence = r"no row for GWTState with the fields before, inner; add one .*, or choose on_refresh \"keep\" or \"reset\""
    with pytest.raises(ValueError, match=sentence):
        GoLore(GWT(Adam(0.1)), rank=4).init(torch.ones(6, 8))


def test_a_partition_must_fit_the_coefficients():
    """GaLore on a wide weight hands on r rows, not m."""
    with pytest.raises(ValueError, match=r"n_blocks must divide .* got n_blocks 3 and shape \(2, 8\)"):
        GaLore(AdamMini(0.1, n_blocks=3), rank=2).init(torch.ones(6, 8))


@pytest.mark.parametrize("frame", FRAMES)
def test_a_step_compiles_as_one_graph(frame):
    """`refresh` stays outside. Numbers of the state are 0-dim tensors here; the kernels are the same, so the results differ by rounding."""
    if "gwt" in frame and torch.__version__ < "2.13":
        pytest.skip("torch 2.11's compiler does not follow copy.copy, by which GWT sets a field of its inner rule")
    rule, w, g = FRAMES[frame](AdamMini(0.1), "keep"), normal((6, 8), generator(0)), normal((6, 8), generator(2))
    state = rule.init(w)
    if due(rule, 0):
        state = rule.refresh(g, state, w, rule.draw(generator(1), (6, 8)))
    compiled = torch.compile(rule.step, fullgraph=True, dynamic=False, backend="aot_eager")
    torch.testing.assert_close(compiled(g, as_tensors(state), w)[0], rule.step(g, state, w)[0], rtol=0, atol=1e-14)
