"""The two-stage plan on loss surfaces whose best learning rate is known."""

import math
from dataclasses import dataclass

import pytest

from sandbox.fit import Sample
from sandbox.ledger.tuning import Tuned, edge_remark, round_rate, together

GRID = (0.1, 0.2, 0.4)


@dataclass(frozen=True)
class Method:
    name: str
    lr: float = 0.0


class Rows:
    """Runs tasks on a surface `loss(method, lr, seed)` and counts how often each was run."""

    def __init__(self, loss):
        self.loss, self.rows, self.runs = loss, {}, []

    def __call__(self, setting, seed):
        return self.rows.get((setting, seed))

    def work(self, plan, most=50):
        for _ in range(most):
            tasks = plan.missing(self)
            if not tasks:
                return plan.samples(self)
            for task in tasks:
                for seed in task.seeds:
                    self.runs.append((task.setting, seed))
                    value = self.loss(task.setting.name, task.setting.lr, seed)
                    self.rows[task.setting, seed] = Sample(seed, {"loss": value, "early": 2 * value}, "c0de", "2026-01-01")
        raise AssertionError("the plan never ends")

    def rates(self, name, seeds=(0, 1, 2)):
        return sorted({s.lr for s, seed in self.runs if s.name == name and seed in seeds})


def plan(**changed):
    common = {"our_lrs": GRID, "their_lrs": GRID, "tune_seeds": (0, 1, 2), "seeds": (10, 11), "key": "loss"}
    return Tuned(Method("ours"), Method("theirs"), **(common | changed))


def bowl(best):
    """Loss log2(lr / best)^2 plus a little that depends on the seed: the best rate is the nearest of the grid in octaves."""
    return lambda name, lr, seed: math.log2(lr / best[name]) ** 2 + 1e-3 * seed


def test_best_inside_runs_the_grid_and_then_fresh_pairs_at_the_best():
    rows = Rows(bowl({"ours": 0.2, "theirs": 0.22}))
    ((setting, samples),) = rows.work(plan(also=("early",)))
    assert setting == Method("ours", 0.2)
    assert rows.rates("ours") == list(GRID) == rows.rates("theirs")
    assert [s.seed for s in samples] == [10, 11]
    assert samples[1].values["ours"] == pytest.approx(0.011, abs=1e-12)  # log2(1) is 0
    assert samples[0].values["theirs"] == pytest.approx(math.log2(0.2 / 0.22) ** 2 + 0.01, rel=1e-12)
    assert samples[0].values["theirs_early"] == 2 * samples[0].values["theirs"]
    assert samples[0].values["their_lr"] == 0.2 and samples[0].code == "c0de"


def test_nothing_is_run_twice_and_both_sides_cost_the_same():
    rows = Rows(bowl({"ours": 0.2, "theirs": 0.2}))
    rows.work(plan())
    assert len(rows.runs) == len(set(rows.runs)) == 2 * (3 * 3 + 2)
    each = {name: sum(s.name == name for s, _ in rows.runs) for name in ("ours", "theirs")}
    assert each["ours"] == each["theirs"] == 11


def test_seeds_of_tuning_decide_by_their_mean_and_the_fresh_ones_have_no_say():
    """0.1 wins two of three seeds, 0.2 the mean; on the fresh seeds 0.4 would be best."""

    def loss(name, lr, seed):
        if seed >= 10:
            return {0.1: 3.0, 0.2: 2.0, 0.4: 0.0}[lr]
        return {0.1: (1.0, 1.0, 9.0), 0.2: (2.0, 2.0, 2.0), 0.4: (5.0, 5.0, 5.0)}[lr][seed]

    rows = Rows(loss)
    ((setting, _),) = rows.work(plan())
    assert setting.lr == 0.2 and rows.rates("ours", (10, 11)) == [0.2]


@pytest.mark.parametrize("best, rates, chosen", [(0.8, [0.1, 0.2, 0.4, 0.8, 1.6], 0.8), (0.05, [0.025, 0.05, 0.1, 0.2, 0.4], 0.05)])
def test_best_at_an_edge_extends_the_grid_until_it_is_inside(best, rates, chosen):
    rows = Rows(bowl({"ours": best, "theirs": 0.2}))
    ((setting, _),) = rows.work(plan())
    assert rows.rates("ours") == pytest.approx(rates) and setting.lr == chosen
    assert rows.rates("theirs") == list(GRID)  # the other side needs none


def test_the_other_side_extends_by_the_same_rule():
    rows = Rows(bowl({"ours": 0.2, "theirs": 0.8}))
    ((_, samples),) = rows.work(plan())
    assert samples[0].values["their_lr"] == 0.8 and rows.rates("theirs")[-1] == 1.6


@pytest.mark.parametrize("best, end", [(1e9, 0.4 * 2**4), (1e-9, 0.1 / 2**4)])
def test_it_stops_after_the_most_extensions_and_takes_the_edge(best, end):
    rows = Rows(bowl({"ours": best, "theirs": 0.2}))
    ((setting, _),) = rows.work(plan())
    assert setting.lr == pytest.approx(end, rel=5e-3)  # rates are rounded to three digits
    assert len(rows.rates("ours")) == 3 + 4


@pytest.mark.parametrize(
    "ours, theirs, sides", [(0.2, 0.2, []), (0.8, 0.2, []), (1e9, 0.2, ["ours"]), (0.2, 1e-9, ["theirs"]), (1e9, 1e9, ["ours", "theirs"])]
)
def test_a_best_rate_that_stays_at_an_edge_is_said(ours, theirs, sides):
    ((_, samples),) = Rows(bowl({"ours": ours, "theirs": theirs})).work(plan())
    for sample in samples:
        assert [side for side in ("ours", "theirs") if sample.values[f"{side}_at_edge"]] == sides
    remark = edge_remark(samples)
    assert all(side in remark for side in sides) and bool(remark) == bool(sides)
    assert "theirs" not in remark or "theirs" in sides


def test_samples_of_other_plans_have_no_edge():
    assert edge_remark([Sample(0, {"x": 1.0})]) == ""


def test_no_extension_allowed():
    rows = Rows(bowl({"ours": 9.0, "theirs": 0.2}))
    ((setting, _),) = rows.work(plan(most_extensions=0))
    assert setting.lr == 0.4 and rows.rates("ours") == list(GRID)


@pytest.mark.parametrize("lost", [math.inf, math.nan, -math.inf])
def test_a_rate_that_diverges_on_one_seed_is_never_chosen(lost):
    def loss(name, lr, seed):
        if lr > 0.3:
            return lost if seed == 1 else -5.0
        return abs(lr - 0.2)

    ((setting, _),) = Rows(loss).work(plan())
    assert setting.lr == 0.2


def test_where_every_rate_diverges_the_grid_goes_down():
    rows = Rows(lambda name, lr, seed: math.inf if lr > 0.03 else lr)
    ((setting, samples),) = rows.work(plan())
    assert setting.lr < 0.03 and math.isfinite(samples[0].values["ours"])


def test_where_even_the_lowest_diverges_the_comparison_says_so():
    rows = Rows(lambda name, lr, seed: math.inf if name == "ours" else abs(lr - 0.2))
    ((_, samples),) = rows.work(plan())
    assert math.isinf(samples[0].values["ours"]) and math.isfinite(samples[0].values["theirs"])


def test_claims_that_share_a_baseline_share_its_rows():
    rows = Rows(bowl({"ours": 0.2, "theirs": 0.2, "third": 0.2}))
    rows.work(plan())
    before = len(rows.runs)
    rows.work(Tuned(Method("third"), Method("theirs"), GRID, GRID, (0, 1, 2), (10, 11), key="loss"))
    assert {s.name for s, _ in rows.runs[before:]} == {"third"}


def test_stages_come_one_after_the_other():
    rows, made = Rows(bowl({"ours": 0.2, "theirs": 0.2})), plan()
    first = made.missing(rows)
    assert {seed for task in first for seed in task.seeds} == {0, 1, 2}
    assert len(first) == 6  # one task per setting holds all its seeds


def test_together_keeps_order_and_gathers_seeds():
    a, b = Method("a"), Method("b")
    assert [(t.setting, t.seeds) for t in together([(a, 1), (b, 1), (a, 2)])] == [(a, (1, 2)), (b, (1,))]


def test_rates_are_rounded_so_that_their_hash_is_the_same_everywhere():
    assert round_rate(0.1 * 0.1 / 0.30000000000000004) == 0.0333


def test_wrong_plans():
    with pytest.raises(ValueError, match=r"fresh seeds must differ, but 1 of 3 stand there before: \[11\]"):
        plan(seeds=(10, 11, 11))
    with pytest.raises(ValueError, match=r"tuning seeds must differ, but 1 of 2 stand there before: \[0\]"):
        plan(tune_seeds=(0, 0))
    with pytest.raises(ValueError, match="two different settings, got Method.*'ours'.* twice"):
        Tuned(Method("ours", 0.1), Method("ours"), GRID, GRID, (0, 1), (10, 11), key="loss")
    with pytest.raises(ValueError, match=r"fresh seeds; \[2\] were tuned on"):
        plan(seeds=(2, 3))
    with pytest.raises(ValueError, match="same tuning budget; got 3 and 4"):
        plan(their_lrs=(*GRID, 0.8))
    for grid in ((0.1, 0.2), (0.1, 0.4, 0.2), (0.1, 0.1, 0.2)):
        with pytest.raises(ValueError, match="at least 3 learning rates, ascending"):
            plan(our_lrs=grid, their_lrs=grid)
