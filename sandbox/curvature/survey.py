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
from sandbox.curvature.dense import dense, free_bytes
from sandbox.curvature.density import spectral_density
from sandbox.curvature.diagonal import squared_diagonal
from sandbox.curvature.heterogeneity import Spectrum, exact, quadrature
from sandbox.curvature.objective import LEAVE, objective
from sandbox.curvature.operators import Curvature, hessian, operator
from sandbox.curvature.probes import signs, times
from sandbox.curvature.tensor_mass import Effort, tensor_masses
from sandbox.models.partitions import Partition
from sandbox.problems.base import Params

COPIES = 8  # of a whole Hessian in float32 that its eigenvalues in float64 take
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
        wrong = [f"{name}={getattr(self, name)}" for name, low in least.items() if getattr(self, name) < low]
        wrong += [] if self.within > 0 else [f"within={self.within}"]
        if wrong:
            bounds = ", ".join(f"{name} >= {low}" for name, low in least.items())
            raise ValueError(f"a survey needs {bounds} and within > 0, got {', '.join(wrong)}")


@dataclass(frozen=True)
class MassRow:
    """mass, null, excess as in `block_mass`; [low, high]: 95 % interval of the mass, a point where the Hessian was whole.

    null_error: standard error of the null, 0 where the Hessian was whole; the excess has it on top of the interval of the mass.
    """

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
    null_error: float = 0.0


@dataclass(frozen=True)
class TensorSurvey:
    """What is known of one tensor's own Hessian."""

    name: str
    rows: tuple[MassRow, ...]
    spectrum: Spectrum


def check_target(target: Target, names: Sequence[str]) -> None:
    """Raises ValueError where a partition misses a tensor, and where the loss has no Hessian to speak of (see `checks`)."""
    _check_cuts(target, names)
    check_objective(objective(target.loss, target.params, target.batches, names=names, dtype=torch.float32))


def keys_of(target: Target, names: Sequence[str], cost: Cost, seed: int) -> dict[str, str]:
    """By tensor, 16 hex digits of everything that its survey depends on; of the code of the loss, the values on the batches.

    Raises ValueError as `losses` does, and where a partition misses a tensor.
    """
    _check_cuts(target, names)
    shared, keys = hashlib.sha256(repr((target.title, cost, seed, losses(target, names))).encode()), {}
    for part in (target.params, list(target.batches)):
        _digest(shared, part)
    for name in names:
        own = shared.copy()
        _digest(own, {name: {title: cut.labels[name] for title, cut in target.partitions.items()}})
        keys[name] = own.hexdigest()[:16]
    return keys


def losses(target: Target, names: Sequence[str]) -> tuple[str, ...]:
    """The loss on each batch to four digits, which the number of threads does not change.

    Raises ValueError as `objective` does, and for a loss that cannot be computed on a batch or is no tensor.
    """
    one, found = objective(target.loss, target.params, target.batches, names=names, dtype=torch.float32), []
    params = {**one.fixed, **one.layout.unflatten(one.at)}
    for index, batch in enumerate(one.batches):
        try:
            with torch.no_grad():
                value = one.loss_of(params, batch)
        except Exception as error:  # whatever the model and the criterion of a caller raise
            raise ValueError(
                f"{target.title}: the loss must run on every batch, but on number {index} it stops with {type(error).__name__}: "
                f"{_line(error)}; try criterion(model(inputs), targets) by itself first"
            ) from error
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{target.title}: the loss must be one 0-dim tensor, got {type(value).__name__}; return the number to minimise"
            )
        found.append(" ".join(f"{number:.3e}" for number in value.double().flatten().tolist()))
    return tuple(found)


def survey_tensor(target: Target, name: str, *, cost: Cost = Cost(), seed: int = 0) -> TensorSurvey:
    """Raises ValueError for a tensor whose Hessian is 0 everywhere, for a whole one that memory does not hold, and as `check_target`."""
    one = objective(target.loss, target.params, target.batches, names=(name,), dtype=torch.float32)
    labels = {title: cut.labels[name].reshape(-1).numpy() for title, cut in target.partitions.items()}
    matrix = hessian(one)
    if not times(operator(matrix), signs(one.layout.size, range(1), seed)).any():
        raise ValueError(
            f"{target.title}: a tensor must have second derivatives to be surveyed, but those in {name} are 0 everywhere (the loss is "
            f"linear in it, piece by piece): leave it out of the names (of --tensors, on the command line)"
        )
    return _whole(matrix, name, labels) if one.layout.size <= cost.exact else _probed(target, operator(matrix), name, labels, cost, seed)


def _check_cuts(target: Target, names: Sequence[str]) -> None:
    for title, cut in target.partitions.items():
        missing = [name for name in names if name not in cut.labels]
        if missing:
            raise ValueError(f"the partition {title!r} must cut every tensor that is surveyed, but has no {missing}: add them, or {LEAVE}")


def _whole(matrix: Curvature, name: str, labels: Mapping[str, np.ndarray]) -> TensorSurvey:
    n, rows = matrix.layout.size, []
    try:
        H = dense(matrix, limit=free_bytes() // COPIES).astype(np.float64)
    except ValueError as error:  # does not fit
        raise ValueError(f"{error}; or set exact (--exact) below {n}, for probes instead") from error
    for title, label in labels.items():
        row = measure(H, label, name=name, partition=title)
        rows.append(MassRow(name, title, n, row.n_blocks, row.mass, row.mass, row.mass, row.null, row.excess, n))
    return TensorSurvey(name, tuple(rows), exact((H + H.T) / 2.0))


def _probed(target: Target, products: LinearOperator, name: str, labels: Mapping[str, np.ndarray], cost: Cost, seed: int) -> TensorSurvey:
    rows, effort = [], Effort(within=cost.within, most=cost.most, dense=0)
    diagonal = squared_diagonal(products, n_probes=DIAGONAL_PROBES, seed=seed)
    for title, label in labels.items():
        row = tensor_masses(target.loss, target.params, target.batches, {name: torch.from_numpy(label)}, effort=effort, seed=seed)[0]
        sizes = [len(b) for b in groups(label, row.size)]
        null = chance_of(min(max(diagonal.value / row.total.value, 0.0), 1.0), sizes)
        null_error = (1.0 - chance_of(0.0, sizes)) * diagonal.standard_error / row.total.value
        mass = row.mass
        low, high = mass.interval() if mass.standard_error else (mass.value, mass.value)
        excess = (mass.value - null) / (1.0 - null) if null < 1.0 else float("nan")
        rows.append(MassRow(name, title, row.size, row.n_blocks, mass.value, low, high, null, excess, mass.n_products, null_error))
    density = spectral_density(products, n_steps=cost.n_steps, n_probes=cost.n_probes, seed=seed)
    return TensorSurvey(name, tuple(rows), quadrature(density))


def _line(error: Exception) -> str:
    return (str(error).strip() or "no message").splitlines()[0]


def _digest(seen: Any, part: Any) -> None:
    """Adds a tree of tensors and plain values to a hash."""
    if isinstance(part, Tensor):
        seen.update(
            repr((part.dtype, tuple(part.shape))).encode()
            + part.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        )
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
