"""Every system, sharded over two processes by FSDP2 (gloo), against the same card in one process; and what interrupts a job.

One spawn runs all of it and returns a table; each test reads its row. The one-process run has neither DTensor nor messages.
"""

import os

import pytest
import torch
import torch.multiprocessing as mp

from sandbox.handoff.recipe import Recipe
from sandbox.handoff.rules import RULES
from sandbox.run import Schedule
from tests.scale import sharded_jobs
from tests.scale.cards import card_of, text_in, tiny
from tests.scale.systems import SYSTEMS, rules_of

STEPS = 20
# In float64 sums in another order differ by some 1e-16; twenty steps and Adam's division by small moments leave far less than this.
TOLERANCE = dict.fromkeys(SYSTEMS, 1e-9)
FUSED = ("AdamW", "AdaLomo", "GaLore", "RSO", "GradientDescent")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    before, found = os.getcwd(), tmp_path_factory.mktemp("sharded")
    os.chdir(found)
    text_in(found)
    yield found
    os.chdir(before)


@pytest.fixture(scope="module")
def cards(folder):
    """name -> path of its card."""
    problem, found = tiny("words.txt", width=16, batch_size=6, dtype="float64"), {}
    for name, rule in SYSTEMS.items():
        for shell in ("stepwise", "fused") if name in FUSED else ("stepwise",):
            recipe = Recipe(problem, rules_of(rule, problem), steps=STEPS, shell=shell, schedule=Schedule(STEPS, 3, 0.2))
            found[name, shell] = str(card_of(recipe, folder / f"{name}-{shell}.json"))
    return found


@pytest.fixture(scope="module")
def table(folder, cards):
    jobs = {key: (path, {}) for key, path in cards.items()}
    mp.spawn(sharded_jobs.run, (2, str(folder), jobs, "two"), 2)
    return torch.load(folder / "two.pt", weights_only=False)


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
            alone = sharded_jobs.outcome(cards[name, shell], {})
            many = row(table, (name, shell))
            assert many["losses"] == pytest.approx(alone["losses"], rel=TOLERANCE[name], abs=0)
            assert many["held_out"] == pytest.approx(alone["held_out"], rel=TOLERANCE[name], abs=0)
            assert len(set(many["losses"])) == STEPS  # it has moved
