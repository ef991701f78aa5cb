"""The step that a rule would make for another direction, with the averages that it has: its own preconditioner, asked
for without writing any equation a second time.

A rule is copied with decays that stop its averages, and stepped once.

    Adam, AdamW, Adam-mini   betas (1, 1), m = x             -lr x / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
    gradient descent         momentum 1, b = x               -lr x
    AdaLomo, Adafactor       decay_rate -inf, gradient x     -lr x / sqrt(r c / mean(r)), clipped, scaled by the weight
    CAME                     betas (0, 1, 1), gradient x     -lr u(x) / sqrt(R C / mean(R))
    sign descent             gradient x                      -lr sign(x)

x takes the place of the first moment where the rule has one of raw gradients, so the corrections for its start apply to
x too. Weight decay is left out. With relative_step, Adafactor's is the one of the next step.
"""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.came import CAME
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.inner_state import directions
from sandbox.optimizers.parameter_scale import levels
from sandbox.optimizers.sign_descent import SignDescent


@dataclass(frozen=True)
class Freeze:
    """enters: whether x is put in the place of the first moment, or given as the gradient."""

    enters: str
    fields: dict[str, Any] = field(default_factory=dict)


FREEZES: dict[type, Freeze] = {
    Adafactor: Freeze("gradient", {"decay_rate": -math.inf, "beta1": 0.0}),
    AdaLomo: Freeze("gradient", {"decay_rate": -math.inf}),
    Adam: Freeze("moment", {"betas": (1.0, 1.0)}),
    AdamMini: Freeze("moment", {"betas": (1.0, 1.0)}),
    AdamW: Freeze("moment", {"betas": (1.0, 1.0)}),
    CAME: Freeze("gradient", {"betas": (0.0, 1.0, 1.0)}),
    GradientDescent: Freeze("moment", {"momentum": 1.0}),
    SignDescent: Freeze("gradient"),
}


def freeze_of(rule: Rule) -> Freeze:
    """How the innermost rule is frozen.

    Raises ValueError for a rule without a row in FREEZES.
    """
    innermost = levels(rule)[-1]
    if type(innermost) not in FREEZES:
        raise ValueError(
            f"the table of frozen steps has no row for {type(innermost).__name__}, so its averages cannot be asked about another "
            'direction; add one in sandbox/optimizers/frozen_step.py, or choose details "clipped" or "dropped"'
        )
    return FREEZES[type(innermost)]


def frozen_step(rule: Rule, x: Tensor, state: State, w: Tensor) -> Tensor:
    """The step of `rule` on the weight w for the direction x, without decay; x and w have one shape."""
    freeze = freeze_of(rule)
    still = _still(rule, freeze.fields)
    names = directions(state) if freeze.enters == "moment" else ()
    if not names:
        return still.step(x, state, w)[0]
    return still.step(torch.zeros_like(x), state._replace(**dict.fromkeys(names, x)), w)[0]


def _still(rule: Rule, fields: dict[str, Any]) -> Rule:
    """A copy with these fields, and without weight decay, on every level that has them; nothing is checked again."""
    new = copy.copy(rule)
    for name, value in (*fields.items(), ("weight_decay", 0.0)):
        if hasattr(rule, name):
            object.__setattr__(new, name, value)
    if hasattr(rule, "inner"):
        object.__setattr__(new, "inner", _still(rule.inner, fields))
    return new
