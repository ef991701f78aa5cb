"""SubZero's moments, cosines and refresh law against sampled subspaces in plain numpy, with their own standard errors."""

import math

import numpy as np
import pytest

from sandbox.theory import subzero, zeroth_order, zeroth_order_rate

M, N, R, RUNS = 6, 5, 2, 20_000
D, Q = M * N, R * R
LOW_RANK = np.outer(np.arange(1.0, M + 1), [1.0, -1.0, 0.5, 2.0, 0.0])


def z_score(samples, expected):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def orthonormal(rng, runs, side, rank):
    return np.linalg.qr(rng.standard_normal((runs, side, rank)))[0]


def perturbations(rng, runs=RUNS):
    """(runs, m, n) directions mu U Z V^T."""
    U, V = orthonormal(rng, runs, M, R), orthonormal(rng, runs, N, R)
    return math.sqrt(D) / R * U @ rng.standard_normal((runs, R, R)) @ np.swapaxes(V, 1, 2)


def cosines(a, b):
    return (a * b).sum((1, 2)) / np.sqrt((a**2).sum((1, 2)) * (b**2).sum((1, 2)))


@pytest.mark.parametrize("G", [LOW_RANK, np.random.default_rng(9).standard_normal((M, N))], ids=["rank one", "full rank"])
def test_mean_scatter_and_cosine(G):
    z = perturbations(np.random.default_rng(1))
    ghat = (z * G).sum((1, 2))[:, None, None] * z
    assert abs(z_score((ghat * G).sum((1, 2)) / (G**2).sum(), 1.0)) < 4  # unbiased along G
    assert abs(z_score((ghat**2).sum((1, 2)) / (G**2).sum(), subzero.second_moment.at(d=D, q=Q))) < 4
    square = cosines(ghat, np.broadcast_to(G, ghat.shape)) ** 2
    assert abs(z_score(square, subzero.cosine.at(d=D, q=Q))) < 4 and abs(z_score(square, 1.1 / D)) > 4


def test_against_the_projected_gradient_the_cosine_is_one_over_q():
    rng, G = np.random.default_rng(2), LOW_RANK
    U, V = orthonormal(rng, 1, M, R)[0], orthonormal(rng, 1, N, R)[0]
    z = U @ rng.standard_normal((RUNS, R, R)) @ V.T
    ghat = (z * G).sum((1, 2))[:, None, None] * z
    projected = np.broadcast_to(U @ (U.T @ G @ V) @ V.T, ghat.shape)
    assert abs(z_score(cosines(ghat, projected) ** 2, subzero.projected_cosine.at(d=D, q=Q))) < 4


@pytest.mark.parametrize("n", [1, 3])
def test_no_law_sees_more_than_n_of_d(n):
    """Averaged over a basis, by the trace of the projector; Gaussian, low-rank and orthogonal directions."""
    rng = np.random.default_rng(3)
    orthogonal = np.swapaxes(orthonormal(rng, 300, D, n), 1, 2)
    low_rank = np.stack([perturbations(rng, 300).reshape(300, D) for _ in range(n)], 1)
    limit = subzero.cosine_limit.at(n=n, d=D)
    for z, equal in ((orthogonal, True), (low_rank, n == 1), (rng.standard_normal((300, n, D)), n == 1)):
        P = np.swapaxes(z, 1, 2) @ z  # column i is the estimate of the i-th basis vector
        cos2 = np.mean(np.diagonal(P, axis1=1, axis2=2) ** 2 / (P**2).sum(1), axis=1)
        assert cos2.max() <= limit * (1 + 1e-12)
        assert (cos2.min() == pytest.approx(limit, rel=1e-9)) == equal


@pytest.mark.parametrize("G", [LOW_RANK, np.eye(M, N)], ids=["rank one", "flat"])
def test_the_captured_energy_varies_as_stated(G):
    rng = np.random.default_rng(4)
    U, V = orthonormal(rng, RUNS, M, R), orthonormal(rng, RUNS, N, R)
    share = ((np.swapaxes(U, 1, 2) @ G @ V) ** 2).sum((1, 2)) / (G**2).sum()
    flatness = np.trace(G @ G.T @ G @ G.T) / (G**2).sum() ** 2
    at = {"rows": M, "columns": N, "rank": R, "flatness": flatness}
    assert abs(z_score(share, Q / D)) < 4
    assert abs(z_score(share**2, subzero.captured_square.at(**at))) < 4


def test_the_dossier_s_spreads():
    """std/mean 0.95 and 0.34 at m = 24, n = 20, r = 4, to the two digits noted; a full-rank Gaussian G has flatness near (1/m + 1/n)."""
    for flatness, spread in ((1.0, 0.95), (1 / 24 + 1 / 20, 0.34)):
        square = subzero.captured_square.at(rows=24, columns=20, rank=4, flatness=flatness)
        assert math.sqrt(square * (480 / 16) ** 2 - 1) == pytest.approx(spread, abs=0.02)


@pytest.mark.parametrize("F", [1, 4, 25])
def test_a_period_contracts_by_the_refresh_factor(F):
    """x on |x|^2 / 2 in d = 8, q = 3: fresh coordinates, F Gaussian steps inside."""
    rng, d, q = np.random.default_rng(5), 8, 3
    P = orthonormal(rng, RUNS, d, q)
    x = np.broadcast_to(np.arange(1.0, d + 1), (RUNS, d))
    y = np.einsum("rdq,rd->rq", P, x)
    rest = (x**2).sum(1) - (y**2).sum(1)
    for _ in range(F):
        z = rng.standard_normal((RUNS, q))
        y = y - (z * y).sum(1, keepdims=True) * z / (q + 2)
    ratio = ((y**2).sum(1) + rest) / (x**2).sum(1)
    assert abs(z_score(ratio, subzero.refresh_factor.at(d=d, q=q, F=F))) < 4
    assert subzero.refresh_factor.at(d=d, q=q, F=F) >= subzero.stall.at(d=d, q=q)
    assert subzero.refresh_factor.at(d=d, q=q, F=1) ** F <= subzero.refresh_factor.at(d=d, q=q, F=F) * (1 + 1e-12)


def test_the_edge_is_where_a_step_inside_keeps_the_mean_square():
    rng, d, q, L = np.random.default_rng(6), 8, 3, 2.0
    z = rng.standard_normal((10 * RUNS, q))
    y = np.array([1.0, -2.0, 0.5])
    step = subzero.edge.at(d=d, q=q, L=L) * d / q
    ratio = ((y - step * L * (z @ y)[:, None] * z) ** 2).sum(1) / (y @ y)
    assert abs(z_score(ratio, 1.0)) < 4


def test_refreshed_gradients_stay_below_and_meet_at_one_step():
    """f = sum (1 - cos x), L = 1, F = 3: the gradients at new subspaces; and against MeZO's constant at q = d."""
    rng, d, q, F, K = np.random.default_rng(7), 6, 2, 3, 12
    x, total = rng.uniform(-3, 3, (4000, d)), 0.0
    start = (1 - np.cos(x)).sum(1)
    for k in range(K):
        if k % F == 0:
            P = orthonormal(rng, 4000, d, q)
            total += (np.sin(x) ** 2).sum(1).mean() / (K // F)
        z = np.einsum("rdq,rq->rd", P, rng.standard_normal((4000, q)))
        x = x - ((z * np.sin(x)).sum(1) / (q + 2))[:, None] * z
    Delta = float((start - (1 - np.cos(x)).sum(1)).mean())
    assert total < subzero.refreshed_gradient.at(d=d, q=q, F=F, K=K, L=1.0, Delta=Delta)
    whole = subzero.refreshed_gradient.at(d=d, q=d, F=1, K=K, L=1.0, Delta=1.0)
    assert whole == pytest.approx(zeroth_order_rate.best_step.at(d=d, n=1, K=K, L=1.0, Delta=1.0), rel=1e-14)
    assert subzero.second_moment.at(d=d, q=d) == zeroth_order.gaussian_second_moment.at(d=d, n=1)
