"""Cuts of a model's parameters into blocks: Adam-mini's, one per tensor, columns, chosen index sets, and random ones of
the same sizes.

Adam-mini, code of version 1.1 (read: release 1.1.1), one second moment per block:

    query, key                                 one block per head: consecutive rows
    value, attention out, feed-forward         one block per row, that is per output neuron
    embedding, head                            one block per row, that is per token
    norm gains, fused query-key-value          the whole tensor
    biases                                     one block per entry, that is plain Adam

Version 1.0 (July to September 2024; from the dossier): embedding and head per entry, value, attention out and
feed-forward whole.

Source: Zhang et al. (2024), https://arxiv.org/abs/2406.16793, and its code.  Departures from the
code: tensors are recognised by role, not by substring; biases follow the rule of 1.1 in both versions (1.0 let them
follow their layer and crashed on some); position tables are cut by row like tokens (the code has no name for them: by
substring, `wpe` falls to "whole", `position_embeddings` to rows).

Two records, for two readers: `Blocks` are equal consecutive chunks along one axis, all that an optimizer needs; a
`Partition` is a block number for every entry, for curvature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.models.roles import Role

Shapes = Mapping[str, tuple[int, ...]]
SHUFFLES = 0x53  # last part of the key of a random partition


@dataclass(frozen=True)
class Blocks:
    """kind: what a block is.  count: number of equal consecutive chunks along `dim`; for kind "entry" every entry is a
    block.
    """

    kind: Literal["head", "row", "whole", "entry"]
    count: int
    dim: int = 0


def adam_mini(roles: Mapping[str, Role], shapes: Shapes, *, version: Literal["1.1", "1.0"] = "1.1") -> dict[str, Blocks]:
    """Adam-mini's blocks of every tensor.

    Raises ValueError where roles and shapes name different tensors and where a number of heads is unknown or does not
    divide the rows.
    """
    same_names("roles", roles, "shapes", shapes)
    kinds = {"1.1": KIND_1_1, "1.0": KIND_1_0}[version]
    return {name: blocks(name, kinds.get(role.kind, "row"), role, shapes[name]) for name, role in roles.items()}


KIND_1_1 = {"query": "head", "key": "head", "query_key_value": "whole", "norm": "whole", "bias": "entry"}
KIND_1_0 = KIND_1_1 | dict.fromkeys(("value", "attention_out", "ffn_in", "ffn_gate", "ffn_out", "hidden"), "whole")
KIND_1_0 |= dict.fromkeys(("embedding", "position", "head"), "entry")


def blocks(name: str, kind: str, role: Role, shape: tuple[int, ...]) -> Blocks:
    """The blocks of one tensor; rows are counted along the axis that faces the output, for tables along the axis of
    what is looked up.
    """
    dim = (role.input_dims if role.kind in ("embedding", "position") else role.output_dims)[0]
    counts = {"whole": 1, "entry": prod(shape), "row": shape[dim]}
    count = counts[kind] if kind in counts else head_count(name, role, shape[dim])
    return Blocks(kind, count, dim if kind in ("row", "head") else 0)


def head_count(name: str, role: Role, rows: int) -> int:
    """Heads of a query or key matrix. Raises ValueError where they are unknown or do not divide its rows."""
    heads = role.n_kv_heads if role.kind == "key" else role.n_heads
    if not heads or rows % heads:
        raise ValueError(
            f"{name!r} is a {role.kind} of {rows} rows, which {heads} heads do not cut into equal blocks: correct its role by roles="
        )
    return heads


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
    if cut.kind == "entry" and cut.count == prod(shape):
        return torch.arange(prod(shape)).view(shape)
    if cut.count < 1 or shape[cut.dim] % cut.count:
        raise ValueError(
            f"{cut.count} blocks do not cut axis {cut.dim} of {name!r}, shape {shape}, into equal chunks: "
            f"choose a divisor of {shape[cut.dim]}"
        )
    number = torch.arange(shape[cut.dim]) // (shape[cut.dim] // cut.count)
    return number.view([-1 if d == cut.dim else 1 for d in range(len(shape))]).expand(shape).contiguous()


def by_column(roles: Mapping[str, Role], shapes: Shapes) -> Partition:
    """One block per input of a matrix (per feature of a table); vectors stay whole: the control that cuts the other
    way.
    """
    same_names("roles", roles, "shapes", shapes)
    found = {}
    for name, role in roles.items():
        faces = role.output_dims if role.kind in ("embedding", "position") else role.input_dims
        cut = Blocks("row", shapes[name][faces[0]], faces[0]) if faces else Blocks("whole", 1)
        found[name] = chunks(name, cut, shapes[name])
    return Partition(found)


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


def same_names(a: str, first: Mapping, b: str, second: Mapping) -> None:
    """Raises ValueError where two mappings do not name the same tensors."""
    if set(first) != set(second):
        only_a, only_b = sorted(set(first) - set(second)), sorted(set(second) - set(first))
        raise ValueError(f"{a} and {b} must name the same tensors, but only {a} has {only_a} and only {b} has {only_b}")
