"""The trace and the squared Frobenius norm of a matrix that is known by its products alone.

With signs z, P = I - Q Q^T, and Q an orthonormal basis of the range of H S for a sketch S of signs:

    Hutchinson    z^T H z                                          variance per probe 2 (|H|_F^2 - sum_i H_ii^2)
    Hutch++       tr Q^T H Q + z^T P H P z                         given Q, the variance of Hutchinson for P H P
    XTrace        mean over i of the same, with S without column i for Q and that column for z
    |H|_F^2       |H z|^2                                          variance per probe 2 (|H^2|_F^2 - sum_i (H^2)_ii^2)

All four are unbiased. The samples of Hutchinson, of the norm, and, given Q, of Hutch++ are independent, so their
standard errors are as good as a sample variance. Those of one XTrace run depend on one another: its standard error is
the authors' estimate of the error, and where a few eigenvalues carry the norm it is too small (eigenvalues 0.8^i, 10
probes: about 2/3 of the true error, so that a 95 % interval holds 3 times in 4). `n_runs` > 1 averages independent runs
and takes the standard error between them, which has no such fault.
Where H has rank r, Hutch++ with a sketch of r columns and XTrace with r + 1 probes are exact, unless the signs are
dependent on that range, which is rare beyond matrices with zero rows. Both pay where a few eigenvalues carry the norm;
on a flat spectrum Hutchinson is as good or better.

Sources: Hutchinson (1990); Meyer, Musco, Musco and Woodruff (2021), https://arxiv.org/abs/2010.09649; Epperly, Tropp
and Webber (2024), https://arxiv.org/abs/2301.07825; all `recalled`. Departures: XTrace leaves out a column by the
pseudo-inverse, so that a sketch whose columns depend on one another (H of low rank) is no singular case; no rescaling
of the complement, which signs do not call for.

curvlinops-for-pytorch 3.0.1 has the same estimators. It is the peer in the tests and not the engine: it returns one
number without a standard error, draws from torch's global generator, and its XTrace inverts the sketch, which fails
where most rows of H are zero (dead units, tokens that no batch holds).
"""

import numpy as np
from scipy.sparse.linalg import LinearOperator

from sandbox.curvature.probes import Estimate, average, probed, require, signs, times_in_chunks


def hutchinson(operator: LinearOperator, *, n_probes: int, seed: int = 0, chunk: int = 16) -> Estimate:
    """tr H, in loss / param^2, from n_probes products. Raises ValueError for n_probes < 2 and chunk < 1."""
    samples = [(Z * HZ).sum(axis=0) for Z, HZ in probed(operator, n_probes=n_probes, seed=seed, chunk=chunk)]
    return average(np.concatenate(samples), n_probes)


def squared_frobenius(operator: LinearOperator, *, n_probes: int, seed: int = 0, chunk: int = 16) -> Estimate:
    """|H|_F^2 of a symmetric H, in (loss / param^2)^2, from n_probes products. Raises ValueError for n_probes < 2 and chunk < 1."""
    samples = [np.square(HZ).sum(axis=0) for _, HZ in probed(operator, n_probes=n_probes, seed=seed, chunk=chunk)]
    return average(np.concatenate(samples), n_probes)


def hutch_plus_plus(operator: LinearOperator, *, n_sketch: int, n_probes: int, seed: int = 0, chunk: int = 16) -> Estimate:
    """tr H from a sketch of n_sketch columns and n_probes signs: at most 2 n_sketch + n_probes products.

    Raises ValueError for n_sketch < 1, n_probes < 2 and chunk < 1.
    """
    require("n_sketch", n_sketch, 1)
    require("n_probes", n_probes, 2)
    n = operator.shape[0]
    Q, _, _ = _range(times_in_chunks(operator, signs(n, range(n_sketch), seed), chunk))
    HQ = times_in_chunks(operator, Q, chunk)
    PZ = _complement(Q, signs(n, range(n_sketch, n_sketch + n_probes), seed))
    rest = (PZ * times_in_chunks(operator, PZ, chunk)).sum(axis=0)
    return average((Q * HQ).sum() + rest, n_sketch + Q.shape[1] + n_probes)


def xtrace(operator: LinearOperator, *, n_probes: int, n_runs: int = 1, seed: int = 0, chunk: int = 16) -> Estimate:
    """tr H from n_probes signs, each used in the sketch and against it, n_runs times over: at most 2 n_probes n_runs products.

    Raises ValueError for n_probes < 2, n_runs < 1 and chunk < 1.
    """
    require("n_probes", n_probes, 2)
    require("n_runs", n_runs, 1)
    n, starts = operator.shape[0], range(0, n_probes * n_runs, n_probes)
    runs = [_exchanged(operator, signs(n, range(start, start + n_probes), seed), chunk) for start in starts]
    samples = runs[0][0] if n_runs == 1 else np.array([run.mean() for run, _ in runs])
    return average(samples, sum(products for _, products in runs))


def _exchanged(operator: LinearOperator, Z: np.ndarray, chunk: int) -> tuple[np.ndarray, int]:
    """One estimate per column of Z (n, k), with that column against the sketch of all others; and the products spent."""
    HZ = times_in_chunks(operator, Z, chunk)
    Q, V, sizes = _range(HZ)
    HQ = times_in_chunks(operator, Q, chunk)
    S = _left_out(V, sizes)
    inside, C = Q.T @ HQ, Q.T @ Z
    C = C - S * (S * C).sum(axis=0)
    sketched = np.trace(inside) - (S * (inside @ S)).sum(axis=0)
    return sketched + ((Z - Q @ C) * (HZ - HQ @ C)).sum(axis=0), Z.shape[1] + Q.shape[1]


def _range(Y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q (n, r), V (k, r), sizes (r,) with Y = Q diag(sizes) V^T, r the numerical rank of Y (n, k)."""
    basis, R = np.linalg.qr(Y)
    U, sizes, Vt = np.linalg.svd(R)
    rank = int(np.count_nonzero(sizes > max(Y.shape) * np.finfo(np.float64).eps * sizes[0]))
    return basis @ U[:, :rank], Vt[:rank].T, sizes[:rank]


def _left_out(V: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """S (r, k): in coordinates of Q, the unit direction that the range loses without column i; 0 where it loses none.

    Column i is needed where row i of the projector V V^T is e_i; then row i of the pseudo-inverse is orthogonal to all other columns.
    """
    needed = 1.0 - np.square(V).sum(axis=1) < 1e-8  # V is orthonormal to 1e-15; an idle column in general position is far from 0
    S = (V / sizes).T * needed
    return S / np.maximum(np.linalg.norm(S, axis=0), np.finfo(np.float64).tiny)


def _complement(Q: np.ndarray, Z: np.ndarray) -> np.ndarray:
    return Z - Q @ (Q.T @ Z)
