"""What a rank of many keeps and needs for the update of a model whose tensors FSDP2 shards along dim 0; the first rank has most.

    rows of the first rank     ceil(m / world), whatever m; later ranks may have fewer, or none
    state                      the formula of sandbox/memory/states.py on those rows, but whole on every rank:
                                   moments of Adam-mini unless every row has its own
                                   bases of GaLore, GoLore and I3S; where they compress side 0 (m), what their inner rule keeps too, but
                                   for rules that move every entry by itself, whose moments (r, n) are cut along n
                                   all of SGC, CESGC and SubZero
    temporaries                of one tensor after the other; a frame that decomposes or measures a whole gradient has that gradient too;
                               tensors that move side by side (sandbox/shells/sharded.py) wait together for their sums:
                               AdaLomo, Adafactor with 2 m n / world, CAME with 3, GWT with 1, at most, GaLore, GoLore and I3S of
                               side 0 with the coefficients of gradient and weight, 2 r n; SGC and its like with their rows while one of
                               them makes its step, and in the end with 4 world ceil(m / world) n
    messages of the rule       numbers that a rank takes part in summing or gathering in a step, beside those of FSDP2

        Adam, sign and gradient descent, Adam-mini by row, RSO       0          (RSO draws its bases from a shared seed)
        Adam-mini by head or tensor                                  blocks
        AdaLomo, Adafactor                                           n          sums over columns; CAME: 2 n      vectors: 0
        GaLore, I3S, side 0                                          r n + m n / update_gap        side 1: m n / update_gap
        GoLore                                                       the same, the last term only where it decomposes
        SGC, CESGC, SubZero                                          m n        the whole gradient

    Single numbers (means, norms) are left out.

Sources: the rules' own equations; the tests compare states with those that the rules make of DTensors on ranks that exist in name only.
Letters: weight (m, n), r = rank.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import singledispatch
from math import prod

from sandbox.memory.states import Shape, state_of
from sandbox.memory.temporaries import temporaries_of
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import Rule
from sandbox.optimizers.came import CAME
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.parameter_scale import ParameterScale
from sandbox.optimizers.projection import compressed, is_entrywise
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.optimizers.subzero import SubZero
from sandbox.optimizers.weight_decay import WeightDecay

BUCKET = 2**25  # entries of all ranks that move side by side, as in sandbox/shells/sharded.py
NARROW = 4  # bytes below which factored rules copy gradient and weight to float32


def rows_of_first(shape: Shape, world: int) -> Shape:
    """The part of the first rank."""
    return (-(-shape[0] // world), *shape[1:]) if shape else shape


def is_whole(rule: Rule, shape: Shape) -> bool:
    """Whether every rank sees all of the gradient, and keeps all of the state unless it `is_spread`."""
    if isinstance(rule, WeightDecay | ParameterScale):
        return is_whole(rule.inner, shape)
    if isinstance(rule, GaLore) and rule.side == "both":
        return True
    if isinstance(rule, GaLore | GoLore | I3S):
        return compressed(rule.side, shape) == 0
    return isinstance(rule, SGC | SGCAdam | CESGC | SubZero)


def is_spread(rule: Rule, shape: Shape) -> bool:
    """Whether what the inner rule keeps of coefficients (r, n) is cut along n."""
    one_sided = isinstance(rule, GaLore | GoLore | I3S) and rule.side != "both"
    return one_sided and compressed(rule.side, shape) == 0 and is_entrywise(rule.inner)


def state_of_rank(rule: Rule, shape: Shape, world: int, element: int) -> int:
    """Bytes of the state of one tensor on the first rank."""
    if isinstance(rule, WeightDecay | ParameterScale):
        return state_of_rank(rule.inner, shape, world, element)
    if world > 1 and is_spread(rule, shape):
        columns = -(-shape[1] // world)
        return element * shape[0] * rule.rank + state_of(rule.inner, (rule.rank, columns), element)
    if world == 1 or is_whole(rule, shape):
        return state_of(rule, shape, element)
    rows = rows_of_first(shape, world)
    if isinstance(rule, AdamMini):
        return element * (prod(rows) + _blocks_of_rank(rule, shape, rows))
    if isinstance(rule, GaLore | I3S | GoLore):
        rule = _with_side(rule, compressed(rule.side, shape))
    return state_of(rule, rows, element)


def _blocks_of_rank(rule: AdamMini, shape: Shape, rows: Shape) -> int:
    blocks = rule.n_blocks if isinstance(rule.n_blocks, int) else sum(count for _, count in rule.n_blocks)
    return rows[0] if rule.dim == 0 and blocks == shape[0] else blocks


def _with_side(rule: GaLore | GoLore | I3S, side: int) -> Rule:
    """The same with the side that the whole shape has settled."""
    from dataclasses import replace

    return replace(rule, side=side)


def step_of_rank(rule: Rule, shape: Shape, world: int, element: int) -> int:
    """Bytes beside weight, gradient and state at the worst moment of a step on the first rank."""
    if world == 1:
        return _step(rule, shape, element)
    rows = rows_of_first(shape, world)
    if is_whole(rule, shape) or decomposes(rule):
        return element * prod(shape) + _step(rule, shape, element)
    if isinstance(rule, GaLore | I3S | GoLore):
        rule = _with_side(rule, compressed(rule.side, shape))
    if isinstance(rule, AdamMini):
        return 4 * element * prod(rows) + 2 * element * _blocks_of_rank(rule, shape, rows)
    return _step(rule, rows, element)


def _step(rule: Rule, shape: Shape, element: int) -> int:
    """Below 4 bytes a number, factored rules work in float32."""
    inner = rule
    while isinstance(inner, WeightDecay | ParameterScale):
        inner = inner.inner
    if element < NARROW and isinstance(inner, AdaLomo | Adafactor | CAME):
        return temporaries_of(rule, shape, NARROW) + 2 * NARROW * prod(shape)
    return temporaries_of(rule, shape, element)


def decomposes(rule: Rule) -> bool:
    """Whether a refresh looks at the whole gradient."""
    if isinstance(rule, WeightDecay | ParameterScale):
        return decomposes(rule.inner)
    return isinstance(rule, GaLore | I3S) or (isinstance(rule, GoLore) and bool(rule.random_from))


def step_of_model(shapes: Mapping[str, Shape], rules: Mapping[str, Rule], world: int, element: int) -> tuple[int, str]:
    """The most beside weights, gradients and states in an update of all tensors, and the tensor whose own step needs most of it."""
    own = {name: step_of_rank(rules[name], shape, world, element) for name, shape in shapes.items()}
    most = max(own, key=lambda name: own[name])
    if world == 1:
        return own[most], most
    done = max(_waiting(shapes, rules, world, element))
    if not any(is_late(rule) for rule in rules.values()):
        return done + max(own[name] - waits(rules[name], shape, world, element) for name, shape in shapes.items()), most
    still = max(_waiting(shapes, rules, world, element, _yet_to_come))
    return max(done, still + max(own[name] - _yet_to_come(rules[name], shape, world, element) for name, shape in shapes.items())), most


def _waiting(
    shapes: Mapping[str, Shape], rules: Mapping[str, Rule], world: int, element: int, of: Callable[..., int] | None = None
) -> Iterator[int]:
    """Of every bucket. of: what one tensor has; `waits` by default."""
    of = of or waits
    bucket = entries = 0
    for name, shape in shapes.items():
        if entries + prod(shape) > BUCKET:
            yield bucket
            bucket = entries = 0
        bucket, entries = bucket + of(rules[name], shape, world, element), entries + prod(shape)
    yield bucket


def waits(rule: Rule, shape: Shape, world: int, element: int) -> int:
    """Bytes that one tensor has while the sums of its bucket are under way."""
    if isinstance(rule, WeightDecay | ParameterScale):
        return waits(rule.inner, shape, world, element)
    rows = prod(rows_of_first(shape, world))
    if isinstance(rule, AdaLomo | Adafactor | CAME):
        return (3 if isinstance(rule, CAME) else 2) * max(element, NARROW) * rows
    if isinstance(rule, GWT):
        return element * rows
    if is_late(rule):
        return 4 * world * element * rows  # whole tensors of rows that are filled up to the same number on all ranks
    if isinstance(rule, GaLore | GoLore | I3S) and rule.side != "both" and compressed(rule.side, shape) == 0:
        return 2 * element * rule.rank * shape[1]
    return 0


def is_late(rule: Rule) -> bool:
    """Whether the gradients of a bucket are gathered one after the other, each with its step, and what comes of them waits together."""
    if isinstance(rule, WeightDecay | ParameterScale):
        return is_late(rule.inner)
    return isinstance(rule, SGC | SGCAdam | CESGC | SubZero)


def _yet_to_come(rule: Rule, shape: Shape, world: int, element: int) -> int:
    """Bytes that one tensor has while another one of its bucket makes its step: of a late rule, its own rows."""
    return element * prod(rows_of_first(shape, world)) if is_late(rule) else waits(rule, shape, world, element)


def messages(shapes: Mapping[str, Shape], rules: Mapping[str, Rule]) -> float:
    """Numbers of all tensors; a float, for a refresh is a fraction of a step."""
    return float(sum(summed_by(rules[name], shape) for name, shape in shapes.items()))


@singledispatch
def summed_by(rule: Rule, shape: Shape) -> float:
    """Numbers of one tensor that the rule sums or gathers over ranks in a step."""
    return 0.0


@summed_by.register
def _(rule: AdamMini, shape: Shape) -> float:
    blocks = _blocks_of_rank(rule, shape, shape)
    return 0.0 if rule.dim == 0 and blocks == shape[0] else float(blocks)


@summed_by.register(AdaLomo)
@summed_by.register(Adafactor)
def _(rule: AdaLomo | Adafactor, shape: Shape) -> float:
    return float(shape[-1]) if len(shape) > 1 else 0.0


@summed_by.register
def _(rule: CAME, shape: Shape) -> float:
    return 2.0 * shape[-1] if len(shape) > 1 else 0.0


@summed_by.register(GaLore)
@summed_by.register(GoLore)
@summed_by.register(I3S)
def _(rule: GaLore | GoLore | I3S, shape: Shape) -> float:
    refresh = prod(shape) / rule.update_gap if decomposes(rule) else 0.0
    if rule.side == "both":
        return rule.rank * shape[1] + refresh
    return (rule.rank * shape[1] if compressed(rule.side, shape) == 0 else 0) + refresh


@summed_by.register(SGC)
@summed_by.register(SGCAdam)
@summed_by.register(CESGC)
@summed_by.register(SubZero)
def _(rule: SGC | SGCAdam | CESGC | SubZero, shape: Shape) -> float:
    return float(prod(shape))


@summed_by.register(WeightDecay)
@summed_by.register(ParameterScale)
def _(rule: WeightDecay | ParameterScale, shape: Shape) -> float:
    return summed_by(rule.inner, shape)
