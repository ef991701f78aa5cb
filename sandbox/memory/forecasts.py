"""Bytes of training from shapes alone: weights, gradients, optimizer state. Nothing is allocated and no model is built.

State of one tensor with N entries of e bytes, shape (m, n) where it has two sides, e' = max(e, 4):

    gradient descent   0, with momentum e N                 Adam, AdamW   2 e N
    Adam-mini          e (N + n_blocks)                     AdaLomo       e' (m + n), vectors e' N
    GaLore             e s r + inner rule on (r, long side)               s = short side, r = rank
    RSO                e (d r + m n r / d) + inner rule on the coefficients    d = compressed side, m n r / d = coefficients

Gradients at the peak of backward, tensors of b_i bytes, each used once in the graph unless tied:

    every gradient kept   sum b_i + 2 sum b_tied            freed as soon as used   max(b_i, 3 b_tied)

A tied weight counts three times at its worst moment: autograd holds its first part, makes the second, and adds them
in a third tensor. That holds for a weight shared by an embedding at the start and a head at the end of the graph, and
is what the allocator shows. Temporaries of the step and activations are not in it: they depend on code and batch, and
`sandbox.memory.allocator` measures them.

Sources: Adam-mini (Zhang et al., 2024, https://arxiv.org/abs/2406.16793), LOMO and AdaLomo (Lv et al., 2023,
https://arxiv.org/abs/2306.09782 and https://arxiv.org/abs/2310.10195), GaLore (Zhao et al., 2024,
https://arxiv.org/abs/2403.03507); formulas derived from the rules' own states.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import singledispatch

from sandbox.memory.architectures import Shapes, entries
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.assignment import assign

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Forecast:
    """Bytes by category. gradients: at the peak of backward."""

    weights: int
    gradients: int
    state: int

    @property
    def total(self) -> int:
        """All three at once: an upper bound of their joint peak."""
        return self.weights + self.gradients + self.state


@singledispatch
def state_of(rule: Rule, shape: Shape, element: int = 4) -> int:
    """Bytes that `rule` remembers for one tensor of this shape with `element` bytes per entry.

    Raises ValueError for a rule without a formula.
    """
    raise ValueError(
        f"a forecast needs a formula for the state, and {type(rule).__name__} has none for shape {shape} at {element} bytes; "
        f"register one with state_of.register, or measure state_bytes(rule.init(w)) on a meta tensor"
    )


@state_of.register
def _(rule: GradientDescent, shape: Shape, element: int = 4) -> int:
    return element * math.prod(shape) if rule.momentum else 0


@state_of.register(Adam)
@state_of.register(AdamW)
def _(rule: Adam | AdamW, shape: Shape, element: int = 4) -> int:
    return 2 * element * math.prod(shape)


@state_of.register
def _(rule: AdamMini, shape: Shape, element: int = 4) -> int:
    return element * (math.prod(shape) + rule.n_blocks)


@state_of.register
def _(rule: AdaLomo, shape: Shape, element: int = 4) -> int:
    wide = max(element, 4)
    if len(shape) < 2:
        return wide * math.prod(shape)
    return wide * math.prod(shape[:-2]) * (shape[-2] + shape[-1])


@state_of.register
def _(rule: GaLore, shape: Shape, element: int = 4) -> int:
    m, n = shape
    inner = (rule.rank, n) if m <= n else (m, rule.rank)
    return element * min(m, n) * rule.rank + state_of(rule.inner, inner, element)


@state_of.register
def _(rule: RSO, shape: Shape, element: int = 4) -> int:
    m, n = shape
    coefficients = (m, rule.rank) if rule.side == 1 else (rule.rank, n)
    basis_and_coefficients = shape[rule.side] * rule.rank + math.prod(coefficients)
    return element * basis_and_coefficients + state_of(rule.inner, coefficients, element)


@state_of.register
def _(rule: WeightDecay, shape: Shape, element: int = 4) -> int:
    return state_of(rule.inner, shape, element)


def state_forecast(shapes: Shapes, rules: Rule | Mapping[str, Rule], *, element: int = 4) -> int:
    """Bytes of the optimizer state of a whole model; one rule for all tensors, or a table that names each exactly once."""
    return sum(state_of(rule, shapes[name], element) for name, rule in assign(shapes, rules).items())


def stepwise_forecast(shapes: Shapes, rules: Rule | Mapping[str, Rule], *, element: int = 4, tied: Collection[str] = ()) -> Forecast:
    """Every gradient is there when the step begins. tied: names of tensors that embed the input and make the output too."""
    gradients = element * (entries(shapes) + 2 * entries(_chosen(shapes, tied)))
    return Forecast(element * entries(shapes), gradients, state_forecast(shapes, rules, element=element))


def fused_forecast(shapes: Shapes, rules: Rule | Mapping[str, Rule], *, element: int = 4, tied: Collection[str] = ()) -> Forecast:
    """Every gradient is used and freed during backward, so the largest moment counts, not the sum."""
    three = _chosen(shapes, tied)
    gradients = element * max(math.prod(shape) * (3 if name in three else 1) for name, shape in shapes.items())
    return Forecast(element * entries(shapes), gradients, state_forecast(shapes, rules, element=element))


def _chosen(shapes: Shapes, tied: Collection[str]) -> Shapes:
    unknown = [name for name in tied if name not in shapes]
    if unknown:
        raise ValueError(f"tied tensors must be parameters, got {unknown}; the parameters begin with {list(shapes)[:5]}")
    return {name: shapes[name] for name in shapes if name in set(tied)}
