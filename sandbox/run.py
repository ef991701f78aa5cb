"""The one loop: problem + oracle + rules -> Trace. Tensors up to here, numpy and floats after.

It drives a real shell, stepwise or fused into backward; `sandbox.run_ensemble` runs many seeds and settings at once, with the same draws.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from sandbox.draws import generator
from sandbox.optimizers.base import Rule
from sandbox.oracles.backprop import Backprop
from sandbox.oracles.base import Oracle
from sandbox.problems.base import Params, Problem

Rules = Rule | Mapping[str, Rule]
ORACLE_STREAM = 1_000_003  # keeps the oracle's draws apart from the frames', which are keyed by the tensor's index


@dataclass(frozen=True)
class Trace:
    """One run, and everything needed to repeat it. n = number of steps that were made.

    loss, grad_norm: (n,) before step k.  watched: what `watch` returned, by step.  final: the parameters after the last step.
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
    """Multiplier of the learning rate: linear warm-up over `warmup` steps, then cosine from 1 to `floor` at `total` steps."""

    total: int
    warmup: int = 0
    floor: float = 1.0

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
    shell: Literal["stepwise", "fused"] = "stepwise",
    schedule: Callable[[int], float] | None = None,
    watch: Callable[[int, Params], Mapping[str, float] | None] | None = None,
) -> Trace:
    """Make `steps` steps from `problem.start(seed)`.

    schedule: multiplies every group's lr at step k.  watch: called before every step and after the last with (k, detached parameters);
    what it returns is kept. A loss that is not finite ends the run with status "diverged". The fused shell differentiates by backward
    hooks, so it takes no other oracle than Backprop; asking for one raises ValueError.
    """
    oracle = oracle or Backprop()
    step = {"stepwise": StepwiseDriver, "fused": FusedDriver}[shell](problem, rules, oracle, seed)
    losses, norms, watched = [], [], {}
    for k in range(steps + 1):
        if watch and (seen := watch(k, step.params())):
            watched[k] = dict(seen)
        if k == steps:
            break
        loss, norm = step(k, schedule(k) if schedule else None)
        losses.append(loss)
        norms.append(norm)
        if not math.isfinite(loss):
            break
    final = {name: p.double().numpy().copy() for name, p in step.params().items()}
    finite = all(math.isfinite(x) for x in losses) and all(np.isfinite(p).all() for p in final.values())
    status = "finished" if finite else "diverged"
    return Trace(problem, oracle, rules, shell, seed, np.array(losses), np.array(norms), final, watched, status)


class Driver:
    """Owns the leaves and the torch optimizer of one run; `__call__` makes step k and returns (loss, gradient norm)."""

    def __init__(self, problem: Problem, oracle: Oracle, seed: int):
        self.problem, self.oracle, self.seed = problem, oracle, seed
        self.leaves = {name: nn.Parameter(w.clone()) for name, w in problem.start(seed).items()}

    def params(self) -> Params:
        return {name: p.detach() for name, p in self.leaves.items()}

    def set_lr(self, factor: float | None) -> None:
        if factor is None:
            return
        for group in self.optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


class StepwiseDriver(Driver):
    def __init__(self, problem: Problem, rules: Rules, oracle: Oracle, seed: int):
        from sandbox.shells.stepwise import Stepwise

        super().__init__(problem, oracle, seed)
        self.optimizer = Stepwise(self.leaves.items(), rules, seed=seed)

    def __call__(self, k: int, factor: float | None) -> tuple[float, float]:
        self.set_lr(factor)
        draw = self.oracle.draw(generator(self.seed, ORACLE_STREAM, k), self.leaves)
        loss, grads = self.oracle(self.problem, self.leaves, self.problem.batch(self.seed, k), draw)
        for name, p in self.leaves.items():
            p.grad = grads[name]
        self.optimizer.step()
        return float(loss), float(_norm(grads.values()))


class FusedDriver(Driver):
    def __init__(self, problem: Problem, rules: Rules, oracle: Oracle, seed: int):
        from sandbox.shells.fused import Fused

        if not isinstance(oracle, Backprop):
            raise ValueError(
                f"the fused shell steps inside backward and takes the oracle Backprop only, got {oracle}; use the stepwise shell"
            )
        super().__init__(problem, oracle, seed)
        self.norms: list[Tensor] = []
        for (
            p
        ) in self.leaves.values():  # registered first, so it reads the gradient before the optimizer's hook frees it
            p.register_post_accumulate_grad_hook(lambda p: self.norms.append(p.grad.detach().double().norm()))
        self.optimizer = Fused(self.leaves.items(), rules, seed=seed)

    def __call__(self, k: int, factor: float | None) -> tuple[float, float]:
        self.set_lr(factor)
        self.norms.clear()
        loss = self.problem.loss(self.leaves, self.problem.batch(self.seed, k))
        loss.backward()
        return float(loss.detach()), float(torch.stack(self.norms).norm()) if self.norms else 0.0


def _norm(tensors) -> Tensor:
    return torch.nn.utils.get_total_norm(list(tensors))
