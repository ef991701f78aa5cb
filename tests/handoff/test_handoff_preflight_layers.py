"""Preflight of layers in subspaces under FSDP2 = what the first rank of the trainer's own model keeps, by the allocator's record.

The ranks are there in name only: what should arrive from the others is whatever lies in memory, so bytes alone are looked at.
"""

from dataclasses import replace
from math import prod

import pytest
import torch

from sandbox.draws import generator
from sandbox.handoff.preflight.asked import DTYPES, Ask
from sandbox.handoff.preflight.moments import Rank
from sandbox.handoff.preflight.preflight import Flight
from sandbox.handoff.preflight.roofline import sent
from sandbox.handoff.preflight.systems import System, system
from sandbox.handoff.preflight.targets import Target
from sandbox.memory.allocator import allocations
from sandbox.memory.passes import fake_ranks
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.llama import LlamaConfig
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import with_fields
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.scale.fsdp import prepared
from sandbox.scale.job import Job, Ranks
from sandbox.scale.loop import loss_of
from sandbox.shells.compression import as_parameters, compress
from sandbox.shells.subspace import Subspace

CONFIGS = {
    "gpt": GPTConfig(200, width=48, layers=3, heads=4, context=32),
    "llama": LlamaConfig(200, width=64, layers=3, heads=4, context=32, ffn=171),  # three ranks divide 171 rows, and not 64 or 200
}
TOKENS, WORLD = 24, 3
CASES = [(family, compute) for family in CONFIGS for compute in DTYPES]
WITHIN = 1e-3  # operations on single numbers; the promise is 0.05


@pytest.fixture(autouse=True)
def no_onednn(monkeypatch) -> None:
    """Its products in bfloat16 take scratch memory of the size of their inputs."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)


def flight_of(family: str, compute: str, config: GPTConfig | None = None) -> Flight:
    config = config or CONFIGS[family]
    return Flight(Ask(Target(family, config, "own"), None, WORLD, batch=2 * WORLD, context=min(TOKENS, config.context), compute=compute))


def first_rank(flight: Flight, rules: dict) -> tuple[int, int]:
    """Bytes of weights that it keeps, and the most in two steps, its batch among them."""
    ask, config = flight.ask, flight.ask.target.config
    model = build(config, 0)
    compress(model, rules)
    as_parameters(model)
    with fake_ranks(WORLD) as mesh:
        ranks = Ranks(0, WORLD, torch.device("cpu"), mesh)
        prepared(model, Job(precision="bfloat16" if ask.compute == "bfloat16" else "card"), ranks)
        optimizer = Subspace(model, rules, nonfinite="pass")
        batch = torch.randint(config.vocab, (2, ask.tokens + 1), generator=generator(0))

        def step() -> None:
            optimizer.zero_grad()
            loss_of(model, batch).backward()
            optimizer.step()

        step()  # traces the steps of the rules, which costs memory of its own
        optimizer.zero_grad()
        optimizer.state.clear()  # so that states are born in the record
        kept = sum(p.to_local().nbytes for p in model.parameters())
        return kept, kept + batch.nbytes + allocations(lambda: (step(), step())).peak


@pytest.mark.parametrize(("family", "compute"), CASES)
def test_preflight_is_what_the_first_rank_keeps_and_needs(family, compute):
    flight = flight_of(family, compute)
    chosen = system("rso", flight.model)
    told, (kept, peak) = flight.of(chosen), first_rank(flight, dict(chosen.rules))
    assert told.bytes["weights"] == kept
    assert told.peak == pytest.approx(peak, rel=WITHIN)


def test_states_of_a_round_that_has_ended_do_not_wait_for_the_next_step():
    """A round in every step, and so small a batch that the peak is all coefficients, states and gathered blocks: two old moments show."""
    flight = flight_of("gpt", "float32", GPTConfig(12, width=128, layers=2, heads=2, context=2))
    chosen = system("rso", flight.model)
    rules = {n: with_fields(rule, update_gap=1) if isinstance(rule, RSO) else rule for n, rule in chosen.rules.items()}
    told = flight.of(replace(chosen, rules=rules))
    assert told.peak == pytest.approx(first_rank(flight, rules)[1], rel=WITHIN)
    assert told.bytes["states"] > 20 * WITHIN * told.peak  # would be seen


def test_weights_and_bases_are_gathered_and_coefficients_reduced():
    """Numbers of one rank: all but tables twice; a round of 4 steps gathers the bases of its layers twice, decay in every step."""
    flight, r, gap = flight_of("gpt", "float32"), 2, 4
    blocks = {n: s for n, s in flight.model.shapes.items() if n in flight.model.compressible()}

    def sent_by(rule) -> tuple[int, int, int]:
        rules = {n: rule if n in blocks else Adam(1e-3) for n in flight.model.shapes}
        return sent(Rank(flight.ask, flight.model, System("rso", "subspace", rules, r)))

    frame = RSO(Adam(1e-3), rank=r, update_gap=gap)
    found, decayed = sent_by(frame), sent_by(WeightDecay(frame, 0.1))

    def part(*shape: int) -> int:
        return -(-shape[0] // WORLD) * prod(shape[1:])

    plain = {n: part(*s) for n, s in flight.model.shapes.items() if n not in blocks}
    once = sum(plain[n] for n in plain if flight.model.roles[n].kind in ("embedding", "position", "head"))
    bases, coefficients = (sum(part(s[side], r) for s in blocks.values()) for side in (1, 0))
    twice = sum(plain.values()) - once + bases + coefficients + sum(part(*s) for s in blocks.values())
    assert found.gathered == (WORLD - 1) * 4 * (once + 2 * twice)
    assert found.reduced == (WORLD - 1) * 4 * (sum(plain.values()) + coefficients)
    assert found.rule == (WORLD - 1) * 4 * bases * 2 // gap and decayed.rule - found.rule == (WORLD - 1) * 4 * bases
