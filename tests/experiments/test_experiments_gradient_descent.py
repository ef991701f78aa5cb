"""The gradient descent claims under planted faults: a wrong step or a wrong bound must turn the verdict, other seeds must not."""

from dataclasses import replace

import pytest

from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.verdict import Outcome

ATTAINED = (  # claim, file, a wrong factor of lr: on a straight slope a shorter step would not show in the gradient
    ("gradient-descent.sum.attained", "gradient_descent_nonconvex", 0.9),
    ("gradient-descent.least.attained", "gradient_descent_nonconvex", 0.9),
    ("gradient-descent.convex-loss.attained", "gradient_descent_convex", 0.9),
    ("gradient-descent.convex-gradient.attained", "gradient_descent_convex", 1.1),
    ("gradient-descent.clipped-sum.attained", "gradient_descent_clipped", 0.9),
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


RESEEDED = ("gradient-descent.sum", "gradient-descent.least.long", "gradient-descent.clipped-sum", "gradient-descent.normalised-mean")


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
