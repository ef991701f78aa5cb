"""The stages of a comparison against means and standard errors worked out by hand."""

import math
from dataclasses import dataclass

import pytest

from sandbox.fit import PairedDifference, Sample
from sandbox.ledger.result import Case
from sandbox.report.stages import stage_table, stages
from sandbox.verdict import judge, out_of_scope


@dataclass(frozen=True)
class Setting:
    lr: float = 0.1


def case(rows, also=True):
    early = [{"ours_loss_10": 2 * a, "theirs_loss_10": 2 * b} if also else {} for a, b in rows]
    samples = [Sample(i, {"ours": a, "theirs": b, "their_lr": 0.1} | e) for i, ((a, b), e) in enumerate(zip(rows, early, strict=True))]
    return Case(Setting(), judge(PairedDifference("ours", "theirs")(samples, "loss"), "parity", margin=1.0))


def test_means_differences_and_their_errors():
    """Differences 1, 3: mean 2, standard deviation sqrt(2), standard error sqrt(2) / sqrt(2) = 1; twice that at 10 %."""
    early, end = stages(case([(2.0, 1.0), (5.0, 2.0)]))
    assert early == ("loss_10", 7.0, 3.0, 4.0, pytest.approx(2.0, rel=1e-15), 2)
    assert end == ("the end, which is judged", 3.5, 1.5, 2.0, pytest.approx(1.0, rel=1e-15), 2)


def test_a_diverged_side_is_said_and_not_averaged():
    assert stages(case([(2.0, 1.0), (math.inf, 2.0)]))[-1][1:5] == (math.inf,) * 4
    assert "not finite" in stage_table(case([(2.0, 1.0), (math.inf, 2.0)]))


def test_the_table_names_the_shares_of_the_schedule():
    text = stage_table(case([(2.0, 1.0), (5.0, 2.0)]))
    assert text.index("at 10 %") < text.index("the end, which is judged")


def test_other_claims_have_no_stages():
    assert stage_table(case([(2.0, 1.0), (5.0, 2.0)], also=False)) == ""
    assert stage_table(Case(Setting(), out_of_scope("parity", "a reason"))) == ""
