"""The theorems on the page: statements as they stand in the proof files, the bounds on them, and the claims that touch them."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest
import sympy

from sandbox.fit import Mean
from sandbox.ledger.claim import Claim
from sandbox.ledger.result import Result
from sandbox.report import theorems as chapter
from sandbox.theory.base import Bound
from sandbox.verdict import Outcome

PROOF = '''"""Theorem. If a < b & t > 0, then

    |g|^2  <=  2 t.

Source:    derived, https://example.org/x
Bounds:    some.bound of sandbox.theory.some
Not here:  the mean value theorem;
           and Fubini.
"""


def step_01_it_is_attained_at_one():
    assert 1 < 2


def step_02_no_smaller_will_do():
    assert 2 < 3
'''
t = sympy.Symbol("t")
PROVED = Bound("some.bound", "steps", 2 * t, (t > 0,), "exact", "derived", "proofs/proof_some.py")
TRUSTED = Bound("other.bound", "steps", t, (), "upper", "conjecture: <nobody> knows")


def measured(setting, seeds):
    return []


def claim(id_, **fields):
    common = dict(statement="s", source="b", known="read", dossier="x", kind="upper", tier="quick", cost_s=1.0, quantity="steps", plan=None)
    rest = dict(measure=measured, estimate=Mean("x"), predicted=Outcome.HOLDS)
    return Claim(id=id_, **(common | rest | (fields or {"limit": 1.0})))


def told(text):
    """What a reader sees, and the ids."""
    parser = HTMLParser()
    seen, ids = [], []
    parser.handle_data = seen.append
    parser.handle_starttag = lambda tag, attrs: ids.extend(value for name, value in attrs if name == "id")
    parser.feed(text)
    return " ".join(" ".join(seen).split()), ids


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "proofs").mkdir()
    (tmp_path / "proofs" / "proof_some.py").write_text(PROOF)
    monkeypatch.setattr(chapter, "bounds", lambda: (PROVED, TRUSTED))
    return tmp_path


def test_a_theorem_is_told_as_its_file_tells_it(folder):
    seen, ids = told(chapter.theorems([], folder))
    assert ids == ["theorem-some", "theorem-none"]
    assert "Theorem. If a < b & t > 0, then |g|^2 <= 2 t." in seen and "the mean value theorem; and Fubini." in seen
    assert "it is attained at one" in seen and "2 steps in proofs/proof_some.py" in seen
    assert PROVED.digest in seen and "conjecture: <nobody> knows" in seen.partition("Without a proof here")[2]


def test_a_theorem_names_the_claims_that_touch_it(folder):
    """By their bound or by name; a theorem whose name begins alike is another one."""
    bounded = claim("x.bounded", bound=PROVED, constants=lambda setting: {"t": 1.0})
    named, free = claim("x.named", limit=1.0, theorems=("other", "some")), claim("x.free", limit=1.0, theorems=("some_more",))
    told_ = chapter.theorems([Result(one, (), "missing") for one in (bounded, named, free)], folder)
    assert "x.bounded" in told_ and "x.named" in told_ and "x.free" not in told_


def test_the_parts_of_a_docstring():
    said, parts = chapter.statement("Theorem. A.\n\nSource:  B\n         C\nNot here: D")
    assert said == "Theorem. A." and parts == {"Source": "B C", "Not here": "D"}


def test_without_proofs_there_is_no_chapter(tmp_path):
    assert chapter.theorems([], tmp_path) == ""


def test_a_bound_whose_proof_is_elsewhere_is_not_called_unproven(folder, monkeypatch):
    monkeypatch.setattr(chapter, "bounds", lambda: (replace(PROVED, proof="proofs/proof_elsewhere.py"), TRUSTED))
    assert "some.bound:" not in told(chapter.theorems([], folder))[0].partition("Without a proof here")[2]
