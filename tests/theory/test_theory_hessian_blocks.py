"""The bounds on Hessian blocks against exact Hessians by automatic differentiation, on random data, features and weights."""

import math

import numpy as np
import pytest
import torch
from torch.func import hessian
from torch.nn.functional import cross_entropy

from sandbox.theory import hessian_blocks


def z_score(samples, expected):
    return (np.mean(samples) - expected) / (np.std(samples, ddof=1) / math.sqrt(len(samples)))


def blocks(loss, w):
    """(k, k, d, d): second derivatives between the rows of w (k, d)."""
    return hessian(loss)(w).permute(0, 2, 1, 3).numpy()


def softmax_blocks(V, h, labels):
    return blocks(lambda V_: cross_entropy(h @ V_.T, labels), V)


def norms(H):
    return np.sqrt((H**2).sum((2, 3)))


def mass(H):
    squares = norms(H) ** 2
    return np.trace(squares) / squares.sum()


def top(H):
    """Largest eigenvalue of BD^-1 H."""
    k, _, d, _ = H.shape
    whole = H.transpose(0, 2, 1, 3).reshape(k * d, k * d)
    inverse_roots = []
    for i in range(k):
        values, vectors = np.linalg.eigh(H[i, i])
        inverse_roots.append(vectors / np.sqrt(values) @ vectors.T)
    root = np.zeros_like(whole)
    for i, block in enumerate(inverse_roots):
        root[i * d : (i + 1) * d, i * d : (i + 1) * d] = block
    return np.linalg.eigvalsh(root @ whole @ root)[-1]


def drawn(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape))


@pytest.mark.parametrize("scale", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("C", [2, 3, 7])
def test_the_softmax_layer_within_its_bounds_for_random_data(C, scale):
    rng = np.random.default_rng(C)
    for _ in range(5):
        H = softmax_blocks(scale * drawn(rng, C, 4), drawn(rng, 60, 4), torch.from_numpy(rng.integers(0, C, 60)))
        low, high = hessian_blocks.softmax_mass_lower.at(), hessian_blocks.softmax_mass_upper.at(C=C)
        assert low - 1e-12 <= mass(H) <= high + 1e-12
        low_top, high_top = hessian_blocks.block_newton_lower.at(C=C), hessian_blocks.block_newton_upper.at()
        assert low_top - 1e-9 <= top(H) <= high_top + 1e-9
        if scale == 0.0:
            assert mass(H) == pytest.approx(high, rel=1e-12) and top(H) == pytest.approx(low_top, rel=1e-9)
        if C == 2:
            assert mass(H) == pytest.approx(low, rel=1e-12) and top(H) == pytest.approx(high_top, rel=1e-9)


def test_two_classes_that_share_the_probability_bring_any_layer_to_one_half():
    """Features in the plane, and weights that leave two of six classes."""
    rng = np.random.default_rng(0)
    h = torch.cat([torch.ones(40, 1, dtype=torch.float64), 0.1 * drawn(rng, 40, 1)], 1)
    V = torch.tensor([[9.0, 0.5], [9.0, -0.5], *[[0.0, 0.0]] * 4], dtype=torch.float64)
    H = softmax_blocks(V, h, torch.zeros(40, dtype=torch.long))
    assert hessian_blocks.softmax_mass_lower.at() == pytest.approx(mass(H), abs=1e-3)
    assert hessian_blocks.block_newton_upper.at() == pytest.approx(top(H), abs=1e-3)


@pytest.mark.parametrize("C", [2, 5, 12])
def test_at_weights_of_zero(C):
    rng = np.random.default_rng(1)
    H = softmax_blocks(torch.zeros(C, 3, dtype=torch.float64), drawn(rng, 20, 3), torch.from_numpy(rng.integers(0, C, 20)))
    size = norms(H)
    assert hessian_blocks.uniform_ratio.at(C=C) == pytest.approx(size[0, 1] / size[0, 0], rel=1e-12)
    whole = H.transpose(0, 2, 1, 3).reshape(3 * C, 3 * C)
    rest = whole * (1 - np.kron(np.eye(C), np.ones((3, 3))))
    error = np.abs(np.linalg.eigvalsh(rest)).max() / np.linalg.eigvalsh(whole).max()
    assert hessian_blocks.uniform_error.at(C=C) == pytest.approx(error, rel=1e-10)


def test_the_shift_of_all_logits_is_flat_for_the_hessian_and_not_for_its_blocks():
    rng = np.random.default_rng(2)
    H = softmax_blocks(drawn(rng, 4, 3), drawn(rng, 50, 3), torch.zeros(50, dtype=torch.long))
    u = rng.standard_normal(3)
    assert np.abs((H @ u).sum(1)).max() < 1e-14 < 1e-2 < np.abs(H[0, 0] @ u).max()


def relu_blocks(W, V, x, y):
    return blocks(lambda W_: ((torch.relu(x @ W_.T) @ V.T - y) ** 2).sum(1).mean(), W)


def cosine(V, i, j):
    v = V.numpy()
    exact = v[:, i] @ v[:, j] / np.linalg.norm(v[:, i]) / np.linalg.norm(v[:, j])
    return float(np.clip(exact, -1.0, 1.0))


@pytest.mark.parametrize("C", [1, 3, 10])
def test_hidden_blocks_are_below_the_cosine_of_their_outgoing_weights(C):
    rng = np.random.default_rng(C)
    for _ in range(5):
        W, V, x = drawn(rng, 4, 3), drawn(rng, C, 4), drawn(rng, 30, 3)
        size = norms(relu_blocks(W, V, x, drawn(rng, 30, C)))
        for i, j in ((0, 1), (2, 3)):
            ratio = size[i, j] / math.sqrt(size[i, i] * size[j, j])
            assert ratio <= hessian_blocks.relu_ratio.at(cosine=cosine(V, i, j)) + 1e-12


def test_it_is_reached_by_neurons_that_are_active_together():
    rng = np.random.default_rng(3)
    w, V, x = drawn(rng, 1, 3), drawn(rng, 5, 2), drawn(rng, 30, 3)
    size = norms(relu_blocks(torch.cat([w, 2 * w]), V, x, drawn(rng, 30, 5)))
    assert hessian_blocks.relu_ratio.at(cosine=cosine(V, 0, 1)) == pytest.approx(size[0, 1] / math.sqrt(size[0, 0] * size[1, 1]), rel=1e-12)


@pytest.mark.parametrize(("theta", "d", "n"), [(math.pi / 2, 4, 6), (1.0, 3, 2), (2.5, 2, 5)])
def test_the_ratio_for_gaussian_inputs_by_monte_carlo(theta, d, n):
    """The mean of |S_ij|^2 - ratio |S_ii|^2 is 0, and of a ratio 5 % higher it is not."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((100_000, n, d))
    w = np.zeros((2, d))
    w[0, 0], w[1, :2] = 1.0, (math.cos(theta), math.sin(theta))
    active = (x @ w.T) > 0
    gram = (x @ x.transpose(0, 2, 1)) ** 2
    squares = lambda on: np.einsum("bn,bnm,bm->b", on, gram, on)  # noqa: E731
    off, diagonal = squares((active[..., 0] & active[..., 1]) * 1.0), squares(active[..., 0] * 1.0)
    limit = hessian_blocks.relu_ratio_gaussian.at(theta=theta, d=d, n=n, cosine=1.0)
    assert abs(z_score(off - limit * diagonal, 0.0)) < 4 < abs(z_score(off - 1.05 * limit * diagonal, 0.0))
    assert hessian_blocks.relu_ratio_gaussian.at(theta=theta, d=d, n=n, cosine=0.5) == pytest.approx(limit / 4, rel=1e-12)


@pytest.mark.parametrize("C", [2, 3, 10])
def test_cross_entropy_correlates_the_columns_more_than_squared_error(C):
    """Mean squared cosines of Gaussian columns with and without their means; at p = 1/C the blocks weigh the covariance."""
    rng = np.random.default_rng(C)
    v = rng.standard_normal((100_000, 2, C))
    squared = lambda u: (u[:, 0] * u[:, 1]).sum(1) ** 2 / (u[:, 0] ** 2).sum(1) / (u[:, 1] ** 2).sum(1)  # noqa: E731
    with_mean, without = squared(v), squared(v - v.mean(2, keepdims=True))
    assert abs(z_score(without - hessian_blocks.cross_entropy_excess.at(C=C) * with_mean, 0.0)) < 4


def test_the_weights_of_hidden_blocks_at_small_logits_are_covariances():
    rng = np.random.default_rng(5)
    W, V, x = torch.ones(2, 2, dtype=torch.float64), drawn(rng, 6, 2), drawn(rng, 40, 2)
    H = blocks(lambda W_: cross_entropy(1e-4 * torch.relu(x @ W_.T) @ V.T, torch.zeros(40, dtype=torch.long)), W)
    centred = V.numpy() - V.numpy().mean(0)
    correlation = centred[:, 0] @ centred[:, 1] / np.linalg.norm(centred[:, 0]) / np.linalg.norm(centred[:, 1])
    size = norms(H)
    assert size[0, 1] / math.sqrt(size[0, 0] * size[1, 1]) == pytest.approx(abs(correlation), rel=1e-3)


@pytest.mark.parametrize(("gamma", "n"), [(0.2, 2500), (1.0, 700)])
def test_the_limit_of_many_classes_and_inputs(gamma, n):
    """s2 = 1. Weights of p_i p_j prefer inputs along v_i + v_j, which lengthens |x|^2 from d to d + 8: 16 / d of what gamma weighs,
    3 % at d = 500; p_i (1 - p_i) is short of p_i by e / C.
    """
    rng, d, C = np.random.default_rng(6), int(gamma * n), 1000
    x = rng.standard_normal((n, d))
    logits = x @ rng.standard_normal((C, d)).T / math.sqrt(d)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gram = (x @ x.T) ** 2
    squares = lambda weights: np.einsum("nk,nk->k", weights, gram @ weights).mean()  # noqa: E731
    off, diagonal = squares(p[:, :400:2] * p[:, 1:400:2]), squares(p[:, :400:2] * (1 - p[:, :400:2]))
    limit = hessian_blocks.softmax_ratio_gaussian.at(gamma=gamma, logit_variance=1.0)
    assert limit == pytest.approx(C * math.sqrt(off / diagonal), rel=0.05)
