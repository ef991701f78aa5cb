"""The format of a card: what it refuses, and that the published JSON schema is that of the models."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from pydantic import ValidationError

from sandbox.handoff.schema import SCHEMA, Band, Transferred, json_schema
from sandbox.handoff.verify import verify

PUBLISHED = sorted((Path(__file__).parents[2] / "experiments" / "records" / "cards").glob("*.json"))
LR = {"value": -1.0, "low": -1.2, "high": -0.8, "widths": [32, 64], "seeds": 3, "base_width": 32, "base_value": 0.1}


def test_the_published_schema_is_that_of_the_models():
    """`sandbox card schema > sandbox/handoff/card.schema.json` makes it anew."""
    published = files("sandbox.handoff").joinpath("card.schema.json").read_text(encoding="utf-8")
    assert published == json.dumps(json_schema(), indent=2) + "\n"


def test_the_schema_names_its_version_and_closes_every_object():
    """An object that stays open would let unknown fields pass in another language."""
    schema = json_schema()
    assert schema["properties"]["schema"]["const"] == SCHEMA
    parts = [schema, *schema["$defs"].values()]
    assert all(part["additionalProperties"] is False for part in parts) and len(parts) > 10


def test_a_band_that_nothing_can_lie_in_is_refused():
    assert Band(low=1.0, high=1.0).low == 1.0
    with pytest.raises(ValidationError, match="low must be <= high, got 2 and 1"):
        Band(low=2.0, high=1.0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"base_width": 0}, "greater than 0"),
        ({"base_value": 0.0}, "greater than 0"),
        ({"high": -1.3}, "low must be <= high"),
        ({"regret": {"value": 0.0, "low": 0.1, "high": 0.0, "width": 64}}, "low must be <= high"),
        ({"value": float("nan")}, "finite number"),
        ({"exponent": 1.0}, "Extra inputs"),
    ],
)
def test_a_transfer_that_says_nothing_is_refused(change, word):
    assert Transferred(**LR).regret is None
    with pytest.raises(ValidationError, match=word):
        Transferred(**LR | change)


def test_another_reader_of_json_schemas_takes_every_published_card_and_no_other():
    """A second implementation of the format: the package jsonschema over the published file."""
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema, which comes with the notebooks")
    reader = jsonschema.Draft202012Validator(json.loads(files("sandbox.handoff").joinpath("card.schema.json").read_text(encoding="utf-8")))
    assert PUBLISHED
    for path in PUBLISHED:
        card = json.loads(path.read_text())
        assert list(reader.iter_errors(card)) == [], path
        for change in ({"schema": "theory-sandbox/card/1"}, {"run": "rm"}, {"canary": {}}, {"evidence": [{"claim": 3}]}):
            assert list(reader.iter_errors(card | change)), change


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_card_still_says_the_truth(path):
    """Its ten losses are computed anew, whatever the sources of its rows have become."""
    assert verify(path) == []
