"""What becomes of the state of an inner rule when its frame changes the basis.

    keep     nothing: the moments go on, as if the new coordinates were the old ones (GaLore)
    reset    a fresh state (RSO)
    rotate   directions, m <- P_new^T P_old m; everything else is kept (GoLore, I3S)

A *direction* is a tensor of a state that lives in the coordinates of the gradient and changes sign with it: a first
moment, a momentum buffer, an average of steps. Turning is right for it, because it is linear. A second moment is not
linear (E[(R g)^2] needs covariances, of which the diagonal alone was kept), nor are row and column means of it, so `rotate`
keeps them, as the code of GoLore and I3S does. (LDAdam, https://arxiv.org/abs/2410.16103, estimates the new one: not
built.)

DIRECTIONS names the directions of each class of state; a class that it lacks is an error where a frame would turn it.
"""

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sandbox.optimizers.adafactor import AveragedState
from sandbox.optimizers.adam import AdamState
from sandbox.optimizers.adam_mini import AdamMiniState
from sandbox.optimizers.base import Empty, Rule, State
from sandbox.optimizers.came import CAMEState
from sandbox.optimizers.factored import FactoredState
from sandbox.optimizers.gradient_descent import DampedState, MomentumState

OnRefresh = Literal["keep", "reset", "rotate"]

DIRECTIONS: dict[type, tuple[str, ...]] = {
    AdamState: ("m",),
    AdamMiniState: ("m",),
    AveragedState: ("m",),
    CAMEState: ("m",),
    DampedState: ("b",),
    Empty: (),
    FactoredState: (),
    MomentumState: ("b",),
}


def directions(state: State) -> tuple[str, ...]:
    """The fields of a state that turn with the basis.

    Raises ValueError for a class of state without a row in DIRECTIONS.
    """
    if type(state) not in DIRECTIONS:
        raise ValueError(
            f"the table of directions has no row for {type(state).__name__} with the fields {', '.join(state._fields)}; add one in "
            'sandbox/optimizers/inner_state.py (the fields that change sign with the gradient), or choose on_refresh "keep" or "reset"'
        )
    return DIRECTIONS[type(state)]


def require_on_refresh(rule: Any) -> None:
    """Raises ValueError where rule.on_refresh is no treatment."""
    if rule.on_refresh not in get_args(OnRefresh):
        raise ValueError(f"on_refresh of {type(rule).__name__} must be one of {', '.join(get_args(OnRefresh))}, got {rule.on_refresh!r}")


def started(inner: Rule, coefficients: Tensor, on_refresh: OnRefresh) -> State:
    """The first state of the inner rule, for coefficients of this shape.

    Raises ValueError where a refresh would not know what to turn.
    """
    state = inner.init(torch.zeros_like(coefficients))
    if on_refresh == "rotate":
        directions(state)
    return state


def refreshed(inner: Rule, state: State, coefficients: Tensor, *, on_refresh: OnRefresh, turn: Callable[[Tensor], Tensor]) -> State:
    """The state of the inner rule in the new basis; `turn` carries coefficients from the old one to it."""
    if on_refresh == "keep":
        return state
    if on_refresh == "reset":
        return inner.init(torch.zeros_like(coefficients))
    return state._replace(**{name: turn(getattr(state, name)) for name in directions(state)})
