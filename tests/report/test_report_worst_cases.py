"""The picture of runs, closed form and semidefinite worst case, from results that are made up here."""

from dataclasses import dataclass, replace
from xml.etree import ElementTree

import pytest

from sandbox.fit import Range, Sample
from sandbox.ledger.claim import Claim, Grid
from sandbox.ledger.result import Case, Result
from sandbox.report.worst_cases import worst_case_figure, worst_cases
from sandbox.verdict import Outcome, judge

SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Setting:
    rule: str
    step: float
    steps: int


def made(rule="gradient descent", *, key="semidefinite", subject="", seeds=3):
    """Values 1 / step per step of K, runs at a half, a third and a quarter of it."""
    settings = tuple(Setting(rule, step, 2) for step in (0.1, 0.5, 1.0)) + tuple(Setting(rule, 0.5, K) for K in (1, 3, 4, 5))
    claim = Claim(
        id=f"{rule.split()[0]}.worst-case",
        statement="s",
        source="s",
        known="derived",
        dossier="d",
        kind="equality",
        tier="full",
        cost_s=1.0,
        quantity="sum",
        plan=Grid(settings, (0,)),
        measure=None,
        estimate=Range(key),
        predicted=Outcome.HOLDS,
        limit=lambda setting: setting.steps / setting.step,
        subject=subject,
    )
    return Result(claim, tuple(Case(setting, verdict(claim, setting, key, seeds)) for setting in settings), "measured")


def verdict(claim, setting, key, seeds):
    value = claim.limit_at(setting)
    names = ("isotropic", "ill-conditioned", "nonconvex")
    samples = [Sample(s, {key: value} | {name: value / (i + 2) + s for i, name in enumerate(names)}) for s in range(seeds)]
    return judge(claim.estimate(samples, "sum"), "equality", limit=value)


def texts(svg):
    return ["".join(node.itertext()).strip() for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_two_rules_give_four_panels_that_say_what_is_held_fixed():
    words = texts(worst_case_figure([made(), made("rso")]))
    titles = [word for word in words if "K = 2" in word or "0.5" in word and "=" in word]
    assert titles == [
        "gradient descent, K = 2",
        "gradient descent, lr L = 0.5",
        "RSO, m = 2, r = 1, K = 2",
        "RSO, m = 2, r = 1, t = eta Lhat = 0.5",
    ]
    assert {"closed form", "semidefinite worst case", "runs on a nonconvex function"} <= set(words)
    assert not [word for word in words if "e-" in word or "$" in word]  # plain numbers on the axes


def test_the_picture_follows_the_theme_and_has_a_name():
    text = worst_cases([made()])
    assert "#d55e00" not in text and "var(--violated)" in text and "#010203" not in text
    assert 'aria-label="runs, closed form and semidefinite worst case"' in text and "<figcaption>" in text


@pytest.mark.parametrize("result", [made(key="other"), made(subject="a.b"), replace(made(), cases=())], ids=["key", "subject", "none"])
def test_claims_without_such_values_of_their_own_draw_nothing(result):
    assert worst_cases([result]) == ""


def test_one_seed_has_no_interval_and_is_drawn():
    assert texts(worst_case_figure([made(seeds=1)]))
