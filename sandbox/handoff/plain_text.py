"""What a stranger's card may hold, and how anything of it is written to a terminal.

A card is data from elsewhere. Its strings are one line of printable characters each (no escape sequences, no marks that
turn the direction of writing), its numbers finite and small enough for 64 bits, its nesting shallow: so whatever
is quoted from it later can neither steer a terminal nor fill it.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

MOST_BYTES, MOST_CHARACTERS, MOST_VALUES, DEEPEST, MOST_SHOWN = 4_000_000, 2_000, 200_000, 20, 200


def printable(text: str, most: int = MOST_SHOWN) -> str:
    """One line of at most about `most` characters, everything that is no printable character written as an escape."""
    cut = text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def parsed(text: str) -> Any:
    """The JSON value of a text. Raises ValueError for what is no JSON, for a name that stands twice in an object, for a
    number that is not finite, and for nesting that is too deep.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error})") from error


def require_harmless(data: Any) -> None:
    """Raises ValueError, with the place, for a string or a number that no card needs."""
    for count, (where, value) in enumerate(_values(data, ())):
        problem = _problem(value) if count < MOST_VALUES else f"is one of more than {MOST_VALUES:,} values"
        if problem:
            raise ValueError(f"{printable('.'.join(where)) or 'it'} {problem}")


def _problem(value: Any) -> str:
    if isinstance(value, str) and len(value) > MOST_CHARACTERS:
        return f"is a text of {len(value):,} characters, and {MOST_CHARACTERS:,} are the most"
    if isinstance(value, str) and not value.isprintable():
        return f"holds a character that is not printable: {printable(value, 60)}"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and abs(value) >= 2**63:
        return f"is a whole number of {value.bit_length()} bits, and 63 are the most"
    return ""


def _values(data: Any, where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value and every name of an object, with its place. Raises ValueError where the nesting is too deep."""
    if len(where) > DEEPEST:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels")
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list | tuple) else None
    if inside is None:
        yield where, data
        return
    for key, value in inside:
        yield where, key
        yield from _values(value, (*where, str(key)))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{printable(twice, 60)!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, and numbers must be finite")
