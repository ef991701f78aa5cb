"""The one loop: problem + oracle + rules -> Trace. Tensors up to here, numpy and floats after.

It drives a real shell, stepwise, fused into backward, or in place; `sandbox.run_ensemble` makes many runs at once with the same
rules and draws.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from sandbox.draws import generator
from sandbox.optimizers.base import Rule
from sandbox.oracles.backprop import Backprop
from sandbox.oracles.base import Oracle, evaluated
from sandbox.perturbations.directions import ORACLE_STREAM, at_step
from sandbox.problems.base import Params, Problem
from sandbox.shells.foreign import Foreign

Rules = Rule | Mapping[str, Rule] | Foreign
Step = Callable[[int, float | None], tuple[float, float]]  # (k, factor of lr) -> (loss, gradient norm) before step k


@dataclass(frozen=True)
class Trace:
    """One run, and everything needed to repeat it but its schedule. n = number of steps that were made.

    loss, grad_norm: (n,) before step k.  watched: what `watch` returned, by step.  final: parameters after the last.
    """

    problem: Problem
    oracle: Oracle
    rules: Rules
    shell: str
    seed: int
    loss: np.ndarray
    grad_norm: np.ndarray
    final: Mapping[str, np.ndarray] = field(repr=False)
    watched: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    status: Literal["finished", "diverged"] = "finished"


@dataclass(frozen=True)
class Schedule:
    """Multiplier of lr: linear warm-up over `warmup` steps, then cosine from 1 to `floor` at `total` steps.

    Raises ValueError for a warm-up that is longer than the whole.
    """

    total: int
    warmup: int = 0
    floor: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup <= self.total:
            raise ValueError(f"a schedule needs 0 <= warmup <= total, got warmup {self.warmup} and total {self.total} steps")

    def __call__(self, k: int) -> float:
        if k < self.warmup:
            return (k + 1) / self.warmup
        done = (k - self.warmup) / max(1, self.total - self.warmup)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def run(
    problem: Problem,
    rules: Rules,
    *,
    steps: int,
    seed: int,
    oracle: Oracle | None = None,
    shell: Literal["stepwise", "fused", "in place"] = "stepwise",
    schedule: Callable[[int], float] | None = None,
    watch: Callable[[int, Params], Mapping[str, float] | None] | None = None,
) -> Trace:
    """Make `steps` steps from `problem.start(seed)`.

    schedule: multiplies every group's lr at step k.  watch: called before every step and after the last with (k,
    detached parameters); what it returns is kept. A loss that is not finite ends the run with status "diverged". The
    fused shell differentiates by backward hooks, so it takes no oracle but Backprop; the in-place shell evaluates losses
    alone, so it takes no oracle that differentiates. Asking for one raises ValueError.
    """
    oracle = oracle or Backprop()
    leaves = {name: nn.Parameter(w.clone()) for name, w in problem.start(seed).items()}
    step = {"stepwise": _stepwise, "fused": _fused, "in place": _in_place}[shell](problem, rules, oracle, seed, leaves)
    losses, norms, watched = [], [], {}
    for k in range(steps + 1):
        if watch and (seen := watch(k, _detached(leaves))):
            watched[k] = dict(seen)
        if k == steps:
            break
        loss, norm = step(k, schedule(k) if schedule else None)
        losses.append(loss)
        norms.append(norm)
        if not math.isfinite(loss):
            break
    final = {name: p.double().numpy().copy() for name, p in _detached(leaves).items()}
    finite = all(math.isfinite(x) for x in losses) and all(np.isfinite(p).all() for p in final.values())
    status = "finished" if finite else "diverged"
    return Trace(problem, oracle, rules, shell, seed, np.array(losses), np.array(norms), final, watched, status)


def _stepwise(problem: Problem, rules: Rules, oracle: Oracle, seed: int, leaves: dict[str, nn.Parameter]) -> Step:
    from sandbox.shells.foreign import optimizer_of

    optimizer, memory = optimizer_of(leaves.items(), rules, seed=seed, nonfinite="pass"), None  # one that diverges comes to its end

    def step(k: int, factor: float | None) -> tuple[float, float]:
        nonlocal memory
        _set_lr(optimizer, factor)
        now = at_step(oracle, k)
        draw = now.draw(generator(seed, ORACLE_STREAM, k), leaves)
        loss, grads, memory = evaluated(now, problem, leaves, problem.batch(seed, k), draw, memory=memory)
        for name, p in leaves.items():
            p.grad = grads[name]
        norm = _norm(grads[name] for name in leaves)
        optimizer.step()
        return float(loss), norm

    return step


def _fused(problem: Problem, rules: Rules, oracle: Oracle, seed: int, leaves: dict[str, nn.Parameter]) -> Step:
    from sandbox.shells.fused import Fused

    if not isinstance(oracle, Backprop):
        raise ValueError(f"the fused shell steps inside backward, so its oracle is Backprop, got {oracle}; use the stepwise shell")
    seen: dict[str, float] = {}  # name -> norm of its gradient: the gradients themselves are freed during backward
    for name, p in leaves.items():  # registered first: it reads the gradient before the optimizer's hook frees it
        p.register_post_accumulate_grad_hook(lambda p, name=name: seen.update({name: _norm([p.grad])}))
    optimizer = Fused(leaves.items(), rules, seed=seed, nonfinite="pass")  # a run that diverges comes to its end

    def step(k: int, factor: float | None) -> tuple[float, float]:
        _set_lr(optimizer, factor)
        seen.clear()
        loss = problem.loss(leaves, problem.batch(seed, k))
        loss.backward()
        optimizer.step()
        return float(loss.detach()), math.hypot(*(seen[name] for name in leaves if name in seen))

    return step


def _in_place(problem: Problem, rules: Rules, oracle: Oracle, seed: int, leaves: dict[str, nn.Parameter]) -> Step:
    from sandbox.shells.in_place import InPlace

    optimizer = InPlace(leaves.items(), rules, oracle, seed=seed, nonfinite="pass")

    def step(k: int, factor: float | None) -> tuple[float, float]:
        _set_lr(optimizer, factor)
        batch = problem.batch(seed, k)
        measured = optimizer.measure(lambda: problem.loss(leaves, batch))
        return measured.loss, optimizer.apply(measured.coefficients)

    return step


def _detached(leaves: Mapping[str, nn.Parameter]) -> Params:
    return {name: p.detach() for name, p in leaves.items()}


def _set_lr(optimizer: torch.optim.Optimizer, factor: float | None) -> None:
    for group in optimizer.param_groups if factor is not None else ():
        group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def _norm(tensors: Iterable[Tensor]) -> float:
    """Euclidean norm of all entries together, in float64 whatever their dtype."""
    return math.hypot(*(float(g.detach().double().norm()) for g in tensors))
