"""The pictures of a survey of Hessians: what they say, and where."""

from xml.etree import ElementTree

import numpy as np

from sandbox.report.hessian_figures import over_targets, short, spectra, tail

SVG = "{http://www.w3.org/2000/svg}"


def words(svg: bytes) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_tail_of_a_spectrum_is_the_share_of_eigenvalues_from_a_size_on():
    x, share = tail(np.array([3.0, -1.0, 1.0, 2.0]), np.array([0.1, 0.4, 0.3, 0.2]))
    assert x.tolist() == [1.0, 2.0, 3.0] and np.allclose(share, [0.6, 0.3, 0.1])


def test_long_names_lose_whole_parts_in_front():
    assert short("head.weight") == "head.weight"
    assert short("blocks.0.attention.query.weight.of.all") == "…attention.query.weight.of.all"
    assert len(short("x" * 80)) == 30


def test_spectra_say_whose_lines_and_signs_they_are():
    nodes = (np.array([-1.0, 0.5, 2.0]), np.full(3, 1 / 3))
    said = words(spectra({"a.weight": {"step 0": nodes, "step 9": nodes}, "b.weight": {"step 0": nodes}}, "t"))
    assert {"a.weight", "b.weight", "step 0", "step 9", "negative"} <= set(said)


def test_every_column_is_labelled_below_its_last_panel():
    """Four panels in rows of three: columns two and three end in the first row."""
    found = {name: {"rows": [0.1, 0.9]} for name in "abcd"}
    said = words(over_targets(found, ["early", "late"], "t"))
    assert said.count("early") == said.count("late") == 3 and "rows" in said
