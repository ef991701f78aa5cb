"""The page against an HTML parser (another program's reading of it), and against the records it was made from."""

import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import sympy

from sandbox.fit import Mean, Sample
from sandbox.ledger.claim import Claim, Found, Grid
from sandbox.ledger.result import Case, Result
from sandbox.report import words
from sandbox.report.page import page, write_page
from sandbox.theory.base import Bound
from sandbox.verdict import Outcome, judge, out_of_scope

m, r = sympy.symbols("m r", positive=True)
BOUND = Bound("b", "steps", 18 * m / (5 * r), (r <= m,), "exact", "A (2025), https://example.org/a", "proofs/proof_b.py")
EVIL = "<script>alert(1)</script> & \"quoted\" 'text'"


@dataclass(frozen=True)
class Setting:
    lr: float
    note: str = "plain"


def claim(id_, **fields):
    common = dict(
        statement="A statement",
        source="B (2024), section 2, https://example.org/b",
        known="read",
        dossier="x C1",
        kind="upper",
        tier="quick",
        cost_s=1.0,
        quantity="loss (nats)",
        plan=Grid((Setting(0.1),), (0, 1)),
        measure=None,
        estimate=Mean("x"),
        predicted=Outcome.HOLDS,
    )
    if fields.get("kind", "upper") in ("upper", "lower", "equality") and "bound" not in fields:
        common["limit"] = 1.0
    return Claim(id=id_, **(common | fields))


def result(claim, values=(0.4, 0.6), limit=1.0, setting=None, extra=None, **fields):
    samples = [Sample(seed, {"x": v} | (extra or {}), "c0de", "2026-11-20") for seed, v in enumerate(values)]
    fit = claim.estimate(samples, claim.quantity)
    verdict = judge(fit, claim.kind, limit=limit, tau=claim.tau, margin=claim.margin)
    common = dict(origin="recorded", date="2026-11-20", code="0123456789abcdef", seconds=12.5)
    return Result(claim, (Case(setting or Setting(0.1), verdict),), **(common | fields))


@pytest.fixture
def results():
    bounded = claim("rso.bound", bound=BOUND, quantity="steps", constants=lambda s: {"m": 5.0, "r": 1.0})
    scope = claim("golore.scope", predicted=Outcome.OUT_OF_SCOPE)
    found = claim("adalomo.found", found=Found(Outcome.VIOLATED, "2026-11-19", "the printed step is too long"))
    return [
        result(bounded, (17.24, 17.26), limit=18.0),
        result(found, (2.0, 2.1)),
        result(claim("lomo.differs"), (2.0, 2.1)),
        Result(scope, (Case(Setting(0.3), out_of_scope("upper", "b requires r <= m, given r = 4")),), "measured"),
        Result(claim("adam-mini.never"), (), "missing"),
        result(claim("adam-mini.parity", kind="parity", margin=0.5), (0.01, 0.02), limit=0.0),
    ]


class Reader(HTMLParser):
    """Collects text, addresses and ids, and checks that tags nest."""

    VOID = {"meta", "input", "br", "path", "use", "rect", "image"}

    def __init__(self):
        super().__init__()
        self.open, self.text, self.addresses, self.ids, self.tags = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [(tag, name, value) for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag, f"</{tag}> closes another tag, at {self.getpos()}"

    def handle_data(self, data):
        self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    assert not reader.open, f"never closed: {reader.open}"
    return reader


def test_every_claim_is_in_the_table_and_has_a_section(results, root):
    text = page(results, root)
    ids = read(text).ids
    for one in results:
        assert ids.count(one.claim.id) == 1
        assert f"href='#{one.claim.id}'" in text
        assert f"sandbox check {one.claim.id}" in text


def test_ids_are_unique_although_many_figures_share_the_page(results, root):
    """An id that stands twice would let one figure take another one's clip path."""
    ids = read(page(results, root)).ids
    assert len(ids) == len(set(ids))


def test_differences_come_first_then_systems(results, root):
    order = [i for i in read(page(results, root)).ids if "." in i]
    assert order == [
        "lomo.differs",
        "adalomo.found",
        "adam-mini.never",
        "adam-mini.parity",
        "golore.scope",
        "rso.bound",
    ]


def test_many_surprises_are_folded_away_and_counted(results, root, monkeypatch):
    from sandbox.report import page as module

    assert "recorded against the prediction" not in page(results, root)
    monkeypatch.setattr(module, "A_PARAGRAPH", 0)
    assert "<details><summary>1 recorded against the prediction</summary><p>" in page(results, root)


def test_the_head_counts_and_names_what_differs(results, root):
    text = " ".join("".join(read(page(results, root)).text).split())
    assert "6 claims, checked by proof and by measurement" in text
    assert "1 claim differs from the record: lomo.differs (predicted HOLDS, now VIOLATED)" in text
    assert "Recorded against the prediction: adalomo.found (predicted HOLDS, found VIOLATED, now VIOLATED)" in text
    assert "VIOLATED 2 " in text and "HOLDS 2 " in text and "NOT RUN 1 " in text and "OUT OF SCOPE 1 " in text


def test_without_differences_the_head_says_so(results, root):
    text = page([one for one in results if one.agrees], root)
    assert "No claim differs from the record." in text
    assert "class='alarm'" not in text


def test_what_a_claim_says_is_escaped_everywhere(root):
    evil = claim("a.evil", statement=EVIL, source=EVIL, dossier=EVIL, quantity=EVIL, found=Found(Outcome.HOLDS, EVIL, EVIL))
    one = result(evil, setting=Setting(0.1, EVIL), extra={EVIL: EVIL}, code=EVIL, date=EVIL)
    failed = Result(claim("a.failed"), (), "missing", error=EVIL)
    outside = Result(claim("a.outside"), (Case(Setting(0.1), out_of_scope("upper", EVIL)),), "measured")
    text = page([one, failed, outside], root)
    reader = read(text)
    assert "script>alert" not in text.replace("&lt;script&gt;alert", "")
    assert reader.tags.count("script") == 1  # the filter
    assert "".join(reader.text).count(EVIL) >= 7  # statement twice, source twice, quantity, setting, sample, error, ...


def test_nothing_is_fetched(results, root):
    """Only links that a reader may click lead outside; images, styles and scripts are in the page."""
    text = page([*results, result(claim("x.curve"), extra={"curve": [1.0, 2.0, 3.0]})], root)
    for tag, name, value in read(text).addresses:
        outside = value.startswith(("http", "//", "file"))
        assert not outside or (tag, name) == ("a", "href"), (tag, name, value)
        assert outside or value.startswith("#") or value.startswith("data:"), (tag, name, value)
    assert not re.search(r"@import|url\((?!#)", text)


def test_the_bound_is_there_as_mathml_with_digest_and_proof(results, root, tmp_path):
    text = page(results, root)
    maths = [ElementTree.fromstring(x) for x in re.findall(r"<math.*?</math>", text, re.S)]
    assert "".join(maths[0].itertext()) == "18m5r"  # the fraction 18 m / (5 r)
    assert maths[0].find(".//mfrac") is not None and len(list(maths[0].iter("mspace"))) == 2  # 18 m, 5 r: a gap in each
    assert "".join(maths[1].itertext()) == "r≤m"
    assert BOUND.digest in text and "proofs/proof_b.py" in text and "not in this folder" in text
    (tmp_path / "proofs").mkdir()
    (tmp_path / "proofs" / "proof_b.py").touch()
    assert "not in this folder" not in page(results, tmp_path)


def test_a_section_says_where_its_numbers_come_from(results, root):
    text = "".join(read(page(results[:1], root)).text)
    for part in (
        "recorded on 2026-11-20 at 0123456789ab",
        "12.5 s",
        "Mean(key='x')",
        "c0de",
        "17.25",
        "≤ 18",
        "0123456789abcdef",
    ):
        assert part in text, part


def test_notes_of_settings_are_shown(root):
    wide = result(claim("a.open"), (0.8, 1.1), setting=Setting(0.25))
    assert wide.outcome is Outcome.INCONCLUSIVE
    text = "".join(read(page([wide], root)).text)
    assert f"{wide.cases[0].verdict.more_seeds} seeds in all would decide" in text
    assert "lr = 0.25" in text


def test_long_lists_of_seeds_say_what_is_left_out(root):
    text = page([result(claim("a.many"), tuple(0.5 + 0.001 * i for i in range(45)))], root)
    assert ">5 more seeds are in the results file." in text
    assert text.count("<code>c0de</code>") == 40


def test_the_file_appears_whole_and_replaces_the_old_one(results, root, tmp_path):
    path = write_page(results, tmp_path / "new", root)
    assert path == tmp_path / "new" / "report.html"
    write_page(results[:1], tmp_path / "new", root)
    assert "1 claim, checked" in path.read_text(encoding="utf-8")
    assert {p.name for p in path.parent.iterdir()} == {"cache", "report.html"}


def test_an_empty_list_of_claims_still_makes_a_page(root):
    assert "0 claims" in "".join(read(page([], root)).text)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (None, "–"),
        (5572190.0, "5 572 190"),
        (-3, "−3"),
        (1000.0, "1000"),
        (0.000123456, "0.00012346"),
        (float("inf"), "not finite"),
        ("<b>", "&lt;b&gt;"),
    ],
)
def test_numbers(x, said):
    assert words.number(x) == said


def test_limits_are_said_in_the_words_of_their_kind():
    def said(kind, tau=0.0, margin=None):
        base = claim("a.b", kind=kind, margin=margin, tau=tau)
        return words.limit(result(base, limit=2.0).cases[0].verdict)

    assert said("upper") == "≤ 2"
    assert said("lower") == "≥ 2"
    assert said("equality", tau=0.01) == "= 2 (resolution 1 %)"
    assert said("equality", tau=1e-9) == "= 2 (up to rounding)"
    assert said("ordering") == "< 2"
    assert said("parity", margin=0.25) == "± 0.25"


def test_addresses_in_a_source_become_links_and_end_before_punctuation():
    said = words.source("See https://example.org/a?b=1&c=2, and (http://x.org).")
    assert re.findall(r'href="([^"]*)"', said) == ["https://example.org/a?b=1&amp;c=2", "http://x.org"]
    assert said.endswith("</a>).")
    assert words.source("<b> https://example.org/ <i>").startswith("&lt;b&gt; <a ") and "<i>" not in words.source("http://a.b <i>")


def test_cases_of_a_formula_are_a_table():
    x = sympy.Symbol("x", positive=True)
    found = ElementTree.fromstring(words.formula(sympy.Piecewise((x, x > 2), (x**2, True))))
    rows = ["".join(row.itertext()) for row in found.iter("mtr")]
    assert rows == ["xx>2", "x2otherwise"]


def test_a_diverged_run_is_said_in_words(root):
    text = "".join(read(page([result(claim("a.diverged"), (float("inf"), 1.0))], root)).text)
    assert "diverged" in text


def test_the_record_that_changes_nothing_leaves_the_page_as_it_is(results, root):
    """The page is a pure function of the results, so that it can be compared between runs."""
    assert page(results, root) == page([replace(one) for one in results], root)
