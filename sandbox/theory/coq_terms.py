"""Terms in the notation of Coq: polynomials with rational coefficients, relations of them, and quadratic forms in inner products."""

import re
from collections.abc import Sequence

import sympy


def term(expr: sympy.Expr) -> str:
    """A polynomial with rational coefficients in Coq's notation. Raises ValueError for anything else."""
    if expr.is_Integer:
        return str(expr) if expr >= 0 else f"({expr})"
    if expr.is_Rational:
        return f"({expr.p} / {expr.q})"
    if expr.is_Symbol:
        return named(expr)
    if expr.is_Add or expr.is_Mul:
        return "(" + (" + " if expr.is_Add else " * ").join(term(part) for part in expr.args) + ")"
    if expr.is_Pow and expr.exp.is_Integer and expr.exp > 0:
        return f"({term(expr.base)} ^ {expr.exp})"
    raise ValueError(f"Coq is told polynomials with rational coefficients only, got {expr}")


def named(symbol: sympy.Symbol) -> str:
    """No word of Coq ends in an underscore."""
    return re.sub(r"\W", "_", symbol.name) + "_"


def relation(r: sympy.Basic) -> str:
    return f"{term(sympy.expand(r.lhs))} {r.rel_op} {term(sympy.expand(r.rhs))}"


def inner(u: sympy.Symbol, v: sympy.Symbol) -> sympy.Symbol:
    """The variable that stands for <u, v>."""
    return sympy.Symbol("dot_" + "_".join(sorted((u.name, v.name))))


def in_products(expr: sympy.Expr, vectors: Sequence[sympy.Symbol]) -> sympy.Expr:
    """A quadratic form of vectors, plus terms without vectors -> the same in inner products."""
    if not vectors:
        return sympy.expand(expr)
    parts = []
    for powers, factor in sympy.Poly(sympy.expand(expr), *vectors).terms():
        pair = [v for v, power in zip(vectors, powers, strict=True) for _ in range(power)]
        if len(pair) not in (0, 2):
            raise ValueError(f"{expr} must be of degree 0 or 2 in the vectors {list(vectors)}")
        parts.append(factor * inner(*pair) if pair else factor)
    return sympy.expand(sympy.Add(*parts))
