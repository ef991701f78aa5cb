"""Writes who agrees with whom, by how much and under which licence, into experiments/records/peers.json and peers.md.

python -m tests.peers.publish        from the root of the repository; under a minute on one core
"""

import json
import platform
from datetime import date
from pathlib import Path
from typing import Any

import torch

from tests.peers.licences import licences, version
from tests.peers.pairs import PAIRS, Pair
from tests.peers.training import BATCH, MODEL, STEPS, DType, allowed, gap, one_digit, precision

RECORDS = Path(__file__).resolve().parents[2] / "experiments" / "records"
JSON, MARKDOWN = RECORDS / "peers.json", RECORDS / "peers.md"
Row = dict[str, Any]


def verdict(pair: Pair, norm: float) -> str:
    return "differs on purpose" if pair.because else "bit for bit" if norm == 0 else "agrees"


def row(pair: Pair, dtype: DType) -> Row:
    """One comparison; numbers to three digits, as more of them would be this machine's."""
    found, limit = gap(pair.left, pair.right, dtype), allowed(pair.left, pair.right, dtype)
    digits = precision(pair.left, pair.right, dtype)
    numbers = {
        "difference": found.norm,
        "difference of the largest entry": found.largest,
        "one digit": one_digit(pair.left, dtype, digits).norm,
        "allowed": limit.norm,
    }
    return {
        "left": str(pair.left),
        "left settings": pair.left.written,
        "right": str(pair.right),
        "right settings": pair.right.written,
        "weights": dtype,
        "computes": digits,
        **{name: float(f"{x:.3g}") for name, x in numbers.items()},
        "verdict": verdict(pair, found.norm),
        "because": pair.because,
    }


def measured() -> dict[str, Any]:
    model = f"a Llama of {MODEL.layers} block, width {MODEL.width}, {MODEL.heads} heads, {MODEL.kv_heads} of keys, {MODEL.vocab} tokens"
    return {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "steps": STEPS,
        "model": f"{model}; {BATCH} sequences of {MODEL.context} tokens a step",
        "packages": licences(),
        "rows": [row(pair, dtype) for pair in PAIRS for dtype in pair.dtypes],
    }


def table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ("---",) * len(head), *lines))


def number(x: float | None) -> str:
    return "-" if x is None else "0" if x == 0 else f"{x:.1e}" if x < 0.01 else f"{x:.2f}"


def by_pair(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """The rows that must agree, by (left, right)."""
    pairs: dict[tuple[str, str], list[Row]] = {}
    for one in rows:
        if not one["because"]:
            pairs.setdefault((one["left"], one["right"]), []).append(one)
    return pairs


def worst(rows: list[Row], weights: DType, name: str) -> float | None:
    return max((one[name] for one in rows if one["weights"] == weights), default=None)


def agreeing(rows: list[Row]) -> str:
    """One line a pair: the worst over its settings."""
    lines = []
    for (left, right), some in by_pair(rows).items():
        settings = len({(one["left settings"], one["right settings"]) for one in some})
        share = max(one["difference"] / one["allowed"] for one in some)
        coarse = any(one["weights"] != one["computes"] for one in some)
        numbers = [number(worst(some, weights, "difference")) for weights in ("float32", "float64")]
        lines.append((left, right, str(settings), numbers[0], numbers[1] + (" (float32 inside)" if coarse else ""), f"{share:.0%}"))
    return table(("left", "right", "settings", "float32 weights", "float64 weights", "of what is allowed"), lines)


def differing(rows: list[Row]) -> str:
    """One line a pair of contenders; the two dtypes agree to the digits shown."""
    lines = {}
    for one in rows:
        if one["because"]:
            sides = [f"{one[side]} ({one[side + ' settings']})" for side in ("left", "right")]
            lines[tuple(sides)] = (*sides, number(one["difference"]), one["because"])
    return table(("left", "right", "difference", "because"), list(lines.values()))


def every(rows: list[Row]) -> str:
    lines = [
        (
            f"{one['left']} ({one['left settings']})",
            f"{one['right']} ({one['right settings']})",
            one["weights"],
            *(number(one[name]) for name in ("difference", "difference of the largest entry", "one digit", "allowed")),
            one["verdict"],
        )
        for one in rows
    ]
    return table(("left", "right", "weights", "difference", "largest entry", "one digit", "allowed", "verdict"), lines)


def markdown(record: dict[str, Any]) -> str:
    packages = [(name, *entry.values()) for name, entry in record["packages"].items()]
    return f"""# Who agrees with whom

Measured on {record["date"]} with torch {record["torch"]} on a CPU, Python {record["python"]}: {record["steps"]} steps of
{record["model"]}.
`python -m tests.peers.publish` writes this page anew, and `tests/peers` checks it.

A difference is the distance between the two ends over the distance that the left one moved (2-norm over all weights). Rounding
makes one too. So the left one is trained again with one last digit changed in each starting weight ("one digit"), and
{record["steps"]} times what that does, once for each step, is allowed; a tolerance above 1 % would be refused.

## Agree

Worst difference over the settings. 0 is bit for bit. "float32 inside": the package computes in float32 where the weights are
float64, so float32's digits are what it is held to.

{agreeing(record["rows"])}

## Differ on purpose

With the cause taken away, each of these agrees; that pair is above.

{differing(record["rows"])}

## Packages

{table(("package", "version", "licence by its metadata", "licence by its file"), packages)}

## All comparisons

{every(record["rows"])}
"""


def main() -> None:
    record = measured()
    JSON.write_text(json.dumps(record, indent=1) + "\n")
    MARKDOWN.write_text(markdown(record))
    print(f"{len(record['rows'])} comparisons in {JSON.name} and {MARKDOWN.name}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
