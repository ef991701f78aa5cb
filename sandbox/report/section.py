"""One claim on the page: what is claimed, what limits it, what each setting gave, and every sample behind it."""

from collections.abc import Callable
from html import escape
from pathlib import Path

from sandbox.ledger.result import Case, Result
from sandbox.ledger.tuning import edge_remark
from sandbox.report import words
from sandbox.report.canvas import COLOURS
from sandbox.report.figures import claim_figure, curves
from sandbox.report.stages import stage_table
from sandbox.verdict import Verdict

SEEDS_SHOWN = 40


def claim_section(result: Result, root: Path, draw: Callable[[Result], bytes] = claim_figure) -> str:
    """The whole section; `root` is the folder that proof files are named from. draw: its figure, as SVG."""
    claim = result.claim
    sentence = f" {escape(result.outcome.value)}." if result.outcome else " No verdict is recorded."
    error = f"<p class='alarm'>The claim's own code failed: {escape(result.error)}</p>" if result.error else ""
    tier = "" if claim.tier == "quick" else f" --tier {claim.tier}"
    parts = [
        f"<h3>{escape(claim.id)}</h3>",
        f"<p>{escape(claim.statement)}</p>",
        f"<p>{words.word(result.outcome)}{sentence}{_expected(result)}</p>",
        error,
        f"<p>Remark: {escape(result.remark)}.</p>" if result.remark else "",
        _facts(result, root),
        _figures(result, draw),
        _cases(result),
        *(stage_table(case) for case in result.cases),
        _samples(result),
        f"<p class='soft'>Again: <code>sandbox check {escape(claim.id)}{tier} --fresh</code></p>",
    ]
    find = escape(f"{claim.id} {claim.statement} {claim.kind} {claim.tier} {_name(result)}".lower(), quote=True)
    return f"<section class='claim' id='{escape(claim.id)}' data-find=\"{find}\">\n{''.join(parts)}\n</section>"


def inline(svg: bytes, title: str) -> str:
    """An SVG for the page: its outcome colours follow the theme, and it has a name for those who cannot see it."""
    text = svg.decode()
    for outcome, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{outcome.name.lower()})")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


def recorded(result: Result) -> str:
    """When the rows were made, and by which code."""
    if result.origin == "missing":
        return "never run"
    code = f" at {escape(result.code[:12])}" if result.code else ""
    return f"{result.origin} on {escape(result.date)}{code}" if result.date else result.origin


def _name(result: Result) -> str:
    return (result.outcome.name if result.outcome else "not run") + ("" if result.agrees else " differs")


def _expected(result: Result) -> str:
    claim = result.claim
    text = f" Predicted {words.word(claim.predicted)}"
    if claim.found:
        text += f", found {words.word(claim.found.outcome)} on {escape(claim.found.date)}: {escape(claim.found.why)}"
    return text + ("." if result.agrees else ". <b>This run differs from the record.</b>")


def _facts(result: Result, root: Path) -> str:
    claim = result.claim
    rows = [
        (
            "source",
            f"{words.source(claim.source)} <span class='soft'>({escape(claim.known)}; {escape(claim.dossier)})</span>",
        ),
        ("quantity", escape(claim.quantity)),
        ("estimate", escape(repr(claim.estimate))),
        *_bound_facts(result, root),
        ("run", f"{recorded(result)}; {words.number(round(result.seconds, 2))} s of worker time; tier {claim.tier}"),
    ]
    if result.code:
        rows.append(("code version", f"<code>{escape(result.code)}</code>"))
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows) + "</dl>"


def _bound_facts(result: Result, root: Path) -> list[tuple[str, str]]:
    bound = result.claim.bound
    if bound is None:
        return []
    requires = "; ".join(words.formula(relation) for relation in bound.requires) or "nothing"
    if not bound.proof:
        proof = "none: taken on trust"
    else:
        there = (root / bound.proof).is_file()
        proof = f"<code>{escape(bound.proof)}</code>" + ("" if there else " (not in this folder)")
    return [
        (
            "bound",
            f"{words.formula(bound.value)} <span class='soft'>({bound.kind}; {words.source(bound.source)})</span>",
        ),
        ("requires", requires),
        ("proof", f"{proof} <span class='soft'>formula digest {bound.digest}</span>"),
    ]


def _figures(result: Result, draw: Callable[[Result], bytes]) -> str:
    if not any(case.verdict.fit is not None and not case.verdict.fit.diverged for case in result.cases):
        return ""
    name = result.claim.id
    note = "Dots: one seed each, 40 at most. Bar: the interval. Dashed: the limit; grey: what counts as equal to it, or the margin."
    parts = [_figure(inline(draw(result), name), note)]
    for key, svg in curves(result).items():
        parts.append(_figure(inline(svg, f"{name}: {key}"), f"{escape(key)}, a line per seed"))
    return "".join(parts)


def _figure(svg: str, note: str) -> str:
    return f"<figure><div class='wide'>{svg}</div><figcaption>{note}</figcaption></figure>"


def _cases(result: Result) -> str:
    if not result.cases:
        return ""
    heads = ("setting", "outcome", "measured", "level", "limit", "seeds", "p", "note")
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _case_cells(case))}</tr>" for case in result.cases)
    inner = f"<table><thead><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr></thead><tbody>{rows}</tbody></table>"
    count = len(result.cases)
    opened, title = " open" if count <= 6 else "", f"{count} setting{'s' * (count > 1)}"
    return f"<details{opened}><summary>{title}</summary><div class='wide'>{inner}</div></details>"


def _case_cells(case: Case) -> list[str]:
    verdict, fit = case.verdict, case.verdict.fit
    return [
        words.setting(case.setting),
        words.word(verdict.outcome),
        words.interval(verdict),
        f"{100 * fit.level:.4g} %" if fit and fit.df else "range" if fit else "–",
        words.limit(verdict),
        str(len(fit.samples)) if fit else "–",
        f"{verdict.p:.2g}" if verdict.p else "–",
        _note(verdict),
    ]


def _note(verdict: Verdict) -> str:
    more = f"{verdict.more_seeds} seeds in all would decide" if verdict.more_seeds else ""
    edge = edge_remark(verdict.fit.samples) if verdict.fit else ""
    return escape("; ".join(part for part in (verdict.reason, more, edge) if part))


def _samples(result: Result) -> str:
    measured = [case for case in result.cases if case.verdict.fit is not None]
    if not measured:
        return ""
    tables = "".join(_sample_table(case) for case in measured)
    return f"<details><summary>samples by seed</summary>{tables}</details>"


def _sample_table(case: Case) -> str:
    samples = case.verdict.fit.samples
    keys = list(dict.fromkeys(key for sample in samples for key in sample.values))
    heads = "".join(f"<th>{escape(key)}</th>" for key in ("seed", *keys, "date", "code"))
    rows = "".join(
        f"<tr><td>{s.seed}</td>{''.join(f'<td class=n>{_value(s.values.get(key))}</td>' for key in keys)}"
        f"<td>{escape(s.date)}</td><td><code>{escape(s.code[:12])}</code></td></tr>"
        for s in samples[:SEEDS_SHOWN]
    )
    rest = len(samples) - SEEDS_SHOWN
    more = f"<p class='soft'>{rest} more seeds are in the results file.</p>" if rest > 0 else ""
    title = f"<p class='soft'>{words.setting(case.setting)}</p>"
    return f"{title}<div class='wide'><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{more}"


def _value(value) -> str:
    if isinstance(value, list | tuple | dict):
        return f"{len(value)} values"
    return words.number(value)
