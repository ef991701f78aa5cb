"""What a claim refuses, what it is judged against, and settings as plain data."""

from dataclasses import dataclass, replace

import pytest
import sympy

from sandbox.ledger.claim import Claim, Found, Grid, Task, per_seed, plain, setting_hash
from sandbox.theory.base import Bound, OutOfScope
from sandbox.verdict import Outcome

t = sympy.Symbol("t", positive=True)
BOUND = Bound("b", "q", 2 * t, (t < 2,), "upper", "derived")
PROVED = replace(BOUND, proof="proofs/proof_x.py")


@dataclass(frozen=True)
class Setting:
    x: float = 1.0
    sizes: tuple[int, ...] = (1, 2)


def claim(**changed):
    common = {
        "id": "a.b",
        "statement": "s",
        "source": "s",
        "known": "read",
        "dossier": "d",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 1.0,
        "quantity": "q",
        "plan": Grid((), ()),
        "measure": lambda setting, seeds: [],
        "estimate": None,
        "predicted": Outcome.HOLDS,
    }
    return Claim(**(common | changed))


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"id": "nodot", "limit": 1.0}, "`system.slug` in lower case, got 'nodot'"),
        ({"id": "A.b", "limit": 1.0}, "got 'A.b'"),
        ({"id": "a.b c", "limit": 1.0}, "got 'a.b c'"),
        ({"bound": BOUND, "quantity": "other", "constants": dict}, "measures 'other' but the bound limits 'q'"),
        ({}, "kind 'upper' needs a bound or a limit, and not both"),
        ({"bound": BOUND, "limit": 1.0, "constants": dict}, "and not both"),
        ({"bound": BOUND}, r"needs the constants \('t',\); give constants="),
        ({"limit": 1.0, "margin": 0.1}, "margin belongs to parity claims and only to them, got kind 'upper', margin 0.1"),
        ({"kind": "parity"}, "got kind 'parity', margin None"),
        ({"kind": "parity", "margin": 0.1, "tau": 0.5}, "tau 0.5 would have no effect on a claim of kind 'parity': the margin"),
        ({"kind": "ordering", "tau": 0.5}, "tau 0.5 would have no effect on a claim of kind 'ordering': it is relative to a limit"),
        ({"limit": 1.0, "constants": dict}, "a bound is evaluated at, and this claim has no bound"),
        ({"limit": 1.0, "theorems": ("x", "x")}, r"a theorem is named once, and that of the bound \(None\) not at all, got \('x', 'x'\)"),
        ({"bound": PROVED, "constants": dict, "theorems": ("y", "x")}, r"that of the bound \(x\) not at all, got \('y', 'x'\)"),
    ],
)
def test_what_a_claim_refuses(changed, message):
    with pytest.raises(ValueError, match=message):
        claim(**changed)


def test_a_grid_refuses_copies():
    """Seven copies of a seed would give seven samples without spread, and a verdict of any certainty."""
    with pytest.raises(ValueError, match=r"seeds of a grid must differ, but 2 of 4 stand there before: \[1, 1\]"):
        Grid((Setting(),), (0, 1, 1, 1))
    with pytest.raises(ValueError, match=r"settings of a grid must differ, but 1 of 3 stand there before: \[Setting\(x=1"):
        Grid((Setting(1.0), Setting(2.0), Setting(1)), (0,))
    with pytest.raises(ValueError, match="at least 1 seed, got chunk 0"):
        Grid((Setting(),), (0,), chunk=0)


def test_limits_from_a_number_a_function_and_a_bound():
    assert claim(limit=3).limit_at(Setting()) == 3.0
    assert claim(limit=lambda s: 2 * s.x).limit_at(Setting(4.0)) == 8.0
    assert claim(kind="ordering").limit_at(Setting()) == 0.0
    bounded = claim(bound=BOUND, constants=lambda s: {"t": s.x})
    assert bounded.limit_at(Setting(1.5)) == 3.0
    with pytest.raises(OutOfScope, match="b requires t < 2"):
        bounded.limit_at(Setting(2.0))


def test_a_claim_is_about_the_theorem_of_its_bound_and_those_it_names():
    assert claim(limit=1.0).about == () == claim(bound=BOUND, constants=dict).about
    assert claim(limit=1.0, theorems=("y",)).about == ("y",)
    assert claim(bound=PROVED, constants=dict, theorems=("y", "z")).about == ("x", "y", "z")


def test_found_replaces_what_is_expected_and_not_what_was_predicted():
    changed = claim(limit=1.0, found=Found(Outcome.VIOLATED, "2026-01-01", "why"))
    assert (changed.predicted, changed.expected) == (Outcome.HOLDS, Outcome.VIOLATED)
    assert claim(limit=1.0).expected is Outcome.HOLDS


def test_rows_belong_to_the_subject():
    assert (claim(limit=1.0).rows_of, claim(limit=1.0, subject="s").rows_of) == ("a.b", "s")


def test_a_grid_misses_what_is_not_there_in_chunks():
    one, two = Setting(1.0), Setting(2.0)
    there = {(one, 0), (two, 1)}
    rows = lambda setting, seed: "row" if (setting, seed) in there else None  # noqa: E731
    assert Grid((one, two), (0, 1, 2, 3), chunk=2).missing(rows) == (Task(one, (1, 2)), Task(one, (3,)), Task(two, (0, 2)), Task(two, (3,)))
    assert Grid((one,), (0,)).missing(rows) == () and Grid((one,), (0,)).samples(rows) == ((one, ("row",)),)


def test_per_seed_calls_once_a_seed_in_order():
    assert per_seed(lambda setting, seed: {"y": setting + seed})(10, (3, 1)) == [{"y": 13}, {"y": 11}]


def test_the_hash_of_a_setting_is_that_of_its_content_and_class():
    @dataclass(frozen=True)
    class Other:
        x: float = 1.0
        sizes: tuple[int, ...] = (1, 2)

    assert plain(Setting()) == {"type": "Setting", "x": 1.0, "sizes": [1, 2]}
    different = {setting_hash(s) for s in (Setting(), Setting(1.5), Setting(sizes=(2, 1)), Other())}
    assert len(different) == 4 and setting_hash(Setting()) == setting_hash(Setting(1.0, (1, 2)))
    assert len(setting_hash(Setting())) == 16


def test_the_hash_is_the_same_in_records_as_in_the_ledger(tmp_path):
    import json

    from sandbox.ledger.records import _rows

    row = {"setting": json.loads(json.dumps(plain(Setting(0.1 + 0.2)))), "seed": 3, "values": {}, "seconds": 1.0, "date": ""}
    assert set(_rows("s", {"code": "c", "rows": [row]})) == {(setting_hash(Setting(0.1 + 0.2)), 3)}
