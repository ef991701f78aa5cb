"""w + delta, with the last products of delta made part of the sum: one operation that reads w instead of three.

    w + (m / d) s - w k       becomes     w.add_(w, alpha=-k); w.addcdiv_(m, d, value=s)
    w + m * rate              becomes     w.addcmul_(m, rate)
    w + (P @ d) s             becomes     w.addmm_(P, d, alpha=s)

Each is rounded once less, or in another order, than the plain sum: a weight may differ from it by a few units in its last
place, a state by nothing. The part that reads w comes first; a step with two such parts, or with other dtypes than that of w, is
summed as it is written.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import fx

aten = torch.ops.aten


class Term(NamedTuple):
    """factor times the operands: one as it is ("add"), a product ("addcmul"), a quotient ("addcdiv"), a matrix product."""

    call: str
    operands: tuple[fx.Node, ...]
    minus: bool = False
    factor: Any = 1.0  # a constant of the graph

    def line(self, name: dict[fx.Node, str], factor: str) -> str:
        key = "alpha" if self.call in ("add", "addmm") else "value"
        return f"x0.{self.call}_({', '.join(name[x] for x in self.operands)}, {key}={'-' if self.minus else ''}{factor})"


def terms(delta: fx.Node, w: fx.Node) -> list[Term]:
    """The parts of delta, that which reads w first; one part, delta itself, where the sum cannot be taken apart."""
    found = sorted(_parts(delta, minus=False), key=lambda term: w not in term.operands)
    dtype, reading = w.meta["val"].dtype, [term for term in found if w in term.operands]
    views = [x for term in found for x in term.operands if x.op == "call_function" and x.target.is_view and w in x.all_input_nodes]
    if len(reading) > 1 or views or any(x.meta["val"].dtype != dtype for term in found for x in term.operands):
        return [Term("add", (delta,))]
    return found


def _parts(x: fx.Node, minus: bool) -> Iterator[Term]:
    a, b, *_ = (*x.args, None, None)
    if x.op != "call_function" or len(x.users) > 1 or x.kwargs:
        yield Term("add", (x,), minus)
    elif x.target in (aten.add.Tensor, aten.sub.Tensor) and isinstance(b, fx.Node):
        yield from _parts(a, minus)
        yield from _parts(b, minus ^ (x.target is aten.sub.Tensor))
    elif x.target is aten.neg.default:
        yield from _parts(a, not minus)
    elif x.target is aten.mul.Tensor and not isinstance(b, fx.Node):
        yield _scaled(a, minus, b)
    else:
        yield _scaled(x, minus, 1.0)


def _scaled(x: fx.Node, minus: bool, factor: Any) -> Term:
    """factor x, with x taken apart where it is a product or a quotient of two tensors that nothing else reads."""
    call = {aten.mul.Tensor: "addcmul", aten.div.Tensor: "addcdiv", aten.mm.default: "addmm"}.get(x.target)
    if call is None or len(x.users) > 1 or not all(isinstance(part, fx.Node) for part in x.args):
        return Term("add", (x,), minus, factor)
    return Term(call, tuple(x.args), minus, factor)
