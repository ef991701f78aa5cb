"""What the tests of preflight run on every rank of a group that really sends (gloo): a step of training, recorded storage by storage."""

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sandbox.draws import generator
from sandbox.memory.live import live_peak
from sandbox.memory.passes import _loss, _shard, blocks_of
from sandbox.models.initial import build
from sandbox.shells.compression import as_parameters, compress
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise
from sandbox.shells.subspace import Subspace


@dataclass(frozen=True)
class Job:
    """program: says dtypes.  way: of the shell."""

    config: Any
    rules: dict[str, Any]
    program: Any
    way: str


def peak(job: Job, mesh: Any, record: Any, times: int = 1) -> int:
    """Bytes that this rank keeps, and the most that its second and third step have beside them, by `record`: the least of so many times.

    A thread of gloo that is late holds what it has sent for longer, which only adds.
    """
    model = build(job.config, 0)
    if job.way == "subspace":
        compress(model, job.rules)
        as_parameters(model)
    _shard(model, blocks_of(model)[0], mesh, job.program)
    of = model if job.way == "subspace" else model.named_parameters()
    optimizer = {"fused": Fused, "stepwise": Stepwise, "subspace": Subspace}[job.way](of, job.rules, nonfinite="pass")
    tokens = torch.randint(job.config.vocab, (job.program.sequences, job.program.tokens + 1), generator=generator(0))
    step = partial(_step, model, optimizer, tokens)
    step()  # traces the steps of the rules, which costs memory of its own
    kept, seen = sum(p.to_local().nbytes for p in model.parameters()) + tokens.nbytes, []
    for _ in range(times):
        optimizer.zero_grad(set_to_none=True)
        optimizer.state.clear()  # so that states are born in the record, and deducted where new ones take their place
        seen.append(record(lambda: (step(), step())))
    return kept + min(seen)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, tokens: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    _loss(model, tokens).backward()
    optimizer.step()


def run(rank: int, world: int, folder: str, jobs: list[Job]) -> None:
    """Writes the peaks of the first rank."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting-{world}", rank=rank, world_size=world)
    mesh = dist.device_mesh.init_device_mesh("cpu", (world,))
    peaks = [peak(job, mesh, live_peak, times=3) for job in jobs]
    if rank == 0:
        Path(folder, f"peaks-{world}.json").write_text(json.dumps(peaks))
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # a thread of gloo may abort in the destructors of a process that has done its work
