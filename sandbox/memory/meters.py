"""Bytes that are really there: of a state, of an optimizer, of gradients during backward, of what a forward pass keeps.

Every meter counts STORAGES, each once: two views of one storage cost one storage, and a small view keeps its whole
storage alive (a basis that is a slice of an orthogonal factor costs the whole factor). Python numbers cost nothing.
Tensors on the meta device have storages with a size and no memory, so the same meters work for models that fit
nowhere.

`peak_gradient_bytes` looks at `.grad`, as LOMO's memory table does (Lv et al., 2023,
https://arxiv.org/abs/2306.09782). It cannot see a partial gradient of a tied weight that autograd holds back until
the other part arrives; `sandbox.memory.allocator` sees it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages behind the tensors, each storage once."""
    storages = {storage._cdata: storage.nbytes() for storage in (tensor.untyped_storage() for tensor in tensors)}
    return sum(storages.values())


def state_bytes(state: Any) -> int:
    """Bytes of the tensors of a rule's state, or of any nest of tuples, lists and dicts."""
    return tensor_bytes(leaf for leaf in tree_leaves(state) if isinstance(leaf, Tensor))


def optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of everything a torch optimizer remembers, its step counters where they are tensors included."""
    return state_bytes(list(optimizer.state.values()))


def peak_gradient_bytes(parameters: Iterable[Tensor], backward: Callable[[], object]) -> int:
    """The most bytes that `.grad` of the parameters hold together while `backward` runs.

    The count is taken where a gradient is complete and about to be stored, before anybody else's hook can use it and free it.
    """
    leaves, peak = [p for p in dict.fromkeys(parameters) if p.requires_grad], 0

    def look(arriving: Tensor) -> None:
        nonlocal peak
        stored = [p.grad for p in leaves if p.grad is not None]
        peak = max(peak, tensor_bytes([*stored, arriving]))

    handles = [p.register_hook(look) for p in leaves]
    try:
        backward()
    finally:
        for handle in handles:
            handle.remove()
    return max(peak, tensor_bytes(p.grad for p in leaves if p.grad is not None))


def saved_bytes(forward: Callable[[], Any], parameters: Iterable[Tensor]) -> int:
    """Bytes that autograd keeps for backward when `forward` runs, storages of the parameters excepted.

    Inputs of the model count where they are kept. Each storage counts once, however many operations keep it.
    """
    kept: list[Tensor] = []  # the tensors themselves: a freed storage could be counted again under another tensor

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.detach())  # detached: a result that is kept by its own node would otherwise never be freed
        return kept[-1]

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward()
    own = {p.untyped_storage()._cdata for p in parameters}
    total = tensor_bytes(tensor for tensor in kept if tensor.untyped_storage()._cdata not in own)
    del output
    return total
