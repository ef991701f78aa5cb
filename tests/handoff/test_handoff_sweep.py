"""Plans of sweeps against a made-up law: log best rate = centre + exponent * log width, losses a parabola around it."""

import math
from dataclasses import dataclass, replace

import pytest

from sandbox.fit import Sample
from sandbox.handoff.sweep import Carried, Swept
from sandbox.handoff.transfer import Regret
from sandbox.ledger.claim import Task

CAP = 6.0


@dataclass(frozen=True)
class Law:
    """A setting as sweeps want it."""

    width: int = 64
    lr: float = 0.0


@dataclass
class World:
    """Rows of the law, made when a plan asks for them. jitter: of the best octave, by seed.  bias: octaves of error beyond width 256."""

    exponent: float
    at_64: float = 0.01
    curvature: float = 0.05
    jitter: float = 0.0
    bias: float = 0.0
    explodes_above: float = math.inf

    def __post_init__(self):
        self.rows = {}

    def loss(self, one: Law, seed: int) -> float:
        best = math.log2(self.at_64) + self.exponent * math.log2(one.width / 64) + self.jitter * (seed % 3 - 1)
        best += self.bias if one.width > 256 else 0.0
        return math.inf if one.lr > self.explodes_above else 3 + self.curvature * (math.log2(one.lr) - best) ** 2

    def __call__(self, one: Law, seed: int) -> Sample | None:
        return self.rows.get((one, seed))

    def run(self, task: Task) -> None:
        for seed in task.seeds:
            assert (task.setting, seed) not in self.rows, "a row was asked for twice"
            self.rows[task.setting, seed] = Sample(seed, {"loss": self.loss(task.setting, seed)})


def sweep(**fields) -> Swept:
    common = {"setting": Law(), "points": (32, 64, 128, 256), "seeds": (0, 1, 2), "centre": 0.012, "cap": CAP, "base": 64}
    return Swept(**(common | fields))


def done(plan, world: World) -> World:
    for _ in range(200):
        tasks = plan.missing(world)
        if not tasks:
            return world
        world.run(tasks[0])
    raise AssertionError("the plan never comes to its end")


@pytest.mark.parametrize("exponent", [0.0, -0.5, -1.0, 0.7])
def test_the_exponent_of_a_parabola_is_recovered(exponent):
    """Exactly, for the law is the parabola that is fitted; rates are rounded to three digits, so to 1 % of an octave."""
    plan = sweep()
    world = done(plan, World(exponent))
    ((_, samples),) = plan.samples(world)
    assert [sample.seed for sample in samples] == [0, 1, 2]
    for sample in samples:
        assert sample.values["exponent"] == pytest.approx(exponent, abs=0.02)
        assert sample.values["rate"] == pytest.approx(0.01, rel=0.02)
        assert sample.values["edges"] == 0


def test_a_far_centre_extends_the_grid_and_the_next_width_begins_around_the_best():
    plan = sweep(centre=0.012 * 2**5)
    world = done(plan, World(-1.0))
    tried = plan.octaves(world)
    assert min(tried[32]) < -4 and max(tried[32]) == 2
    assert all(len(tried[width]) == 5 for width in (64, 128, 256))  # each begins one octave above its own best
    assert len(world.rows) == 3 * sum(map(len, tried.values()))


def test_a_best_rate_of_one_seed_at_an_end_extends_the_grid_too():
    alone, spread = sweep(), sweep()
    quiet, noisy = done(alone, World(0.0)), done(spread, World(0.0, jitter=1.6))
    assert len(quiet.rows) == 3 * 4 * 5 < len(noisy.rows)


def test_a_grid_stops_at_its_most_extensions_and_says_so():
    plan = sweep(most_extensions=1)
    world = done(plan, World(0.0, at_64=10.0))
    ((_, samples),) = plan.samples(world)
    assert samples[0].values["edges"] > 0


def test_a_run_that_explodes_counts_as_the_cap():
    plan = sweep()
    world = done(plan, World(0.0, explodes_above=0.013))
    ((_, samples),) = plan.samples(world)
    assert all(sample.values["rate_256"] < 0.0125 for sample in samples)  # pushed away from the neighbour that exploded
    assert all(math.isfinite(sample.values["exponent"]) for sample in samples)


def test_the_smallest_width_comes_first_and_one_seed_is_one_task():
    tasks = sweep().missing(World(0.0))
    assert {task.setting.width for task in tasks} == {32} and {len(task.seeds) for task in tasks} == {1} and len(tasks) == 15


def test_along_another_field():
    plan = sweep(along="lr_scale", setting=Other(), points=(1.0, 4.0), base=1.0)
    assert {task.setting.lr_scale for task in plan.missing(World(0.0))} == {1.0}


@dataclass(frozen=True)
class Other:
    lr_scale: float = 1.0
    lr: float = 0.0


def test_the_test_runs_around_what_the_sweep_predicts():
    plan = Carried(sweep(), 512, (100, 101))
    world = done(plan, World(-1.0))
    new = sorted({one.lr for one, seed in world.rows if one.width == 512})
    assert new == pytest.approx([0.5 * 0.01 / 8, 0.01 / 8, 2 * 0.01 / 8], rel=0.03)  # the line, to the rounding of rates
    ((setting, samples),) = plan.samples(world)
    assert setting.width == 512 and setting.lr == new[1] == samples[0].values["lr"]
    assert [sample.seed for sample in samples] == [100, 101]
    assert samples[0].values["half"] > samples[0].values["predicted"] < samples[0].values["double"]


def test_half_is_the_smaller_rate_and_double_the_larger():
    """Where the law has its best rate an octave above the prediction the double rate is best, an octave below the half."""
    for bias, best in ((1.0, "double"), (-1.0, "half")):
        plan = Carried(sweep(), 512, (100, 101))
        ((_, samples),) = plan.samples(done(plan, World(-0.5, bias=bias)))
        assert min(("half", "predicted", "double"), key=samples[0].values.__getitem__) == best


def test_a_shifted_law_costs_what_the_parabola_says():
    """An octave off costs the curvature, 0.05; nothing off costs nothing."""
    for bias, cost in ((0.0, 0.0), (1.0, 0.05), (-1.0, 0.05)):
        plan = Carried(sweep(), 512, (100, 101))
        ((_, samples),) = plan.samples(done(plan, World(-0.5, bias=bias)))
        assert Regret(CAP)(samples, "regret").value == pytest.approx(cost, abs=0.003)  # rates are rounded to three digits


def test_what_cannot_be_a_sweep_is_refused():
    for fields in ({"points": (64,)}, {"points": (64, 32)}, {"seeds": (0,)}, {"rates": 2}, {"centre": 0.0}, {"cap": 0.0}):
        with pytest.raises(ValueError, match="a sweep needs"):
            sweep(**fields)
    with pytest.raises(ValueError, match="fresh seeds"):
        Carried(sweep(), 512, (2, 3))
    with pytest.raises(ValueError, match="new point"):
        Carried(sweep(), 256, (100,))
    with pytest.raises(ValueError, match="must differ"):
        sweep(seeds=(0, 0))


def test_settings_are_what_runs_first():
    plan = sweep()
    assert set(plan.settings) >= {task.setting for task in plan.missing(World(0.0))}
    assert replace(plan.settings[0], lr=0.0) == Law(width=32)
