"""A card from its file and back: what a reader sees, and everything that can be wrong with it, in sentences."""

import json
import os
from pathlib import Path

from pydantic import ValidationError

from sandbox.handoff.schema import SCHEMA, Card, EvidencePart, digest_of
from sandbox.verdict import Outcome

MOST_PROBLEMS = 5


def read(path: Path) -> tuple[Card, list[str]]:
    """The card, and what is wrong with its seal. Raises ValueError where the file is missing or holds no card."""
    require_file(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{str(path)!r} is not a card: it is not JSON ({error})") from error
    if not isinstance(data, dict):
        raise ValueError(f"{str(path)!r} is not a card: it holds a {type(data).__name__}, not an object")
    _require_version(data, path)
    try:
        card = Card.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"{str(path)!r} is not a card: {_sentences(error)}") from error
    found, said = digest_of(data), card.digest
    if found == said:
        return card, []
    short = said[:16] or "nothing"
    return card, [f"the digest of the card's content is {found[:16]}..., but the card says {short}...: it was changed"]


def _require_version(data: dict, path: Path) -> None:
    """Raises ValueError for a card of another version; without any the fields are judged as they are."""
    version = data.get("schema", SCHEMA)
    if version != SCHEMA:
        raise ValueError(
            f"{str(path)!r} is not a card that this version reads: its format is {str(version)[:60]!r} and must be {SCHEMA!r}; make a new "
            "one from the claims with `sandbox card create`"
        )


def require_file(path: Path) -> None:
    """Raises ValueError where there is no such file."""
    if not path.is_file():
        raise ValueError(f"the card {str(path)!r} does not exist; `sandbox check` writes cards to results/cards/")


def write(card: Card, path: Path) -> None:
    """The file appears whole or not at all; a file that has the same content already is left alone."""
    text = json.dumps(card.as_json(), indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    waiting.write_text(text, encoding="utf-8")
    os.replace(waiting, path)


def show(path: Path) -> str:
    """The card as lines for a reader. Raises ValueError where the file holds no card."""
    card, problems = read(path)
    optimizer, data = card.optimizer, card.data
    blocks = [f"{name} {part.n_blocks}" for name, part in (optimizer.partition or {}).items() if part.n_blocks]
    framed = [name for name, part in (optimizer.partition or {}).items() if part.framed]
    lines = [
        f"rule         {_line(optimizer.rule)}",
        f"frame        {_line(optimizer.frame)} on {len(framed)} tensors" if optimizer.frame else "frame        none",
        *([f"elsewhere    {_line(optimizer.elsewhere)}"] if optimizer.elsewhere else []),
        f"shell        {optimizer.shell}",
        *([f"blocks       {', '.join(blocks)}"] if blocks else []),
        f"schedule     {_line(card.schedule.model_dump()) if card.schedule else 'constant'}",
        f"model        {_line(card.model)}",
        f"data         {data.text} ({data.part}), {_line(data.tokenizer)}",
        f"             {data.batch} x {data.context} tokens a step, {data.steps} steps",
        f"             sha256 {data.sha256}",
        *(f"transfer     {name} {t.value:g} [{t.low:g}, {t.high:g}]" for name, t in (card.transfer or {}).items()),
        *(f"evidence     {_evidence(part)}" for part in card.evidence),
        f"canary       seed {card.canary.seed}, rtol {card.canary.rtol:g}:",
        f"             {' '.join(f'{x:.6g}' for x in card.canary.losses)}",
        f"forecast     {', '.join(f'{name} {size:,} B' for name, size in card.forecast.items())}",
        *(f"unvalidated  {text}" for text in card.unvalidated),
        f"digest       {card.digest}",
        *(f"PROBLEM      {problem}" for problem in problems),
    ]
    return "\n".join(lines)


def _line(data: dict) -> str:
    inner = {key: value for key, value in data.items() if key != "type"}
    values = ", ".join(f"{key}={_line(v) if isinstance(v, dict) else v}" for key, v in inner.items())
    return f"{data['type']}({values})" if "type" in data else values


def _evidence(part: EvidencePart) -> str:
    interval = "no number" if part.value is None else f"{part.value:.5g} [{part.low:.5g}, {part.high:.5g}]"
    against = f"margin {part.margin:g}" if part.margin is not None else f"limit {part.limit}"
    sentence = Outcome[part.outcome].value
    return f"{part.claim}: {part.outcome} ({sentence}); {interval}, {against}, {part.seeds} seeds, {part.date}"


def _sentences(error: ValidationError) -> str:
    found = error.errors()
    lines = [f"{'.'.join(str(step) for step in e['loc'])}: {e['msg'].lower()}" for e in found[:MOST_PROBLEMS]]
    more = f"; and {len(found) - MOST_PROBLEMS} more" if len(found) > MOST_PROBLEMS else ""
    return "; ".join(lines) + more
