"""What one process of a sharded training does: a list of jobs, one after another, in one group of ranks.

Started by tests/scale/test_scale_sharded.py; rank 0 writes what came out. A job may have a "fault": "killed" ends the last rank in the
middle of the training, "unsharded" gathers every state whole on all ranks after the first step.
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
    """losses, held_out, said; or the refusal; or the traceback of what nobody has foreseen."""
    said, began, fault = [], time.perf_counter(), options.pop("fault", None)
    try:
        with faulty(fault):
            done = train(Path(path), say=said.append, **options)
        return {"losses": done.losses, "held_out": done.held_out, "said": said, "seconds": time.perf_counter() - began}
    except (ValueError, CanaryFailed) as refusal:
        return {"refused": str(refusal), "kind": type(refusal).__name__, "said": said}
    except Exception:  # the other jobs are still wanted
        return {"error": traceback.format_exc()}


@contextmanager
def faulty(fault):
    straight = Run.step

    def step(self):
        if fault == "killed" and len(self.losses) == DIES_AFTER and self.ranks.rank == self.ranks.world - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        loss = straight(self)
        if fault == "unsharded" and len(self.losses) == 1:
            gather_all(self.optimizer)
        return loss

    Run.step = step
    try:
        yield
    finally:
        Run.step = straight


def gather_all(optimizer):
    for entry in optimizer.state.values():
        for key, x in entry.items():
            if isinstance(x, DTensor):
                entry[key] = x.redistribute(placements=[Replicate()])
