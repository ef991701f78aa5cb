"""The gradient descent claims under planted faults: a wrong step or a wrong bound must turn the verdict, other seeds must not."""

import re
from dataclasses import replace

import pytest
import torch

from sandbox.fit import Sample
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.matrix_quadratic import isotropic
from sandbox.verdict import Outcome

ATTAINED = (  # claim, file, a wrong factor of lr: on a straight slope a shorter step would not show in the gradient
    ("gradient-descent.sum.attained", "gradient_descent_nonconvex", 0.9),
    ("gradient-descent.sum-of-decrease.attained", "gradient_descent_nonconvex", 0.9),
    ("gradient-descent.least.attained", "gradient_descent_nonconvex", 0.9),
    ("gradient-descent.convex-loss.attained", "gradient_descent_convex", 0.9),
    ("gradient-descent.convex-gradient.attained", "gradient_descent_convex", 1.1),
    ("gradient-descent.clipped-sum.attained", "gradient_descent_clipped", 0.9),
    ("gradient-descent.loss-factor.attained", "gradient_descent_strongly_convex", 0.9),
    ("gradient-descent.distance-factor.attained", "gradient_descent_strongly_convex", 0.9),
    ("gradient-descent.best-distance.attained", "gradient_descent_strongly_convex", 0.9),
    ("gradient-descent.noisy-sum.attained", "gradient_descent_noise", 0.9),
)


@pytest.mark.parametrize(("name", "file", "factor"), ATTAINED)
def test_a_step_of_another_length_than_asked_is_noticed(claim, module, monkeypatch, rejudged, name, file, factor):
    monkeypatch.setattr(module[file], "GradientDescent", lambda lr: GradientDescent(factor * lr))
    one = claim[name]
    few = tuple(range(64)) if len(one.plan.seeds) > 64 else one.plan.seeds
    assert rejudged(one, settings=one.plan.settings[-1:], seeds=few) is not Outcome.ATTAINED


@pytest.mark.parametrize("name", [name for name, _, _ in ATTAINED[:-1]])
@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_a_bound_that_is_wrong_by_one_in_a_thousand_is_noticed(claim, rejudged, name, factor):
    one = claim[name]
    changed = replace(one, bound=replace(one.bound, value=one.bound.value * factor))
    assert rejudged(changed, settings=one.plan.settings[:1]) is (Outcome.VIOLATED if factor < 1 else Outcome.HOLDS)


def test_the_zigzag_has_slope_one_where_it_says_and_its_least_value_at_the_end(module):
    """By finite differences of the loss, against the facts."""
    import torch

    zigzag = module["gradient_descent_nonconvex"].Zigzag(0.5, 3)
    f = lambda w: float(zigzag.loss({"w": torch.tensor([w], dtype=torch.float64)}, None))  # noqa: E731
    for k in range(4):
        assert (f(-0.5 * k + 1e-6) - f(-0.5 * k - 1e-6)) / 2e-6 == pytest.approx(1.0, abs=1e-5)
    assert min(f(-w / 1000) for w in range(3000)) == pytest.approx(zigzag.facts.f_star, abs=1e-6)
    steepest = max(abs(f(w + 2e-3) - 2 * f(w) + f(w - 2e-3)) / 4e-6 for w in (-0.1, -0.6, -0.9, -1.2, -2.0))
    assert steepest == pytest.approx(zigzag.facts.L, rel=1e-3)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_smoothness_of_the_regressions_is_above_their_curvature(module, classes):
    import torch
    from torch.func import hessian

    problem = module["gradient_descent_convex"].Regression(classes)
    curvatures = [
        float(torch.linalg.eigvalsh(hessian(lambda w: problem.loss({"w": w}, None))(point))[-1])
        for point in (problem.best, torch.zeros_like(problem.best), problem.start(3)["w"])
    ]
    assert 0.4 * problem.facts.L < max(curvatures) <= problem.facts.L


def test_the_ridge_regression_knows_its_minimiser_and_its_curvatures(module):
    import torch
    from torch.func import grad, hessian

    problem = module["gradient_descent_strongly_convex"].RidgeRegression()
    f = lambda x: problem.loss({"x": x}, None)  # noqa: E731
    assert float(grad(f)(problem.best).norm()) < 1e-12
    for point in (problem.best, torch.zeros(6, dtype=torch.float64), problem.start(3)["x"]):
        eigenvalues = torch.linalg.eigvalsh(hessian(f)(point))
        assert problem.facts.mu < float(eigenvalues[0]) and float(eigenvalues[-1]) < problem.facts.L * (1 + 1e-12)
    top = float(torch.linalg.eigvalsh(hessian(f)(torch.zeros(6, dtype=torch.float64)))[-1])
    assert top == pytest.approx(problem.facts.L, rel=1e-12)  # at 0 every slope of the logistic function is 1/4


def test_near_its_minimum_the_nonconvex_function_keeps_the_factor(claim, module, monkeypatch, rejudged):
    file, one = module["gradient_descent_strongly_convex"], claim["gradient-descent.loss-factor.nonconvex"]

    class Near:
        facts, batch, loss = file.FAR.facts, file.FAR.batch, file.FAR.loss

        def start(self, seed):
            target = torch.linalg.lstsq(file.FAR.A_sm, file.FAR.B_sn).solution
            return {"W": target + 1e-3 * file.FAR.start(seed)["W"] / 30}

    import torch

    monkeypatch.setattr(file, "problem_of", lambda setting: Near())
    assert rejudged(one, seeds=(0, 1)) is Outcome.HOLDS


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("clipped-sum.kink", {"problem": "bowl"}),
        ("normalised-mean.kink", {"problem": "nonconvex"}),
        ("noisy-floor.centred", {"shift": 0.0}),
    ],
)
def test_with_the_assumption_in_place_what_was_broken_holds(claim, rejudged, name, change):
    one = claim[f"gradient-descent.{name}"]
    assert rejudged(one, settings=[replace(s, **change) for s in one.plan.settings]) is Outcome.HOLDS


def test_a_normalised_step_longer_than_asked_is_noticed(claim, module, monkeypatch, rejudged):
    monkeypatch.setattr(module["gradient_descent_clipped"], "GradientDescent", lambda lr: GradientDescent(1.1 * lr))
    assert rejudged(claim["gradient-descent.normalised-mean.attained"]) is not Outcome.ATTAINED


RESEEDED = (
    "gradient-descent.loss-factor",
    "gradient-descent.best-distance",
    "gradient-descent.loss-factor.nonconvex",
    "gradient-descent.sum",
    "gradient-descent.least.long",
    "gradient-descent.clipped-sum",
    "gradient-descent.normalised-mean",
)


@pytest.mark.parametrize("name", RESEEDED)
def test_other_seeds_give_the_same_verdict(claim, rejudged, name):
    one = claim[name]
    inside = tuple(s for s in one.plan.settings if not (one.scope and one.scope(s)))
    assert rejudged(one, settings=inside[:3], seeds=(50, 51, 52)) is one.expected


def test_a_network_bound_at_a_third_of_its_curvature_is_broken(claim, module, monkeypatch, rejudged):
    """One step from the start, whose curvature is the one that lr was chosen by."""
    monkeypatch.setattr(module["gradient_descent_along_a_path"], "BETWEEN", 1 / 3)
    one = claim["gradient-descent.network"]
    setting = replace(one.plan.settings[2], steps=1)
    assert rejudged(one, settings=(setting,), seeds=(0,)) is Outcome.VIOLATED


def test_what_the_proof_needs_on_a_quadratic_is_its_curvature(module, monkeypatch):
    """lr L = t for every step, and the bound is met with equality."""
    file = module["gradient_descent_along_a_path"]
    monkeypatch.setattr(file, "problem_of", lambda setting: isotropic(3.0, 4, 2))
    row = file.measure_needed(file.Setting("mlp", 0.4, 5), 0)
    assert row == pytest.approx({"needed": 0.4, "share": 1.0}, rel=1e-9)  # rounding of differences of losses


@pytest.mark.parametrize(
    ("t", "refined", "reason"),
    [(1.9, 0.01, None), (1.95, 0.015, r"lr L is in \[1.979, 2.019\]"), (0.2, 0.78, "17 points a step find 1.78 times what 9 find")],
)
def test_a_path_is_in_scope_where_its_curvature_is_known_and_short_of_two(module, t, refined, reason):
    tame = Sample(0, {"t": 0.1, "refined": 0.0})
    said = module["gradient_descent_along_a_path"].outside([tame, Sample(1, {"t": t, "refined": refined})])
    assert said is None if reason is None else re.search(reason, said)


def test_the_curvature_along_a_step_is_that_at_its_points_from_end_to_end(module):
    """f = (2 a^3 + b^3) / 6 has H = diag(2 a, b): along d it is (2 a d_a^2 + b d_b^2) / |d|^2, linear from w to w + d."""
    gradient = torch.func.grad(lambda p: (2 * p["a"] ** 3 + p["b"] ** 3).sum() / 6)
    w, d = ({"a": torch.tensor([x]).double(), "b": torch.tensor([[y]]).double()} for x, y in ((1.0, 3.0), (2.0, -1.0)))
    seen = module["gradient_descent_along_a_path"].along(gradient, w, d, 3)
    assert seen == pytest.approx([(8 + 3) / 5, (16 + 2.5) / 5, (24 + 2) / 5], rel=1e-14)  # a = 1, 2, 3 and b = 3, 2.5, 2
