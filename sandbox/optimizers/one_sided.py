"""What a frame on one side of a matrix does whatever its basis is: I3S and GoLore share all of it, GaLore the settings.

    R = P^T G,   D = the step of the inner rule for R and P^T W,   w <- w + scale P D           (side 0; side 1 transposed)

A frame here has the fields inner, rank, update_gap, scale, side and on_refresh; what it adds is the basis P.
"""

from functools import partial
from typing import Any

from torch import Tensor

from sandbox.optimizers.base import State
from sandbox.optimizers.inner_state import refreshed, require_on_refresh, started
from sandbox.optimizers.projection import (
    Basis,
    ProjectedState,
    coefficients,
    compressed,
    no_basis,
    require_no_frame_inside,
    require_side,
    step_in,
    turned,
)
from sandbox.optimizers.settings import require_at_least_zero, require_positive_int, require_rank_fits


def require_settings(frame: Any, *sides: int | str) -> None:
    """Raises ValueError for a setting that no such frame can have, and for an inner rule that refreshes."""
    require_positive_int(frame, "rank", "update_gap")
    require_at_least_zero(frame, "scale")
    require_side(frame, *sides)
    require_on_refresh(frame)
    require_no_frame_inside(frame)


def begun(frame: Any, w: Tensor) -> ProjectedState:
    """The state before the first refresh: a basis of zeros. Raises ValueError where w is no matrix that the rank fits."""
    require_rank_fits(frame.rank, w, sides=(0, 1))
    side = compressed(frame.side, w.shape)
    P = no_basis(w, side, frame.rank)
    return ProjectedState(P, started(frame.inner, coefficients(frame.inner, w, Basis(side, P)), frame.on_refresh))


def rebased(frame: Any, state: Any, w: Tensor, P: Tensor) -> ProjectedState:
    """The state in the basis P, the inner one turned into it, kept or fresh."""
    side = compressed(frame.side, w.shape)
    old, new = Basis(side, state.P), Basis(side, P)
    turn = partial(turned, old=old, new=new)
    return ProjectedState(P, refreshed(frame.inner, state.inner, coefficients(frame.inner, w, new), on_refresh=frame.on_refresh, turn=turn))


def stepped(frame: Any, g: Tensor, state: Any, w: Tensor) -> tuple[Tensor, State]:
    """The lifted step times scale, and the state with the next inner one."""
    delta, inner = step_in(frame.inner, g, state.inner, w, Basis(compressed(frame.side, w.shape), state.P))
    return delta * frame.scale, state._replace(inner=inner)
