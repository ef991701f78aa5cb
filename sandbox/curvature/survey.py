"""One pass over the tensors of a model: block mass under several partitions, and the spectrum, of each tensor's own Hessian.

A tensor of at most `exact` entries gets its whole Hessian; a larger one is known by its products alone: masses by coloured
probes to `within` (see `tensor_mass`), the diagonal's share by independent probes, and a Lanczos density. Tensors are done one
after the other, so that a survey can be kept tensor by tensor and gone on with.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from sandbox.curvature.block_mass import chance_of, groups, measure
from sandbox.curvature.checks import check_objective
from sandbox.curvature.density import spectral_density
from sandbox.curvature.diagonal import squared_diagonal
from sandbox.curvature.heterogeneity import Spectrum, exact, quadrature
from sandbox.curvature.objective import objective
from sandbox.curvature.probes import times_in_chunks
from sandbox.curvature.tensor_mass import Effort, own_operator, tensor_masses
from sandbox.models.partitions import Partition
from sandbox.problems.base import Params

CHUNK = 64  # columns of a whole Hessian at a time
DIAGONAL_PROBES = 64  # the null of most cuts is a few per cent, of which the diagonal's share is one part


@dataclass(frozen=True)
class Target:
    """A model at one point of its training. partitions: title -> cut of (at least) the tensors that are surveyed.

    note: what its maker has to say about it, one sentence.
    """

    title: str
    loss: Callable[[Params, Any], Tensor]
    params: Params
    batches: Sequence[Any]
    partitions: Mapping[str, Partition]
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """exact: entries of a tensor up to which its Hessian is whole.  within, most: of `Effort`.  n_steps, n_probes: of a density.

    Raises ValueError for numbers below 1, and a `within` that is not positive.
    """

    exact: int = 2048
    within: float = 0.05
    most: int = 2048
    n_steps: int = 60
    n_probes: int = 4

    def __post_init__(self) -> None:
        least = {"exact": 0, "most": 32, "n_steps": 2, "n_probes": 2}
        wrong = {name: getattr(self, name) for name, low in least.items() if getattr(self, name) < low}
        if wrong or not self.within > 0:
            raise ValueError(f"a survey needs at least {least} and within > 0, got {wrong or self.within}")


@dataclass(frozen=True)
class MassRow:
    """mass, null, excess as in `block_mass`; [low, high]: 95 % interval of the mass, a point where the Hessian was whole."""

    name: str
    partition: str
    size: int
    n_blocks: int
    mass: float
    low: float
    high: float
    null: float
    excess: float
    n_products: int


@dataclass(frozen=True)
class TensorSurvey:
    """What is known of one tensor's own Hessian."""

    name: str
    rows: tuple[MassRow, ...]
    spectrum: Spectrum


def check_target(target: Target, names: Sequence[str]) -> None:
    """Raises ValueError where a partition misses a tensor, and where the loss has no Hessian to speak of (see `checks`)."""
    for title, cut in target.partitions.items():
        missing = [name for name in names if name not in cut.labels]
        if missing:
            raise ValueError(f"the partition {title!r} must cut every tensor that is surveyed, but has no {missing}")
    check_objective(objective(target.loss, target.params, target.batches, names=names, dtype=torch.float32))


def key_of(target: Target, name: str, cost: Cost, seed: int) -> str:
    """16 hex digits of everything that the survey of one tensor depends on, but the code of the loss."""
    seen = hashlib.sha256(repr((target.title, name, cost, seed)).encode())
    for part in (target.params, list(target.batches), {title: cut.labels[name] for title, cut in target.partitions.items()}):
        _digest(seen, part)
    return seen.hexdigest()[:16]


def survey_tensor(target: Target, name: str, *, cost: Cost = Cost(), seed: int = 0) -> TensorSurvey:
    """Raises ValueError for a tensor whose Hessian is 0 everywhere. A whole Hessian is not checked again (`check_target`)."""
    one = objective(target.loss, target.params, target.batches, names=(name,), dtype=torch.float32)
    labels = {title: cut.labels[name].reshape(-1).numpy() for title, cut in target.partitions.items()}
    operator = own_operator(one)
    return _whole(operator, name, labels) if one.layout.size <= cost.exact else _probed(target, operator, name, labels, cost, seed)


def _whole(operator: LinearOperator, name: str, labels: Mapping[str, np.ndarray]) -> TensorSurvey:
    n, rows = operator.shape[0], []
    H = times_in_chunks(operator, np.eye(n), CHUNK)
    for title, label in labels.items():
        row = measure(H, label, name=name, partition=title)
        rows.append(MassRow(name, title, n, row.n_blocks, row.mass, row.mass, row.mass, row.null, row.excess, n))
    return TensorSurvey(name, tuple(rows), exact((H + H.T) / 2.0))


def _probed(target: Target, operator: LinearOperator, name: str, labels: Mapping[str, np.ndarray], cost: Cost, seed: int) -> TensorSurvey:
    rows, effort = [], Effort(within=cost.within, most=cost.most, dense=0)
    diagonal = squared_diagonal(operator, n_probes=DIAGONAL_PROBES, seed=seed)
    for title, label in labels.items():
        row = tensor_masses(target.loss, target.params, target.batches, {name: torch.from_numpy(label)}, effort=effort, seed=seed)[0]
        null = chance_of(min(max(diagonal.value / row.total.value, 0.0), 1.0), [len(b) for b in groups(label, row.size)])
        mass = row.mass
        low, high = mass.interval() if mass.standard_error else (mass.value, mass.value)
        excess = (mass.value - null) / (1.0 - null) if null < 1.0 else float("nan")
        rows.append(MassRow(name, title, row.size, row.n_blocks, mass.value, low, high, null, excess, mass.n_products))
    density = spectral_density(operator, n_steps=cost.n_steps, n_probes=cost.n_probes, seed=seed)
    return TensorSurvey(name, tuple(rows), quadrature(density))


def _digest(seen: Any, part: Any) -> None:
    """Adds a tree of tensors and plain values to a hash."""
    if isinstance(part, Tensor):
        seen.update(repr((part.dtype, tuple(part.shape))).encode() + part.detach().cpu().contiguous().numpy().tobytes())
    elif isinstance(part, Mapping):
        for key, value in part.items():
            seen.update(repr(key).encode())
            _digest(seen, value)
    elif isinstance(part, list | tuple):
        seen.update(repr(len(part)).encode())
        for value in part:
            _digest(seen, value)
    else:
        seen.update(repr(part).encode())
