"""A bound: one sympy expression with its conditions, its source and the file that proves it.

The proof imports the expression, the verdict evaluates it, the notebook prints it; nobody types a formula twice.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import mpmath  # the arithmetic of sympy, which always comes with it
import sympy

DIGITS = 30  # of the arithmetic in which a limit is evaluated: twice those of a float, so that a difference of large terms keeps its own


class OutOfScope(Exception):
    """A condition of the bound fails at the given constants; the message names the condition and the constants."""


@dataclass(frozen=True)
class Bound:
    """name: unique.  quantity: what is limited, word for word what the fit measures.  kind: exact = attained, upper or lower = one-sided.

    value: the limit as an expression of named symbols.  requires: relations that must hold.  source: paper and theorem, or "derived".
    proof: path of the proof file below the root, or "" for a bound taken on trust.
    """

    name: str
    quantity: str
    value: sympy.Expr
    requires: tuple[sympy.Basic, ...]
    kind: Literal["exact", "upper", "lower"]
    source: str
    proof: str = ""

    @property
    def digest(self) -> str:
        """First 12 hex digits of the sha256 of the expression: ties a number to the formula that was proved."""
        text = sympy.srepr(self.value) + "|" + "|".join(sympy.srepr(r) for r in self.requires)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def symbols(self) -> tuple[str, ...]:
        found = self.value.free_symbols.union(*(r.free_symbols for r in self.requires))
        return tuple(sorted(symbol.name for symbol in found))

    def at(self, **constants: float) -> float:
        """The limit at these constants.

        Raises ValueError for a missing or unknown constant and where it is no real number, OutOfScope where a condition fails.
        """
        given, needed = set(constants), set(self.symbols)
        if given != needed:
            raise ValueError(
                f"bound {self.name!r} needs the constants {sorted(needed)}, got {sorted(given)}: "
                f"missing {sorted(needed - given)}, unknown {sorted(given - needed)}"
            )
        for relation in self.requires:
            numbers = tuple((symbol, constants[symbol.name]) for symbol in relation.free_symbols)
            if not _holds(relation, numbers):
                raise OutOfScope(f"{self.name} requires {relation}{_sides(relation, dict(numbers))}, given {constants}")
        try:
            return _number(self.value, constants)
        except (TypeError, ZeroDivisionError) as error:
            raise ValueError(f"{self.name} is {self.value}, which is no real number at {constants}: {error}") from error


@lru_cache(maxsize=4096)
def _holds(relation: sympy.Basic, numbers: tuple[tuple[sympy.Symbol, float], ...]) -> bool:
    """Kept, for a bound is asked at the same constants by many seeds and claims, and sympy takes 0.3 ms for a relation."""
    return bool(relation.subs(dict(numbers)))


@lru_cache(maxsize=1024)
def _evaluator(value: sympy.Expr) -> tuple[tuple[str, ...], Callable]:
    """Names of the symbols, and the function of them that mpmath evaluates: digamma(500001) as one number, not as a sum of fractions."""
    symbols = sorted(value.free_symbols, key=str)
    return tuple(symbol.name for symbol in symbols), sympy.lambdify(symbols, value, "mpmath")


def _number(value: sympy.Expr, constants: dict[str, float]) -> float:
    names, evaluate = _evaluator(value)
    with mpmath.workdps(DIGITS):
        return float(evaluate(*(mpmath.mpf(float(constants[name])) for name in names)))


def _sides(relation: sympy.Basic, numbers: dict[sympy.Symbol, float]) -> str:
    """Both sides of a comparison as numbers; nothing for conditions of another kind."""
    if not isinstance(relation, sympy.core.relational.Relational):
        return ""
    left, right = (float(side.subs(numbers)) for side in (relation.lhs, relation.rhs))
    return f", and {left:g} {relation.rel_op} {right:g} is false"
