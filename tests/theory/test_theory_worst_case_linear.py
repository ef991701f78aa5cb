"""Which rules have a semidefinite worst case: those whose own code stays linear on vectors of unknown numbers. No solver is needed."""

import pytest
import torch

from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.theory.worst_case import Tree, linear, why_not_linear
from sandbox.theory.worst_case_points import NotLinear, Rows, inner
from sandbox.theory.worst_case_space import Functions

LAWS = (("haar", "reset"), ("gaussian", "keep"), ("coordinate", "rotate"))


class Vector(tuple):
    """A point with two known coordinates, for the arithmetic of points: PEPit's own need PEPit."""

    def __add__(self, other):
        return Vector(a + b for a, b in zip(self, other, strict=True))

    __radd__ = __add__

    def __mul__(self, other):
        return sum(a * b for a, b in zip(self, other, strict=True)) if isinstance(other, Vector) else Vector(a * other for a in self)


W = Rows((Vector((1.0, 2.0)), Vector((3.0, -1.0))))
G = Rows((Vector((0.5, 0.0)), Vector((-1.0, 4.0))))
NOT_LINEAR = (
    Adam(0.1),
    SignDescent(0.1),
    AdamMini(0.1),
    AdaLomo(0.1),
    Adafactor(0.1, parameter_scale="off"),
    CAME(0.1),
    GaLore(GradientDescent(0.1), rank=1, side=0),
    RSO(Adam(0.1), rank=1, update_gap=1, side=0),
    RSO(SignDescent(0.1), rank=1, update_gap=1, side=0),
)
LINEAR = (
    GradientDescent(0.1),
    GradientDescent(0.1, momentum=0.5),
    GradientDescent(0.1, momentum=0.5, nesterov="on"),
    GradientDescent(0.1, momentum=0.5, dampening=0.3),
    WeightDecay(GradientDescent(0.1), 0.5),
    *(RSO(GradientDescent(0.1, momentum=0.5), 1, update_gap=2, eta=2.0, law=law, side=0, on_refresh=kept) for law, kept in LAWS),
    WeightDecay(RSO(GradientDescent(0.1), 1, update_gap=2, side=0), 0.5),
)


def moved(rule, w, g, draw):
    """Weights after three steps, the third of which begins a new round of a frame; the gradient of step k is g times k + 1."""
    state = rule.init(w)
    for k in range(3):
        at = g * (k + 1.0)
        if getattr(rule, "period", 0) and k % rule.period == 0:
            state = rule.refresh(at, state, w, draw)
        delta, state = rule.step(at, state, w)
        w = w + delta
    return w


@pytest.mark.parametrize("rule", LINEAR, ids=str)
def test_a_linear_rule_moves_rows_as_it_moves_a_matrix_of_the_same_numbers(rule):
    """Equal to rounding: the same operations in the same order."""
    as_tensor = [torch.tensor(rows.points, dtype=torch.float64) for rows in (W, G)]
    draw = torch.tensor([[0.3], [-0.7]], dtype=torch.float64)
    expected, found = moved(rule, *as_tensor, draw), moved(rule, W, G, draw)
    torch.testing.assert_close(torch.tensor(found.points, dtype=torch.float64), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("rule", NOT_LINEAR, ids=str)
def test_a_rule_that_is_not_linear_is_refused_in_a_sentence_with_its_name(rule):
    draw = torch.tensor([[0.3], [-0.7]], dtype=torch.float64)
    with pytest.raises(NotLinear, match=r"no semidefinite worst case of .*: the rule "), linear(rule):
        moved(rule, W, G, draw)
    assert why_not_linear(rule, Tree(1, rows=2, draws=(draw,))).startswith(f"no semidefinite worst case of {rule}: the rule ")


@pytest.mark.parametrize("rule", LINEAR, ids=str)
def test_of_a_linear_rule_nothing_is_said(rule):
    assert why_not_linear(rule, Tree(1, rows=2, draws=(torch.tensor([[0.3], [-0.7]], dtype=torch.float64),))) is None


@pytest.mark.parametrize(
    ("operation", "complaint"),
    [
        (lambda g: g * g, "multiplies a weight or gradient by another Rows"),
        (lambda g: g**2, "power 2"),
        (lambda g: 1.0 / g, "divides by a weight"),
        (lambda g: g / g, "divides a weight or gradient by another Rows"),
        (lambda g: g + 1.0, "adds the number 1.0"),
        (lambda g: g - 1.0, "adds the number"),
        (lambda g: g if g else g, "branches"),
        (lambda g: g if g > 0 else g, "compares"),
        (lambda g: g.abs(), r"\.abs"),
        (lambda g: torch.sqrt(g), "sqrt of torch"),
        (lambda g: torch.ones(2, 2) * g, "mul of torch"),
        (lambda g: g @ torch.ones(1, 1), "matrix from the right"),
    ],
)
def test_what_is_not_linear_is_named(operation, complaint):
    with pytest.raises(NotLinear, match=complaint):
        operation(G)


def test_what_is_linear_is_computed():
    assert (G * 2.0 - W / 2.0 + -G).points == ((0.0, -1.0), (-2.5, 4.5))
    assert (torch.tensor([[1.0, 2.0]]) @ G).points == ((-1.5, 8.0),)
    assert torch.zeros_like(G).points == ((0.0, 0.0), (0.0, 0.0))
    assert inner(W, G) == 0.5 - 7.0


@pytest.mark.parametrize(("L", "mu"), [(0.0, 0.0), (1.0, 1.0), (1.0, -1.1), (1.0, float("nan"))])
def test_a_class_without_functions_or_conditions_is_refused(L, mu):
    with pytest.raises(ValueError, match=rf"-L <= mu < L, got L = {L} and mu = {mu}"):
        Functions(L, mu)
