"""What pairs of products say about the squares of single entries of H: without bias, and at no further product.

For independent signs z_p and y_p = H z_p, entry i of y_p times entry j of z_p has the mean H_ij. Two different probes are
independent, so over a pair p != q

    E y_pi z_pj y_qi z_qj = E y_pi z_pj y_qj z_qi = H_ij^2         (i != j)

and over the k (k - 1) pairs the error falls as 1 / k, not as 1 / sqrt(k). The diagonal says nothing about blocks and makes
noise: `less` takes a fixed diagonal c off, y - c z, which leaves every H_ij, i != j, as it is.

There are three estimates of H_ij^2: y on i with z on j, the other way round, and crossed. They are averaged with weights w^2,
(1 - w)^2 and 2 w (1 - w), w = d_j / (d_i + d_j), d_i = sum_j H_ij^2: the lighter row, whose products are less noisy, speaks.
The standard error is then about

    sqrt(2) d_i d_j / ((d_i + d_j) k)   <=   0.71 sqrt(d_i d_j) / k

so H_ij^2 / sqrt(d_i d_j) is known to 0.71 / k whatever the scales of rows i and j. All of this is the sandbox's own (derived).
"""

from dataclasses import dataclass

import numpy as np


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


def squares(products: Products, masses: np.ndarray) -> np.ndarray:
    """(n, n), symmetric: H_ij^2, 0 on the diagonal. masses: (n,) d_i; they set the weights, about right is enough."""
    Z, Y, k = products.Z, products.Y, products.Z.shape[1]
    T, w = Z * Y, _weights(masses)
    one_way = w * (Y @ Z.T)
    equal = np.square(w) * np.square(Y).sum(axis=1)[:, None]  # what the pairs p = q add, z_pj^2 = 1
    found = np.square(one_way + one_way.T) - equal - equal.T - 2.0 * w * w.T * (T @ T.T)
    np.fill_diagonal(found, 0.0)
    return found / (k * (k - 1))


def fourth_moment(products: Products) -> float:
    """tr H^4 (H symmetric), by E (y_p . y_q)^2 over pairs."""
    G = np.square(products.Y.T @ products.Y)
    return float((G.sum() - np.trace(G)) / (len(G) * (len(G) - 1)))


def _weights(d: np.ndarray) -> np.ndarray:
    """w_ij = d_j / (d_i + d_j), 1/2 where both are 0."""
    total = d[:, None] + d[None, :]
    return np.divide(np.broadcast_to(d[None, :], total.shape), total, out=np.full(total.shape, 0.5), where=total > 0)
