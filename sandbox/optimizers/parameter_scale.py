"""Parameter scale around any rule or frame: each step is relative to the size of its weight. Shazeer & Stern (2018),
https://arxiv.org/abs/1804.04235, section 8 (relative step size; second-hand).

    s = max(eps, RMS(W))            of the whole weight, before the step
    W <- W + s * (the step of the inner rule)

It acts on the weight itself. Inside a frame a rule sees coefficients instead (P^T W in GaLore, B in RSO); B starts at 0,
where a step relative to its size is eps times what was meant. So AdaLomo in random subspaces is written

    ParameterScale(RSO(AdaLomo(lr, parameter_scale="off"), rank=..., update_gap=...))

Weight decay inside is scaled too (lr s wd, as AdaLomo has it); WeightDecay(ParameterScale(...), wd) decays by lr wd, as
torch.optim.Adafactor does. Momentum inside averages the unscaled steps, and s of the moment multiplies the average;
Adafactor's own beta1 averages scaled ones.

Departures from the paper: there it is a part of Adafactor, here it wraps anything.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from sandbox.optimizers.averages import rms
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.factored import wide
from sandbox.optimizers.settings import require_at_least_zero

Scale = Literal["weight", "off"]  # the field `parameter_scale` of a rule that can do this itself


@dataclass(frozen=True)
class ParameterScale:
    """A frame where its inner rule is one: `period`, `draw` and `refresh` are handed on.

    Raises ValueError where the inner rule scales by its weight already, or holds a proximal term.
    """

    inner: Rule
    eps: float = 1e-3  # param

    def __post_init__(self) -> None:
        require_at_least_zero(self, "eps")
        if scales_by_weight(self.inner):
            raise ValueError(
                f"the inner rule of ParameterScale must not scale its step by its weight, got {self.inner}, which would be "
                'scaled twice; give the innermost rule parameter_scale="off"'
            )
        for rule in levels(self.inner):
            if getattr(rule, "eta", None) is not None:
                raise ValueError(
                    f"{type(rule).__name__} inside ParameterScale needs eta=None, got eta {rule.eta}: its coefficients count unscaled "
                    "steps, so the proximal term would pull by another eta than the one given"
                )

    @property
    def period(self) -> int:
        return getattr(self.inner, "period", 0)

    def init(self, w: Tensor) -> State:
        return self.inner.init(w)

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> Tensor | None:
        return self.inner.draw(rng, shape)

    def refresh(self, g: Tensor, state: State, w: Tensor, draw: Tensor | None) -> State:
        return self.inner.refresh(g, state, w, draw)

    def step(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        delta, state = self.inner.step(g, state, w)
        return delta * size(w, self.eps), state


def size(w: Tensor, eps: float | Tensor) -> Tensor:
    """max(eps, RMS(w)), 0-dim, in float32 or wider."""
    return rms(w.to(wide(w))).clamp(min=eps)


def levels(rule: Any) -> list[Any]:
    """`rule` and everything that it wraps, from the outside in."""
    found = [rule]
    while hasattr(found[-1], "inner"):
        found.append(found[-1].inner)
    return found


def scales_by_weight(rule: Any) -> bool:
    """Whether the step of `rule` is relative to the size of the weight that it sees, at any level of wrapping.

    Such a rule cannot be the inner rule of a frame whose coefficients start at 0.
    """
    return any(isinstance(level, ParameterScale) or getattr(level, "parameter_scale", "off") == "weight" for level in levels(rule))
