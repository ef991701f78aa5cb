"""Weights and gradients whose numbers are unknown: what a rule computes with while its worst case is looked for.

`Rows` is a matrix whose rows are points of PEPit, vectors of a space without a fixed dimension. The code of a rule runs on it as it is,
and what it may do is what is linear: + and -, times a number, a matrix of numbers from the left (a basis). Everything else is
refused in a sentence, because the worst case of a rule that squares, divides by or branches on its gradient is no semidefinite program.

PEPit is not imported: points are handed in, and `__torch_function__` answers `torch.zeros_like(w)` and `P.T @ w`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class NotLinear(ValueError):
    """A rule did to its gradient or weight what is not linear, so no semidefinite value is claimed for it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """(m, any number of columns): one PEPit point per row."""

    points: tuple[Any, ...]

    ndim, device = 2, "cpu"

    @property
    def dtype(self) -> Any:
        """Of the numbers that a rule puts beside it, such as a basis."""
        import torch  # only a rule asks, and it has torch already

        return torch.float64

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.points), 1

    def __add__(self, other: "Rows") -> "Rows":
        if not isinstance(other, Rows) or len(other.points) != len(self.points):
            raise NotLinear(f"the rule adds {_what(other)} to a weight or gradient of {len(self.points)} rows, which is not linear")
        return Rows(tuple(a + b for a, b in zip(self.points, other.points, strict=True)))

    def __sub__(self, other: "Rows") -> "Rows":
        return self + other * -1.0

    def __mul__(self, factor: float) -> "Rows":
        if not isinstance(factor, int | float):
            raise NotLinear(f"the rule multiplies a weight or gradient by {_what(factor)}, and only a plain number is linear")
        return Rows(tuple(point * float(factor) for point in self.points))

    __rmul__ = __mul__
    __radd__ = __add__

    def __neg__(self) -> "Rows":
        return self * -1.0

    def __truediv__(self, number: float) -> "Rows":
        if not isinstance(number, int | float):
            raise NotLinear(f"the rule divides a weight or gradient by {_what(number)}, and only a plain number is linear")
        return self * (1 / number)

    def __rtruediv__(self, number: float) -> "Rows":
        raise NotLinear("the rule divides by a weight or gradient, which is not linear")

    def __matmul__(self, other: Any) -> "Rows":
        raise NotLinear("the rule multiplies a weight or gradient by a matrix from the right, but has any number of columns; use side=0")

    def __lt__(self, other: Any) -> bool:
        raise NotLinear("the rule compares a weight or gradient with something, which is not linear")

    __gt__ = __le__ = __ge__ = __lt__

    def __pow__(self, power: float) -> "Rows":
        raise NotLinear(f"the rule raises a weight or gradient to the power {power}, which is not linear")

    def __bool__(self) -> bool:
        raise NotLinear("the rule branches on a weight or gradient, which is not linear")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "placements":  # the protocols of Python, and the question whether w is sharded
            raise AttributeError(name)
        raise NotLinear(f"the rule uses .{name} of a weight or gradient, and only sums, plain factors and bases of numbers are linear")

    def to(self, *_: Any, **__: Any) -> "Rows":
        """Unknown numbers have no dtype."""
        return self

    def combined(self, matrix: Sequence[Sequence[float]]) -> "Rows":
        """A matrix of numbers times this one."""
        zero = self.points[0] * 0.0
        return Rows(tuple(sum((p * float(c) for c, p in zip(row, self.points, strict=True)), zero) for row in matrix))

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> "Rows":
        name = func.__name__.strip("_")
        if name == "zeros_like":
            return args[0] * 0.0
        if name in ("matmul", "mm") and isinstance(args[1], cls) and not isinstance(args[0], cls):
            return args[1].combined(args[0].tolist())
        raise NotLinear(f"the rule calls {name} of torch on a weight or gradient; sums, plain factors and a basis from the left are linear")


def inner(a: Rows, b: Rows) -> Any:
    """<a, b>, an expression of PEPit."""
    first, *rest = (p * q for p, q in zip(a.points, b.points, strict=True))
    return sum(rest, first)


def squared(a: Rows) -> Any:
    return inner(a, a)


def _what(x: Any) -> str:
    return f"the number {x}" if isinstance(x, int | float) else f"another {type(x).__name__}"
