"""What one process of a sharded training does: a list of jobs, one after another, in one group of ranks.

Started by tests/scale/test_scale_sharded.py; rank 0 writes what came out. A job may have a "fault": "killed" ends the last rank in the
middle of the training, "unsharded" gathers every state whole on all ranks after the first step. What lies on rank 0 of the model is noted.
"""

import os
import signal
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Replicate

from sandbox.optimizers.sharding import local
from sandbox.scale.loop import Run
from sandbox.scale.train import CanaryFailed, train

DIES_AFTER = 10


def run(rank, world, folder, jobs, meeting):
    """jobs: name -> (card, options)."""
    torch.set_num_threads(1)
    os.chdir(folder)
    dist.init_process_group("gloo", init_method=f"file://{folder}/{meeting}", rank=rank, world_size=world)
    found = {name: outcome(path, dict(options)) for name, (path, options) in jobs.items()}
    if rank == 0:
        torch.save(found, Path(folder) / f"{meeting}.pt")
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # now and then a thread of gloo aborts in the destructors of a process that has done its work (see sandbox/cli_train.py)


def outcome(path, options):
    """losses, held_out, said, parts; or the refusal; or the traceback of what nobody has foreseen."""
    said, began, fault = [], time.perf_counter(), options.pop("fault", None)
    try:
        with faulty(fault) as parts:
            done = train(Path(path), say=said.append, **options)
        seconds = time.perf_counter() - began
        return {"losses": done.losses, "held_out": done.held_out, "said": said, "parts": parts, "seconds": seconds}
    except (ValueError, CanaryFailed) as refusal:
        return {"refused": str(refusal), "kind": type(refusal).__name__, "said": said}
    except Exception:  # the other jobs are still wanted
        return {"error": traceback.format_exc()}


@contextmanager
def faulty(fault):
    """Yields name -> (shape here, shape of the gradient here) of the parameters and buffers of the last model that was stepped."""
    straight, parts = Run.step, {}

    def step(self):
        if fault == "killed" and len(self.losses) == DIES_AFTER and self.ranks.rank == self.ranks.world - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        loss = straight(self)
        parts.clear()
        parts.update({name: (shape_here(x), shape_here(x.grad)) for name, x in self.model.named_parameters()})
        parts.update({name: (shape_here(x), None) for name, x in self.model.named_buffers()})
        if fault == "unsharded" and len(self.losses) == 1:
            gather_all(self.optimizer)
        return loss

    Run.step = step
    try:
        yield parts
    finally:
        Run.step = straight


def shape_here(x):
    return None if x is None else tuple(local(x).shape)


def gather_all(optimizer):
    for entry in optimizer.state.values():
        for key, x in entry.items():
            if isinstance(x, DTensor):
                entry[key] = x.redistribute(placements=[Replicate()])
