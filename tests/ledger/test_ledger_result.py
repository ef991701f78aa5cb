"""One outcome for many cases, and which case speaks for the claim."""

from itertools import product
from types import SimpleNamespace

import pytest

from sandbox.ledger.result import Case, Result, combined
from sandbox.verdict import Outcome

A, H, V, I, O = (Outcome[n] for n in ("ATTAINED", "HOLDS", "VIOLATED", "INCONCLUSIVE", "OUT_OF_SCOPE"))  # noqa: E741


def test_every_pair():
    """One violation violates; else one open case leaves it open; attained only together; out of scope has no say."""
    expected = {A: {A: A, H: H, V: V, I: I, O: A}, H: {H: H, V: V, I: I, O: H}, V: {V: V, I: V, O: V}, I: {I: I, O: I}, O: {O: O}}
    for first, second in product(Outcome, Outcome):
        want = expected[first].get(second) or expected[second][first]
        assert combined([first, second]) is want, (first, second)


def result(*outcomes, expected=H, error=""):
    cases = tuple(Case(i, SimpleNamespace(outcome=outcome)) for i, outcome in enumerate(outcomes))
    return Result(SimpleNamespace(expected=expected), cases, "measured", error=error)


def test_the_first_case_with_the_outcome_speaks():
    assert result(H, I, V, V).telling.setting == 2
    assert result(O, H, A).telling.setting == 1
    assert result().telling is None and result().outcome is None


@pytest.mark.parametrize("outcomes, error, agrees", [((H,), "", True), ((V,), "", False), ((), "", True), ((), "boom", False)])
def test_agreement(outcomes, error, agrees):
    assert result(*outcomes, error=error).agrees is agrees
