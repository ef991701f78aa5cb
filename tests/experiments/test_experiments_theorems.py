"""Every theorem is touched by experiments: one where it is met with equality or holds, one where an assumption is broken.

A claim touches a theorem where its bound names the proof, or where the `Proof:` line of its file does.
"""

from pathlib import Path

import pytest

from sandbox.ledger.collect import collect
from sandbox.ledger.result import Result
from sandbox.report.theorems import touching

ROOT = Path(__file__).resolve().parents[2]
MEETS, BREAKS = {"ATTAINED", "HOLDS"}, {"VIOLATED", "OUT_OF_SCOPE"}
NOTHING_TO_BREAK: dict[str, str] = {}  # theorem: why no assumption can fail in a run


@pytest.fixture(scope="module")
def results():
    return [Result(claim, (), "missing") for experiment in collect(ROOT) for claim in experiment.claims]


@pytest.mark.parametrize("path", sorted((ROOT / "proofs").glob("proof_*.py")), ids=lambda path: path.stem)
def test_a_theorem_is_met_and_an_assumption_of_it_is_broken(path, results):
    predicted = {result.claim.predicted.name for result in touching(path, results)}
    assert predicted & MEETS, f"no claim meets {path.stem}"
    assert predicted & BREAKS or path.stem in NOTHING_TO_BREAK, f"no claim breaks an assumption of {path.stem}"


def test_the_reasons_are_about_theorems_that_need_them(results):
    for stem in NOTHING_TO_BREAK:
        predicted = {result.claim.predicted.name for result in touching(ROOT / "proofs" / f"{stem}.py", results)}
        assert not predicted & BREAKS, f"{stem} has a claim that breaks an assumption; take it out of the table"
