"""The table keeps every claim and its outcome at any width, and the sentences below say what the table cannot."""

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from sandbox.fit import Fit, PairedDifference, Sample
from sandbox.ledger.claim import Claim, Found, Grid
from sandbox.ledger.result import Case, Result
from sandbox.report.terminal import DROPPED, fitting, listing, proof_table, remarks, show, table, tally
from sandbox.verdict import Outcome, judge, out_of_scope


def claim(**changed):
    common = {
        "id": "system.some-rather-long-claim-name",
        "statement": "A statement that goes on for quite a while, so that it has to be cut somewhere in most terminals",
        "source": "Somebody (2025)",
        "known": "read",
        "dossier": "d",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 12.0,
        "quantity": "q",
        "plan": Grid((), ()),
        "measure": lambda setting, seeds: [],
        "estimate": None,
        "predicted": Outcome.HOLDS,
        "limit": 3.0,
    }
    return Claim(**(common | changed))


def fit(value, se=0.1):
    return Fit("q", value, se, 4, value, value, tuple(Sample(i, {}) for i in range(5)))


def result(value=1.0, se=0.1, cases=1, **changed):
    case = Case("setting", judge(fit(value, se), "upper", limit=3.0))
    return Result(claim(**changed), (case,) * cases, "measured", "2026-01-02", "c0de" * 4, 1.25)


def printed(renderable, width):
    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize("width", [30, 50, 80, 100, 120, 150, 180, 300])
def test_no_width_loses_an_id_or_an_outcome_or_breaks_a_line(width):
    text = printed(table([result(), result(id="b.c"), result(9.0)], width), width)
    joined = "".join(line.split(" ")[0] for line in text.splitlines()[1:])
    assert "system.some-rather-long-claim-name" in joined and "b.c" in joined
    assert text.count("HOLDS") >= 2 and "VIOLATED" in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_columns_go_in_the_order_of_their_worth():
    natural = {"claim": 10, "statement": 50, "measured": 20, "limit": 6, "outcome": 8, "expected": 8, "seeds": 5, "s": 4, "rows from": 9}
    lost = []
    for width in range(140, 20, -1):
        lost += [name for name in natural if name not in fitting(natural, width) and name not in lost]
    assert lost == list(DROPPED)
    assert fitting(natural, 140)["statement"] == 50 and 24 <= fitting(natural, 120)["statement"] < 50


def test_every_number_is_there_at_full_width():
    text = printed(table([result(cases=3)], 250), 250)
    for word in ("1 [0.72236, 1.2776] (1 of 3)", "≤ 3", "HOLDS", "5", "1.2", "2026-01-02"):
        assert word in text  # t(0.975, 4) = 2.77645, so 1 -+ 0.277645


def sentences(*results):
    return [line.plain for one in results for line in remarks(one)]


def test_predicted_and_found_stand_side_by_side():
    found = Found(Outcome.VIOLATED, "2026-01-01", "because")
    assert "HOLDS, found VIOLATED" in printed(table([result(9.0, found=found)], 250), 250)
    assert sentences(result(9.0, found=found)) == []
    (line,) = sentences(result(1.0, found=found))
    assert line.endswith("predicted HOLDS, found VIOLATED, but this run gives HOLDS")


def test_open_verdicts_say_how_many_seeds():
    open_one = result(2.9, 0.1)
    needed = open_one.telling.verdict.more_seeds
    assert f"about {needed} seeds in all would decide (now 5)" in sentences(open_one)[1]
    assert "differ" not in sentences(open_one)[0] and "but this run gives INCONCLUSIVE" in sentences(open_one)[0]


def test_an_error_out_of_scope_and_not_run():
    error = Result(claim(), (), "missing", error="ValueError: no (x.py:3)")
    away = Result(claim(predicted=Outcome.OUT_OF_SCOPE), (Case("s", out_of_scope("upper", "r > m")),), "measured")
    never = Result(claim(tier="full"), (), "missing")
    assert sentences(error) == ["system.some-rather-long-claim-name: could not be judged. ValueError: no (x.py:3)"]
    assert sentences(away) == ["system.some-rather-long-claim-name: r > m"] and sentences(never) == []
    text = printed(table([error, away, never], 250), 250)
    for word in ("ERROR", "OUT OF SCOPE", "not run", "(12)", "tier full"):
        assert word in text
    assert tally([error, away, never]).plain == "3 claims: 1 OUT OF SCOPE, 1 not run, 1 with errors; none differs from the record"


def compared(ours, theirs, **edges):
    rows = [Sample(i, {"ours": a, "theirs": b, **edges}) for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
    estimate = PairedDifference("ours", "theirs")
    verdict = judge(estimate(rows, "q"), "ordering")
    return Result(claim(kind="ordering", limit=None, estimate=estimate, predicted=verdict.outcome), (Case("setting", verdict),), "measured")


def test_a_best_rate_at_an_edge_is_said_here_and_on_the_page(root):
    from sandbox.report.section import claim_section

    tuned = {"ours_at_edge": False, "theirs_at_edge": True}
    said = "the best learning rate of theirs lies at an edge of its extended grid; a better one may lie beyond"
    edge, inside = (compared([1.0, 1.1, 1.0], [2.0, 2.1, 2.3], **flags) for flags in (tuned, dict.fromkeys(tuned, False)))
    assert sentences(edge) == [f"system.some-rather-long-claim-name: {said}"] and sentences(inside) == []
    assert claim_section(edge, root).count(said) == 2 and said not in claim_section(inside, root)  # of the claim, of its case
    assert (edge.as_json()["remark"], inside.as_json()["remark"]) == (said, "")


def test_a_diverged_baseline_is_no_interval_that_straddles():
    (line,) = sentences(compared([1.0, 1.1, 1.0], [2.0, float("inf"), 2.3]))
    assert "the baseline diverged (theirs)" in line and "straddles" not in line


def test_equal_samples_are_no_interval_that_straddles():
    (line,) = sentences(compared([1.0, 1.0, 1.0], [2.0, 2.0, 2.0]))
    assert "straddles" not in line and "about 6 seeds in all would decide (now 3); all 3 samples are equal" in line


def test_the_tally():
    assert tally([result(), result(9.0)]).plain == "2 claims: 1 HOLDS, 1 VIOLATED; 1 differs from the record"
    assert tally([result()]).plain == "1 claim: 1 HOLDS; none differs from the record"


def test_recorded_rows_say_when_and_at_which_code():
    old = Result(claim(), result().cases, "recorded", "2025-12-31", "abcdef0123456789", 3.0)
    assert "recorded 2025-12-31 at abcdef01" in printed(table([old], 250), 250)
    assert "HOLDS, recorded 2025-12-31 at abcdef01" in printed(listing([old], 250), 250)


def test_show_prints_all_three():
    out = io.StringIO()
    show([result(), result(9.0)], Console(file=out, width=200))
    table_, remark, last = out.getvalue().splitlines()[1:3], out.getvalue().splitlines()[3], out.getvalue().splitlines()[-1]
    assert len(table_) == 2 and "but this run gives VIOLATED" in remark and last.startswith("2 claims")


def test_brackets_are_no_markup():
    """rich would read [/x] as a tag; statements and errors are printed as they are."""
    assert "[/red] [bold]" in printed(table([result(statement="[/red] [bold]")], 250), 250)
    assert "[/red]" in sentences(Result(claim(), (), "missing", error="[/red]"))[0]


def test_a_failed_step_stands_below_its_proof():
    proof = SimpleNamespace(id="p", bounds=("b",))
    good = SimpleNamespace(proof=proof, status="proved", steps=3, seconds=0.5, failed={})
    bad = SimpleNamespace(proof=proof, status="failed", steps=3, seconds=0.5, failed={"step_2": "assert [x]"})
    text = printed(proof_table([good, bad]), 120)
    assert "PROVED" in text and "FAILED" in text and "step_2: assert [x]" in text


def test_json_has_the_same_numbers():
    plain = json.loads(json.dumps(result().as_json()))
    assert plain["low"] == pytest.approx(0.72236, abs=1e-5) and plain["limit"] == 3.0 and plain["seconds"] == 1.25
