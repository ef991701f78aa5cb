"""Hybrid: first order on the late parts of a model, zeroth order on the early ones.

    g_late  = gradient at w by backpropagation, which ends where the early parts begin
    g_early = two-point gradient, with the early parts alone perturbed

With Gaussian directions on a quadratic E |ghat|^2 = (d_early + 2) |g_early|^2 + |g_late|^2 (derived). The activations
that are kept are those after the split: early weights need no gradient, so nothing before it is saved.

Source: ZO-Bench (Zhang et al. 2024, 2402.11592; the code was read, the text was not). Departures: any set of names may
be late; both gradients are taken at the same w and on the same batch.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sandbox.oracles.backprop import Backprop
from sandbox.oracles.base import Oracle
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import at_step
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class Partial:
    """A problem in some of its parameters, the others fixed and detached."""

    whole: Problem
    fixed: Params

    def loss(self, params: Params, batch: Any) -> Tensor:
        return self.whole.loss({**self.fixed, **params}, batch)


@dataclass(frozen=True)
class Hybrid:
    """late: names of the tensors that are differentiated.  Raises ValueError for a name that no parameter has, or where nothing
    is left to the zeroth-order part.
    """

    late: frozenset[str]
    early: Oracle = field(default_factory=TwoPoint)
    late_oracle: Oracle = field(default_factory=Backprop)

    def __post_init__(self) -> None:
        object.__setattr__(self, "late", frozenset(self.late))  # a list of names is as good

    def at(self, k: int) -> "Hybrid":
        return Hybrid(self.late, at_step(self.early, k), at_step(self.late_oracle, k))

    def draw(self, rng: torch.Generator, params: Params) -> tuple[Any, Any]:
        early, late = self._split(params)
        return self.early.draw(rng, early), self.late_oracle.draw(rng, late)

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: tuple[Any, Any]) -> tuple[Tensor, Params]:
        early, late = self._split(params)
        _, early_grads = self.early(Partial(problem, _detached(late)), early, batch, draw[0])
        loss, late_grads = self.late_oracle(Partial(problem, _detached(early)), late, batch, draw[1])
        return loss, {name: (late_grads if name in self.late else early_grads)[name] for name in params}

    def _split(self, params: Params) -> tuple[Params, Params]:
        unknown = self.late - params.keys()
        if unknown or not self.late or not params.keys() - self.late:
            raise ValueError(
                f"late must name some and not all of the {len(params)} parameters, got {sorted(self.late)}"
                + (f", of which {sorted(unknown)} are unknown" if unknown else "")
            )
        return {n: w for n, w in params.items() if n not in self.late}, {n: w for n, w in params.items() if n in self.late}


def _detached(params: Params) -> Params:
    return {name: w.detach() for name, w in params.items()}
