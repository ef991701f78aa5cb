"""The runs at full size, on a CPU with a tiny model and the same functions; and verdicts from made-up rows."""

import json
import math
from dataclasses import replace

import pytest
import torch

from sandbox.handoff.reading import read
from sandbox.handoff.recipe import MODELS
from sandbox.handoff.rules import as_data
from sandbox.handoff.target_rules import predicted_lr
from sandbox.models.llama import LlamaConfig
from sandbox.models.text import KJV, corpus
from sandbox.scale.train import CanaryFailed, Measured, Trained
from sandbox.verdict import Outcome

KINDS = ("lr", "memory", "canaries", "mfu")


@pytest.fixture(scope="module")
def file(module):
    return module["handoff_full_scale"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """model: as wide as the cards' own, so that bands need no other width.  text: a part of the packaged one."""
    folder = tmp_path_factory.mktemp("full")
    (folder / "tiny.json").write_text(json.dumps(as_data(LlamaConfig(512, width=64, layers=1, heads=4, context=16), MODELS)))
    (folder / "part.txt").write_text(corpus(KJV).content[:40_000], encoding="utf-8")
    return {"model": str(folder / "tiny.json"), "text": str(folder / "part.txt"), "batch": 2, "context": 16, "steps": 13}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_gpu_one_sentence_says_so(claim, kind):
    one = claim[f"adamw.full-scale.{kind}"]
    with pytest.raises(ValueError, match=r"on a CUDA device and torch .* sees none here; run `sandbox check .*`, and .* on a machine"):
        one.measure(one.plan.settings[0], (0,))


@pytest.mark.parametrize("method", ["adamw", "galore"])
def test_a_training_is_forecast_foreseen_held_and_timed(file, tiny, method):
    found = file.full(file.Full(method, **tiny), 0, file.Place("cpu", "card"))
    assert found["stopped"] == 0.0 and found["why"] == ""
    assert found["tokens_per_second"] > 0 and found["peak_bytes"] is None and found["off"] is None  # no allocator to ask
    assert found["forecast_bytes"] > 4 * 3 * 512 * 64  # table and head with their gradients, and more
    assert 2 < found["loss"] < math.log(512) + 1


def test_three_rates_are_trained_by_the_trainer_itself(file, tiny):
    found = file.around(file.Rates("adalomo", **tiny), 0, file.Place("cpu", "card"))
    assert found["lr"] == predicted_lr(read(file.card_path("adalomo"))[0], 64)
    assert len({found[name] for name in file.AROUND}) == 3  # another rate is another run
    assert found["cost"] == found["predicted"] - min(found[name] for name in file.AROUND) >= 0


def test_rates_are_half_predicted_and_double_and_all_else_is_the_same(file, tiny, monkeypatch):
    """A parabola in octaves whose least lies half an octave above: half costs 2.25 c, predicted 0.25 c, double 0.25 c."""
    asked = []

    def trained(path, *, say, lr, **job):
        asked.append((path, lr, job))
        return Trained((), 3 + 0.1 * (math.log2(lr / base) - 0.5) ** 2, ())

    monkeypatch.setattr(file, "train", trained)
    base = predicted_lr(read(file.card_path("rso"))[0], 512)
    found = file.around(file.Rates("rso", text=tiny["text"]), 5)
    assert [lr / base for _, lr, _ in asked] == [0.5, 1.0, 2.0] and len({str(job) for _, _, job in asked}) == 1
    assert asked[0][2] == {
        "model": "llama-60m", "batch": 8, "context": 32, "steps": 200, "text": tiny["text"], "seed": 5, "device": "cuda",
        "precision": "bfloat16", "checkpoint_every": 0,
    }  # fmt: skip
    assert found["half"] == pytest.approx(3.225) and found["cost"] == pytest.approx(0.0, abs=1e-12)


def test_the_packaged_text_is_written_out_so_that_it_is_read_once(file, tmp_path):
    job = file.options(file.Full("adamw"), 0, tmp_path, file.Place())
    assert job["text"] == str(tmp_path / "kjv.txt") and (tmp_path / "kjv.txt").read_text(encoding="utf-8") == corpus(KJV).content


def failing(words):
    def training(*_):
        raise CanaryFailed(words)

    return training


def test_a_run_that_diverges_is_infinite_and_one_that_is_another_program_has_no_loss(file):
    assert file.held_out(failing("the loss before step 3 is nan; 3 steps were made, nothing was written")) == math.inf
    with pytest.raises(ValueError, match="the canary must be reproduced"):
        file.held_out(failing("the canary must be reproduced to rtol 1e-05, but the loss before step 2 is 6 and the card has 5"))
    losses = {"half": 3.0, "predicted": 3.1, "double": math.inf}
    assert file.cost(losses) == pytest.approx(0.1) and file.cost(losses | {"predicted": math.inf}) == math.inf


def test_what_a_band_stops_is_told_and_trained_again_without_bands(file):
    plain = Trained((), 3.0, (), Measured(1.0, 0.1, 10))

    def training(path):
        return plain if path == "plain" else failing("the loss before step 0 must lie in [1, 2], and 3 came")()

    assert file.guarded(training, "banded", "plain") == (plain, "the loss before step 0 must lie in [1, 2], and 3 came")
    assert file.guarded(training, "plain", "other") == (plain, None)


def test_a_training_that_takes_too_long_is_ended(file, monkeypatch):
    now = iter([0.0, 59.0, 61.0])
    monkeypatch.setattr(file.time, "perf_counter", lambda: next(now))
    say = file.clock()
    say("step 1")
    with pytest.raises(ValueError, match="a training may take 60 s here and has taken 61 s at: step 2"):
        say("step 2")


GOOD = {"stopped": 0.0, "off": 0.03, "mfu": 0.05}


@pytest.mark.parametrize(
    ("kind", "rows", "outcome"),
    [
        ("lr", {"cost": 0.01}, Outcome.HOLDS),
        ("lr", {"cost": 0.03}, Outcome.VIOLATED),
        ("lr", {"cost": math.inf}, Outcome.VIOLATED),
        ("memory", GOOD, Outcome.HOLDS),
        ("memory", GOOD | {"off": 0.06}, Outcome.VIOLATED),
        ("canaries", GOOD, Outcome.HOLDS),
        ("canaries", GOOD | {"stopped": 1.0}, Outcome.VIOLATED),
        ("mfu", GOOD, Outcome.HOLDS),
        ("mfu", GOOD | {"mfu": 0.01}, Outcome.VIOLATED),
    ],
)
def test_the_verdicts_turn_at_their_limits(file, claim, monkeypatch, rejudged, kind, rows, outcome):
    monkeypatch.setattr(file, "require_gpu", lambda: None)
    monkeypatch.setattr(file, "around", lambda setting, seed: dict(rows))
    monkeypatch.setattr(file, "full", lambda setting, seed: dict(rows))
    assert rejudged(claim[f"galore.full-scale.{kind}"]) is outcome


def test_a_text_of_ones_own_has_rows_of_its_own(file):
    assert replace(file.Rates("adamw"), text="mine") != file.Rates("adamw")
    assert file.Rates("adamw").steps * file.Rates("adamw").batch * 32 < 1_700_000  # tokens of the packaged text by 512 byte pairs
    assert file.Full("adamw").steps * file.Full("adamw").batch * 256 < 1_700_000
