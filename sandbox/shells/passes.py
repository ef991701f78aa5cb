"""What every value of a traced step is to the loops that compute it, where it lies, and in which pass it comes.

Entrywise values in the shape of the weight are never stored: every pass computes again those that it needs. A sum over such
a value ends a pass, because what reads the sum can only start when it is complete; all sums that are ready at the same time
share one pass. Everything smaller than the weight (vectors of rows and columns, numbers) is stored, and so is a value that is
looked at in another shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor, fx

from sandbox.shells.entrywise import EXPRESSIONS, TYPES
from sandbox.shells.program import Program


class CannotLoop(ValueError):
    """The step has an operation that these loops do not know, a matrix product say."""


@dataclass(frozen=True)
class Memory:
    """Where the entries of a value lie: name[offset + sum of stride * index]."""

    name: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int = 0

    def at(self, indices: Sequence[str]) -> str:
        """The entry that broadcasts to `indices`."""
        last = indices[len(indices) - len(self.shape) :]
        terms = [f"{by} * {i}" for i, by, size in zip(last, self.stride, self.shape, strict=True) if size > 1 and by]
        return f"{self.name}[{' + '.join([str(self.offset), *terms])}]"


def value(node: fx.Node) -> Tensor:
    return node.meta["val"]


def span(x: Tensor) -> int:
    """Entries of memory that a tensor of this shape and stride covers."""
    return prod(x.shape) and 1 + sum((n - 1) * by for n, by in zip(x.shape, x.stride(), strict=True))


def ctype(node: fx.Node) -> str:
    return TYPES[value(node).dtype]


def name(node: fx.Node) -> str:
    return node.target.overloadpacket.__name__


def is_view(node: fx.Node) -> bool:
    return node.target.is_view or name(node) == "_unsafe_view"


def indices(n: int) -> list[str]:
    return [f"i{d}" for d in range(n)]


class Layout:
    """What every node of a program is, where it lies, and in which pass it comes.

    full: entrywise values in the shape of the weight, computed in the passes.  sums: reductions of those.  small: the rest.
    ready: the pass in which a full value can be computed, or before which any other value is stored.
    """

    def __init__(self, program: Program) -> None:
        self.inputs = program.graph.find_nodes(op="placeholder")
        *body, output = program.graph.nodes
        self.delta, *self.new = output.args[0]
        self.shape = tuple(value(self.inputs[0]).shape)
        if any(value(x).dtype not in TYPES for x in self.inputs):
            raise CannotLoop("tensors in half precision have no loop")
        self.memory: dict[fx.Node, Memory] = {}
        self.ready: dict[fx.Node, int] = {}
        self.same: dict[fx.Node, fx.Node] = {}  # views that change nothing
        self.full, self.stored, self.sums, self.small = [], [], [], []  # lists of nodes
        for i, node in enumerate(self.inputs):
            self.memory[node], self.ready[node] = self._memory(f"x{i}", node), 0
        for node in body:
            if node.op == "call_function":
                self._place(node)
        self.passes = 1 + max(self.ready.values())

    def is_full(self, node: fx.Node) -> bool:
        return self.shape != () and tuple(value(node).shape) == self.shape

    def itself(self, node: fx.Node) -> fx.Node:
        return self.same.get(node, node)

    def _memory(self, text: str, node: fx.Node) -> Memory:
        return Memory(text, tuple(value(node).shape), tuple(value(node).stride()))

    def _place(self, node: fx.Node) -> None:
        reads = [self.itself(x) for x in node.all_input_nodes]
        if is_view(node):
            return self._view(node, *reads)
        if name(node) not in EXPRESSIONS.keys() | {"sum"} or value(node).dtype not in TYPES:
            raise CannotLoop(f"{node.target} on {value(node).dtype} has no loop")
        if name(node) == "sum" and self.is_full(reads[0]):
            self.sums.append(node)
            self.ready[node] = self.ready[reads[0]] + 1
        elif name(node) != "sum" and self.is_full(node):
            self.full.append(node)
            self.ready[node] = max((self.ready[x] for x in reads), default=0)
            return None
        else:
            self.small.append(node)
            self.ready[node] = max((self._store(x) for x in reads), default=0)
        self.memory[node] = self._memory(f"b_{node.name}", node)

    def _view(self, node: fx.Node, base: fx.Node) -> None:
        a, b = value(node), value(base)
        if (a.shape, a.stride()) == (b.shape, b.stride()):
            self.same[node] = base
            return
        if base in self.inputs and base is not self.inputs[1] and self.is_full(base):
            raise CannotLoop(f"{node.target} reads, in another order, what the last pass writes")
        self.ready[node] = self._store(base)
        offset = self.memory[base].offset + int(a.storage_offset() - b.storage_offset())
        self.memory[node] = Memory(self.memory[base].name, tuple(a.shape), tuple(a.stride()), offset)

    def _store(self, node: fx.Node) -> int:
        """Has the value stored, if it is not; returns the pass before which it is there."""
        if node in self.memory:
            return self.ready[node] + (node in self.stored)
        self.stored.append(node)
        self.memory[node] = self._memory(f"b_{node.name}", node)
        return self.ready[node] + 1
