"""One step of a rule on a sharded tensor, as arithmetic on the local parts: DTensor decides once, not at every step.

The step is traced through real DTensors that are made of the local tensors inside the trace, so what remains is the
local kernels and the collectives that the placements ask for. The settings that may change and the numbers of the state (b1^t, ...)
are inputs of the trace, everything else is fixed: `key` says when a trace may be used again.

While tracing, the step is computed once, collectives included; so every rank must trace the same steps in the same order.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, fx
from torch.distributed.tensor import DTensor
from torch.fx.experimental.proxy_tensor import make_fx

from sandbox.optimizers.sharding import local, placed
from sandbox.shells.execution import Block
from sandbox.shells.flat_state import leaves, read, with_leaves
from sandbox.shells.python_numbers import take_numbers_out
from sandbox.shells.quick_calls import use_quick_calls
from sandbox.shells.segments import Agree, Stages, cut


class Layout(NamedTuple):
    """Where the parts of a DTensor lie; of a plain tensor, mesh is None."""

    mesh: Any
    placements: tuple[Any, ...]
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def whole(self, local: Tensor) -> Tensor:
        if self.mesh is None:
            return local
        return DTensor.from_local(local, self.mesh, self.placements, run_check=False, shape=torch.Size(self.shape), stride=self.stride)


class LocalStep(NamedTuple):
    """stages: of (w, g, *leaves of the state, *settings), local tensors and floats -> (delta, *leaves of the new state)."""

    stages: Stages
    leaves: tuple[Layout | None, ...]  # of the new state; None for a number


def layout(x: Any) -> Layout | None:
    if not isinstance(x, Tensor):
        return None
    mesh, placements = (x.device_mesh, tuple(x.placements)) if isinstance(x, DTensor) else (None, ())
    return Layout(mesh, placements, tuple(x.shape), tuple(x.stride()), x.dtype)


def key(block: Block, g: Tensor, state: Sequence[Any]) -> tuple[Any, ...]:
    """Equal keys, equal traces. state: its leaves."""
    return block.rule, block.settings.fields, layout(block.w), layout(g), tuple(layout(x) for x in state)


def trace(block: Block, g: Tensor) -> LocalStep:
    start = read(block.structure, block.entry)
    old, made = leaves(start), []
    layouts = [layout(x) for x in (block.w, g, *old)]

    def step(*inputs: Tensor) -> tuple[Any, ...]:
        w, g, *now = [x if place is None else place.whole(x) for x, place in zip(inputs, layouts, strict=False)]
        rule = block.settings.into(block.rule, inputs[len(layouts) :])
        delta, state = rule.step(g, with_leaves(start, iter(now)), w)
        new = leaves(state)
        made[:] = [None if place is None else layout(x) for x, place in zip(new, layouts[2:], strict=True)]
        return local(placed(delta, w)), *map(local, new)

    given = [local(x) if isinstance(x, Tensor) else float(x) for x in (block.w, g, *old, *block.settings.numbers)]
    traced = make_fx(step)(*(x if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64) for x in given))
    inputs = traced.graph.find_nodes(op="placeholder")
    take_numbers_out(traced.graph, [node for node, x in zip(inputs, given, strict=True) if not isinstance(x, Tensor)])
    _drop_plain_views(traced.graph)
    use_quick_calls(traced.graph)
    return LocalStep(cut(traced, _agreement(block.w)), tuple(made))


def _drop_plain_views(graph: fx.Graph) -> None:
    """Wrapping a local tensor leaves a view of its own shape in the trace."""
    for node in graph.find_nodes(op="call_function", target=torch.ops.aten.view.default):
        if _shape(node) is not None and _shape(node) == _shape(node.args[0]):
            node.replace_all_uses_with(node.args[0])


def _shape(node: fx.Node) -> tuple[int, ...] | None:
    return getattr(node.meta.get("val"), "shape", None)


def _agreement(w: Tensor) -> Agree:
    """The latest stage of each collective over the ranks that share w."""
    groups = w.device_mesh.get_all_groups()

    def agree(own: list[int]) -> tuple[list[int], bool]:
        latest, settled = own, True
        for group in groups:
            everyone: list[Any] = [None] * dist.get_world_size(group)
            dist.all_gather_object(everyone, (latest, settled), group=group)
            settled = all(theirs == (latest, settled) for theirs in everyone)
            latest = [max(stages) for stages in zip(*(stages for stages, _ in everyone), strict=True)]
        return latest, settled

    return agree


class Part(NamedTuple):
    """The local part of a leaf of a state, and whether the next state has it in the same place."""

    inner: Tensor
    stays: bool


def part(x: Any, place: Layout | None) -> Part | None:
    """None for a number."""
    return Part(local(x), place.mesh is not None and layout(x) == place) if isinstance(x, Tensor) else None


def renewed(new: Any, old: Any, mine: Part | None, place: Layout | None) -> Any:
    """A leaf of the new state: the old DTensor with the new local part where it lies as before, a new one otherwise."""
    if mine is None:
        return float(new)
    if new.numel() < new.untyped_storage().nbytes() // new.element_size():
        new = new.clone()  # a part of a message would keep all of it
    if not mine.stays:
        return place.whole(new)
    if new is not mine.inner:
        mine.inner.set_(new)
    return old
