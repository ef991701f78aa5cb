"""What the numbers of a rule must satisfy, and how to read its learning rate; checked once, when a rule is made or
meets its weight.

`with_fields` does not check again: inside an ensemble a field is a tensor, and comparing a batched tensor is not
possible.
"""

from typing import Any

from torch import Tensor


def require_at_least_zero(rule: Any, *names: str) -> None:
    """Raises ValueError where a field of `rule` is negative or not a number."""
    for name in names:
        value = getattr(rule, name)
        if value is None or isinstance(value, str) or not value >= 0:
            raise ValueError(f"{name} of {type(rule).__name__} must be >= 0, got {value!r}; give a non-negative {name}")


def require_betas(rule: Any) -> None:
    """Raises ValueError unless both decays lie in [0, 1): at 1 the moments would never see a gradient."""
    for i, beta in enumerate(rule.betas, start=1):
        if not 0 <= beta < 1:
            raise ValueError(f"both betas of {type(rule).__name__} must lie in [0, 1), got beta{i} = {beta}; a usual pair is (0.9, 0.999)")


def require_positive_int(rule: Any, *names: str) -> None:
    """Raises ValueError where a count of `rule` is not an int >= 1."""
    for name in names:
        value = getattr(rule, name)
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} of {type(rule).__name__} must be an int >= 1, got {value!r}")


def require_rank_fits(rank: int, w: Tensor, sides: tuple[int, ...]) -> None:
    """Raises ValueError unless `w` is a matrix whose `sides` are all at least `rank`."""
    if w.ndim != 2 or any(w.shape[side] < rank for side in sides):
        which = "both sides" if len(sides) == 2 else f"side {sides[0]}"
        raise ValueError(
            f"rank {rank} needs a 2-D weight with {which} >= rank, got shape {tuple(w.shape)}; give this block an unprojected rule"
        )


def learning_rate(rule: Any) -> Any:
    """The field `lr` of a rule, or of the innermost rule that a wrapper holds.

    Raises ValueError where no level has one: a schedule could then have no effect.
    """
    while not hasattr(rule, "lr") and hasattr(rule, "inner"):
        rule = rule.inner
    if not hasattr(rule, "lr"):
        raise ValueError(f"{type(rule).__name__} has no field 'lr', so a learning rate would have no effect")
    return rule.lr
