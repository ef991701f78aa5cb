"""How the entrywise operations of a traced step are written in C++: one expression each.

    aten.lerp.Scalar(m, g, 0.1)      (m) + (0.1f) * ((g) - (m))

An operation that is not listed here has no expression; whoever asks is told by KeyError.
"""

from collections.abc import Callable, Mapping, Sequence

import torch

TYPES = {torch.float32: "float", torch.float64: "double", torch.bool: "bool"}


def _lerp(a: str, b: str, weight: str) -> str:
    """As torch does it: from the nearer end, so that weight 1 gives b exactly."""
    return f"({weight} < T(0.5) ? {a} + {weight} * ({b} - {a}) : {b} - (T(1) - {weight}) * ({b} - {a}))"


def _power(x: str, exponent: str) -> str:
    known = {
        "2": f"{x} * {x}",
        "0.5": f"std::sqrt({x})",
        "1": x,
        "-1": f"T(1) / {x}",
        "-0.5": f"T(1) / std::sqrt({x})",
        "3": f"{x} * {x} * {x}",
    }
    return known.get(exponent.removeprefix("T(").removesuffix(")").removesuffix(".0"), f"std::pow({x}, {exponent})")


def _clamp(x: str, low: str = "None", high: str = "None") -> str:
    """A value that is not a number stays one."""
    x = x if low == "None" else f"({x} < {low} ? {low} : {x})"
    return x if high == "None" else f"({x} > {high} ? {high} : {x})"


EXPRESSIONS: dict[str, Callable[..., str]] = {
    "abs": lambda a: f"std::abs({a})",
    "add": lambda a, b, alpha="T(1)": f"{a} + {b}" if alpha == "T(1)" else f"{a} + {alpha} * {b}",
    "addcdiv": lambda a, b, c, value="T(1)": f"{a} + {value} * ({b} / {c})",
    "addcmul": lambda a, b, c, value="T(1)": f"{a} + {value} * {b} * {c}",
    "clamp": _clamp,
    "clamp_max": lambda a, high: _clamp(a, high=high),
    "clamp_min": _clamp,
    "clone": lambda a: a,
    "div": lambda a, b: f"{a} / {b}",
    "exp": lambda a: f"std::exp({a})",
    "ge": lambda a, b: f"{a} >= {b}",
    "gt": lambda a, b: f"{a} > {b}",
    "le": lambda a, b: f"{a} <= {b}",
    "lerp": _lerp,
    "log": lambda a: f"std::log({a})",
    "lt": lambda a, b: f"{a} < {b}",
    "maximum": lambda a, b: f"({a} > {b} || {a} != {a} ? {a} : {b})",
    "minimum": lambda a, b: f"({a} < {b} || {a} != {a} ? {a} : {b})",
    "mul": lambda a, b: f"{a} * {b}",
    "neg": lambda a: f"-{a}",
    "pow": _power,
    "reciprocal": lambda a: f"T(1) / {a}",
    "rsqrt": lambda a: f"T(1) / std::sqrt({a})",
    "rsub": lambda a, b, alpha="T(1)": f"{b} - {a}" if alpha == "T(1)" else f"{b} - {alpha} * {a}",
    "sign": lambda a: f"T(({a} > 0) - ({a} < 0))",
    "sqrt": lambda a: f"std::sqrt({a})",
    "square": lambda a: f"{a} * {a}",
    "sub": lambda a, b, alpha="T(1)": f"{a} - {b}" if alpha == "T(1)" else f"{a} - {alpha} * {b}",
    "where": lambda condition, a, b: f"({condition} ? {a} : {b})",
    "_to_copy": lambda a, **_: a,
}


def expression(name: str, kind: str, args: Sequence[str], named: Mapping[str, str]) -> str:
    """The operation `name` on those operands, in C++, computed in the type `kind`."""
    return EXPRESSIONS[name](*args, **named).replace("T(", f"{kind}(")
