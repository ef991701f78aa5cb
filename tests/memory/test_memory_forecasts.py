"""Formula against meter for every rule, and against the numbers that Adam-mini's authors publish."""

from dataclasses import dataclass, replace

import pytest
import torch

from sandbox.memory.architectures import (
    LLAMA_2_7B,
    LLAMA_2_13B,
    LLAMA_3_8B,
    TINYLLAMA_1_1B,
    adam_mini_blocks,
    entries,
    llama_shapes,
)
from sandbox.memory.forecasts import fused_forecast, state_forecast, state_of, stepwise_forecast
from sandbox.memory.meters import optimizer_bytes, state_bytes
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build, shapes_of
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.stepwise import Stepwise

ANY_SHAPE = (
    GradientDescent(lr=0.1),
    GradientDescent(lr=0.1, momentum=0.9),
    Adam(lr=0.1),
    AdamW(lr=0.1),
    AdamMini(lr=0.1, n_blocks=2),
    AdaLomo(lr=0.1),
    WeightDecay(Adam(lr=0.1), weight_decay=0.1),
)
MATRICES = (
    GaLore(Adam(lr=0.1), rank=2),
    GaLore(AdaLomo(lr=0.1), rank=3),
    RSO(AdamW(lr=0.1), rank=2, update_gap=5),
    RSO(GradientDescent(lr=0.1), rank=3, update_gap=5, side=0),
)
SHAPES = ((6, 4), (4, 10))
CASES = [(rule, shape) for rule in ANY_SHAPE for shape in (*SHAPES, (8,))]
CASES += [(rule, shape) for rule in MATRICES for shape in SHAPES]
CASES += [(AdaLomo(lr=0.1), (2, 3, 5))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize(("rule", "shape"), CASES, ids=lambda x: x if isinstance(x, str) else getattr(type(x), "__name__", ""))
def test_formula_is_the_meter_of_a_fresh_state(rule, shape, dtype):
    w = torch.zeros(shape, dtype=dtype)
    assert state_of(rule, shape, w.element_size()) == state_bytes(rule.init(w))


@pytest.mark.parametrize("rule", [rule for rule in ANY_SHAPE if not isinstance(rule, AdamMini)], ids=lambda r: type(r).__name__)
def test_formula_is_the_meter_of_a_shell_after_two_steps(rule):
    """A tiny transformer; a state that grew or kept a larger storage alive after a step would show here."""
    config = GPTConfig(vocab=7, width=8, layers=1, heads=2, context=4)
    model = build(config, 0)
    optimizer = Stepwise(model.named_parameters(), rule)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.arange(4)[None]).logsumexp(-1).sum().backward()
        optimizer.step()
    assert optimizer_bytes(optimizer) == state_forecast(shapes_of(config), rule)


@pytest.mark.parametrize("rule", MATRICES, ids=lambda r: type(r).__name__)
def test_formula_is_the_meter_of_a_frame_after_a_refresh(rule):
    """A basis that is a view of a whole orthogonal factor would cost more than its own entries."""
    w, g = torch.zeros(6, 4), torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    state = rule.refresh(g, rule.init(w), w, rule.draw(torch.Generator().manual_seed(1), (6, 4)))
    _, state = rule.step(g, state, w)
    assert state_of(rule, (6, 4)) == state_bytes(state)


def mini_rules(architecture) -> dict[str, AdamMini]:
    return {name: AdamMini(lr=1e-4, n_blocks=count) for name, count in adam_mini_blocks(architecture).items()}


@pytest.mark.parametrize(
    ("architecture", "adamw", "mini"),
    [
        (LLAMA_2_7B, 53.91, 26.96),
        (LLAMA_2_13B, 104.13, 52.07),
        (LLAMA_3_8B, 64.24, 32.13),
        (TINYLLAMA_1_1B, 8.80, 4.40),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_published_gigabytes(architecture, adamw, mini):
    """Adam-mini's figure for Llama-2-7B (53.92 and 26.96 printed) and the dossier's table; GB = 1e9 bytes, two decimals."""
    shapes = llama_shapes(architecture)
    assert state_forecast(shapes, AdamW(lr=1e-4)) / 1e9 == pytest.approx(adamw, abs=0.005)
    assert state_forecast(shapes, mini_rules(architecture)) / 1e9 == pytest.approx(mini, abs=0.005)


def test_seven_billion_parameters_measured_without_memory():
    """The same rules' real states on the meta device: formula = meter at full size, 16 GB that nobody allocates."""
    shapes, rules = llama_shapes(LLAMA_2_7B), mini_rules(LLAMA_2_7B)
    states = {name: rules[name].init(torch.empty(shape, device="meta")) for name, shape in shapes.items()}
    assert state_bytes(list(states.values())) == state_forecast(shapes, rules)
    kept = sum(rule.n_blocks for rule in rules.values())
    assert 1.16e6 <= kept < 1.17e6 and kept / entries(shapes) < 0.0002  # 0.017 % of v


def test_training_forecast_by_category():
    """Shapes (100, 8) and (8, 8) in bf16 with SGD: 1728 bytes of weights; gradients 1728 kept, 1600 freed, thrice or plus twice tied."""
    shapes, rule = {"table": (100, 8), "layer": (8, 8)}, GradientDescent(lr=0.1)
    kept, freed = (f(shapes, rule, element=2) for f in (stepwise_forecast, fused_forecast))
    assert (kept.weights, kept.gradients, kept.state, kept.total) == (1728, 1728, 0, 3456)
    assert (freed.weights, freed.gradients, freed.state) == (1728, 1600, 0)
    tied = [f(shapes, rule, element=2, tied=("table",)).gradients for f in (stepwise_forecast, fused_forecast)]
    assert tied == [1728 + 2 * 1600, 3 * 1600]
    assert fused_forecast(shapes, replace(rule, momentum=0.9), element=2).state == 1728


@dataclass(frozen=True)
class Stranger:
    """A rule that nobody has told the forecast about."""

    lr: float = 0.1

    def init(self, w):
        return ()

    def step(self, g, state, w):
        return -self.lr * g, state


def test_refusals():
    shapes = {"a": (2, 3)}
    with pytest.raises(ValueError, match=r"Stranger has none for shape \(2, 3\) at 4 bytes; register one with state_of.register"):
        state_forecast(shapes, Stranger())
    with pytest.raises(ValueError, match=r"tied tensors must be parameters, got \['b'\]; the parameters begin with \['a'\]"):
        fused_forecast(shapes, Adam(lr=0.1), tied=("b",))
    with pytest.raises(ValueError, match="1 without a rule"):
        state_forecast(shapes, {})
