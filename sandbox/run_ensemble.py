"""Many runs of one problem at once -> one Trace each: seeds and settings together, under `torch.func.vmap`.

The same rules, starts, batches and draws as `sandbox.run.run`, hence the same trajectories to rounding. Data and noise
are drawn outside of vmap, run by run and keyed by (seed, step), and handed in stacked.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from sandbox.draws import generator
from sandbox.optimizers.base import with_fields
from sandbox.oracles.backprop import Backprop
from sandbox.oracles.base import Oracle
from sandbox.perturbations.directions import at_step
from sandbox.problems.base import Params, Problem
from sandbox.run import ORACLE_STREAM, Rules, Trace
from sandbox.shells.ensemble import Recorded, Runs, ensemble

Watched = dict[int, Mapping[str, Tensor]]


def run_ensemble(
    problem: Problem,
    rules: Rules,
    *,
    steps: int,
    seeds: Sequence[int],
    values: Mapping[str, Sequence[float]] | None = None,
    oracle: Oracle | None = None,
    schedule: Callable[[int], float] | None = None,
    watch: Callable[[int, Params], Mapping[str, Tensor] | None] | None = None,
) -> tuple[Trace, ...]:
    """One Trace per seed, in their order; run i is `run(problem, rules with values[...][i], seed=seeds[i], ...)`.

    values: a field of every rule -> one number per run.  watch: called before every step and after the last with (k,
    parameters stacked over the runs); what it returns holds (n_runs,) numbers.  All runs make all steps: the trace of
    one that diverges ends at its first loss that is not finite, as in `run`, but `final` is what the last step left.

    Raises ValueError for no seeds, for values that are not one per run, or for a field that a rule lacks.
    """
    if not seeds:
        raise ValueError("an ensemble needs at least one seed, got none")
    oracle, seen, seeds = oracle or Backprop(), {}, tuple(seeds)
    columns = {name: torch.as_tensor(column, dtype=torch.float64) for name, column in (values or {}).items()}
    starts = [problem.start(seed) for seed in seeds]
    stacked = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
    inputs = _Inputs(problem, oracle, seeds, starts[0])

    def look(k: int, params: Params) -> None:
        if watched := watch(k, params):
            seen[k] = watched

    recorded = ensemble(
        inputs.loss_and_grads,
        rules,
        Runs(stacked, seeds, columns),
        steps=steps,
        extra=inputs,
        schedule=schedule,
        watch=look if watch else None,
    )
    made = [_with(rules, {name: float(column[i]) for name, column in columns.items()}) for i in range(len(seeds))]
    return tuple(Trace(problem, oracle, made[i], "ensemble", seed, **_numbers(i, recorded, seen)) for i, seed in enumerate(seeds))


class _Inputs:
    """Batches and the oracle's draws of one step, stacked over the runs: called with k outside of vmap, opened inside.

    Both are trees of tensors, the same tree for every run; a leaf that is no tensor is shared, and where there is nothing random for
    one run (None) there is nothing for any.
    Steps are opened in the order in which they were called.
    """

    def __init__(self, problem: Problem, oracle: Oracle, seeds: tuple[int, ...], like: Params):
        self.problem, self.oracle, self.seeds, self.like = problem, oracle, seeds, like
        self.called: deque[tuple[Oracle, list[Any], Any]] = deque()  # (oracle at k, leaves, tree)

    def __call__(self, k: int) -> tuple[Tensor, ...]:
        now = at_step(self.oracle, k)
        batch = _stacked(lambda seed: self.problem.batch(seed, k), self.seeds)
        draw = _stacked(lambda seed: now.draw(generator(seed, ORACLE_STREAM, k), self.like), self.seeds)
        leaves, tree = tree_flatten((batch, draw))
        self.called.append((now, leaves, tree))
        return tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))

    def loss_and_grads(self, params: Params, tensors: tuple[Tensor, ...]) -> tuple[Tensor, Params]:
        (oracle, leaves, tree), mine = self.called.popleft(), iter(tensors)
        batch, draw = tree_unflatten([next(mine) if isinstance(leaf, Tensor) else leaf for leaf in leaves], tree)
        return oracle(self.problem, params, batch, draw)


def _stacked(made: Callable[[int], Any], seeds: tuple[int, ...]) -> Any:
    """The tree that is made for every seed, stacked leaf by leaf; None, at the price of one, where the first is None."""
    first = made(seeds[0])
    if first is None:
        return None
    every = [first, *(made(seed) for seed in seeds[1:])]
    if isinstance(first, Tensor):  # most are, and flattening a thousand trees costs more than the draws
        return torch.stack(every)
    per_run, tree = zip(*(tree_flatten(one)[0] for one in every), strict=True), tree_flatten(first)[1]
    return tree_unflatten([torch.stack(leaf) if isinstance(leaf[0], Tensor) else leaf[0] for leaf in per_run], tree)


def _with(rules: Rules, values: Mapping[str, Any]) -> Rules:
    if isinstance(rules, Mapping):
        return {name: _with(rule, values) for name, rule in rules.items()}
    return with_fields(rules, **values)


def _numbers(i: int, recorded: Recorded, seen: Watched) -> dict[str, Any]:
    """What the Trace of run i holds beside its settings."""
    loss, norm = (x[i].double().numpy() if len(x) else np.empty(0) for x in (recorded.losses, recorded.grad_norms))
    final = {name: w[i].double().numpy().copy() for name, w in recorded.params.items()}
    bad = np.flatnonzero(~np.isfinite(loss))
    n = bad[0] + 1 if len(bad) else len(loss)
    last_look = n - 1 if len(bad) else n
    finite = not len(bad) and all(np.isfinite(w).all() for w in final.values())
    watched = {k: {key: float(x[i]) for key, x in numbers.items()} for k, numbers in seen.items() if k <= last_look}
    status = "finished" if finite else "diverged"
    return {"loss": loss[:n], "grad_norm": norm[:n], "final": final, "watched": watched, "status": status}
