"""The kept base model is the one that its card describes, predicts better than frequencies, and has not read the
fine-tuning part.
"""

import json
import shutil

import pytest

from sandbox.models.base_model import BASE, folder_of, load
from sandbox.models.initial import shapes_of
from sandbox.models.language import LanguageProblem, mean_loss
from sandbox.models.text import corpus


@pytest.fixture(scope="module")
def problem():
    base = load()
    return LanguageProblem(base.config, tokenizer=base.tokenizer, held_out_tokens=base.card["held_out"]["windows"] * 128)


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(folder_of(BASE), tmp_path / "base")


def test_the_weights_are_those_of_the_card():
    """`load` compares the hash of the file with the card; names, shapes and number fit the configuration."""
    base = load()
    shapes = {name: tuple(p.shape) for name, p in base.params.items()}
    assert list(shapes.items()) == list(shapes_of(base.config).items())  # in order, as draws are numbered by it
    count = sum(p.numel() for p in base.params.values())
    assert count == base.card["parameters"]
    assert 1e6 <= count <= 3e6


def test_the_kept_files_are_small():
    assert sum(path.stat().st_size for path in folder_of(BASE).iterdir()) <= 12 * 2**20


def test_the_card_names_this_text(problem):
    assert load().card["text"] == {"name": "kjv", "part": "pretrain", "sha256": corpus().digest}


def test_the_loss_on_a_slice_is_the_recorded_one(problem):
    """float32 sums over 16 x 128 tokens differ between processors in the last bits: 1e-4 relative is 1000 of them."""
    card = load().card["slice"]
    now = mean_loss(problem, load().params, problem.held_out_batch()[: card["windows"]])
    assert now == pytest.approx(card["loss"], rel=1e-4)


def test_it_beats_the_frequencies_of_tokens_by_far():
    """A model without context cannot beat the entropy of the frequencies; half of it needs words and grammar."""
    card = load().card
    assert card["slice"]["loss"] < 0.6 * card["unigram_entropy"]
    assert card["held_out"]["loss"] < 0.6 * card["unigram_entropy"]


def test_the_curve_ends_at_the_card(problem):
    rows = (folder_of(BASE) / "loss.csv").read_text().splitlines()
    step, training, held_out = rows[-1].split(",")
    assert int(step) == load().card["training"]["steps"]
    assert float(held_out) == load().card["held_out"]["loss"]
    assert float(training) < float(rows[1].split(",")[1])


def test_refuses_changed_weights(copy):
    weights = copy / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(ValueError, match=rf"model.safetensors \({len(raw)} bytes\) has sha256 .* its card says .* was changed or cut"):
        load(str(copy))


def test_refuses_a_missing_file_and_a_missing_folder(copy):
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="tokenizer.json is missing beside"):
        load(str(copy))
    with pytest.raises(ValueError, match="the base model 'nowhere' has no card.json: train it by"):
        load("nowhere")


def test_the_folder_is_found_from_below_the_project(monkeypatch):
    here = folder_of(BASE)
    monkeypatch.chdir(here.parent)
    assert folder_of(BASE) == here
    assert folder_of(str(here)) == here
    assert json.loads((here / "card.json").read_text())["command"] == "python experiments/base_model.py"
