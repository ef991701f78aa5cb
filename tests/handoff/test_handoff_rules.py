"""Rules to plain data and back: the round trip is the identity, and plain data reaches no class beyond the table."""

import dataclasses
import json

import pytest

from sandbox.handoff.rules import RULES, as_data, as_record, optimizer_part, rules_of
from sandbox.handoff.schema import OptimizerPart
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.came import CAME
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.parameter_scale import ParameterScale
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.optimizers.subzero import SubZero
from sandbox.optimizers.weight_decay import WeightDecay

EACH = (
    GradientDescent(0.1, momentum=0.9),
    Adam(1e-3, (0.0, 0.95), 1e-10),
    AdamW(1 / 3, weight_decay=0.2),
    AdamMini(0.01, n_blocks=4),
    AdaLomo(0.05, eps=(1e-20, 1e-2), clip_threshold=2.0),
    GaLore(Adam(0.1), rank=3, update_gap=7, scale=0.5),
    RSO(AdamW(0.1), rank=2, update_gap=5, eta=0.3, law="coordinate", side=0),
    WeightDecay(RSO(Adam(0.1), rank=2, update_gap=5), 0.01),
    AdamMini(0.01, n_blocks=((8, 4), (4, 2), (4, 4)), dim=1),
    Adafactor(beta1=0.9, parameter_scale="off"),
    CAME(0.01, betas=(0.8, 0.9, 0.99)),
    SignDescent(0.1),
    SGCAdam(0.1, sparsity=2, measurements=8),
    ParameterScale(GoLore(AdaLomo(0.1, parameter_scale="off"), rank=2, random_from=9)),
    GoLore(GWT(Adam(0.1), level=1), rank=2, on_refresh="reset"),
    I3S(AdamW(0.1), rank=2),
    GWT(Adam(0.1), growth_limit=None, details="dropped"),
    SGC(Adam(0.1), sparsity=2, measurements=8, chunks=2),
    CESGC(SGC(Adam(0.1), sparsity=2, measurements=8), rank=2),
    SubZero(GradientDescent(0.1), rank=2, shape="most square"),
)


def through_json(part):
    return OptimizerPart.model_validate_json(part.model_dump_json())


@pytest.mark.parametrize("rule", EACH, ids=lambda rule: repr(rule)[:40])
def test_a_rule_comes_back_from_json_as_it_was(rule):
    assert as_record(json.loads(json.dumps(as_data(rule, RULES))), RULES) == rule


def test_every_class_of_the_table_is_tried():
    assert {type(rule).__name__ for rule in EACH} == set(RULES)


@pytest.mark.parametrize("rule", EACH, ids=lambda rule: repr(rule)[:40])
def test_one_rule_for_all_tensors_comes_back(rule):
    rules = {"a": rule, "b": rule}
    assert rules_of(through_json(optimizer_part(rules, "fused")), ("a", "b")) == rules


@pytest.mark.parametrize("elsewhere", [Adam(0.1), AdamW(0.1, weight_decay=0.3)])
def test_a_frame_on_some_tensors_comes_back(elsewhere):
    framed = WeightDecay(GaLore(Adam(0.1), rank=3), 0.01)
    rules = {"query": framed, "norm": elsewhere, "key": framed, "head": elsewhere}
    part = optimizer_part(rules, "stepwise")
    assert rules_of(through_json(part), tuple(rules)) == rules
    assert part.rule["type"] == "Adam" and "inner" not in part.rule
    assert part.frame["type"] == "WeightDecay" and part.frame["inner"]["type"] == "GaLore" and "inner" not in part.frame["inner"]
    assert (part.elsewhere is None) == (elsewhere == Adam(0.1))
    assert [name for name, tensor in part.partition.items() if tensor.framed] == ["query", "key"]


def test_blocks_stand_in_the_partition_tensor_by_tensor():
    fused = AdamMini(0.1, n_blocks=((8, 4), (4, 4)), dim=1)
    rules = {"query": AdamMini(0.1, n_blocks=4), "norm": AdamMini(0.1), "fused": fused}
    part = optimizer_part(rules, "stepwise")
    cuts = {name: (tensor.n_blocks, tensor.dim) for name, tensor in part.partition.items()}
    assert cuts == {"query": (4, 0), "norm": (1, 0), "fused": ([(8, 4), (4, 4)], 1)}
    assert "n_blocks" not in part.rule
    assert rules_of(through_json(part), tuple(rules)) == rules


def test_factors_of_lr_stand_in_the_partition_and_come_back_to_the_last_bit():
    """0.1 / 3 and 0.1 / 7 are rounded: only the lr that gives both exactly, 0.1, will do."""
    factors = {"query": 1 / 3, "norm": 1 / 7, "head": 1.0, "bias": 1.0}
    rules = {name: AdamW(0.1 * factor) for name, factor in factors.items()}
    part = optimizer_part(rules, "stepwise", factors)
    assert part.rule["lr"] == 0.1
    assert {name: tensor.lr_factor for name, tensor in part.partition.items()} == factors
    assert rules_of(through_json(part), tuple(rules)) == rules


def test_factors_act_on_the_innermost_rule_of_a_frame_and_on_the_rule_elsewhere():
    factors = {"query": 0.3, "key": 0.3, "head": 0.7, "norm": 1.0}
    framed = WeightDecay(GaLore(Adam(0.02 * 0.3), rank=3), 0.01)
    rules = {"query": framed, "key": framed, "head": AdamW(0.1 * 0.7), "norm": AdamW(0.1)}
    part = optimizer_part(rules, "stepwise", factors)
    assert (part.rule["lr"], part.elsewhere["lr"]) == (0.02, 0.1)
    assert rules_of(through_json(part), tuple(rules)) == rules


def test_factors_that_do_not_give_the_rules_own_lr_are_refused():
    with pytest.raises(ValueError, match=r"no lr times the factors \[0.5, 1.0\] gives the rules' own, which are \[0.1, 0.2\]"):
        optimizer_part({"a": Adam(0.2), "b": Adam(0.1)}, "stepwise", {"a": 0.5, "b": 1.0})


def test_a_factor_of_lr_needs_a_number():
    part = optimizer_part({"a": Adam(0.2)}, "stepwise", {"a": 0.5})
    text = part.model_copy(update={"rule": part.rule | {"lr": "0.2"}})
    with pytest.raises(ValueError, match="needs a number lr in the rule, got 'Adam' with lr '0.2'"):
        rules_of(text, ("a",))


def test_a_plain_rule_needs_no_partition():
    part = optimizer_part({"a": Adam(0.1), "b": Adam(0.1)}, "stepwise")
    assert (part.partition, part.frame, part.elsewhere) == (None, None, None)


def test_more_than_a_card_can_say_is_refused():
    with pytest.raises(ValueError, match="one rule without a frame, got 2"):
        optimizer_part({"a": Adam(0.1), "b": Adam(0.2)}, "stepwise")
    frames = {"a": GaLore(Adam(0.1), rank=3), "b": GaLore(Adam(0.1), rank=4)}
    with pytest.raises(ValueError, match="one rule inside the frame, got 2"):
        optimizer_part(frames, "stepwise")


@dataclasses.dataclass(frozen=True)
class AdamWLike:
    lr: float


def test_a_class_that_is_not_in_the_table_cannot_be_written():
    with pytest.raises(ValueError, match="a card can hold .*'AdaLomo'.*, got AdamWLike"):
        as_data(AdamWLike(0.1), RULES)


@pytest.mark.parametrize("name", ["AdamWLike", "os.system", "__class__", "", None, ["AdamW"]])
def test_a_name_reaches_nothing_beyond_the_table(name):
    with pytest.raises(ValueError, match="a card's type must be one of"):
        as_record({"type": name, "lr": 0.1}, RULES)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"type": "Adam", "lr": 0.1, "alpha": 1}, r"Adam has the fields .*the card also gives \['alpha'\]"),
        ({"type": "Adam"}, "Adam cannot be made from"),
        ({"type": "Adam", "lr": -1.0}, "lr of Adam must be >= 0, got -1.0"),
        ({"type": "WeightDecay", "weight_decay": 0.1, "inner": {"type": "eval"}}, "must be one of .* got 'eval'"),
    ],
)
def test_data_that_no_rule_takes_is_refused_with_the_numbers(data, sentence):
    with pytest.raises(ValueError, match=sentence):
        as_record(data, RULES)


def test_a_partition_names_each_tensor_once():
    part = optimizer_part({"a": AdamMini(0.1), "b": AdamMini(0.1)}, "stepwise")
    with pytest.raises(ValueError, match=r"each of the 2 tensors of the model once: missing \['c'\], unknown \['b'\]"):
        rules_of(part, ("a", "c"))


def test_a_frame_that_is_not_there_cannot_be_put_on_a_tensor():
    part = optimizer_part({"a": GaLore(Adam(0.1), rank=3)}, "stepwise").model_copy(update={"frame": None})
    with pytest.raises(ValueError, match="puts a frame on a tensor, but the card has no frame"):
        rules_of(part, ("a",))
