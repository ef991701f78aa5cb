"""Pulls on a common rate: exact on losses that are two parabolas, and on a small model the identities of rates."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sandbox.handoff.shared_rate import FACTORS, Shared, final_loss, losses, measure, parabola, pulls
from sandbox.handoff.transfer_runs import Setting, trained
from sandbox.optimizers.settings import learning_rate

SMALL = Setting("adamw", width=16, layers=1, lr=0.01, steps=3, batch=1)


def law(n: int, *, at: tuple[float, float], bend: tuple[float, float], shared: float = 0.0) -> dict[str, float]:
    """Losses of two parabolas in octaves whose vertices lie at `at` times log2 n, and a term in the product of both octaves."""
    l = math.log2(n) - 6

    def loss(x: float, y: float) -> float:
        return 4 + bend[0] * (x - at[0] * l) ** 2 + bend[1] * (y - at[1] * l) ** 2 + shared * x * y

    moves = {"hidden": (1, 0), "others": (0, 1), "both": (1, 1)}
    around = {f"{g}_{name}": loss(x * math.log2(f), y * math.log2(f)) for g, (x, y) in moves.items() for name, f in FACTORS.items()}
    return {"middle": loss(0, 0)} | around


@pytest.mark.parametrize("shared", [0.0, 0.05])
def test_pulls_are_the_exponents_of_the_vertices_by_their_shares_of_the_curvature(shared):
    """d/dx: 2 h (x - a l) + 2 o (x - b l) + 2 s x = 0 at x = l (h a + o b) / (h + o + s)."""
    each = {n: law(n, at=(0.25, -0.5), bend=(0.1, 0.05), shared=shared) for n in (32, 64, 128)}
    found, whole = pulls(each), 0.15 + shared
    assert found["bend"] == pytest.approx(whole)
    assert found["pull_hidden"] == pytest.approx(0.1 * 0.25 / whole)
    assert found["pull_others"] == pytest.approx(-0.05 * 0.5 / whole)
    assert found["pull_both"] == pytest.approx(found["pull_hidden"] + found["pull_others"])


def test_the_middle_width_of_three_has_no_say_in_a_slope_but_in_the_curvature():
    each = {n: law(n, at=(0.25, -0.5), bend=(0.1, 0.05)) for n in (32, 64, 128)}
    other = pulls(each | {64: law(64, at=(0.25, -0.5), bend=(0.4, 0.05))})
    assert other["bend"] == pytest.approx((0.15 + 0.45 + 0.15) / 3)
    assert other["pull_hidden"] * other["bend"] == pytest.approx(pulls(each)["pull_hidden"] * 0.15)


def test_a_parabola_in_octaves_and_losses_that_bend_downwards():
    """(x - 2)^2 around 0: slope -4, curvature 1."""
    of = {"middle": 4.0, "hidden_half": 9.0, "hidden_double": 1.0}
    assert parabola(of, "hidden") == (-4.0, 1.0)
    with pytest.raises(ValueError, match="bend by -0.15"):
        pulls({n: law(n, at=(0.0, 0.0), bend=(-0.1, -0.05)) for n in (32, 128)})


def test_a_group_alone_is_all_rates_with_the_other_set_back(monkeypatch):
    """hidden x 2 at lr is others x 1/2 at 2 lr: the same run, since factors of 2 are exact; and both is a sweep's run."""
    monkeypatch.setattr("sandbox.handoff.shared_rate.VOCAB", 10**9)  # three steps have learned nothing yet: no cap
    twice = replace(SMALL, lr=2 * SMALL.lr)
    of = losses(SMALL, 0)
    assert of["hidden_double"] == final_loss(twice, 0, "others", 0.5)
    assert of["others_double"] == final_loss(twice, 0, "hidden", 0.5)
    assert (of["middle"], of["both_double"]) == (trained(SMALL, 0)["loss"], trained(twice, 0)["loss"])
    assert len(of) == len(set(of.values())) == 7


@pytest.mark.parametrize("group", ["hidden", "others", "both"])
def test_a_factor_reaches_the_rates_of_its_group_alone(group, monkeypatch):
    """A run that is only asked for its rules: in the width 16 of base 64 rates of hidden matrices and head are 4 times the base's."""
    seen = {}
    monkeypatch.setattr(
        "sandbox.handoff.shared_rate.run", lambda _, rules, **others: seen.update(rules) or SimpleNamespace(status="diverged")
    )
    final_loss(SMALL, 0, group, 2)
    factor = {"hidden": (8, 4, 1), "others": (4, 8, 2), "both": (8, 8, 2)}[group]
    rates = [learning_rate(seen[name]) / SMALL.lr for name in ("blocks.0.attention.query.weight", "head.weight", "embedding.weight")]
    assert rates == pytest.approx(factor)


def test_a_run_that_diverges_costs_what_guessing_does():
    assert final_loss(replace(SMALL, lr=1e9), 0, "both", 1.0) == math.log(512)


def test_a_row_has_the_pulls_of_its_losses(monkeypatch):
    """With losses of a law in the place of runs: the base rate, the width and the seed reach them, and all of them are shown."""
    asked = []

    def planted(setting: Setting, seed: int) -> dict[str, float]:
        asked.append((setting.method, setting.lr, setting.steps, setting.width, seed))
        return law(setting.width, at=(0.25, -0.5), bend=(0.1, 0.05))

    monkeypatch.setattr("sandbox.handoff.shared_rate.losses", planted)
    first, _ = measure(Shared("adamw", 0.3, widths=(16, 32), steps=5), (0, 1))
    assert asked == [("adamw", 0.3, 5, width, seed) for seed in (0, 1) for width in (16, 32)]
    assert first["pull_both"] == pytest.approx(0.0, abs=1e-12)
    assert first["pull_hidden"] == pytest.approx(1 / 6)
    assert first["others_half_32"] == law(32, at=(0.25, -0.5), bend=(0.1, 0.05))["others_half"]
