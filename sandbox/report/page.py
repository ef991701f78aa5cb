"""One self-contained HTML file of all results: nothing is fetched, so it can be mailed, archived and read in ten years.

Figures stand in the page as SVG and formulas as MathML. Claims that differ from their record come first, then system by
system.
"""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from sandbox.ledger.result import Result
from sandbox.report import words
from sandbox.report.figures import claim_figure, overview
from sandbox.report.kept import Kept
from sandbox.report.look import CSS, JS, PAGE
from sandbox.report.section import claim_section, inline, recorded
from sandbox.report.theorems import theorems
from sandbox.report.worst_cases import worst_cases
from sandbox.verdict import Outcome

FEW = 150  # claims whose picture is not too long to stand open
A_PARAGRAPH = 12  # claims that may be named one after the other before they are folded away
COLUMNS = ("claim", "kind", "outcome", "measured", "limit", "predicted", "seeds", "seconds", "tier")


def write_page(results: Sequence[Result], out_dir: Path, root: Path) -> Path:
    """Writes out_dir/report.html and returns its path; `root` is the folder that proof files are named from.

    The file appears whole or not at all.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    path, waiting = out_dir / "report.html", out_dir / f".report.{os.getpid()}.html"
    kept = Kept(out_dir / "cache" / "figures")
    waiting.write_text(page(results, root, kept.figure, kept.overview), encoding="utf-8")
    os.replace(waiting, path)
    kept.forget_the_rest()
    return path


def page(
    results: Sequence[Result],
    root: Path,
    draw: Callable[[Result], bytes] = claim_figure,
    draw_all: Callable[[Sequence[Result]], bytes] = overview,
) -> str:
    """The page as text. draw: the figure of a claim, as SVG.  draw_all: that of all claims."""
    ordered = sorted(results, key=lambda r: (r.agrees, r.claim.id.partition(".")[0], r.claim.id))
    body = [head(ordered), _picture(ordered, draw_all), worst_cases(ordered), table(ordered), "<h2>Claim by claim</h2>"]
    body += [claim_section(result, root, draw) for result in ordered]
    body.append(theorems(ordered, root))
    return PAGE.format(title=f"{len(ordered)} claims, checked", css=CSS, js=JS, body="\n".join(body))


def head(results: Sequence[Result]) -> str:
    """How many claims, what came of them, what differs from the record, and what differs from the prediction."""
    tally = Counter(result.outcome for result in results)
    counts = [_count(words.word(o), tally[o], o.value) for o in Outcome if tally[o]]
    if tally[None]:
        counts.append(_count(words.word(None), tally[None], "nothing recorded yet"))
    differing = [result for result in results if not result.agrees]
    surprising = [r for r in results if r.claim.found and r.claim.found.outcome is not r.claim.predicted]
    lines = [
        f"<h1>{_claims(len(results))}, checked by proof and by measurement</h1>",
        f"<ul class='tally'>{''.join(counts)}</ul>",
    ]
    if differing:
        verb = "differs" if len(differing) == 1 else "differ"
        start = f"{_claims(len(differing))} {verb} from the record:"
        lines.append(f"<p class='alarm'><b>{start}</b> {_links(differing)}</p>")
    else:
        lines.append("<p>No claim differs from the record.</p>")
    if surprising:
        lines.append(_surprises(surprising))
    return "\n".join(lines)


def _surprises(results: Sequence[Result]) -> str:
    """Folded away where they are many, as the picture of all claims is."""
    if len(results) <= A_PARAGRAPH:
        return f"<p>Recorded against the prediction: {_links(results)}</p>"
    return f"<details><summary>{len(results)} recorded against the prediction</summary><p>{_links(results)}</p></details>"


def _count(word: str, count: int, sentence: str) -> str:
    return f"<li>{word} {count} <span class='soft'>{escape(sentence)}</span></li>"


def table(results: Sequence[Result]) -> str:
    """Every claim in a row; on a narrow screen every row is a card."""
    heads = "".join(f"<th scope='col'>{name}</th>" for name in COLUMNS)
    rows = "\n".join(_row(result) for result in results)
    return (
        "<h2>All claims</h2>\n<p><label class='filter'>Show only what contains "
        "<input id='filter' type='search' placeholder='e.g. violated, parity, adam-mini'></label></p>\n"
        f"<div class='wide'><table class='claims'><thead><tr>{heads}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def find_text(result: Result) -> str:
    """What the filter looks at, as an attribute value."""
    claim = result.claim
    outcome = result.outcome.name if result.outcome else "not run"
    state = "" if result.agrees else "differs"
    parts = (
        claim.id,
        claim.statement,
        claim.source,
        claim.kind,
        claim.tier,
        claim.known,
        outcome,
        state,
        claim.dossier,
    )
    return escape(" ".join(parts).lower(), quote=True)


def _row(result: Result) -> str:
    claim, case = result.claim, result.telling
    verdict = case.verdict if case else None
    sentence = result.outcome.value if result.outcome else result.error
    about = f"<a href='#{escape(claim.id)}'>{escape(claim.id)}</a><div>{escape(claim.statement)}</div>"
    cells = [
        ("", f"{about}<div class='soft'>{words.source(claim.source)} ({escape(claim.known)})</div>"),
        ("kind", claim.kind),
        ("outcome", words.word(result.outcome) + f"<div class='soft'>{escape(sentence)}</div>"),
        ("measured", words.interval(verdict).replace(" [", "<br>[") if verdict else "–"),
        ("limit", words.limit(verdict) if verdict else "–"),
        ("predicted", expectation(result)),
        ("seeds", str(len(verdict.fit.samples)) if verdict and verdict.fit else "–"),
        ("seconds", words.number(round(result.seconds, 1))),
        ("tier", f"{claim.tier}<div class='soft'>{recorded(result)}</div>"),
    ]
    tds = (_cell(name, text) for name, text in cells)
    return f'<tr data-find="{find_text(result)}">{"".join(tds)}</tr>'


def _cell(name: str, text: str) -> str:
    numeric = " class='n'" if name in ("measured", "seeds", "seconds") else ""
    return f"<td data-name='{name}'{numeric}>{text}</td>" if name else f"<td>{text}</td>"


def expectation(result: Result) -> str:
    """`predicted X`, and `found Y` where a run has shown otherwise."""
    alarm = "" if result.agrees else " <b>differs</b>"
    return f"{words.word(result.claim.predicted)}{_found(result)}{alarm}"


def _picture(results: Sequence[Result], draw_all: Callable[[Sequence[Result]], bytes]) -> str:
    if not any(result.cases for result in results):
        return ""
    note = "Intervals over limits; 95 %, for parity 90 %. Thin lines: the other settings of a claim. Dashed: the limit or the margin."
    svg = inline(draw_all(results), "all claims")
    figure = f"<figure class='overview'><div class='wide'>{svg}</div><figcaption>{note}</figcaption></figure>"
    return figure if len(results) <= FEW else f"<details><summary>{len(results)} claims as one picture</summary>{figure}</details>"


def _links(results: Sequence[Result]) -> str:
    return "; ".join(
        f"<a href='#{escape(r.claim.id)}'>{escape(r.claim.id)}</a> "
        f"(predicted {words.word(r.claim.predicted)}{_found(r)}, now {words.word(r.outcome)})"
        for r in results
    )


def _found(result: Result) -> str:
    return f", found {words.word(result.claim.found.outcome)}" if result.claim.found else ""


def _claims(count: int) -> str:
    return f"{count} claim{'' if count == 1 else 's'}"
