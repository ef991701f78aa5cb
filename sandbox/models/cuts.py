"""Adam-mini's blocks of every tensor of a model, from roles: what shares one second moment.

Code of version 1.1 (read: release 1.1.1):

    query, key                                 one block per head (key: per head of keys): consecutive rows
    value, attention out, feed-forward, LoRA,
    convolution, router                        one block per output neuron (channel, rank of LoRA's A)
    experts, a 3-D weight (expert, out, in)    one block per expert and output neuron
    fused query-key-value                      its stretches: heads of query and key, neurons of value
    embedding, position, head                  one block per token, position
    norm gains                                 the whole tensor
    biases                                     one block per entry, that is plain Adam

Version 1.0 (July to September 2024; second-hand): embedding, position (ours) and head per entry; value, attention out,
feed-forward and the value stretch of a fused weight whole. By input: one block per input of a matrix, the control
that cuts the other way.

Source: Zhang et al. (2024), https://arxiv.org/abs/2406.16793, and its code.  Departures from the code: tensors are
recognised by role, not by substring, which decides these: a fused query-key-value is cut as its parts are (by
substring it falls to "whole": HF GPT-2's c_attn, in_proj, and GPT-NeoX's), LoRA's factors, convolutions and experts are
cut by output neuron (there: a crash where a substring matches, else whole), position tables by row (there: `wpe` whole,
`position_embeddings` rows). Biases follow the rule of 1.1.1 in both versions (1.0: whole; 1.1.0 let them follow their layer
and crashed on some).

`Blocks` are all that an optimizer needs: AdamMini(lr, n_blocks=cut.n_blocks, dim=cut.dim).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

from sandbox.models.roles import Role

Shapes = Mapping[str, tuple[int, ...]]
Version = Literal["1.1", "1.0", "by input"]
Stretches = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Blocks:
    """kind: what a block is.  count: number of blocks, along `dim`; for kind "entry" every entry is a block.

    stretches: (rows, blocks) in order along `dim`, for kind "stretches", whose blocks differ in size.
    """

    kind: Literal["head", "row", "whole", "entry", "stretches"]
    count: int
    dim: int = 0
    stretches: Stretches = ()

    @property
    def n_blocks(self) -> int | Stretches:
        """What AdamMini takes beside `dim`."""
        return self.stretches or self.count


LOOKED_UP = ("embedding", "position")
FUSED = ("query_key_value", "query_key_value_by_head")
WHOLE_IN_1_0 = ("value", "attention_out", "ffn_in", "ffn_gate", "ffn_out", "hidden")
KIND_1_1 = {"query": "head", "key": "head", "norm": "whole", "bias": "entry"} | dict.fromkeys(FUSED, "stretches")
KIND_1_0 = KIND_1_1 | dict.fromkeys(WHOLE_IN_1_0, "whole") | dict.fromkeys(("embedding", "position", "head"), "entry")


def adam_mini(roles: Mapping[str, Role], shapes: Shapes, *, version: Version = "1.1") -> dict[str, Blocks]:
    """Adam-mini's blocks of every tensor.

    Raises ValueError for an unknown version, where roles and shapes name different tensors, and where a number of heads is
    unknown or does not divide the rows.
    """
    if version not in get_args(Version):
        raise ValueError(f"version of Adam-mini must be one of {', '.join(get_args(Version))}, got {version!r}")
    same_names("roles", roles, "shapes", shapes)
    if version == "by input":
        return {name: by_input(role, shapes[name]) for name, role in roles.items()}
    kinds = {"1.1": KIND_1_1, "1.0": KIND_1_0}[version]
    value = {"1.1": "row", "1.0": "whole"}[version]
    return {name: blocks(name, kinds.get(role.kind, "row"), role, shapes[name], value=value) for name, role in roles.items()}


def blocks(name: str, kind: str, role: Role, shape: tuple[int, ...], *, value: str = "row") -> Blocks:
    """The blocks of one tensor. Rows are counted along the axis that faces the output (the last of them where there
    are several), for tables along the axis of what is looked up.
    """
    faces = role.input_dims if role.kind in LOOKED_UP else role.output_dims
    if kind == "row" and faces != tuple(range(faces[0], faces[0] + len(faces))):
        raise ValueError(
            f"the output axes of {name!r}, {faces} of shape {shape}, must be neighbours to be cut into equal chunks: "
            "store it as (..., out, in), or give it its own blocks"
        )
    if kind == "whole":
        return Blocks("whole", 1)
    if kind == "entry":
        return Blocks("entry", prod(shape))
    if kind == "row":
        return Blocks("row", prod(shape[d] for d in faces), faces[0])
    if kind == "head":
        return Blocks("head", head_count(name, role, shape[faces[0]]), faces[0])
    stretches = fused(name, role, shape[faces[0]], value)
    return Blocks("stretches", sum(count for _, count in stretches), faces[0], stretches)


def by_input(role: Role, shape: tuple[int, ...]) -> Blocks:
    """One block per input of a matrix (per feature of a table); vectors stay whole."""
    faces = role.output_dims if role.kind in LOOKED_UP else role.input_dims
    if not faces or len(shape) < 2:
        return Blocks("whole", 1)
    return Blocks("row", shape[faces[0]], faces[0])


def head_count(name: str, role: Role, rows: int) -> int:
    """Heads of a query or key matrix. Raises ValueError where they are unknown or do not divide its rows."""
    heads = role.n_kv_heads if role.kind == "key" else role.n_heads
    if not heads or rows % heads:
        raise ValueError(
            f"{name!r} is a {role.kind} of {rows} rows, which {heads} heads do not cut into equal blocks: correct its role by roles="
        )
    return heads


def fused(name: str, role: Role, rows: int, value: str) -> Stretches:
    """Query, key and value in one weight, with n_heads and n_kv_heads heads of one size.

    Stacked: all queries, all keys, all values. By head: each head's query, key and value, head after head.
    Raises ValueError where the heads are unknown or do not divide the rows.
    """
    heads, kv_heads = role.n_heads, role.n_kv_heads or role.n_heads
    if not heads or rows % (heads + 2 * kv_heads):
        raise ValueError(
            f"{name!r} is a fused query, key and value of {rows} rows, which {heads} heads and twice {kv_heads} heads of keys do not cut "
            "into equal heads: correct its role by roles="
        )
    size = rows // (heads + 2 * kv_heads)
    if role.kind == "query_key_value_by_head":
        return ((size, 1), (size, 1), (size, size if value == "row" else 1)) * heads
    n_values = size * kv_heads
    return (size * heads, heads), (n_values, kv_heads), (n_values, n_values if value == "row" else 1)


def table(roles: Mapping[str, Role], shapes: Shapes, cuts: Mapping[str, Blocks]) -> str:
    """Every tensor with its role, shape, cut, number of blocks and ties, as text; the last line adds the blocks up."""
    same_names("roles", roles, "blocks", cuts)
    rows = [("tensor", "role", "shape", "one block per", "along", "blocks", "tied to")]
    for name, role in roles.items():
        cut = cuts[name]
        shape, along = " x ".join(map(str, shapes[name])), str(cut.dim) if cut.count > 1 else "-"
        rows.append((name, role.kind, shape, PER[cut.kind], along, str(cut.count), ", ".join(role.tied_to)))
    n_entries, n_blocks = sum(map(prod, shapes.values())), sum(cut.count for cut in cuts.values())
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, f"{n_blocks} second moments for {n_entries} entries in {len(cuts)} tensors"])


PER = {"head": "head", "row": "row", "whole": "tensor", "entry": "entry", "stretches": "head of q, k; row of v"}


def same_names(a: str, first: Mapping, b: str, second: Mapping) -> None:
    """Raises ValueError where two mappings do not name the same tensors."""
    if set(first) != set(second):
        only_a, only_b = sorted(set(first) - set(second)), sorted(set(second) - set(first))
        raise ValueError(f"{a} and {b} must name the same tensors, but only {a} has {only_a} and only {b} has {only_b}")
