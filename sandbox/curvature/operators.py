"""Products with the Hessian and the Gauss-Newton matrix of an objective, and any sub-block of them as a SciPy operator.

    Hessian          H = sum_b w_b d^2 loss_b / d theta^2
    Gauss-Newton     G = sum_b w_b J_b^T C_b J_b,   J_b = d outputs_b / d theta,   C_b = d^2 criterion_b / d outputs^2

G is the Hessian of the loss with the outputs made linear in theta (Schraudolph, 2002, section 3; recalled): positive
semidefinite wherever the criterion is convex in the outputs, equal to H where the outputs are linear.

Many vectors at once under `torch.func.vmap`, reverse mode over reverse mode: the graph of the gradient is built once per
batch and pulled back along every vector. Measured once against forward over reverse (one-block GPT, 128 tokens, one CPU
thread, ms per row at the better of 32 and 128 rows a chunk):

    parameters      float64 reverse / forward      float32 reverse / forward
         1,272           0.58 / 0.64                    0.27 / 0.37
         4,080           0.72 / 0.82                    0.31 / 0.36
        14,304           1.35 / 1.58                    0.58 / 0.70

Reverse is ahead at every size and so the only way here. It is also right with LayerNorm: torch.func.hessian and curvlinops 3.0.1 map the
first backward pass and differentiate it afterwards, and torch 2.13 then drops the dependence of the norm's weight on all before it.

With one batch its graph is kept between calls; with several it is rebuilt per chunk of vectors, so that one batch's graph
is in memory at a time. A chunk is as many vectors as bring WORKING bytes of tensors into being, MOST at most: more leaves the
caches of a processor (one-block GPT of 20,640 parameters in float64, 13 MB a row: 2.1 ms a row by 8, 2.5 by 32, 4.2 by 256).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from sandbox.curvature.checks import check_objective
from sandbox.curvature.layout import Layout
from sandbox.curvature.objective import Composite, Objective
from sandbox.curvature.parts import Cost, Times, gauss_newton_strip, gauss_newton_whole, hessian_strip, hessian_whole, measured

WORKING, MOST = 2**27, 64  # bytes and rows of a chunk
Entries = str | Sequence[str] | np.ndarray | None


@dataclass(frozen=True)
class Curvature:
    """A symmetric matrix (n, n) known by its products.  times: V (k, n) -> V M (k, n), both in `dtype`.  at: the point (n,).

    strip: numbers of neighbouring tensors -> products V (k, their size) -> V M[they, they and all later tensors], cheaper than
    `times`; None: no such way.
    cost: of `times`, and no less than that of any strip.
    """

    layout: Layout
    at: Tensor
    times: Times
    strip: Callable[[range], Times] | None = None
    cost: Cost = Cost(0, 0)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(str(self.at.dtype).removeprefix("torch."))

    @property
    def chunk(self) -> int:
        """How many rows at a time are fastest."""
        return min(MOST, max(1, WORKING // max(1, self.cost.row)))

    def apply(self, V_kn: np.ndarray) -> np.ndarray:
        """V M for rows V (k, n), through the device of the parameters."""
        rows = torch.from_numpy(np.ascontiguousarray(V_kn, dtype=self.dtype)).to(self.at.device)
        return self.times(rows).cpu().numpy()


def hessian(one: Objective) -> Curvature:
    """Raises ValueError where the loss has no Hessian that products could agree on (see `checks`)."""
    return _curvature(one, hessian_whole, hessian_strip, check_objective(one))


def gauss_newton(one: Objective) -> Curvature:
    """Raises ValueError as `hessian` does, and for a loss that is no `Composite`."""
    if not isinstance(one.loss, Composite):
        raise ValueError(
            f"a Gauss-Newton matrix needs to know where outputs end and the criterion begins: give the objective a "
            f"Composite(outputs, criterion), got {type(one.loss).__name__}"
        )
    check_objective(one)
    cost = measured(partial(gauss_newton_whole, one, one.heaviest), one.at)
    return _curvature(one, gauss_newton_whole, gauss_newton_strip, cost)


def operator(matrix: Curvature, *, rows: Entries = None, columns: Entries = None, chunk: int | None = None) -> LinearOperator:
    """The sub-block [rows, columns] in SciPy's terms, at most `chunk` vectors at a time (None: the fastest number).

    rows, columns: a tensor's name, several names, or entries of the layout by number; None: all entries.  A block that needs few
    tensors costs less where the objective is differentiated in those alone (`names`).  Raises ValueError for entries that do not
    exist.
    """
    here, there = (None if which is None else entries(matrix.layout, which) for which in (rows, columns))
    shape = tuple(matrix.layout.size if which is None else len(which) for which in (here, there))
    chunk = chunk_of(matrix, chunk)

    def along(V: np.ndarray, source: np.ndarray | None, target: np.ndarray | None) -> np.ndarray:
        found = np.empty((matrix.layout.size if target is None else len(target), V.shape[1]), dtype=matrix.dtype)
        for first in range(0, V.shape[1], chunk):
            wide = V[:, first : first + chunk].T
            if source is not None:
                part, wide = wide, np.zeros((len(wide), matrix.layout.size), dtype=matrix.dtype)
                wide[:, source] = part
            product = matrix.apply(wide)
            found[:, first : first + chunk] = (product if target is None else product[:, target]).T
        return found

    return LinearOperator(
        shape,
        matvec=lambda v: along(np.reshape(v, (-1, 1)), there, here)[:, 0],
        rmatvec=lambda v: along(np.reshape(v, (-1, 1)), here, there)[:, 0],
        matmat=lambda V: along(V, there, here),
        rmatmat=lambda V: along(V, here, there),
        dtype=matrix.dtype,
    )


def own_operator(one: Objective) -> LinearOperator:
    """H of an objective that has been looked at before, maybe in more tensors: nothing is checked, what it costs is not known."""
    return operator(_curvature(one, hessian_whole, hessian_strip, Cost(0, 0)))


def entries(layout: Layout, which: Entries) -> np.ndarray:
    """The entries of the layout that a choice names, by number, in the order given.

    Raises ValueError for an unknown tensor, a number outside 0 .. n - 1, a repeated entry or none.
    """
    everything = np.arange(layout.size)
    if which is None:
        return everything
    if isinstance(which, str):
        return everything[layout.where(which)]
    if not isinstance(which, np.ndarray) and all(isinstance(name, str) for name in which) and len(which):
        return _distinct(np.concatenate([everything[layout.where(name)] for name in which]), layout.size)
    return _distinct(np.asarray(which), layout.size)


def _distinct(chosen: np.ndarray, n: int) -> np.ndarray:
    whole = chosen.ndim == 1 and chosen.size and np.issubdtype(chosen.dtype, np.integer)
    if not whole or chosen.min() < 0 or chosen.max() >= n or len(np.unique(chosen)) < len(chosen):
        raise ValueError(f"a sub-block needs distinct entries in 0..{n - 1}, at least one of them, got {chosen[:8]} of {chosen.dtype}")
    return chosen


def chunk_of(matrix: Curvature, chunk: int | None) -> int:
    """The chunk asked for, or the fastest. Raises ValueError for chunk < 1."""
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk must be >= 1 vectors at a time, got {chunk}")
    return matrix.chunk if chunk is None else chunk


def _curvature(one: Objective, whole: Callable[..., Times], strip: Callable[..., Times], cost: Cost) -> Curvature:
    def strips(group: range) -> Times:
        return _mean([partial(strip, one, batch, group) for batch in one.batches], one.weights)

    return Curvature(one.layout, one.at, _mean([partial(whole, one, batch) for batch in one.batches], one.weights), strips, cost)


def _mean(parts: list[Callable[[], Times]], weights: Sequence[float]) -> Times:
    if len(parts) == 1:
        kept = cache(parts[0])
        return lambda rows: kept()(rows)
    return lambda rows: sum(weight * part()(rows) for weight, part in zip(weights, parts, strict=True))
