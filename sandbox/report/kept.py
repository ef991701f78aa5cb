"""Figures of claims, drawn once: matplotlib takes 30 ms for each, and most do not change from one report to the next.

A figure is kept under the digest of all that it shows and of the code that draws it. What a report did not use is thrown away after it.
"""

import hashlib
import os
from functools import cache
from pathlib import Path

from sandbox.ledger.result import Result
from sandbox.report.figures import claim_figure


class Kept:
    """The figures in `folder`; a folder that cannot be written only costs the time to draw them again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.used = folder, set()

    def figure(self, result: Result) -> bytes:
        """As `claim_figure`."""
        path = self.folder / f"{_digest(result)}.svg"
        self.used.add(path.name)
        try:
            return path.read_bytes()
        except OSError:
            svg = claim_figure(result)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            waiting = path.with_suffix(f".{os.getpid()}")
            waiting.write_bytes(svg)
            waiting.replace(path)
        except OSError:
            pass
        return svg

    def forget_the_rest(self) -> None:
        for path in self.folder.glob("*.svg"):
            if path.name not in self.used:
                path.unlink(missing_ok=True)


def _digest(result: Result) -> str:
    claim = result.claim
    shown = (claim.id, claim.kind, claim.quantity, claim.tau, claim.margin, result.cases, _drawn_by())
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:24]


@cache
def _drawn_by() -> str:
    import matplotlib

    sources = b"".join((Path(__file__).parent / name).read_bytes() for name in ("figures.py", "canvas.py"))
    return f"{matplotlib.__version__} {hashlib.sha256(sources).hexdigest()}"
