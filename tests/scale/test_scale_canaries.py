"""What guards a run: a fault in the settings is caught by one of the two canaries, and a good run passes both.

Every fault is put where a wrong program would put it: into the rules that both the small run and the big one then use.
"""

from dataclasses import replace

import pytest

from sandbox.handoff.canary import judged_in_bfloat16
from sandbox.handoff.reading import read
from sandbox.handoff.recipe import Recipe
from sandbox.handoff.schema import CanaryPart, ParametrisationPart, Transferred
from sandbox.handoff.target_rules import with_rate
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import with_fields
from sandbox.optimizers.galore import GaLore
from sandbox.run import Schedule
from sandbox.scale import canaries
from sandbox.scale import train as trainer
from sandbox.scale.job import Job, ranks_of
from sandbox.scale.plan import plan_of
from sandbox.scale.train import CanaryFailed, train
from tests.scale.cards import card_of, tiny

CONSTANT = Transferred(low=-0.1, value=0.0, high=0.1, widths=[8, 12, 16], seeds=3, base_width=16, base_value=0.01)
SAME_RANK = ParametrisationPart(name="standard", base_width=16, exponents={}, rank_exponent=0.0)
BIG = '{"type": "LlamaConfig", "vocab": 20, "width": 32, "layers": 1, "heads": 4, "context": 8}'


def galore(problem):
    framed = GaLore(Adam(0.01), rank=2, update_gap=5, side=1)
    return {n: framed if r.kind in ("query", "ffn_out") else Adam(0.01) for n, r in problem.roles.items()}


@pytest.fixture(scope="module")
def cards(place):
    """method -> card with bands for a Llama of width 32, foreseen from widths 8, 12 and 16."""
    problem = tiny("scale_words.txt", width=16, batch_size=4)
    (place / "big.json").write_text(BIG.replace('"vocab": 20', f'"vocab": {problem.model.vocab}'))
    found = {}
    for name, rules in {"adamw": AdamW(0.01, weight_decay=0.1), "galore": galore(problem)}.items():
        recipe = Recipe(problem, rules, steps=20, schedule=Schedule(20, 2, 0.5), parametrisation=SAME_RANK)
        path = card_of(recipe, place / f"{name}.json", transfer={"lr": CONSTANT})
        train(path, model="big.json", foresee=place / f"{name}-big.json", say=lambda line: None)
        found[name] = place / f"{name}-big.json"
    return found


def test_a_good_run_passes_both(cards):
    for path in cards.values():
        said = []
        done = train(path, model="big.json", say=said.append)
        assert any("are those of the card (rtol 1e-05)" in line for line in said)
        assert "the first ten steps lie in the bands that the card foresees for this model" in said
        assert len(done.losses) == 20


def test_the_card_with_bands_is_sealed_and_says_what_it_foresees(cards):
    card, problems = read(cards["adamw"])
    assert problems == []
    target = card.target
    assert target.model["width"] == 32 and target.loss_10.widths == [8, 12, 16]
    assert set(target.update_ratio) == {"embedding", "query", "key", "value", "attention_out", "norm", "head", *FFN}
    assert target.state_bytes == 2 * 4 * target.parameters  # two moments of four bytes
    assert target.gradient_bytes == 4 * target.parameters


FFN = ("ffn_gate", "ffn_in", "ffn_out")


def faulty(monkeypatch, change):
    """Both runs get rules that a wrong program would make."""

    def plan_with_fault(*arguments):
        plan = plan_of(*arguments)
        wrong = {name: change(rule) for name, rule in plan.recipe.rules.items()}
        return replace(plan, rules={n: change(r) for n, r in plan.rules.items()}, recipe=replace(plan.recipe, rules=wrong))

    monkeypatch.setattr(trainer, "plan_of", plan_with_fault)


def on_frame(change):
    return lambda rule: change(rule) if isinstance(rule, GaLore) else rule


FAULTS = {
    "lr x 4": ("adamw", lambda rule: with_rate(rule, 4.0)),
    "beta1": ("adamw", lambda rule: with_fields(rule, betas=(0.5, 0.999))),
    "beta2": ("adamw", lambda rule: with_fields(rule, betas=(0.9, 0.9))),
    "dropped scale": ("galore", on_frame(lambda rule: replace(rule, scale=1.0))),
    "transposed frame": ("galore", on_frame(lambda rule: replace(rule, side=0))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_code_canary_catches(fault, cards, monkeypatch):
    method, change = FAULTS[fault]
    faulty(monkeypatch, change)
    said = []
    with pytest.raises(CanaryFailed, match="reproduced to rtol 1e-05, but the loss before step"):
        train(cards[method], model="big.json", say=said.append)
    assert not any(line.startswith("step") for line in said)  # before the first step


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("lr x 4", r"at step 1 must lie in .*likeliest: a learning rate (3\.\d+|4|4\.\d+) times the foreseen one"),
        (
            "dropped scale",
            r"RMS\(update\) / RMS\(weight\) of the first (query|ffn_out) at step 1 .*: a frame whose scale is dropped",
        ),
        ("transposed frame", r"states of all 1 ranks together must take [\d,]+ to [\d,]+ bytes after step 1"),
    ],
)
def test_the_target_canary_catches_it_at_step_1_where_the_small_run_does_not_look(fault, words, cards, monkeypatch):
    method, change = FAULTS[fault]
    faulty(monkeypatch, change)
    monkeypatch.setattr(trainer, "code_canary", lambda *_: None)
    said = []
    with pytest.raises(CanaryFailed, match=words):
        train(cards[method], model="big.json", say=said.append)
    assert not any(line.startswith("step 2 ") for line in said)


@pytest.mark.parametrize("method", ["adamw", "galore"])
def test_a_job_in_bfloat16_shows_the_losses_in_both_dtypes(method, cards, monkeypatch):
    """Rounding may not hide what the card's dtype shows: a second beta of 0.9 moves the losses less than bfloat16 does."""
    job, said = Job(precision="bfloat16", model="big.json"), []
    with ranks_of(job) as ranks:
        canaries.code_canary(plan_of(cards[method], job, ranks), job, ranks, said.append)
        assert [line.partition(" are")[0] for line in said] == ["the first 10 losses", "the first 10 losses in bfloat16"]
        faulty(monkeypatch, FAULTS["beta2" if method == "adamw" else "dropped scale"][1])
        with pytest.raises(CanaryFailed, match="rtol 1e-05"):
            canaries.code_canary(trainer.plan_of(cards[method], job, ranks), job, ranks, said.append)


def test_losses_that_rounding_throws_about_are_not_judged_in_bfloat16():
    losses = [3.0, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.3, 2.2, 2.1]
    card = CanaryPart(seed=0, losses=losses, rtol=1e-5, code="")
    calm = [loss * 1.001 for loss in losses]
    assert judged_in_bfloat16(card, calm) == (10, pytest.approx(0.016))
    assert judged_in_bfloat16(card, losses) == (10, 2**-8)
    wild = [*calm[:4], 2.62, *calm[5:]]  # 0.8 % at step 4
    assert judged_in_bfloat16(card, wild) == (4, pytest.approx(0.016))
    assert judged_in_bfloat16(card, [4.0, *losses[1:]])[0] == 1


def test_a_model_without_bands_is_trained_under_the_ten_losses_alone(cards, place):
    (place / "deep.json").write_text((place / "big.json").read_text().replace('"layers": 1', '"layers": 2'))
    said = []
    train(cards["adamw"], model="deep.json", steps=2, say=said.append)
    assert any(line.startswith("the card has no bands for this model") for line in said)


def test_a_card_without_a_transfer_rule_says_no_rule(place):
    problem = tiny("scale_words.txt", width=16, batch_size=4)
    path = card_of(Recipe(problem, AdamW(0.01), steps=20), place / "plain.json")
    with pytest.raises(ValueError, match="no rule: the card does not say how the learning rate of AdamW follows the width"):
        train(path, model="big.json", say=lambda line: None)
    assert len(train(path, model="big.json", lr=0.01, steps=2, say=lambda line: None).losses) == 2
