"""The most bytes that one step of a rule has alive beside weight, gradient and old state, as a formula of the shape.

Rules are out of place: the step and the new state are made while weight, gradient and old state are there. N entries of
e >= 4 bytes, S = the state (sandbox/memory/states.py), I = the state of the inner rule on its coefficients:

    gradient descent         e N                the step           momentum 2 e N       Nesterov, damped 3 e N
    sign descent             2 e N + N          signs, the step, and a mask of one byte an entry
    Adam                     4 e N              new moments, denominator, step
    AdamW                    5 e N              new moments, Adam's step, decay, step
    Adam-mini                4 e N + 2 e blocks, at most
    AdaLomo, Adafactor       4 e N + S'         S' = the factored moment, matrices only
    CAME                     5 e N + 1.5 S'     S' = both factored moments
    weight decay             R + 3 e N, or what the inner rule has       R = what outlives the inner step, S and for frames
    parameter scale          R + 2 e N, or what the inner rule has       with a draw more: the draw, states before and after a refresh

    RSO                      R + e N + 2 e r o      coefficients, their step, its lift       R = S + 8 d r + e r o + I
       or, while drawing,    8 d r + Q(d)
    GoLore                   R + 2 e N              lift, scaled lift                        R = S + 8 d r + turned moments
       or, while drawing,    8 d r + Q(d)
    SubZero                  R + e (N + m r + 2 r^2)   D, mu D, U D, U D V^T                       R = S + 8 (m + n) r
       or, while drawing,    8 (m + n) r + max(Q(m), 8 m r + Q(n))
    GaLore, I3S              F = 3 e N + e k^2 + e k + C(N)    finite copy, copy of LAPACK, both factors, values; k = short side
       or, in the step,      e d r + 2 e r o + T(inner)    new basis, coefficients of g and w; GoLore and I3S: draw, turned moments
    GWT                      6 e N + I, at level 1 5.5 e N + I       coefficients of g and w, parts, assembly
    SGC, SGCAdam, CESGC      sandbox/memory/recovery.py

Frames: at a refresh, their largest step; d the compressed side, o the other.

    Q(d) = 8 (3 d r + r^2) + C(d r)        orthonormal columns of a (d, r) draw: factors, columns with their signs, those as rows
    C(x) = 3600 numbers where x >= 3600    a matrix that is copied with its rows for columns goes through a block of 60 x 60 numbers

C is there in F where the compressed side is 0: LAPACK wants columns, and the transposed gradient of side 1 has them already.
The workspaces of LAPACK are not in the formulas. The meter sees those of qr, while its result is not yet copied, and so never at the
peak; those of svd do not pass torch's allocator. Other numbers of the size of a side are left out.
Source: read off the equations as the files write them. Below 4 bytes an entry factored rules copy g and w
to float32 on top, which is not in the table.
"""

import math
from functools import singledispatch

from sandbox.memory.recovery import cut_down, measured_first
from sandbox.memory.states import Shape, moment, state_of
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

DRAW = 8  # bytes of a drawn number
TURNED = 60 * 60  # numbers of the block through which torch copies a matrix with its rows for columns, and the least that pass it


@singledispatch
def temporaries_of(rule: Rule, shape: Shape, element: int = 4) -> int:
    """Bytes beside weight, gradient and old state at the worst moment of a step on one tensor.

    Raises ValueError for a rule without a formula.
    """
    raise ValueError(
        f"a forecast of a step needs a formula for its temporaries, and {type(rule).__name__} has none for shape {shape} at {element} "
        "bytes; register one with temporaries_of.register, or measure it with sandbox.memory.training"
    )


@temporaries_of.register
def _(rule: GradientDescent, shape: Shape, element: int = 4) -> int:
    buffers = 0 if not rule.momentum else 2 if rule.nesterov == "on" or rule.dampening else 1
    return (1 + buffers) * element * math.prod(shape)


@temporaries_of.register
def _(rule: SignDescent, shape: Shape, element: int = 4) -> int:
    return (2 * element + 1) * math.prod(shape)


@temporaries_of.register
def _(rule: Adam, shape: Shape, element: int = 4) -> int:
    return 4 * element * math.prod(shape)


@temporaries_of.register
def _(rule: AdamW, shape: Shape, element: int = 4) -> int:
    return 5 * element * math.prod(shape)


@temporaries_of.register
def _(rule: AdamMini, shape: Shape, element: int = 4) -> int:
    blocks = state_of(rule, shape, element) - element * math.prod(shape)
    return 4 * element * math.prod(shape) + 2 * blocks


@temporaries_of.register(AdaLomo)
@temporaries_of.register(Adafactor)
def _(rule: AdaLomo | Adafactor, shape: Shape, element: int = 4) -> int:
    return element * (4 * math.prod(shape) + (moment(shape) if len(shape) > 1 else 0))


@temporaries_of.register
def _(rule: CAME, shape: Shape, element: int = 4) -> int:
    return element * (5 * math.prod(shape) + (3 * moment(shape) if len(shape) > 1 else 0))


@temporaries_of.register
def _(rule: WeightDecay, shape: Shape, element: int = 4) -> int:
    return max(temporaries_of(rule.inner, shape, element), outliving(rule.inner, shape, element) + 3 * element * math.prod(shape))


@temporaries_of.register
def _(rule: ParameterScale, shape: Shape, element: int = 4) -> int:
    return max(temporaries_of(rule.inner, shape, element), outliving(rule.inner, shape, element) + 2 * element * math.prod(shape))


@temporaries_of.register
def _(rule: GaLore, shape: Shape, element: int = 4) -> int:
    if rule.side == "both":
        return decomposition(shape, element, 0)
    side = compressed(rule.side, shape)
    return max(decomposition(shape, element, side), _inside(rule, side, shape, element))


@temporaries_of.register
def _(rule: I3S, shape: Shape, element: int = 4) -> int:
    side = compressed(rule.side, shape)
    return 2 * DRAW * min(shape) + max(decomposition(shape, element, side), _inside(rule, side, shape, element))


@temporaries_of.register
def _(rule: GoLore, shape: Shape, element: int = 4) -> int:
    step = outliving(rule, shape, element) + 2 * element * math.prod(shape)
    side = compressed(rule.side, shape)
    drawn = DRAW * shape[side] * rule.rank
    largest = decomposition(shape, element, side) if rule.random_from else factorisation(shape[side], rule.rank)
    return max(step, drawn + max(largest, _inside(rule, side, shape, element)))


@temporaries_of.register
def _(rule: RSO, shape: Shape, element: int = 4) -> int:
    step = outliving(rule, shape, element) + element * (math.prod(shape) + 2 * rule.rank * shape[1 - rule.side])
    return max(step, drawing(rule, shape[rule.side], element))


@temporaries_of.register
def _(rule: GWT, shape: Shape, element: int = 4) -> int:
    padded = math.prod(shape[:-1]) * pieces(shape[-1], rule.level) * 2**rule.level
    inner = state_of(rule, shape, element) - max(element, 4)
    return int(element * padded * (5.5 if rule.level == 1 else 6)) + inner


@temporaries_of.register(SGC)
@temporaries_of.register(SGCAdam)
def _(rule: SGC | SGCAdam, shape: Shape, element: int = 4) -> int:
    return measured_first(rule, shape, element)


@temporaries_of.register
def _(rule: CESGC, shape: Shape, element: int = 4) -> int:
    return cut_down(rule, shape, element, decomposition(shape, element, 0 if shape[0] <= shape[1] else 1))


@temporaries_of.register
def _(rule: SubZero, shape: Shape, element: int = 4) -> int:
    (m, n), r = rule.matrix_shape(shape), rule.rank
    return max(outliving(rule, shape, element) + element * (m * n + m * r + 2 * r * r), subspaces(m, n, r))


def outliving(rule: Rule, shape: Shape, element: int) -> int:
    """What is there at the end of a refreshing step beside its result: the new state, the draw, and states that the refresh made."""
    state = state_of(rule, shape, element)
    if isinstance(rule, RSO):
        d, other = shape[rule.side], rule.rank * shape[1 - rule.side]
        inner = state - element * (d * rule.rank + other)
        return state + DRAW * d * rule.rank + element * other + inner
    if isinstance(rule, GoLore):
        side, r = compressed(rule.side, shape), rule.rank
        inner = state - element * shape[side] * r
        return state + DRAW * shape[side] * r + (element * r * shape[1 - side] if rule.on_refresh == "rotate" and inner else 0)
    return state + DRAW * sum(rule.matrix_shape(shape)) * rule.rank if isinstance(rule, SubZero) else state


def decomposition(shape: Shape, element: int, side: int) -> int:
    """A finite copy, LAPACK's copy, the two factors (m, k) and (k, n), k = min(m, n), and the singular values; side: the compressed one.

    Below 4 bytes a number the finite copy is made twice, narrow and in float32.
    """
    e, k, size = max(element, 4), min(shape), math.prod(shape)
    return e * (3 * size + k * k + k + (0 if side else copied(size))) + (element * size if element < e else 0)


def copied(size: int) -> int:
    """Numbers of the block through which a matrix of this many goes when it is copied with its rows for columns."""
    return TURNED if size >= TURNED else 0


def factorisation(d: int, r: int) -> int:
    """Beside a (d, r) draw, while it becomes orthonormal columns: Q, R, Q with its signs, and that again by rows."""
    return DRAW * (3 * d * r + r * r + copied(d * r))


def subspaces(m: int, n: int, r: int) -> int:
    """The draw of both sides, and one after the other of its factorisations; the first result is beside the second."""
    return DRAW * (m + n) * r + max(factorisation(m, r), DRAW * m * r + factorisation(n, r))


def drawing(rule: RSO, d: int, element: int) -> int:
    """The draw of a basis of d inputs, what becomes of it by the law of the rule, in float64, and that in the dtype of the weight."""
    entries = d * rule.rank
    if rule.law == "haar":
        return DRAW * entries + factorisation(d, rule.rank)
    if rule.law == "coordinate":
        return DRAW * (3 * entries + d)
    return (2 * DRAW + (element if element < DRAW else 0)) * entries


def _inside(rule: GaLore | GoLore | I3S, side: int, shape: Shape, element: int) -> int:
    """The step of the inner rule in a new basis: that basis, turned moments, the coefficients of gradient and weight."""
    small = (rule.rank, shape[1]) if side == 0 else (shape[0], rule.rank)
    coefficients = element * math.prod(small)
    turning = coefficients if rule.on_refresh == "rotate" and state_of(rule.inner, small, element) else 0
    return element * shape[side] * rule.rank + turning + 2 * coefficients + temporaries_of(rule.inner, small, element)
