"""What the first rank keeps, against the states that the rules make of DTensors on ranks that exist in name only."""

from math import prod

import pytest
import torch

from sandbox.draws import generator
from sandbox.memory import shards
from sandbox.memory.passes import fake_ranks
from sandbox.memory.shards import is_spread, is_whole, messages, rows_of_first, state_of_rank, summed_by
from sandbox.memory.states import state_of
from sandbox.memory.temporaries import temporaries_of
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import advance, due
from sandbox.optimizers.came import CAME
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.optimizers.subzero import SubZero
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.flat_state import leaves

WORLD = 4
RULES = {
    "Adam": Adam(0.1),
    "AdamW": AdamW(0.1),
    "momentum": GradientDescent(0.1, momentum=0.9),
    "AdaLomo": AdaLomo(0.1),
    "Adafactor": Adafactor(0.1),
    "CAME": CAME(0.1),
    "GaLore": GaLore(Adam(0.1), 4),
    "GaLore 0": GaLore(Adam(0.1), 4, side=0),
    "GaLore 1": GaLore(Adam(0.1), 4, side=1),
    "GaLore both": GaLore(Adam(0.1), 4, side="both"),
    "GoLore": GoLore(Adam(0.1), 4),
    "I3S": I3S(Adam(0.1), 4),
    "RSO": RSO(Adam(0.1), 4, 200),
    "GWT": GWT(Adam(0.1), 2),
    "SGC": SGC(Adam(0.1), 16, 32, chunks=2),
    "SGCAdam": SGCAdam(0.1, 16, 32, chunks=2),
    "CESGC": CESGC(SGC(Adam(0.1), 16, 32, chunks=2), 4),
    "SubZero": SubZero(GradientDescent(0.1), 4),
    "decayed GaLore": WeightDecay(GaLore(Adam(0.1), 4), 0.1),
    "Adam-mini whole": AdamMini(0.1, n_blocks=1),
    "Adam-mini by 2": AdamMini(0.1, n_blocks=2),
    "Adam-mini by row": "rows",
}


def of_first_rank(rule, shape) -> int:
    """Bytes of the state after a step of the rule on a tensor sharded over ranks, on this one, the first."""
    from torch.distributed.tensor import Shard, distribute_tensor

    with fake_ranks(WORLD) as mesh:
        w, g = (distribute_tensor(torch.randn(shape, generator=generator(0)), mesh, [Shard(0)]) for _ in range(2))
        draw = rule.draw(generator(0), shape) if due(rule, 0) else None
        _, state = advance(rule, g, rule.init(w), w, 0, draw)
        return sum(getattr(x, "_local_tensor", x).nbytes for x in leaves(state) if isinstance(x, torch.Tensor))


@pytest.mark.parametrize("shape", [(26, 16), (16, 34), (6, 8)], ids=["tall", "wide", "short"])
@pytest.mark.parametrize("name", RULES)
def test_state_of_the_first_rank_is_what_the_rule_makes(name, shape):
    """Rows that the ranks divide and rows that they do not."""
    rule = AdamMini(0.1, n_blocks=shape[0]) if RULES[name] == "rows" else RULES[name]
    assert state_of_rank(rule, shape, WORLD, 4) == of_first_rank(rule, shape)


def test_one_rank_keeps_what_the_formula_says():
    assert all(state_of_rank(rule, (26, 16), 1, 4) == state_of(rule, (26, 16), 4) for rule in RULES.values() if rule != "rows")


@pytest.mark.parametrize(("rows", "world", "first"), [(26, 4, 7), (3, 8, 1), (8, 8, 1), (9, 8, 2)])
def test_the_first_rank_has_the_most_rows(rows, world, first):
    chunks = torch.zeros(rows, 5).chunk(world)
    assert rows_of_first((rows, 5), world) == (first, 5) == tuple(chunks[0].shape)


def test_moments_of_a_compressed_side_zero_are_cut_along_the_other_side():
    """A square weight is compressed on the side that is sharded: each rank has the whole basis and its columns of Adam's moments."""
    adam, square = GaLore(Adam(0.1), 4), (16, 16)
    assert is_spread(adam, square) and not is_spread(adam, (17, 16))
    assert state_of_rank(adam, square, WORLD, 4) == 4 * 16 * 4 + 2 * 4 * 4 * 16 // WORLD
    assert state_of_rank(adam, (16, 18), WORLD, 4) == 4 * 16 * 4 + 2 * 4 * 4 * 5  # ranks of 5, 5, 5 and 3 columns


@pytest.mark.parametrize("rule", [GaLore(AdaLomo(0.1, parameter_scale="off"), 4), GaLore(Adam(0.1), 4, side="both")], ids=["rows", "both"])
def test_a_rule_that_sees_rows_of_coefficients_has_them_whole(rule):
    assert not is_spread(rule, (16, 16)) and is_whole(rule, (16, 16))
    assert state_of_rank(rule, (16, 16), WORLD, 4) == state_of(rule, (16, 16), 4) == of_first_rank(rule, (16, 16))


def test_tensors_of_a_bucket_wait_together():
    """AdaLomo has two numbers of each entry while its sums are under way; 2^25 entries of all ranks are a bucket, so two of these three:
    one in its step, of which they are a part, and one that waits."""
    shapes = {"a": (2**12, 2**12), "b": (2**12, 2**12), "c": (2**12, 2**12)}
    quarter, part = (2**10, 2**12), 4 * 2**22
    alone, adam = temporaries_of(AdaLomo(0.1), quarter, 4), temporaries_of(Adam(0.1), quarter, 4)
    assert shards.step_of_model(shapes, dict.fromkeys(shapes, AdaLomo(0.1)), 4, 4) == (alone + 2 * part, "a")
    assert shards.step_of_model(shapes, dict.fromkeys(shapes, Adam(0.1)), 4, 4) == (adam, "a")
    assert shards.step_of_model(shapes, dict.fromkeys(shapes, AdaLomo(0.1)), 1, 4)[0] == temporaries_of(AdaLomo(0.1), (2**12, 2**12), 4)


@pytest.mark.parametrize(("rule", "numbers"), [(CAME(0.1), 3), (AdaLomo(0.1), 2), (Adafactor(0.1), 2), (Adam(0.1), 0)])
def test_numbers_of_an_entry_that_wait_for_sums(rule, numbers):
    """CAME has its new first moment beside the step and its square; gradient descent on entries waits for nothing."""
    assert shards.waits(rule, (10, 6), 4, 4) == 4 * numbers * 3 * 6
    assert shards.waits(WeightDecay(rule, 0.1), (10, 6), 4, 2) == 4 * numbers * 3 * 6


def test_a_decomposition_has_the_whole_gradient():
    whole = 4 * 26 * 16
    assert shards.step_of_rank(GaLore(Adam(0.1), 4), (26, 16), WORLD, 4) == whole + temporaries_of(GaLore(Adam(0.1), 4), (26, 16), 4)
    assert shards.step_of_rank(GoLore(Adam(0.1), 4), (26, 16), WORLD, 4) < whole + temporaries_of(GoLore(Adam(0.1), 4), (26, 16), 4)


def test_factored_rules_work_in_float32_on_narrow_weights():
    """Copies of gradient and weight in float32, and everything else as for float32."""
    assert shards.step_of_rank(AdaLomo(0.1), (26, 16), 1, 2) == temporaries_of(AdaLomo(0.1), (26, 16), 4) + 2 * 4 * 26 * 16


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("AdamW", 0),
        ("RSO", 0),
        ("Adam-mini by 2", 2),
        ("AdaLomo", 16),
        ("CAME", 32),
        ("SGC", 416),
        ("GaLore 1", 416 / 200),
        ("GaLore 0", 64 + 416 / 200),
    ],
)
def test_numbers_that_a_rule_sends(name, numbers):
    assert summed_by(RULES[name], (26, 16)) == pytest.approx(numbers)


def test_rows_of_adam_mini_send_nothing():
    shapes = {"a": (26, 16), "b": (8,)}
    assert messages(shapes, {"a": AdamMini(0.1, n_blocks=26), "b": AdamMini(0.1, n_blocks=8)}) == 0.0
    assert messages(shapes, {"a": AdaLomo(0.1), "b": AdaLomo(0.1)}) == 16.0 and prod(shapes["b"]) == 8
