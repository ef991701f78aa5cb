"""A traced graph cut at its collectives: what can be computed before the first, before the second, ...

A node belongs to the stage after the latest collective that it needs, and the collectives of one stage are sent at once;
so AdaLomo's four sums per tensor take two rounds. Ranks with an empty shard may depend on less; `agree` lets them take
the same rounds as the others.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from sandbox.shells.lockstep import Request

COLLECTIVES = "_c10d_functional"
WAIT = torch.ops._c10d_functional.wait_tensor.default
Agree = Callable[[list[int]], tuple[list[int], bool]]  # own stage of each collective -> the latest on any rank, all the same


class Sum(NamedTuple):
    """A collective after a stage: which value it takes, and the name of its result."""

    call: Any
    takes: str
    rest: tuple[Any, ...]
    gives: str


class Stage(NamedTuple):
    run: Callable[..., tuple[Any, ...]]
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    done: tuple[str, ...]  # values that nothing needs afterwards
    sums: tuple[Sum, ...]


class Stages(NamedTuple):
    inputs: tuple[str, ...]
    constants: dict[str, Any]
    outputs: tuple[str, ...]
    stages: tuple[Stage, ...]
    whole: Callable[..., tuple[Any, ...]] | None  # everything at once, where there is no collective

    def program(self, values: Sequence[Any]) -> Generator[list[Request], list[Tensor], Sequence[Any]]:
        """One run, as lockstep.together wants it."""
        if self.whole is not None:
            return self.whole(*values)
        known = self.constants | dict(zip(self.inputs, values, strict=True))
        for stage in self.stages:
            known.update(zip(stage.gives, stage.run(*[known[name] for name in stage.takes]), strict=True))
            if stage.sums:
                results = yield [Request(s.call, known[s.takes], s.rest) for s in stage.sums]
                known.update((s.gives, x) for s, x in zip(stage.sums, results, strict=True))
            for name in stage.done:
                del known[name]
        return [known[name] for name in self.outputs]


def cut(traced: fx.GraphModule, agree: Agree) -> Stages:
    graph = traced.graph
    _drop_unused(graph)
    stage_of = _stages(graph, agree)
    constants, outputs = _outputs(graph)
    made = [_stage(traced, stage_of, k) for k in range(max(stage_of.values(), default=0) + 1)]
    inputs = tuple(node.name for node in graph.nodes if node.op == "placeholder")
    traced.recompile()
    return Stages(inputs, constants, outputs, _with_last_uses(made, outputs), traced.forward if len(made) == 1 else None)


def _is_collective(node: fx.Node) -> bool:
    return node.op == "call_function" and COLLECTIVES in str(node.target) and node.target is not WAIT


def _drop_unused(graph: fx.Graph) -> None:
    """Never a collective: another rank may wait for it."""
    graph.eliminate_dead_code(is_impure_node=lambda n: n.op in ("placeholder", "output") or COLLECTIVES in str(n.target))


def _outputs(graph: fx.Graph) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Values that the trace found constant, by name, and the names of all outputs."""
    named = {f"output_{i}": x for i, x in enumerate(graph.output_node().args[0])}
    constants = {name: x for name, x in named.items() if not isinstance(x, fx.Node)}
    return constants, tuple(name if name in constants else x.name for name, x in named.items())


def _stages(graph: fx.Graph, agree: Agree) -> dict[fx.Node, int]:
    collectives = [node for node in graph.nodes if _is_collective(node)]
    at_least = dict.fromkeys(collectives, 0)
    while True:
        stage_of = _earliest(graph, at_least)
        latest, settled = agree([stage_of[node] for node in collectives])
        if settled:
            return stage_of
        at_least = dict(zip(collectives, latest, strict=True))


def _earliest(graph: fx.Graph, at_least: dict[fx.Node, int]) -> dict[fx.Node, int]:
    stage_of: dict[fx.Node, int] = {}
    for node in graph.nodes:
        if node.op != "output":
            needed = max((stage_of[x] for x in node.all_input_nodes), default=0)
            stage_of[node] = max(needed, at_least.get(node, 0)) + (node.target is WAIT)
    return stage_of


def _stage(traced: fx.GraphModule, stage_of: dict[fx.Node, int], k: int) -> Stage:
    collectives = [node for node, stage in stage_of.items() if stage == k and _is_collective(node)]
    body = [n for n, stage in stage_of.items() if stage == k and n.op != "placeholder" and n.target is not WAIT and not _is_collective(n)]
    takes = list(dict.fromkeys(x for node in body for x in node.all_input_nodes if x not in set(body)))
    gives = [node for node in body if any(user not in set(body) for user in node.users)]
    sums = tuple(Sum(node.target, node.args[0].name, tuple(node.args[1:]), _result(node)) for node in collectives)
    return Stage(_function(traced, takes, body, gives), _names(takes), _names(gives), (), sums)


def _result(collective: fx.Node) -> str:
    waits = list(collective.users)
    if [wait.target for wait in waits] != [WAIT]:
        raise RuntimeError(f"a collective must be waited for once, got {waits} after {collective.target}")
    return waits[0].name


def _names(nodes: list[fx.Node]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)


def _function(traced: fx.GraphModule, takes: list[fx.Node], body: list[fx.Node], gives: list[fx.Node]) -> Callable[..., tuple[Any, ...]]:
    graph = fx.Graph()
    copies = {node: graph.placeholder(node.name) for node in takes}
    for node in body:
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(tuple(copies[node] for node in gives))
    return fx.GraphModule(traced, graph).forward


def _with_last_uses(stages: list[Stage], outputs: tuple[str, ...]) -> tuple[Stage, ...]:
    """Each stage with the values that may be freed after it."""
    needed, found = set(outputs), []
    for stage in reversed(stages):
        used = {*stage.takes, *(s.takes for s in stage.sums), *stage.gives}
        found.append(stage._replace(done=tuple(used - needed)))
        needed |= used
    return tuple(reversed(found))
