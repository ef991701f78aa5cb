"""Training from a card: its ten losses first, the loop of `sandbox.run` as a second channel, files that come back."""

import csv
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sandbox.handoff.canary import RTOL, canary, canary_code
from sandbox.handoff.recipe import Recipe, parts_of
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.run import Schedule, run
from sandbox.scale.loop import Run
from sandbox.scale.train import CanaryFailed, train
from tests.scale.cards import EVIDENCE, card_of, text_in, tiny


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """A card reads texts below its own folder and the working folder alone, so the working folder is that of the text."""
    folder, before = tmp_path_factory.mktemp("text"), os.getcwd()
    os.chdir(folder)
    yield tiny(text_in(folder))
    os.chdir(before)


def rules(problem, method):
    framed = RSO(Adam(0.02), rank=2, update_gap=3)
    table = {
        "adamw": AdamW(0.02),
        "lomo": GradientDescent(0.1),
        "rso": {n: framed if r.kind in ("query", "ffn_in") else Adam(0.02) for n, r in problem.roles.items()},
    }
    return table[method]


@pytest.fixture
def recipe(problem):
    return Recipe(problem, rules(problem, "adamw"), steps=25, schedule=Schedule(25, 4, 0.2))


@pytest.fixture
def path(recipe, tmp_path):
    return card_of(recipe, tmp_path / "card.json")


CASES = [("adamw", "stepwise"), ("lomo", "fused"), ("rso", "stepwise"), ("rso", "fused")]


@pytest.mark.parametrize(("method", "shell"), CASES)
def test_training_makes_the_steps_of_the_small_loop(method, shell, problem, tmp_path):
    """`sandbox.run.run` with its own driver, in float64; RSO refreshes eight times on the way.

    The fused runs both go through backward(): same bits. The stepwise one of `run` takes torch.func.grad, which sums
    in another order.
    """
    problem = replace(problem, dtype="float64")
    recipe = Recipe(problem, rules(problem, method), steps=25, shell=shell, schedule=Schedule(25, 4, 0.2))
    said = []
    done = train(card_of(recipe, tmp_path / "card.json"), out=tmp_path / "out", say=said.append)
    trace = run(problem, recipe.rules, steps=25, seed=0, shell=shell, schedule=recipe.schedule)
    rtol = 0 if shell == "fused" else 1e-10  # 25 steps x rounding of 1e-16, amplified by Adam where a gradient is near 0
    np.testing.assert_allclose(done.losses, trace.loss, rtol=rtol, atol=0)
    weights = load_file(tmp_path / "out" / "weights.safetensors")
    assert set(weights) == set(trace.final)
    for name, w in weights.items():
        np.testing.assert_allclose(w.numpy(), trace.final[name], rtol=rtol, atol=rtol)
    assert done.held_out == problem.held_out(weights)
    assert any("the first 10 losses are those of the card (rtol 1e-05)" in line for line in said)


def test_the_losses_are_written_to_the_last_bit(path, tmp_path):
    done = train(path, steps=12, out=tmp_path / "out", say=lambda line: None)
    with open(tmp_path / "out" / "losses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(12))
    assert tuple(float(row["loss"]) for row in rows) == done.losses
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["losses.csv", "weights.safetensors"]
    assert done.files == (tmp_path / "out" / "losses.csv", tmp_path / "out" / "weights.safetensors")


def test_the_card_says_how_many_steps_and_where_it_stands_is_said(path):
    said = []
    done = train(path, say=said.append)
    assert len(done.losses) == 25 and done.files == ()
    assert "25 steps on cpu" in said[0] and said[-2].startswith("step 25 of 25: ") and said[-1].startswith("held-out loss ")


def test_ten_steps_repeat_bit_for_bit(path):
    first, second = (train(path, steps=10, say=lambda line: None) for _ in range(2))
    assert first == second


def test_training_lowers_the_loss(path):
    done = train(path, say=lambda line: None)
    assert done.losses[-1] < done.losses[0] - 0.5  # from ln 20 = 3.0 nats; the letters' frequencies alone give 2.7


@pytest.mark.parametrize("lr", [0.0202, 0.04])
def test_another_learning_rate_stops_the_run_before_it_writes(lr, recipe, tmp_path):
    """A card whose losses are of lr = 0.02 and whose settings say otherwise, sealed again: 1 % is enough to be seen."""
    other = parts_of(replace(recipe, rules=AdamW(lr)))
    path = card_of(recipe, tmp_path / "card.json", optimizer=other.optimizer)
    with pytest.raises(CanaryFailed, match=f"reproduced to rtol {RTOL:g}, but the loss before step"):
        train(path, out=tmp_path / "out", say=lambda line: None)
    assert not (tmp_path / "out").exists()


def test_fewer_than_ten_steps_are_held_to_as_many_losses(recipe, tmp_path):
    wrong = canary(recipe)
    wrong = wrong.model_copy(update={"losses": [*wrong.losses[:2], 9.0, *wrong.losses[3:]], "code": canary_code()})
    path = card_of(recipe, tmp_path / "card.json", canary=wrong)
    assert len(train(path, steps=2, say=lambda line: None).losses) == 2
    with pytest.raises(CanaryFailed, match="before step 2"):
        train(path, steps=3, say=lambda line: None)


def test_a_loss_that_is_not_finite_stops_the_run(problem, tmp_path, monkeypatch):
    """Weights that overflow before step 12: the ten losses before are good ones."""
    path, straight = card_of(Recipe(problem, GradientDescent(0.1), steps=40), tmp_path / "card.json"), Run.step

    def step(self):
        for w in self.model.parameters() if len(self.losses) == 12 else ():
            w.data *= 1e38
        return straight(self)

    monkeypatch.setattr(Run, "step", step)
    with pytest.raises(CanaryFailed, match=r"the loss before step 1\d is (nan|inf); 1\d steps were made, nothing was written"):
        train(path, out=tmp_path / "out", say=lambda line: None)
    assert not (tmp_path / "out").exists()


def test_cuda_is_refused_in_a_sentence_where_there_is_none(path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device 'cuda' needs a CUDA device .* sees none; use device 'cpu'"):
        train(path, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_reproduces_the_cards_losses(path):
    done = train(path, device="cuda", say=lambda line: None)
    assert np.isfinite(done.losses).all()


def test_other_devices_and_no_steps_are_refused(path):
    with pytest.raises(ValueError, match="must be 'cpu' or 'cuda', got 'tpu'"):
        train(path, device="tpu")
    with pytest.raises(ValueError, match="steps >= 1, got 0"):
        train(path, steps=0)


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(path, tmp_path):
    said = []
    with pytest.raises(ValueError, match=f"to a folder that can be written, and {path} cannot"):
        train(path, out=path, say=said.append)
    assert said == []


def test_a_tampered_card_and_weak_evidence_are_refused(recipe, path, tmp_path):
    weak = card_of(recipe, tmp_path / "weak.json", evidence=[EVIDENCE.model_copy(update={"outcome": "VIOLATED"})])
    with pytest.raises(ValueError, match="weak.json may not be used: a card needs verdicts that hold; a.b is VIOLATED"):
        train(weak)
    path.write_text(path.read_text().replace('"floor": 0.2', '"floor": 0.3'))
    with pytest.raises(ValueError, match="may not be used: the digest of the card's content"):
        train(path)


def test_another_text_is_refused(recipe, tmp_path):
    data = parts_of(recipe).data.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ValueError, match="may not be used: .* it is another text"):
        train(card_of(recipe, tmp_path / "card.json", data=data))
