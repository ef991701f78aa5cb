"""Every system, sharded over two processes by FSDP2 (gloo), against the same card in one process; and what interrupts a job.

One spawn of two processes runs all of it and returns a table; each test reads its row. Two small ones stand beside it: a job whose last
rank is killed, and three processes that go on from a checkpoint of two. The one-process run has neither DTensor nor messages.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file

from sandbox.handoff.recipe import Recipe
from sandbox.handoff.rules import RULES
from sandbox.optimizers.adamw import AdamW
from sandbox.run import Schedule
from sandbox.scale.train import train
from tests.scale import sharded_jobs
from tests.scale.cards import card_of, tiny
from tests.scale.systems import LAYERED, SYSTEMS, rules_of

STEPS, EVERY = 20, 8
# In float64 sums in another order differ by some 1e-16, which twenty steps leave at 1e-16 to 1e-13.
TOLERANCE = 1e-10
# CAME divides by the root of (u - m)^2 + 1e-16, which turns a difference of 1e-16 into one of up to 1e-8 near u = m; the goal is 1e-5.
OF = dict.fromkeys(SYSTEMS, TOLERANCE) | {"CAME": 1e-6}
FUSED = ("AdamW", "AdaLomo", "GaLore", "RSO")
RESUMED = (("GaLore", "stepwise"), ("AdaLomo", "fused"), ("AdaLomo inside", "subspace"))
LAYERS = ("query", "key", "value", "out", "up", "gate", "down")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cards(place):
    """(name, shell) -> path of its card."""
    problem, found = tiny("scale_words.txt", width=16, batch_size=6, dtype="float64"), {}
    for name, rule in SYSTEMS.items():
        for shell in ("stepwise", "fused") if name in FUSED else ("stepwise",):
            recipe = Recipe(problem, rules_of(rule, problem), steps=STEPS, shell=shell, schedule=Schedule(STEPS, 3, 0.2))
            found[name, shell] = str(card_of(recipe, place / f"{name}-{shell}.json"))
    for name, rule in LAYERED.items():  # a card says "stepwise", whose numbers are the same
        recipe = Recipe(problem, rules_of(rule, problem), steps=STEPS, schedule=Schedule(STEPS, 3, 0.2))
        found[name, "subspace"] = str(card_of(recipe, place / f"{name}-layers.json"))
    return found


@pytest.fixture(scope="module")
def single(place):
    """A card in float32, and the same with bands for its own model."""
    recipe = Recipe(tiny("scale_words.txt", width=16, batch_size=6), AdamW(0.01), steps=STEPS)
    path = card_of(recipe, place / "single.json")
    train(path, foresee=place / "bands.json", say=lambda line: None)
    return str(path), str(place / "bands.json")


@pytest.fixture(scope="module")
def headed(place):
    """In float32, with RSO in the head too, which FSDP keeps whole in the dtype of the pass after a look at held-out text."""
    problem = tiny("scale_words.txt", width=16, batch_size=6)
    rules = rules_of(LAYERED["RSO"], problem) | {"head.weight": LAYERED["RSO"]}
    return str(card_of(Recipe(problem, rules, steps=STEPS), place / "headed.json"))


@pytest.fixture(scope="module")
def killed(place, cards):
    """(name, shell) -> the folder of a job on two ranks whose last rank was killed after ten steps, as it was found."""
    found = {}
    for key in RESUMED:
        found[key] = place / f"killed-{key[0]}"
        jobs = {"it": (cards[key], {"shell": key[1], "out": found[key], "checkpoint_every": EVERY, "fault": "killed"})}
        with pytest.raises(mp.ProcessExitedException, match="SIGKILL"):
            mp.spawn(sharded_jobs.run, (2, str(place), jobs, f"killed-{key[0]}-meeting"), 2)
    return found


@pytest.fixture(scope="module")
def table(place, cards, single, headed, killed):
    jobs = {key: (path, {"shell": key[1]}) for key, path in cards.items()}
    jobs["WeightDecay", "subspace"][1]["out"] = place / "layers"
    for key in RESUMED:
        shutil.copytree(killed[key], again := place / f"again-{key[0]}")
        jobs[key, "again"] = (cards[key], {"shell": key[1], "out": again, "checkpoint_every": EVERY})
    path, bands = single
    jobs |= {
        "recomputed": (path, {"recompute": "blocks"}),
        "compiled": (path, {"compile": "eager"}),
        "in passes": (path, {"accumulate": 3}),
        "bfloat16": (path, {"precision": "bfloat16", "steps": 3}),
        "bands": (bands, {}),
        "unsharded": (bands, {"fault": "unsharded"}),
        "uneven": (path, {"batch": 5}),
        "layers, another way": (headed, {"shell": "subspace", "recompute": "blocks", "compile": "eager", "accumulate": 3}),
        "layers, bfloat16": (headed, {"shell": "subspace", "precision": "bfloat16", "out": place / "bfloat16"}),
    }
    mp.spawn(sharded_jobs.run, (2, str(place), jobs, "two"), 2)
    return torch.load(place / "two.pt", weights_only=False)


def row(table, key):
    found = table[key]
    assert "losses" in found, found.get("error") or found
    return found


def test_every_class_that_a_card_can_hold_is_trained():
    assert {type(rule).__name__ for rule in SYSTEMS.values()} == set(RULES) == set(SYSTEMS)


@pytest.mark.parametrize("name", SYSTEMS)
def test_twenty_steps_equal_one_process(name, table, cards):
    for shell in ("stepwise", "fused"):
        if (name, shell) in cards:
            alone, many = sharded_jobs.outcome(cards[name, shell], {}), row(table, (name, shell))
            assert many["losses"] == pytest.approx(alone["losses"], rel=OF[name], abs=0)
            assert many["held_out"] == pytest.approx(alone["held_out"], rel=OF[name], abs=0)
            assert len(set(many["losses"])) == STEPS  # it has moved


@pytest.mark.parametrize("name", LAYERED)
def test_layers_on_two_ranks_make_the_steps_of_the_frame_in_one_process(name, table, cards):
    """Against the stepwise shell on whole weights: no layers, no coefficients, no ranks."""
    alone, many = sharded_jobs.outcome(cards[name, "subspace"], {}), row(table, (name, "subspace"))
    assert many["losses"] == pytest.approx(alone["losses"], rel=TOLERANCE, abs=0)
    assert many["held_out"] == pytest.approx(alone["held_out"], rel=TOLERANCE, abs=0)
    assert len(set(many["losses"])) == STEPS


def test_layers_leave_the_weights_that_the_frame_leaves(table, cards, place):
    row(table, ("WeightDecay", "subspace"))
    sharded_jobs.outcome(cards["WeightDecay", "stepwise"], {"out": place / "frame"})
    ours, theirs = (load_file(place / folder / "weights.safetensors") for folder in ("layers", "frame"))
    assert ours.keys() == theirs.keys()
    for name, w in ours.items():
        torch.testing.assert_close(w, theirs[name], rtol=TOLERANCE, atol=TOLERANCE)


def test_of_a_layer_each_rank_has_its_rows_and_gradients_of_coefficients_alone(table):
    """Width 16, hidden 48 and rank 2 on two ranks: half of the rows of W, of its basis P and of B; nothing whole beside them."""
    parts = row(table, ("RSO", "subspace"))["parts"]
    up = {name.rpartition(".")[2]: shapes for name, shapes in parts.items() if ".up." in name}
    m, n, r = 2 * up["W"][0][0], up["W"][0][1], 2
    assert (m, n) == (2 * up["B"][0][0], 16) and m > n
    assert up == {"W": ((m // 2, n), None), "P": ((n // 2, r), None), "B": ((m // 2, r), (m // 2, r))}
    assert sum(name.endswith(".P") for name in parts) == len(LAYERS)


@pytest.mark.parametrize("key", RESUMED)
def test_a_job_whose_rank_was_killed_goes_on_where_it_was(key, table, killed):
    """The same bits as without the kill, from the checkpoint before it."""
    assert [path.name for path in sorted((killed[key] / "checkpoints").glob("step-*"))] == ["step-00000008"]
    assert not (killed[key] / "losses.csv").exists()
    again = row(table, (key, "again"))
    assert any(line.startswith("goes on after step 8 of 20") for line in again["said"])
    assert again["losses"] == row(table, key)["losses"] and again["held_out"] == row(table, key)["held_out"]


@pytest.mark.parametrize("key", RESUMED)
def test_one_process_goes_on_from_two(key, table, killed, cards, place):
    shutil.copytree(killed[key], out := place / f"one-{key[0]}")
    found = sharded_jobs.outcome(cards[key], {"shell": key[1], "out": out})
    assert any(line.startswith("goes on after step 8 of 20") for line in found["said"])
    assert found["losses"] == pytest.approx(row(table, key)["losses"], rel=TOLERANCE, abs=0)


def test_three_processes_go_on_from_two(table, killed, cards, place):
    jobs = {}
    for key in RESUMED:
        shutil.copytree(killed[key], out := place / f"three-{key[0]}")
        jobs[key] = (cards[key], {"shell": key[1], "out": out})
    mp.spawn(sharded_jobs.run, (3, str(place), jobs, "three"), 3)
    found = torch.load(place / "three.pt", weights_only=False)
    for key in RESUMED:
        assert any(line.startswith("goes on after step 8 of 20") for line in row(found, key)["said"])
        assert found[key]["losses"] == pytest.approx(row(table, key)["losses"], rel=TOLERANCE, abs=0)


@pytest.mark.parametrize("way", ["recomputed", "compiled", "in passes"])
def test_other_ways_to_the_same_numbers(way, table, single):
    """float32: the tolerance of the card, which ten losses of float32 keep by a factor of 60."""
    assert row(table, way)["losses"] == pytest.approx(sharded_jobs.outcome(single[0], {})["losses"], rel=1e-5, abs=0)


def test_layers_recomputed_compiled_and_in_passes(table, headed):
    """float32: the tolerance of the card."""
    found = row(table, "layers, another way")["losses"]
    assert found == pytest.approx(sharded_jobs.outcome(headed, {})["losses"], rel=1e-5, abs=0)


def test_layers_in_bfloat16_keep_weights_and_bases_as_the_card_says(table, place):
    """The losses are those of the card in both dtypes; what is kept and written has the digits of float32, the head's too."""
    said = row(table, "layers, bfloat16")["said"]
    assert said[1].endswith("losses are those of the card (rtol 1e-05)") and "losses in bfloat16 are those" in said[2]
    for name, w in load_file(place / "bfloat16" / "weights.safetensors").items():
        if w.ndim == 2:  # norms begin at 1
            assert w.dtype == torch.float32 and (w != w.bfloat16().float()).double().mean() > 0.9, name


def test_bfloat16_first_shows_the_losses_in_both_dtypes(table):
    said = row(table, "bfloat16")["said"]
    assert said[1].endswith("losses are those of the card (rtol 1e-05)") and "losses in bfloat16 are those" in said[2]


def test_states_that_every_rank_holds_whole_are_caught(table):
    assert row(table, "bands")["said"][-2].startswith("step 20 of 20") and len(table["bands"]["losses"]) == STEPS
    found = table["unsharded"]
    assert found["kind"] == "CanaryFailed"
    assert found["refused"].startswith("states of all 2 ranks together must take") and ", 2.00 times; " in found["refused"]
    assert "likeliest: it is whole on every rank, not sharded" in found["refused"]


def test_what_cannot_be_dealt_out_is_refused_by_all_ranks(table):
    assert table["uneven"]["refused"] == (
        "the 5 windows of a step must be a multiple of 2 ranks x 1 passes = 2: give --batch 6, or another number of ranks"
    )


def test_torchrun_starts_the_command_and_speaks_once(place, single):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "sandbox.cli", "train", single[0]]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--steps", "3", "--out", "run"], cwd=place, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum("3 steps on cpu on 2 ranks" in line for line in lines) == sum(line.startswith("held-out loss") for line in lines) == 1
    assert sorted(file.name for file in (place / "run").iterdir()) == ["losses.csv", "weights.safetensors"]
