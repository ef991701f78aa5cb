"""Lanczos with partial reorthogonalisation: a basis V of the Krylov space of a symmetric H, and the tridiagonal T = V^T H V.

    beta_j v_{j+1} = H v_j - alpha_j v_j - beta_{j-1} v_{j-1}

Rounding makes a new vector lean on old ones once an eigenvalue has converged; left alone it comes back as a copy. How far,
omega_jk = v_j^T v_k, follows from T by the same recurrence, without a product of vectors:

    beta_j omega_{j+1,k} = beta_k omega_{j,k+1} + (alpha_k - alpha_j) omega_jk + beta_{k-1} omega_{j,k-1}
                           - beta_{j-1} omega_{j-1,k} + rounding

Where that passes sqrt(eps), the new vector and the one after it are made orthogonal to all; T is then V^T H V to eps |H|. On a basis
of millions of entries this is most of the work beside the products, and few steps need it.

Source: Simon (1984), "The Lanczos algorithm with partial reorthogonalization", `recalled`. Departures: rounding is taken at its
bound with the sign that hurts, ROUNDINGS eps |H|, and not drawn.

curvlinops 3.0.1 keeps two vectors, hessian-eigenthings 1.0.0a5 makes every vector orthogonal to all, and SciPy's eigsh restarts and
does not give T away: that is why the loop is written out. It costs n x steps numbers of the operator's dtype.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.probes import times

CLOSED = 64.0  # roundings of the longest product: a rest of so few is none
ROUNDINGS = 8.0  # of a product with H and of the two subtractions


@dataclass
class Run:
    """basis (m, n), alphas (m,) and betas (m,) after m steps; betas[-1] is the length of what the last product has outside the basis.

    passes: how often a vector was made orthogonal to all.
    """

    room: np.ndarray
    alphas: list[float] = field(default_factory=list)
    betas: list[float] = field(default_factory=list)
    passes: int = 0

    @property
    def basis(self) -> np.ndarray:
        return self.room[: len(self.alphas)]

    def ritz(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (m,) of T, ascending, and its eigenvectors (m, m)."""
        return eigh_tridiagonal(np.array(self.alphas), np.array(self.betas[:-1]))


def lanczos(operator: LinearOperator, start: np.ndarray, n_steps: int) -> Iterator[Run]:
    """The run after each of min(n_steps, n) steps from a start (n,) not 0; fewer where its Krylov space closes."""
    n_steps, kind = min(n_steps, len(start)), np.dtype(operator.dtype)
    run, eps, scale = Run(np.empty((n_steps, len(start)), dtype=kind)), float(np.finfo(kind).eps), 0.0
    lean, again, v = Lean(eps), False, start / np.linalg.norm(start)
    for step in range(n_steps):
        run.room[step] = v
        w = times(operator, run.room[step][:, None])[:, 0].astype(kind, copy=False)
        scale = max(scale, float(np.linalg.norm(w)))
        run.alphas.append(float(run.room[step] @ w))
        w = w - run.alphas[-1] * run.room[step] - (run.betas[-1] * run.room[step - 1] if step else 0.0)
        leans = lean.follow(run, float(np.linalg.norm(w)), scale)
        if leans or again:
            w, again, run.passes = _orthogonal(w, run.basis), leans and not again, run.passes + 1
            lean.reset()
        run.betas.append(float(np.linalg.norm(w)))
        yield run
        if run.betas[-1] <= CLOSED * eps * scale:
            return
        v = w / run.betas[-1]


class Lean:
    """Bounds of |v_{j+1}^T v_k| for all k <= j, by the recurrence in the module's equations."""

    def __init__(self, eps: float) -> None:
        self.eps, self.before, self.now = eps, np.zeros(0), np.ones(1)

    def follow(self, run: Run, beta: float, scale: float) -> bool:
        """One step on, to a vector of length beta before it is normalised. True where it leans on an old one by more than sqrt(eps)."""
        a, b, j = np.array(run.alphas), np.array(run.betas), len(run.alphas) - 1
        noise = ROUNDINGS * self.eps * scale
        length = max(beta, noise, float(np.finfo(np.float64).tiny))
        ahead = np.full(j + 2, 1.0)
        ahead[j] = noise / length
        if j:
            found = b * self.now[1:] + (a[:j] - a[j]) * self.now[:j] - b[-1] * np.append(self.before, 0.0)[:j]
            found[1:] += b[:-1] * self.now[: j - 1]
            ahead[:j] = (found + np.copysign(noise, found)) / length
        self.before, self.now = self.now[: j + 1], ahead
        return bool(np.abs(ahead[: j + 1]).max() > self.eps**0.5)

    def reset(self) -> None:
        self.now[:-1] = self.eps


def _orthogonal(w: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The part of w orthogonal to the basis. A pass that takes most of w away leaves mostly rounding, which lies anywhere: then another."""
    for _ in range(3):
        before = np.linalg.norm(w)
        w = w - (basis @ w) @ basis
        if np.linalg.norm(w) > 0.7 * before:
            break
    return w
