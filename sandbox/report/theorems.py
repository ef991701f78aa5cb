"""The theorems on the page: what each proof file states, on what it rests, and the claims that touch it; then what has no proof.

A claim touches a theorem where its bound names the proof, or where the claim itself names the theorem (`Claim.theorems`).
"""

import ast
import inspect
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from sandbox.ledger.proofs import bounds
from sandbox.ledger.result import Result
from sandbox.report import words
from sandbox.theory.base import Bound

PARTS = ("Source", "Bounds", "Not here")


LEAD = (
    "Every step of every proof is run by <code>sandbox prove</code>; with <code>--coq FOLDER</code> the kernel of Coq checks the "
    "certificates again."
)


def theorems(results: Sequence[Result], root: Path) -> str:
    """The whole chapter; empty for a root without proofs."""
    files = sorted((root / "proofs").glob("proof_*.py"))
    if not files:
        return ""
    sections = [_section(path, [b for b in bounds() if b.proof == f"proofs/{path.name}"], results) for path in files]
    return "\n".join([f"<h2>Theorems</h2>\n<p>{LEAD}</p>", *sections, _unproven([b for b in bounds() if not b.proof])])


def statement(text: str) -> tuple[str, dict[str, str]]:
    """The docstring of a proof file -> its statement, and its parts by name."""
    cut = re.split(rf"^({'|'.join(PARTS)}):", inspect.cleandoc(text), flags=re.M)
    return cut[0].strip(), {name: " ".join(part.split()) for name, part in zip(cut[1::2], cut[2::2], strict=True)}


def touching(path: Path, results: Sequence[Result]) -> list[Result]:
    """The claims that touch the theorem of a proof file."""
    return [result for result in results if path.stem.removeprefix("proof_") in result.claim.about]


def _section(path: Path, its_bounds: Sequence[Bound], results: Sequence[Result]) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said, parts = statement(ast.get_docstring(tree) or "")
    steps = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("step_")]
    outline = "".join(f"<li>{escape(re.sub(r'^step_[0-9]+_', '', name).replace('_', ' '))}</li>" for name in steps)
    rows = [(name.lower(), words.source(text)) for name, text in parts.items() if name != "Bounds"]
    rows += [(escape(bound.name), _bound(bound)) for bound in its_bounds] + [("claims", _links(touching(path, results)))]
    facts = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows)
    id_ = path.stem.removeprefix("proof_")
    find = escape(f"{id_} {' '.join(bound.name for bound in its_bounds)} theorem proof".lower(), quote=True)
    return (
        f"<section class='claim' id='theorem-{escape(id_)}' data-find=\"{find}\">\n<h3>{escape(id_.replace('_', ' '))}</h3>"
        f"<pre class='statement'>{escape(said)}</pre><dl>{facts}</dl>"
        f"<details><summary>{len(steps)} steps in <code>proofs/{escape(path.name)}</code></summary><ol>{outline}</ol></details>\n</section>"
    )


def _links(results: Sequence[Result]) -> str:
    return "; ".join(f"<a href='#{escape(r.claim.id)}'>{escape(r.claim.id)}</a> {words.word(r.outcome)}" for r in results) or "none yet"


def _bound(bound: Bound) -> str:
    requires = "; ".join(words.formula(relation) for relation in bound.requires) or "nothing"
    return (
        f"{escape(bound.quantity)}: {words.formula(bound.value)} <span class='soft'>({bound.kind}; {words.source(bound.source)}; "
        f"digest {bound.digest})</span><br>where {requires}"
    )


def _unproven(without: Sequence[Bound]) -> str:
    rows = "".join(f"<dt>{escape(bound.name)}</dt><dd>{_bound(bound)}</dd>" for bound in without)
    lead = "Conjectures, approximations and constants of papers, each with its source; a claim that uses one says so."
    return f"<section class='claim' id='theorem-none'><h3>Without a proof here</h3><p>{lead}</p><dl>{rows}</dl></section>" if rows else ""
