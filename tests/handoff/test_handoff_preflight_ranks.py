"""Preflight of sharded training = the record of the first rank: real tensors, FSDP2, shells.

    ranks in name only    a group that sends nothing, and the allocator's own record. What arrives from ranks that do not exist is whatever
                          lies in memory, so the numbers mean nothing and only their bytes are looked at
    gloo                  two and three processes, storage by storage: gloo sums what it should reduce and scatter, in copies that no
                          GPU makes and that come and go by chance, and those are no storages of torch's operations

oneDNN is left out: its products in bfloat16 take scratch memory of the size of their inputs on a CPU (up to 10 % of these peaks), where a
GPU has the workspace that preflight counts apart.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp

from sandbox.handoff.preflight.asked import DTYPES, Ask
from sandbox.handoff.preflight.preflight import Flight
from sandbox.handoff.preflight.systems import system
from sandbox.handoff.preflight.targets import Target
from sandbox.memory.allocator import allocations
from sandbox.memory.passes import Program, fake_ranks
from sandbox.models.gpt import GPTConfig
from sandbox.models.llama import LlamaConfig
from tests.handoff import gloo_ranks
from tests.handoff.gloo_ranks import Job

CONFIGS = {
    "gpt": GPTConfig(200, width=48, layers=3, heads=4, context=32),
    "llama": LlamaConfig(200, width=64, layers=3, heads=4, context=32, ffn=171),  # three ranks divide 171 rows, and not 64 or 200
}
TOKENS = 24
SYSTEMS = ("adamw", "adalomo", "came", "adam-mini", "galore", "gwt", "mesgc", "rso")
WITHIN = 0.05  # what is promised
SENT = [
    (world, family, name, compute) for world in (2, 3) for family, name in (("gpt", "adamw"), ("llama", "adalomo")) for compute in DTYPES
]


@pytest.fixture(autouse=True)
def no_onednn(monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


def flight_of(family: str, compute: str, world: int) -> Flight:
    return Flight(Ask(Target(family, CONFIGS[family], "own"), None, world, batch=2 * world, context=TOKENS, compute=compute))


def job_of(flight: Flight, name: str) -> Job:
    ask, config = flight.ask, flight.ask.target.config
    chosen = system(name, flight.model)
    program = Program(str, config.layers, config.vocab, 2, TOKENS, DTYPES[ask.weights], DTYPES[ask.compute], ask.world)
    return Job(config, dict(chosen.rules), program, chosen.way)


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize(
    ("name", "compute"), [*((name, "float32") for name in SYSTEMS), *((name, "bfloat16") for name in ("adamw", "adalomo", "came", "rso"))]
)
def test_preflight_is_within_five_percent_of_a_rank(name, family, compute):
    flight = flight_of(family, compute, 3)
    told = flight.of(system(name, flight.model)).peak
    with fake_ranks(3) as mesh:
        seen = gloo_ranks.peak(job_of(flight, name), mesh, lambda steps: allocations(steps).peak)
    assert told == pytest.approx(seen, rel=WITHIN)


@pytest.mark.parametrize("times", [2, 4])
def test_a_recovery_that_takes_more_than_what_waits_is_within_five_percent(times):
    """What waits in the end decides as long as a recovery is small, then the recovery; so both have been seen."""
    flight = flight_of("gpt", "float32", 3)
    chosen, job = system("mesgc", flight.model), job_of(flight, "mesgc")
    rules = {name: more(rule, times) for name, rule in chosen.rules.items()}
    told = flight.of(replace(chosen, rules=rules)).peak
    with fake_ranks(3) as mesh:
        seen = gloo_ranks.peak(replace(job, rules=rules), mesh, lambda steps: allocations(steps).peak)
    assert told == pytest.approx(seen, rel=WITHIN)


def more(rule, times):
    return replace(rule, sparsity=rule.sparsity * times, measurements=rule.measurements * times) if hasattr(rule, "sparsity") else rule


@pytest.fixture(scope="module")  # two spawns
def peaks(tmp_path_factory) -> dict[tuple, int]:
    found = {}
    for world in (2, 3):
        asked = [key for key in SENT if key[0] == world]
        jobs = [job_of(flight_of(family, compute, world), name) for _, family, name, compute in asked]
        folder = tmp_path_factory.mktemp("gloo")
        mp.spawn(gloo_ranks.run, (world, str(folder), jobs), world)
        found |= dict(zip(asked, json.loads(Path(folder, f"peaks-{world}.json").read_text()), strict=True))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("key", SENT, ids=str)
def test_so_it_is_where_ranks_really_send(key, peaks):
    world, family, name, compute = key
    flight = flight_of(family, compute, world)
    assert flight.of(system(name, flight.model)).peak == pytest.approx(peaks[key], rel=WITHIN)
