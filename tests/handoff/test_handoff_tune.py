"""`sandbox tune` at tiny sizes: what it fits, that it goes on where it was stopped, what it refuses."""

import json
import math
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from sandbox.cli import app
from sandbox.cli_tune import given, lines_of, numbers
from sandbox.draws import generator
from sandbox.handoff import tune
from sandbox.handoff.sweep import Swept
from sandbox.handoff.tune import Tune, Tuning, checked, class_of
from sandbox.ledger.execute import InProcess
from sandbox.ledger.store import Store


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """50,000 characters of two thousand drawn words: enough for windows of 32 tokens in every tenth of an eighth."""
    rng = generator(7, 0)
    letters = torch.randint(97, 123, (50_000,), generator=rng).tolist()
    spaces = torch.randint(2, 9, (50_000,), generator=rng).tolist()
    file = tmp_path_factory.mktemp("text") / "words.txt"
    file.write_text("".join(chr(c) + (" " if s == 2 else "\n" if s == 3 and c == 97 else "") for c, s in zip(letters, spaces, strict=True)))
    return str(file)


def tiny(text: str, **fields) -> Tuning:
    return checked(Tuning(**({"optimizer": "adamw", "steps": 2, "batch": 1, "layers": 1, "vocab": 256, "text": text} | fields)), (16, 32))


def law(exponent: float):
    """Losses of a parabola around a best rate that moves with the width, in the place of a training run."""

    def loss(setting: Tuning, seed: int) -> dict[str, float]:
        best = math.log(0.01) + exponent * math.log(setting.width / 64) + 0.02 * (seed - 1)
        return {"loss": 2 + 0.1 * (math.log(setting.lr) - best) ** 2}

    return loss


def plan(setting: Tuning, **fields) -> Swept:
    return Swept(setting, (16, 32), **({"seeds": (0, 1), "centre": 0.01, "cap": math.log(256), "base": 64} | fields))


def test_the_fit_of_a_known_law(text, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "trained", law(-0.8))
    with Store(tmp_path / "ledger.sqlite") as store:
        sweep = Tune(plan(tiny(text)), store)
        sweep.run(InProcess(), 2, lambda *_: None)
        found = sweep.found(128)
    assert found["value"] == pytest.approx(-0.8, abs=0.02)  # rates have three digits
    assert found["low"] <= found["value"] <= found["high"]
    assert found["base_value"] == pytest.approx(0.01 * math.exp(-0.01), rel=0.03)  # seeds 0 and 1: -0.02 and 0 in log rate
    assert found["predicted"]["value"] == pytest.approx(found["base_value"] * 2 ** found["value"])
    assert found["predicted"]["low"] < found["predicted"]["value"] < found["predicted"]["high"]
    assert any("128" in line and "predicted" in line for line in lines_of(found))


def test_a_stopped_sweep_goes_on(text, tmp_path, monkeypatch):
    made = []

    def stops(setting, seed, after=7):
        if len(made) == after:
            raise KeyboardInterrupt
        made.append((setting, seed))
        return law(0.0)(setting, seed)

    monkeypatch.setattr(tune, "trained", stops)
    with Store(tmp_path / "ledger.sqlite") as store, pytest.raises(KeyboardInterrupt):
        Tune(plan(tiny(text)), store).run(InProcess(), 1, lambda *_: None)
    monkeypatch.setattr(tune, "trained", lambda setting, seed: stops(setting, seed, after=-1))
    with Store(tmp_path / "ledger.sqlite") as store:
        sweep = Tune(plan(tiny(text)), store)
        sweep.run(InProcess(), 1, lambda *_: None)
        assert len(sweep.rows) == len(made) == len(set(made))  # nothing ran twice
        assert sweep.seconds > 0


def test_another_text_is_another_row(text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(Path(text).read_text() + "more")
    assert tiny(text).text_sha256 != tiny(str(other)).text_sha256


@pytest.mark.parametrize(
    "extra", [["--optimizer", "adalomo"], ["--optimizer", "torch.optim:RMSprop", "--standard", "--option", "alpha=0.9", "--lr", "0.02"]]
)
def test_the_command_runs_and_answers_in_json(text, tmp_path, extra):
    words = ["tune", "--widths", "16,32", "--seeds", "2", "--steps", "8", "--batch", "1", "--layers", "1", "--vocab", "256", "--lr", "0.3"]
    where = ["--text", text, "--out", str(tmp_path), "--workers", "0", "--json"]
    first = CliRunner().invoke(app, [*words, *extra, *where])
    assert first.exit_code == 0, first.output
    (found,) = json.loads(first.stdout)
    assert {"id", "status", "value", "low", "high", "seeds", "seconds", "widths", "base_width", "base_value"} <= set(found)
    assert found["widths"] == [16, 32] and found["seeds"] == 2 and math.isfinite(found["value"])
    again = CliRunner().invoke(app, [*words, *extra, *where])
    assert json.loads(again.stdout) == [found]  # the seconds too: no row was measured anew


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--optimizer", "lomo"], "one of adamw"),
        (["--optimizer", "torch.optim:Nothing", "--standard"], "can import from here"),
        (["--optimizer", "math:pi", "--standard"], "torch.optim.Optimizer"),
        (["--optimizer", "torch.optim:SGD"], "--standard"),
        (["--widths", "20,40"], "multiple of 16"),
        (["--widths", "32"], "2 ascending points"),
        (["--widths", "64,32"], "2 ascending points"),
        (["--widths", "a,b"], "whole numbers between commas"),
        (["--seeds", "1"], "2 seeds at least"),
        (["--lr", "-1"], "finite number > 0"),
        (["--lr", "nan"], "finite number > 0"),
        (["--at", "0"], "width >= 1"),
        (["--steps", "0"], "must be >= 1"),
        (["--option", "alpha=1"], "--option is for a class"),
        (["--optimizer", "torch.optim:SGD", "--standard", "--option", "lr=1"], "the rate is swept"),
        (["--text", "/nowhere/at/all.txt"], "does not exist"),
    ],
)
def test_a_wrong_call_is_one_sentence(tmp_path, text, words, sentence):
    base = ["tune", "--text", text, "--vocab", "256", "--out", str(tmp_path), "--workers", "0"]
    result = CliRunner().invoke(app, [*base, *words])
    assert isinstance(result.exception, ValueError) and sentence in str(result.exception), result.exception


def test_what_options_and_widths_mean():
    assert given(["b=1e-3", "a=(0.9, 0.99)", "c=word"]) == (("a", (0.9, 0.99)), ("b", 1e-3), ("c", "word"))
    assert numbers("32,64") == (32, 64)
    assert class_of("torch.optim:SGD").__name__ == "SGD"
