"""The results as a table for a terminal of any width, and the sentences below it.

Narrow terminals lose the columns that matter least, never a row; a file or a pipe gets the full width and no colours.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sandbox.ledger.execute import Progress
from sandbox.ledger.proofs import Checked
from sandbox.ledger.result import Result
from sandbox.report import words
from sandbox.verdict import Outcome

COLOURS = {
    Outcome.ATTAINED: "bold green",
    Outcome.HOLDS: "green",
    Outcome.VIOLATED: "red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.OUT_OF_SCOPE: "bright_black",
}
PIPE_WIDTH = 180  # columns where the output is no terminal
COLUMNS = ("claim", "statement", "measured", "limit", "outcome", "expected", "seeds", "s", "rows from")
DROPPED = ("statement", "rows from", "s", "seeds", "limit", "expected", "measured")  # in this order, until the rest fits
LEAST_STATEMENT = 24  # columns; the statement is cut to what is left, and goes where less is left
LIST_COLUMNS = (("claim", 0), ("statement", 90), ("source", 120), ("tier", 60), ("cost s", 60), ("last verdict", 0))


def console(*, stderr: bool = False) -> Console:
    """Writes to stdout (or stderr), as wide as the terminal, `PIPE_WIDTH` where there is none."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)


def show(results: Sequence[Result], out: Console) -> None:
    """The table, then one sentence for each result that needs one, then the tally."""
    out.print(table(results, out.width))
    for line in (line for result in results for line in remarks(result)):
        out.print(line)
    out.print(tally(results))


def table(results: Sequence[Result], width: int) -> Table:
    rows = [_cells(result) for result in results]
    natural = {name: max(len(name), *(row[name].cell_len for row in rows), 0) for name in COLUMNS}
    widths = fitting(natural, width)
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for name, columns in widths.items():
        made.add_column(
            name,
            justify="right" if name in ("seeds", "s") else "left",
            width=columns,
            overflow="ellipsis" if name == "statement" else "fold",
            no_wrap=name == "statement",
        )
    for row in rows:
        made.add_row(*(row[name] for name in widths))
    return made


def fitting(natural: dict[str, int], width: int) -> dict[str, int]:
    """The columns that fit side by side with two blanks between them, and how wide they are."""
    widths = dict(natural)
    for name in ("", *DROPPED):
        widths.pop(name, None)
        fixed = sum(columns + 2 for column, columns in widths.items() if column != "statement") - 2
        if "statement" in widths and (left := width - fixed - 2) >= LEAST_STATEMENT:
            return widths | {"statement": min(left, natural["statement"])}
        if "statement" not in widths and fixed <= width:
            return widths
    return {"claim": max(8, width - 2 - widths["outcome"]), "outcome": widths["outcome"]}  # a very narrow one folds the ids


def expectation(result: Result) -> str:
    """`predicted HOLDS`, or `predicted HOLDS, found VIOLATED` where a run has shown otherwise."""
    claim = result.claim
    found = f", found {claim.found.outcome.name}" if claim.found else ""
    return f"predicted {claim.predicted.name}{found}"


def remarks(result: Result) -> list[Text]:
    """What the table has no room for: an error, a difference from the record, why it is open, how many seeds would decide, and what
    was left untuned.
    """
    name, lines = result.claim.id, []
    if result.error:
        return [Text(f"{name}: could not be judged. {result.error}", style="bold red")]
    if not result.agrees:
        lines.append(Text(f"{name}: {expectation(result)}, but this run gives {result.outcome.name}", style="bold red"))
    verdict = result.telling.verdict if result.telling else None
    if verdict and verdict.outcome is Outcome.INCONCLUSIVE and not verdict.fit.diverged:
        why = "too few samples for none to differ" if verdict.fit.all_equal else "the interval straddles the limit"
        lines.append(Text(f"{name}: {why}; {_more_seeds(result)}{_because(verdict.reason)}", style="yellow"))
    elif verdict and verdict.reason:
        lines.append(Text(f"{name}: {verdict.reason}", style="bright_black"))
    if result.remark:
        lines.append(Text(f"{name}: {result.remark}", style="yellow"))
    return lines


def tally(results: Sequence[Result]) -> Text:
    """`5 claims: 3 HOLDS, 1 VIOLATED, 1 not run; 0 differ from the record`."""
    counts = Counter(result.outcome for result in results)
    parts = [f"{counts[outcome]} {outcome.name.replace('_', ' ')}" for outcome in Outcome if counts[outcome]]
    errors = sum(bool(result.error) for result in results)
    parts += [f"{counts[None] - errors} not run"] * (counts[None] > errors) + [f"{errors} with errors"] * (errors > 0)
    differ = sum(not result.agrees and not result.error for result in results)
    claims = f"{len(results)} claim{'' if len(results) == 1 else 's'}"
    record = f"{differ} differ{'s' if differ == 1 else ''} from the record" if differ else "none differs from the record"
    return Text(f"{claims}: {', '.join(parts)}; {record}", style="bold red" if differ or errors else "bold")


def _cells(result: Result) -> dict[str, Text]:
    claim, case = result.claim, result.telling
    verdict = case.verdict if case else None
    settings = f" (1 of {len(result.cases)})" if len(result.cases) > 1 else ""
    plain = {
        "claim": claim.id,
        "statement": claim.statement,
        "measured": words.interval(verdict) + settings if verdict else "–",
        "limit": words.limit(verdict) if verdict else "–",
        "expected": expectation(result).removeprefix("predicted "),
        "seeds": str(len(verdict.fit.samples)) if verdict and verdict.fit else "–",
        "s": f"{result.seconds:.1f}" if result.cases else f"({claim.cost_s:g})",
        "rows from": _origin(result),
    }
    return {name: Text(text) for name, text in plain.items()} | {"outcome": _outcome(result)}


def _outcome(result: Result) -> Text:
    if result.error:
        return Text("ERROR", style="bold red")
    if result.outcome is None:
        return Text("not run", style="bright_black")
    mark = "" if result.agrees else " !"
    return Text(result.outcome.name.replace("_", " ") + mark, style=COLOURS[result.outcome])


def _origin(result: Result) -> str:
    if result.origin == "recorded":
        return f"recorded {result.date} at {result.code[:8]}"
    return result.date if result.origin == "measured" else f"tier {result.claim.tier}"


def _more_seeds(result: Result) -> str:
    verdict = result.telling.verdict
    if verdict.more_seeds is None:
        return "more seeds alone would not decide"
    return f"about {verdict.more_seeds} seeds in all would decide (now {len(verdict.fit.samples)})"


def _because(reason: str) -> str:
    return f"; {reason}" if reason else ""


def listing(results: Sequence[Result], width: int) -> Table:
    """Every claim with its source, its cost and its last verdict."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for name, least in LIST_COLUMNS:
        if width >= least:
            made.add_column(name, justify="right" if name == "cost s" else "left", overflow="fold")
    for result in results:
        claim = result.claim
        last = _outcome(result) if result.outcome is None else _outcome(result).append(f", {_origin(result)}", style="default")
        plain = (claim.id, claim.statement, f"{claim.source} ({claim.known})", claim.tier, f"{claim.cost_s:g}")
        cells = [*map(Text, plain), last]
        made.add_row(*(cell for cell, (_, least) in zip(cells, LIST_COLUMNS, strict=True) if width >= least))
    return made


def proof_table(checked: Sequence[Checked]) -> Table:
    """Every proof with its status, its steps, its time and the bounds that rest on it."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for name in ("proof", "status", "steps", "s", "bounds"):
        made.add_column(name, justify="right" if name in ("steps", "s") else "left", overflow="fold")
    for one in checked:
        status = Text(one.status.upper(), style="green" if one.status == "proved" else "bold red")
        made.add_row(one.proof.id, status, str(one.steps), f"{one.seconds:.1f}", ", ".join(one.proof.bounds) or "none")
        for step, message in one.failed.items():
            made.add_row("", Text("failed", style="red"), "", "", Text(f"{step}: {message}"))
    return made


def mass_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Hessian mass inside the blocks of each partition; `null` is what blocks of these sizes hold by chance."""
    names = ("target", "tensor", "partition", "blocks", "mass", "95 %", "null", "excess")
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    for name in names:
        made.add_column(name, justify="left" if name in names[:3] else "right")
    for row in rows:
        mass, null, excess = ("-" if row[key] is None else f"{row[key]:.4f}" for key in ("mass", "null", "excess"))
        interval = f"{row['low']:.3f} to {row['high']:.3f}" if row["high"] > row["low"] else "exact"
        made.add_row(row["target"], row["name"], row["partition"], str(row["n_blocks"]), mass, interval, null, excess)
    return made


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr while it is a terminal; silence otherwise."""
    if not sys.stderr.isatty():
        yield lambda done, total, text: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("rows"), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda done, total, text: bar.update(task, completed=done, total=total, description=text)
