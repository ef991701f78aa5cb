"""Numbers that data-parallel training sums over ranks in one step.

    of gradients      every entry                                          any rule in the stepwise and the fused shell
    of coefficients   m r          RSO, side 1 (transposed: r n)           the subspace shell, whose gradients are coefficients
                      r o + m n / update_gap     GaLore, I3S               o = the other side; the basis wants the whole gradient
                      r o          GoLore, whose basis is drawn
                      m n          all others: the details of GWT have their entries, and the s largest entries of SGC
                                   are other ones on every rank
    of losses         one number for each direction                        two-point oracles, whatever the model

A basis from a shared seed costs nothing, and a merge is local. A GPT block with width n: 12 n^2 gradients, 9 nr coefficients of RSO.

Source: derived. Letters: weight (m, n), r = rank.
"""

import math
from collections.abc import Mapping
from functools import singledispatch

from sandbox.memory.architectures import Shapes
from sandbox.optimizers.base import Rule
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.projection import compressed
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.assignment import assign


def gradients_summed(shapes: Shapes) -> int:
    return sum(map(math.prod, shapes.values()))


def coefficients_summed(shapes: Shapes, rules: Rule | Mapping[str, Rule]) -> float:
    """The mean over a period, where ranks project before they sum; a float, for a refresh is a fraction of a step."""
    return sum(coefficients_of(rule, shapes[name]) for name, rule in assign(shapes, rules).items())


@singledispatch
def coefficients_of(rule: Rule, shape: tuple[int, ...]) -> float:
    return math.prod(shape)


@coefficients_of.register
def _(rule: RSO, shape: tuple[int, ...]) -> float:
    return rule.rank * shape[1 - rule.side]


@coefficients_of.register
def _(rule: GoLore, shape: tuple[int, ...]) -> float:
    whole = math.prod(shape) / rule.update_gap if rule.random_from else 0
    return rule.rank * shape[1 - compressed(rule.side, shape)] + whole


@coefficients_of.register(GaLore)
@coefficients_of.register(I3S)
def _(rule: GaLore | I3S, shape: tuple[int, ...]) -> float:
    small = rule.rank**2 if rule.side == "both" else rule.rank * shape[1 - compressed(rule.side, shape)]
    return small + math.prod(shape) / rule.update_gap


@coefficients_of.register
def _(rule: WeightDecay, shape: tuple[int, ...]) -> float:
    return coefficients_of(rule.inner, shape)


def losses_summed(directions: int) -> int:
    """Of a two-point estimate: its coefficients; every rank draws the same directions."""
    return directions
