"""Every rule and frame on sharded parameters (FSDP2 over gloo), against the same run in one process.

One spawn per number of processes runs all combinations and returns a table; each test reads one row of it. The reference is
the plain stepwise run on whole tensors, which shares the rule but neither DTensor nor the traces nor the joined messages.
"""

import pytest
import torch
import torch.multiprocessing as mp

from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.galore import GaLore
from tests.shells import sharded_worker
from tests.test_conformance import RULES

LR = 0.05
ALSO = {  # where the sharded side matters
    "adam-mini, input columns": AdamMini(LR, n_blocks=2, dim=1),
    "galore of adam, both sides": GaLore(Adam(LR), rank=2, update_gap=7, side="both"),
    "galore, sharded side": GaLore(AdaLomo(LR, parameter_scale="off"), rank=2, update_gap=7, side=0),
    "galore, whole side": GaLore(Adam(LR), rank=2, update_gap=7, side=1, on_refresh="rotate"),
}
EVERY = {**RULES, **ALSO}
TOLERANCE = {  # 1e-12 elsewhere: ten steps of size 0.05 whose sums differ in their order
    # divides by the root of (u - m)^2 + 1e-16, which turns a difference of 1e-16 into one of up to 1e-8 near u = m
    "came": 1e-9,
    "galore of came": 1e-9,
    # its core is diagonal at a refresh: Adam divides what is only rounding beside the diagonal, 1e-16, by eps = 1e-8
    "galore of adam, both sides": 1e-8,
}
ROUNDS = {  # collectives of a step: the look at the gradients, then one for each sum that needs the sum before it
    "gradient descent": 1,
    "adamw": 1,
    "adam-mini, input columns": 2,
    "adalomo": 3,
    "came": 4,
    "galore, whole side": 1,
    "galore, sharded side": 2,
    "galore, side 0, reset": 3,
    "decay around rso": 1,
}
pytestmark = pytest.mark.slow
each_row = pytest.mark.parametrize("shell", sharded_worker.SHELLS)
each_rule = pytest.mark.parametrize("name", EVERY)


@pytest.fixture(scope="module", params=[2, 3], ids=lambda n: f"{n} processes")
def table(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    mp.spawn(sharded_worker.run, (request.param, str(folder), EVERY), request.param)
    return torch.load(folder / "table.pt", weights_only=False) | {"world": request.param}


def row(table, name, shell):
    found = table[name, shell]
    assert "error" not in found, found["error"]
    return found


def test_the_shards_are_unequal_and_one_is_empty(table):
    expected = {
        2: {"wide": [5, 5], "tall": [9, 8], "vector": [5, 5], "cube": [4, 3], "tiny": [1, 1]},
        3: {"wide": [4, 4, 2], "tall": [6, 6, 5], "vector": [4, 4, 2], "cube": [3, 3, 1], "tiny": [1, 1, 0]},
    }
    assert table["rows"] == expected[table["world"]]


@each_rule
def test_every_matrix_has_the_rule_itself(name):
    """The table must not be filled with the gradient descent that stands in for frames on vectors."""
    for tensor in ("wide", "tall"):
        assert type(sharded_worker.rules_of(EVERY[name])[tensor]) is type(EVERY[name])


@each_rule
@each_row
def test_follows_one_process(table, name, shell):
    """Ten steps of changing learning rate and betas, refreshes at 0, 4 and 8."""
    assert row(table, name, shell)["difference"] <= TOLERANCE.get(name, 1e-12)


@each_rule
@each_row
def test_no_sum_in_a_state_is_left_unfinished(table, name, shell):
    assert row(table, name, shell)["partial"] == []


@each_rule
@each_row
def test_a_run_resumed_through_torch_checkpoints_has_the_same_bits(table, name, shell):
    found = row(table, name, shell)
    assert found["sharded"] is True
    assert found["full"] is True or (found["full"] == sharded_worker.NOTHING_TO_LOAD and name in ("gradient descent", "sign descent"))


@pytest.mark.parametrize("name", ROUNDS)
def test_sums_that_wait_at_the_same_point_travel_together(table, name):
    """Five tensors, so a message for each would be five times as many."""
    assert row(table, name, "stepwise")["collectives"] <= ROUNDS[name]


def test_every_rank_says_the_same_of_a_bad_gradient(table):
    said = table["complaint"]
    assert len(set(said)) == 1 and said[0].startswith(
        "1 of 60 entries of the gradient of w are not finite, or not once squared and summed in torch.float"
    )


@pytest.mark.parametrize("what", ["state_dtype", "stochastic"])
def test_bfloat16_weights_have_the_bits_of_one_process(table, what):
    """Adam acts entry by entry, so no sum can differ; the random bits come from the whole tensor."""
    assert table[what]
