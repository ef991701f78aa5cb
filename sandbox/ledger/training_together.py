"""Many seeds of one training run at once, each as a row: held-out loss at marks of the schedule; inf from where a run diverged.

The ensemble shell steps all seeds together, which at 128 tokens a step is faster than one run after the other
(tests/benchmarks/bench_transformer_ensemble.py). `sandbox.ledger.training` is the same for one seed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from sandbox.run import Rules, Schedule
from sandbox.run_ensemble import run_ensemble

MARKS = (0.1, 0.5, 1.0)
CHUNK = 64  # held-out windows per forward pass


def losses_at_marks(problem: Any, rules: Rules, *, steps: int, seeds: Sequence[int]) -> list[dict[str, float]]:
    """One {"loss_10": ..., "loss_50": ..., "loss_100": ...} a seed, in nats per token, at 10, 50 and 100 % of `steps`.

    Linear warm-up over 10 % and a cosine to 10 % of the learning rate, as in `sandbox.ledger.training`.
    """
    marks = {round(steps * share): f"loss_{round(100 * share)}" for share in MARKS}
    traces = run_ensemble(
        problem,
        rules,
        steps=steps,
        seeds=tuple(seeds),
        schedule=Schedule(steps, warmup=steps // 10, floor=0.1),
        watch=lambda k, params: {marks[k]: held_out(problem, params)} if k in marks else None,
    )
    return [{key: finite(trace.watched.get(k, {}).get(key)) for k, key in marks.items()} for trace in traces]


@torch.no_grad()
def held_out(problem: Any, stacked: Mapping[str, Tensor]) -> Tensor:
    """(n_runs,) held-out loss, nats per token, of parameters (n_runs, ...) that are stacked over the runs; problem: a language problem."""
    chunks = problem.held_out_batch().split(CHUNK)
    each = [vmap(problem.loss, in_dims=(0, None))(dict(stacked), chunk).double() * len(chunk) for chunk in chunks]
    return torch.stack(each).sum(0) / sum(len(chunk) for chunk in chunks)


def finite(x: float | None) -> float:
    """x, or inf where a diverged run left nothing (its trace ends early) or not a number."""
    return math.inf if x is None or math.isnan(x) else float(x)
