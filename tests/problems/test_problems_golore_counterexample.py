"""GoLore's counterexample: the noise, the stall of the top subspace, and what the random subspace sees."""

import pytest
import torch

from sandbox.problems.golore_counterexample import GoLoreCounterexample, true_gradient_norm2


def gradient(problem, params, batch):
    return torch.func.grad(problem.loss)(params, batch)["X"]


def top_basis(G, rank):
    return torch.linalg.svd(G)[0][:, :rank]


def test_backprop_of_the_batch_loss_is_the_gradient_plus_xi_sigma_C():
    problem = GoLoreCounterexample(n=5, rank=2, sigma=0.7, linear=1.0)
    params, xi = problem.start(0), torch.tensor(-1.0, dtype=torch.float64)
    C = torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0], dtype=torch.float64))
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[:3] = params["X"][:3] + problem.B_nn[:3]
    torch.testing.assert_close(gradient(problem, params, xi), expected - 0.7 * C, rtol=1e-14, atol=1e-15)
    torch.testing.assert_close(gradient(problem, params, None), expected, rtol=1e-14, atol=1e-15)


def test_the_start_has_squared_gradient_n_minus_r_over_four():
    """(n - r) sigma^2 / 4 = 1.5 at n = 10, r = 4, sigma = 1."""
    problem = GoLoreCounterexample()
    assert float(true_gradient_norm2(problem, problem.start(3))) == 1.5


def test_the_true_gradient_norm_is_that_of_the_loss_without_noise():
    problem = GoLoreCounterexample(n=6, rank=2, linear=2.0, seed=4)
    params = {"X": torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))}
    exact = gradient(problem, params, None).square().sum()
    torch.testing.assert_close(true_gradient_norm2(problem, params), exact, rtol=1e-13, atol=0)


def test_the_top_subspace_sees_nothing_of_the_gradient():
    """All singular values of the gradient block are sigma/2 < sigma, so the top r directions are the noise rows."""
    problem = GoLoreCounterexample()
    params = problem.start(0)
    P = top_basis(gradient(problem, params, problem.batch(0, 0)), problem.rank)
    assert (P.T @ gradient(problem, params, None)).abs().max() < 1e-14


@pytest.mark.parametrize(("law", "fourth"), [("rademacher", 1.0), ("gaussian", 3.0)])
def test_xi_has_mean_zero_variance_one_and_its_law(law, fourth):
    """Over 4000 steps the standard deviations are 0.016 (mean), at most 0.022 (variance), 0.16 (fourth): 4 sigma."""
    problem = GoLoreCounterexample(law=law)
    xi = torch.stack([problem.batch(0, k) for k in range(4000)])
    assert abs(xi.mean()) < 0.064 and abs(xi.square().mean() - 1) < 0.09
    assert abs((xi**4).mean() - fourth) < 0.64


def test_a_batch_averages_and_is_a_pure_function_of_seed_and_step():
    problem = GoLoreCounterexample(batch_size=3)
    values = {round(3 * float(problem.batch(s, k))) for s in range(3) for k in range(20)}
    assert values == {-3, -1, 1, 3}
    assert torch.equal(problem.batch(1, 2), problem.batch(1, 2))


def test_refuses_a_rank_that_leaves_no_signal():
    with pytest.raises(ValueError, match="0 < rank < n and batch_size >= 1, got 4, 4, 1"):
        GoLoreCounterexample(n=4, rank=4)
    with pytest.raises(ValueError, match="got 'normal'"):
        GoLoreCounterexample(law="normal")
