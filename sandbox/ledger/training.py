"""One training run as a row: held-out loss at marks of the schedule; inf from where a run diverged."""

import math
from typing import Any

from sandbox.run import Rules, Schedule, run

MARKS = (0.1, 0.5, 1.0)


def held_out_at_marks(problem: Any, rules: Rules, *, steps: int, seed: int, **how: Any) -> dict[str, float]:
    """{"loss_10": ..., "loss_50": ..., "loss_100": ...}: `problem.held_out` at 10, 50 and 100 % of `steps`.

    Linear warm-up over 10 % and a cosine to 10 % of the learning rate. how: more for `sandbox.run.run`, such as oracle and shell.
    """
    marks = {round(steps * share): f"loss_{round(100 * share)}" for share in MARKS}
    schedule = Schedule(steps, warmup=steps // 10, floor=0.1)
    watch = lambda k, params: {marks[k]: problem.held_out(params)} if k in marks else None  # noqa: E731
    trace = run(problem, rules, steps=steps, seed=seed, schedule=schedule, watch=watch, **how)
    seen = {key: value for values in trace.watched.values() for key, value in values.items()}
    return {key: seen[key] if math.isfinite(seen.get(key, math.nan)) else math.inf for key in marks.values()}
