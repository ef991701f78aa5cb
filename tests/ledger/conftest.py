"""A root with an experiment that needs no torch: every call of `measure` leaves a line in calls.txt, so work can be counted."""

import textwrap
from pathlib import Path

import pytest

EXPERIMENT = '''
"""Question: does the ledger count right?"""

import os, time
from dataclasses import dataclass
from pathlib import Path

from sandbox.fit import Mean, Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.verdict import Outcome

CALLS = Path(__file__).parents[1] / "calls.txt"


@dataclass(frozen=True)
class Setting:
    x: float
    sizes: tuple[int, ...] = (1, 2)


def log(setting, seed):
    with CALLS.open("a") as file:
        file.write(f"{setting.x} {seed}\\n")


def one(setting, seed):
    assert setting.sizes == (1, 2)
    log(setting, seed)
    time.sleep(100 if os.environ.get("HANG") == f"{setting.x} {seed}" else float(os.environ.get("NAP", "0")))
    return {"y": setting.x + 0.001 * (seed % 3), "pid": os.getpid()}


def claim(**changed):
    common = dict(
        id="toy.upper", statement="y stays below 10", source="this test", known="derived", dossier="toy C1", kind="upper",
        tier="quick", cost_s=1.0, quantity="y", plan=Grid((Setting(1.0), Setting(2.0)), (0, 1, 2)), measure=per_seed(one),
        estimate=Mean("y"), predicted=Outcome.HOLDS, limit=10.0, subject="toy",
    )
    return Claim(**(common | changed))


CLAIMS = (
    claim(),
    claim(id="toy.shared", statement="y is at most 5", limit=5.0),
    claim(id="toy.count", kind="equality", plan=Grid((Setting(3.0),), (0,)), estimate=Range("y"), limit=3.0),
    claim(id="toy.slow", tier="full", plan=Grid((Setting(4.0),), (0, 1)), cost_s=77.0),
)
'''


class Folder:
    """A root for the ledger, and what has been measured in it."""

    def __init__(self, path: Path):
        self.path = path
        (path / "pyproject.toml").write_text("")
        (path / "experiments").mkdir()
        self.write("toy", EXPERIMENT)

    def write(self, stem: str, text: str) -> Path:
        file = self.path / "experiments" / f"{stem}.py"
        file.write_text(textwrap.dedent(text))
        return file

    def edit(self, old: str, new: str) -> None:
        file = self.path / "experiments" / "toy.py"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    @property
    def calls(self) -> list[str]:
        file = self.path / "calls.txt"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def folder(tmp_path) -> Folder:
    """Its experiments are forgotten afterwards, because modules are cached by name."""
    import sys

    before = set(sys.modules)
    yield Folder(tmp_path)
    for name in {name for name in sys.modules if name.startswith("experiments_")} - before:
        del sys.modules[name]
