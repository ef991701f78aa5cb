"""Every theorem is touched by experiments: one where it is met with equality or holds, one where an assumption is broken.

A claim touches a theorem where its bound names the proof, or where the claim itself names the theorem; the `Proof:` line of a file
is for readers. What counts is what a run gives: `found` where it stands, else the prediction.
"""

from pathlib import Path

import pytest

from sandbox.ledger.collect import collect
from sandbox.ledger.result import Result
from sandbox.report.theorems import touching

ROOT = Path(__file__).resolve().parents[2]
PROOFS = sorted((ROOT / "proofs").glob("proof_*.py"))
MEETS, BREAKS = {"ATTAINED", "HOLDS"}, {"VIOLATED", "OUT_OF_SCOPE"}
NOTHING_TO_BREAK: dict[str, str] = {}  # theorem: why no assumption can fail in a run


@pytest.fixture(scope="module")
def results():
    return [Result(claim, (), "missing") for experiment in collect(ROOT) for claim in experiment.claims]


def given(path: Path, results: list[Result]) -> set[str]:
    return {result.claim.expected.name for result in touching(path, results)}


@pytest.mark.parametrize("path", PROOFS, ids=lambda path: path.stem)
def test_a_theorem_is_met_and_an_assumption_of_it_is_broken(path, results):
    outcomes = given(path, results)
    assert outcomes & MEETS, f"no claim meets {path.stem}"
    assert outcomes & BREAKS or path.stem in NOTHING_TO_BREAK, f"no claim breaks an assumption of {path.stem}"


def test_a_claim_names_theorems_that_are_there(results):
    there = {path.stem.removeprefix("proof_") for path in PROOFS}
    missing = {result.claim.id: named for result in results if (named := set(result.claim.theorems) - there)}
    assert not missing


def test_the_reasons_are_about_theorems_that_need_them(results):
    for stem in NOTHING_TO_BREAK:
        broken = given(ROOT / "proofs" / f"{stem}.py", results) & BREAKS
        assert not broken, f"{stem} has a claim that breaks an assumption; take it out of the table"
