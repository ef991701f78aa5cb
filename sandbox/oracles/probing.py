"""What all zeroth-order oracles share: from losses along random directions to a gradient.

    ghat = sum over probes i of c_i z_i,   c_i = what the oracle makes of the losses f(w + sum_j a_j z_j)

An oracle says which probes there are (`probes`: a direction and the tensors that it moves) and what their coefficients are
(`coefficients`, which is handed the loss as a function of the multipliers a). It sees no weight and no direction, so the
same equation serves a single run, an ensemble, and the in-place shell, which never holds a direction.

The losses are subtracted in float64, where a difference of float32 losses is exact; sums with z are made in the dtype
of the directions, float64 by default, and rounded once to the dtype of the weight.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from sandbox.perturbations.directions import Directions, Draws, Probe, key_of, require_real
from sandbox.problems.base import Params, Problem

Number = float | Tensor  # a Python number, or 0-dim (in an ensemble one per run)
LossAt = Callable[[Mapping[int, Number]], Tensor]  # {number of a probe: multiplier} -> the loss there, 0-dim float64


class Measured(NamedTuple):
    """loss: what is reported.  coefficients: one per probe.  memory: handed to the next step, None where there is none."""

    loss: Tensor
    coefficients: tuple[Tensor, ...]
    memory: Any = None


class Probing(Protocol):
    directions: Directions

    def probes(self, names: Sequence[str]) -> tuple[Probe, ...]: ...

    def coefficients(self, loss_at: LossAt, count: int, memory: Any) -> Measured: ...


def draw_probes(oracle: Probing, rng: torch.Generator, params: Params) -> tuple[Params, ...]:
    """Per probe the numbers of each tensor that it moves, before magnitude masks and the length of the sphere.

    Raises ValueError for a tensor that is not real.
    """
    require_real(params)
    draws = Draws(oracle.directions, key_of(rng))
    probes = oracle.probes(tuple(params))
    return tuple({name: draws.whole(probe, name, tuple(params[name].shape)) for name in probe.indices} for probe in probes)


def estimate(
    oracle: Probing, problem: Problem, params: Params, batch: Any, draw: tuple[Params, ...], *, memory: Any = None
) -> tuple[Tensor, Params, Any]:
    """The loss, the estimated gradient (zero where no probe moves a tensor), and the memory for the next step."""
    params = {name: w.detach() for name, w in params.items()}
    z = directions_of(oracle.directions, draw, params)

    def loss_at(multipliers: Mapping[int, Number]) -> Tensor:
        added = {name: _combined(name, multipliers, z) for name in params}
        moved = {name: w if added[name] is None else (added[name] + w).to(w.dtype) for name, w in params.items()}
        return problem.loss(moved, batch).to(torch.float64)

    measured = oracle.coefficients(loss_at, len(z), memory)
    sums = {name: _combined(name, dict(enumerate(measured.coefficients)), z) for name in params}
    grads = {name: torch.zeros_like(w) if sums[name] is None else sums[name].to(w.dtype) for name, w in params.items()}
    return measured.loss, grads, measured.memory


def directions_of(directions: Directions, draw: tuple[Params, ...], params: Params) -> tuple[Params, ...]:
    """The z of every probe: drawn numbers on the device of the weights, masked by magnitude, of length sqrt(d) on the sphere."""
    thresholds = directions.thresholds(params)
    masked = [{name: directions.masked(x.to(params[name].device), params[name], thresholds[name]) for name, x in d.items()} for d in draw]
    return tuple(map(_on_the_sphere, masked)) if directions.law == "sphere" else tuple(masked)


def _on_the_sphere(z: Params) -> Params:
    square = sum(x.double().square().sum() for x in z.values())
    count = sum((x != 0).sum() for x in z.values())
    length = (count / square.clamp(min=torch.finfo(square.dtype).tiny)) ** 0.5  # 0 where a mask leaves nothing
    return {name: x * length for name, x in z.items()}


def _combined(name: str, multipliers: Mapping[int, Number], z: tuple[Params, ...]) -> Tensor | None:
    """The sum of c z over the probes that move this tensor; None where there is none."""
    terms = [z[i][name] * c for i, c in multipliers.items() if name in z[i]]
    return sum(terms[1:], terms[0]) if terms else None
