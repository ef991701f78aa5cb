"""The step of a rule on one kind of tensor, read off once: a graph of tensor operations, and lines of number arithmetic.

    delta, state' = step(g, state, w)     becomes     numbers = program.numbers(settings, state)      Python floats
                                          delta, *tensors' = graph(w, g, *tensors, numbers)

Nothing here knows an equation: the step is run once on tensors without data (torch's make_fx) and on numbers that write
down what is done to them. The faster ways to run a step (`recorded`, `compiled`) start from here, so the pure rule stays the
only place where an update is written, and one program serves every step and every schedule.

A number is found again in the graph by its value. The probes are therefore odd, and a second reading with other probes must
give the same text: a coincidence would not survive it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from sandbox.optimizers.base import Rule
from sandbox.shells.execution import Block
from sandbox.shells.flat_state import read
from sandbox.shells.numbers import CannotReplay, Number, Tape

PROBES = (0.6180339887498949, 0.4142135623730951)  # no rule has such constants, and all of + - * / ** are defined there
ZERO, ONE = "zero", "one"


@dataclass(frozen=True)
class Program:
    """graph: placeholders w, g, then the tensors of the state; one output (delta, *tensors of the next state).

    made: value -> name, the floats of the graph that stand for a number.  lines: how the numbers come about.
    inputs: their names at the start, settings first.  results: name or literal of each number of the next state.
    """

    graph: fx.Graph
    made: dict[float, str]
    lines: tuple[str, ...]
    inputs: tuple[str, ...]
    results: tuple[str, ...]

    def source(self, value: Any) -> str:
        """A constant of the graph as text: the name of a number, or the literal."""
        return self.made.get(value, repr(value)) if type(value) is float else repr(value)

    def text(self) -> str:
        """All of it, with names in the place of values; two readings of one step agree in it."""
        nodes = (f"{n.name} = {n.target}{fx.node.map_aggregate((n.args, tuple(n.kwargs.items())), self._named)}" for n in self.graph.nodes)
        return "\n".join((*self.lines, *nodes, *self.results))

    def _named(self, x: Any) -> Any:
        return self.source(x) if type(x) is float else x

    def wanted(self) -> tuple[str, ...]:
        """The numbers that the tensors need, in a fixed order."""
        found: dict[str, None] = {}
        for node in self.graph.nodes:
            fx.node.map_aggregate(
                (node.args, node.kwargs), lambda x: found.setdefault(self.made[x]) if type(x) is float and x in self.made else x
            )
        return tuple(found)

    def numbers(self) -> Callable[..., tuple[tuple[float, ...], tuple[float, ...]]]:
        """(*settings, *numbers of the state) -> (wanted numbers, numbers of the next state), in Python floats."""
        wanted, results = (f"({''.join(name + ', ' for name in names)})" for names in (self.wanted(), self.results))
        return defined(f"def numbers({', '.join(self.inputs)}):", [*self.lines, f"return {wanted}, {results}"], {})


def defined(head: str, lines: Sequence[str], names: dict[str, Any]) -> Callable[..., Any]:
    """The function that a head `def name(...):` and its lines define, in which `names` are known."""
    names |= {"inf": float("inf"), "nan": float("nan")}
    exec("\n    ".join((head, *lines)), names)  # noqa: S102 - text that this room wrote itself
    return names[head.removeprefix("def ").split("(")[0]]


def read_step(block: Block) -> Program:
    """The program of a block; nothing is computed, nothing is changed.

    Raises CannotReplay where the step compares a number, or where a tensor of the state changes its shape or dtype.
    """
    first, second = (_read(block, probe) for probe in PROBES)
    if first.text() != second.text():
        raise CannotReplay(
            f"the step of {type(block.rule).__name__} must make the same operations whatever its numbers are, and two readings differ"
        )
    return first


def _read(block: Block, probe: float) -> Program:
    tape = Tape()
    leaves, shape = tree_flatten(read(block.structure, block.entry))
    now = [tape.number(probe * (1 + 0.01 * i), f"s{i}") for i in range(len(block.settings.numbers))]
    held = [x if isinstance(x, Tensor) else tape.number(probe * (1 - 0.01 * i), f"k{i}") for i, x in enumerate(leaves, start=1)]
    rule, results = block.settings.into(block.rule, now), list[str]()

    def step(w: Tensor, g: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        left = iter(tensors)
        delta, new = rule.step(g, tree_unflatten([next(left) if isinstance(x, Tensor) else x for x in held], shape), w)
        results.extend(tape.source(x) for x in tree_leaves(new) if not isinstance(x, Tensor))
        return delta, *(x for x in tree_leaves(new) if isinstance(x, Tensor))

    tensors = [x for x in leaves if isinstance(x, Tensor)]
    with torch.no_grad():
        graph = make_fx(step, tracing_mode="fake")(block.w.detach(), torch.empty_like(block.w), *tensors).graph
    simplified(graph)
    _require_traced(block.rule, graph)
    inputs = (*(x.name for x in now), *(x.name for x in held if isinstance(x, Number)))
    return Program(graph, tape.made, tuple(tape.lines), inputs, tuple(results))


def _require_traced(rule: Rule, graph: fx.Graph) -> None:
    (*body, output), (_, _, *old) = graph.nodes, graph.find_nodes(op="placeholder")
    strange = [node for node in body if node.op != "placeholder" and not isinstance(node.target, torch._ops.OpOverload)]
    swapped = [x for before, x in zip(old, output.args[0][1:], strict=True) if x in old and x is not before]
    if strange or swapped:
        raise CannotReplay(f"the step of {type(rule).__name__} holds {strange or swapped}, which cannot be replayed")
    for before, after in zip(old, output.args[0][1:], strict=True):
        a, b = before.meta["val"], after.meta["val"]
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            raise CannotReplay(
                f"a tensor of the state of {type(rule).__name__} must keep its shape and dtype, got {tuple(a.shape)} {a.dtype} "
                f"before and {tuple(b.shape)} {b.dtype} after the step"
            )


def simplified(graph: fx.Graph) -> None:
    """Leaves out, in place: what nothing reads, x * 1, x / 1, and x +- 0 * y, which is x for every finite y."""
    aten, zeros = torch.ops.aten, set()
    for node in graph.nodes:
        a, b = (*node.args, None, None)[:2] if node.op == "call_function" else (None, None)
        if node.target == aten.mul.Tensor and (b == 0 and type(b) is float or a in zeros or b in zeros):
            zeros.add(node)
        elif node.target in (aten.mul.Tensor, aten.div.Tensor) and type(b) in (int, float) and b == 1 and _alike(node, a):
            node.replace_all_uses_with(a)
        elif node.target in (aten.add.Tensor, aten.sub.Tensor) and b in zeros and _alike(node, a):
            node.replace_all_uses_with(a)
    graph.eliminate_dead_code()


def _alike(x: fx.Node, y: fx.Node) -> bool:
    a, b = x.meta["val"], y.meta["val"]
    return (a.shape, a.dtype, a.stride()) == (b.shape, b.dtype, b.stride())
