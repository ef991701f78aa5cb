"""A card as lines for a reader, and two cards field by field. What comes from a card is printed without control characters."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.handoff.plain_text import printable
from sandbox.handoff.reading import read
from sandbox.handoff.schema import Card, EvidencePart, TargetPart, Transferred
from sandbox.verdict import Outcome

WIDEST = 2_000  # characters of a line
ABSENT = "nothing"


def show(path: Path) -> str:
    """The card as lines for a reader. Raises ValueError where the file holds no card."""
    card, problems = read(path)
    blocks = (*_settings(card), *_promises(card), *(f"PROBLEM      {problem}" for problem in problems))
    return "\n".join(printable(line, WIDEST) for line in blocks)


def differences(first: Path, second: Path) -> list[tuple[str, str, str]]:
    """(field, value in the first, value in the second) wherever two cards differ; the digest is left out.

    Raises ValueError where a file holds no card.
    """
    cards = [read(path)[0].as_json() | {"digest": None} for path in (first, second)]
    one, two = (dict(_fields(card)) for card in cards)
    different = [name for name in {**one, **two} if one.get(name, ABSENT) != two.get(name, ABSENT)]
    return [tuple(printable(text) for text in (name, one.get(name, ABSENT), two.get(name, ABSENT))) for name in different]


def _settings(card: Card) -> Iterator[str]:
    optimizer, data = card.optimizer, card.data
    partition = optimizer.partition or {}
    blocks = [f"{name} {part.n_blocks}" for name, part in partition.items() if part.n_blocks]
    factors = [f"{name} {part.lr_factor:g}" for name, part in partition.items() if part.lr_factor != 1]
    framed = sum(part.framed for part in partition.values())
    yield f"rule         {_line(optimizer.rule)}"
    yield f"frame        {_line(optimizer.frame)} on {framed} tensors" if optimizer.frame else "frame        none"
    if optimizer.elsewhere:
        yield f"elsewhere    {_line(optimizer.elsewhere)}"
    yield f"shell        {optimizer.shell}"
    if blocks:
        yield f"blocks       {', '.join(blocks)}"
    if factors:
        yield f"lr factors   {', '.join(factors)}"
    yield f"schedule     {_line(card.schedule.model_dump()) if card.schedule else 'constant'}"
    yield f"model        {_line(card.model)}"
    yield f"data         {data.text} ({data.part}), {_line(data.tokenizer)}"
    yield f"             {data.batch} x {data.context} tokens a step, {data.steps} steps"
    yield f"             sha256 {data.sha256}"
    if card.parametrisation:
        part = card.parametrisation
        ranks = "" if part.rank_exponent is None else f"; ranks times (width / {part.base_width})^{part.rank_exponent:g}"
        yield f"widths by    {part.name}, base width {part.base_width}, exponents {_line(part.exponents) or 'none'}{ranks}"


def _promises(card: Card) -> Iterator[str]:
    yield from (f"transfer     {_transfer(name, carried)}" for name, carried in (card.transfer or {}).items())
    if not card.transfer:
        yield "transfer     no rule: these settings hold for this width alone"
    yield from _target(card.target) if card.target else ()
    yield from (f"evidence     {_evidence(part)}" for part in card.evidence)
    yield f"canary       seed {card.canary.seed}, rtol {card.canary.rtol:g}:"
    yield f"             {' '.join(f'{x:.6g}' for x in card.canary.losses)}"
    yield f"forecast     {', '.join(f'{name} {size:,} B' for name, size in card.forecast.items())}"
    yield from (f"unvalidated  {text}" for text in card.unvalidated)
    yield f"digest       {card.digest}"


def _transfer(name: str, carried: Transferred) -> str:
    line = f"{name} {carried.base_value:g} at width {carried.base_width}, times (width / {carried.base_width})^{carried.value:g} "
    line += f"[{carried.low:g}, {carried.high:g}], widths {carried.widths}, {carried.seeds} seeds"
    regret = carried.regret
    return f"{line}; at width {regret.width} it costs {regret.value:g} [{regret.low:g}, {regret.high:g}] nats" if regret else line


def _target(target: TargetPart) -> Iterator[str]:
    last = target.loss_10
    yield f"target       {_line(target.model)}; {target.parameters:,} parameters"
    yield f"             loss at step 0 in [{target.loss_0.low:g}, {target.loss_0.high:g}], before step 10 in [{last.low:g}, {last.high:g}]"
    for kind, bands in target.update_ratio.items():
        yield f"             update / weight, {kind}: " + ", ".join(f"step {k} [{band.low:g}, {band.high:g}]" for k, band in bands.items())
    yield f"             state {target.state_bytes:,} B, gradients {target.gradient_bytes:,} B"


def _line(data: dict[str, Any]) -> str:
    inner = {key: value for key, value in data.items() if key != "type"}
    values = ", ".join(f"{key}={_line(v) if isinstance(v, dict) else v}" for key, v in inner.items())
    return f"{data['type']}({values})" if "type" in data else values


def _evidence(part: EvidencePart) -> str:
    interval = "no number" if None in (part.value, part.low, part.high) else f"{part.value:.5g} [{part.low:.5g}, {part.high:.5g}]"
    against = f"margin {part.margin:g}" if part.margin is not None else f"limit {part.limit}"
    sentence = Outcome[part.outcome].value
    return f"{part.claim}: {part.outcome} ({sentence}); {interval}, {against}, {part.seeds} seeds, {part.date}"


def _fields(data: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, value as JSON would say it) of every leaf; an empty object or list is a leaf."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    if not data or not isinstance(data, dict | list):
        yield name, json.dumps(data)
        return
    for key, value in inside:
        yield from _fields(value, f"{name}.{key}" if name else str(key))
