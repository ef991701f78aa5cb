"""Products with the Hessian and the Gauss-Newton matrix of one batch: a graph that is built once, pulled back along many vectors.

    whole    V (k, n) -> V M (k, n)
    strip    V (k, size of a group of neighbours) -> V M[group, group and all later tensors], from what depends on the group alone

Rows are mapped together by `torch.func.vmap`. `Cost` says what memory that takes, counted operator by operator.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sandbox.curvature.objective import Objective
from sandbox.problems.base import Params

Times = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Cost:
    """Bytes of all tensors that come into being for the graph of a batch, and for one row of products. Nothing counts as freed, so
    `graph + k row` bounds what k rows at once hold, the tensors of the objective and the result aside.
    """

    graph: int
    row: int


class Made(TorchDispatchMode):
    """Counts the bytes of new tensors: results that do not share the storage of an argument."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        old = {_storage(x) for x in _tensors((args, kwargs or {}))}
        self.bytes += sum(x.numel() * x.element_size() for x in _tensors(result) if _storage(x) not in old)
        return result


def pulled(gradient: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Times]:
    """The gradient at the point (n,), and V (k, n) -> V H (k, n) with H its symmetric Jacobian there."""
    value, pull = torch.func.vjp(gradient, at)
    return value.detach(), _many(lambda v: pull(v)[0])


def measured(build: Callable[[], Times], at: Tensor) -> Cost:
    """By building the graph and multiplying one row."""
    with Made() as graph:
        times = build()
    with Made() as row:
        times(at[None])
    return Cost(graph.bytes, row.bytes)


def hessian_whole(one: Objective, batch: Any) -> Times:
    return pulled(torch.func.grad(one.part(batch)), one.at)[1]


def hessian_strip(one: Objective, batch: Any, group: range) -> Times:
    """The gradient in some tensors alone, pulled back to those and the later ones. group: their numbers, one after the other."""
    own, later, given = _cut(one, group)

    def slope(free: Params) -> Params:
        return torch.func.grad(lambda w: one.loss_of({**given, **free, **w}, batch))({name: free[name] for name in own})

    _, pull = torch.func.vjp(slope, later)
    return _many(lambda v: _flat(pull(_like(v, later, own))[0]))


def gauss_newton_whole(one: Objective, batch: Any) -> Times:
    z, pull = torch.func.vjp(one.outputs(batch), one.at)
    _, push = torch.func.vjp(lambda u: pull(u)[0], torch.zeros_like(z))  # pull is linear: its transpose is v -> J v
    bend = _bend(one, batch, z)
    return _many(lambda v: pull(bend(push(v)[0])[0])[0])


def gauss_newton_strip(one: Objective, batch: Any, group: range) -> Times:
    """Pushed forward from some tensors alone, pulled back to those and the later ones."""
    own, later, given = _cut(one, group)
    z, pull = torch.func.vjp(lambda free: one.outputs_of({**given, **free}, batch), later)

    def back(u: Tensor) -> Params:
        slopes = pull(u)[0]
        return {name: slopes[name] for name in own}

    _, push = torch.func.vjp(back, torch.zeros_like(z))
    bend = _bend(one, batch, z)
    return _many(lambda v: _flat(pull(bend(push(_like(v, later, own))[0])[0])[0]))


def _bend(one: Objective, batch: Any, z: Tensor) -> Callable[[Tensor], tuple[Tensor]]:
    """u -> (C u,) with C the second derivative of the criterion at the outputs z."""
    return torch.func.vjp(torch.func.grad(lambda outputs: one.loss.criterion(outputs, batch)), z.detach())[1]


def _cut(one: Objective, group: range) -> tuple[tuple[str, ...], Params, Params]:
    """The names of a group of tensors, these and the later ones, and all that stays where it is."""
    tensors, names = one.layout.unflatten(one.at), one.layout.names
    later = {name: tensors[name] for name in names[group.start :]}
    return names[group.start : group.stop], later, {**one.fixed, **{name: tensors[name] for name in names[: group.start]}}


def _like(v: Tensor, tensors: Params, names: tuple[str, ...]) -> Params:
    """A vector cut into tensors of the named shapes."""
    parts = v.split([tensors[name].numel() for name in names])
    return {name: part.view_as(tensors[name]) for name, part in zip(names, parts, strict=True)}


def _flat(tensors: Params) -> Tensor:
    return torch.cat([x.reshape(-1) for x in tensors.values()])


def _many(row: Callable[[Tensor], Tensor]) -> Times:
    along = torch.func.vmap(row)
    return lambda rows: along(rows).detach()


def _tensors(found: Any) -> Iterator[Tensor]:
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, list | tuple | dict):
        for inner in found.values() if isinstance(found, dict) else found:
            yield from _tensors(inner)


def _storage(x: Tensor) -> int:
    return x.untyped_storage()._cdata
