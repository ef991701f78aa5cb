"""Preflight = meter: the peak of real steps on the CPU, by the allocator's record, for systems of every way and both families.

The preflight runs no number: it reads timelines off fake tensors and adds formulas of states and updates. The meter trains a real model.
"""

import pytest
import torch

from sandbox.draws import generator
from sandbox.handoff.preflight.asked import Ask
from sandbox.handoff.preflight.preflight import Flight
from sandbox.handoff.preflight.systems import LR, NAMES, System, system
from sandbox.handoff.preflight.targets import Target
from sandbox.memory.training import Measured, measured, measured_by
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.llama import LlamaConfig
from sandbox.optimizers.subzero import SubZero, alignment, subspace
from sandbox.oracles.conservative import Conservative
from sandbox.oracles.forward_gradient import ForwardGradient
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import Directions
from sandbox.perturbations.low_rank import LowRank
from sandbox.shells.fused import Fused
from sandbox.shells.in_place import InPlace
from sandbox.shells.stepwise import Stepwise
from sandbox.shells.subspace import Subspace

WITHIN = 0.05  # what is promised
GPT, LLAMA = GPTConfig(600, width=32, layers=7, heads=4, context=32), LlamaConfig(200, width=32, layers=7, heads=4, context=32, kv_heads=2)
CASES = {"gpt, weights decide": (GPT, 4), "llama, activations decide": (LLAMA, 24)}  # a model, and tokens of a sequence; a large table
CROSSED = {"gpt, activations decide": (GPT, 24), "llama, weights decide": (LLAMA, 4)}
SIX = ("adamw", "lomo", "adalomo", "came", "adam-mini", "galore")
SYSTEMS = (
    "adamw", "adam", "sgd", "lomo", "adalomo", "adafactor", "came", "adam-mini", "galore", "galore-fused", "golore", "i3s", "gwt",
    "sgc", "mesgc", "sgc-adam", "cesgc", "rso", "rso-stepwise", "mezo", "zo-momentum", "zo-conservative", "zo-adam", "zo-sign", "subzero",
    "forward-gradient",
)  # fmt: skip
BLOCKS = {"gpt": GPTConfig(40, width=128, layers=2, heads=2, context=8), "llama": LlamaConfig(40, width=96, layers=2, heads=2, context=8)}
SEQUENCES = 2


def flight_of(config: GPTConfig | LlamaConfig, tokens: int) -> Flight:
    return Flight(Ask(Target("small", config, "own"), None, batch=SEQUENCES, context=tokens, weights="float32", compute="float32"))


@pytest.fixture(scope="module", params=CASES)
def flight(request) -> Flight:
    return flight_of(*CASES[request.param])


@pytest.fixture(scope="module", params=CROSSED)
def crossed(request) -> Flight:
    return flight_of(*CROSSED[request.param])


def meter(flight: Flight, chosen: System) -> Measured:
    config = flight.ask.target.config
    batch = torch.randint(config.vocab, (SEQUENCES, flight.ask.tokens + 1), generator=generator(0))

    def fresh():
        model, rules = build(config, 0), dict(chosen.rules)
        if chosen.way == "subspace":
            return model, Subspace(model, rules)
        if chosen.way == "in place":
            names = frozenset(flight.model.compressible())
            low = LowRank(SubZero(chosen.rules[min(names)], chosen.rank), subspace, alignment, 0, names) if chosen.rank else None
            oracle = Conservative(LR) if chosen.name == "zo-conservative" else TwoPoint(directions=Directions(low_rank=low))
            return model, InPlace(model.named_parameters(), rules, oracle)
        return model, (Fused if chosen.way == "fused" else Stepwise)(model.named_parameters(), rules)

    return measured_by(ForwardGradient(), fresh, batch) if chosen.way == "forward mode" else measured(fresh, batch)


def assert_met(flight: Flight, name: str) -> None:
    chosen = system(name, flight.model)
    found, seen = flight.of(chosen), meter(flight, chosen)
    assert found.peak == pytest.approx(seen.peak, rel=WITHIN)
    assert (found.bytes["weights"], found.bytes["states"]) == (seen.weights, seen.state)


@pytest.mark.parametrize("name", SYSTEMS)
def test_preflight_is_within_five_percent_of_the_meter(flight, name):
    assert_met(flight, name)


@pytest.mark.parametrize("name", SIX)
def test_so_it_is_where_the_other_kind_of_memory_decides(crossed, name):
    assert_met(crossed, name)


def test_every_system_has_met_the_meter():
    assert set(SYSTEMS) == set(NAMES)


@pytest.mark.parametrize("family", BLOCKS)
@pytest.mark.parametrize("name", ["sgc", "mesgc", "sgc-adam", "cesgc"])
def test_so_it_is_where_the_step_of_a_matrix_decides(name, family):
    """A small table and few tokens, so that the peak lies in measuring and recovering, which no test above has."""
    flight = flight_of(BLOCKS[family], 2)
    assert flight.of(system(name, flight.model)).at.startswith("the update of blocks.")
    assert_met(flight, name)
