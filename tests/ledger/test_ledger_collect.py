"""Which files are claims, which are left alone, and what a wrong root or name is told."""

import pytest

from sandbox.ledger.collect import choose, collect, find_root
from sandbox.ledger.loading import has_claims, load

CLAIM = """
from dataclasses import dataclass
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.verdict import Outcome

@dataclass(frozen=True)
class Setting:
    x: int = 1

def one(setting, seed):
    return {{"y": 1}}

CLAIMS: tuple = (Claim("{id}", "s", "s", "derived", "d", "equality", "quick", 1.0, "y", Grid((Setting(),), (0,)),
    per_seed(one), Range("y"), Outcome.HOLDS, limit=1.0),)
"""


def ids(folder):
    return [claim.id for experiment in collect(folder.path) for claim in experiment.claims]


def test_all_claims_in_the_order_of_files(folder):
    folder.write("alpha", CLAIM.format(id="alpha.one"))
    assert ids(folder) == ["alpha.one", "toy.upper", "toy.shared", "toy.count", "toy.slow"]


def test_a_script_without_claims_is_never_executed(folder):
    folder.write("script", "raise SystemExit('executed')\n")
    folder.write("talks", "def f():\n    CLAIMS = ()\nraise SystemExit('CLAIMS is not at the top level')\n")
    assert "toy.upper" in ids(folder)


@pytest.mark.parametrize("text, expected", [("CLAIMS = ()", True), ("CLAIMS: tuple = ()", True), ("A = CLAIMS = ()", True)])
def test_spellings_of_claims(tmp_path, text, expected):
    (tmp_path / "x.py").write_text(text)
    assert has_claims(tmp_path / "x.py") is expected


def test_a_module_is_executed_once_and_dataclasses_find_their_module(folder):
    file = folder.write("once", "import sys\nsys.once = getattr(sys, 'once', 0) + 1\nCLAIMS = ()\n")
    import sys

    assert load(file) is load(file) is sys.modules["experiments_once"] and sys.once == 1
    del sys.once


def test_the_same_stem_elsewhere_is_another_module(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "toy.py"
    other.write_text("CLAIMS = 'other'")
    assert load(folder.path / "experiments" / "toy.py").CLAIMS != load(other).CLAIMS == "other"


def test_an_id_stands_once(folder):
    folder.write("alpha", CLAIM.format(id="toy.upper"))
    with pytest.raises(ValueError, match=r"'toy\.upper' stands in alpha\.py and in toy\.py"):
        collect(folder.path)


def test_shared_rows_must_be_measured_alike(folder):
    folder.edit('claim(id="toy.shared",', 'claim(id="toy.shared", measure=lambda s, n: [],')
    with pytest.raises(ValueError, match=r"toy\.upper and toy\.shared share the rows of 'toy' but measure with different"):
        collect(folder.path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("CLAIMS = (", r"broken\.py is not Python: .* in line 1"),
        ("CLAIMS = 1 / 0", r"broken\.py could not be loaded: ZeroDivisionError: division by zero"),
        ("CLAIMS = (3,)", r"Claim objects only; .*broken\.py has int in it"),
    ],
)
def test_broken_files_are_named(folder, text, message):
    folder.write("broken", text)
    with pytest.raises(ValueError, match=message):
        collect(folder.path)


def test_the_root_is_the_nearest_folder_upward(folder):
    deep = folder.path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "pyproject.toml").write_text("")  # without experiments/ it is no root
    assert find_root(deep) == folder.path.resolve()


def test_without_a_root(tmp_path):
    with pytest.raises(ValueError, match=f"neither {tmp_path} nor a folder above it does: .*--root FOLDER"):
        find_root(tmp_path)
    with pytest.raises(ValueError, match=r"experiments is not a folder; name another root"):
        collect(tmp_path)


def test_names_choose_claims_and_systems(folder):
    folder.write("alpha", CLAIM.format(id="alpha.one"))
    found = collect(folder.path)
    assert [c.id for c in choose(found, ["toy.count", "toy.upper"])] == ["toy.upper", "toy.count"]
    assert [c.id for c in choose(found, ["alpha"])] == ["alpha.one"]
    assert len(choose(found, [])) == 5


def test_an_unknown_name_gets_the_nearest(folder):
    with pytest.raises(ValueError, match=r"no claim is named 'toy\.uper' among 4; the nearest are toy\.upper"):
        choose(collect(folder.path), ["toy.uper"])
    with pytest.raises(ValueError, match="no id is near it; `sandbox list`"):
        choose(collect(folder.path), ["qqqqqqqq"])
