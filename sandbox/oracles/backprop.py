"""The exact gradient of the batch, by reverse-mode differentiation."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Backprop:
    def draw(self, rng: torch.Generator, params: Params) -> None:
        return None

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: None) -> tuple[Tensor, Params]:
        grads, loss = torch.func.grad_and_value(problem.loss)(params, batch)
        return loss.detach(), grads
