"""Preflight = torch.cuda.max_memory_allocated, where a GPU is at hand; skipped elsewhere. Runs as it is, in about two minutes.

    pytest tests/handoff/test_handoff_preflight_cuda.py -s        prints forecast and measured peak of every case

60M and 130M Llama-like models of Hugging Face, six systems, bfloat16 arithmetic on float32 weights by FSDP2 on one rank, as `sandbox train`
runs them with --precision bfloat16, and once recomputed block by block.
"""

from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch.utils.checkpoint import checkpoint

from sandbox.handoff.preflight.asked import Ask
from sandbox.handoff.preflight.hardware import Card, card_of
from sandbox.handoff.preflight.preflight import Flight
from sandbox.handoff.preflight.systems import system
from sandbox.handoff.preflight.targets import target_of
from sandbox.memory.passes import Program, _batch, _loss, _shard, blocks_of
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, to compare with what its allocator hands out"),
    pytest.mark.filterwarnings("ignore"),
]
WITHIN = 0.05  # what is promised
SYSTEMS = ("adamw", "sgd", "lomo", "adalomo", "came", "adam-mini", "galore")
CASES = (
    [("llama-60m", name, "off") for name in SYSTEMS]
    + [("llama-130m", name, "off") for name in SYSTEMS]
    + [("llama-130m", "adamw", "blocks")]
)


def here() -> Card:
    """The card of this machine: its memory, and the workspace of its generation; speeds are of no matter."""
    hopper = torch.cuda.get_device_capability()[0] >= 9
    return replace(card_of("h100" if hopper else "a100-80gb"), memory=torch.cuda.get_device_properties(0).total_memory)


@pytest.fixture(scope="module")
def mesh():
    """A group of this process alone."""
    torch.cuda.set_device(0)
    dist.init_process_group("nccl", store=dist.HashStore(), rank=0, world_size=1)
    yield dist.device_mesh.init_device_mesh("cuda", (1,))
    dist.destroy_process_group()


def measured(ask: Ask, chosen, mesh) -> int:
    """Bytes at the peak of the second and third step."""
    program = Program(
        ask.target.build, ask.target.config.layers, ask.target.config.vocab, ask.sequences, ask.tokens, compute=torch.bfloat16, world=1
    )
    with torch.device("cuda"):
        model = ask.target.build(ask.target.config.layers).train()
        tokens = _batch(program)
    blocks, _ = blocks_of(model)
    for block in blocks if ask.recompute == "blocks" else ():
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    _shard(model, blocks, mesh, program)
    optimizer = (Fused if chosen.way == "fused" else Stepwise)(model.named_parameters(), dict(chosen.rules))
    for k in range(3):
        if k == 1:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        optimizer.zero_grad(set_to_none=True)
        _loss(model, tokens).backward()
        optimizer.step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated()


@pytest.mark.parametrize(("size", "name", "recompute"), CASES)
def test_preflight_is_within_five_percent_of_the_gpu(size, name, recompute, mesh):
    """The forecast is made in a process of its own, since a sharded one may not be in a group here."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    ask = Ask(target_of(size, 512), here(), batch=16, recompute=recompute)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        told = pool.submit(forecast, ask, name).result()
    chosen = system(name, Flight(ask).model)
    torch.cuda.empty_cache()
    found = measured(ask, chosen, mesh)
    print(f"\n{size} {name} {recompute}: forecast {told / 1e6:,.0f} MB, measured {found / 1e6:,.0f} MB, {told / found - 1:+.1%}")
    assert told == pytest.approx(found, rel=WITHIN)


def forecast(ask: Ask, name: str) -> int:
    flight = Flight(ask)
    return flight.of(system(name, flight.model), exact=False).peak
