"""Layers in subspaces on several ranks, in one group: what one process of tests/shells/test_shells_compression.py does.

Sides that no number of ranks divides: 7 inputs, 5 outputs, and one output, whose only row leaves a second rank with none.
"""

import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sharding import local
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.compression import as_parameters, compress
from sandbox.shells.subspace import Subspace
from sandbox.shells.subspace_linear import merged

STEPS, GAP, ROWS, SEED = 8, 3, 6, 5
RULES = {
    "adam, prox, rotated": RSO(Adam(0.05), rank=2, update_gap=GAP, eta=0.5, on_refresh="rotate"),
    "decay, sums over ranks": WeightDecay(RSO(AdaLomo(0.05, parameter_scale="off"), rank=2, update_gap=GAP), weight_decay=0.2),
    "momentum, kept": RSO(GradientDescent(0.05, momentum=0.9), rank=2, update_gap=GAP, on_refresh="keep", law="coordinate"),
    "wider states": RSO(Adam(0.05), rank=2, update_gap=GAP, eta=0.5),
}
SHARED = [("query.weight", "key.weight")]


class Small(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.query, self.key, self.out = nn.Linear(7, 5), nn.Linear(7, 5, bias=False), nn.Linear(5, 1)
        for i, p in enumerate(self.parameters()):
            p.data = normal(tuple(p.shape), generator(1, i)).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.query(x) * self.key(x)))


def rules(name: str) -> dict:
    return {n: RULES[name] if n.endswith("weight") else Adam(0.05) for n, _ in Small(torch.float64).named_parameters()}


def options(name: str) -> tuple[torch.dtype, dict]:
    return (torch.float32, {"state_dtype": torch.float64}) if name == "wider states" else (torch.float64, {})


def walk(model: nn.Module, optimizer: torch.optim.Optimizer, mine: slice = slice(None), steps: int = STEPS) -> None:
    """mine: the rows of this rank, as many as those of every other."""
    for k in range(steps):
        optimizer.zero_grad()
        x = normal((ROWS, 7), generator(2, k)).to(next(model.parameters()).dtype)
        (model(x[mine]) - x[mine, :1]).square().mean().backward()
        optimizer.step()


def run(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    mine = slice(rank * ROWS // world, (rank + 1) * ROWS // world)
    found = {name: trained_here(name, mine) for name in RULES} | {"bfloat16": looked_at(), "turned": turned(mine)}
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # a thread of gloo may abort in the destructors of a process that has done its work


def trained_here(name: str, mine: slice) -> dict:
    """Whole weights at the end, and the rows that this rank has of every parameter."""
    dtype, more = options(name)
    model = Small(dtype)
    compress(model, rules(name), share=SHARED)
    as_parameters(model)
    fully_shard(model)
    optimizer = Subspace(model, rules(name), share=SHARED, seed=SEED, **more)
    walk(model, optimizer, mine)
    rows = {key: tuple(local(p).shape) for key, p in model.named_parameters()}
    return {"weights": whole(model), "rows": rows, "buffers": [key for key, _ in model.named_buffers()]}


def turned(mine: slice) -> dict:
    """Where the states lie that a round's end has turned: (name, key) -> placements."""
    model = Small(torch.float64)
    compress(model, rules("adam, prox, rotated"), share=SHARED)
    as_parameters(model)
    fully_shard(model)
    optimizer = Subspace(model, rules("adam, prox, rotated"), share=SHARED, seed=SEED)
    walk(model, optimizer, mine, GAP)
    named = {w: name for name, w in model.named_parameters()}
    entries = [(w, key, x) for w, entry in optimizer.state.items() for key, x in entry.items() if isinstance(x, Tensor)]
    return {(named[w], key): str(x.placements) for w, key, x in entries}


def looked_at() -> dict:
    """Merged weights after a pass without gradients in bfloat16, which leaves the root's tensors gathered in bfloat16."""
    model = Small(torch.float32)
    compress(model, rules("adam, prox, rotated"))
    as_parameters(model)
    fully_shard(model, mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))
    Subspace(model, rules("adam, prox, rotated"), seed=SEED)
    with torch.no_grad():
        model(normal((2, 7), generator(3)).float())
    return whole(model)


def whole(model: nn.Module) -> dict[str, Tensor]:
    return {key: (w.full_tensor() if hasattr(w, "full_tensor") else w).detach() for key, w in merged(model).items()}
