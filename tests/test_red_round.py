"""The list of breaks must not rot: each names text that stands exactly once, and something else in its place."""

import importlib.util


def test_every_break_is_up_to_date(root):
    spec = importlib.util.spec_from_file_location("red_round", root / "tests" / "red_round.py")
    red_round = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(red_round)
    assert len(red_round.BREAKS) >= 20
    for file, old, new, tests in red_round.BREAKS:
        assert (root / file).read_text().count(old) == 1, f"{file} must hold {old!r} once: bring the break up to date"
        assert new != old
        paths = tests.removesuffix(" -m slow").split()
        assert paths and all((root / path).exists() for path in paths), tests
