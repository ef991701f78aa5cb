"""The block-diagonal part BD(H) as an operator, and how far H is from it in the operator norm and along single vectors.

    BD v   = sum_b P_b H P_b v                           P_b keeps block b: one product with H per block
    error  = |H - BD(H)|_2 / |H|_2                       both norms by Lanczos, each from below (see `spectrum`)
    cosine = <H v, BD v> / (|H v| |BD v|)                1 for every v exactly where BD(H) = c H, c > 0

Where the dense blocks fit into memory they are kept: sum_b s_b^2 numbers, n products once, and a product with BD is then
free of H. A vector of products per block is for blocks too large for that.

The Frobenius share hides the spectrum: of a softmax at zero logits the rest has a share 1/C of |H|_F^2 and an operator norm
of 1 - 1/C of that of H.

Sources: derived; the operator norm and the cosine are what Granziol and Juarev (2026), https://arxiv.org/abs/2602.00816,
read second-hand, hold against block-diagonal approximations. Departures: none known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.block_mass import groups
from sandbox.curvature.probes import Estimate, average, operator_of, require, signs, times
from sandbox.curvature.spectrum import end_of_spectrum


@dataclass(frozen=True)
class NormError:
    """rest, whole: the largest |eigenvalue| of H - BD(H) and of H, in loss / param^2, and the residual of each pair.

    An eigenvalue lies within its residual of each value, so that each norm is at least the value less its residual.
    """

    rest: float
    whole: float
    rest_residual: float
    whole_residual: float

    @property
    def error(self) -> float:
        return self.rest / self.whole

    def interval(self) -> tuple[float, float]:
        """Of the error, if Lanczos has found the ends of both spectra and not eigenvalues inside them."""
        low = (self.rest - self.rest_residual) / (self.whole + self.whole_residual)
        return low, (self.rest + self.rest_residual) / (self.whole - self.whole_residual)


def by_products(operator: LinearOperator, labels: np.ndarray | torch.Tensor, *, chunk: int = 16) -> LinearOperator:
    """BD(H) without a matrix: B products with H for each vector, blocks of `chunk` at a time."""
    n = operator.shape[0]
    blocks = groups(labels, n)

    def products(V: np.ndarray) -> np.ndarray:
        found = np.zeros((n, V.shape[1]))
        for column, v in enumerate(V.T):
            for first in range(0, len(blocks), chunk):
                part = blocks[first : first + chunk]
                masked = np.zeros((n, len(part)))
                for place, b in enumerate(part):
                    masked[b, place] = v[b]
                for b, y in zip(part, times(operator, masked).T, strict=True):
                    found[b, column] = y[b]
        return found

    return operator_of(products, n)


def dense_blocks(operator: LinearOperator, labels: np.ndarray | torch.Tensor, *, chunk: int = 32) -> tuple[np.ndarray, ...]:
    """H_bb of every block, in the order of `groups`, by n products."""
    n = operator.shape[0]
    found = []
    for b in groups(labels, n):
        columns = []
        for first in range(0, len(b), chunk):
            part = b[first : first + chunk]
            units = np.zeros((n, len(part)))
            units[part, np.arange(len(part))] = 1.0
            columns.append(times(operator, units)[b])
        found.append(np.concatenate(columns, axis=1))
    return tuple(found)


def from_dense(blocks: Sequence[np.ndarray], labels: np.ndarray | torch.Tensor) -> LinearOperator:
    """BD(H) from its blocks, each as large as its group. Raises ValueError where the sizes differ."""
    n = sum(map(len, blocks))
    places = groups(labels, n)
    if [len(b) for b in places] != [len(block) for block in blocks]:
        raise ValueError(
            f"dense blocks of sizes {[len(x) for x in blocks][:8]} must fit groups of {[len(b) for b in places][:8]}: same order"
        )

    def products(V: np.ndarray) -> np.ndarray:
        found = np.empty((n, V.shape[1]))
        for b, block in zip(places, blocks, strict=True):
            found[b] = block @ V[b]
        return found

    return operator_of(products, n)


def norm_error(operator: LinearOperator, block_part: LinearOperator, *, tol: float = 1e-6, seed: int = 0) -> NormError:
    """|H - BD(H)|_2 beside |H|_2 of symmetric operators. Raises ValueError where Lanczos gives up, and for n < 2."""
    difference = operator_of(lambda V: times(operator, V) - times(block_part, V), operator.shape[0])
    rest, whole = (end_of_spectrum(one, 1, end="magnitude", tol=tol, seed=seed) for one in (difference, operator))
    return NormError(abs(float(rest.values[0])), abs(float(whole.values[0])), float(rest.residuals[0]), float(whole.residuals[0]))


def cosines(operator: LinearOperator, block_part: LinearOperator, V: np.ndarray) -> np.ndarray:
    """cos(H v, BD v) for each column of V (n, k); 0 where one product vanishes and the other does not, nan where both do."""
    exact, blocks = times(operator, V), times(block_part, V)
    lengths = np.linalg.norm(exact, axis=0), np.linalg.norm(blocks, axis=0)
    inner = (exact * blocks).sum(axis=0)
    both = (lengths[0] == 0) & (lengths[1] == 0)
    return np.where(both, np.nan, inner / np.maximum(lengths[0] * lengths[1], np.finfo(np.float64).tiny))


def mean_cosine(operator: LinearOperator, block_part: LinearOperator, *, n_probes: int, seed: int = 0, chunk: int = 16) -> Estimate:
    """The mean of `cosines` over random signs, n_probes products with each. Raises ValueError for n_probes < 2.

    Of several gradients it is `average(cosines(H, BD, gradients), n_products)`.
    """
    require("n_probes", n_probes, 2)
    n = operator.shape[0]
    parts = [range(first, min(first + chunk, n_probes)) for first in range(0, n_probes, chunk)]
    return average(np.concatenate([cosines(operator, block_part, signs(n, part, seed)) for part in parts]), n_probes)
