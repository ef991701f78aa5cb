"""Adafactor against transformers' and torch's (independent codes), its relative steps, and its composition with frames and decay.

Gradients are given, or come from a small network that each side trains for itself. There a rounding at one step is carried on
by the later ones, so a run is allowed to differ from its peer by as much as one rounding of the start moves it, once for
each of the 50 steps.
"""

import pytest
import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor, AveragedState, rho
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.base import with_fields
from sandbox.optimizers.came import CAME
from sandbox.optimizers.parameter_scale import ParameterScale
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.stepwise import Stepwise

WHY = "a cross-check against transformers' Adafactor, which is not installed"
SHAPES = {"matrix": (7, 5), "vector": (7,), "scalar": (), "3-D": (2, 4, 3), "convolution": (3, 2, 3, 3)}
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
OUTSIDE = {"relative_step": False, "scale_parameter": True}
FORKS = {  # ours, theirs
    "relative step": (Adafactor(), {}),
    "relative step, no scale": (Adafactor(parameter_scale="off"), {"scale_parameter": False}),
    "warmup": (Adafactor(relative_step="warmup", weight_decay=0.1), {"warmup_init": True, "weight_decay": 0.1}),
    "scale": (Adafactor(0.02, weight_decay=0.1), {"lr": 0.02, "weight_decay": 0.1} | OUTSIDE),
    "as the Trainer has it": (Adafactor(2e-3, parameter_scale="off"), {"lr": 2e-3, "scale_parameter": False, "relative_step": False}),
    "averaged": (Adafactor(0.02, beta1=0.9, weight_decay=0.1), {"lr": 0.02, "beta1": 0.9, "weight_decay": 0.1} | OUTSIDE),
    "averaged, relative step": (Adafactor(beta1=0.0), {"beta1": 0.0}),
    "all other settings": (
        Adafactor(2e-3, eps=(1e-3, 2.0), clip_threshold=0.7, decay_rate=-0.5),
        {"lr": 2e-3, "eps": (1e-3, 2.0), "clip_threshold": 0.7, "decay_rate": -0.5} | OUTSIDE,
    ),
}


def moved(rule: Adafactor, shape: tuple[int, ...], *, dtype: torch.dtype, size: float = 1.0) -> Tensor:
    w = normal(shape, generator(0)).to(dtype)
    state = rule.init(w)
    for k in range(50):
        delta, state = rule.step((size * normal(shape, generator(1, k))).to(dtype), state, w)
        w = (w + delta).to(dtype)
    return w


def moved_by(optimizer: type, shape: tuple[int, ...], *, dtype: torch.dtype, size: float = 1.0, **settings) -> Tensor:
    w = nn.Parameter(normal(shape, generator(0)).to(dtype))
    reference = optimizer([w], **settings)
    for k in range(50):
        w.grad = (size * normal(shape, generator(1, k))).to(dtype)
        reference.step()
    return w.detach()


@each_shape
@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_is_transformers_adafactor_in_all_its_forks(shape, fork, dtype):
    theirs = pytest.importorskip("transformers.optimization", reason=WHY).Adafactor
    rule, settings = FORKS[fork]
    # some twenty roundings per step, none of them fed back
    tolerance = 50 * 20 * torch.finfo(dtype).eps
    expected = moved_by(theirs, shape, dtype=dtype, **settings)
    torch.testing.assert_close(moved(rule, shape, dtype=dtype), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_trains_a_network_as_transformers_adafactor_does(fork, dtype, assert_same_training):
    theirs = pytest.importorskip("transformers.optimization", reason=WHY).Adafactor
    rule, settings = FORKS[fork]
    assert_same_training(lambda named: Stepwise(named, rule), lambda named: theirs([w for _, w in named], **settings), dtype)


@each_shape
def test_is_torch_adafactor_with_the_decay_outside_and_the_cap_as_a_schedule(shape):
    """torch: rate min(lr, 1/sqrt(t)), which binds from t = 5 on at lr 0.5, and decay lr wd; eps1 = 1e-30 is idle there."""
    expected = moved_by(torch.optim.Adafactor, shape, dtype=torch.float64, lr=0.5, eps=(1e-30, 1e-3), weight_decay=0.02)
    w, rule = normal(shape, generator(0)), Adafactor(0.5)
    state = rule.init(w)
    for k in range(50):
        capped = with_fields(rule, lr=min(0.5, (k + 1) ** -0.5))
        delta, state = capped.step(normal(shape, generator(1, k)), state, w)
        w = w + delta - 0.5 * 0.02 * w  # the decay of WeightDecay(..., 0.02), by the lr that is not capped
    # some twenty roundings per step of numbers near 1; decay and step act on the same old weight here and there
    torch.testing.assert_close(w, expected, rtol=1e-12, atol=1e-13)


def test_decay_around_it_is_the_decay_of_torch():
    """Below the cap: 50 steps at lr 0.01, where 1/sqrt(t) > 0.14."""
    expected = moved_by(torch.optim.Adafactor, (7, 5), dtype=torch.float64, lr=0.01, eps=(1e-30, 1e-3), weight_decay=0.3)
    ours = moved(WeightDecay(Adafactor(0.01), weight_decay=0.3), (7, 5), dtype=torch.float64)
    torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape", [(7,), (7, 5)], ids=str)
def test_torch_differs_by_its_eps_which_is_a_floor_with_a_default_of_the_dtype(shape):
    """Pinned: of g = 1e-8 everywhere, torch's root of v is at least e = 1.2e-7, so its step is g / e = 0.084 of lr; ours is lr."""
    w, g, e = torch.ones(shape), torch.full(shape, 1e-8), torch.finfo(torch.float32).eps
    ours = Adafactor(0.01).step(g, Adafactor(0.01).init(w), w)[0]
    leaf = nn.Parameter(w.clone())
    leaf.grad = g
    torch.optim.Adafactor([leaf], lr=0.01).step()
    torch.testing.assert_close(ours, torch.full(shape, -0.01), rtol=1e-5, atol=0)
    torch.testing.assert_close(leaf.detach() - w, torch.full(shape, -0.01 * 1e-8 / e), rtol=0, atol=e)  # a difference of numbers near 1


@each_shape
@pytest.mark.parametrize("scale", ["weight", "off"])
def test_with_an_outside_learning_rate_it_is_adalomo_to_the_bit(shape, scale):
    settings = {"lr": 0.01, "weight_decay": 0.1, "parameter_scale": scale}
    ours, theirs = (moved(rule(**settings), shape, dtype=torch.float32) for rule in (Adafactor, AdaLomo))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("kind", "t", "expected"),
    [("plain", 1, 1e-2), ("plain", 10_000, 1e-2), ("plain", 40_000, 5e-3), ("warmup", 4, 4e-6), ("warmup", 40_000, 5e-3), ("off", 7, 1.0)],
)
def test_relative_step_sizes(kind, t, expected):
    """min(1e-2, 1/sqrt(t)) crosses over at 10^4, min(1e-6 t, 1/sqrt(t)) too; as numbers and as the tensors of an ensemble."""
    assert rho(float(t), kind) == pytest.approx(expected, rel=1e-15)
    assert float(rho(torch.tensor(float(t), dtype=torch.float64), kind)) == pytest.approx(expected, rel=1e-15)


def test_without_a_learning_rate_the_step_is_the_paper_s_and_a_schedule_multiplies_it():
    rule = Adafactor()
    assert rule == Adafactor(lr=1.0, relative_step="plain") and learning_rate(rule) == 1.0
    assert Adafactor(lr=1.0) == Adafactor(lr=1.0, relative_step="off") != rule
    assert Adafactor(relative_step="warmup").lr == 1.0
    w, g = normal((4, 3), generator(0)), normal((4, 3), generator(1))
    whole, _ = rule.step(g, rule.init(w), w)
    torch.testing.assert_close(whole, Adafactor(lr=1e-2).step(g, rule.init(w), w)[0], rtol=1e-15, atol=0)
    leaf = nn.Parameter(w.clone())
    optimizer = Stepwise([("w", leaf)], rule)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 0.5)
    leaf.grad = g
    optimizer.step()
    torch.testing.assert_close(leaf.detach() - w, 0.5 * whole, rtol=1e-12, atol=0)  # a difference of numbers near 1, of 1e-3


def test_beta1_averages_steps_that_are_scaled_already():
    """Pinned against ParameterScale, which multiplies the average by the size of the moment; equal while the size is."""
    w, g = normal((4, 3), generator(0)), normal((4, 3), generator(1))
    inside, around = Adafactor(0.1, beta1=0.5), ParameterScale(Adafactor(0.1, beta1=0.5, parameter_scale="off"))
    delta, state = inside.step(g, inside.init(w), w)
    other, other_state = around.step(g, around.init(w), w)
    torch.testing.assert_close(delta, other, rtol=1e-14, atol=0)
    delta, _ = inside.step(0 * g, state, 3 * w)
    other, _ = around.step(0 * g, other_state, 3 * w)
    torch.testing.assert_close(3 * delta, other, rtol=1e-14, atol=0)


def test_whether_the_steps_are_averaged_is_decided_by_init():
    w = torch.ones(4, 3)
    assert isinstance(Adafactor(0.1, beta1=0.0).init(w), AveragedState) and not isinstance(Adafactor(0.1).init(w), AveragedState)


@each_shape
@pytest.mark.parametrize("beta1", [None, 0.9])
def test_a_zero_gradient_moves_nothing_at_the_start_and_stays_finite(shape, beta1):
    w, rule = normal(shape, generator(0)), Adafactor(0.1, beta1=beta1)
    delta, state = rule.step(torch.zeros_like(w), rule.init(w), w)
    assert not delta.any()
    delta, _ = rule.step(torch.ones_like(w), state, w)
    assert delta.isfinite().all() and (delta < 0).all()


def test_a_row_without_gradient_stays_and_disturbs_no_other():
    """Its q is eps1 alone; r_i c_j of the others is that of the matrix without it, as c and mean(r) shrink alike."""
    w, g = normal((5, 4), generator(0)), normal((5, 4), generator(1))
    g[2] = 0.0
    rule, rows = Adafactor(0.1, clip_threshold=1e9, parameter_scale="off"), [0, 1, 3, 4]
    delta, _ = rule.step(g, rule.init(w), w)
    assert not delta[2].any()
    torch.testing.assert_close(delta[rows], rule.step(g[rows], rule.init(w[rows]), w[rows])[0], rtol=1e-13, atol=0)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)], ids=str)
def test_an_empty_tensor_has_an_empty_step(shape):
    w, rule = torch.zeros(shape), Adafactor(0.1, beta1=0.9)
    assert rule.step(w, rule.init(w), w)[0].shape == shape


def test_more_than_two_dimensions_are_factored_over_the_last_two():
    """Without clip and scale, the leading indices do not meet."""
    w, g = normal((2, 4, 3), generator(0)), normal((2, 4, 3), generator(1))
    rule = Adafactor(0.1, clip_threshold=1e9, parameter_scale="off")
    delta, state = rule.step(g, rule.init(w), w)
    assert (state.r.shape, state.c.shape) == ((2, 4), (2, 3))
    for i in range(2):
        torch.testing.assert_close(delta[i], rule.step(g[i], rule.init(w[i]), w[i])[0], rtol=1e-14, atol=0)


def test_state_of_a_bfloat16_weight_is_float32():
    w = torch.ones(4, 3, dtype=torch.bfloat16)
    rule = Adafactor(0.1, beta1=0.9)
    delta, state = rule.step(w, rule.init(w), w)
    assert (state.m.dtype, state.moment.r.dtype, state.moment.c.dtype, delta.dtype) == (torch.float32,) * 4


def test_defaults_are_those_of_transformers():
    theirs = pytest.importorskip("transformers.optimization", reason=WHY).Adafactor([nn.Parameter(torch.ones(2))]).defaults
    shared = ("eps", "clip_threshold", "decay_rate", "beta1", "weight_decay")
    assert {name: getattr(Adafactor(), name) for name in shared} == {name: theirs[name] for name in shared}


REFUSED = [
    ({"lr": -0.1}, "lr of Adafactor must be >= 0, got -0.1"),
    ({"lr": 0.1, "eps": (-1e-30, 1e-3)}, r"Adafactor needs eps >= 0, .* got eps \(-1e-30"),
    ({"lr": 0.1, "clip_threshold": 0.0}, "Adafactor needs .* clip_threshold 0.0"),
    ({"lr": 0.1, "beta1": 1.0}, r"beta1 of Adafactor must lie in \[0, 1\), got 1.0; None keeps no average"),
    ({"lr": 0.1, "parameter_scale": True}, r'parameter_scale of Adafactor must be "weight" .* or "off", got True'),
    ({"relative_step": "off"}, r'relative_step of Adafactor must be "plain" or "warmup" without an lr, got \'off\'; give an lr'),
    ({"lr": 0.1, "relative_step": "linear"}, r'relative_step of Adafactor must be "plain", "warmup" or "off", got \'linear\''),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Adafactor(**settings)


@pytest.mark.parametrize("rule", [AdaLomo(0.05), Adafactor(0.05), CAME(0.01)], ids=lambda rule: type(rule).__name__)
def test_rows_without_gradient_beside_large_ones_stay_finite(rule):
    """Unused tokens under a loss scale: mean(r) / r_i is 1e10 / 1e-30, beyond float32; those rows must not move at all."""
    w, g = torch.ones(12, 4), torch.zeros(12, 4)
    g[0] = 1e6
    delta, _ = rule.step(g, rule.init(w), w)
    assert delta.isfinite().all() and delta[0].all() and not delta[1:].any()
