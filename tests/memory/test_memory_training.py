"""Forecast = meter, by category and at the peak: every shell, both families, tied and untied, and PyTorch's tracker as a third party.

The forecast is a sum over shapes, the meter counts storages and reads the allocator's record, and the tracker follows fake tensors.
"""

from itertools import product
from math import prod

import pytest
import torch

from sandbox.draws import generator
from sandbox.memory.forecasts import Shell, forecast
from sandbox.memory.tracked import tracked_peak
from sandbox.memory.training import Measured, measured
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build, shapes_of
from sandbox.models.llama import LlamaConfig
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.subzero import SubZero
from sandbox.oracles.two_point import TwoPoint
from sandbox.shells.fused import Fused
from sandbox.shells.in_place import InPlace
from sandbox.shells.stepwise import Stepwise
from sandbox.shells.subspace import Subspace

SGD = GradientDescent(0.1)
MANY_TOKENS = (dict(vocab=60, width=32, layers=3, heads=4, context=48), 2, 48)  # activations decide
LARGE_TABLE = (dict(vocab=600, width=32, layers=2, heads=4, context=8), 2, 4)  # weights decide
FRAMES = (GaLore, GoLore, I3S, GWT, RSO, SGC, SubZero)


def table(rule: Rule, config) -> dict[str, Rule] | Rule:
    """A frame for the matrices of the blocks and gradient descent for the rest; any other rule for all."""
    if not isinstance(rule, FRAMES):
        return rule
    return {name: rule if len(shape) == 2 and name.startswith("blocks.") else SGD for name, shape in shapes_of(config).items()}


def meter(config, rules, sequences: int, tokens: int, shell: Shell) -> Measured:
    def fresh():
        model = build(config, 0)
        if shell == "subspace":
            return model, Subspace(model, rules)
        if shell == "in place":
            return model, InPlace(model.named_parameters(), rules, TwoPoint())
        return model, {"stepwise": Stepwise, "fused": Fused}[shell](model.named_parameters(), rules)

    return measured(fresh, torch.randint(config.vocab, (sequences, tokens + 1), generator=generator(0)))


def differences(rule: Rule, sizes, *, family=GPTConfig, tied: bool = False, shell: Shell = "stepwise") -> dict[str, float]:
    """Forecast over meter, minus 1, of every category that the meter does not find empty; 0 / 0 counts as equal."""
    kw, sequences, tokens = sizes
    config = family(**kw, tied=tied)
    rules = table(rule, config)
    seen = meter(config, rules, sequences, tokens, shell)
    made = forecast(config, rules, sequences=sequences, tokens=tokens, shell=shell)
    pairs = {name: (getattr(made, name), value) for name, value in vars(seen).items()}
    return {name: ours / value - 1 if value else float(ours) for name, (ours, value) in pairs.items()}


EXACT = ("weights", "activations", "gradients", "state")


def assert_close(found: dict[str, float], temporaries: float) -> None:
    """Categories to the byte; the peak within the 2 % that are promised."""
    assert {name: found[name] for name in EXACT} == dict.fromkeys(EXACT, 0.0)
    assert abs(found["temporaries"]) <= temporaries and abs(found["peak"]) <= 0.02


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("family", [GPTConfig, LlamaConfig])
@pytest.mark.parametrize("sizes", [MANY_TOKENS, LARGE_TABLE], ids=["tokens", "table"])
@pytest.mark.parametrize("shell", ["stepwise", "fused", "in place"])
def test_forecast_is_the_meter_in_every_shell(shell, sizes, family, tied):
    """Momentum: its step has two tensors beside the state. 1 %: numbers of the size of a side, 0-dim tensors."""
    assert_close(differences(GradientDescent(0.1, momentum=0.9), sizes, family=family, tied=tied, shell=shell), 0.01)


@pytest.mark.parametrize("family", [GPTConfig, LlamaConfig])
@pytest.mark.parametrize("sizes", [MANY_TOKENS, LARGE_TABLE], ids=["tokens", "table"])
def test_forecast_is_the_meter_for_layers_of_rso(sizes, family):
    """The gradient, the state and the activations of coefficients; Adam, whose moments are of B alone. Rounds of one step."""
    assert_close(differences(RSO(Adam(0.1), 4, 1), sizes, family=family, tied=True, shell="subspace"), 0.003)


SMALLER = ("blocks.0.ffn.up.weight", "blocks.1.attention.query.weight", "blocks.1.ffn.down.weight")
GATED = ("blocks.0.ffn.gate.weight", "blocks.2.ffn.gate.weight")


@pytest.mark.parametrize(("family", "name"), [*product((GPTConfig, LlamaConfig), SMALLER), *product((LlamaConfig,), GATED)])
@pytest.mark.parametrize("shell", ["stepwise", "fused"])
def test_the_step_that_needs_most_may_be_of_a_smaller_tensor_in_any_block(shell, family, name):
    """Adam for one layer, gradient descent for a table that is larger than its weight, but smaller than its step."""
    config = family(vocab=60, width=32, layers=3, heads=4, context=8, ffn=48, tied=True)
    shapes = shapes_of(config)
    largest = max(prod(shape) for shape in shapes.values())
    assert prod(shapes[name]) < largest < 4 * prod(shapes[name])
    rules = {key: Adam(0.1) if key == name else SGD for key in shapes}
    seen = meter(config, rules, 2, 4, shell)
    made = forecast(config, rules, sequences=2, tokens=4, shell=shell)
    assert made.temporaries == pytest.approx(seen.temporaries, rel=0.002)  # 0-dim tensors
    assert made.peak == pytest.approx(seen.peak, rel=0.01)  # biases


SYSTEMS = {
    "SGD, LOMO": (SGD, "fused"),
    "Adam": (Adam(0.1), "stepwise"),
    "AdamW": (AdamW(0.1), "fused"),
    "AdaLomo": (AdaLomo(0.1), "fused"),
    "Adafactor": (Adafactor(0.1), "stepwise"),
    "CAME": (CAME(0.1), "stepwise"),
    "Adam-mini": (AdamMini(0.1), "stepwise"),
    "GaLore": (GaLore(Adam(0.1), 4), "stepwise"),
    "GoLore": (GoLore(Adam(0.1), 4), "stepwise"),
    "I3S": (I3S(Adam(0.1), 4), "fused"),
    "GWT": (GWT(Adam(0.1), 2), "stepwise"),
    "RSO": (RSO(Adam(0.1), 4, 200), "stepwise"),
    "MESGC": (SGC(Adam(0.1), 16, 64, chunks=16), "stepwise"),
    "SubZero": (SubZero(SGD, 4), "in place"),
    "ZO-Adam": (Adam(0.1), "in place"),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_forecast_is_the_meter_for_every_system(name):
    """Temporaries 0.2 %: 0-dim tensors; frames refresh in the first of the two steps (in every step: test_memory_refreshes.py)."""
    rule, shell = SYSTEMS[name]
    assert_close(differences(rule, LARGE_TABLE, shell=shell), 0.002 if isinstance(rule, FRAMES) else 0.02)


def test_every_moment_can_be_the_peak():
    """Otherwise a moment of the formula would be untested: what decides is named, and the sizes are those that should make it so."""
    many, large = MANY_TOKENS, LARGE_TABLE
    flat = (dict(vocab=4, width=32, layers=2, heads=1, context=8, ffn=512), 8, 8)
    words = (dict(vocab=900, width=8, layers=1, heads=1, context=16), 4, 16)
    cases = {
        "attention, last": (GPTConfig(**many[0] | dict(ffn=8)), *many[1:], "stepwise"),
        "feed-forward, last": (LlamaConfig(**flat[0]), *flat[1:], "stepwise"),
        "loss": (GPTConfig(**words[0]), *words[1:], "stepwise"),
        "step": (GPTConfig(**large[0], tied=False), *large[1:], "stepwise"),
        "embedding": (GPTConfig(**large[0], tied=True), *large[1:], "fused"),
        "head": (GPTConfig(**large[0], tied=False), *large[1:], "fused"),
        "forward": (GPTConfig(**many[0] | dict(layers=1, ffn=8)), 16, 48, "fused"),
    }
    for at, (config, sequences, tokens, shell) in cases.items():
        made = forecast(config, SGD, sequences=sequences, tokens=tokens, shell=shell)
        assert made.at == at
        assert made.peak == pytest.approx(meter(config, SGD, sequences, tokens, shell).peak, rel=0.02)


@pytest.mark.parametrize("family", [GPTConfig, LlamaConfig])
def test_the_tracker_of_torch_agrees_with_the_meter(family):
    """To the batch and a few numbers: fake tensors have the sizes of the real ones (0.1 %)."""
    config = family(vocab=200, width=32, layers=2, heads=4, context=16)

    def make(model):
        return torch.optim.AdamW(model.parameters(), foreach=False)

    batch = torch.randint(config.vocab, (2, 17), generator=generator(0))
    seen = measured(lambda: (lambda model: (model, make(model)))(build(config, 0)), batch)
    assert tracked_peak(config, make, sequences=2, tokens=16) == pytest.approx(seen.peak, rel=1e-3)


def test_layers_of_rso_must_be_alike():
    """A rank apart, a vector's rule in the place of a matrix's, or none compressed: no formula."""
    config = GPTConfig(vocab=5)
    rules = table(RSO(Adam(0.1), 4, 200), config)
    for changed in ({"blocks.0.ffn.up.weight": RSO(Adam(0.1), 3, 200)}, {"blocks.0.ffn.up.weight": SGD}):
        with pytest.raises(ValueError, match="needs one rank for all 12 matrices of the blocks and for them alone, got 1[12] compressed"):
            forecast(config, rules | changed, sequences=1, tokens=2, shell="subspace")


def test_narrow_numbers_have_no_forecast_of_moments():
    with pytest.raises(ValueError, match="known for 4 and 8 bytes a number, got 2: narrower dtypes make wide copies"):
        forecast(GPTConfig(vocab=5), SGD, sequences=1, tokens=2, element=2)
