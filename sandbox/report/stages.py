"""A comparison of two trained methods along the schedule: what it looked like at 10 and 50 %, beside the 100 % that is judged.

A sample of `sandbox.ledger.tuning.Tuned` holds `ours` and `theirs` (judged), and `ours_KEY`, `theirs_KEY` for every other stage.
"""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from sandbox.ledger.result import Case
from sandbox.report import words

HEADS = ("stage", "ours", "theirs", "difference", "standard error", "seeds")


def stages(case: Case) -> Sequence[tuple[str, float, float, float, float, int]]:
    """(stage, mean ours, mean theirs, mean difference, its standard error, seeds), the judged stage last; () for other claims."""
    samples = case.verdict.fit.samples if case.verdict.fit else ()
    keys = list(samples[0].values) if samples else []
    found = [key.removeprefix("ours_") for key in keys if key.startswith("ours_loss") and f"theirs_{key[5:]}" in keys]
    if not found or "ours" not in keys or "theirs" not in keys:
        return ()
    return [_stage(samples, name, f"ours_{name}", f"theirs_{name}") for name in found] + [
        _stage(samples, "the end, which is judged", "ours", "theirs")
    ]


def _stage(samples, name: str, ours: str, theirs: str) -> tuple[str, float, float, float, float, int]:
    a, b = (np.array([float(sample.values[key]) for sample in samples]) for key in (ours, theirs))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return name, math.inf, math.inf, math.inf, math.inf, len(samples)
    error = float((a - b).std(ddof=1) / math.sqrt(len(a))) if len(a) > 1 else math.nan
    return name, float(a.mean()), float(b.mean()), float((a - b).mean()), error, len(samples)


def stage_table(case: Case) -> str:
    """The stages as HTML, or "" where there are none."""
    rows = stages(case)
    if not rows:
        return ""
    heads = "".join(f"<th>{head}</th>" for head in HEADS)
    body = "".join(
        f"<tr><td>{escape(name.replace('loss_', 'at ') + (' %' if name.startswith('loss_') else ''))}</td>"
        + "".join(f"<td class=n>{words.number(x)}</td>" for x in numbers)
        + "</tr>"
        for name, *numbers in rows
    )
    return f"<div class='wide'><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
