"""What a sharded step costs on the host: microseconds and collectives per step, before and after.

    python tests/benchmarks/bench_sharded.py [processes]

A GPT of 4 layers and width 64 (68 tensors, 0.2 million parameters: nearly all of the time is overhead) over 2 processes on
CPU. `DTensor` is the plain step on the sharded tensors, `lockstep` the same step as local arithmetic with joined messages. The
limit is the plain step of one process on tensors as large as one shard, with no DTensor and nobody to talk to. Medians over steps without
refresh; with fewer cores than processes the waiting is part of the numbers.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import init_device_mesh
from torch.distributed.tensor.debug import CommDebugMode

from sandbox.models.gpt import GPTConfig
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule, due
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.shells.execution import Block, Plain, settings
from sandbox.shells.flat_state import structure, write
from sandbox.shells.sharded import Sharded

CONFIG, STEPS, WARM, RANK = GPTConfig(vocab=256, width=64, layers=4, heads=4), 12, 3, 8


def rules(w: Tensor) -> dict[str, Rule]:
    """Those that are compared, for one tensor; vectors have AdamW where a frame needs a matrix."""
    rows, heads = w.shape[0], CONFIG.heads if w.ndim == 2 else 1
    return {
        "AdamW": AdamW(lr=1e-3),
        "Adam-mini, rows": AdamMini(lr=1e-3, n_blocks=rows),
        "Adam-mini, heads": AdamMini(lr=1e-3, n_blocks=heads),
        "AdaLomo": AdaLomo(lr=1e-3),
        "CAME": CAME(lr=1e-3),
        "GaLore": GaLore(AdamW(lr=1e-3), rank=RANK) if w.ndim == 2 else AdamW(lr=1e-3),
    }


NAMES = tuple(rules(torch.zeros(4, 4)))


def stepped(way: Any, name: str, weights: Sequence[Tensor], grads: Sequence[Tensor]) -> tuple[float, int]:
    """(median microseconds, collectives) of a step without refresh."""
    moved = [(rules(w)[name], w, g, {}) for w, g in zip(weights, grads, strict=True)]
    blocks, times = [_block(*parts) for parts in moved], []
    for k in range(WARM + STEPS):
        dist.barrier()
        start = time.perf_counter()
        way.move_all(blocks)
        times += [time.perf_counter() - start] * (k >= WARM)
    with CommDebugMode() as counted:
        way.move_all(blocks)
    return 1e6 * statistics.median(times), counted.get_total_counts()


def _block(rule: Rule, w: Tensor, g: Tensor, entry: dict[str, Any]) -> Block:
    state = rule.init(w)
    shape = structure(state)
    write(rule.refresh(g, state, w, None) if due(rule, 0) else state, shape, entry)
    return Block(rule, settings({"lr": 1e-3}), w, g, shape, entry)


def measure(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    torch.manual_seed(0)
    model = fully_shard(CONFIG.module(), mesh=init_device_mesh("cpu", (world,)))
    sharded = [w.detach() for w in model.parameters()]
    local = [w.to_local().clone() for w in sharded]
    if rank == 0:
        print(
            f"{len(local)} tensors, {world} processes\n{'microseconds per step':22}{'DTensor':>9}{'lockstep':>9}{'limit':>9}   collectives"
        )
    with torch.no_grad():
        for name in NAMES:
            grads = [torch.ones_like(w) * 0.01 for w in sharded]
            before, n_before = stepped(Plain(), name, sharded, grads)
            after, n_after = stepped(Sharded(), name, sharded, grads)
            limit, _ = stepped(Plain(), name, local, [g.to_local() for g in grads])
            if rank == 0:
                print(f"{name:22}{before:9.0f}{after:9.0f}{limit:9.0f}   {n_before} -> {n_after}", flush=True)
    dist.destroy_process_group()


def main() -> None:
    world = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(measure, (world, folder), world)


if __name__ == "__main__":
    main()
