"""Anybody's `torch.optim.Optimizer` where the project's own rules are driven.

    adamw = foreign(torch.optim.AdamW, lr=1e-3, weight_decay=0.1)
    optimizer = adamw.build(model.named_parameters())
    run(problem, adamw, steps=100, seed=0)

Such an optimizer keeps its own defaults, clipping, randomness and state; nothing of the shells (seed, nonfinite,
state_dtype) reaches it, and it may look at several tensors at once. So it stands where a shell stands, not where a rule
does. `sandbox.shells.battery` says what it keeps of the promises that the shells keep.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from sandbox.optimizers.base import Rule
from sandbox.shells.gradients import Nonfinite
from sandbox.shells.stepwise import Stepwise

Takes = Literal["tensors", "named"]


@dataclass(frozen=True)
class Foreign:
    """takes: what its class wants as its first argument, tensors or (name, tensor); settings: its keyword arguments."""

    optimizer_class: type[torch.optim.Optimizer]
    settings: tuple[tuple[str, Any], ...] = ()
    takes: Takes = "tensors"

    def build(self, parameters: Iterable[tuple[str, Tensor]] | Iterable[Mapping[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer, of (name, tensor) or of groups with such `params`."""
        given = list(parameters)
        if self.takes == "tensors":
            given = [_without_names(x) for x in given]
        return self.optimizer_class(given, **dict(self.settings))


def foreign(optimizer_class: type[torch.optim.Optimizer], *, takes: Takes = "tensors", **settings: Any) -> Foreign:
    """Raises ValueError for something that is no optimizer class of torch."""
    if not (isinstance(optimizer_class, type) and issubclass(optimizer_class, torch.optim.Optimizer)):
        raise ValueError(f"a foreign optimizer is a class of torch.optim.Optimizer, got {optimizer_class!r}; our rules go to Stepwise")
    return Foreign(optimizer_class, tuple(sorted(settings.items())), takes)


def _without_names(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {**x, "params": [_without_names(member) for member in x["params"]]}
    return x[1] if isinstance(x, tuple) else x


def optimizer_of(
    named_parameters: Iterable[tuple[str, Tensor]], rules: Rule | Mapping[str, Rule] | Foreign, *, seed: int, nonfinite: Nonfinite
) -> torch.optim.Optimizer:
    """The stepwise shell around rules, or the foreign optimizer itself, which takes neither seed nor policy."""
    if isinstance(rules, Foreign):
        return rules.build(named_parameters)
    return Stepwise(named_parameters, rules, seed=seed, nonfinite=nonfinite)
