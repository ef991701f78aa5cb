"""What a card says of another model: ranks, rates, the law of initial numbers, widths of bands; and what it does not say."""

import json
from dataclasses import replace

import pytest

from sandbox.handoff.preflight.asked import Ask
from sandbox.handoff.preflight.preflight import Flight, of_card
from sandbox.handoff.preflight.targets import target_of
from sandbox.handoff.reading import read, write
from sandbox.handoff.recipe import MODELS
from sandbox.handoff.rules import as_data
from sandbox.handoff.schema import digest_of, sealed
from sandbox.handoff.showing import show
from sandbox.handoff.target import narrowed
from sandbox.handoff.target_rules import Model, frame_at, predicted_lr, rank_at, rules_at, with_rank
from sandbox.handoff.transfer_runs import Setting, problem_of
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.scale.foresee import ladder, narrow_settings
from sandbox.scale.job import Job
from sandbox.scale.model import Trainee
from sandbox.scale.plan import drawn_as_the_card_says, plan_of
from tests.scale.test_scale_as_swept import ALONE, card_for, folder, job_at, swept

__all__ = ["folder"]  # a fixture


def test_numbers_from_a_folder_and_cards_without_a_parametrisation_stay_as_they_are(folder):
    problem, _ = swept("adamw", 64)
    card, own = read(card_for("adamw", folder))[0], problem.problem.model
    other = Trainee(replace(own, width=128, heads=8, init="normal"))
    assert drawn_as_the_card_says(other, card, own)[0].config.init == "lecun"
    assert drawn_as_the_card_says(replace(other, folder=folder), card, own) == (replace(other, folder=folder), ())
    assert drawn_as_the_card_says(other, card.model_copy(update={"parametrisation": None}), own) == (other, ())
    assert drawn_as_the_card_says(Trainee(replace(own, std=0.5)), card, own)[1] == ()  # lecun knows no std
    assert drawn_as_the_card_says(other, card, replace(own, init="normal", std=0.1))[0].config.std == 0.1


def test_a_job_may_name_another_rank_and_rate_and_its_bands_are_foreseen_with_them(folder):
    """Half the rank and a third of the predicted rate at width 128 are half and a third at every narrower width."""
    problem, _ = swept("galore", 128)
    job = job_at(problem.problem.model, folder)
    plan = plan_of(card_for("galore", folder), replace(job, rank=16, lr=0.01), ALONE)
    framed = [one for one in plan.rules.values() if isinstance(one, GaLore)]
    assert len(framed) == 14 and {one.rank for one in framed} == {16} and plan.settings(replace(job, rank=16))["rank"] == 16
    times = 0.01 / predicted_lr(plan.card, 128)
    for width in (32, 64):
        narrow = Trainee(narrowed(plan.trainee.config, width))
        rules, _ = narrow_settings(plan, replace(job, rank=16, lr=0.01), narrow)
        asked, _ = narrow_settings(plan, job, narrow)
        for name, rule in asked.items():
            assert learning_rate(rules[name]) == pytest.approx(times * learning_rate(rule), rel=1e-12)
            if isinstance(rule, GaLore):
                assert (rules[name].rank, rule.rank) == (width // 8, width // 4)


def test_bands_come_from_the_swept_widths_up_to_half_of_the_targets_or_from_the_targets_own(folder):
    card, own = card_for("adamw", folder), problem_of(Setting("adamw")).problem.model

    def widths(width):
        return ladder(plan_of(card, job_at(replace(own, width=width, heads=width // 16, layers=1), folder), ALONE))

    assert (widths(64), widths(128), widths(192), widths(1024)) == ([64], [32, 64], [32, 64], [32, 64, 128, 256])
    with pytest.raises(ValueError, match="no rule: bands for width 96 need at least two widths up to 48, and the card has"):
        widths(96)


def test_a_rank_that_nobody_said_has_no_rule(folder):
    card, _ = read(card_for("galore", folder))
    part = card.parametrisation.model_copy(update={"rank_exponent": None})
    write(
        sealed({key: value for key, value in card.as_json().items() if key != "digest"} | {"parametrisation": part}), folder / "silent.json"
    )
    job = job_at(swept("galore", 128)[0].problem.model, folder)
    with pytest.raises(ValueError, match="no rule: the card has a frame of rank 16 at width 64 and does not say .* 128 wide; give --rank"):
        plan_of(folder / "silent.json", job, ALONE)
    assert {one.rank for one in plan_of(folder / "silent.json", replace(job, rank=9), ALONE).rules.values() if hasattr(one, "rank")} == {9}
    same = job_at(replace(swept("galore", 64)[0].problem.model, layers=3), folder)
    assert {one.rank for one in plan_of(folder / "silent.json", same, ALONE).rules.values() if hasattr(one, "rank")} == {16}
    own = plan_of(folder / "silent.json", Job(rank=4), ALONE)
    assert {one.rank for one in own.rules.values() if hasattr(one, "rank")} == {4} and not Job(rank=4).is_the_cards_own


def test_preflight_counts_the_rank_that_the_card_says_or_the_one_that_is_named(folder):
    (folder / "wide.json").write_text(
        json.dumps(as_data(replace(problem_of(Setting("galore", width=128)).problem.model, layers=1), MODELS))
    )
    flight = Flight(Ask(target_of(str(folder / "wide.json"), None), None, compute="float32"))
    for given, found in ((None, 32), (5, 5)):
        rules = of_card(card_for("galore", folder), flight.model, flight.ask, given).rules
        assert {rule.rank for rule in rules.values() if hasattr(rule, "rank")} == {found}


def test_a_rank_where_nothing_has_one_is_refused(folder):
    with pytest.raises(ValueError, match="rank 4 was given, but the card's rules have no frame with a rank; leave --rank out"):
        plan_of(card_for("adamw", folder), Job(rank=4), ALONE)
    with pytest.raises(ValueError, match="rank must be >= 1, got 0"):
        Job(rank=0)


def test_a_rank_in_a_nested_frame_follows_and_a_fixed_one_stays(folder):
    card, _ = read(card_for("galore", folder))
    assert [rank_at(card, 16, 64, width) for width in (8, 40, 64, 512)] == [2, 10, 16, 128]
    assert rank_at(card, 1, 64, 8) == 1  # never none at all
    fixed = card.model_copy(update={"parametrisation": card.parametrisation.model_copy(update={"rank_exponent": 0.0})})
    assert rank_at(fixed, 16, 64, 512) == 16
    around = with_rank(WeightDecay(GaLore(Adam(0.1), rank=4), 0.1), lambda rank: rank + 1)
    assert around == WeightDecay(GaLore(Adam(0.1), rank=5), 0.1)
    assert frame_at(card, 256)["rank"] == 64 and frame_at(read(card_for("adamw", folder))[0], 256) is None


def test_a_card_says_how_ranks_follow_and_one_without_the_field_is_still_sealed(folder, tmp_path):
    assert "exponents embedding=0.0, " in show(card_for("galore", folder)) and "; ranks times (width / 64)^1" in show(
        card_for("galore", folder)
    )
    assert "ranks" not in show(card_for("adamw", folder)) and "ranks" not in show(card_for("gwt", folder))
    old = read(card_for("adamw", folder))[0].as_json()
    assert old["parametrisation"].pop("rank_exponent") is None
    old["digest"] = digest_of(old)
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert read(tmp_path / "old.json")[1] == []


def test_an_untied_head_of_a_card_with_a_tied_one_has_the_rate_of_a_head(folder):
    """The card knows the table of tokens alone, whose rate stays; a head's falls like 1 / width."""
    card, _ = read(card_for("adamw", folder))
    part = card.parametrisation
    tied = part.model_copy(update={"exponents": {kind: e for kind, e in part.exponents.items() if kind != "head"}})
    card = card.model_copy(update={"parametrisation": tied})
    config = replace(problem_of(Setting("adamw")).problem.model, tied=True)
    own, other = (Trainee(one) for one in (config, replace(config, width=128, heads=8, tied=False)))
    rules = rules_at(card, *(described(own), dict.fromkeys(own.shapes, AdamW(card.optimizer.rule["lr"])), described(other)), 0.1)
    rates = {role.kind: learning_rate(rules[name]) for name, role in other.roles.items()}
    assert rates["head"] == rates["query"] == pytest.approx(0.05) and rates["embedding"] == rates["norm"] == pytest.approx(0.1)


def described(trainee: Trainee) -> Model:
    return Model(trainee.roles, trainee.shapes, trainee.config.width)


@pytest.mark.parametrize(("steps", "said"), [(101, False), (200, False), (399, False), (100, True), (400, True), (20_000, True)])
def test_a_job_of_another_length_is_told_that_best_rates_fall_with_the_root_of_the_steps(steps, said, folder):
    problem, _ = swept("adamw", 128)
    job = replace(job_at(problem.problem.model, folder), steps=steps)
    notes = plan_of(card_for("adamw", folder), job, ALONE).notes
    assert len(notes) == said
    assert not said or f"over 200 steps and this job makes {steps:,}:" in notes[0] and f"times {(200 / steps) ** 0.5:.2g} here" in notes[0]
    assert plan_of(card_for("adamw", folder), replace(job, lr=0.01), ALONE).notes == ()  # a rate that was named is meant
    assert plan_of(card_for("adamw", folder), Job(steps=steps), ALONE).notes == ()  # the card's own run, whose schedule is not stretched
