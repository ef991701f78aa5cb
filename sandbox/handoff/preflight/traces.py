"""Timelines of a model by batch. Systems that train in the same way share what was run."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from sandbox.handoff.preflight.asked import DTYPES, Ask
from sandbox.handoff.preflight.systems import Model, System
from sandbox.memory.passes import Program, backprop, forward_only
from sandbox.memory.timeline import Timeline
from sandbox.models.roles import roles
from sandbox.shells.compression import as_parameters, require_compressible, swapped

Key = tuple[str, int | None, int]


def model_of(ask: Ask) -> Model:
    """Roles and shapes of the target."""
    with torch.device("meta"):
        module = ask.target.build(ask.target.config.layers)
    shapes = {name: tuple(p.shape) for name, p in module.named_parameters()}
    return Model(roles(module), shapes, ask.target.config.width)


@dataclass
class Traces:
    """depth: blocks that were run, of the last timeline."""

    ask: Ask
    model: Model
    depth: int = 0
    _known: dict[Key, Timeline] = field(default_factory=dict)

    def of(self, system: System, sequences: int) -> Timeline:
        """Raises ValueError where the layers of a system do not fit the model."""
        way = "backprop" if system.way in ("stepwise", "fused") else system.way
        key = way, system.rank if way == "subspace" else None, sequences
        if key not in self._known:
            run = forward_only if way == "in place" else backprop
            self._known[key], self.depth = run(self._program(system, sequences), all_layers=self.ask.layers == "all")
        return self._known[key]

    def _program(self, system: System, sequences: int) -> Program:
        ask, compute = self.ask, DTYPES[self.ask.compute]
        sharded = ask.is_sharded and system.way != "in place"
        return Program(
            self._builder(system, compute),
            ask.target.config.layers,
            ask.target.config.vocab,
            sequences,
            ask.tokens,
            DTYPES[ask.weights] if sharded else compute,
            compute,
            ask.world if sharded else None,
            "off" if system.way == "in place" else ask.recompute,
            ask.granule,
        )

    def _builder(self, system: System, compute: torch.dtype) -> Callable[[int], nn.Module]:
        if system.way != "subspace":
            return self.ask.target.build

        def build(layers: int) -> nn.Module:
            model = self.ask.target.build(layers)
            compress(model, system, self.model, DTYPES[self.ask.weights] if self.ask.is_sharded else compute)
            if self.ask.is_sharded:
                as_parameters(model)
            return model

        return build


def compress(model: nn.Module, system: System, of: Model, dtype: torch.dtype) -> None:
    """Puts layers of RSO where the blocks have matrices, weights and bases in `dtype`. Raises ValueError where there is no nn.Linear."""
    named = dict(model.named_parameters())
    for name in of.compressible():
        if name in named:
            require_compressible(model, name, replace(system.rules[name], rank=1))
            layer = swapped(model, name, system.rank or 1, None)
            layer.W, layer.P = layer.W.to(dtype), layer.P.to(dtype)
