"""Coordinate check: how far small steps move the outputs of the matrices inside a model, at several widths.

    change(n) = geometric mean over the hidden matrices W of RMS((W_k - W_0) x_k) / lr        over tokens and outputs
    exponent  = slope of log change in log n, so that lr ~ n^-exponent keeps the change

after k steps of a rate so small that the change is linear in it, all on one batch, from the initial weights of the parametrisation `mu`
and without its factors of rates; x_k is what W is then multiplied with, on that batch ("seen") or on another ("fresh"). All tensors are
trained.

Tokens matter. With one token a gradient has one direction, and every step of Adam, whatever its entries, is aligned with it: n. With N
tokens a part of each step is aligned with none of them, and adds up like a random walk: n^1/2. So the exponent of a model that is narrow
against its batch lies between 1/2 and 1 for Adam, and between 0 and 1/2 where steps are relative to RMS(w).

    trip(n) = the same change over a whole run of a sweep, with the rates of the parametrisation, on fresh text, not divided by a rate

is the check of the rates themselves: a right parametrisation makes it the same at all widths.

Source: Yang et al. (2022), https://arxiv.org/abs/2203.03466, appendix D.1 (recalled): there the coordinates are those of all layers,
here those of the hidden matrices alone, because only their rates follow the width by a factor that is in question.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sandbox.draws import generator
from sandbox.fit import slope
from sandbox.handoff.parametrisation import HIDDEN, Parametrised, at_width
from sandbox.handoff.transfer_runs import Setting, problem_of, rules_of
from sandbox.models.initial import build
from sandbox.optimizers.base import Rule, State, advance
from sandbox.run import Schedule, run

SMALL = 1e-6  # a rate at which five steps change no weight by more than about 1e-5, ten thousand times less than its size


@dataclass(frozen=True)
class Check:
    """steps: how many are made, all on one batch.  on: whether x comes from that batch or from another."""

    method: str
    steps: int = 1
    on: Literal["seen", "fresh"] = "seen"
    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    batch: int = 8


def inputs_of(module: nn.Module, params: dict[str, Tensor], tokens: Tensor) -> dict[str, Tensor]:
    """What every nn.Linear of the module is multiplied with, by the name of its weight."""
    seen, hooks = {}, []
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear):
            keep = lambda _, given, name=name: seen.update({f"{name}.weight": given[0].detach()})  # noqa: E731
            hooks.append(part.register_forward_pre_hook(keep))
    with torch.no_grad():
        functional_call(module, params, (tokens,))
    for hook in hooks:
        hook.remove()
    return seen


def moved(problem: Parametrised, rules: Mapping[str, Rule], steps: int, seed: int) -> dict[str, Tensor]:
    """The weights after some steps on one batch from the problem's start, every rule drawing for its own tensor."""
    params, batch = problem.start(seed), problem.batch(seed, 0)
    states: dict[str, State] = {name: rules[name].init(w) for name, w in params.items()}
    for k in range(steps):
        grads = torch.func.grad(problem.loss)(params, batch)
        for i, (name, w) in enumerate(params.items()):
            rule = rules[name]
            draw = rule.draw(generator(seed, i, k), tuple(w.shape)) if getattr(rule, "period", 0) else None
            delta, states[name] = advance(rule, grads[name], states[name], w, k, draw)
            params = params | {name: w + delta}
    return params


def change(check: Check, width: int, seed: int) -> float:
    """RMS of what the steps did to the outputs of the hidden matrices, per unit of the rate."""
    setting = Setting(check.method, width=width, lr=SMALL, batch=check.batch)
    problem = problem_of(setting)
    start = problem.start(seed)
    end = moved(problem, rules_of(setting, problem.problem), check.steps, seed)
    return output_change(problem, start, end, problem.batch(seed, int(check.on == "fresh"))) / SMALL


def output_change(problem: Parametrised, start: dict[str, Tensor], end: dict[str, Tensor], batch: Tensor) -> float:
    """Geometric mean over the hidden matrices of RMS((W_end - W_start) x), x from a forward pass of the end on the batch."""
    x = inputs_of(build(problem.problem.model, 0), end, batch[:, :-1])
    hidden = [name for name, role in problem.problem.roles.items() if role.kind in HIDDEN]
    sizes = [nn.functional.linear(x[name].double(), end[name].double() - start[name].double()).square().mean().sqrt() for name in hidden]
    return math.exp(sum(math.log(float(size)) for size in sizes) / len(sizes))


@dataclass(frozen=True)
class Trip:
    """A run of a sweep at one base rate, at each of the widths."""

    method: str
    lr: float
    widths: tuple[int, ...] = (32, 64, 128, 256)
    steps: int = 200


def trip(setting: Trip, width: int, seed: int) -> float:
    """RMS of what a whole run did to the outputs of the hidden matrices, on a batch that it did not see."""
    one = Setting(setting.method, width=width, lr=setting.lr, steps=setting.steps)
    problem, n = problem_of(one), setting.steps
    rules = at_width(rules_of(one, problem.problem), problem.problem.roles, width, problem.parametrisation)
    schedule = Schedule(n, warmup=n // 10, floor=0.1)
    end = {name: torch.from_numpy(w).float() for name, w in run(problem, rules, steps=n, seed=seed, schedule=schedule).final.items()}
    return output_change(problem, problem.start(seed), end, problem.batch(seed, n))


def exponent(check: Check | Trip, seed: int) -> dict[str, float]:
    of = change if isinstance(check, Check) else trip
    changes = [of(check, width, seed) for width in check.widths]
    each = {f"change_{width}": value for width, value in zip(check.widths, changes, strict=True)}
    return {"exponent": slope([math.log(width) for width in check.widths], [math.log(value) for value in changes])} | each


def measure(check: Check | Trip, seeds: Sequence[int]) -> list[dict[str, float]]:
    return [exponent(check, seed) for seed in seeds]
