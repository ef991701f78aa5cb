"""The plan of a training claim: tune both methods with the same budget, then compare them on fresh paired seeds.

Stage 1: every learning rate of the grid x the tuning seeds, for both methods. If the best one lies at an edge of the grid, the grid
extends itself by one more rate there (the same factor), until the best is inside or `most_extensions` were made. Then the best one is
taken where it is, and every sample says so: a better rate may lie beyond, which speaks for the other side if it is ours and for ours if
it is theirs (`at_edge`, shown beside the verdict).
Stage 2: the best rate of each method x the fresh seeds; the two methods share each seed, hence data and initial weights.
Seeds, grid, key and stopping step are fixed in the claim, before the run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from sandbox.fit import Sample
from sandbox.ledger.claim import Rows, Setting, Task, refuse_repeated


@dataclass(frozen=True)
class Tuned:
    """ours, theirs: settings with a field `lr` (its value is ignored) and grids of learning rates, ascending, at least 3.

    key: the value to minimise, e.g. held-out loss in nats per token.
    A sample of the comparison holds `ours` and `theirs` (the key), `ours_K`, `theirs_K` for each other key K in `also`, `their_lr`, and
    `ours_at_edge`, `theirs_at_edge`: whether the rate lies at an edge of all that was tried.

    Raises ValueError for grids of different lengths, shorter than 3 or not ascending, for seeds that stand twice or in both
    stages, and for two sides that are the same setting.
    """

    ours: Setting
    theirs: Setting
    our_lrs: tuple[float, ...]
    their_lrs: tuple[float, ...]
    tune_seeds: tuple[int, ...]
    seeds: tuple[int, ...]
    key: str
    also: tuple[str, ...] = ()
    most_extensions: int = 4

    def __post_init__(self):
        refuse_repeated("tuning seeds", self.tune_seeds)
        refuse_repeated("fresh seeds", self.seeds)
        if replace(self.ours, lr=self.theirs.lr) == self.theirs:
            raise ValueError(f"a comparison needs two different settings, got {self.ours} twice (its lr is ignored)")
        if set(self.tune_seeds) & set(self.seeds):
            raise ValueError(f"the comparison needs fresh seeds; {sorted(set(self.tune_seeds) & set(self.seeds))} were tuned on")
        if len(self.our_lrs) != len(self.their_lrs):
            raise ValueError(f"both sides get the same tuning budget; got {len(self.our_lrs)} and {len(self.their_lrs)} learning rates")
        for lrs in (self.our_lrs, self.their_lrs):
            if len(lrs) < 3 or any(b <= a for a, b in pairwise(lrs)):
                raise ValueError(f"a grid needs at least 3 learning rates, ascending, so that one lies inside; got {lrs}")

    def missing(self, rows: Rows) -> tuple[Task, ...]:
        tasks = []
        for setting, lrs in ((self.ours, self.our_lrs), (self.theirs, self.their_lrs)):
            best, left = self.best_lr(rows, setting, lrs)
            tuned = replace(setting, lr=best) if best is not None else None
            left += [(tuned, s) for s in self.seeds if best is not None and rows(tuned, s) is None]
            tasks += together(left)
        return tuple(tasks)

    def best_lr(self, rows: Rows, setting: Setting, lrs: tuple[float, ...]) -> tuple[float | None, list]:
        """(best learning rate, []) once it is known, or (None, the (setting, seed) pairs still missing)."""
        grid, best, left = self._search(rows, setting, lrs)
        return (None, left) if left else (grid[best], [])

    def at_edge(self, rows: Rows, setting: Setting, lrs: tuple[float, ...]) -> bool:
        """Whether the best rate is the lowest or the highest that was tried, once it is known."""
        grid, best, _ = self._search(rows, setting, lrs)
        return best in (0, len(grid) - 1)

    def _search(self, rows: Rows, setting: Setting, lrs: tuple[float, ...]) -> tuple[list[float], int, list]:
        """(all rates tried, index of the best, what is missing); the index means nothing while something is."""
        grid = list(lrs)
        for extension in range(self.most_extensions + 1):
            left = [(replace(setting, lr=lr), s) for lr in grid for s in self.tune_seeds if rows(replace(setting, lr=lr), s) is None]
            if left:
                return grid, 0, left
            losses = [self._mean(rows, replace(setting, lr=lr)) for lr in grid]
            best = min(range(len(grid)), key=losses.__getitem__)
            if 0 < best < len(grid) - 1 or extension == self.most_extensions:
                break
            at_top = best == len(grid) - 1
            grid = [*grid, round_rate(grid[-1] * grid[-1] / grid[-2])] if at_top else [round_rate(grid[0] * grid[0] / grid[1]), *grid]
        return grid, best, []

    def _mean(self, rows: Rows, setting: Setting) -> float:
        values = [float(rows(setting, seed).values[self.key]) for seed in self.tune_seeds]
        return sum(values) / len(values) if all(math.isfinite(v) for v in values) else math.inf

    def samples(self, rows: Rows) -> tuple[tuple[Setting, tuple[Sample, ...]], ...]:
        sides = ((self.ours, self.our_lrs), (self.theirs, self.their_lrs))
        ours, theirs = (replace(setting, lr=self.best_lr(rows, setting, lrs)[0]) for setting, lrs in sides)
        ours_at_edge, theirs_at_edge = (self.at_edge(rows, setting, lrs) for setting, lrs in sides)
        shared = {"their_lr": theirs.lr, "ours_at_edge": ours_at_edge, "theirs_at_edge": theirs_at_edge}
        return ((ours, tuple(self._pair(rows(ours, s), rows(theirs, s), shared) for s in self.seeds)),)

    def _pair(self, ours: Sample, theirs: Sample, shared: dict[str, Any]) -> Sample:
        values = {"ours": ours.values[self.key], "theirs": theirs.values[self.key], **shared}
        for key in self.also:
            values |= {f"ours_{key}": ours.values[key], f"theirs_{key}": theirs.values[key]}
        return Sample(ours.seed, values, ours.code, ours.date)


def edge_remark(samples: Sequence[Sample]) -> str:
    """The sentence about sides whose best rate lies at an edge of its grid; "" where none does, or nothing was tuned."""
    sides = [side for side in ("ours", "theirs") if any(sample.values.get(f"{side}_at_edge") for sample in samples)]
    if not sides:
        return ""
    return f"the best learning rate of {' and of '.join(sides)} lies at an edge of its extended grid; a better one may lie beyond"


def together(pairs: list[tuple[Setting, int]]) -> list[Task]:
    """One task per setting, with all its seeds: the ensemble shell takes them at once."""
    seeds: dict[Setting, list[int]] = {}
    for setting, seed in pairs:
        seeds.setdefault(setting, []).append(seed)
    return [Task(setting, tuple(some)) for setting, some in seeds.items()]


def round_rate(lr: float) -> float:
    """Three significant digits, so that an extended grid has the same hash on every machine."""
    return float(f"{lr:.3g}")
