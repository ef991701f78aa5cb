"""What pairs of products say about the squares of single entries of H: without bias, and at no further product.

For independent signs z_p and y_p = H z_p, entry i of y_p times entry j of z_p has the mean H_ij. Two different probes are
independent, so over a pair p != q

    E y_pi z_pj y_qi z_qj = E y_pi z_pj y_qj z_qi = H_ij^2         (i != j)

and over the k (k - 1) pairs the error falls as 1 / k, not as 1 / sqrt(k). The estimate here is the mean of four: y on i with
z on j, the other way round, and the two crossed ones. Where all rows have the mass d = sum_j H_ij^2, as after `balanced`, its
variance is about d^2 / (2 k^2) + 2 d H_ij^2 / k (derived: it is the square of a mean with variance d / (2 k), less its own
variance). Where there is nothing, the error is 0.71 d / k.

The diagonal says nothing about blocks and makes noise: `less` takes a fixed diagonal c off, y - c z, which leaves every H_ij,
i != j, as it is.

    balanced    B (H - diag c) B,   B_ii = d_i^(-1/4): entries H_ij / (d_i d_j)^(1/4)

gives every row the same say. Without it the rows that hold most of the mass decide alone: the Hessian of a key matrix may have
95 % of its mass in one head, and then every cut that keeps this head whole is as good as any other. c and d are estimates from
`BALANCE` products. All of this is the sandbox's own (derived).
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.probes import operator_of, signs, times_in_chunks

BALANCE, FIRST = 16, 2_000_000  # products, and the number of their first probe; a mass is known to sqrt(2 / 16), a fourth root to 9 %
CHUNK = 64
NOTHING = 1e-12  # share of |H|_F^2 below which the off-diagonal part is rounding, in float32 too


@dataclass(frozen=True)
class Products:
    """Z: (n, k) independent signs.  Y: (n, k) products with H, less a fixed diagonal where `less` has been used."""

    Z: np.ndarray
    Y: np.ndarray

    def __post_init__(self) -> None:
        if self.Z.shape != self.Y.shape or self.Z.ndim != 2 or self.Z.shape[1] < 2:
            raise ValueError(f"pairs need k >= 2 vectors of signs and as many products, (n, k) both, got {self.Z.shape} and {self.Y.shape}")

    def part(self, first: int, last: int) -> "Products":
        """Probes first ... last - 1."""
        return Products(self.Z[:, first:last], self.Y[:, first:last])

    def less(self, diagonal: np.ndarray) -> "Products":
        return Products(self.Z, self.Y - diagonal[:, None] * self.Z)

    @property
    def diagonal(self) -> np.ndarray:
        """(n,) unbiased estimate of H_ii."""
        return (self.Z * self.Y).mean(axis=1)

    @property
    def masses(self) -> np.ndarray:
        """(n,) unbiased estimate of sum_j H_ij^2."""
        return np.square(self.Y).mean(axis=1)


def products_of(operator: LinearOperator, *, n_products: int, seed: int, first: int = 0) -> Products:
    """With probes first, first + 1, ... of the seed."""
    Z = signs(operator.shape[0], range(first, first + n_products), seed)
    return Products(Z, times_in_chunks(operator, Z, CHUNK))


def squares(products: Products) -> np.ndarray:
    """(n, n), symmetric: H_ij^2, 0 on the diagonal."""
    Z, Y, k = products.Z, products.Y, products.Z.shape[1]
    C, T = Y @ Z.T, Z * Y
    equal = np.square(Y).sum(axis=1)  # what the pairs p = q add to C_ij^2, as z_pj^2 = 1
    found = np.square(C + C.T) - equal[:, None] - equal[None, :] - 2.0 * (T @ T.T)
    np.fill_diagonal(found, 0.0)
    return found / (4.0 * k * (k - 1))


def interaction(products: Products) -> np.ndarray:
    """N (n, n) of `clusters`: squares over sqrt(d_i d_j), which evens out what balancing from few products left; 0 without mass."""
    root = np.sqrt(products.masses)
    scale = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    return squares(products) * np.outer(scale, scale)


def fourth_moment(products: Products) -> float:
    """tr H^4 (H symmetric), by E (y_p . y_q)^2 over pairs."""
    G = np.square(products.Y.T @ products.Y)
    return float((G.sum() - np.trace(G)) / (len(G) * (len(G) - 1)))


@dataclass(frozen=True)
class Balanced:
    """operator: B (H - diag c) B.  diagonal: (n,) c."""

    operator: LinearOperator
    diagonal: np.ndarray
    n_products: int = BALANCE


def balanced(operator: LinearOperator, *, seed: int) -> Balanced:
    """From `BALANCE` products. Rows without mass stay 0. Raises ValueError for a matrix without off-diagonal entries."""
    seen = products_of(operator, n_products=BALANCE, seed=seed, first=FIRST)
    c = seen.diagonal
    d = seen.less(c).masses
    total, own = float(d.sum()), float(np.square(c).sum())
    if not total > NOTHING * (total + own):
        raise ValueError(
            f"blocks are groups of entries that interact, but off the diagonal this {len(d)} x {len(d)} matrix has a mass of "
            f"{total:.1e} (on it: {own:.1e}): every entry is a block by itself"
        )
    b = np.divide(1.0, d**0.25, out=np.zeros_like(d), where=d > NOTHING * total / len(d))[:, None]
    return Balanced(operator_of(lambda V: b * (times_in_chunks(operator, b * V, CHUNK) - c[:, None] * b * V), len(d)), c)
