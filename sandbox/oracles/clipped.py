"""Clipping by the global norm, as a wrapper.

    g <- g min(1, max_norm / (|g| + 1e-6)),   |g|^2 = the sum over all tensors

Source: Pascanu, Mikolov, Bengio (2013), 1211.5063, Algorithm 1 (recalled), in the form of
torch.nn.utils.clip_grad_norm_. Departures from the paper: the 1e-6 is torch's; in the paper's form a gradient longer
than max_norm ends at exactly max_norm. It spans all tensors, so it is an oracle's business and not a rule's; fused into
backward it would need a second pass.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from sandbox.oracles.backprop import Backprop
from sandbox.oracles.base import Oracle
from sandbox.perturbations.directions import at_step
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Clipped:
    """max_norm: in loss / param."""

    max_norm: float
    inner: Oracle = field(default_factory=Backprop)

    def __post_init__(self) -> None:
        if not isinstance(self.max_norm, Tensor) and not self.max_norm > 0:  # a tensor varies over an ensemble, and is not asked
            raise ValueError(f"max_norm of Clipped must be > 0, got {self.max_norm}; a usual one is 1.0")

    def at(self, k: int) -> "Clipped":
        return replace(self, inner=at_step(self.inner, k))

    def draw(self, rng: torch.Generator, params: Params) -> Any:
        return self.inner.draw(rng, params)

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: Any) -> tuple[Tensor, Params]:
        loss, grads = self.inner(problem, params, batch, draw)
        norm = torch.stack([torch.linalg.vector_norm(g) for g in grads.values()]).norm()
        scale = (self.max_norm / (norm + 1e-6)).clamp(max=1.0)
        return loss, {name: g * scale for name, g in grads.items()}
