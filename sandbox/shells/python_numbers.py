"""Takes the arithmetic on the numbers of a rule (lr, b1^t, ...) out of a traced graph and back into Python.

A trace sees a number as a 0-dim float64 tensor. Every operation on such numbers alone becomes an operation on Python
floats, and where a number meets a tensor it is handed over as a scalar; so a step costs one kernel per operation on
tensors, and no more.
"""

import operator
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import fx

aten = torch.ops.aten


def identity(x: float, *_: Any, **__: Any) -> float:
    return x


def less(a: float, b: float, alpha: float = 1) -> float:
    return a - alpha * b


def plus(a: float, b: float, alpha: float = 1) -> float:
    return a + alpha * b


def less_from(a: float, b: float, alpha: float = 1) -> float:
    return b - alpha * a


def inverse(x: float) -> float:
    return 1 / x


def root(x: float) -> float:
    return x**0.5


def inverse_root(x: float) -> float:
    return x**-0.5


def between(x: float, low: float | None = None, high: float | None = None) -> float:
    x = x if low is None else max(x, low)
    return x if high is None else min(x, high)


ON_NUMBERS: dict[Any, Callable[..., float]] = {
    aten.add.Tensor: plus,
    aten.sub.Tensor: less,
    aten.rsub.Scalar: less_from,
    aten.rsub.Tensor: less_from,
    aten.mul.Tensor: operator.mul,
    aten.div.Tensor: operator.truediv,
    aten.pow.Tensor_Scalar: operator.pow,
    aten.pow.Tensor_Tensor: operator.pow,
    aten.pow.Scalar: operator.pow,
    aten.neg.default: operator.neg,
    aten.reciprocal.default: inverse,
    aten.sqrt.default: root,
    aten.rsqrt.default: inverse_root,
    aten.minimum.default: min,
    aten.maximum.default: max,
    aten.clamp.default: between,
    aten.clamp.Tensor: between,
    aten._to_copy.default: identity,
    aten.clone.default: identity,
    aten.detach.default: identity,
    aten.alias.default: identity,
}
TAKES_NUMBERS = {aten.add.Tensor, aten.sub.Tensor, aten.rsub.Tensor, aten.mul.Tensor, aten.div.Tensor}
SCALAR_FORM = {
    aten.lerp.Tensor: aten.lerp.Scalar,
    aten.clamp.Tensor: aten.clamp.default,
    aten.pow.Tensor_Tensor: aten.pow.Tensor_Scalar,
}


def take_numbers_out(graph: fx.Graph, numbers: Iterable[fx.Node]) -> set[fx.Node]:
    """Rewrites `graph` in place; `numbers` are its inputs that will be Python floats. Returns all nodes that will be."""
    found = set(numbers)
    for node in list(graph.nodes):
        if node.op != "call_function" or not found.intersection(node.all_input_nodes):
            continue
        if node.target in ON_NUMBERS and found.issuperset(node.all_input_nodes):
            node.target = ON_NUMBERS[node.target]
            found.add(node)
        else:
            _hand_over(graph, node, found)
    return found


def _hand_over(graph: fx.Graph, node: fx.Node, numbers: set[fx.Node]) -> None:
    if node.target in SCALAR_FORM and node.args[0] not in numbers:
        node.target = SCALAR_FORM[node.target]
    elif node.target not in TAKES_NUMBERS:
        for number in numbers.intersection(node.all_input_nodes):
            with graph.inserting_before(node):
                node.replace_input_with(number, graph.call_function(torch.scalar_tensor, (number,), {"dtype": torch.float64}))
