"""What one process of a sharded training does: a list of jobs, one after another, in one group of ranks.

Started by tests/scale/test_scale_sharded.py; rank 0 writes what came out.
"""

import os
import time
import traceback
from pathlib import Path

import torch
import torch.distributed as dist

from sandbox.scale.train import CanaryFailed, train


def run(rank, world, folder, jobs, meeting):
    """jobs: name -> (card, options)."""
    torch.set_num_threads(1)
    os.chdir(folder)
    dist.init_process_group("gloo", init_method=f"file://{folder}/{meeting}", rank=rank, world_size=world)
    found = {}
    for name, (path, options) in jobs.items():
        found[name] = outcome(path, options)
    if rank == 0:
        torch.save(found, Path(folder) / f"{meeting}.pt")
    dist.barrier()
    dist.destroy_process_group()


def outcome(path, options):
    """losses, held_out, said; or the refusal; or the traceback of what nobody has foreseen."""
    said, began = [], time.perf_counter()
    try:
        done = train(Path(path), say=said.append, **options)
        return {"losses": done.losses, "held_out": done.held_out, "said": said, "seconds": time.perf_counter() - began}
    except (ValueError, CanaryFailed) as refusal:
        return {"refused": str(refusal), "kind": type(refusal).__name__, "said": said}
    except Exception:  # the other jobs are still wanted
        return {"error": traceback.format_exc()}
