"""Numbers that remember how they were made: a Python float that writes down every operation on it.

A rule may meet its numbers with + - * / ** only (see sandbox.optimizers.base), so running its step once on such numbers
gives the whole arithmetic as lines of Python, which can be run again on other values:

    n2 = 0.999 * b2_t
    n3 = 1 - n2
    n4 = n3 ** 0.5

Torch takes a `Number` for the float that it is. That is how one is found again in a traced graph: by its value.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class CannotReplay(ValueError):
    """A step that has no single program: it must run in the plain way."""


@dataclass
class Tape:
    """lines: one operation each.  made: value -> name, of every number that the tape has seen."""

    lines: list[str] = field(default_factory=list)
    made: dict[float, str] = field(default_factory=dict)

    def number(self, value: float, name: str) -> "Number":
        return Number(value, name, self)

    def source(self, of: Any) -> str:
        """The name of a number of this tape, or the literal."""
        return of.name if isinstance(of, Number) else repr(of)


class Number(float):
    """Raises CannotReplay where it is compared: a step that branches on a number has more than one program."""

    __slots__ = ("name", "tape")

    def __new__(cls, value: float, name: str, tape: Tape) -> "Number":
        self = super().__new__(cls, value)
        self.name, self.tape = name, tape
        tape.made[value] = name
        return self

    def result(self, value: float, text: str) -> "Number":
        name = f"n{len(self.tape.lines)}"
        self.tape.lines.append(f"{name} = {text}")
        return Number(value, name, self.tape)

    def __neg__(self) -> "Number":
        return self.result(-float(self), f"-{self.name}")

    def _compared(self, *_: Any) -> bool:
        raise CannotReplay(
            f"a rule compared its number {self.name} while its step was traced; the numbers of a rule may only meet "
            "+ - * / ** in a step that is replayed"
        )

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __bool__ = _compared
    __hash__ = float.__hash__


def _written(compute: Callable[[Any, Any], Any], sign: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`self sign other` and `other sign self`; what is no number (a tensor) has its own way of meeting a float."""

    def left(self: Number, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        return self.result(compute(float(self), float(other)), f"{self.name} {sign} {self.tape.source(other)}")

    def right(self: Number, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        return self.result(compute(float(other), float(self)), f"{self.tape.source(other)} {sign} {self.name}")

    return left, right


Number.__add__, Number.__radd__ = _written(operator.add, "+")
Number.__sub__, Number.__rsub__ = _written(operator.sub, "-")
Number.__mul__, Number.__rmul__ = _written(operator.mul, "*")
Number.__truediv__, Number.__rtruediv__ = _written(operator.truediv, "/")
Number.__pow__, Number.__rpow__ = _written(operator.pow, "**")
