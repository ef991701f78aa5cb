"""Quadratics against pencil and paper: rotation, blocks, left structure, linear term, and what they refuse."""

import math

import pytest
import torch

from sandbox.problems.block_quadratic import BlockQuadratic
from sandbox.problems.matrix_quadratic import MatrixQuadratic, isotropic
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.spectra import dealt, three_groups


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_on_the_axes_the_loss_is_a_weighted_sum_of_squares():
    assert float(Quadratic((1.0, 4.0), basis="axes").loss({"x": vector(2.0, 3.0)}, None)) == 0.5 * 1 * 4 + 0.5 * 4 * 9


def test_the_rotation_hides_the_axes_and_depends_on_the_problem_s_seed_alone():
    H0, again, H1 = (Quadratic((1.0, 2.0, 30.0), seed=s).hessian_dd for s in (0, 0, 1))
    assert torch.equal(H0, again) and not torch.allclose(H0, H1)
    assert H0[0, 1:].abs().max() > 0.1


def test_facts_name_the_smallest_positive_eigenvalue_where_some_are_zero():
    facts = Quadratic((5.0, 0.0, 2.0)).facts
    assert (facts.L, facts.mu, facts.f_star, facts.spectrum) == (5.0, 2.0, 0.0, (0.0, 2.0, 5.0))


def test_an_indefinite_quadratic_is_unbounded_and_its_L_is_the_largest_modulus():
    facts = Quadratic((-7.0, 2.0)).facts
    assert (facts.L, facts.mu, facts.f_star) == (7.0, None, -math.inf)


def test_blocks_do_not_touch_each_other_and_each_has_its_spectrum():
    problem = BlockQuadratic(((1.0, 2.0, 3.0), (50.0, 60.0)), seed=4)
    H = problem.hessian_dd
    assert problem.facts.blocks == (3, 2) and not H[:3, 3:].any() and not H[3:, :3].any()
    torch.testing.assert_close(torch.linalg.eigvalsh(H[3:, 3:]), vector(50.0, 60.0), rtol=1e-13, atol=0)
    assert abs(float(H[0, 1])) > 1e-3 and abs(float(H[3, 4])) > 1e-3


def test_equal_blocks_get_independent_rotations():
    H = BlockQuadratic(((1.0, 9.0), (1.0, 9.0))).hessian_dd
    assert not torch.allclose(H[:2, :2], H[2:, 2:])


def test_the_dealt_control_keeps_the_global_condition_number_and_loses_the_structure():
    blocks = three_groups(6)
    grouped, mixed = BlockQuadratic(blocks), BlockQuadratic(dealt(blocks))
    assert grouped.facts.spectrum == mixed.facts.spectrum
    assert max(max(b) / min(b) for b in grouped.blocks) == 3.0 and min(max(b) / min(b) for b in mixed.blocks) > 1000


def test_start_scales_act_on_their_block():
    plain = BlockQuadratic(((1.0, 2.0), (3.0,))).start(5)["x"]
    scaled = BlockQuadratic(((1.0, 2.0), (3.0,)), start_scales=(1.0, 100.0)).start(5)["x"]
    torch.testing.assert_close(scaled, plain * vector(1.0, 1.0, 100.0), rtol=1e-15, atol=0)


def test_curvature_acts_on_the_left_side_of_the_matrix():
    """The gradient of 1/2 tr(W^T H W) + <B, W> is H W + B."""
    problem = MatrixQuadratic((1.0, 2.0, 7.0), columns=2, linear=0.5, seed=1)
    W = problem.start(0)["W"]
    gradient = torch.func.grad(problem.loss)({"W": W}, None)["W"]
    torch.testing.assert_close(gradient, problem.hessian_mm @ W + problem.linear_mn, rtol=1e-12, atol=1e-13)


def test_the_minimum_with_a_linear_term_is_at_minus_H_inverse_B():
    problem = MatrixQuadratic((1.0, 2.0, 7.0), columns=2, linear=0.5, seed=1)
    best = {"W": -torch.linalg.inv(problem.hessian_mm) @ problem.linear_mn}
    assert problem.linear_mn.abs().max() > 0.1
    assert float(problem.loss(best, None)) == pytest.approx(problem.facts.f_star, rel=1e-13)


def test_isotropic_is_half_L_times_the_squared_norm():
    W = torch.arange(6.0, dtype=torch.float64).reshape(3, 2)
    assert float(isotropic(4.0, 3, 2).loss({"W": W}, None)) == 2.0 * 55.0
    assert isotropic(4.0, 3, 2).facts.spectrum == (4.0,) * 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Quadratic(()), r"finite numbers, not all 0, got \(\)"),
        (lambda: Quadratic((0.0, 0.0)), r"not all 0, got \(0.0, 0.0\)"),
        (lambda: Quadratic((1.0, math.nan)), "finite numbers"),
        (lambda: Quadratic((1.0,), basis="random"), '"haar" or "axes", got \'random\''),
        (lambda: BlockQuadratic(((1.0,), (2.0,)), start_scales=(1.0,)), "2 blocks, 1 scales"),
        (lambda: MatrixQuadratic((1.0,), columns=0), "columns >= 1"),
        (lambda: MatrixQuadratic((0.0, 1.0), linear=1.0), "eigenvalues > 0, got 0.0 with linear=1.0"),
    ],
)
def test_refuses_what_it_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call()
