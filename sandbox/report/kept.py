"""Figures, drawn once: matplotlib takes 30 ms for a claim and seconds for all of them, and most do not change from one report to the next.

A figure is kept under the digest of all that it shows and of the code that draws it. What a report did not use is thrown away after it.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

from sandbox.ledger.result import Result
from sandbox.report.figures import claim_figure, overview


class Kept:
    """The figures in `folder`; a folder that cannot be written only costs the time to draw them again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.used = folder, set()
        self._digests: dict[int, tuple[Result, str]] = {}

    def figure(self, result: Result) -> bytes:
        """As `claim_figure`."""
        return self._drawn(self._digest(result), partial(claim_figure, result))

    def overview(self, results: Sequence[Result]) -> bytes:
        """As `overview`."""
        digests = "\n".join(self._digest(result) for result in results)
        return self._drawn(hashlib.sha256(digests.encode()).hexdigest()[:24], partial(overview, results))

    def _drawn(self, name: str, draw: Callable[[], bytes]) -> bytes:
        path = self.folder / f"{name}.svg"
        self.used.add(path.name)
        try:
            return path.read_bytes()
        except OSError:
            svg = draw()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            waiting = path.with_suffix(f".{os.getpid()}")
            waiting.write_bytes(svg)
            waiting.replace(path)
        except OSError:
            pass
        return svg

    def _digest(self, result: Result) -> str:
        """Once for each result, which is kept alive here."""
        if id(result) not in self._digests:
            self._digests[id(result)] = (result, _digest(result))
        return self._digests[id(result)][1]

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
    sources = b"".join((Path(__file__).parent / name).read_bytes() for name in ("figures.py", "canvas.py"))
    return f"{version('matplotlib')} {hashlib.sha256(sources).hexdigest()}"
