"""Small pieces of HTML, all escaped: numbers, outcomes as coloured words, links in a source, a formula as MathML."""

import math
import re
from html import escape, unescape
from typing import Any

import sympy

from sandbox.verdict import Outcome, Verdict

URL = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:)]")


def number(x: Any) -> str:
    """Five significant digits, all digits of a whole number, and words for what is not finite."""
    if x is None:
        return "–"
    if isinstance(x, bool) or not isinstance(x, int | float):
        return escape(str(x))
    if not math.isfinite(x):
        return "not finite"
    if float(x).is_integer() and abs(x) < 1e15:
        return f"{int(x):{',' if abs(x) >= 10_000 else ''}}".replace(",", " ").replace("-", "−")
    return f"{x:.5g}".replace("-", "−")


def interval(verdict: Verdict) -> str:
    """`value [low, high]`; only the value where low = high."""
    fit = verdict.fit
    if fit is None:
        return "–"
    if fit.diverged:
        return "diverged"
    if fit.low == fit.high:
        return number(fit.value)
    return f"{number(fit.value)} [{number(fit.low)}, {number(fit.high)}]"


def limit(verdict: Verdict) -> str:
    """The limit with the band that counts as equal, in the words of its kind."""
    if verdict.limit is None:
        return "–"
    if verdict.kind == "parity":
        return f"± {number(verdict.margin)}"
    sign = {"upper": "≤ ", "lower": "≥ ", "equality": "= ", "ordering": "< "}[verdict.kind]
    band = f" (resolution {number(100 * verdict.tau)} %)" if verdict.tau >= 1e-5 else ""
    band = " (up to rounding)" if 0 < verdict.tau < 1e-5 else band
    return f"{sign}{number(verdict.limit)}{band}"


def word(outcome: Outcome | None) -> str:
    if outcome is None:
        return '<span class="word unknown">NOT RUN</span>'
    return f'<span class="word {outcome.name.lower()}">{outcome.name.replace("_", " ")}</span>'


def source(text: str) -> str:
    """Escaped, with its addresses as links; the only addresses on the page."""
    parts, end = [], 0
    for match in URL.finditer(text):
        address = escape(match.group())
        parts += [escape(text[end : match.start()]), f'<a href="{address}" rel="noreferrer">{address}</a>']
        end = match.end()
    return "".join([*parts, escape(text[end:])])


def setting(record: Any) -> str:
    """`field = value` of a settings record, or the record itself."""
    fields = getattr(record, "__dataclass_fields__", None)
    if fields is None:
        return escape(str(record))
    return ", ".join(f"{escape(name)} = {escape(str(getattr(record, name)))}" for name in fields) or "no settings"


def formula(expression: sympy.Basic) -> str:
    """MathML, which browsers draw without a library; cases get a table, for sympy prints them as a function."""
    from sympy.printing.mathml import mathml

    if isinstance(expression, sympy.Piecewise):
        rows = "".join(_case(value, condition) for value, condition in expression.args)
        inner = f'<mrow><mo stretchy="true">{{</mo><mtable columnalign="left">{rows}</mtable></mrow>'
    else:
        inner = _named(mathml(expression, printer="presentation"))
    return f'<math displaystyle="true">{inner}</math>'


def _case(value: sympy.Basic, condition: sympy.Basic) -> str:
    from sympy.printing.mathml import mathml

    when = "<mtext>otherwise</mtext>" if condition == sympy.true else _named(mathml(condition, printer="presentation"))
    return f"<mtr><mtd>{_named(mathml(value, printer='presentation'))}</mtd><mtd>{when}</mtd></mtr>"


def _named(text: str) -> str:
    text = text.replace("<mo>&InvisibleTimes;</mo>", '<mspace width="0.2em"/>')  # else `L eps` reads as one name
    text = re.sub(r"&(?!(?:lt|gt|amp);)\w+;", lambda name: unescape(name.group()), text)  # XML knows no other names
    return text.replace("<mo>></mo>", "<mo>&gt;</mo>").replace("<mo><</mo>", "<mo>&lt;</mo>")
