"""What an export is, and YAML that every reader takes for the numbers it holds.

A reader of YAML 1.1 (PyYAML) takes `1e-05` for text and `1.0e-05` for a number; so a point is put into every mantissa.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Lost:
    """A field of the card that another program does not take, and what it does instead."""

    field: str
    value: str
    instead: str

    def __str__(self) -> str:
        return f"{self.field} = {self.value}: {self.instead}"


@dataclass(frozen=True)
class Exported:
    """text: of the consumer's own file, `suffix` its ending.  lost: in the order of the card.  same_code: whether the consumer then runs
    the card's own shell, so that nothing has to be measured.  arguments: the same as plain data.
    """

    consumer: str
    text: str
    suffix: str
    lost: tuple[Lost, ...] = ()
    same_code: bool = False
    arguments: Mapping[str, Any] | None = None


def yaml_of(data: Mapping[str, Any], remarks: tuple[str, ...] = ()) -> str:
    """A flat mapping, one line a field; a value that is a mapping or a list is written as JSON, which is YAML too."""
    lines = [f"# {remark}" for remark in remarks]
    return "\n".join([*lines, *(f"{key}: {yaml_value(value)}" for key, value in data.items())]) + "\n"


def yaml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {yaml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(yaml_value(inner) for inner in value) + "]"
    return number(value) if isinstance(value, float) else json.dumps(value)


def number(value: float) -> str:
    """The shortest decimal that gives the same float, with a point."""
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}{'' if '.' in mantissa else '.0'}{e}{exponent}"
