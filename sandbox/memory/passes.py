"""Forward and backward of a model on fake tensors, as a timeline (sandbox/memory/timeline.py): no memory, no numbers.

    backprop        as a trainer runs it: sharded by FSDP2 over ranks that exist in name only (a process group that sends nothing),
                    recomputed block by block or not
    forward_only    as two-point oracles run it: nothing is kept, and every weight is read as a perturbed copy that dies after its operation

The operations are those of the CPU kernels. Of CUDA's they differ in what a kernel holds inside: attention's gradient of the queries is
summed in float32 there, matrix products have workspaces. FSDP2 is run as it is, so its buffers are counted and not estimated.

Initial numbers are not drawn: on fake tensors drawing costs a size and nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sandbox.memory.live import Live, recording
from sandbox.memory.moments import DRAW, chunks, drawing
from sandbox.memory.timeline import LEAST_DEPTH, Timeline, extrapolated, timeline
from sandbox.perturbations.reading import AddedAtRead

Build = Callable[[int], nn.Module]  # a number of blocks -> the model, called under fake tensors


@dataclass(frozen=True)
class Program:
    """layers: blocks of the whole model.  sequences: of one rank.  weights: dtype that a rank keeps.  compute: of the arithmetic.

    world: ranks over which FSDP2 shards, None where nothing is sharded; weights and compute must be equal then.
    granule: see `sandbox.memory.live`.
    """

    build: Build
    layers: int
    vocab: int
    sequences: int
    tokens: int
    weights: torch.dtype = torch.float32
    compute: torch.dtype = torch.float32
    world: int | None = None
    recompute: Literal["off", "blocks"] = "off"
    granule: int = 1

    def __post_init__(self) -> None:
        if self.world is None and self.weights != self.compute:
            raise ValueError(f"without FSDP2 a model computes in the dtype of its weights, got {self.weights} and {self.compute}")


def backprop(program: Program, *, all_layers: bool = False) -> tuple[Timeline, int]:
    """The timeline, and how many blocks were run for it.

    Fewer than the model's are run where blocks are alike (see `timeline`), all where they turn out not to be, or where `all_layers`.
    """
    return _told(program, _backprop, all_layers)


def forward_only(program: Program, *, all_layers: bool = False) -> tuple[Timeline, int]:
    return _told(program, _forward_only, all_layers)


def _told(program: Program, run: Callable[[Program, int], Timeline], all_layers: bool) -> tuple[Timeline, int]:
    if program.layers > LEAST_DEPTH + 1 and not all_layers:
        try:
            return extrapolated(run(program, LEAST_DEPTH - 1), run(program, LEAST_DEPTH), LEAST_DEPTH, program.layers), LEAST_DEPTH
        except ValueError:
            pass
    return run(program, program.layers), program.layers


def _backprop(program: Program, depth: int) -> Timeline:
    with _fake(program) as mesh:
        model, batch = _model(program, depth), _batch(program)
        blocks, prefix = blocks_of(model)
        for block in blocks if program.recompute == "blocks" else ():
            block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
        if mesh is not None:
            _shard(model, blocks, mesh, program)
        with recording(program.granule) as live:
            for name, p in model.named_parameters():
                if p.requires_grad:
                    p.register_post_accumulate_grad_hook(partial(_arrives, live, name))
            _mark_blocks(live, blocks, prefix)
            loss = _loss(model, batch)
            live.mark("loss")
            loss.backward()
            live.mark("end")
    return timeline(live.events, prefix)


def _arrives(live: Live, name: str, p: Tensor) -> None:
    live.mark(name, p.grad)
    p.grad = None


def _forward_only(program: Program, depth: int) -> Timeline:
    with _fake(program):
        model, batch = _model(program, depth), _batch(program)
        blocks, prefix = blocks_of(model)
        readers = {w: partial(_perturbed, w) for w in model.parameters()}
        with recording(program.granule) as live, torch.no_grad(), AddedAtRead(readers):
            _mark_blocks(live, blocks, prefix)
            loss = _loss(model, batch)
            live.mark("loss")
            del loss
            live.mark("end")
    return timeline(live.events, prefix, ends="end")


def _perturbed(w: Tensor) -> Tensor:
    """As the in-place shell makes it: beside the copy, the largest chunk that is drawn and added, in float64 and in the weight's dtype."""
    seen, shape = torch.empty_like(w), tuple(w.shape)
    chunk = torch.empty(max(drawing(shape), 3 * DRAW * chunks(shape)[0]), dtype=torch.uint8)
    del chunk
    return seen


def _mark_blocks(live: Live, blocks: Sequence[nn.Module], prefix: str) -> None:
    for i, block in enumerate(blocks):
        block.register_forward_hook(lambda *_, i=i: live.mark(f"{prefix}{i}.forward"))


def _loss(model: nn.Module, batch_BT: Tensor) -> Tensor:
    """The mean loss of every next token, from logits in float32 at least."""
    out = model(batch_BT[:, :-1])
    logits_BTV = out if isinstance(out, Tensor) else out.logits
    wide = logits_BTV.to(torch.promote_types(logits_BTV.dtype, torch.float32))
    return F.cross_entropy(wide.flatten(0, 1), batch_BT[:, 1:].flatten())


def _batch(program: Program) -> Tensor:
    return torch.randint(program.vocab, (program.sequences, program.tokens + 1))


def _model(program: Program, depth: int) -> nn.Module:
    """In the dtype of the weights, buffers that are numbers of another kind as they are."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(program.weights)
    try:
        return program.build(depth).train()
    finally:
        torch.set_default_dtype(before)


def blocks_of(model: nn.Module) -> tuple[Sequence[nn.Module], str]:
    """The longest list of modules, and how the names of its parameters begin. Raises ValueError where there is none."""
    lists = {name: list(module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    if not lists:
        raise ValueError(f"memory is told block by block, and {type(model).__name__} has no list of blocks")
    name = max(lists, key=lambda name: len(lists[name]))
    return lists[name], f"{name}."


def _shard(model: nn.Module, blocks: Sequence[nn.Module], mesh: Any, program: Program) -> None:
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mixed = MixedPrecisionPolicy()
    if program.compute != program.weights:
        mixed = MixedPrecisionPolicy(param_dtype=program.compute, reduce_dtype=torch.float32)
    for block in blocks:
        fully_shard(block, mesh=mesh, mp_policy=mixed)
    fully_shard(model, mesh=mesh, mp_policy=mixed)


@contextmanager
def _fake(program: Program) -> Iterator[Any]:
    """Fake tensors on the CPU; yields the mesh of the ranks, None where nothing is sharded."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with fake_ranks(program.world) as mesh, FakeTensorMode(), torch.random.fork_rng(devices=[]):
        yield mesh


@contextmanager
def fake_ranks(world: int | None) -> Iterator[Any]:
    """A mesh of ranks of which this process is the first and the others do not exist; messages arrive empty. None without ranks.

    Raises ValueError where this process is in a group already.
    """
    if world is None:
        yield None
        return
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    if dist.is_initialized():
        raise ValueError("memory of a sharded model is told in a process of its own, and this one is in a group; leave torchrun out")
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=world)
    try:
        yield dist.device_mesh.init_device_mesh("cpu", (world,))
    finally:
        dist.destroy_process_group()


def batch_bytes(program: Program) -> int:
    return 8 * prod((program.sequences, program.tokens + 1))
