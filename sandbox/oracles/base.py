"""The contract of an oracle: how a loss and a gradient are obtained.

An oracle is pure. What is random about it is drawn first, by `draw`, outside of every transformation, and handed in; so
the same oracle runs eagerly, under `torch.func.vmap` over seeds, and again on the same numbers.

An oracle may have more: `at(k)`, itself at step k, where it looks at the count of steps (the loop calls it before `draw`); and `step`
in place of a call, where it remembers something from one step to the next.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

from sandbox.problems.base import Params, Problem


class Oracle(Protocol):
    def draw(self, rng: torch.Generator, params: Params) -> Any:
        """Everything random that one call needs, float64 on the CPU; None where nothing is random."""
        ...

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: Any) -> tuple[Tensor, Params]:
        """The loss, 0-dim and detached, and a gradient with the names and shapes of params."""
        ...


class OracleWithMemory(Protocol):
    def draw(self, rng: torch.Generator, params: Params) -> Any: ...

    def step(self, problem: Problem, params: Params, batch: Any, draw: Any, *, memory: Any) -> tuple[Tensor, Params, Any]:
        """Loss, gradient, and the memory for the next step; `memory` is None at the first."""
        ...


def evaluated(
    oracle: Oracle | OracleWithMemory, problem: Problem, params: Params, batch: Any, draw: Any, *, memory: Any
) -> tuple[Tensor, Params, Any]:
    """Loss, gradient and memory of either kind of oracle."""
    if hasattr(oracle, "step"):
        return oracle.step(problem, params, batch, draw, memory=memory)
    return *oracle(problem, params, batch, draw), memory
