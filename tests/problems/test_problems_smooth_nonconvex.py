"""Robust regression: the range of phi'' by calculus, L attained, negative curvature met."""

import pytest
import sympy
import torch

from sandbox.problems.smooth_nonconvex import SmoothNonconvex


def test_the_second_derivative_lies_between_minus_one_eighth_and_one():
    r = sympy.Symbol("r", real=True)
    second = sympy.diff(sympy.log(1 + r**2 / 2), r, 2)
    critical = sympy.solve(sympy.diff(second, r), r)
    assert {second.subs(r, x).simplify() for x in critical} == {sympy.Integer(1), -sympy.Rational(1, 8)}
    assert sympy.limit(second, r, sympy.oo) == 0


def test_L_is_attained_where_all_residuals_vanish():
    problem = SmoothNonconvex(4, samples=12)
    W_true = torch.linalg.lstsq(problem.A_sm, problem.B_sn).solution
    H = torch.func.hessian(lambda w: problem.loss({"W": w[:, None]}, None))(W_true[:, 0])
    assert float(torch.linalg.eigvalsh(H)[-1]) == pytest.approx(problem.facts.L, rel=1e-12)
    assert float(problem.loss({"W": W_true}, None)) == pytest.approx(problem.facts.f_star, abs=1e-25)


def test_the_default_start_meets_negative_curvature():
    problem = SmoothNonconvex(4, samples=12, start_scale=10.0)
    H = torch.func.hessian(lambda w: problem.loss({"W": w[:, None]}, None))(problem.start(0)["W"][:, 0])
    assert torch.linalg.eigvalsh(H)[0] < 0


def test_noise_makes_the_minimum_unknown_and_changes_the_targets_only():
    clean, noisy = SmoothNonconvex(3, samples=9), SmoothNonconvex(3, samples=9, noise=0.3)
    assert clean.facts.f_star == 0.0 and noisy.facts.f_star is None and clean.facts.L == noisy.facts.L
    assert torch.equal(clean.A_sm, noisy.A_sm) and 0.05 < float((noisy.B_sn - clean.B_sn).std()) < 0.6


def test_refuses_empty_shapes():
    with pytest.raises(ValueError, match="must be >= 1, got 0, 1, 100"):
        SmoothNonconvex(0)
