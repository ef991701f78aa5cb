"""A card from its file and back, and everything that can be wrong with it, in sentences."""

import json
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sandbox.handoff.plain_text import MOST_BYTES, parsed, printable, require_harmless
from sandbox.handoff.schema import SCHEMA, Card, digest_of

MOST_PROBLEMS = 5
MOST_POWER = 20.0  # of a width, with its interval: a width of a million to it is a number still


def read(path: Path) -> tuple[Card, list[str]]:
    """The card, and what is wrong with its seal. Raises ValueError where the file is missing or holds no card."""
    require_file(path)
    try:
        data = _plain_data(path)
        card = Card.model_validate(data)
        _require_possible(card)
    except ValidationError as error:
        raise ValueError(f"{str(path)!r} is not a card: {_sentences(error)}") from error
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is not a card: {error}") from error
    found, said = digest_of(data), card.digest
    if found == said:
        return card, []
    short = said[:16] or "nothing"
    return card, [f"the digest of the card's content is {found[:16]}..., but the card says {short}...: it was changed"]


def _plain_data(path: Path) -> dict[str, Any]:
    """The object in the file. Raises ValueError for another one, and for what no card may hold."""
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes, and {MOST_BYTES:,} are the most")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not JSON ({error})") from error
    data = parsed(text)
    if not isinstance(data, dict):
        raise ValueError(f"it holds a {type(data).__name__}, not an object")
    require_harmless(data)
    _require_version(data)
    return data


def _require_version(data: dict[str, Any]) -> None:
    """Raises ValueError for a card of another version; without any the fields are judged as they are."""
    version = data.get("schema", SCHEMA)
    if version != SCHEMA:
        raise ValueError(
            f"its format is {printable(str(version), 60)!r} and this version reads {SCHEMA!r}; make a new one from the claims with "
            "`sandbox card create`"
        )


def _require_possible(card: Card) -> None:
    """Raises ValueError for numbers that no training has: what would overflow later, or train backwards, is said here."""
    if card.data.steps < 1:
        raise ValueError(f"data.steps must be >= 1, got {card.data.steps}")
    if card.schedule and not 0 <= card.schedule.floor <= 1:
        raise ValueError(f"schedule.floor is a part of the learning rate, between 0 and 1, got {card.schedule.floor:g}")
    powers = {
        f"transfer.{name}.{end}": getattr(part, end) for name, part in (card.transfer or {}).items() for end in ("value", "low", "high")
    }
    if card.parametrisation:
        powers |= {f"parametrisation.exponents.{kind}": value for kind, value in card.parametrisation.exponents.items()}
        powers["parametrisation.rank_exponent"] = card.parametrisation.rank_exponent or 0.0
    for where, power in powers.items():
        if abs(power) > MOST_POWER:
            raise ValueError(f"{printable(where)} is a power of the width, between {-MOST_POWER:g} and {MOST_POWER:g}, got {power:g}")


def require_file(path: Path) -> None:
    """Raises ValueError where there is no such file."""
    if path.exists() and not path.is_file():
        raise ValueError(f"the card {str(path)!r} is not a file; a card is one file of JSON")
    if not path.is_file():
        raise ValueError(f"the card {str(path)!r} does not exist; `sandbox check` writes cards to results/cards/")


def as_text(card: Card) -> str:
    return json.dumps(card.as_json(), indent=2) + "\n"


def write(card: Card, path: Path) -> None:
    """The file appears whole or not at all; a file that has the same content already is left alone."""
    put(path, as_text(card))


def put(path: Path, text: str) -> None:
    """See `write`. Raises ValueError where a device, a pipe or a folder has that name."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{str(path)!r} is there and is no file; choose another --out")
    if path.exists() and path.read_bytes() == text.encode():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        waiting.write_text(text, encoding="utf-8")
        os.replace(waiting, path)
    finally:
        waiting.unlink(missing_ok=True)


def _sentences(error: ValidationError) -> str:
    found = error.errors()
    lines = [f"{printable('.'.join(str(step) for step in e['loc']))}: {printable(e['msg'].lower())}" for e in found[:MOST_PROBLEMS]]
    more = f"; and {len(found) - MOST_PROBLEMS} more" if len(found) > MOST_PROBLEMS else ""
    return "; ".join(lines) + more
