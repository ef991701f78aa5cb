"""The script that trains the base model: its schedule on paper, the same bits twice, and the files it leaves."""

import importlib.util
import json
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
import torch

from sandbox.models.base_model import load
from sandbox.models.llama import LlamaConfig

SCRIPT = Path(__file__).parents[2] / "experiments" / "base_model.py"
SHORT = {"steps": 12, "warmup": 4}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("base_model_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PROBLEM = replace(
        module.PROBLEM,
        model=LlamaConfig(vocab=1024, width=16, layers=1, heads=2, context=32, tied=True),
        held_out_tokens=1024,
    )
    return module


def test_the_schedule_rises_in_a_line_and_falls_on_a_cosine(script):
    """Closed form: lr / warmup at step 0, lr after the warm-up, the mean of both ends half way, floor lr last."""
    setting = script.Setting(steps=1000, warmup=200, lr=2.0, floor=0.1)
    assert [script.rate(setting, step) for step in (0, 99, 199, 200)] == pytest.approx([0.01, 1.0, 2.0, 2.0], rel=1e-12)
    assert script.rate(setting, 600) == pytest.approx((2.0 + 0.2) / 2, rel=1e-12)
    assert script.rate(setting, 1000) == pytest.approx(0.2, rel=1e-12)


def test_training_twice_gives_the_same_bits(script):
    (one, rows), (two, _) = (script.train(script.PROBLEM, script.Setting(**SHORT)) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    other, _ = script.train(script.PROBLEM, script.Setting(seed=1, **SHORT))
    assert not torch.equal(one["embedding.weight"], other["embedding.weight"])
    assert rows[-1][0] == 12 and rows[-1][2] == script.PROBLEM.held_out(one)


def test_the_entropy_of_frequencies(script):
    """Closed form: half, quarter, quarter have entropy 1.5 ln 2."""
    assert script.unigram_entropy(torch.tensor([[0, 0, 1, 3]]), 5) == pytest.approx(1.5 * log(2), rel=1e-12)


def test_the_folder_it_leaves_can_be_loaded(script, tmp_path):
    script.main(tmp_path / "base", script.Setting(**SHORT))
    base = load(str(tmp_path / "base"))
    assert base.config == script.PROBLEM.model
    assert base.card["parameters"] == sum(p.numel() for p in base.params.values())
    assert json.loads((tmp_path / "base" / "card.json").read_text())["training"]["steps"] == 12
    assert (tmp_path / "base" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "base" / "loss.csv").read_text().splitlines()) == 2
