"""Kept figures: the same bytes as drawn ones, drawn again as soon as anything that they show changes, gone when nobody uses them."""

from dataclasses import dataclass, replace

import pytest

from sandbox.fit import Mean, Sample
from sandbox.ledger.claim import Claim, Grid
from sandbox.ledger.result import Case, Result
from sandbox.report import kept
from sandbox.report.figures import claim_figure, overview
from sandbox.verdict import Outcome, judge


@dataclass(frozen=True)
class Setting:
    lr: float


def result(values=(0.4, 0.6), **changes):
    common = dict(statement="s", source="b", known="read", dossier="x", kind="upper", tier="quick", cost_s=1.0, quantity="loss", limit=1.0)
    rest = dict(plan=Grid((Setting(0.1),), (0, 1)), measure=None, estimate=Mean("x"), predicted=Outcome.HOLDS)
    claim = Claim(id="x.y", **(common | rest | changes))
    samples = [Sample(seed, {"x": v}, "c0de", "2026-11-20") for seed, v in enumerate(values)]
    verdict = judge(claim.estimate(samples, claim.quantity), claim.kind, limit=1.0, tau=claim.tau)
    return Result(claim, (Case(Setting(0.1), verdict),), "measured")


@pytest.fixture
def drawn(monkeypatch):
    """How often matplotlib was asked."""
    calls = []
    monkeypatch.setattr(kept, "claim_figure", lambda one: calls.append(one) or claim_figure(one))
    return calls


def test_a_kept_figure_is_the_drawn_one_and_is_drawn_once(tmp_path, drawn):
    figures = [kept.Kept(tmp_path / "figures").figure(result()) for _ in range(3)]
    assert figures == [claim_figure(result())] * 3 and len(drawn) == 1


@pytest.mark.parametrize("change", [{"values": (0.4, 0.61)}, {"quantity": "time"}, {"tau": 0.1}])
def test_what_it_shows_draws_it_again(tmp_path, drawn, change):
    store = kept.Kept(tmp_path)
    assert store.figure(result()) != store.figure(result(**change)) and len(drawn) == 2


def test_another_drawing_code_draws_it_again(tmp_path, drawn, monkeypatch):
    store = kept.Kept(tmp_path)
    store.figure(result())
    monkeypatch.setattr(kept, "_drawn_by", lambda: "later")
    store.figure(result())
    assert len(drawn) == 2


def test_the_picture_of_all_claims_is_kept_until_one_of_them_changes(tmp_path, monkeypatch):
    asked, both = [], (result(), result(values=(0.4, 0.61)))
    monkeypatch.setattr(kept, "overview", lambda results: asked.append(results) or overview(results))
    for _ in range(2):
        assert kept.Kept(tmp_path).overview(both) == overview(both)
    assert len(asked) == 1
    for others in (both[::-1], both[:1], (both[0], result(values=(0.4, 0.62)))):
        kept.Kept(tmp_path).overview(others)
    assert len(asked) == 4


def test_what_a_report_did_not_use_is_forgotten(tmp_path, drawn):
    kept.Kept(tmp_path).figure(result())
    now = kept.Kept(tmp_path)
    now.figure(replace(result(), origin="recorded", seconds=3.0))  # neither is shown
    now.figure(result(values=(0.1, 0.2)))
    now.forget_the_rest()
    assert len(drawn) == 2 and len(list(tmp_path.glob("*.svg"))) == 2
    kept.Kept(tmp_path).forget_the_rest()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path, drawn):
    (tmp_path / "file").write_text("")
    store = kept.Kept(tmp_path / "file" / "figures")
    assert store.figure(result()) == store.figure(result()) and len(drawn) == 2
