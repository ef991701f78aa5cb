"""`sandbox card`: cards from names of claims that a small project has really run, and every command's words and exit codes."""

import json
import shutil
import sys

import pytest
from typer.testing import CliRunner

from sandbox.cli import app, main
from sandbox.handoff.card import CardSpec
from sandbox.handoff.creating import chosen, create_named
from sandbox.handoff.evidence import confessed
from sandbox.handoff.reading import read
from sandbox.handoff.schema import SCHEMA
from sandbox.handoff.verify import verify
from sandbox.ledger.bench import open_bench, order
from tests.handoff.made import WORDS

EXPERIMENT = """
from dataclasses import dataclass
from sandbox.fit import PairedDifference
from sandbox.ledger.claim import Claim, Grid
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adamw import AdamW
from sandbox.verdict import Outcome

@dataclass(frozen=True)
class Setting:
    gap: float

def measure(setting, seeds):
    return [{"ours": 2 + setting.gap + 0.001 * (seed - 1), "theirs": 2.0, "their_lr": 0.3} for seed in seeds]

def claim(name, gap, **changes):
    return Claim(
        id=name, statement="as good", source="s", known="read", dossier="d", kind="parity", tier="quick", cost_s=1.0,
        quantity="difference (nats)", plan=Grid((Setting(gap),), (0, 1, 2)), measure=measure,
        estimate=PairedDifference("ours", "theirs"), predicted=Outcome.HOLDS, margin=0.02, **changes,
    )

CLAIMS = (
    claim("a.good", 0.0), claim("a.bad", 0.5), claim("a.open", 0.02), claim("a.outside", 0.0, scope=lambda setting: "no text"),
    claim("a.unrun", 0.0), claim("a.spare", 0.0),
)

def recipe(setting, values):
    model = LlamaConfig(vocab=30, width=8, layers=1, heads=2, context=8)
    problem = fitted(LanguageProblem(model, text={text!r}, tokenizer=Characters(), batch_size=2))
    return dict(problem=problem, rules=AdamW(values.get("their_lr", 0.1)), steps=20)

def carried(setting, values):
    lr = dict(value=0.0, low=-0.1, high=0.1, widths=[8, 16], seeds=3, base_width=8, base_value=0.3)
    mu = dict(name="mu", base_width=8, exponents={"query": -1.0})
    return recipe(setting, values) | dict(transfer={"lr": lr}, parametrisation=mu)

CARDS = (
    ("carried", ("a.spare",), carried),
    ("good", ("a.good",), recipe), ("mixed", ("a.good", "a.bad"), recipe), ("open", ("a.open",), recipe),
    ("outside", ("a.good", "a.outside"), recipe), ("half", ("a.good", "a.unrun"), recipe), ("unrun", ("a.unrun",), recipe),
)
"""
RUN = ["a.good", "a.bad", "a.open", "a.outside", "a.spare"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A root whose claims were run, but for one."""
    root = tmp_path_factory.mktemp("project")
    (root / "experiments").mkdir()
    (root / "pyproject.toml").touch()
    (root / "words.txt").write_text("".join(WORDS[i % 7 :] for i in range(200)))
    (root / "experiments" / "made_here.py").write_text(EXPERIMENT.replace("{text!r}", repr(str(root / "words.txt"))))
    bench = open_bench(root, None)
    bench.run(order(bench, RUN, "quick", workers=0))
    yield root
    sys.modules.pop("experiments_made_here", None)


@pytest.fixture(autouse=True)
def inside(project, monkeypatch):
    monkeypatch.chdir(project)


def sandbox(*words):
    return CliRunner().invoke(app, ["card", *map(str, words)])


def refused(monkeypatch, capsys, *words):
    """The one sentence on stderr of a call that ends with exit code 2."""
    monkeypatch.setattr(sys, "argv", ["sandbox", "card", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and out == "" and err.count("\n") == 1 and err.startswith("sandbox: ")
    return err


def test_a_card_is_made_from_its_name_or_from_a_claim(project):
    name, card = create_named(["good"])
    assert name == "good" and [part.claim for part in card.evidence] == ["a.good"] and card.optimizer.rule["lr"] == 0.3
    with pytest.raises(ValueError, match="4 cards answer to 'a.good': good, mixed, outside, half; name one of them"):
        create_named(["a.good"])
    assert create_named(["a.open"], unvalidated=True)[0] == "open"


def test_a_recipe_in_plain_data_brings_its_transfer_and_parametrisation(project):
    card = create_named(["carried"])[1]
    assert card.parametrisation.exponents == {"query": -1.0} and card.parametrisation.base_width == 8
    assert card.transfer["lr"].base_value == 0.3 and card.transfer["lr"].regret is None and card.target is None
    assert card.unvalidated[0].endswith("the rule for widths was measured from 8 to 16")


def test_claims_that_are_named_beside_a_card_stand_behind_it_too(project):
    assert [part.claim for part in create_named(["good", "a.spare"])[1].evidence] == ["a.good", "a.spare"]
    with pytest.raises(ValueError, match="a.bad is VIOLATED"):
        create_named(["good", "a.bad"])


WEAK = [
    ("mixed", "a.bad is VIOLATED: the measurement is where the claim says it cannot be", "UNVALIDATED: a.bad is VIOLATED"),
    ("open", "a.open is INCONCLUSIVE: the interval straddles the limit", "UNVALIDATED: a.open is INCONCLUSIVE"),
    ("outside", "a.outside is OUT_OF_SCOPE: a condition of the claim fails here", "UNVALIDATED: a.outside is OUT_OF_SCOPE"),
    ("half", "a.unrun was never run", "UNVALIDATED: a.unrun was never run"),
]


@pytest.mark.parametrize(("name", "sentence", "word"), WEAK)
def test_weak_claims_are_refused_by_name_or_confessed(project, tmp_path, name, sentence, word, monkeypatch, capsys):
    assert f"a card needs verdicts that hold; {sentence}" in refused(monkeypatch, capsys, "create", name, "--out", tmp_path / "card.json")
    assert not (tmp_path / "card.json").exists()
    done = sandbox("create", name, "--unvalidated", "--out", tmp_path / "card.json")
    assert done.exit_code == 0, done.output
    card, problems = read(tmp_path / "card.json")
    assert card.unvalidated[0] == word and problems == []
    assert f"unvalidated  {word}" in sandbox("show", tmp_path / "card.json").output
    assert verify(tmp_path / "card.json", project) == []
    said = sandbox("verify", tmp_path / "card.json", "--root", project)
    assert said.exit_code == 0 and said.output == "".join(f"{tmp_path / 'card.json'}: {line}\n" for line in ("verified", word))


def test_a_confession_is_of_one_claim_alone(project, tmp_path):
    """A card that confesses one weak claim and rests on another one is refused."""
    lines = ["UNVALIDATED: a.bad is VIOLATED"]
    assert confessed("a.bad", lines) and not confessed("a.ba", lines) and not confessed("a.bad.too", lines) and not confessed("a.bad", [])
    from sandbox.handoff.schema import sealed
    from sandbox.handoff.verify import weak

    card = create_named(["mixed"], unvalidated=True)[1]
    plain = card.as_json() | {"unvalidated": card.unvalidated[1:]}
    assert weak(card) == [] and "a.bad is VIOLATED" in weak(sealed(plain))[0]


def test_settings_come_from_a_run(project):
    with pytest.raises(ValueError, match="the card 'unrun' takes its settings from a run, and a.unrun was never run; run it"):
        create_named(["unrun"], unvalidated=True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["create", "god"], "no card rests on 'god'; the nearest names are: good"),
        (["create", "a.spared"], "no card rests on 'a.spared'; the nearest names are: a.spare"),
        (["create", "good", "a.god"], "no claim has the id 'a.god'; the nearest are: a.good"),
        (["show", "no.json"], "the card 'no.json' does not exist"),
        (["verify", "no.json"], "the card 'no.json' does not exist"),
        (["diff", "no.json", "no.json"], "the card 'no.json' does not exist"),
        (["export", "no.json"], "the card 'no.json' does not exist"),
        (["export"], "an export needs a CARD, or --table"),
        (["show", "."], "the card '.' is not a file"),
    ],
)
def test_wrong_calls_are_one_sentence_and_exit_code_2(project, words, sentence, monkeypatch, capsys):
    assert sentence in refused(monkeypatch, capsys, *words)


def test_cards_are_listed_where_no_name_fits():
    with pytest.raises(ValueError, match="the cards are none: no file of experiments/ asks for one"):
        chosen(["x"], ())
    with pytest.raises(ValueError, match="made from claims or from its name, got none"):
        chosen([], ())


def test_a_claim_that_two_cards_rest_on_is_named_once_among_the_nearest():
    two = [CardSpec(name, ("a.claim",), lambda setting, values: {}) for name in ("one", "two")]
    with pytest.raises(ValueError, match="the nearest names are: a.claim; the cards are one, two"):
        chosen(["a.klaim"], two)


def test_every_command_speaks_json(project, tmp_path):
    path, other = tmp_path / "card.json", tmp_path / "other.json"
    made = json.loads(sandbox("create", "good", "--out", path, "--json").output)[0]
    assert (made["id"], made["status"], made["file"], made["schema"]) == ("good", "created", str(path), SCHEMA)
    assert json.loads(sandbox("create", "open", "--unvalidated", "--json").output)[0]["status"] == "unvalidated"
    shutil.copy(path, other)
    assert json.loads(sandbox("diff", path, other, "--json").output) == []
    assert json.loads(sandbox("show", path, "--json").output)[0]["status"] == "sealed"
    assert json.loads(sandbox("verify", path, "--json", "--root", project).output)[0]["status"] == "verified"
    assert json.loads(sandbox("schema", "--json").output)[0]["id"] == SCHEMA
    exported = json.loads(sandbox("export", path, "--to", "torchtitan", "--json").output)[0]
    assert exported["status"] == "exported" and exported["distance"]["value"] < 1e-8 and "AdamW" in exported["text"]
    assert {row["status"] for row in json.loads(sandbox("export", "--table", "--json").output)} == {"named", "no"}


def test_a_card_without_out_is_printed_and_is_the_one_that_would_be_written(project, tmp_path):
    sandbox("create", "good", "--out", tmp_path / "card.json")
    assert sandbox("create", "good").output == (tmp_path / "card.json").read_text()


def test_exit_code_1_says_that_something_differs(project, tmp_path):
    path, other = tmp_path / "card.json", tmp_path / "other.json"
    sandbox("create", "good", "--out", path)
    other.write_text(path.read_text().replace('"lr": 0.3', '"lr": 0.4'))
    same, different = sandbox("diff", path, path), sandbox("diff", path, other)
    assert (same.exit_code, same.output) == (0, "the cards say the same\n")
    assert (different.exit_code, different.output) == (1, "optimizer.rule.lr: 0.3 -> 0.4\n")
    verified = sandbox("verify", other, "--root", project)
    assert verified.exit_code == 1 and "it was changed" in verified.output


def test_an_export_goes_to_its_file_and_its_remarks_to_stderr(project, tmp_path):
    path = tmp_path / "card.json"
    sandbox("create", "good", "--out", path)
    done = sandbox("export", path, "--to", "torchtitan", "--out", tmp_path / "made.py")
    assert done.exit_code == 0 and done.stdout == f"wrote {tmp_path / 'made.py'}\n"
    assert "lost: data" in done.stderr and "distance: torch.optim.AdamW, which torchtitan takes, is" in done.stderr
    assert "ParamGroupConfig" in (tmp_path / "made.py").read_text()


def test_an_export_that_is_too_far_ends_with_exit_code_1(project, tmp_path, monkeypatch):
    from sandbox.handoff.export import exporting

    path = tmp_path / "card.json"
    sandbox("create", "good", "--out", path)
    monkeypatch.setattr(exporting, "measured", lambda *_: exporting.Distance(0.3, 0.4, "head.weight", "theirs"))
    done = sandbox("export", path, "--to", "torchtitan")
    assert done.exit_code == 1 and "3.0e-01 of the way away from ours" in done.stderr and done.stdout == ""
    assert sandbox("export", path, "--to", "torchtitan", "--other-implementation").exit_code == 0


@pytest.mark.parametrize("command", ["show", "create", "diff", "verify", "export", "schema"])
def test_every_command_has_an_example(command):
    assert "Example: sandbox card" in " ".join(sandbox(command, "--help").output.split())
