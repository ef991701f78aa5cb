"""A traced step as C++ loops that pass over a weight as few times as its reductions demand (see `passes`).

Adam is one pass; Adam-mini two (the means of g^2; the step); AdaLomo three (sums of g^2 by rows and by columns, and of w^2; the
sum of u^2; the step). The weight and the tensors of the state are written in the last pass, and what is smaller after it.

Sums run in the dtype of the tensor along the last dimension and over 32 rows, and in float64 beyond that.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import prod

import torch
from torch import fx

from sandbox.shells.entrywise import expression
from sandbox.shells.passes import Layout, Memory, ctype, indices, name, span, value
from sandbox.shells.program import Program

ROWS = 32  # between two moves of column sums into float64


def nest(sizes: Sequence[int], body: Sequence[str], names: Sequence[str] | None = None) -> list[str]:
    """Loops over `sizes`, outermost first, around `body`."""
    names = names or indices(len(sizes))
    return [*(f"for (long {i} = 0; {i} < {n}; ++{i}) {{" for i, n in zip(names, sizes, strict=True)), *body, "}" * len(sizes)]


class Loops:
    """text: the body of a C++ function of `const double* n` and `void* const* x` that makes one step of a program."""

    def __init__(self, program: Program) -> None:
        self.program, self.layout = program, Layout(program)
        self.rank = len(self.layout.shape)
        self.bytes, self.declared = 0, list[str]()
        for node in (*self.layout.stored, *self.layout.small, *self.layout.sums):
            self._declare(self.layout.memory[node].name, ctype(node), span(value(node)))
        body = [line for i in range(self.layout.passes) for line in self._pass(i)]
        inputs = [f"{ctype(x)}* __restrict x{i} = ({ctype(x)}*) x[{i}];" for i, x in enumerate(self.layout.inputs)]
        numbers = [f"const double {text} = n[{i}];" for i, text in enumerate(program.wanted())]
        memory = f"std::unique_ptr<char[]> memory(new char[{self.bytes + 64}]);"
        self.text = "\n".join((*inputs, *numbers, memory, *self.declared, *body, *self._copies()))

    def _declare(self, text: str, kind: str, size: int) -> None:
        self.declared.append(f"{kind}* __restrict {text} = ({kind}*) (memory.get() + {self.bytes});")
        self.bytes += -(-size * 8 // 64) * 64

    def _pass(self, k: int) -> list[str]:
        """What is stored before pass k, and the pass."""
        layout, here = self.layout, indices(self.rank)
        lines = [line for node in layout.small if layout.ready[node] == k for line in self._small(node)]
        sums = [x for x in layout.sums if layout.ready[x] == k + 1]
        roots = [x for x in layout.stored if layout.ready[x] == k]
        writes = [f"{layout.memory[x].at(here)} = {self._read(x, here)};" for x in roots]
        if k == layout.passes - 1:
            homes = [(a, b) for a, b in self._moved() if layout.is_full(a)]
            roots += [layout.delta, *(after for _, after in homes)]
            writes += [f"{layout.memory[before].at(here)} = {self._read(after, here)};" for before, after in homes]
            writes.append(f"{layout.memory[layout.inputs[0]].at(here)} += {self._read(layout.delta, here)};")
        if sums or writes:
            roots += [x.args[0] for x in sums]
            computed = [f"const {ctype(x)} v_{x.name} = {self._expression(x, here)};" for x in self._needed(roots)]
            lines += self._loops(sums, [*computed, *writes])
        return lines

    def _moved(self) -> list[tuple[fx.Node, fx.Node]]:
        """(old, new) for every tensor of the state that the step changes."""
        return [(a, b) for a, b in zip(self.layout.inputs[2:], self.layout.new, strict=True) if self.layout.itself(b) is not a]

    def _needed(self, roots: list[fx.Node]) -> list[fx.Node]:
        """The full values that `roots` are computed from, in their order."""
        wanted = {self.layout.itself(x) for x in roots}
        for node in reversed(self.layout.full):
            if node in wanted:
                wanted |= {self.layout.itself(x) for x in node.all_input_nodes}
        return [node for node in self.layout.full if node in wanted]

    def _loops(self, sums: list[fx.Node], body: list[str]) -> list[str]:
        """One pass over the weight: `body` for every entry, and the sums."""
        parts = [Sum(x, self) for x in sums]
        along = [f"a_{p.node.name}" for p in parts if p.ends_inside]
        clause = f" reduction(+:{','.join(along)})" if along else ""
        pragma = [f"#pragma omp simd{clause}"] if self.rank else []
        entry = [*body, *(p.add for p in parts)]
        inner = [*pragma, *nest(self.layout.shape[-1:], entry, indices(self.rank)[-1:])]
        row = [*(f"{ctype(p.node)} a_{p.node.name} = 0;" for p in parts if p.ends_inside), *inner]
        row += [line for p in parts for line in p.after_row]
        return [*(p.start for p in parts), *nest(self.layout.shape[:-1], row), *(line for p in parts for line in p.finish)]

    def _small(self, node: fx.Node) -> list[str]:
        """A stored value that is no larger than a row or a column, in loops of its own."""
        sizes = tuple(value(node).shape)
        if name(node) != "sum":
            here = indices(len(sizes))
            return nest(sizes, [f"{self.layout.memory[node].at(here)} = {self._expression(node, here)};"])
        total = Sum(node, self)
        (x,), here = node.all_input_nodes, indices(len(total.over))
        inner = nest([total.over[d] for d in total.dims], [f"total += {self._read(x, here)};"], [f"i{d}" for d in total.dims])
        body = ["double total = 0;", *inner, f"{total.place(self.layout.memory[node].name)} = total;"]
        return ["{", *nest([total.over[d] for d in total.kept], body, [f"i{d}" for d in total.kept]), "}"]

    def _expression(self, node: fx.Node, here: list[str]) -> str:
        reads = [x for x in node.args if isinstance(x, fx.Node)]
        kind = ctype(reads[0] if value(node).dtype == torch.bool else node)
        args = [self._argument(x, kind, here) for x in node.args]
        named = {key: self._argument(x, kind, here) for key, x in node.kwargs.items() if key in ("alpha", "value")}
        return expression(name(node), kind, args, named)

    def _argument(self, x: object, kind: str, here: list[str]) -> str:
        if isinstance(x, fx.Node):
            text = self._read(x, here)
            return text if ctype(x) in (kind, "bool") else f"T({text})"
        return "None" if x is None else f"T({self.program.source(x)})"

    def _read(self, node: fx.Node, here: list[str]) -> str:
        node = self.layout.itself(node)
        return f"v_{node.name}" if node in self.layout.full and here == indices(self.rank) else self.layout.memory[node].at(here)

    def _copies(self) -> list[str]:
        """What is smaller than the weight is put into the state at the end, when nothing reads the old values any more."""
        lines = []
        for before, after in self._moved():
            if not self.layout.is_full(before):
                sizes = tuple(value(before).shape)
                here = [f"j{d}" for d in range(len(sizes))]
                lines += nest(sizes, [f"{self.layout.memory[before].at(here)} = {self._read(after, here)};"], here)
        return lines


class Sum:
    """One reduction inside a pass; its lines, by their place in the loops."""

    def __init__(self, node: fx.Node, loops: Loops) -> None:
        self.node, x = node, node.all_input_nodes[0]
        self.over = tuple(value(x).shape)
        n = len(self.over)
        given = node.args[1] if len(node.args) > 1 and node.args[1] else range(n)
        self.dims = sorted(d % n for d in given)
        self.kept = [d for d in range(n) if d not in self.dims]
        self.ends_inside = n - 1 in self.dims
        read, sizes = loops._read(x, indices(n)), [self.over[d] for d in self.kept]
        self.start, self.add, self.after_row, self.finish = "", "", [], []
        if loops.layout.ready[node] and node in loops.layout.sums:
            self._lines(loops, read, prod(sizes))

    def place(self, text: str) -> str:
        sizes = tuple(self.over[d] for d in self.kept)
        stride = tuple(accumulate(reversed((*sizes[1:], 1)), lambda a, b: a * b))[::-1] if sizes else ()
        return Memory(text, sizes, stride).at([f"i{d}" for d in self.kept])

    def _lines(self, loops: Loops, read: str, size: int) -> None:
        total, short, result = (f"{letter}_{self.node.name}" for letter in "dsb")
        loops._declare(total, "double", size)
        self.start = f"std::fill({total}, {total} + {size}, 0.0);"
        self.finish = [*nest([size], [f"{result}[k] = {total}[k];"], ["k"])]
        if self.ends_inside:
            self.add, self.after_row = f"a_{self.node.name} += {read};", [f"{self.place(total)} += a_{self.node.name};"]
            return
        loops._declare(short, ctype(self.node), size)
        self.start += f" std::fill({short}, {short} + {size}, {ctype(self.node)}(0));"
        self.add = f"{self.place(short)} += {read};"
        move = nest([size], [f"{total}[k] += {short}[k];", f"{short}[k] = 0;"], ["k"])
        self.after_row = [f"if (i0 % {ROWS} == {ROWS - 1}) {{", *move, "}"]
        self.finish = [*move, *self.finish]
