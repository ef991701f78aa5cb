"""What one process of a sharded run does: every rule in every shell, compared with one process, as rows of a table.

Started by tests/shells/test_shells_sharded.py, once per number of processes; rank 0 writes the table.
"""

import copy
import os
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh
from torch.distributed.tensor.debug import CommDebugMode

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import Rule, with_fields
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.sharding import local, placements
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

SHELLS = {"stepwise": Stepwise, "fused": Fused}
SHAPES = {"wide": (10, 16), "tall": (17, 10), "vector": (10,), "cube": (7, 2, 3), "tiny": (2,)}
STEPS, HALF, SEED, BATCH = 10, 5, 3, 12
NOTHING_TO_LOAD = "the state has no tensor"


class Odd(nn.Module):
    """Sides of 10, 17, 7 and 2 rows: shards of unequal length on 2 and on 3 processes, one of them empty."""

    def __init__(self) -> None:
        super().__init__()
        for i, (name, shape) in enumerate(SHAPES.items()):
            self.register_parameter(name, nn.Parameter(normal(shape, generator(SEED, i))))

    def forward(self, x_BI: Tensor) -> Tensor:
        h = torch.tanh(x_BI @ self.wide.T) + self.vector
        y = torch.cat([h @ self.tall.T, torch.einsum("bjk,ijk->bi", h[:, :6].reshape(-1, 2, 3), self.cube)], 1)
        return torch.log1p((y - 1).square()).sum(1).mean() + torch.log1p((h[:, :2] * self.tiny).square()).sum(1).mean()


def fitted(rule: Rule, shape: tuple[int, ...]) -> Rule:
    """The rule with blocks that divide this tensor (2 heads of 5 rows, or rows), refreshed at steps 0, 4 and 8; gradient
    descent where it takes no such tensor."""
    w = torch.ones(shape, dtype=torch.float64)
    for changes in ({}, *({"n_blocks": n} for n in (2, shape[0], 1))):
        try:
            fits = with_fields(rule, **changes)
            fits.init(w)
            return with_fields(fits, update_gap=4) if getattr(rule, "period", 0) else fits
        except ValueError:
            continue
    return GradientDescent(0.05)


def rules_of(rule: Rule) -> dict[str, Rule]:
    return {name: fitted(rule, shape) for name, shape in SHAPES.items()}


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, which: range) -> int:
    """Each on its own 12 inputs, with its own learning rate and betas; a process takes its share, and FSDP averages the
    gradients. Returns the collectives of the last call of step().
    """
    n_collectives = 0
    whole = not any(placements(w) for w in model.parameters())
    rank, world = (0, 1) if whole else (dist.get_rank(), dist.get_world_size())
    for k in which:
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - k / 20)
            if "betas" in group:
                group["betas"] = (0.9 - 0.01 * k, *group["betas"][1:])
        optimizer.zero_grad()
        model(normal((BATCH, SHAPES["wide"][1]), generator(SEED, 100, k)).chunk(world)[rank]).backward()
        with CommDebugMode() if k == STEPS - 1 else nullcontext() as counted:
            optimizer.step()
        n_collectives = counted.get_total_counts() if counted else 0
    return n_collectives


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: w.detach().full_tensor() if placements(w) else w.detach() for name, w in model.named_parameters()}


def one_process(rule: Rule) -> dict[str, Tensor]:
    model = Odd()
    steps(model, Stepwise(model.named_parameters(), rules_of(rule), seed=SEED), range(STEPS))
    return weights(model)


def compared(shell: type, rule: Rule, expected: dict[str, Tensor], mesh: Any) -> dict[str, Any]:
    """difference: largest to one process.  partial: leaves with a sum that is not finished.  sharded, full: whether a run that is
    resumed in the middle, from a state in parts or gathered whole, has the bits of the straight one.
    """
    model = fully_shard(Odd(), mesh=mesh)
    optimizer = shell(model.named_parameters(), rules_of(rule), seed=SEED)
    steps(model, optimizer, range(HALF))
    middle, saved = weights(model), {kind: copy.deepcopy(got(model, optimizer, kind)) for kind in ("sharded", "full")}
    row: dict[str, Any] = {"collectives": steps(model, optimizer, range(HALF, STEPS))}
    straight = weights(model)
    row["difference"] = max((straight[name] - w).abs().max().item() for name, w in expected.items())
    entries = [(key, leaf) for entry in optimizer.state.values() for key, leaf in entry.items()]
    row["partial"] = [key for key, leaf in entries if any(p.is_partial() for p in placements(leaf) or ())]
    for kind, state in saved.items():
        if kind == "full" and not any(isinstance(leaf, Tensor) for _, leaf in entries):
            row[kind] = NOTHING_TO_LOAD  # torch refuses to load such a state: it looks for a device
        else:
            again = resumed(shell, rule, middle, state, mesh, kind)
            row[kind] = all(torch.equal(again[name], w) for name, w in straight.items())
    return row


def got(model: nn.Module, optimizer: torch.optim.Optimizer, kind: str) -> dict[str, Any]:
    return get_optimizer_state_dict(model, optimizer, options=StateDictOptions(full_state_dict=kind == "full"))


def resumed(shell: type, rule: Rule, middle: dict[str, Tensor], state: dict, mesh: Any, kind: str) -> dict[str, Tensor]:
    model = Odd()
    model.load_state_dict(middle)
    model = fully_shard(model, mesh=mesh)
    optimizer = shell(model.named_parameters(), rules_of(rule), seed=SEED)
    set_optimizer_state_dict(model, optimizer, state, options=StateDictOptions(full_state_dict=kind == "full"))
    steps(model, optimizer, range(HALF, STEPS))
    return weights(model)


def rounded(mesh: Any, options: dict[str, Any]) -> bool:
    """Whether four steps of bfloat16 weights have the same bits on one process and on several, for equal gradients."""
    start = normal((10, 6), generator(SEED)).bfloat16()
    whole, parts = nn.Parameter(start.clone()), nn.Parameter(distribute_tensor(start.clone(), mesh, [Shard(0)]))
    optimizers = [Stepwise([("w", w)], Adam(0.05), seed=SEED, **options) for w in (whole, parts)]
    for k in range(4):
        g = normal((10, 6), generator(SEED, k)).bfloat16()
        whole.grad, parts.grad = g, distribute_tensor(g, mesh, [Shard(0)])
        for optimizer in optimizers:
            optimizer.step()
    return torch.equal(parts.detach().full_tensor(), whole)


def complaint(mesh: Any) -> list[str]:
    """What every rank says of a gradient with one entry that is not finite, which only the last rank holds."""
    w = nn.Parameter(distribute_tensor(torch.ones(10, 6), mesh, [Shard(0)]))
    g = torch.ones(10, 6)
    g[-1, -1] = float("nan")
    w.grad = distribute_tensor(g, mesh, [Shard(0)])
    said: list[Any] = [None] * dist.get_world_size()
    try:
        Stepwise([("w", w)], Adam(0.05)).step()
        own = "nothing"
    except FloatingPointError as error:
        own = str(error)
    dist.all_gather_object(said, own)
    return said


def rows_per_rank(mesh: Any) -> dict[str, list[int]]:
    held: list[Any] = [None] * dist.get_world_size()
    model = fully_shard(Odd(), mesh=mesh)
    dist.all_gather_object(held, {name: local(w.detach()).shape[0] for name, w in model.named_parameters()})
    return {name: [rank[name] for rank in held] for name in SHAPES}


def table(rules: dict[str, Rule], mesh: Any) -> dict[Any, Any]:
    found: dict[Any, Any] = {
        "rows": rows_per_rank(mesh),
        "complaint": complaint(mesh),
        "state_dtype": rounded(mesh, {"state_dtype": torch.float32}),
        "stochastic": rounded(mesh, {"state_dtype": torch.float32, "rounding": "stochastic"}),
    }
    for name, rule in rules.items():
        expected = one_process(rule)
        for shell_name, shell in SHELLS.items():
            try:
                found[name, shell_name] = compared(shell, rule, expected, mesh)
            except Exception:  # the other rows are still wanted; the ranks fail alike, so none waits for another
                found[name, shell_name] = {"error": traceback.format_exc()}
    return found


def run(rank: int, world: int, folder: str, rules: dict[str, Rule]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    found = table(rules, init_device_mesh("cpu", (world,)))
    if rank == 0:
        torch.save(found, Path(folder) / "table.pt")
    dist.barrier()  # a rank that leaves while another is still at work ends now and then in "terminate called" (gloo's threads)
    dist.destroy_process_group()
    os._exit(0)  # and a thread of gloo may abort in the destructors of a process that has done its work
