"""Exports that need no other package: numbers that YAML takes for numbers, torchtitan's native words, the table of four trainers."""

import math

import pytest
import yaml

from sandbox.handoff.export import others
from sandbox.handoff.export.distance import LIMIT, between
from sandbox.handoff.export.exporting import OtherImplementation, export
from sandbox.handoff.export.torchtitan import group_settings, torchtitan
from sandbox.handoff.export.words import number, yaml_of
from sandbox.handoff.reading import write
from sandbox.handoff.schema import ParametrisationPart, Transferred
from sandbox.models.initial import build
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from tests.handoff.made import HIDDEN, card_of, kinds_of, problem_in


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return problem_in(tmp_path_factory.mktemp("text"))


@pytest.mark.parametrize("value", [1e-3, 1e-5, 1e-30, 5e-324, 2.5e-8, 1e16, 1.7976931348623157e308, 0.0, -1e-7, 0.1, 1 / 3, 100.0])
def test_numbers_come_back_from_yaml_as_numbers_to_the_last_bit(value):
    """PyYAML takes what Python prints, 1e-05, for text."""
    back = yaml.safe_load(f"lr: {number(value)}")["lr"]
    assert type(back) is float and back == value
    assert "e" not in repr(value) or type(yaml.safe_load(repr(value))) is str or "." in repr(value)


def test_a_whole_file_comes_back_from_yaml():
    data = {"a": 1e-5, "b": None, "c": True, "d": {"x": 1e-8, "y": [1e-3, 2]}, "e": "yes: #no", "f": 3, "g": ["q_proj"]}
    assert yaml.safe_load(yaml_of(data, ("what was lost: a # b",))) == data


def test_torchtitan_has_native_names_for_adamw_and_our_container_for_the_rest(problem):
    native = torchtitan(card_of(problem, AdamW(0.02, weight_decay=0.1)), kinds_of(problem), "a.json")
    assert "optimizer_name='AdamW'" in native.text and not native.same_code
    own = torchtitan(card_of(problem, AdaLomo(0.02)), kinds_of(problem), 'it\'s "a".json')
    assert own.same_code and "CardOptimizers.Config(card=CARD)" in own.text
    found = {}
    exec(next(line for line in own.text.splitlines() if line.startswith("CARD =")), found)
    assert found["CARD"] == 'it\'s "a".json'
    for one in (native, own):
        compile(one.text, "config", "exec")
        assert 'max_norm=float("inf")' in one.text and 'mixed_precision_param="float32"' in one.text  # 1.0 and bfloat16 are their defaults
        assert "steps=50," in one.text and "seq_len=8," in one.text and "global_batch_size=2," in one.text


def test_torchtitan_gets_one_group_per_rate(problem):
    """Tables and gains keep the rate, what is inside and the head have a quarter; the commoner one is the rest."""
    factors = {name: 1.0 if kind in ("embedding", "norm") else 0.25 for name, kind in kinds_of(problem).items()}
    card = card_of(problem, {name: AdamW(0.04 * factor) for name, factor in factors.items()}, lr_factors=factors)
    groups = group_settings(card, kinds_of(problem))
    assert [(pattern, arguments["lr"]) for pattern, _, arguments in groups] == [(r"tok_embeddings\.|norm\.weight$", 0.04), (".*", 0.01)]


def test_rates_that_no_name_of_torchtitan_tells_apart_are_refused(problem):
    factors = {name: 0.5 if name == "blocks.1.attention.out.weight" else 1.0 for name in problem.roles}
    card = card_of(problem, {name: AdamW(0.04 * factor) for name, factor in factors.items()}, lr_factors=factors)
    with pytest.raises(ValueError, match="'blocks.1.attention.out.weight' of kind 'attention_out' would need a rate of its own"):
        group_settings(card, kinds_of(problem))


@pytest.mark.parametrize("rule", [AdamW(0.02, weight_decay=0.1), Adam(0.02, (0.8, 0.95), 1e-6)])
def test_what_torchtitan_takes_is_ours_to_rounding(problem, rule, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent.parent)
    factors = {name: 1.0 if kind in ("embedding", "norm") else 0.25 for name, kind in kinds_of(problem).items()}
    rules = {name: type(rule)(**vars(rule) | {"lr": rule.lr * factor}) for name, factor in factors.items()}
    write(card_of(problem, rules, lr_factors=factors), tmp_path / "card.json")
    handed = export(tmp_path / "card.json", "torchtitan")
    assert 0 < handed.distance.value < 1e-10 < LIMIT  # float64: 1e-16 an operation, ten steps that blow it up
    assert "torch.optim" in str(handed.distance)


def test_another_width_gets_its_own_rates(problem, tmp_path, monkeypatch):
    """Half the rate at twice the width by the transfer, a quarter more inside by the parametrisation; without a rule it is refused."""
    monkeypatch.chdir(tmp_path.parent.parent)
    lr = Transferred(value=-1.0, low=-1.1, high=-0.9, widths=[16, 32], seeds=3, base_width=16, base_value=0.04)
    exponents = {kind: -2.0 if kind in HIDDEN else 0.0 for kind in kinds_of(problem).values()}
    part = ParametrisationPart(name="mu", base_width=16, exponents=exponents)
    write(card_of(problem, AdamW(0.04), transfer={"lr": lr}, parametrisation=part), tmp_path / "card.json")
    handed = export(tmp_path / "card.json", "torchtitan", width=32)
    assert "'lr': 0.02," in handed.exported.text and "'lr': 0.005," in handed.exported.text
    assert handed.distance.value < 1e-10  # as above
    assert "'lr': 0.04," in export(tmp_path / "card.json", "torchtitan").exported.text
    for width in (-3, 0, 10**7, 10**400):
        with pytest.raises(ValueError, match=f"a width must be between 1 and 1,000,000, got {width:,}"):
            export(tmp_path / "card.json", "torchtitan", width=width)
    write(card_of(problem, AdamW(0.04)), tmp_path / "plain.json")
    with pytest.raises(ValueError, match="no rule"):
        export(tmp_path / "plain.json", "torchtitan", width=32)


def test_the_distance_is_relative_to_the_way(problem):
    """All weights moved by 1, one tensor moved by 1.5: its norm is half of the way of that tensor."""
    start, ours, theirs = (build(problem.model, 0) for _ in range(3))
    for model in (ours, theirs):
        for w in model.parameters():
            w.data += 1
    theirs.norm.weight.data += 0.5
    found = between(theirs, ours, dict(start.named_parameters()), "x")
    entries = sum(w.numel() for w in ours.parameters())
    assert found.tensor == "norm.weight" and found.worst == pytest.approx(0.5, rel=1e-5)  # float32 weights
    assert found.value == pytest.approx(0.5 * math.sqrt(16 / entries), rel=1e-5)
    with pytest.raises(ValueError, match="move no weight"):
        between(theirs, ours, dict(ours.named_parameters()), "x")


def test_a_distance_beyond_the_limit_is_refused_unless_it_is_asked_for(problem, tmp_path, monkeypatch):
    from sandbox.handoff.export import exporting

    monkeypatch.chdir(tmp_path.parent.parent)
    write(card_of(problem, AdamW(0.02)), tmp_path / "card.json")
    far = exporting.Distance(1.1e-3, 2e-3, "head.weight", "theirs")
    monkeypatch.setattr(exporting, "measured", lambda *_: far)
    with pytest.raises(OtherImplementation, match="theirs is 1.1e-03 of the way away from ours after 10 steps .* --other-implementation"):
        export(tmp_path / "card.json", "torchtitan")
    assert export(tmp_path / "card.json", "torchtitan", other_implementation=True).distance is far
    monkeypatch.setattr(exporting, "measured", lambda *_: exporting.Distance(0.9e-3, 2e-3, "head.weight", "theirs"))
    assert export(tmp_path / "card.json", "torchtitan").distance.value == 0.9e-3
    monkeypatch.setattr(exporting, "measured", lambda *_: exporting.Distance(math.nan, 2e-3, "head.weight", "theirs"))
    with pytest.raises(OtherImplementation):
        export(tmp_path / "card.json", "torchtitan")


def test_a_card_that_was_changed_is_not_exported(problem, tmp_path):
    write(card_of(problem, AdamW(0.02)), tmp_path / "card.json")
    (tmp_path / "card.json").write_text((tmp_path / "card.json").read_text().replace('"lr": 0.02', '"lr": 0.03'))
    with pytest.raises(ValueError, match="may not be used: the digest"):
        export(tmp_path / "card.json", "torchtitan")


def test_the_table_has_a_row_per_optimizer_and_a_column_per_trainer():
    lines = others.table().splitlines()
    assert [line.count("|") for line in lines[: len(others.METHODS) + 3]] == [len(others.CAN) + 2] * (len(others.METHODS) + 3)
    assert all(set(said) <= {*others.METHODS, others.LAST} for said in others.CAN.values())
    assert {row["status"] for row in others.rows()} == {"named", "no"} and len(others.rows()) == 4 * (len(others.METHODS) + 1)
    assert {row["how"] for row in others.rows() if row["id"].endswith((": RSO", ": GWT"))} == {"no"}
