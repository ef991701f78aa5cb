"""Operators and torch.* functions in the place of the aten overloads of a trace, which take about twice as long to call."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

aten = torch.ops.aten
QUICK: dict[Any, Callable[..., Any]] = {
    aten.add.Tensor: operator.add,
    aten.sub.Tensor: operator.sub,
    aten.mul.Tensor: operator.mul,
    aten.div.Tensor: operator.truediv,
    aten.neg.default: torch.neg,
    aten.sqrt.default: torch.sqrt,
    aten.rsqrt.default: torch.rsqrt,
    aten.sign.default: torch.sign,
    aten.pow.Tensor_Scalar: torch.pow,
    aten.lerp.Scalar: torch.lerp,
    aten.clamp.default: torch.clamp,
    aten.sum.default: torch.sum,
    aten.sum.dim_IntList: torch.sum,
    aten.mm.default: torch.mm,
    aten.t.default: torch.t,
    aten.unsqueeze.default: torch.unsqueeze,
}


def use_quick_calls(graph: fx.Graph) -> None:
    """In place; a call with keywords (alpha, dtype) stays as it is."""
    for node in graph.nodes:
        if node.op == "call_function" and node.target in QUICK and not node.kwargs:
            node.target = QUICK[node.target]
