"""The recorded way to run a step: the operations of the pure rule, replayed without its temporaries.

The program of a step (see `program`) is written out once more as a Python function in which every operation says where its
result goes: into the old tensor of the state once nothing reads that any more, else over a value that is dead, else into a
scratch tensor. Scratch tensors are shared by all blocks, so they stay in the cache of the processor.

    m' = lerp(m, g, 0.1)      torch.lerp(x2, x1, 0.1, out=x2)
    q  = g * g                torch.mul(x1, x1, out=t0)
    v' = lerp(v, q, 0.001)    torch.lerp(x3, t0, 0.001, out=x3)

The operations, their order and their numbers are those of the plain step, so the state has the same bits; left out are only
x * 1, x / 1 and x +- 0 * y, which change nothing while y is finite. The last sum is taken together with the last products
(see `last_sum`), so a weight may differ by units in its last place. Refreshes of frames stay outside.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from sandbox.shells.execution import Block, Bound, Plain, is_ordinary, is_separate, like_weight
from sandbox.shells.last_sum import terms
from sandbox.shells.numbers import CannotReplay
from sandbox.shells.program import Program, defined, read_step

COPIES = {torch.ops.aten.clone.default, torch.ops.aten._to_copy.default}
TO_OUT = {  # torch.<name>(..., out=...) exists; what is not listed makes a new tensor, as in the plain step
    "abs", "add", "addcdiv", "addcmul", "bmm", "clamp", "clamp_max", "clamp_min", "div", "exp", "lerp", "log", "maximum", "minimum",
    "mm", "mul", "mv", "neg", "pow", "reciprocal", "rsqrt", "sign", "sqrt", "square", "sub", "where",
}  # fmt: skip


class Kind(NamedTuple):
    """What two tensors must share to use one memory after the other."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


def kind(x: Tensor) -> Kind:
    return Kind(tuple(x.shape), tuple(x.stride()), x.dtype, x.device)


class Plan:
    """Which memory every operation of a program writes into.  lines: the replay.  scratch: the tensors t0, t1, ... it needs.

    The inputs are x0 = w, x1 = g, and x2, x3, ... = the tensors of the state.
    """

    def __init__(self, program: Program) -> None:
        self.program, self.scratch, self.lines = program, list[Kind](), list[str]()
        self._name: dict[fx.Node, str] = {}
        self._owner: dict[fx.Node, fx.Node] = {}  # whose memory a node looks at: its own, unless it is a view
        self._last: dict[fx.Node, int] = {}  # owner -> position of the last node that reads its memory
        self._live: dict[str, fx.Node] = {}  # scratch tensor -> the owner that it holds now
        *body, output = program.graph.nodes
        (w, _, *old), (delta, *new) = program.graph.find_nodes(op="placeholder"), output.args[0]
        self._home = {after: before for before, after in zip(old, new, strict=True) if after.op == "call_function"}
        self._home |= {x: before for after, before in self._home.items() for x in on_the_way(before, after)}
        parts = terms(delta, w)
        needed = self._survey(body, [*new, *(x for part in parts for x in part.operands)])
        for i, node in enumerate(body):
            if node.op == "call_function" and node in needed:
                self._write(node, i)
        names = [(self._name[before], self._name[after]) for before, after in zip(old, new, strict=True)]
        self.lines += [f"{a}.copy_({b})" for a, b in names if a != b]
        self.lines += [part.line(self._name, program.source(part.factor)) for part in parts]

    def _survey(self, body: list[fx.Node], ends: list[fx.Node]) -> set[fx.Node]:
        """Owners, names of the inputs and last readers; returns the nodes that `ends` are made of."""
        needed = set(ends)
        for node in reversed(body):
            if node in needed:
                needed |= set(node.all_input_nodes)
        for i, node in enumerate(body):
            self._owner[node] = self._owner[node.args[0]] if is_view(node) else node
            if node.op == "placeholder":
                self._name[node] = f"x{i}"
            for x in node.all_input_nodes if node in needed else ():
                self._last[self._owner[x]] = i
        self._last |= {self._owner[x]: len(body) for x in ends}
        return needed

    def _write(self, node: fx.Node, i: int) -> None:
        name = node.target.overloadpacket.__name__
        arguments = [self._text(x) for x in node.args] + [f"{key}={self._text(x)}" for key, x in node.kwargs.items()]
        to_out = name in TO_OUT or (name == "sum" and len(arguments) > 1)
        place = self._place(node, i) if to_out or node.target in COPIES else f"v{i}"
        self._name[node] = place
        if node.target in COPIES:
            self.lines.append(f"{place}.copy_({arguments[0]})")
        elif to_out:
            self.lines.append(f"torch.{name}({', '.join(arguments)}, out={place})")
        elif hasattr(Tensor, name):
            self.lines.append(f"{place} = {arguments[0]}.{name}({', '.join(arguments[1:])})")
        else:
            self.lines.append(f"{place} = torch.ops.{node.target}({', '.join(arguments)})")
        self._live = {t: x for t, x in self._live.items() if self._last[x] > i}

    def _place(self, node: fx.Node, i: int) -> str:
        """The tensor that the result is written into: its home in the state, a value that dies here, or free scratch."""
        home = self._home.get(node)
        if home is not None and self._last.get(home, -1) <= i and self._may_overwrite(home, node):
            return self._name[home]
        needs = kind(node.meta["val"])
        dying = (
            t for t, x in self._live.items() if self._last[x] == i and self.scratch[int(t[1:])] == needs and self._may_overwrite(x, node)
        )
        free = (f"t{k}" for k, has in enumerate(self.scratch) if has == needs and f"t{k}" not in self._live)
        place = next(dying, None) or next(free, None)
        if place is None:
            place = f"t{len(self.scratch)}"
            self.scratch.append(needs)
        self._live[place] = node
        return place

    def _may_overwrite(self, owner: fx.Node, node: fx.Node) -> bool:
        """Whether `node` may write over the memory of `owner` while it reads it: entry by entry, at the same places."""
        entrywise = torch.Tag.pointwise in node.target.tags or node.target in COPIES
        reads = [x for x in node.all_input_nodes if self._owner[x] is owner]
        needs = kind(node.meta["val"])
        return kind(owner.meta["val"]) == needs and (not reads or entrywise and all(kind(x.meta["val"]) == needs for x in reads))

    def _text(self, x: Any) -> str:
        if isinstance(x, fx.Node):
            return self._name[x]
        if isinstance(x, list | tuple):
            return f"[{', '.join(self._text(part) for part in x)}]"
        return self.program.source(x)


def on_the_way(before: fx.Node, after: fx.Node) -> list[fx.Node]:
    """Values between an old tensor of the state and the new one that nothing else reads: they may lie in its memory too."""
    chain, node = list[fx.Node](), after
    while torch.Tag.pointwise in node.target.tags and before not in node.all_input_nodes:
        alone = [x for x in node.all_input_nodes if x.op == "call_function" and len(x.users) == 1 and not is_view(x)]
        if len(alone) != 1 or kind(alone[0].meta["val"]) != kind(before.meta["val"]):
            break
        chain.append(node := alone[0])
    return chain


def is_view(node: fx.Node) -> bool:
    return node.op == "call_function" and node.target.is_view


class Replay(NamedTuple):
    """numbers, run: the two halves of a program, as Python functions."""

    numbers: Callable[..., tuple[tuple[float, ...], tuple[float, ...]]]
    run: Callable[..., None]
    scratch: tuple[Kind, ...]


def replay(program: Program) -> Replay:
    plan = Plan(program)
    n_inputs = len(program.graph.find_nodes(op="placeholder"))
    names = [*(f"x{i}" for i in range(n_inputs)), *(f"t{i}" for i in range(len(plan.scratch))), *program.wanted()]
    known = {"torch": torch, "device": torch.device}
    return Replay(program.numbers(), defined(f"def run({', '.join(names)}):", plan.lines, known), tuple(plan.scratch))


class Recorded:
    """Moves blocks by replay; one replay per rule and kind of tensor, made when it is first met.

    Scratch memory is kept between steps: for each of t0, t1, ... one tensor as large as the largest that lies there. A step
    without a program (it compares its numbers, or shares memory between two tensors) moves in the plain way, and so does a tensor
    that is sharded, sparse or complex.
    """

    def __init__(self) -> None:
        self._replays: dict[Any, Replay | None] = {}
        self._bound: dict[Tensor, Bound] = {}
        self._arena: dict[Any, Tensor] = {}
        self._scratch: dict[tuple[Kind, ...], list[Tensor]] = {}

    @torch.no_grad()
    def move_all(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            bound = self._bound.get(block.w)
            if bound is None or not bound.holds(block):
                bound = self._bound[block.w] = Bound(block, self._replay(block))
            if bound.what is None:
                Plain().move_all([block])
            else:
                self._move(block, bound)

    def _move(self, block: Block, bound: Bound) -> None:
        numbers, run, scratch = bound.what
        used, results = numbers(*bound.numbers(block))
        places = self._scratch.get(scratch) or self._allocate(scratch)
        run(block.w, like_weight(block.g, block.w), *(x for _, x in bound.tensors), *places, *used)
        block.entry.update(zip(bound.number_keys, results, strict=True))

    def _replay(self, block: Block) -> Replay | None:
        """None for a block that must move in the plain way."""
        if not (is_ordinary(block.w) and is_separate(block)):
            return None
        key = program_key(block)
        if key not in self._replays:
            try:
                self._replays[key] = replay(read_step(block))
            except CannotReplay:
                self._replays[key] = None
        return self._replays[key]

    def _allocate(self, scratch: tuple[Kind, ...]) -> list[Tensor]:
        """The scratch tensors of a replay, as views of memory that all replays share."""
        views = []
        for i, (shape, stride, dtype, device) in enumerate(scratch):
            size = 1 + sum((n - 1) * by for n, by in zip(shape, stride, strict=True)) if 0 not in shape else 0
            if (held := self._arena.get((i, dtype, device))) is None or held.numel() < size:
                self._arena[i, dtype, device] = torch.empty(size, dtype=dtype, device=device)
                self._scratch.clear()  # views of the smaller memory would keep it alive
            views.append(self._arena[i, dtype, device].as_strided(shape, stride))
        self._scratch[scratch] = views
        return views


def program_key(block: Block) -> Any:
    """What two blocks must share to have one program."""
    tensors = (kind(x) for x in block.entry.values() if isinstance(x, Tensor))
    return block.rule, block.settings.fields, block.structure, kind(block.w), *tensors
