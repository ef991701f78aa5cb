"""Figures against an XML parser, and the numbers behind them against closed forms."""

import base64
import io
import math
import re
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import numpy as np
import pytest

from sandbox.fit import Mean, PairedDifference, Range, RatioOfMeans, Sample
from sandbox.ledger.claim import Claim, Grid
from sandbox.ledger.result import Case, Result
from sandbox.report.canvas import COLOURS, MARKERS
from sandbox.report.figures import as_line, claim_figure, curves, heat_map, labels, normalised, overview, per_seed
from sandbox.verdict import Outcome, judge

SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Setting:
    lr: float
    width: int = 32


def made(kind="upper", rows=((0.4,), (0.6,)), *, limit=1.0, margin=None, estimate=None, id_="a.b", lrs=(0.1,), limits=None):
    """A result with the same samples for every learning rate."""
    known = {} if kind in ("parity", "ordering") else {"limit": 1.0}
    estimate = estimate or Mean("x")
    claim = Claim(
        id=id_,
        statement="s",
        source="s",
        known="read",
        dossier="d",
        kind=kind,
        tier="quick",
        cost_s=1.0,
        quantity="loss (nats)",
        plan=Grid((Setting(0.1),), (0, 1)),
        measure=None,
        estimate=estimate,
        predicted=Outcome.HOLDS,
        margin=margin,
        **known,
    )
    samples = [Sample(seed, dict(zip(("x", "y"), row, strict=False))) for seed, row in enumerate(rows)]
    fit = estimate(samples, claim.quantity)
    limits = limits or [limit] * len(lrs)
    cases = tuple(Case(Setting(lr), judge(fit, kind, limit=b, margin=margin)) for lr, b in zip(lrs, limits, strict=True))
    return Result(claim, cases, "measured")


def texts(svg):
    return ["".join(node.itertext()).strip() for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_every_outcome_has_a_colour_and_a_marker_of_its_own():
    assert set(COLOURS) == set(MARKERS) == set(Outcome)
    assert len(set(COLOURS.values())) == len(set(MARKERS.values())) == len(Outcome)


def test_colours_can_be_told_from_white_and_from_black():
    """Contrast by the formula of WCAG 2; marks need less than text; 2 is a floor that pale yellow fails on white."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in COLOURS.values():
        assert 1.05 / (luminance(colour) + 0.05) > 2 and (luminance(colour) + 0.05) / 0.05 > 2, colour


def test_the_overview_names_every_claim_and_its_three_scales():
    results = [made(id_="a.upper"), made("parity", margin=0.5, id_="a.parity"), made("ordering", id_="a.ordering")]
    said = texts(overview(results))
    for name in ("a.upper", "a.parity", "a.ordering", "measured / limit", "difference / margin (parity)"):
        assert name in said
    assert "difference / half width of its interval (ordering)" in said


def test_the_overview_of_nothing_is_still_a_figure():
    assert ElementTree.fromstring(overview([])).tag.endswith("svg")


@pytest.mark.parametrize("result", [made(), made("parity", margin=0.5), made(lrs=(0.1, 0.2), limits=[1.0, 2.0])])
def test_a_claim_figure_is_svg_with_the_quantity_and_follows_the_page(result):
    svg = claim_figure(result)
    assert any(text.startswith("loss (nats)") for text in texts(svg))
    assert b"currentColor" in svg and b"#010203" not in svg
    assert b"<metadata" not in svg and not re.search(rb'(href|src)="(?!#)', svg)


def test_limits_that_differ_are_divided_out_and_the_axis_says_so():
    assert "loss (nats) / limit" in texts(claim_figure(made(lrs=(0.1, 0.2), limits=[1.0, 2.0])))
    assert "loss (nats)" in texts(claim_figure(made(lrs=(0.1, 0.2), limits=[1.0, 1.0])))


def test_a_long_quantity_is_wrapped_and_not_cut():
    result = made()
    long = " ".join(["sum of squared gradient norms over"] * 4)
    lines = texts(claim_figure(replace(result, claim=replace(result.claim, quantity=long))))
    assert long in " ".join(lines) and max(map(len, lines)) <= 60


def test_figures_repeat_byte_for_byte():
    assert claim_figure(made()) == claim_figure(made())
    assert claim_figure(made()) != claim_figure(made(rows=((0.4,), (0.7,))))


def test_normalised_by_limit_margin_and_half_width():
    rows = ((1.0,), (3.0,))  # mean 2, standard error 1, one degree of freedom
    fit = made(rows=rows).cases[0].verdict.fit
    assert normalised(judge(fit, "upper", limit=4.0)) == pytest.approx((fit.low / 4, 0.5, fit.high / 4), rel=1e-15)
    parity = judge(fit, "parity", margin=0.5)
    assert normalised(parity)[1] == 4.0
    assert normalised(parity)[2] - 4 == pytest.approx(math.tan(0.45 * math.pi) / 0.5, rel=1e-12)  # t with 1 df is Cauchy
    assert normalised(judge(fit, "ordering"))[2] - normalised(judge(fit, "ordering"))[1] == pytest.approx(1.0, rel=1e-12)


def test_a_limit_of_zero_is_met_or_missed():
    def at(value):
        return normalised(made("equality", rows=((value,), (value,)), limit=0.0, estimate=Range("x")).cases[0].verdict)

    assert at(0.0) == (1.0, 1.0, 1.0)
    assert at(2.0) == (math.inf,) * 3 and at(-2.0) == (-math.inf,) * 3


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (Mean("x"), [6.0, 8.0]),
        (PairedDifference("x", "y"), [4.0, 4.0]),
        (RatioOfMeans("x", "y"), [3.0, 2.0]),
        (Range("x"), [6.0, 8.0]),
    ],
)
def test_dots_are_the_estimate_of_each_seed_alone(estimate, expected):
    result = made(rows=((6.0, 2.0), (8.0, 4.0)), estimate=estimate)
    assert per_seed(result, result.cases[0].verdict) == expected


def test_lines_are_lists_of_numbers_or_pairs():
    assert as_line([3.0, 2.0, 1.0]).tolist() == [[0, 3], [1, 2], [2, 1]]
    assert as_line([[1e-3, 2.0], [1e-2, 1.0], [1e-1, 3.0]]).tolist() == [[1e-3, 2], [1e-2, 1], [1e-1, 3]]
    for other in (3.0, "abc", [1.0, 2.0], [[1.0], [2.0], [3.0]], ["a", "b", "c"], {"a": 1}):
        assert as_line(other) is None


def test_curves_of_the_deciding_case_are_drawn_per_key():
    result = made()
    fit = result.cases[0].verdict.fit
    samples = tuple(Sample(s.seed, {"x": 0.5, "train_loss": [3.0, 2.0, 1.5]}) for s in fit.samples)
    claim = result.claim
    found = curves(Result(claim, (Case(Setting(0.1), judge(claim.estimate(samples, "q"), "upper", limit=1.0)),), "measured"))
    assert list(found) == ["train_loss"]
    assert {"train loss", "2 seeds", "index of the recorded value"} <= set(texts(found["train_loss"]))
    assert curves(made()) == {}


def test_labels_hold_what_differs_and_are_cut():
    assert labels([Setting(0.1), Setting(0.2)]) == ["lr=0.1", "lr=0.2"]
    assert labels([Setting(0.1)]) == [""]
    assert labels([]) == []
    wide = labels([Setting(0.1, 10**40), Setting(0.2, 2)])[0]
    assert len(wide) == 34 and wide.endswith("…")


def test_a_heat_map_draws_the_entries_it_was_given():
    """The picture inside the SVG, read by matplotlib's PNG reader: bright where an entry is large, dark elsewhere."""
    from matplotlib.image import imread

    matrix = np.full((6, 6), 1e-9)
    matrix[:3, :3] = -2.0
    svg = heat_map(matrix, (0, 3, 6), "query heads")
    said = texts(svg)
    assert "query heads" in said and "log10 of |entry| / largest |entry|" in said
    nodes = list(ElementTree.fromstring(svg).iter(f"{SVG}image"))
    encoded, flipped = nodes[0].get("{http://www.w3.org/1999/xlink}href"), "scale(1 -1)" in nodes[0].get("transform")
    image = imread(io.BytesIO(base64.b64decode(encoded.partition(",")[2])))[:: -1 if flipped else 1, :, :3].sum(2)
    rows, columns = image.shape
    corners = {(i, j): image[(1 + 4 * i) * rows // 6, (1 + 4 * j) * columns // 6] for i in (0, 1) for j in (0, 1)}
    assert corners[0, 0] > 2 * max(corners[0, 1], corners[1, 0], corners[1, 1])


def test_a_heat_map_names_the_blocks_that_have_room():
    said = texts(heat_map(np.eye(100), (0, 60, 61, 100), "t", names=("first", "narrow", "last")))
    assert {"first", "last"} <= set(said) and "narrow" not in said
    with pytest.raises(ValueError, match="one name between two boundaries, got 1 names and 4"):
        heat_map(np.eye(100), (0, 60, 61, 100), "t", names=("first",))


def test_a_heat_map_of_zeros_is_drawn():
    svg = heat_map(np.zeros((2, 2)), (), "nothing")
    assert ElementTree.fromstring(svg).tag.endswith("svg") and "nothing" in texts(svg)


def test_a_heat_map_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match=r"needs a matrix, got an array of shape \(3,\)"):
        heat_map(np.zeros(3), (), "t")
    with pytest.raises(ValueError, match=r"boundaries must lie in 0\.\.2, the rows of the matrix; got \[3\]"):
        heat_map(np.zeros((2, 2)), (1, 3), "t")
