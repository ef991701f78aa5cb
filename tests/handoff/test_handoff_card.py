"""Cards: sealed, refused where the evidence is weak, verified by ten real steps, and made once.

The ten losses are checked against `torch.optim.AdamW` on the same weights and batches (another implementation), the
digest against hashlib on the file's own text.
"""

import hashlib
import json
import sys
import textwrap
import time
from dataclasses import dataclass, replace

import pytest
import torch

from sandbox.fit import PairedDifference, Sample
from sandbox.handoff import card as cards
from sandbox.handoff.canary import canary, difference, first_losses, forecast
from sandbox.handoff.card import CARRIED, UNVALIDATED, CardSpec, create, show, verify, write_cards
from sandbox.handoff.reading import read, write
from sandbox.handoff.recipe import Recipe, parts_of, recipe_of
from sandbox.handoff.schema import Card, Transferred, digest_of
from sandbox.ledger.claim import Claim, Grid
from sandbox.ledger.result import Case, Result
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.run import Schedule
from sandbox.verdict import Outcome, judge, out_of_scope

WORDS = "the quick brown fox jumps over the lazy dog and the small grey cat looks on\n"


@dataclass(frozen=True)
class Setting:
    method: str = "adam"


@pytest.fixture(autouse=True)
def above_the_text(tmp_path_factory, monkeypatch):
    """A card that was read may take its text from the working folder, the folder of the card, and those that are named."""
    monkeypatch.chdir(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("".join(WORDS[i % 7 :] for i in range(200)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def recipe(text):
    model = LlamaConfig(vocab=30, width=8, layers=1, heads=2, context=8)
    problem = fitted(LanguageProblem(model, text=str(text), tokenizer=Characters(), batch_size=2))
    return Recipe(problem, AdamW(0.02, weight_decay=0.1), steps=50, schedule=Schedule(50, 5, 0.1))


def result(outcome=Outcome.HOLDS, id_="adam.parity"):
    claim = Claim(
        id=id_,
        statement="Adam is as good as AdamW",
        source="s",
        known="read",
        dossier="d",
        kind="parity",
        tier="full",
        cost_s=1.0,
        quantity="difference of held-out losses (nats per token)",
        plan=Grid((Setting(),), (0, 1, 2)),
        measure=None,
        estimate=PairedDifference("ours", "theirs"),
        predicted=Outcome.HOLDS,
        margin=0.02,
    )
    middle = {Outcome.HOLDS: 0.0, Outcome.VIOLATED: 0.5, Outcome.INCONCLUSIVE: 0.02}.get(outcome)
    if middle is None:
        return Result(claim, (Case(Setting(), out_of_scope("parity", "no text")),), "recorded")
    samples = [Sample(s, {"ours": 2 + middle + d, "theirs": 2.0, "their_lr": 0.3}) for s, d in enumerate((-0.001, 0, 0.001))]
    verdict = judge(claim.estimate(samples, claim.quantity), "parity", margin=0.02)
    assert verdict.outcome is outcome
    return Result(claim, (Case(Setting(), verdict),), "recorded", "2026-11-20", "c0de", 10.0)


@pytest.fixture(scope="module")
def card(recipe):
    return create(recipe, [result()])


@pytest.fixture
def path(card, tmp_path):
    write(card, tmp_path / "adam.json")
    return tmp_path / "adam.json"


def resealed(path, change):
    """The card's file after `change(data)`, with a digest that fits again."""
    data = json.loads(path.read_text())
    change(data)
    data["digest"] = digest_of(data)
    path.write_text(json.dumps(data))
    return path


def test_a_card_comes_back_from_its_file_as_it_was(card, path, recipe):
    again, problems = read(path)
    assert again == card and problems == []
    back = recipe_of(again)
    assert back.problem == recipe.problem and back.schedule == recipe.schedule and back.steps == 50
    assert set(back.rules.values()) == {recipe.rules} and tuple(back.rules) == tuple(recipe.problem.shapes)


def test_another_family_tokenizer_and_frame_come_back_too(text):
    problem = fitted(
        LanguageProblem(
            GPTConfig(256, width=8, layers=1, heads=2, context=8),
            text=str(text),
            dtype="float64",
            tokenizer=Characters(),
        )
    )
    rules = {n: GaLore(Adam(0.1), rank=2) if r.kind in ("query", "ffn_in") else Adam(0.1) for n, r in problem.roles.items()}
    made = Recipe(problem, rules, steps=3, shell="fused")
    assert recipe_of(parts_of(made)) == made


def test_the_digest_is_that_of_the_files_own_text(path):
    data = json.loads(path.read_text())
    said = data.pop("digest")
    assert said == hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def leaves(data, at=()):
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from leaves(value, (*at, key))
    elif isinstance(data, list) and data:
        yield from leaves(data[0], (*at, 0))
    else:
        yield at, data


def test_a_change_of_any_field_is_seen(card, path):
    """Every leaf of the card in turn, whatever its type; many are refused by the format already, which is as good."""
    whole, tried = card.as_json(), 0
    for at, value in list(leaves(whole)):
        if at == ("digest",):
            continue
        changed = json.loads(json.dumps(whole))
        target = changed
        for step in at[:-1]:
            target = target[step]
        target[at[-1]] = value + 1 if isinstance(value, int | float) and not isinstance(value, bool) else "changed"
        assert digest_of(changed) != whole["digest"], at
        path.write_text(json.dumps(changed))
        problems = verify(path)
        assert problems and ("it was changed" in problems[0] or "is not a card" in problems[0]), at
        tried += 1
    assert tried > 40


def test_a_good_card_has_no_problems_in_another_working_folder(path, text, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert verify(path, text.parent) == []


@pytest.mark.parametrize("outcome", [Outcome.VIOLATED, Outcome.INCONCLUSIVE, Outcome.OUT_OF_SCOPE])
def test_weak_evidence_is_refused_when_made_and_when_verified(outcome, recipe, path):
    weak = result(outcome, "adam.weak")
    with pytest.raises(ValueError, match=f"adam.weak is {outcome.name}: {outcome.value}"):
        create(recipe, [result(), weak, result(Outcome.VIOLATED, "adam.later")])
    resealed(path, lambda data: data["evidence"][0].update(outcome=outcome.name))
    assert verify(path) == [f"a card needs verdicts that hold; adam.parity is {outcome.name}: {outcome.value}"]


def test_no_evidence_is_refused_when_made_and_when_verified(recipe, path):
    with pytest.raises(ValueError, match="at least one verdict behind it, got none"):
        create(recipe, [])
    assert "this one has none" in verify(resealed(path, lambda data: data.update(evidence=[])))[0]


def test_evidence_quotes_the_verdict(card):
    quoted, verdict = card.evidence[0], result().cases[0].verdict
    assert (quoted.claim, quoted.outcome, quoted.seeds, quoted.margin) == ("adam.parity", "HOLDS", 3, 0.02)
    assert (quoted.low, quoted.value, quoted.high) == (verdict.fit.low, verdict.fit.value, verdict.fit.high)
    assert (quoted.code, quoted.date, quoted.bound_digest) == ("c0de", "2026-11-20", None)


def test_the_ten_losses_are_those_of_torchs_adamw(recipe):
    """torch.optim.AdamW over the same weights and batches, with the schedule set by hand."""
    problem, params = recipe.problem, recipe.problem.start(0)
    leaves = [w.requires_grad_() for w in params.values()]
    optimizer = torch.optim.AdamW(leaves, lr=0.02, weight_decay=0.1)
    expected = []
    for k in range(10):
        optimizer.param_groups[0]["lr"] = 0.02 * recipe.schedule(k)
        optimizer.zero_grad()
        loss = problem.loss(params, problem.batch(0, k))
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert first_losses(recipe, 0) == pytest.approx(expected, rel=1e-6)  # float32 has 6e-8 per operation; ten steps apart


def test_ten_losses_repeat_and_depend_on_the_seed(recipe):
    assert first_losses(recipe, 3) == first_losses(recipe, 3)
    assert first_losses(recipe, 3) != first_losses(recipe, 4)


def test_a_canary_takes_less_than_five_seconds(recipe):
    begin = time.perf_counter()
    canary(recipe)
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["optimizer"]["rule"].update(lr=0.021),
        lambda d: d["optimizer"]["rule"].update(betas=[0.8, 0.999]),
        lambda d: d["schedule"].update(warmup=6),
        lambda d: d["model"].update(std=0.021),
        lambda d: d["data"].update(batch=3),
        lambda d: d["canary"].update(seed=1),
        lambda d: d["canary"]["losses"].__setitem__(9, d["canary"]["losses"][9] * 1.0001),
    ],
    ids=["lr", "betas", "warm-up", "weights", "batch", "seed", "last loss"],
)
def test_a_run_that_is_not_the_cards_is_caught_even_with_a_fitting_digest(change, path):
    problems = verify(resealed(path, change))
    assert len(problems) == 1 and "the canary must be reproduced to rtol 1e-05, but the loss before step" in problems[0]


def test_a_difference_names_the_first_step_that_leaves_the_band(recipe):
    good = canary(recipe)
    assert difference(good, [x * (1 + 0.9e-5) for x in good.losses]) is None
    assert difference(good, good.losses[:4]) is None
    off = [*good.losses[:4], good.losses[4] * (1 - 1.1e-5), *good.losses[5:]]
    assert "the loss before step 4 is" in difference(good, off)
    assert "step 2 is nan" in difference(good, [*good.losses[:2], float("nan")])


def test_another_text_is_caught(path, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(text.read_text().replace("fox", "cow"))
    problems = verify(resealed(path, lambda d: d["data"].update(text=str(other))))
    assert len(problems) == 1 and "it is another text" in problems[0]


def test_a_text_is_found_beside_the_card_and_below_the_root(path, text, tmp_path, monkeypatch):
    resealed(path, lambda d: d["data"].update(text="words.txt"))
    monkeypatch.chdir(tmp_path)
    assert "'words.txt' does not exist" in verify(path)[0]
    assert verify(path, text.parent) == []
    (tmp_path / "words.txt").write_bytes(text.read_bytes())
    assert verify(path) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "it is not JSON"),
        ("[1]", "it holds a list, not an object"),
        ("{}", "schema: field required; optimizer: field required; .*; and [0-9]+ more"),
        (b"\xff\xfe\x00", "it is not JSON"),
    ],
)
def test_what_is_no_card_is_said_in_one_sentence(content, sentence, tmp_path):
    path = tmp_path / "bad.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=sentence):
        read(path)
    assert len(verify(path)) == 1


def test_a_missing_card_is_said_with_its_path(tmp_path):
    assert verify(tmp_path / "no.json") == [
        f"the card {str(tmp_path / 'no.json')!r} does not exist; `sandbox check` writes cards to results/cards/"
    ]


def test_unknown_fields_and_numbers_that_are_not_finite_are_refused(card):
    data = card.as_json()
    for change in (
        {"run": "rm"},
        {"canary": data["canary"] | {"x": 1}},
        {"canary": data["canary"] | {"losses": [float("inf")] * 10}},
    ):
        with pytest.raises(ValueError, match="Extra inputs are not permitted|finite number"):
            Card.model_validate(data | change)


def test_values_that_no_class_takes_are_sentences_of_verify(path):
    wrong = resealed(path, lambda data: data["optimizer"]["rule"].update(type="os.system"))
    assert "a card's type must be one of" in verify(wrong)[0]


def test_two_lengths_of_context_are_refused(path):
    wrong = resealed(path, lambda data: data["data"].update(context=9))
    assert "context 9 but its model 8" in verify(wrong)[0]


def test_only_language_problems_fit_on_a_card(recipe):
    with pytest.raises(ValueError, match="a card is for a LanguageProblem, got object"):
        parts_of(replace(recipe, problem=object()))


def test_the_forecast_counts_bytes(recipe):
    """Weights and AdamW's two moments by hand, 4 bytes an entry; activations hold the log-softmax at least."""
    entries = sum(w.numel() for w in recipe.problem.start(0).values())
    found = forecast(recipe)
    assert (found["weights"], found["gradients"], found["state"]) == (4 * entries, 4 * entries, 8 * entries)
    B, T, V = 2, 8, recipe.problem.model.vocab
    assert 4 * B * T * V < found["activations"] < 400 * 4 * B * T * V
    fused = forecast(replace(recipe, shell="fused"))
    assert fused["gradients"] == 4 * max(w.numel() for w in recipe.problem.start(0).values())


def test_the_forecast_counts_a_tied_table_three_times(text):
    """Autograd holds its first part, makes the second and adds them in a third tensor (sandbox.memory.forecasts)."""
    model = GPTConfig(vocab=30, width=8, layers=1, heads=2, context=8)
    problem = fitted(LanguageProblem(model, text=str(text), tokenizer=Characters()))
    found = forecast(Recipe(problem, Adam(0.1), steps=1))
    assert found["gradients"] - found["weights"] == 2 * 4 * problem.model.vocab * 8


def test_show_says_what_a_reader_needs(card, path, recipe):
    carried = create(
        recipe,
        [result()],
        transfer={"lr": Transferred(value=0.02, low=0.01, high=0.04, widths=[8, 16], seeds=3, base_width=8, base_value=0.1)},
        known=card,
    )
    write(carried, path)
    said = show(path)
    for part in (
        "AdamW(lr=0.02",
        "stepwise",
        "warmup=5",
        "width=8",
        "2 x 8 tokens a step, 50 steps",
        "adam.parity: HOLDS",
        "rtol 1e-05",
        "lr 0.1 at width 8, times (width / 8)^0.02 [0.01, 0.04], widths [8, 16], 3 seeds",
        CARRIED.format(8, 16),
        carried.digest,
        *UNVALIDATED,
    ):
        assert part in said, part
    assert "PROBLEM" not in said
    path.write_text(path.read_text().replace('"lr": 0.02', '"lr": 0.03'))
    assert "PROBLEM      the digest" in show(path)


EXPERIMENT = """
from pathlib import Path
from sandbox.handoff.card import CardSpec
from sandbox.handoff.recipe import Recipe
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adamw import AdamW

CLAIMS = ()

def recipe(setting, values):
    model = LlamaConfig(vocab=30, width=8, layers=1, heads=2, context=8)
    problem = fitted(LanguageProblem(model, text={text!r}, tokenizer=Characters(), batch_size=2))
    return Recipe(problem, AdamW(values["their_lr"] if setting.method == "adam" else 0.0), steps=20)

CARDS = (CardSpec("baseline", ("adam.parity",), recipe),)
"""


def without_imports(source):
    """The same experiment as plain data: nothing of sandbox.handoff, so its code version cannot depend on it."""
    kept = [line for line in source.splitlines() if "sandbox.handoff" not in line]
    return "\n".join(kept).replace("CardSpec(", "(").replace("Recipe(problem,", "dict(problem=problem, rules=")


@pytest.fixture
def project(tmp_path, text):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "adam.py").write_text(textwrap.dedent(EXPERIMENT).replace("{text!r}", repr(str(text))))
    (tmp_path / "experiments" / "other.py").write_text("raise RuntimeError('a file without cards is not loaded')")
    return tmp_path


def test_cards_are_written_for_claims_that_hold(project):
    (path,) = write_cards([result()], project / "results", project)
    assert path == project / "results" / "cards" / "baseline.json"
    assert read(path)[0].optimizer.rule["lr"] == 0.3  # their_lr of the sample
    assert verify(path) == []


def test_cards_can_be_asked_for_in_plain_data(project):
    (written,) = write_cards([result()], project / "results", project)
    expected = written.read_text()
    file = project / "experiments" / "adam.py"
    file.write_text(without_imports(file.read_text()))
    del sys.modules["experiments_adam"]
    written.unlink()
    write_cards([result()], project / "results", project)
    assert "handoff" not in file.read_text()
    assert written.read_text() == expected


def test_a_second_call_computes_nothing_and_writes_nothing(project, monkeypatch):
    (path,) = write_cards([result()], project / "results", project)
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(cards, "canary", lambda recipe: pytest.fail("the stored canary was good"))
    assert write_cards([result()], project / "results", project) == (path,)
    assert path.stat().st_mtime_ns == before


def test_a_published_card_spares_the_first_run_too(project, monkeypatch):
    (path,) = write_cards([result()], project / "results", project)
    published = project / "experiments" / "records" / "cards" / "baseline.json"
    published.parent.mkdir(parents=True)
    path.rename(published)
    monkeypatch.setattr(cards, "canary", lambda recipe: pytest.fail("the published canary was good"))
    assert write_cards([result()], project / "results", project) == (path,)
    assert path.read_text() == published.read_text()


def test_other_code_or_a_broken_seal_means_a_new_canary(project, monkeypatch):
    (path,) = write_cards([result()], project / "results", project)
    good = path.read_text()
    path.write_text(good.replace('"seed": 0', '"seed": 5'))
    write_cards([result()], project / "results", project)
    assert path.read_text() == good
    monkeypatch.setattr(cards, "canary_code", lambda: "other")
    ran = []
    monkeypatch.setattr(cards, "canary", lambda recipe: ran.append(1) or canary(recipe))
    write_cards([result()], project / "results", project)
    assert ran == [1]


@pytest.mark.parametrize("outcome", [Outcome.VIOLATED, Outcome.INCONCLUSIVE, Outcome.OUT_OF_SCOPE])
def test_a_card_goes_when_its_claim_no_longer_holds(project, outcome):
    (path,) = write_cards([result()], project / "results", project)
    assert write_cards([result(outcome)], project / "results", project) == ()
    assert not path.exists()


@pytest.mark.parametrize(
    "now", [Result(result().claim, (), "missing"), replace(result(), error="boom"), Result(result().claim, (), "missing", error="boom")]
)
def test_a_card_goes_when_its_claim_has_no_verdict_any_more(project, now):
    (path,) = write_cards([result()], project / "results", project)
    assert write_cards([now], project / "results", project) == ()
    assert not path.exists()


def reload(project, change):
    file = project / "experiments" / "adam.py"
    file.write_text(change(file.read_text()))
    del sys.modules["experiments_adam"]


def test_a_card_that_nobody_asks_for_any_more_goes(project):
    (path,) = write_cards([result()], project / "results", project)
    reload(project, lambda text: text.replace('CardSpec("baseline"', 'CardSpec("renamed"'))
    (renamed,) = write_cards([result()], project / "results", project)
    assert renamed.name == "renamed.json" and not path.exists()
    reload(project, lambda text: text[: text.index("CARDS = ")] + "CARDS = ()\n")
    assert write_cards([result()], project / "results", project) == () and not renamed.exists()


def test_a_readers_own_files_among_the_cards_stay(project):
    """A copy under another name, and a card of ours that the reader has changed since."""
    (path,) = write_cards([result()], project / "results", project)
    own = path.with_name("own.json")
    own.write_bytes(path.read_bytes())
    path.write_text(path.read_text() + "\n")
    reload(project, lambda text: text.replace('CardSpec("baseline"', 'CardSpec("renamed"'))
    write_cards([result()], project / "results", project)
    assert own.exists() and path.exists()


@pytest.mark.parametrize("content", ["", "[]", "3", "\xff"])
def test_without_a_list_that_can_be_read_nothing_is_removed(project, content):
    (path,) = write_cards([result()], project / "results", project)
    (path.parent / ".written").write_bytes(content.encode("latin-1"))
    reload(project, lambda text: text.replace('CardSpec("baseline"', 'CardSpec("renamed"'))
    write_cards([result()], project / "results", project)
    assert path.exists()


def test_a_card_on_a_claim_that_nothing_has_is_refused(project):
    reload_free = project / "experiments" / "adam.py"
    reload_free.write_text(reload_free.read_text().replace('("adam.parity",)', '("adam.parity", "adam.partiy")'))
    with pytest.raises(
        ValueError, match="the card 'baseline' rests on 'adam.partiy', and no claim has that id; the nearest are: adam.parity"
    ):
        write_cards([result()], project / "results", project)
    assert not (project / "results").exists()


def test_two_cards_of_one_name_and_a_card_without_claims_are_refused(project):
    (project / "experiments" / "twice.py").write_text("from experiments_adam import CARDS\n")
    with pytest.raises(ValueError, match=r"\['baseline'\] stand more than once"):
        write_cards([result()], project / "results", project)
    with pytest.raises(ValueError, match="'x' needs at least one claim"):
        CardSpec("x", (), lambda setting, values: None)
