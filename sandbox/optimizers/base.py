"""The contract of a rule and of a frame: an update equation of ONE tensor, as pure functions.

A rule is a frozen dataclass whose fields are plain floats and ints, its hyper-parameters. `init` makes a state (a NamedTuple of tensors
and Python numbers, possibly nested); `step` returns the change of the weight and the next state. Both are out of place, draw
nothing, and never branch on a tensor, so the same code runs eagerly, under `torch.func.vmap` and under `torch.compile`.

A frame chooses coordinates for an inner rule. It adds `period`, `draw` (the only randomness, made by the shell and passed in) and
`refresh` (the only place for SVD, QR or sorting); `advance` decides, with a Python int, when a refresh is due.

Numbers of a state are Python numbers in the stepwise and fused shells; ensembles turn them into 0-dim float64 tensors. So a rule uses
only + - * / ** on its own numbers. Hyper-parameters may be replaced by 0-dim tensors through `with_fields`.
"""

import copy
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

State = Any  # a NamedTuple of tensors and Python numbers, or ()


class Rule(Protocol):
    def init(self, w: Tensor) -> State: ...

    def step(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]: ...


class Frame(Rule, Protocol):
    period: int

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor | None:
        """Everything random that one refresh needs, float64 on the CPU; None where nothing is random."""
        ...

    def refresh(self, g: Tensor, state: State, w: Tensor, draw: Tensor | None) -> State: ...


class Empty(NamedTuple):
    """The state of a rule that remembers nothing."""


def due(rule: Rule, k: int) -> bool:
    """Whether `rule` is a frame that refreshes at step k (k counts from 0)."""
    period = getattr(rule, "period", 0)
    return bool(period) and k % period == 0


def advance(rule: Rule, g: Tensor, state: State, w: Tensor, k: int, draw: Tensor | None = None) -> tuple[Tensor, State]:
    """One step of a rule or a frame at step k; the one place where Python decides on a refresh."""
    if due(rule, k):
        state = rule.refresh(g, state, w, draw)
    return rule.step(g, state, w)


def as_tensors(state: State) -> State:
    """The numbers of a state as 0-dim float64 tensors (float32 would lose 1 - 0.999^1 to 1.3e-5)."""
    return tree_map(lambda leaf: leaf if isinstance(leaf, Tensor) else torch.tensor(float(leaf), dtype=torch.float64), state)


def with_fields(rule: Rule, **values: Any) -> Rule:
    """A copy of `rule` with some fields replaced, by tensors too; a field that a wrapper lacks is looked for in its `inner`.

    Raises ValueError where no level has the field: a setting that has no effect is an error.
    """
    new = copy.copy(rule)
    for name, value in values.items():
        if name in getattr(rule, "__dataclass_fields__", {}):
            object.__setattr__(new, name, value)
        elif hasattr(rule, "inner"):
            object.__setattr__(new, "inner", with_fields(new.inner, **{name: value}))
        else:
            raise ValueError(f"{type(rule).__name__} has no field {name!r}, so setting it to {value!r} would have no effect")
    return new
