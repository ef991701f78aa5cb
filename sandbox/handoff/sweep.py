"""Learning-rate sweeps at several widths, and the test of what they predict, as plans of the ledger.

    Swept    at every point, from the least on: 5 rates a factor of 2 apart around the best rate of the point before, extended by one more
             at an end as long as the best rate of the mean or of any seed lies there; then the next point
    Carried  after a sweep: half, predicted and double rate at a new width, on fresh paired seeds

A point is a width, or a value of another field of the setting (batch, steps, weight decay). Every rate is centre * 2^k, rounded to
three digits, so that all machines ask for the same rows; one seed is one task, so that a run that is stopped loses little.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox.fit import Sample
from sandbox.handoff.transfer import Line, Regret, best_log_rate, capped, line, mean_line, rule
from sandbox.ledger.claim import Rows, Setting, Task, refuse_repeated
from sandbox.ledger.tuning import round_rate

Octaves = list[int]


@dataclass(frozen=True)
class Swept:
    """setting: has a field `lr` and one named `along`; the values of both are ignored.  points: ascending.  centre: of the first grid.

    cap: losses above it count as it.  base: the point at which the rule is quoted.
    A sample per seed holds `exponent`, `rate` (of its line at the base), `rate_P` for every point P (its own best one), `edges`, the
    number of points at which the best rate lies at the end of all that was tried, and `rule`, what all seeds say together.

    Raises ValueError for fewer than two points or seeds, points that do not ascend, fewer than three rates, a centre or cap <= 0.
    """

    setting: Setting
    points: tuple[float, ...]
    seeds: tuple[int, ...]
    centre: float
    cap: float
    base: float
    along: str = "width"
    key: str = "loss"
    rates: int = 5
    most_extensions: int = 6

    def __post_init__(self) -> None:
        refuse_repeated("seeds of a sweep", self.seeds)
        if len(self.points) < 2 or len(self.seeds) < 2 or list(self.points) != sorted(set(self.points)):
            raise ValueError(f"a sweep needs 2 ascending points and 2 seeds at least, got points {self.points} and seeds {self.seeds}")
        if self.rates < 3 or not (self.centre > 0 and self.cap > 0):
            raise ValueError(
                f"a sweep needs 3 rates at least, a centre and a cap > 0, got {self.rates} rates, centre {self.centre}, cap {self.cap}"
            )

    def at(self, point: float, k: int) -> Setting:
        return replace(self.setting, **{self.along: point, "lr": round_rate(self.centre * 2.0**k)})

    def missing(self, rows: Rows) -> tuple[Task, ...]:
        centre = 0
        for point in self.points:
            octaves, left = self._search(rows, point, centre)
            if left:
                return tuple(left)
            means = self._means(rows, point, octaves)
            centre = octaves[least(means)]
        return ()

    def _search(self, rows: Rows, point: float, centre: int) -> tuple[Octaves, list[Task]]:
        """(octaves tried so far, what must run before more can be said; [] when the point is done)."""
        half = self.rates // 2
        octaves = list(range(centre - half, centre - half + self.rates))
        for extension in range(self.most_extensions + 1):
            left = [Task(self.at(point, k), (seed,)) for k in octaves for seed in self.seeds if rows(self.at(point, k), seed) is None]
            if left or extension == self.most_extensions:
                return octaves, left
            sides = self._at_ends(rows, point, octaves)
            if not sides:
                return octaves, []
            octaves = [*([octaves[0] - 1] if "low" in sides else []), *octaves, *([octaves[-1] + 1] if "high" in sides else [])]
        return octaves, []

    def _at_ends(self, rows: Rows, point: float, octaves: Octaves) -> set[str]:
        """Where the best rate of the mean, or of a seed, lies at an end."""
        each = [list(self._losses(rows, point, seed, octaves).values()) for seed in self.seeds]
        best = {least(losses) for losses in (*each, self._means(rows, point, octaves))}
        return ({"low"} if 0 in best else set()) | ({"high"} if len(octaves) - 1 in best else set())

    def _losses(self, rows: Rows, point: float, seed: int, octaves: Octaves) -> dict[float, float]:
        settings = [self.at(point, k) for k in octaves]
        return {setting.lr: capped(float(rows(setting, seed).values[self.key]), self.cap) for setting in settings}

    def _means(self, rows: Rows, point: float, octaves: Octaves) -> list[float]:
        each = [self._losses(rows, point, seed, octaves).values() for seed in self.seeds]
        return [sum(column) / len(column) for column in zip(*each, strict=True)]

    def octaves(self, rows: Rows) -> dict[float, Octaves]:
        """By point, what was tried; every row must be there."""
        found, centre = {}, 0
        for point in self.points:
            found[point], _ = self._search(rows, point, centre)
            centre = found[point][least(self._means(rows, point, found[point]))]
        return found

    def best(self, rows: Rows, seed: int) -> dict[float, float]:
        """Log of the best rate of a seed, by point."""
        tried = self.octaves(rows)
        return {point: best_log_rate(self._losses(rows, point, seed, tried[point]), self.cap) for point in self.points}

    def lines(self, rows: Rows) -> list[Line]:
        """One a seed."""
        return [line(self.best(rows, seed), self.base) for seed in self.seeds]

    def predicted(self, rows: Rows, point: float) -> float:
        """The best rate at another point, by the means over seeds."""
        return round_rate(mean_line(self.lines(rows)).rate(point))

    def samples(self, rows: Rows) -> tuple[tuple[Setting, tuple[Sample, ...]], ...]:
        edges = sum(bool(self._at_ends(rows, point, octaves)) for point, octaves in self.octaves(rows).items())
        shared = {"edges": edges, "rule": rule(self.lines(rows), self.points)}
        return ((self.setting, tuple(self._sample(rows, seed, shared) for seed in self.seeds)),)

    def _sample(self, rows: Rows, seed: int, shared: Mapping[str, Any]) -> Sample:
        best = self.best(rows, seed)
        fitted = line(best, self.base)
        row = rows(self.at(self.points[-1], self.octaves(rows)[self.points[-1]][0]), seed)
        values = {"exponent": fitted.exponent, "rate": fitted.rate(self.base), **shared}
        return Sample(seed, values | {f"rate_{point:g}": math.exp(x) for point, x in best.items()}, row.code, row.date)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What runs where the best rates lie in the middle of the first grid."""
        half = self.rates // 2
        return tuple(self.at(point, k) for point in self.points for k in range(-half, self.rates - half))


@dataclass(frozen=True)
class Carried:
    """sweep: says what is predicted.  point: the new width.  seeds: fresh ones.

    A sample per seed holds the losses `half`, `predicted` and `double`, `lr`, the rate that was predicted, and of all seeds together the
    `rule` that predicted it and the `regret` with its 95 % interval.

    Raises ValueError where a seed was swept on, or the point lies inside the sweep.
    """

    sweep: Swept
    point: float
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        refuse_repeated("fresh seeds", self.seeds)
        if set(self.seeds) & set(self.sweep.seeds) or self.point in self.sweep.points:
            raise ValueError(f"a test needs fresh seeds and a new point, got seeds {self.seeds} and {self.sweep.along} {self.point}")

    def around(self, rows: Rows) -> Mapping[str, Setting]:
        lr = self.sweep.predicted(rows, self.point)
        factors = {"half": 0.5, "predicted": 1.0, "double": 2.0}
        return {
            name: replace(self.sweep.setting, **{self.sweep.along: self.point, "lr": round_rate(lr * x)}) for name, x in factors.items()
        }

    def missing(self, rows: Rows) -> tuple[Task, ...]:
        if left := self.sweep.missing(rows):
            return left
        return tuple(Task(one, (seed,)) for seed in self.seeds for one in self.around(rows).values() if rows(one, seed) is None)

    def samples(self, rows: Rows) -> tuple[tuple[Setting, tuple[Sample, ...]], ...]:
        around = self.around(rows)
        samples = [self._sample(rows, around, seed) for seed in self.seeds]
        cost = Regret(self.sweep.cap)(samples, "regret")
        found = {"value": cost.value, "low": cost.low, "high": cost.high, "width": self.point}
        shared = {"rule": rule(self.sweep.lines(rows), self.sweep.points), "regret": found}
        return ((around["predicted"], tuple(replace(one, values={**one.values, **shared}) for one in samples)),)

    def _sample(self, rows: Rows, around: Mapping[str, Setting], seed: int) -> Sample:
        found = {name: rows(setting, seed) for name, setting in around.items()}
        values: dict[str, Any] = {name: row.values[self.sweep.key] for name, row in found.items()}
        return Sample(seed, values | {"lr": around["predicted"].lr}, found["predicted"].code, found["predicted"].date)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """What the sweep runs in any case, and the new width at its centre."""
        return (*self.sweep.settings, replace(self.sweep.at(self.point, 0)))


def least(values: list[float]) -> int:
    return min(range(len(values)), key=values.__getitem__)
