"""A model made ready for a job: recomputed and compiled block by block, sharded over the ranks (FSDP2), then filled with numbers.

The order is that of the PyTorch documentation: recompute inside, compile around it, shards outside. Parameters keep their names, so
rules, roles and checkpoints do not know of any of it.

Numbers come last: a model is built without any (meta device), and every rank draws each tensor whole and keeps its part, so that no
more than one whole tensor is there at a time and all numbers of ranks agree without a message.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sandbox.optimizers.sharding import local, placements
from sandbox.scale.job import Job, Ranks

MIXED = torch.bfloat16


def blocks_of(model: nn.Module) -> Sequence[nn.Module]:
    """The repeated blocks: the longest list of modules. Raises ValueError where there is none."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise ValueError(f"a model is sharded block by block, and {type(model).__name__} has no list of blocks")
    return list(max(lists, key=len))


def prepared(model: nn.Module, job: Job, ranks: Ranks) -> nn.Module:
    """The same module, changed in place. Raises ValueError where a compiler is asked for that torch does not know."""
    blocks = blocks_of(model)
    for block in blocks if job.recompute == "blocks" else ():
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    if job.compile is not None:
        require_backend(job.compile)
    for block in blocks if job.compile is not None else ():
        block.forward = torch.compile(block.forward, backend=job.compile)  # inside the hooks of FSDP
    if ranks.mesh is not None:
        _shard(model, blocks, job, ranks)
    return model


def require_backend(name: str) -> None:
    """Raises ValueError for a backend that torch.compile does not have here."""
    known = torch._dynamo.list_backends(exclude_tags=())
    if name not in known:
        raise ValueError(f"torch.compile has the backends {', '.join(known)} here, got {name!r}; 'inductor' is the usual one")


def _shard(model: nn.Module, blocks: Sequence[nn.Module], job: Job, ranks: Ranks) -> None:
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mixed = MixedPrecisionPolicy(param_dtype=MIXED, reduce_dtype=torch.float32) if job.precision == "bfloat16" else MixedPrecisionPolicy()
    shard = partial(fully_shard, mesh=ranks.mesh, mp_policy=mixed)
    for block in blocks:
        shard(block)
    shard(model)


@torch.no_grad()
def filled(model: nn.Module, number: Callable[[str], Tensor], device: torch.device) -> nn.Module:
    """The model on the device, each parameter with its part of `number(name)`; ties and buffers stay what they are."""
    for name, same in places(model).items():
        old = model.get_parameter(name)
        new = nn.Parameter(torch.empty_like(old, device=device), requires_grad=old.requires_grad)
        local(new).copy_(local(as_placed(number(name), new)))
        for module, attribute in same:
            setattr(module, attribute, new)
    for module in model.modules():
        for name, b in module.named_buffers(recurse=False):
            setattr(module, name, b.to(device))
    return model


def places(model: nn.Module) -> dict[str, list[tuple[nn.Module, str]]]:
    """First name of every parameter -> the modules that hold it, with their attributes."""
    found: dict[int, tuple[str, list[tuple[nn.Module, str]]]] = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        path, _, attribute = name.rpartition(".")
        found.setdefault(id(p), (name, []))[1].append((model.get_submodule(path), attribute))
    return dict(found.values())


def as_placed(whole: Tensor, like: Tensor) -> Tensor:
    """A tensor that every rank has whole, cut as `like` is, without a message."""
    if not placements(like):
        return whole
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def gathered(x: Tensor) -> Tensor:
    """A tensor whole on the CPU of every rank."""
    x = x.detach()
    return (x.full_tensor() if placements(x) else x).cpu()
