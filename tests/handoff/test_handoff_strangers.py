"""A card from somewhere else: whatever stands in it, one sentence comes out, nothing of it steers a terminal, and no path of it leads out
of the folders that were asked for.
"""

import json
import os
from pathlib import Path

import pytest

from sandbox.handoff.plain_text import DEEPEST, MOST_BYTES, MOST_CHARACTERS, parsed, printable, require_harmless
from sandbox.handoff.reading import read, write
from sandbox.handoff.recipe import MOST_LAYERS, recipe_of
from sandbox.handoff.schema import Card, digest_of, sealed
from sandbox.handoff.showing import differences, show
from sandbox.handoff.verify import verify
from sandbox.optimizers.adamw import AdamW
from tests.handoff.made import card_of, problem_in

ESCAPES = ["\x1b[2J", "\x1b]0;title\x07", "\r", "\n", "\x00", "\u202e", "\u200b", "\ud800", "\x9b31m"]


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    return card_of(problem_in(tmp_path_factory.mktemp("text")), AdamW(0.02))


@pytest.fixture
def path(card, tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.getbasetemp())
    write(card, tmp_path / "card.json")
    return tmp_path / "card.json"


def changed(path, change):
    """The card's file after `change(data)`, with a digest that fits again."""
    data = json.loads(path.read_text())
    change(data)
    data["digest"] = digest_of(data)
    path.write_text(json.dumps(data))
    return path


def refusal(path):
    """The one sentence of a card that cannot be read: a single printable line of bounded length, without a traceback."""
    with pytest.raises(ValueError) as caught:
        read(path)
    sentence = str(caught.value)
    assert sentence.isprintable() and len(sentence) < 2_000
    assert verify(path) == [sentence]
    return sentence


PLACES = {
    "statement": lambda d, x: d["evidence"][0].update(statement=x),
    "text": lambda d, x: d["data"].update(text=x),
    "unvalidated": lambda d, x: d["unvalidated"].append(x),
    "rule": lambda d, x: d["optimizer"]["rule"].update(type=x),
    "name of a field": lambda d, x: d["model"].update({x: 1}),
    "version": lambda d, x: d.update(schema=x),
    "digest": lambda d, x: d.update(digest=x),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", ESCAPES, ids=ascii)
def test_a_string_that_steers_a_terminal_is_refused_and_quoted_without_it(path, place, text):
    data = json.loads(path.read_text())
    PLACES[place](data, f"a{text}b")
    path.write_text(json.dumps(data))
    assert "holds a character that is not printable" in refusal(path)


@pytest.mark.parametrize("place", PLACES)
def test_a_huge_string_is_refused_and_not_quoted(path, place):
    data = json.loads(path.read_text())
    PLACES[place](data, "x" * (MOST_CHARACTERS + 1))
    path.write_text(json.dumps(data))
    assert f"is a text of {MOST_CHARACTERS + 1:,} characters" in refusal(path)


def test_markup_is_shown_as_it_stands(path):
    words = "[bold red]now[/] <b>now</b> {0} %s $(now) `now`"
    assert words in show(changed(path, lambda d: d["unvalidated"].append(words)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"schema": NaN}', "it holds NaN, and numbers must be finite"),
        ('{"schema": -Infinity}', "it holds -Infinity, and numbers must be finite"),
        ('{"schema": 1e999}', "schema must be a finite number"),
        ('{"a": 1, "a": 2}', "'a' stands twice in one object"),
        ("[" * 100_000, "nested deeper"),
        ('{"a":' * 30 + "1" + "}" * 30, f"nested deeper than {DEEPEST} levels"),
        ('{"a": ' + "9" * 30 + "}", "is a whole number of 100 bits"),
        ('{"a": ' + "9" * 5_000 + "}", "is not a card"),
        ('{"a": [1, 2', "it is not JSON"),
        ("3", "it holds a int, not an object"),
        ('{"a": [' + "1," * 200_001 + "1]}", "is one of more than 200,000 values"),
    ],
    ids=lambda text: text[:14],
)
def test_what_no_card_holds_is_refused(tmp_path, text, sentence):
    (tmp_path / "bad.json").write_text(text)
    assert sentence in refusal(tmp_path / "bad.json")


def test_a_truncated_card_is_refused_wherever_it_ends(path):
    whole = path.read_text()
    for end in range(0, len(whole) - 2, 97):
        path.write_text(whole[:end])
        assert "it is not JSON" in refusal(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    (tmp_path / "large.json").write_bytes(b" " * (MOST_BYTES + 1))
    assert f"it has {MOST_BYTES + 1:,} bytes, and {MOST_BYTES:,} are the most" in refusal(tmp_path / "large.json")


def test_an_old_card_says_how_to_make_a_new_one(path):
    data = json.loads(path.read_text()) | {"schema": "theory-sandbox/card/1"}
    path.write_text(json.dumps(data))
    assert refusal(path).endswith(
        "its format is 'theory-sandbox/card/1' and this version reads 'theory-sandbox/card/2'; make a new one from the claims with "
        "`sandbox card create`"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["optimizer"].update(run="rm"),
        lambda d: d["canary"].update(x=1),
        lambda d: d.update(target={"model": {}}),
        lambda d: d.update(parametrisation={"name": "other", "base_width": 8, "exponents": {}}),
        lambda d: d.pop("canary"),
        lambda d: d["canary"]["losses"].pop(),
    ],
)
def test_unknown_and_missing_fields_are_refused(path, change):
    assert "is not a card" in refusal(changed(path, change))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d["model"].update(layers="2"), "layers of LlamaConfig is of another type than <class 'int'>: '2'"),
        (lambda d: d["model"].update(layers=True), "layers of LlamaConfig is of another type"),
        (lambda d: d["model"].update(layers=2.5), "layers of LlamaConfig is of another type"),
        (lambda d: d["model"].update(layers=MOST_LAYERS + 1), "a card's own model is small"),
        (lambda d: d["model"].update(width=10**6), "a card's own model is small"),
        (lambda d: d["data"].update(batch=10**9), "a card's own model is small"),
        (lambda d: d["optimizer"]["rule"].update(lr="0.02"), "lr of AdamW is of another type than <class 'float'>"),
        (lambda d: d["optimizer"]["rule"].update(betas=[0.9]), "betas of AdamW is of another type than tuple[float, float]: (0.9,)"),
        (lambda d: d["optimizer"]["rule"].update(betas=[0.9, "x"]), "betas of AdamW is of another type"),
        (lambda d: d["optimizer"]["rule"].update(inner={"type": "AdamW", "lr": 0.1}), "AdamW has the fields"),
        (lambda d: d["model"].update(type="os.system"), "type must be one of"),
        (
            lambda d: d.update(parametrisation={"name": "mu", "base_width": 32, "exponents": {}}),
            "a card's own model has the base width of its parametrisation, 32, got width 16",
        ),
    ],
)
def test_values_that_no_class_takes_are_one_sentence(path, change, sentence):
    problems = verify(changed(path, change))
    assert len(problems) == 1 and sentence in problems[0] and problems[0].isprintable()


STEEP = {"value": 1.0, "low": 0.0, "high": 2.0, "widths": [16, 32], "seeds": 3, "base_width": 16, "base_value": 0.04}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d["data"].update(steps=0), "data.steps must be >= 1, got 0"),
        (lambda d: d["schedule"].update(floor=1e300), "schedule.floor is a part of the learning rate, between 0 and 1, got 1e+300"),
        (lambda d: d["schedule"].update(floor=-0.1), "schedule.floor is a part of the learning rate, between 0 and 1, got -0.1"),
        (
            lambda d: d.update(transfer={"lr": STEEP | {"value": 1e300}}),
            "transfer.lr.value is a power of the width, between -20 and 20, got",
        ),
        (lambda d: d.update(transfer={"lr": STEEP | {"low": -1e300}}), "transfer.lr.low is a power of the width, between -20 and 20, got"),
        (
            lambda d: d.update(parametrisation={"name": "mu", "base_width": 16, "exponents": {"query": -21.0}}),
            "parametrisation.exponents.query is a power of the width, between -20 and 20, got -21",
        ),
        (
            lambda d: d.update(parametrisation={"name": "mu", "base_width": 16, "exponents": {}, "rank_exponent": 1e9}),
            "parametrisation.rank_exponent is a power of the width, between -20 and 20, got 1e+09",
        ),
    ],
)
def test_numbers_that_no_training_has_are_refused_by_every_reader(path, change, sentence):
    """They would overflow at another width, where no card is read any more, or train backwards."""
    assert sentence in refusal(changed(path, change))


def test_nothing_is_written_over_what_is_no_file(card, tmp_path):
    """A device is not read to its end, which it has not, nor is it replaced."""
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ValueError, match="is there and is no file; choose another --out"):
            write(card, place)
    assert [file.name for file in tmp_path.iterdir() if file.suffix != ".txt"] == ["pipe"]


def outside(tmp_path, card):
    """A text that a card may not read, the same as the card's own."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "words.txt").write_bytes(Path(card.data.text).read_bytes())
    return folder / "words.txt"


def hostile(kind, own, path):
    """Four ways out of the card's folder to one and the same file."""
    if kind == "a link":
        (path.parent / "link.txt").symlink_to(own)
        return "link.txt"
    if kind == "a folder of links":
        (path.parent / "folder").mkdir()
        (path.parent / "folder" / "link.txt").symlink_to(own)
        return "folder"
    return str(own) if kind == "absolute" else os.path.relpath(own, path.parent)


@pytest.mark.parametrize("kind", ["absolute", "..", "a link", "a folder of links"])
def test_a_path_out_of_the_folders_asked_for_is_refused(kind, card, path, tmp_path, monkeypatch):
    own = outside(tmp_path, card)
    (tmp_path / "inside").mkdir()
    moved = tmp_path / "inside" / "card.json"
    path.rename(moved)
    monkeypatch.chdir(moved.parent)
    name = hostile(kind, own, moved)
    problems = verify(changed(moved, lambda d: d["data"].update(text=name)))
    assert len(problems) == 1 and "leads out of" in problems[0] and "where a card may read" in problems[0]
    if kind in ("absolute", ".."):  # a folder that is named is asked for
        moved = changed(moved, lambda d: d["data"].update(text=own.name))
        assert verify(moved, own.parent) == []


def test_a_tokenizer_from_elsewhere_is_refused_too(path):
    kept = changed(path, lambda d: d["data"].update(tokenizer={"type": "Kept", "path": "/etc/hostname"}))
    assert "'/etc/hostname'" in verify(kept)[0] and "where a card may read" in verify(kept)[0]


def test_a_pipe_in_the_place_of_a_text_is_not_waited_for(path):
    os.mkfifo(path.parent / "pipe")
    assert "leads out of" in verify(changed(path, lambda d: d["data"].update(text=str(path.parent / "pipe"))))[0]


def test_a_folder_is_no_card(tmp_path):
    assert "is not a file" in refusal(tmp_path)


def test_a_card_of_our_own_may_lie_anywhere(card):
    assert recipe_of(card).problem.text == card.data.text


def test_nothing_is_sealed_that_could_not_be_read(card):
    with pytest.raises(ValueError, match="unvalidated.0 holds a character that is not printable"):
        sealed(card.as_json() | {"unvalidated": ["a\nb"]})
    with pytest.raises(ValueError, match="Input should be a finite number"):
        Card.model_validate(card.as_json() | {"canary": card.canary.model_dump() | {"rtol": float("nan")}})


@pytest.mark.parametrize(("rtol", "taken"), [(1e-5, True), (1e-3, True), (1.01e-3, False), (0.99, False), (0.0, False)])
def test_a_card_cannot_name_a_tolerance_that_lets_everything_pass(card, rtol, taken):
    data = card.as_json() | {"canary": card.canary.model_dump() | {"rtol": rtol}}
    if taken:
        assert Card.model_validate(data).canary.rtol == rtol
    else:
        with pytest.raises(ValueError, match="canary.rtol"):
            Card.model_validate(data)


def test_printable_is_one_line_of_bounded_length():
    assert printable("a\x1b[2J\u202eb\ud800") == "a\\x1b[2J\\u202eb\\ud800"
    assert printable("é漢ß") == "é漢ß"
    assert printable("x" * 300) == "x" * 200 + "... (300 characters)"
    require_harmless({"a": [1, 2.5, None, True, "é"], "b": {"c": 2**63 - 1}})
    assert parsed('{"a": [1, 2.5]}') == {"a": [1, 2.5]}


def test_show_says_all_that_format_2_adds(card, path):
    target = {
        "model": {"type": "LlamaConfig", "width": 64}, "parameters": 12345, "loss_0": {"low": 3.3, "high": 3.5},
        "update_ratio": {"query": {"1": {"low": 0.01, "high": 0.02}, "10": {"low": 0.03, "high": 0.04}}},
        "state_bytes": 2000, "gradient_bytes": 1000, "loss_10": {"low": 2.5, "high": 2.75, "widths": [16, 32]},
    }  # fmt: skip
    partition = {name: {"framed": False, "n_blocks": None, "dim": None, "lr_factor": 0.25} for name in ("a", "b")}
    regret = {"value": 0.01, "low": 0.0, "high": 0.02, "width": 512}
    lr = {"value": -1.0, "low": -1.2, "high": -0.8, "widths": [16], "seeds": 3, "base_width": 16, "base_value": 0.04, "regret": regret}
    data = card.as_json() | {"target": target, "transfer": {"lr": lr}}
    data |= {"parametrisation": {"name": "mu", "base_width": 16, "exponents": {"query": -1.0}}}
    write(sealed(data | {"optimizer": data["optimizer"] | {"partition": partition}}), path)
    said = show(path)
    for words in (
        "lr factors   a 0.25, b 0.25",
        "widths by    mu, base width 16, exponents query=-1.0",
        "lr 0.04 at width 16, times (width / 16)^-1 [-1.2, -0.8], widths [16], 3 seeds; at width 512 it costs 0.01 [0, 0.02] nats",
        "target       LlamaConfig(width=64); 12,345 parameters",
        "loss at step 0 in [3.3, 3.5], before step 10 in [2.5, 2.75]",
        "update / weight, query: step 1 [0.01, 0.02], step 10 [0.03, 0.04]",
        "state 2,000 B, gradients 1,000 B",
    ):
        assert words in said, words


def test_two_cards_are_compared_field_by_field(card, path, tmp_path):
    other = tmp_path / "other.json"
    write(card, other)
    assert differences(path, other) == []
    changed(other, lambda d: (d["optimizer"]["rule"].update(lr=0.5), d.update(schedule=None), d["canary"].update(seed=3)))
    found = {field: (one, two) for field, one, two in differences(path, other)}
    assert found["optimizer.rule.lr"] == ("0.02", "0.5") and found["canary.seed"] == ("0", "3")
    assert found["schedule.total"] == ("50", "nothing") and found["schedule"] == ("nothing", "null")
    assert set(found) == {"optimizer.rule.lr", "canary.seed", "schedule", "schedule.total", "schedule.warmup", "schedule.floor"}


def test_a_number_and_its_text_are_not_the_same(card, path, tmp_path):
    other = tmp_path / "other.json"
    write(card, other)
    changed(other, lambda d: d["model"].update(layers="2"))
    assert differences(path, other) == [("model.layers", "2", '"2"')]
