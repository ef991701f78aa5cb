"""Claims about the parts of a step and about who shares a rate, on rows of made-up laws."""

from sandbox.fit import Sample
from sandbox.ledger import judging
from sandbox.verdict import Outcome


def outcome(claim, **rows: tuple[float, ...]) -> Outcome:
    samples = tuple(Sample(seed, {name: values[seed] for name, values in rows.items()}) for seed in range(len(next(iter(rows.values())))))
    return judging.verdict_of(claim, claim.plan.settings[0], samples).outcome


def test_claims_judge_the_part_that_they_name(claim):
    """Rows of a made-up law, spread by a hundredth or two over the seeds, so that differences are spread, too."""
    around = lambda x, by=0.01: (x - by, x, x + by)  # noqa: E731
    grows = claim["adamw.step-alignment"]
    assert outcome(grows, alignment_first=around(0.6), alignment_peak=around(0.9, 0.02)) is Outcome.HOLDS
    assert outcome(grows, alignment_first=around(0.9), alignment_peak=around(0.6, 0.02)) is Outcome.VIOLATED
    reads = claim["adalomo.step-readout"]
    assert outcome(reads, hidden_later=around(-0.3), model_later=around(0.0, 0.02)) is Outcome.HOLDS
    assert outcome(reads, hidden_later=around(0.0), model_later=around(-0.3, 0.02)) is Outcome.VIOLATED
    assert outcome(claim["galore.step-model"], model_later=around(0.0)) is Outcome.HOLDS
    assert outcome(claim["galore.step-model"], model_later=around(0.5)) is Outcome.VIOLATED
    answers = claim["adamw.step-response"]
    assert outcome(answers, model_later=around(-0.4)) is Outcome.HOLDS
    assert outcome(answers, model_later=around(0.0)) is Outcome.VIOLATED


def test_claims_about_pulls_hold_at_the_predicted_ones_and_fail_away_from_them(claim):
    """Four seeds, spread by a few hundredths."""
    around = lambda x: tuple(x + 0.02 * (seed - 1.5) for seed in range(4))  # noqa: E731
    hidden, others = claim["adamw.hidden-pull"], claim["galore.others-pull"]
    assert outcome(hidden, pull_hidden=around(0.0), pull_others=around(0.9)) is Outcome.HOLDS
    assert outcome(hidden, pull_hidden=around(0.4)) is outcome(hidden, pull_hidden=around(-0.4)) is Outcome.VIOLATED
    assert outcome(others, pull_others=around(-0.2), pull_hidden=around(0.9)) is Outcome.HOLDS
    assert outcome(others, pull_others=around(0.2)) is Outcome.VIOLATED
