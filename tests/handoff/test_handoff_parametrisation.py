"""Width factors of initial weights and learning rates: the table, the algebra behind it, and what a model does with them."""

import math

import pytest
import torch

from sandbox.handoff.parametrisation import (
    CONSTANT,
    EXPONENTS,
    HIDDEN,
    Parametrisation,
    Parametrised,
    at_width,
    exponents,
    init_factor,
    lr_factor,
    rule_class,
)
from sandbox.models.language import LanguageProblem
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import BytePairs
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.weight_decay import WeightDecay

MU, STANDARD = Parametrisation("mu", 64), Parametrisation("standard", 64)
CLASSES = {
    "adam": (
        Adam(1.0),
        AdamW(1.0),
        AdamMini(1.0),
        CAME(1.0),
        RSO(Adam(1.0), 4, 9),
        WeightDecay(RSO(AdamW(1.0), 4, 9), 0.1),
        GWT(Adam(1.0)),
    ),
    "parameter-scaled": (AdaLomo(1.0), WeightDecay(AdaLomo(1.0), 0.1)),
    "low-rank": (GaLore(Adam(1.0), 4), WeightDecay(GaLore(Adam(1.0), 4), 0.1)),
}
UNKNOWN = (
    GradientDescent(1.0),
    Adafactor(1.0),
    GoLore(Adam(1.0), 4),
    GaLore(AdaLomo(1.0, parameter_scale="off"), 4),
    AdaLomo(1.0, parameter_scale="off"),
)


def problem(width: int, init: str = "lecun") -> LanguageProblem:
    return LanguageProblem(LlamaConfig(256, width=width, heads=width // 16, context=8, init=init), tokenizer=BytePairs(256))


@pytest.mark.parametrize("name", CLASSES)
def test_the_class_of_every_swept_method(name):
    assert {rule_class(rule) for rule in CLASSES[name]} == {name}


@pytest.mark.parametrize("rule", UNKNOWN, ids=lambda rule: type(rule).__name__)
def test_what_nobody_swept_has_no_rule(rule):
    with pytest.raises(ValueError, match="no rule"):
        rule_class(rule)


@pytest.mark.parametrize("kind", ["convolution", "experts_in", "router", "lora_a"])
def test_kinds_that_nobody_swept_have_no_rule(kind):
    with pytest.raises(ValueError, match="no rule"):
        lr_factor(kind, 128, MU, "adam")
    with pytest.raises(ValueError, match="no rule"):
        init_factor(kind, 128, MU)


def test_a_head_in_a_low_rank_frame_has_no_rule():
    with pytest.raises(ValueError, match="no rule"):
        lr_factor("head", 128, MU, "low-rank")


def test_at_the_base_width_both_are_the_same():
    for kind in (*HIDDEN, *CONSTANT):
        assert lr_factor(kind, 64, MU, "adam") == init_factor(kind, 64, MU) == init_factor(kind, 64, MU, law="lecun") == 1.0


def test_standard_has_no_factors():
    for kind in ("query", "head", "embedding", "norm"):
        assert lr_factor(kind, 1024, STANDARD, "adam") == init_factor(kind, 1024, STANDARD) == 1.0


def test_four_times_the_width():
    """Adam's hidden rates a quarter; AdaLomo's half, its head as it is; tables and gains as they are for all."""
    assert lr_factor("ffn_out", 256, MU, "adam") == lr_factor("head", 256, MU, "adam") == 0.25
    assert lr_factor("query", 256, MU, "parameter-scaled") == lr_factor("query", 256, MU, "low-rank") == 0.5
    assert lr_factor("head", 256, MU, "parameter-scaled") == 1.0
    assert {lr_factor(kind, 256, MU, name) for kind in CONSTANT for name in EXPONENTS} == {1.0}
    assert init_factor("value", 256, MU) == 0.5 and init_factor("head", 256, MU) == 0.25 and init_factor("embedding", 256, MU) == 1.0


@pytest.mark.parametrize("init", ["normal", "lecun"])
def test_standard_deviations_of_a_model_follow_the_width(init):
    """Hidden like n^-1/2, head like 1/n, table constant, by the drawn numbers themselves: 3 standard errors of a deviation over
    4,000 entries and more are 3 / sqrt(2 * 4000) = 3.4 %; of a ratio of two 5 %."""
    found = {}
    for width in (64, 256):
        start = Parametrised(problem(width, init), MU).start(0)
        kinds = {name: role.kind for name, role in problem(width, init).roles.items()}
        found[width] = {kinds[name]: float(w.std()) for name, w in start.items() if w.ndim == 2}
    for kind, exponent in (("query", -0.5), ("ffn_in", -0.5), ("ffn_out", -0.5), ("head", -1.0), ("embedding", 0.0)):
        assert found[256][kind] / found[64][kind] == pytest.approx(4**exponent, rel=0.05)


def test_the_wrapped_start_differs_by_factors_alone():
    inner = problem(128)
    wrapped = Parametrised(inner, MU)
    plain, start = inner.start(3), wrapped.start(3)
    for name, factor in wrapped.factors.items():
        assert torch.equal(start[name], plain[name] * factor)
    assert torch.equal(wrapped.batch(3, 1), inner.batch(3, 1))
    assert wrapped.loss(start, wrapped.batch(3, 1)) == inner.loss(start, inner.batch(3, 1))
    assert wrapped.held_out(start) == inner.held_out(start)


def test_rules_get_the_rate_of_their_tensor():
    model = problem(128)
    rules = at_width(dict.fromkeys(model.roles, WeightDecay(AdamW(0.1), 0.0)), model.roles, 128, MU)
    for name, role in model.roles.items():
        assert learning_rate(rules[name]) == (0.05 if role.kind in HIDDEN or role.kind == "head" else 0.1)
        assert isinstance(rules[name], WeightDecay)
    same = dict.fromkeys(model.roles, GradientDescent(0.1))
    assert at_width(same, model.roles, 128, STANDARD) == same  # which asks for no class


def test_exponents_for_a_card():
    model = problem(64)
    rules = {name: GaLore(Adam(0.1), 4) if role.kind in HIDDEN else Adam(0.1) for name, role in model.roles.items()}
    found = exponents(rules, model.roles, MU)
    assert found["query"] == -0.5 and found["head"] == -1.0 and found["embedding"] == found["norm"] == 0.0
    assert set(exponents(rules, model.roles, STANDARD).values()) == {0.0}


def test_a_step_moves_outputs_alike_at_all_widths():
    """What the exponents are for, of a hidden matrix and of the head: entries of size lr s, aligned with an input of n entries of size 1,
    move an output by n lr s, with s = 1 for Adam and the deviation of the weights for AdaLomo."""
    for width in (64, 256, 4096):
        adam = {kind: width * lr_factor(kind, width, MU, "adam") for kind in ("query", "head")}
        scaled = {kind: width * lr_factor(kind, width, MU, "parameter-scaled") * init_factor(kind, width, MU) for kind in ("query", "head")}
        assert adam == pytest.approx({"query": 64, "head": 64}) and scaled == pytest.approx({"query": 64, "head": 64})


def test_what_is_no_parametrisation_is_refused():
    with pytest.raises(ValueError, match="one of standard, mu"):
        Parametrisation("ntk", 64)
    for width in (0, 64.0):
        with pytest.raises(ValueError, match="int >= 1"):
            Parametrisation("mu", width)
    with pytest.raises(ValueError, match=">= 1"):
        lr_factor("query", 0, MU, "adam")
    assert math.isclose(lr_factor("query", 1, MU, "adam"), 64.0)
