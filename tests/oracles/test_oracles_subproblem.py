"""The exact subproblem against closed forms, against many inner gradient steps, and against the theorem it serves."""

import pytest
import torch

from sandbox.draws import generator
from sandbox.oracles.subproblem import descent_direction, solve
from sandbox.problems.matrix_quadratic import MatrixQuadratic, isotropic
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.rotations import haar
from sandbox.problems.smooth_nonconvex import SmoothNonconvex

NONCONVEX = SmoothNonconvex(6, columns=2, samples=15, noise=0.5)


def stiefel(m, r, key=0):
    """(m, r) with P^T P = (m/r) I."""
    return haar(m, generator(7, key))[:, :r] * (m / r) ** 0.5


def objective(problem, W, P, eta):
    return lambda B: problem.loss({"W": W + P @ B}, None) + B.square().sum() / (2 * eta)


def inner_descent(F, B, step, n):
    for _ in range(n):
        B = B - step * torch.func.grad(F)(B)
    return B


def test_on_the_isotropic_quadratic_it_is_a_shrinkage_of_the_projection():
    """B* = -(1 - 1/(1+t)) (r/m) P^T W; with r = m the paper's t = 1/2 maps W to 2/3 W."""
    W, P = isotropic(3.0, 6, 2).start(0)["W"], stiefel(6, 2)
    Lhat, t = 3.0 * 6 / 2, 0.7
    B = solve(isotropic(3.0, 6, 2), {"W": W}, P, t / Lhat)
    torch.testing.assert_close(B, -t / (1 + t) * (2 / 6) * P.T @ W, rtol=1e-13, atol=1e-15)
    Q = stiefel(6, 6)
    moved = W + Q @ solve(isotropic(3.0, 6, 2), {"W": W}, Q, 0.5 / 3.0)
    torch.testing.assert_close(moved, 2 / 3 * W, rtol=1e-13, atol=1e-15)


def test_on_a_quadratic_it_is_the_solution_of_the_normal_equations():
    problem = MatrixQuadratic((1.0, 2.0, 5.0, 9.0), columns=3, linear=1.0)
    W, P, eta = problem.start(1)["W"], stiefel(4, 2), 0.2
    left = P.T @ problem.hessian_mm @ P + torch.eye(2, dtype=W.dtype) / eta
    expected = -torch.linalg.solve(left, P.T @ (problem.hessian_mm @ W + problem.linear_mn))
    torch.testing.assert_close(solve(problem, {"W": W}, P, eta), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("problem", [MatrixQuadratic((1.0, 2.0, 3.0, 5.0, 8.0, 9.0), 2, linear=1.0), NONCONVEX])
def test_many_inner_gradient_steps_reach_it(problem):
    """t = 1/2: F is Lhat-strongly convex and 3 Lhat-smooth, so a step 1/(2 Lhat) halves the error, 60 times."""
    W, P = problem.start(0)["W"], stiefel(6, 3)
    Lhat = 2 * problem.facts.L
    F = objective(problem, W, P, 0.5 / Lhat)
    exact = solve(problem, {"W": W}, P, 0.5 / Lhat)
    reached = inner_descent(F, torch.zeros_like(exact), 1 / (2 * Lhat), 60)
    torch.testing.assert_close(reached, exact, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("t", [0.5, 0.99, 1.7, 10.0])
def test_newton_ends_at_a_stationary_point_that_is_no_worse_than_the_start(t):
    W, P = NONCONVEX.start(2)["W"], stiefel(6, 2)
    F = objective(NONCONVEX, W, P, t / (3 * NONCONVEX.facts.L))
    B, zero = solve(NONCONVEX, {"W": W}, P, t / (3 * NONCONVEX.facts.L)), torch.zeros(2, 2, dtype=W.dtype)
    assert torch.func.grad(F)(B).norm() <= 2e-12 * torch.func.grad(F)(zero).norm()  # 1e-12, and the test's own rounding
    assert F(B) < F(zero)


def test_newton_ends_where_float64_does_close_to_a_minimum():
    """At a stationary point the relative tolerance is below rounding; the solver must stop, not raise."""
    W, P = NONCONVEX.start(0)["W"], stiefel(6, 6)
    for _ in range(80):
        W = W + P @ solve(NONCONVEX, {"W": W}, P, 5.0 / NONCONVEX.facts.L)
    assert torch.func.grad(NONCONVEX.loss)({"W": W}, None)["W"].norm() < 1e-12


def test_a_negative_curvature_counts_by_its_size_so_that_the_step_stays_downhill():
    H, g = torch.diag(torch.tensor([-2.0, 4.0]).double()), torch.tensor([1.0, 1.0]).double()
    torch.testing.assert_close(descent_direction(H, g), torch.tensor([-0.5, -0.25]).double(), rtol=1e-14, atol=0)


def test_the_decrease_pays_for_the_gradient_with_18_fifths_at_most():
    """|P^T grad f|^2 <= 3.6 Lhat (f(W) - f(W+)) for every L-smooth f at t = 1/2, and equality on the isotropic one."""
    for problem, r in ((NONCONVEX, 2), (isotropic(2.0, 6, 2), 3)):
        Lhat = 6 / r * problem.facts.L
        for seed in range(5):
            W, P = problem.start(seed)["W"], stiefel(6, r, seed)
            moved = W + P @ solve(problem, {"W": W}, P, 0.5 / Lhat)
            decrease = problem.loss({"W": W}, None) - problem.loss({"W": moved}, None)
            gradient = P.T @ torch.func.grad(problem.loss)({"W": W}, None)["W"]
            ratio = float(gradient.square().sum() / (Lhat * decrease))
            assert ratio <= 3.6 * (1 + 1e-12)
            assert problem is NONCONVEX or ratio == pytest.approx(3.6, rel=1e-12)


def test_a_vector_parameter_gets_a_vector():
    problem = Quadratic((1.0, 2.0, 3.0))
    B = solve(problem, problem.start(0), stiefel(3, 2), 0.1)
    assert B.shape == (2,)


class Pair:
    """Two coupled matrices, u (3, 1) and v (2, 1): 1/2 |u|^2 + |v|^2 + (sum u - 1)(sum v)/4."""

    facts = Quadratic((1.0,)).facts  # a constant Hessian

    def loss(self, params, batch):
        u, v = params["u"], params["v"]
        return u.square().sum() / 2 + v.square().sum() + (u.sum() - 1) * v.sum() / 4 + batch * u.sum()


def test_a_dict_of_P_solves_for_all_named_parameters_at_once_and_leaves_the_others():
    params = {"u": torch.ones(3, 1, dtype=torch.float64), "v": torch.ones(2, 1, dtype=torch.float64)}
    batch, both = torch.tensor(0.5).double(), {"u": stiefel(3, 2), "v": stiefel(2, 1)}
    B = solve(Pair(), params, both, 0.3, batch=batch)
    grads = torch.func.grad(Pair().loss)({name: params[name] + both[name] @ B[name] for name in both}, batch)
    for name in both:
        torch.testing.assert_close(both[name].T @ grads[name], -B[name] / 0.3, rtol=1e-12, atol=1e-14)
    assert solve(Pair(), params, {"v": both["v"]}, 0.3, batch=batch).keys() == {"v"}


def test_the_closed_form_works_under_vmap():
    problem = MatrixQuadratic((1.0, 4.0, 9.0), columns=2)
    W = torch.stack([problem.start(s)["W"] for s in range(4)])
    P = torch.stack([stiefel(3, 2, s) for s in range(4)])
    together = torch.func.vmap(lambda w, p: solve(problem, {"W": w}, p, 0.1))(W, P)
    for i in range(4):
        torch.testing.assert_close(together[i], solve(problem, {"W": W[i]}, P[i], 0.1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("P", "eta", "message"),
    [
        (torch.ones(5, 2), 0.1, r"m = 6, dim 0 of 'W' \(6, 2\), got \(5, 2\)"),
        (torch.ones(6), 0.1, r"got \(6,\)"),
        ({"V": torch.ones(6, 2)}, 0.1, r"P names 'V', but the parameters are \['W'\]"),
        (torch.ones(6, 2).double(), 0.0, "eta must be > 0 .*, got 0.0"),
    ],
)
def test_refuses_what_does_not_fit(P, eta, message):
    with pytest.raises(ValueError, match=message):
        solve(NONCONVEX, NONCONVEX.start(0), P, eta)


def test_one_P_for_two_parameters_is_refused():
    params = {"u": torch.ones(3, 1), "v": torch.ones(2, 1)}
    with pytest.raises(ValueError, match=r"one parameter, got \['u', 'v'\]"):
        solve(Pair(), params, torch.ones(3, 1), 0.1)
