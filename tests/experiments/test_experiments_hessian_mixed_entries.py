"""Couplings and second moments where both are known."""

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def mixed(module):
    return module["hessian_mixed_entries"]


def test_couplings_are_free_of_the_scale_of_each_weight(mixed):
    rng = np.random.default_rng(0)
    A, scale = rng.normal(size=(6, 9)), np.exp(rng.normal(size=6))
    H = A @ A.T
    c, gap = mixed.pairs(H, np.diag(H))
    again, other = mixed.pairs(H * np.outer(scale, scale), np.diag(H))
    assert c == pytest.approx(again, rel=1e-12) and np.array_equal(gap, other)
    assert c.max() <= 1 + 1e-12  # Cauchy-Schwarz for a positive semidefinite matrix
    assert gap[0] == pytest.approx(abs(np.log(H[0, 0] / H[1, 1])))


def test_blocks_with_one_second_moment_each_are_seen_and_shuffled_ones_are_not(mixed):
    """The planted fault: second moments that know nothing of the blocks."""
    block = np.kron(np.eye(4), np.full((5, 5), 0.9)) + 0.1 * np.eye(20)
    v = np.repeat([1.0, 10.0, 100.0, 1000.0], 5) * np.exp(0.01 * np.random.default_rng(1).normal(size=20))
    right = mixed.of_matrix(*mixed.pairs(block, v))
    wrong = mixed.of_matrix(*mixed.pairs(block, np.random.default_rng(2).permutation(v)))
    assert right["correlation"] < -0.4 and right["top"] < 0.1 and right["level"] == pytest.approx(0.9)
    assert wrong["correlation"] > -0.3 and wrong["top"] > 0.5


def test_second_moments_are_means_of_squares(mixed):
    setting = mixed.Setting(vocab=4, width=8, ffn=8)
    problem = mixed.problem_of(setting)
    params, batches = problem.start(0), [problem.batch(0, 1), problem.batch(0, 2)]
    v = mixed.second_moments(problem, params, batches)
    leaves = {name: w.clone().requires_grad_() for name, w in params.items()}
    slopes = [torch.autograd.grad(problem.loss(leaves, batch), list(leaves.values())) for batch in batches]
    for k, name in enumerate(params):
        wanted = (slopes[0][k].double() ** 2 + slopes[1][k].double() ** 2) / 2
        assert v[name] == pytest.approx(wanted.reshape(-1).numpy(), rel=1e-4, abs=1e-16)  # float32 gradients, squared
