"""The published table against a run of now, its own text, and the packages that are installed."""

import json
from importlib.metadata import PackageNotFoundError, distribution

import pytest

from tests.peers import publish
from tests.peers.licences import DISTRIBUTIONS, licences, version
from tests.peers.pairs import PAIRS
from tests.peers.training import STEPS, allowed, gap

AGAIN = "; write it again: python -m tests.peers.publish"
DIGITS = 0.005  # three digits are published, so half of the last is 0.5 % at most
CASES = [(pair, dtype) for pair in PAIRS for dtype in pair.dtypes]


@pytest.fixture(scope="module")
def record():
    return json.loads(publish.JSON.read_text())


def key(row):
    return tuple(row[name] for name in ("left", "left settings", "right", "right settings", "weights"))


def now(pair, dtype):
    return str(pair.left), pair.left.written, str(pair.right), pair.right.written, dtype


def test_the_table_has_every_comparison_and_no_other(record):
    assert [key(row) for row in record["rows"]] == [now(pair, dtype) for pair, dtype in CASES], AGAIN
    assert record["steps"] == STEPS >= 50


@pytest.mark.parametrize("pair, dtype", CASES, ids=[f"{pair.key}, {dtype}" for pair, dtype in CASES])
def test_a_published_difference_is_that_of_now(pair, dtype, need, record):
    """Up to what rounding may do, which another processor does differently; what rounding may do, up to its order of magnitude."""
    need(pair.left.package, pair.right.package)
    row = next(row for row in record["rows"] if key(row) == now(pair, dtype))
    found, limit = gap(pair.left, pair.right, dtype), allowed(pair.left, pair.right, dtype)
    assert row["difference"] == pytest.approx(found.norm, abs=limit.norm, rel=DIGITS), AGAIN
    assert row["difference of the largest entry"] == pytest.approx(found.largest, abs=limit.largest, rel=DIGITS), AGAIN
    assert limit.norm / 10 < row["allowed"] < 10 * limit.norm, AGAIN
    assert row["verdict"] == publish.verdict(pair, row["difference"]) and row["because"] == pair.because, AGAIN


def test_the_page_is_made_from_the_record(record):
    assert publish.MARKDOWN.read_text() == publish.markdown(record), AGAIN


def test_versions_and_licences_are_those_of_the_packages(record):
    """torch apart: the project takes more than one version of it, and the comparisons above are run with the one at hand."""
    for module, name in DISTRIBUTIONS.items():
        try:
            distribution(name)
        except PackageNotFoundError:
            pytest.skip(f"the licence of {name} is read from the package, which is not installed: pip install -e .[peers]")
        assert module == "torch" or record["packages"][module]["version"] == version(name), AGAIN
    mine = licences()
    assert {m: entry["by file"] for m, entry in record["packages"].items()} == {m: entry["by file"] for m, entry in mine.items()}


def test_where_metadata_and_licence_file_say_different_things(record):
    """adam-mini's classifier is MIT, its file CC BY 4.0; every other file is recognised and is what the metadata name."""
    packages = record["packages"]
    words = {"MIT": "MIT", "Apache-2.0": "Apache", "BSD-3-Clause": "BSD-3-Clause", "CC BY 4.0": "CC"}
    assert [m for m, entry in packages.items() if words[entry["by file"]] not in entry["by metadata"]] == ["adam_mini"]
    assert packages["adam_mini"]["by file"] == "CC BY 4.0" and "MIT" in packages["adam_mini"]["by metadata"]


def test_every_package_that_is_compared_is_listed(record):
    compared = {side.package for pair in PAIRS for side in (pair.left, pair.right)} - {"sandbox"}
    assert compared == set(record["packages"])


def test_the_short_table_is_the_worst_of_the_long_one(record):
    """One line of it, put together by hand from the rows."""
    rows = [row for row in record["rows"] if (row["left"], row["right"]) == ("sandbox CAME", "came_pytorch CAME")]
    worst = [max(row["difference"] for row in rows if row["weights"] == weights) for weights in ("float32", "float64")]
    share = max(row["difference"] / row["allowed"] for row in rows)
    line = f"| sandbox CAME | came_pytorch CAME | 3 | {worst[0]:.1e} | {worst[1]:.1e} | {share:.0%} |"
    assert line in publish.MARKDOWN.read_text()
