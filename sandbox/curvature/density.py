"""The spectral density of a symmetric matrix that is known by its products alone: stochastic Lanczos quadrature.

    phi(x) = (1/n) sum_i delta(x - lambda_i),    (1/n) tr f(H) = mean over probes of  sum_k weight_k f(node_k)

Each probe starts Lanczos at v = z / sqrt(n), z signs. The eigenvalues of the tridiagonal matrix T after m steps are the
nodes, the squared first entries of its eigenvectors the weights: a Gauss rule, equal to v^T f(H) v for every polynomial
f of degree 2 m - 1 or less. So moments up to 2 m - 1 are unbiased, and all else is right up to the error of the rule.

A picture needs a width. Here it is relative to the range of the nodes: sigma = bandwidth * (largest - smallest). An
absolute width shows a block of small curvature as one bump, whatever its spectrum.

Sources: Golub and Meurant (1994); Ghorbani, Krishnan and Xiao (2019), https://arxiv.org/abs/1901.10159; `recalled`.
Departures: signs instead of normal starts; vectors that have lost their orthogonality regain it (see `lanczos`), without which
an eigenvalue that has converged comes back as a copy with weight of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.lanczos import lanczos
from sandbox.curvature.probes import Estimate, average, require, signs

TAILS = 4.0  # widths beyond the outermost nodes on a grid; a normal bump has 3e-5 of its mass further out on one side


@dataclass(frozen=True)
class Curve:
    """A smoothed density on a grid: mean over probes and its standard error, (p,) each, per unit of eigenvalue. sigma: the width used."""

    grid: np.ndarray
    mean: np.ndarray
    standard_error: np.ndarray
    sigma: float


@dataclass(frozen=True)
class Density:
    """One Gauss rule per probe: nodes[i] ascending in loss / param^2, weights[i] >= 0 with sum 1. n: rows of the matrix."""

    nodes: tuple[np.ndarray, ...]
    weights: tuple[np.ndarray, ...]
    n: int
    n_products: int

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest node; the spectrum reaches at least as far on both sides."""
        return float(min(x[0] for x in self.nodes)), float(max(x[-1] for x in self.nodes))

    def mean_of(self, f: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        """(1/n) tr f(H); f acts on arrays of eigenvalues."""
        samples = np.array([w @ f(x) for x, w in zip(self.nodes, self.weights, strict=True)])
        return average(samples, self.n_products)

    def moment(self, power: int) -> Estimate:
        """(1/n) tr H^power, unbiased up to power 2 steps - 1."""
        return self.mean_of(lambda x: x**power)

    def share_below(self, threshold: float) -> Estimate:
        """The share of eigenvalues below a threshold, up to the resolution of the rule."""
        return self.mean_of(lambda x: (x < threshold).astype(np.float64))

    def smoothed(self, *, bandwidth: float = 0.01, n_points: int = 512) -> Curve:
        """The density, every node spread to a normal bump of width bandwidth * range, on n_points from end to end and TAILS widths more.

        Raises ValueError for bandwidth <= 0, n_points < 2 and a spectrum without width.
        """
        low, high = self.ends
        if bandwidth <= 0.0 or n_points < 2 or high <= low:
            raise ValueError(
                f"a smoothed density needs bandwidth > 0, n_points >= 2 and a range of eigenvalues, got bandwidth {bandwidth}, "
                f"n_points {n_points} and eigenvalues from {low:.6g} to {high:.6g}"
            )
        sigma = bandwidth * (high - low)
        grid = np.linspace(low - TAILS * sigma, high + TAILS * sigma, n_points)
        bumps = np.stack([_normal((grid[:, None] - x) / sigma) @ w for x, w in zip(self.nodes, self.weights, strict=True)]) / sigma
        return Curve(grid, bumps.mean(axis=0), bumps.std(axis=0, ddof=1) / len(bumps) ** 0.5, sigma)


def spectral_density(operator: LinearOperator, *, n_steps: int = 100, n_probes: int = 10, seed: int = 0) -> Density:
    """The density from n_probes runs of at most n_steps products each (fewer where a run has seen all there is).

    Raises ValueError for n_steps < 1 and n_probes < 2.
    """
    require("n_steps", n_steps, 1)
    require("n_probes", n_probes, 2)
    n = operator.shape[0]
    rules = [lanczos_rule(operator, signs(n, range(i, i + 1), seed)[:, 0], n_steps) for i in range(n_probes)]
    nodes, weights = zip(*rules, strict=True)
    return Density(nodes, weights, n, sum(map(len, nodes)))


def lanczos_rule(operator: LinearOperator, start: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the Gauss rule that a start (n,) not 0 gives after min(n_steps, n) steps, or when its Krylov space closes."""
    for run in lanczos(operator, start, n_steps):
        last = run
    nodes, vectors = last.ritz()
    return nodes, np.square(vectors[0])


def _normal(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x * x) / (2.0 * np.pi) ** 0.5
