"""Hidden blocks against a closed form and a planted fault; live averages against what is known of them."""

import math

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module")
def growth(module):
    return module["hessian_hidden_growth"]


@pytest.fixture(scope="module")
def live(module):
    return module["adam_mini_live"]


# --- hidden blocks


def test_the_hessian_is_the_gram_matrix_of_the_active_inputs(growth):
    """Squared error, piecewise linear: H_ij = 2 (v_i . v_j) / N sum over samples where both are active of x x^T."""
    setting = growth.Setting(outputs=(5,), neurons=3, inputs=4, samples=30)
    net = growth.network(setting, 5, 1)
    active = (net.x @ net.W.T > 0).double()
    gram = 2 * torch.einsum("ni,nj,na,nb->iajb", active, active, net.x, net.x) / 30
    wanted = gram * (net.V.T @ net.V)[:, None, :, None]
    assert torch.allclose(growth.hidden_hessian(net, "squared"), wanted, atol=1e-13)  # rounding of 30 sums


def test_the_ratio_of_decoupled_and_of_equal_blocks(growth):
    eye = torch.einsum("ij,ab->iajb", torch.eye(3), torch.eye(2)).double()
    assert growth.block_ratio(eye) == 0.0
    assert growth.block_ratio(torch.einsum("ij,ab->iajb", torch.ones(3, 3), torch.eye(2)).double()) == pytest.approx(1.0)
    scaled = torch.diag(torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64))
    assert growth.block_ratio(
        torch.einsum("ij,ab->iajb", scaled @ torch.ones(3, 3).double() @ scaled, torch.eye(2).double())
    ) == pytest.approx(1.0)


def test_columns_of_v_that_are_orthogonal_leave_nothing_between_blocks(growth):
    """The planted fault: with orthonormal columns there is nothing to fall."""
    setting = growth.Setting(outputs=(16,), neurons=4, inputs=6, samples=40)
    net = growth.network(setting, 16, 0)
    Q, _ = torch.linalg.qr(net.V)
    flat = growth.Network(net.x, net.W, Q, net.label)
    assert growth.block_ratio(growth.hidden_hessian(flat, "squared")) < 1e-14
    assert growth.block_ratio(growth.hidden_hessian(net, "squared")) > 0.05


def test_one_output_under_cross_entropy_is_two_logits_of_which_one_is_zero(growth):
    setting = growth.Setting(outputs=(1,), neurons=3, inputs=4, samples=20)
    net = growth.network(setting, 1, 2)
    two = growth.Network(net.x, net.W, torch.cat((torch.zeros_like(net.V), net.V)), net.label)
    assert torch.allclose(growth.hidden_hessian(net, "cross entropy"), growth.hidden_hessian(two, "cross entropy"), atol=1e-14)


def test_a_power_law_gives_its_power(growth):
    assert growth.power({f"x {c}": 3 * c**-0.5 for c in (16, 64, 256)}, "x", (16, 64, 256)) == pytest.approx(-0.5)


# --- live averages


def test_the_fall_of_the_loss(live):
    assert live.fall(np.array([100.0, 1.0, 0.01]), 3) == pytest.approx(-4.0)
    assert live.fall(np.array([1.0, 2.0]), 3) == math.inf
    assert live.fall(np.array([1.0, np.nan, 1.0]), 3) == math.inf
    assert live.fall(np.array([1.0, 0.0]), 2) == pytest.approx(math.log10(np.finfo(float).tiny))


def test_momentum_beyond_its_edge_diverges_and_below_it_does_not(live):
    far, near = (live.measure(live.Setting("momentum", lr=lr), (0,))[0]["log10"] for lr in (7.8e-4, 7.4e-4))
    assert near < -2 and (far == math.inf or far > 0)  # the edge is 2 (1 + 0.9) / 5000 = 7.6e-4


def test_dealt_blocks_have_the_same_eigenvalues(live):
    groups, mixed = (live.problem_of(live.Setting("adam", blocks=blocks)) for blocks in ("groups", "dealt"))
    assert sorted(sum(groups.blocks, ())) == sorted(sum(mixed.blocks, ()))
    assert max(max(b) / min(b) for b in groups.blocks) == 3 and min(max(b) / min(b) for b in mixed.blocks) > 1000


def test_methods_differ_and_an_unknown_one_is_refused(live):
    mini, adam = (live.measure(live.Setting(m, lr=0.05, steps=50), (3,))[0]["log10"] for m in ("adam-mini", "adam"))
    assert mini != adam
    with pytest.raises(ValueError, match="method must be one of"):
        live.rule_of(live.Setting("adamw"))
