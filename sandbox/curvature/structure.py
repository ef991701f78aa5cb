"""The block structure of a model's Hessian: one row per tensor and partition, and the picture as an array.

A tensor is judged inside its OWN Hessian (the second derivatives in that tensor alone), as Adam-mini argues: the
question is where to cut a tensor, not whether tensors interact. `share_of_tensors` answers the other question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sandbox.curvature.block_mass import BlockMass, block_mass, measure
from sandbox.curvature.hessian import Hessian, dense_hessian
from sandbox.curvature.layout import layout_of
from sandbox.models.partitions import Partition
from sandbox.problems.base import Params, Problem


@dataclass(frozen=True)
class HeatMap:
    """values: (p, p) |H| gathered into p <= size pixels a side.  names: the tensors.  edges: where each starts, in pixels, then p."""

    values: np.ndarray
    edges: tuple[float, ...]
    names: tuple[str, ...]


def report(
    problem: Problem,
    params: Params,
    batch: Any,
    partitions: Mapping[str, Partition],
    *,
    names: Sequence[str] | None = None,
) -> tuple[BlockMass, ...]:
    """One row per tensor and partition (title -> partition); one tensor's Hessian at a time, so only the largest tensor must fit.

    Raises ValueError for a tensor whose Hessian memory does not hold and for one that a partition does not cut.
    """
    rows: list[BlockMass] = []
    for name in layout_of(params, names).names:
        hessian = dense_hessian(problem, params, batch, names=(name,))
        rows += within(hessian, partitions)
    return tuple(rows)


def within(hessian: Hessian, partitions: Mapping[str, Partition]) -> tuple[BlockMass, ...]:
    """The rows of `report` from a Hessian that is already there; the order is by tensor, then by partition."""
    return tuple(
        measure(hessian.block(name), _labels(partition, title, name), name=name, partition=title)
        for name in hessian.layout.names
        for title, partition in partitions.items()
    )


def share_of_tensors(hessian: Hessian) -> float:
    """The share of |H|_F^2 that lies inside tensors: 1 where no two tensors interact."""
    return block_mass(hessian.matrix, hessian.layout.labels())


def heat_map(hessian: Hessian, *, size: int = 512, pool: Literal["max", "mean"] = "max") -> HeatMap:
    """|H| on at most `size` pixels a side. "max" keeps thin lines that "mean" washes out; "mean" keeps masses comparable.

    Raises ValueError for size < 1 or another pool.
    """
    if size < 1 or pool not in ("max", "mean"):
        raise ValueError(f"a heat map needs size >= 1 and pool 'max' or 'mean', got size {size} and pool {pool!r}")
    n = hessian.layout.size
    pixels = min(size, n)
    first = np.arange(pixels) * n // pixels  # first row of each pixel; pixels differ by one row at most
    values = np.abs(hessian.matrix)
    for axis in (0, 1):
        values = (np.maximum if pool == "max" else np.add).reduceat(values, first, axis=axis)
    if pool == "mean":
        rows = np.diff(np.append(first, n))
        values = values / np.outer(rows, rows)
    edges = tuple(edge * pixels / n for edge in hessian.layout.edges)
    return HeatMap(values, edges, hessian.layout.names)


def _labels(partition: Partition, title: str, name: str) -> np.ndarray:
    if name not in partition.labels:
        raise ValueError(
            f"the partition {title!r} must cut every tensor of the Hessian, but has no {name!r}; it cuts {list(partition.labels)}"
        )
    return partition.labels[name].numpy()
