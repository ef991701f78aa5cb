"""The exact curvature matrix of an objective, or a sub-block, streamed into one array by rows in chunks.

Only the result, the graph of one batch and one chunk of rows are ever in memory. The bytes are said and compared with what is
free before the first product; a matrix that does not fit is refused with the size that would. Those of the result are exact, those
of graph and chunk an upper bound (`parts.Cost`). A chunk is as many rows as are fastest, fewer where memory is short.

The whole Hessian takes the rows of one tensor at a time, from the gradient in that tensor alone, up to the later tensors
only; the other half is its mirror image. Measured once on a one-block GPT (4,080 parameters, 128 tokens, one CPU thread):
whole rows 1.50 s in float32 and 2.72 s in float64, this way 0.60 s and 1.21 s (of the gain in float32, rows from the
gradient in their own tensor make 1.24 s -> 0.69 s, the half 0.69 s -> 0.46 s, graphs not counted).

A block with fewer columns than rows is computed by columns.
"""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sandbox.curvature.operators import Curvature, Entries, chunk_of, entries

RESERVE = 0.1  # share of the free memory that stays free for everything else


@dataclass(frozen=True)
class Plan:
    """rows, columns: of the result.  chunk: rows at a time.  size, work, limit: bytes of the result, at most of graph and chunk, and
    that both may take.
    """

    rows: int
    columns: int
    dtype: np.dtype
    chunk: int
    size: int
    work: int
    limit: int

    @property
    def products(self) -> int:
        return min(self.rows, self.columns)

    @property
    def fits(self) -> int:
        """The largest square matrix of this dtype within the limit, in rows."""
        return math.isqrt(max(0, self.limit - self.work) // self.dtype.itemsize)

    def __str__(self) -> str:
        return (
            f"a dense {self.rows:,} x {self.columns:,} matrix in {self.dtype} takes {self.size:,} bytes, {self.products:,} products "
            f"and for {self.chunk} of them at a time up to {self.work:,} bytes; {self.limit:,} bytes may be used"
        )

    def check(self) -> None:
        """Raises ValueError where the matrix does not fit."""
        if self.size + self.work > self.limit:
            raise ValueError(
                f"{self}: it does not fit; {self.fits:,} x {self.fits:,} would: take fewer tensors (names) or a sub-block (rows, "
                f"columns), float32 instead of float64, or an operator, which keeps no matrix"
            )


@dataclass(frozen=True)
class Progress:
    """done: products so far; 0 before the work starts. Its text is the plan then, and a count later."""

    plan: Plan
    done: int = 0

    def __str__(self) -> str:
        return f"{self.done:,} of {self.plan.products:,} products" if self.done else str(self.plan)


Say = Callable[[Progress], object]


def plan(matrix: Curvature, *, rows: Entries = None, columns: Entries = None, chunk: int | None = None, limit: int | None = None) -> Plan:
    """What `dense` would need. limit: bytes (None: nine tenths of the memory that is free)."""
    n_rows, n_columns = len(entries(matrix.layout, rows)), len(entries(matrix.layout, columns))
    each, size = matrix.dtype.itemsize, matrix.dtype.itemsize * n_rows * n_columns
    limit = int((1.0 - RESERVE) * free_bytes()) if limit is None else limit
    row = matrix.cost.row + 3 * each * matrix.layout.size  # unit vectors in, products out, a sum over batches
    width = min(chunk_of(matrix, chunk), n_rows, n_columns)
    if chunk is None:
        width = max(1, min(width, (limit - size - matrix.cost.graph) // row))
    return Plan(n_rows, n_columns, matrix.dtype, width, size, matrix.cost.graph + width * row, limit)


def dense(
    matrix: Curvature,
    *,
    rows: Entries = None,
    columns: Entries = None,
    chunk: int | None = None,
    limit: int | None = None,
    say: Say = lambda progress: None,
) -> np.ndarray:
    """M[rows, columns] as an array in the dtype of the objective; `say` is told the plan before the work starts, then of every chunk.

    Raises ValueError where it does not fit into `limit` bytes (see `plan`).
    """
    needed = plan(matrix, rows=rows, columns=columns, chunk=chunk, limit=limit)
    say(Progress(needed))
    needed.check()
    here, there = entries(matrix.layout, rows), entries(matrix.layout, columns)
    found = np.empty((len(here), len(there)), dtype=matrix.dtype)
    if rows is None and columns is None and matrix.strip is not None:
        steps = _fill_half(matrix, found, needed.chunk)
    elif len(here) <= len(there):
        steps = _fill(matrix, found, here, there, needed.chunk)
    else:
        steps = _fill(matrix, found.T, there, here, needed.chunk)
    for done in steps:
        say(Progress(needed, done))
    return found


def free_bytes() -> int:
    """Memory that this process may still take: what the machine has available, or what its control group leaves, if less."""
    machine = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    status = Path("/proc/meminfo")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        machine = int(lines["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    most, used = group / "memory.max", group / "memory.current"
    if most.is_file() and used.is_file() and most.read_text().strip() != "max":
        return min(machine, int(most.read_text()) - int(used.read_text()))
    return machine


def _fill(matrix: Curvature, found: np.ndarray, source: np.ndarray, target: np.ndarray, chunk: int) -> Iterator[int]:
    """found[i] = row source[i] of the matrix, at the entries `target`; after each chunk the number of rows so far."""
    whole = len(target) == matrix.layout.size and np.array_equal(target, np.arange(len(target)))
    for first in range(0, len(source), chunk):
        part = source[first : first + chunk]
        units = np.zeros((len(part), matrix.layout.size), dtype=matrix.dtype)
        units[np.arange(len(part)), part] = 1.0
        rows = matrix.apply(units)
        found[first : first + chunk] = rows if whole else rows[:, target]
        yield first + len(part)


def _fill_half(matrix: Curvature, found: np.ndarray, chunk: int) -> Iterator[int]:
    """The rows of each group of tensors from its first entry on, and their mirror image; after each chunk the number of rows so far."""
    for group in _groups(matrix.layout.sizes, chunk):
        start, stop = matrix.layout.edges[group.start], matrix.layout.edges[group.stop]
        size, times = stop - start, matrix.strip(group)
        for first in range(0, size, chunk):
            k = min(chunk, size - first)
            rows = times(torch.eye(k, size, dtype=matrix.at.dtype, device=matrix.at.device).roll(first, 1)).cpu().numpy()
            found[start + first : start + first + k, start:] = rows
            found[stop:, start + first : start + first + k] = rows[:, size:].T
            yield start + first + k


def _groups(sizes: tuple[int, ...], least: int) -> Iterator[range]:
    """Neighbouring tensors together until they have `least` entries: a graph for a few rows costs as much as one for many."""
    start, total = 0, 0
    for index, size in enumerate(sizes):
        total += size
        if total >= least or index + 1 == len(sizes):
            yield range(start, index + 1)
            start, total = index + 1, 0
