"""The ensemble shell: many runs of one problem at once, under torch.func.vmap; each run has its own start, settings
and seed.

    runs = Runs(params={"x": (n, d) starts}, seeds=range(n), values={"lr": (n,) tensor})
    recorded = ensemble(loss_and_grads, Adam(lr=0.1), runs, steps=500)

The same rules as in the other shells, and the trajectories of single runs to rounding. Worth it for small problems
(quadratics), where Python's overhead is the cost; tiny transformers are faster one after the other. Over hundreds of
steps Adam near a minimum amplifies rounding, so compare trajectories over tens of steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils._pytree import tree_map

from sandbox.draws import generator
from sandbox.optimizers.base import Rule, State, advance, as_tensors, due, with_fields
from sandbox.optimizers.settings import learning_rate
from sandbox.shells.assignment import assign

Params = dict[str, Tensor]
STRIDE = 20  # steps inside one call of vmap: entering it costs more than a step of a small problem


@dataclass(frozen=True)
class Runs:
    """params: (n_runs, ...) per name.  seeds: one per run, for draws of frames.  values: field of a rule -> (n_runs,).

    A value is put into every rule; structural fields (rank, update_gap, n_blocks, ...) cannot vary within an ensemble.
    Raises ValueError where the lengths differ.
    """

    params: Mapping[str, Tensor]
    seeds: tuple[int, ...]
    values: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {name: len(x) for name, x in (*self.params.items(), *self.values.items())}
        wrong = {name: n for name, n in lengths.items() if n != len(self.seeds)}
        if wrong:
            raise ValueError(
                f"every tensor must be stacked over the {len(self.seeds)} runs (one per seed), got {wrong}; "
                "expand a shared start or setting along a new first dimension"
            )


@dataclass(frozen=True)
class Recorded:
    """losses, grad_norms: (n_runs, len(steps)), at the weights before each of `steps`.  params: the last, stacked."""

    steps: tuple[int, ...]
    losses: Tensor
    grad_norms: Tensor
    params: Params


def ensemble(
    loss_and_grads: Callable[[Params, Any], tuple[Tensor, Params]],
    rules: Rule | Mapping[str, Rule],
    runs: Runs,
    *,
    steps: int,
    record_every: int = 1,
    extra: Callable[[int], Any] | None = None,
    schedule: Callable[[int], float] | None = None,
    watch: Callable[[int, Params], None] | None = None,
) -> Recorded:
    """`steps` steps of all runs; records every `record_every`-th, from 0.

    loss_and_grads: of ONE run, (params, extra) -> (0-dim loss, gradients).  extra: step -> what that needs (data, noise),
    stacked over the runs; asked for up to STRIDE steps ahead; without it the second argument is ().  schedule: step ->
    multiplier of every learning rate.  watch: called with (step, stacked params) before every step and after the last.

    Raises ValueError where a value is a field that a rule lacks, or where `rules` misses or invents a name.
    """
    assigned = assign(runs.params, rules)
    params = {name: w.detach().clone() for name, w in runs.params.items()}
    values = {name: x.detach().to(torch.float64) for name, x in runs.values.items()}
    states = _initial_states(assigned, params, values)
    recorded, losses, norms = range(0, steps, record_every), [], []
    stride = 1 if watch else STRIDE
    for first in range(0, steps, stride):
        if watch:
            watch(first, params)
        stretch = range(first, min(first + stride, steps))
        draws = [_draws(assigned, params, runs.seeds, k) for k in stretch]
        extras = [extra(k) if extra else () for k in stretch]
        factors = [schedule(k) if schedule else 1.0 for k in stretch]
        one_run = _one_run(loss_and_grads, assigned, dict(zip(stretch, factors, strict=True)))
        seen, params, states = vmap(one_run)(params, states, values, draws, extras)
        losses += [loss for k, (loss, _) in zip(stretch, seen, strict=True) if k in recorded]
        norms += [norm for k, (_, norm) in zip(stretch, seen, strict=True) if k in recorded]
    if watch:
        watch(steps, params)
    return Recorded(tuple(recorded), _columns(losses), _columns(norms), params)


def _one_run(loss_and_grads: Callable, assigned: dict[str, Rule], factors: dict[int, float]) -> Callable:
    """The steps k in `factors`, each with its multiplier of the learning rate, as a function of one run."""

    def moved(params: Params, states: dict[str, State], values: Params, draws: list, extras: list) -> tuple:
        seen = []
        for (k, factor), draw, extra in zip(factors.items(), draws, extras, strict=True):
            loss, grads = loss_and_grads(params, extra)
            seen.append((loss, sum(g.square().sum() for g in grads.values()).sqrt()))
            new_params, new_states = {}, {}
            for name, w in params.items():
                rule = _scheduled(with_fields(assigned[name], **values), factor)
                delta, state = advance(rule, grads[name], states[name], w, k, draw.get(name))
                new_params[name] = (w + delta).to(w.dtype)
                new_states[name] = tree_map(_like, state, states[name])
            params, states = new_params, new_states
        return seen, params, states

    return moved


def _scheduled(rule: Rule, factor: float) -> Rule:
    return rule if factor == 1.0 else with_fields(rule, lr=learning_rate(rule) * factor)


def _like(new: Tensor | float, old: Tensor) -> Tensor:
    """A refresh may start a state anew, with Python numbers; float64 promotes small tensors. Both are undone here."""
    return torch.as_tensor(new, dtype=old.dtype, device=old.device)


def _initial_states(assigned: dict[str, Rule], params: Params, values: Params) -> dict[str, State]:
    """Contiguous, because what does not depend on the run comes out of vmap as one number seen n times."""

    def one(params: Params, values: Params) -> dict[str, State]:
        return {name: as_tensors(with_fields(assigned[name], **values).init(w)) for name, w in params.items()}

    return {
        name: tree_map(lambda leaf, w=params[name]: leaf.contiguous().to(w.device), state)
        for name, state in vmap(one)(params, values).items()
    }


def _draws(assigned: dict[str, Rule], params: Params, seeds: tuple[int, ...], k: int) -> Params:
    """What the frames that refresh at step k need, (n_runs, ...) per name."""
    drawn = {}
    for index, (name, w) in enumerate(params.items()):
        if due(assigned[name], k):
            shape = tuple(w.shape[1:])
            first = assigned[name].draw(generator(seeds[0], index, k), shape)
            if first is not None:  # then no run needs one
                others = (assigned[name].draw(generator(seed, index, k), shape) for seed in seeds[1:])
                drawn[name] = torch.stack([first, *others]).to(w.device)
    return drawn


def _columns(recorded: list[Tensor]) -> Tensor:
    return torch.stack(recorded, dim=1) if recorded else torch.empty(0, 0)
