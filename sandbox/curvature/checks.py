"""What a loss must be before its second derivatives mean anything; each failure is one sentence, found before the work.

One forward pass is watched operator by operator: fused attention, random numbers (dropout) and statistics of the batch
(batch norm in training mode) are named by torch's own operator names. Randomness from elsewhere shows when a second
gradient differs from the first. One product tells whether every operator can be differentiated twice; it is compared with
a difference of gradients where the loss uses a `torch.autograd.Function`, because torch takes the second derivative of one
whose backward pass cannot be differentiated (`once_differentiable`, foreign kernels) for 0 and says nothing (measured, 2.13).
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sandbox.curvature.objective import LEAVE, Objective
from sandbox.curvature.parts import Cost, Made, pulled
from sandbox.draws import generator, normal
from sandbox.problems.base import Params

ROUNDINGS = 1e3  # two runs of the same sums differ by a few roundings at most (threads may add in another order)
_PASSED: WeakKeyDictionary[Objective, Cost] = WeakKeyDictionary()


class Watch(TorchDispatchMode):
    """Operators of a forward pass that spoil second derivatives, by reason."""

    def __init__(self) -> None:
        super().__init__()
        self.fused: set[str] = set()
        self.random: set[str] = set()
        self.batch_statistics: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, result = func._schema.name.removeprefix("aten::"), func(*args, **(kwargs or {}))
        if getattr(result, "is_meta", False):
            return result  # a module that is built without numbers draws none
        if "attention" in name:
            self.fused.add(name)
        elif torch.Tag.nondeterministic_seeded in func.tags and not isinstance((kwargs or {}).get("generator"), torch.Generator):
            self.random.add(name)  # draws from a generator of the loss's own are repeatable, or two gradients differ
        elif "batch_norm" in name and any(value is True for value in args[4:7]) and (args[3] is not None or len(args[0]) > 1):
            self.batch_statistics.add(name)  # instance norm comes as one sample without running statistics
        return result


def check_objective(one: Objective) -> Cost:
    """What the products of this objective hold in memory; an objective that has passed before is not looked at again.

    Raises ValueError unless the loss is a finite real number, repeatable, twice differentiable, and uses every tensor.
    """
    if one not in _PASSED:
        _PASSED[one] = _check(one)
    return _PASSED[one]


def _check(one: Objective) -> Cost:
    """Two gradients and one product, on the batch that weighs most."""
    batch = one.heaviest
    with Watch() as watch:
        value, tensors = _forward(one, batch)
    _check_scalar(value)
    _check_operators(watch)
    slopes = _slopes(value, tensors)
    _check_used(one, batch, set(slopes))
    gradient, cost = _check_twice(one, batch, value)
    first = torch.cat([slopes.get(name, torch.zeros_like(x)).reshape(-1) for name, x in tensors.items()])
    _check_repeats(first, gradient)
    return cost


def _check_scalar(value: Tensor) -> None:
    if value.dim() or not value.is_floating_point() or not torch.isfinite(value):
        shown = f"{value.item()}" if not value.dim() else f"shape {tuple(value.shape)}"
        raise ValueError(f"a Hessian is of a loss that is one finite real number (0-dim), got {shown} of {value.dtype}; take its mean")


def _check_operators(watch: Watch) -> None:
    if watch.fused:
        raise ValueError(
            f"attention must run on the path that can be differentiated twice, but the model forces the fused {sorted(watch.fused)}: "
            f"remove its own kernel choice (sdpa_kernel), or load it with attn_implementation='eager'"
        )
    if watch.random:
        raise ValueError(
            f"products with one Hessian need one loss, but every call draws new random numbers in {sorted(watch.random)} (dropout?): "
            f"call model.eval() first"
        )
    if watch.batch_statistics:
        raise ValueError(
            f"the loss of a sample must not depend on its batch, but {sorted(watch.batch_statistics)} runs in training mode "
            f"(statistics of the batch): call model.eval() first"
        )


def _check_repeats(first: Tensor, second: Tensor) -> None:
    gap, size = float((first - second).abs().max()), float(first.abs().max())
    if not gap <= ROUNDINGS * torch.finfo(first.dtype).eps * size:
        raise ValueError(
            f"products with one Hessian need one loss, but two gradients at the same point and batch differ by {gap:.1e} "
            f"(largest entry {size:.1e}): the loss draws random numbers or keeps a state; make it a pure function of (params, batch)"
        )


def _check_used(one: Objective, batch: Any, used: set[str]) -> None:
    others, unused = [other for other in one.batches if other is not batch], set(one.layout.names) - used
    while unused and others:
        unused -= set(_slopes(*_forward(one, others.pop())))
    if unused:
        raise ValueError(
            f"the loss must depend on every tensor that it is differentiated in, but no batch of {len(one.batches)} uses "
            f"{sorted(unused)}: their rows would be 0; {LEAVE}"
        )


def _forward(one: Objective, batch: Any) -> tuple[Tensor, Params]:
    """The loss with its graph, and the tensors that it starts from."""
    tensors = one.layout.unflatten(one.at.clone().requires_grad_())
    return one.loss_of({**one.fixed, **tensors}, batch), tensors


def _slopes(value: Tensor, tensors: Params) -> Params:
    """The gradient in every tensor that the loss depends on; the graph stays."""
    if not value.requires_grad:
        return {}
    slopes = torch.autograd.grad(value, list(tensors.values()), allow_unused=True, retain_graph=True)
    return {name: slope for name, slope in zip(tensors, slopes, strict=True) if slope is not None}


def _check_twice(one: Objective, batch: Any, value: Tensor) -> tuple[Tensor, Cost]:
    """The gradient as torch.func has it, and what a product with the Hessian costs. value: the loss with its graph."""
    gradient = torch.func.grad(one.part(batch))
    v = normal(tuple(one.at.shape), generator(0)).to(one.at)
    try:
        with Made() as graph:
            found, times = pulled(gradient, one.at)
        with Made() as row:
            bend = times(v[None])[0]
    except torch.OutOfMemoryError:
        raise  # says nothing about the loss
    except RuntimeError as error:  # NotImplementedError is one
        raise ValueError(f"the loss must be twice differentiable by torch.func, but torch says: {str(error).splitlines()[0]}") from error
    custom = _custom_functions(value)
    if custom:
        _check_custom(custom, bend, _difference(gradient, one.at, v))
    return found, Cost(graph.bytes, row.bytes)


def _custom_functions(value: Tensor) -> set[str]:
    """Names of the torch.autograd.Function classes in the graph of a loss."""
    seen, left = set(), [value.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in seen:
            seen.add(node)
            left += [parent for parent, _ in node.next_functions]
    return {node._forward_cls.__name__ for node in seen if hasattr(node, "_forward_cls")}


def _difference(gradient: Callable[[Tensor], Tensor], at: Tensor, v: Tensor) -> Tensor:
    """(g(at + e v) - g(at - e v)) / 2e with e where rounding and e^2 balance."""
    e = torch.finfo(at.dtype).eps ** (1 / 3) * max(1.0, float(at.norm())) / float(v.norm())
    return (gradient(at + e * v) - gradient(at - e * v)) / (2 * e)


def _check_custom(custom: set[str], bend: Tensor, slope: Tensor) -> None:
    gap, size = float((bend - slope).norm()), float(slope.norm())
    if not gap <= torch.finfo(bend.dtype).eps ** 0.25 * size:  # 1e-4 in float64, where a difference is good to about 1e-10
        raise ValueError(
            f"second derivatives must pass through every operator, but a product with the Hessian ({float(bend.norm()):.1e}) is "
            f"{gap:.1e} away from the difference of two gradients ({size:.1e}), and the loss uses the custom functions "
            f"{sorted(custom)}, whose backward passes torch cannot differentiate or which have kinks: write them as plain operations"
        )
