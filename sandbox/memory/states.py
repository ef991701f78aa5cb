"""Bytes that every rule and frame remembers for one tensor, as a formula of its shape. Nothing is allocated.

N entries of e bytes, shape (m, n) where it has two sides, E = max(e, 4) where a rule keeps its state in float32:

    gradient descent, sign descent       0; with momentum or dampening e N
    Adam, AdamW                          2 e N
    Adam-mini                            e (N + number of blocks)
    AdaLomo, Adafactor                   E (m + n) for each of the leading indices, vectors E N; Adafactor's beta1: + E N
    CAME                                 E (N + 2 (m + n)), vectors 2 E N

and with I(shape) the state of the inner rule on coefficients of that shape:

    GaLore, GoLore, I3S                  e d r + I(r, other side)                    d = compressed side (transposed for side 1)
    GaLore, side "both"                  e (m + n) r + I(r, r)
    RSO                                  e (d r + r other side) + I(r, other side)   the basis and the coefficients
    GWT                                  E + I(..., ceil(n / 2^level))
    SGC, MESGC                           e (k/c)(N/c) + I(k)
    SGCAdam                              e (k/c)(N/c) + 2 e k
    CESGC                                e min(m, n) r + (SGC or SGCAdam on (r, max(m, n)))
    SubZero                              e (m + n) r + I(r, r)
    weight decay, parameter scale        I(shape)

Sources: the rules' own equations (their files); derived. Letters: r = rank, k = measurements, c = chunks.
"""

import math
from functools import singledispatch

from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.came import CAME
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.haar import pieces
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.parameter_scale import ParameterScale
from sandbox.optimizers.projection import compressed
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.optimizers.subzero import SubZero
from sandbox.optimizers.weight_decay import WeightDecay

Shape = tuple[int, ...]


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
    return element * math.prod(shape) if rule.momentum or rule.dampening else 0


@state_of.register
def _(rule: SignDescent, shape: Shape, element: int = 4) -> int:
    return 0


@state_of.register(Adam)
@state_of.register(AdamW)
def _(rule: Adam | AdamW, shape: Shape, element: int = 4) -> int:
    return 2 * element * math.prod(shape)


@state_of.register
def _(rule: AdamMini, shape: Shape, element: int = 4) -> int:
    blocks = rule.n_blocks if isinstance(rule.n_blocks, int) else sum(count for _, count in rule.n_blocks)
    return element * (math.prod(shape) + blocks)


@state_of.register
def _(rule: AdaLomo, shape: Shape, element: int = 4) -> int:
    return wide(element) * moment(shape)


@state_of.register
def _(rule: Adafactor, shape: Shape, element: int = 4) -> int:
    return wide(element) * (moment(shape) + (0 if rule.beta1 is None else math.prod(shape)))


@state_of.register
def _(rule: CAME, shape: Shape, element: int = 4) -> int:
    factors = moment(shape) if len(shape) < 2 else 2 * moment(shape)
    return wide(element) * (math.prod(shape) + factors)


@state_of.register
def _(rule: GaLore, shape: Shape, element: int = 4) -> int:
    if rule.side == "both":
        return element * sum(shape) * rule.rank + state_of(rule.inner, (rule.rank, rule.rank), element)
    return projected(rule, compressed(rule.side, shape), shape, element)


@state_of.register(GoLore)
@state_of.register(I3S)
def _(rule: GoLore | I3S, shape: Shape, element: int = 4) -> int:
    return projected(rule, compressed(rule.side, shape), shape, element)


@state_of.register
def _(rule: RSO, shape: Shape, element: int = 4) -> int:
    return element * rule.rank * shape[1 - rule.side] + projected(rule, rule.side, shape, element)


@state_of.register
def _(rule: GWT, shape: Shape, element: int = 4) -> int:
    return wide(element) + state_of(rule.inner, (*shape[:-1], pieces(shape[-1], rule.level)), element)


@state_of.register
def _(rule: SGC, shape: Shape, element: int = 4) -> int:
    return measuring(rule, shape, element) + state_of(rule.inner, (rule.measurements,), element)


@state_of.register
def _(rule: SGCAdam, shape: Shape, element: int = 4) -> int:
    return measuring(rule, shape, element) + 2 * element * rule.measurements


@state_of.register
def _(rule: CESGC, shape: Shape, element: int = 4) -> int:
    return element * min(shape) * rule.rank + state_of(rule.inner, (rule.rank, max(shape)), element)


@state_of.register
def _(rule: SubZero, shape: Shape, element: int = 4) -> int:
    r, sides = rule.rank, sum(rule.matrix_shape(shape))
    return element * sides * r + state_of(rule.inner, (r, r), element)


@state_of.register(WeightDecay)
@state_of.register(ParameterScale)
def _(rule: WeightDecay | ParameterScale, shape: Shape, element: int = 4) -> int:
    return state_of(rule.inner, shape, element)


def wide(element: int) -> int:
    """Bytes of a number in float32, or in the weight's dtype where that is wider."""
    return max(element, 4)


def moment(shape: Shape) -> int:
    """Numbers of a second moment that is factored over the last two sides, or kept in full for vectors."""
    return math.prod(shape) if len(shape) < 2 else math.prod(shape[:-2]) * (shape[-2] + shape[-1])


def projected(rule: GaLore | GoLore | I3S | RSO, side: int, shape: Shape, element: int) -> int:
    """A basis of the compressed side, and the inner rule on the coefficients."""
    small = (rule.rank, shape[1]) if side == 0 else (shape[0], rule.rank)
    return element * shape[side] * rule.rank + state_of(rule.inner, small, element)


def measuring(rule: SGC | SGCAdam, shape: Shape, element: int) -> int:
    """The matrix A that all chunks share."""
    return element * (rule.measurements // rule.chunks) * (math.prod(shape) // rule.chunks)
