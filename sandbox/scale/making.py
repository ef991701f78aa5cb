"""A plan made real: module, optimizer and loop, sharded and filled with numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.optimizers.base import Rule
from sandbox.scale.data import Source
from sandbox.scale.fsdp import filled, gathered, prepared
from sandbox.scale.job import Job, Ranks
from sandbox.scale.loop import Run
from sandbox.scale.plan import Plan
from sandbox.shells.compression import as_parameters, compress
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise
from sandbox.shells.subspace import Subspace
from sandbox.shells.subspace_linear import merged, subspace_layers, trained


def run_of(plan: Plan, source: Source, job: Job, ranks: Ranks) -> Run:
    """The run of a job, from its initial numbers."""
    return made(plan, plan.trainee.numbers(plan.seed, getattr(torch, plan.problem.dtype), plan.init), source, job, ranks)


def made(plan: Plan, number: Callable[[str], Tensor], source: Source, job: Job, ranks: Ranks) -> Run:
    """The same with other initial numbers, by name."""
    module = plan.trainee.module(getattr(torch, plan.problem.dtype))
    if plan.shell == "subspace":
        compress(module, plan.rules)
        as_parameters(module)
    model = filled(prepared(module, job, ranks), in_layers(module, number), ranks.device)
    optimizer = shell_of(plan.shell, model, plan.rules, plan.seed)
    return Run(model, optimizer, source, plan.schedule, ranks, plan.seed, job.accumulate)


def shell_of(name: str, model: nn.Module, rules: Mapping[str, Rule], seed: int) -> torch.optim.Optimizer:
    """A run that diverges goes on to where the canary or the loop stops it."""
    if name == "subspace":
        return Subspace(model, rules, seed=seed, nonfinite="pass")
    shell: Any = {"stepwise": Stepwise, "fused": Fused}[name]
    return shell(model.named_parameters(), rules, seed=seed, nonfinite="pass")


def in_layers(model: nn.Module, number: Callable[[str], Tensor]) -> Callable[[str], Tensor]:
    """The numbers of a plain model for the same with layers in subspaces: W is the weight, P and B are zero until a round begins."""
    layers = subspace_layers(model)

    def made(name: str) -> Tensor:
        path, _, attribute = name.rpartition(".")
        if path not in layers or attribute == "bias":
            return number(name)
        if attribute == "W":
            return number(f"{path}.weight")
        like = getattr(layers[path], attribute)
        return torch.zeros(like.shape, dtype=like.dtype)

    return made


def weights_of(model: nn.Module, ranks: Ranks) -> dict[str, Tensor]:
    """The whole weights on the CPU of rank 0, under the names of the plain model; nothing on the others."""
    plain = merged(model)
    found = {name: gathered(plain[name]) for name in trained(model)}  # tied ones once
    return found if ranks.rank == 0 else {}
