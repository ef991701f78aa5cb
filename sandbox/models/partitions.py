"""A block number for every entry of a model: Adam-mini's cut, columns, chosen index sets, and random blocks of the same
sizes. For curvature; `sandbox.models.cuts` has what an optimizer needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.models.cuts import Blocks, Shapes, by_input, same_names
from sandbox.models.roles import Role

SHUFFLES = 0x53  # last part of the key of a random partition


def one_per_tensor(shapes: Shapes) -> dict[str, Blocks]:
    return dict.fromkeys(shapes, Blocks("whole", 1))


@dataclass(frozen=True, eq=False)
class Partition:
    """labels: for every tensor the block number of each entry, int64, shaped like the tensor; numbers run from 0 inside
    each tensor.
    """

    labels: Mapping[str, Tensor]

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of blocks of every tensor."""
        return {name: int(label.max()) + 1 for name, label in self.labels.items()}

    def sizes(self, name: str) -> Tensor:
        """Entries per block of a tensor, (blocks,)."""
        return torch.bincount(self.labels[name].flatten())

    def indices(self, name: str) -> list[Tensor]:
        """Flat indices of the entries of each block of a tensor, ascending."""
        order = self.labels[name].flatten().argsort(stable=True)
        return list(order.split(self.sizes(name).tolist()))

    def flat(self) -> Tensor:
        """Block numbers of all entries, tensor after tensor, numbered on across tensors: (d,) int64."""
        total, pieces = 0, []
        for name, label in self.labels.items():
            pieces.append(label.flatten() + total)
            total += self.counts[name]
        return torch.cat(pieces)


def from_blocks(blocks: Mapping[str, Blocks], shapes: Shapes) -> Partition:
    """Raises ValueError where the names differ or a number of blocks does not divide the axis that it cuts."""
    same_names("blocks", blocks, "shapes", shapes)
    return Partition({name: chunks(name, blocks[name], shapes[name]) for name in shapes})


def chunks(name: str, cut: Blocks, shape: tuple[int, ...]) -> Tensor:
    """The block number of each entry of one tensor."""
    if cut.kind == "entry" and cut.count == prod(shape):
        return torch.arange(prod(shape)).view(shape)
    rows, n_entries = shape[cut.dim], prod(shape)
    if cut.stretches:
        number = torch.cat([torch.arange(n) // (n // count) + start for n, count, start in _starts(cut)])
        return _along(number, cut.dim, shape)
    per_row = cut.count // rows if cut.count > rows else 1
    if cut.count < 1 or (rows * per_row) % cut.count or n_entries % (rows * per_row):
        raise ValueError(
            f"{cut.count} blocks do not cut axis {cut.dim} of {name!r}, shape {shape}, into equal chunks: choose a divisor of {rows}"
        )
    if per_row == 1:
        return _along(torch.arange(rows) // (rows // cut.count), cut.dim, shape)
    lying = (rows, *(n for d, n in enumerate(shape) if d != cut.dim))
    return (torch.arange(n_entries) // (n_entries // cut.count)).view(lying).movedim(0, cut.dim).contiguous()


def _starts(cut: Blocks) -> list[tuple[int, int, int]]:
    """(rows, blocks, number of the first block) of each stretch."""
    starts = accumulate((count for _, count in cut.stretches), initial=0)
    return [(n, count, start) for (n, count), start in zip(cut.stretches, starts, strict=False)]


def _along(number: Tensor, dim: int, shape: tuple[int, ...]) -> Tensor:
    return number.view([-1 if d == dim else 1 for d in range(len(shape))]).expand(shape).contiguous()


def by_column(roles: Mapping[str, Role], shapes: Shapes) -> Partition:
    """One block per input of a matrix (per feature of a table); vectors stay whole: the control that cuts the other
    way.
    """
    same_names("roles", roles, "shapes", shapes)
    return Partition({name: chunks(name, by_input(role, shapes[name]), shapes[name]) for name, role in roles.items()})


def random_like(partition: Partition, seed: int) -> Partition:
    """Blocks of the same sizes whose members are drawn uniformly inside each tensor, a pure function of the seed."""
    return Partition({name: shuffled(label, seed, i) for i, (name, label) in enumerate(partition.labels.items())})


def shuffled(label: Tensor, seed: int, index: int) -> Tensor:
    order = torch.randperm(label.numel(), generator=generator(seed, index, 0, SHUFFLES))
    return label.flatten()[order].view(label.shape)


def from_indices(indices: Mapping[str, Sequence[Sequence[int]]], shapes: Shapes) -> Partition:
    """From the flat indices of each block of each tensor.

    Raises ValueError where a tensor, an entry or a block is missing, where an entry is in two blocks, and where an
    index is outside.
    """
    same_names("indices", indices, "shapes", shapes)
    return Partition({name: covered_once(name, indices[name], shapes[name]) for name in shapes})


def covered_once(name: str, sets: Sequence[Sequence[int]], shape: tuple[int, ...]) -> Tensor:
    n = prod(shape)
    if empty := [number for number, members in enumerate(sets) if not len(members)]:
        raise ValueError(f"block {empty[0]} of {name!r} is empty: leave it out, or give it entries")
    flat = torch.tensor([i for members in sets for i in members], dtype=torch.long)
    if outside := flat[(flat < 0) | (flat >= n)].tolist():
        raise ValueError(f"entry {outside[0]} of {name!r} does not exist: its {n} entries, shape {shape}, are 0 .. {n - 1}")
    times = torch.bincount(flat, minlength=n)
    for wrong, what in ((times == 0, "no block"), (times > 1, "more than one block")):
        if wrong.any():
            i = int(wrong.int().argmax())
            raise ValueError(
                f"entry {i} of {name!r} lies in {what} ({int(times[i])} times), and so do {int(wrong.sum()) - 1} more "
                f"of its {n} entries: "
                f"every entry must lie in exactly one block"
            )
    number = torch.repeat_interleave(torch.arange(len(sets)), torch.tensor([len(members) for members in sets]))
    return torch.empty(n, dtype=torch.long).scatter_(0, flat, number).view(shape)
