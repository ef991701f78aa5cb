"""Running averages that cannot move in their dtype, found before the first step.

    x <- x + (1 - b) (y - x)

In a dtype with unit e = finfo.eps an entry 1 whose target has doubled moves only if 1 - b > e / 2. With b = 0.999 and
bfloat16 (e / 2 = 0.0039) it stands still for ever, so a second moment in bfloat16 stops at its first values.

Which leaves of a state are averages, and with which decay, is measured: three steps in float64 under one gradient, with
learning rate 0 so that nothing else changes, and b = (x3 - x2) / (x2 - x1). Only rules with a decay that is too slow for
the dtype are measured. An average whose target itself changes in these steps (a residual) is not recognised.
"""

import math

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.optimizers.base import Rule, advance, due, with_fields
from sandbox.shells.flat_state import structure, write

SMALL = 1e-5  # a float16 number whose square is none
SAMPLE = 64  # columns of the measured weight: a rule may fix the number of rows, seldom that of columns


def require_moving(rule: Rule, name: str, w: Tensor, dtype: torch.dtype) -> None:
    """Raises ValueError where an average of `rule`, for the weight `w` kept in `dtype`, lies in a dtype in which it stands still."""
    slow = [b for b in decays(rule) if 1 - b < torch.finfo(dtype).eps / 2]
    for leaf, b, held in _frozen(rule, w, dtype) if slow else ():
        half = torch.finfo(held).eps / 2
        most = 1 - 10 ** math.ceil(math.log10(half))
        raise ValueError(
            f"the average {leaf!r} of {name} has decay {b:g} in {held}, where an entry cannot move by less than {half:.2g} of itself, "
            f"so it would stand still; give state_dtype=torch.float32, or a decay (beta) of at most {most:g}"
        )


def require_finite(rule: Rule, name: str, w: Tensor, dtype: torch.dtype) -> None:
    """Raises ValueError where a step of `rule` under a small gradient is not finite in float16, whose least number is 6e-8: g^2
    and eps are then 0. Other dtypes reach far enough.
    """
    if dtype != torch.float16:
        return
    shape = _shape(rule, tuple(w.shape))
    x, g = normal(shape, generator(0)).to(dtype), (SMALL * normal(shape, generator(1))).to(dtype)
    delta, _ = advance(rule, g, rule.init(x), x, 0, rule.draw(generator(2), shape) if due(rule, 0) else None)
    if not delta.isfinite().all():
        raise ValueError(
            f"a gradient of {SMALL:g} of {name} makes a step of {type(rule).__name__} that is not finite in torch.float16, where "
            "its square and eps are 0; give state_dtype=torch.float32"
        )


def decays(rule: Rule) -> tuple[float, ...]:
    """The decays that a rule and the rules inside it declare: `betas`, `beta...`, `momentum`; numbers only."""
    named = [getattr(rule, f) for f in getattr(rule, "__dataclass_fields__", {}) if f.startswith("beta") or f == "momentum"]
    flat = [b for x in named for b in (x if isinstance(x, tuple) else (x,))]
    inner = decays(rule.inner) if hasattr(rule, "inner") else ()
    return (*(b for b in flat if isinstance(b, float) and b < 1), *inner)


def _frozen(rule: Rule, w: Tensor, dtype: torch.dtype) -> list[tuple[str, float, torch.dtype]]:
    """(leaf, decay, dtype) of each average that cannot move."""
    shape = _shape(rule, tuple(w.shape))
    held, seen = _leaves(rule.init(torch.zeros(shape, dtype=dtype))), _three_steps(rule, shape)
    found = []
    for leaf, start in held.items():
        b = _decay(*(leaves[leaf] for leaves in seen))
        declared = [x for x in decays(rule) if abs(b - x) < 0.1 * (1 - x)]
        if declared and 1 - declared[0] < torch.finfo(start.dtype).eps / 2:
            found.append((leaf, declared[0], start.dtype))
    return found


def _shape(rule: Rule, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with fewer columns that the rule takes too, or else the shape itself."""
    small = (*shape[:-1], min(shape[-1], SAMPLE)) if shape else shape
    try:
        rule.init(torch.zeros(small))
    except ValueError:
        return shape
    return small


def _three_steps(rule: Rule, shape: tuple[int, ...]) -> list[dict[str, Tensor]]:
    """The floating leaves after each of three steps under one gradient, in float64."""
    w, g, seen = normal(shape, generator(0)), normal(shape, generator(1)), []
    rule = with_fields(rule, lr=0.0)
    state, draw = rule.init(w), rule.draw(generator(2), shape) if due(rule, 0) else None
    for k in range(3):
        _, state = rule.step(g, state, w) if k else advance(rule, g, state, w, 0, draw)
        seen.append(_leaves(state))
    return seen


def _leaves(state: object) -> dict[str, Tensor]:
    flat: dict[str, object] = {}
    write(state, structure(state), flat)
    return {key: x for key, x in flat.items() if isinstance(x, Tensor) and x.is_floating_point()}


def _decay(first: Tensor, second: Tensor, third: Tensor) -> float:
    """Median of (x3 - x2) / (x2 - x1); nan where nothing moves."""
    return ((third - second) / (second - first)).flatten().nanmedian().item()
