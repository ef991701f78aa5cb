"""One tensor that is to move, and the plain way to move it: the pure step, then the sum.

Three ways share this form, and none of them holds an equation: `Plain` here, `recorded.Recorded`, `compiled.Compiled`. Each
has `move_all(blocks)`, which moves the weights and brings their entries up to date; refreshes of frames come before it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sandbox.optimizers.base import Rule, with_fields
from sandbox.optimizers.sharding import placed
from sandbox.shells.flat_state import Structure, read, write


class Settings(NamedTuple):
    """Fields of a rule that have other values now.  fields: (name, how many numbers; 0 = one that is no tuple)."""

    fields: tuple[tuple[str, int], ...]
    numbers: tuple[float, ...]

    def into(self, rule: Rule, numbers: Sequence[float]) -> Rule:
        """`rule` with `numbers` in the place of its own, of these fields."""
        left = iter(numbers)
        return with_fields(rule, **{name: tuple(next(left) for _ in range(n)) if n else next(left) for name, n in self.fields})


def settings(values: Mapping[str, Any]) -> Settings:
    """Of values by the name of their field: numbers, 0-dim tensors, or tuples of them."""
    fields = tuple((name, len(x) if isinstance(x, tuple) else 0) for name, x in values.items())
    return Settings(fields, tuple(float(part) for x in values.values() for part in (x if isinstance(x, tuple) else (x,))))


class Block(NamedTuple):
    """rule: as it was assigned.  entry: its state, flat (see flat_state), with the classes in `structure`."""

    rule: Rule
    settings: Settings
    w: Tensor
    g: Tensor
    structure: Structure
    entry: dict[str, Any]


class Plain:
    """The pure step as it is written; works for every rule, frame and kind of tensor."""

    @torch.no_grad()
    def move_all(self, blocks: Sequence[Block]) -> None:
        for rule, now, w, g, structure, entry in blocks:
            delta, state = now.into(rule, now.numbers).step(g, read(structure, entry), w)
            w.add_(placed(delta, w))
            write(state, structure, entry)


class Bound:
    """A block together with the tensors that a fast way has prepared for.  what: that preparation."""

    def __init__(self, block: Block, what: Any) -> None:
        self.block, self.what = block, what
        keys = leaf_keys(block.structure)
        self.tensors = [(key, block.entry[key]) for key in keys if isinstance(block.entry[key], Tensor)]
        self.number_keys = [key for key in keys if not isinstance(block.entry[key], Tensor)]

    def holds(self, block: Block) -> bool:
        """Whether the preparation still fits; a new gradient does not matter."""
        was, entry = self.block, block.entry
        same = was.rule is block.rule and was.entry is entry and was.settings.fields == block.settings.fields
        return same and all(entry[key] is x for key, x in self.tensors)

    def numbers(self, block: Block) -> tuple[float, ...]:
        return *block.settings.numbers, *(block.entry[key] for key in self.number_keys)


def leaf_keys(structure: Structure) -> list[str]:
    return [x for key, part in zip(structure.keys, structure.parts, strict=True) for x in (leaf_keys(part) if part else [key])]


def is_ordinary(x: Tensor) -> bool:
    """A dense tensor of real numbers in one place: not a DTensor, not sparse, not complex."""
    return type(x) in (Tensor, torch.nn.Parameter) and x.layout == torch.strided and x.dtype.is_floating_point


def like_weight(g: Tensor, w: Tensor) -> Tensor:
    """g in the dtype and the memory layout of w."""
    return g if g.stride() == w.stride() and g.dtype == w.dtype else torch.empty_like(w).copy_(g)


def is_separate(block: Block) -> bool:
    """Whether no two tensors share memory; written in place, one would overwrite the other."""
    starts = [x.data_ptr() for x in (block.w, *block.entry.values()) if isinstance(x, Tensor) and x.numel()]
    return len(set(starts)) == len(starts)
