"""The contract of an oracle: how a loss and a gradient are obtained.

An oracle is pure. What is random about it is drawn first, by `draw`, outside of every transformation, and handed in; so
the same oracle runs eagerly, under `torch.func.vmap` over seeds, and again on the same numbers.
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
