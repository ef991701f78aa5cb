"""A block number for every entry of a model, by what the entry belongs to. For curvature; `sandbox.models.cuts` has what an
optimizer needs.

    by_tensor      each tensor whole
    by_head        query and key by head, and what shares the gauge of a head with them: value by head (of keys), the attention
                   output by the head that it reads; a fused query, key and value by all its heads; everything else whole
    by_row         one block per output neuron (per token or position of a table); vectors whole
    by_column      one block per input (per feature of a table); vectors whole
    by_token       embedding and output head by token; everything else whole
    adam_mini_cut  what Adam-mini published, by version
    random_like    blocks of the sizes of another partition, members at random: the null
    from_indices   any, from the indices of each block

A tied tensor is one tensor and is cut once, by the role of its first name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.models.cuts import FUSED, Blocks, Shapes, Version, adam_mini, blocks, by_input, same_names
from sandbox.models.roles import Role

SHUFFLES = 0x53  # last part of the key of a random partition
HEADED = ("query", "key", "value", "attention_out", *FUSED)
TOKENS = ("embedding", "head")


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


def by_tensor(shapes: Shapes) -> Partition:
    return from_blocks(one_per_tensor(shapes), shapes)


def adam_mini_cut(roles: Mapping[str, Role], shapes: Shapes, *, version: Version = "1.1") -> Partition:
    """Raises ValueError as `sandbox.models.cuts.adam_mini` does."""
    return from_blocks(adam_mini(roles, shapes, version=version), shapes)


def by_head(roles: Mapping[str, Role], shapes: Shapes) -> Partition:
    """Raises ValueError where the heads of an attention matrix are unknown or do not divide the axis that they cut."""
    return _each(roles, shapes, _heads)


def by_row(roles: Mapping[str, Role], shapes: Shapes) -> Partition:
    return _each(roles, shapes, lambda name, role, shape: blocks(name, "row" if len(shape) > 1 else "whole", role, shape))


def by_token(roles: Mapping[str, Role], shapes: Shapes) -> Partition:
    return _each(roles, shapes, lambda name, role, shape: blocks(name, "row" if role.kind in TOKENS else "whole", role, shape))


def _each(roles: Mapping[str, Role], shapes: Shapes, cut: Callable[[str, Role, tuple[int, ...]], Blocks]) -> Partition:
    same_names("roles", roles, "shapes", shapes)
    return from_blocks({name: cut(name, role, shapes[name]) for name, role in roles.items()}, shapes)


def _heads(name: str, role: Role, shape: tuple[int, ...]) -> Blocks:
    """Heads lie one after the other along one axis, in equal chunks, whatever the tensor."""
    if role.kind not in HEADED:
        return Blocks("whole", 1)
    heads, kv_heads = role.n_heads, role.n_kv_heads or role.n_heads
    dim = (role.input_dims if role.kind == "attention_out" else role.output_dims)[0]
    counts = dict.fromkeys(FUSED, (heads or 0) + 2 * (kv_heads or 0)) | dict.fromkeys(("key", "value"), kv_heads)
    count = counts.get(role.kind, heads)
    if not count or shape[dim] % count:
        raise ValueError(
            f"{name!r} has the role {role.kind} and {shape[dim]} entries along axis {dim}, which {count} heads do not cut into equal "
            f"blocks: correct its role by roles="
        )
    return Blocks("head", count, dim)


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


def table(partition: Partition, roles: Mapping[str, Role]) -> str:
    """Every tensor with its role, shape, number and sizes of blocks, and ties, as text; the last line adds up."""
    same_names("roles", roles, "partition", partition.labels)
    rows = [("tensor", "role", "shape", "blocks", "entries per block", "tied to")]
    for name, role in roles.items():
        sizes = partition.sizes(name)
        least, most = int(sizes.min()), int(sizes.max())
        shape = " x ".join(map(str, partition.labels[name].shape))
        rows.append(
            (name, role.kind, shape, str(len(sizes)), str(most) if least == most else f"{least} to {most}", ", ".join(role.tied_to))
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    n_entries = sum(label.numel() for label in partition.labels.values())
    return "\n".join([*lines, f"{sum(partition.counts.values())} blocks of {n_entries} entries in {len(roles)} tensors"])
