"""Bytes of training from shapes alone, by category, and the peak. Nothing is allocated and no model is built.

    forecast(GPTConfig(...), {name: rule, ...}, sequences=8, tokens=128, shell="fused")

    weights       e N; in the subspace shell also bases and coefficients, e (n + m) r for each compressed layer
    activations   what autograd keeps                     sandbox/memory/activations.py; 0 where only losses are evaluated
    gradients     all, or the largest (fused), or none    as `.grad` holds them
    state         of every tensor                         sandbox/memory/states.py
    temporaries   of the tensor whose step needs most     sandbox/memory/temporaries.py; in place with its estimated gradient
    peak          weights + state + the worst moment      sandbox/memory/moments.py

The same categories are measured by sandbox/memory/training.py. `stepwise_forecast` and `fused_forecast` take shapes and no batch:
they leave activations out and count what autograd itself holds among the gradients. Tensors of b_i bytes, each used once in the
graph unless tied:

    every gradient kept   sum b_i + 2 sum b_tied            freed as soon as used   max(b_i, 3 b_tied)

A tied weight counts three times at its worst moment: autograd holds its first part, makes the second, and adds them
in a third tensor. That holds for a weight shared by an embedding at the start and a head at the end of the graph, and
is what the allocator shows.

Sources: Adam-mini (Zhang et al., 2024, https://arxiv.org/abs/2406.16793), LOMO and AdaLomo (Lv et al., 2023,
https://arxiv.org/abs/2306.09782 and https://arxiv.org/abs/2310.10195), GaLore (Zhao et al., 2024,
https://arxiv.org/abs/2403.03507), RSO (Chen et al., 2025, https://arxiv.org/abs/2502.07222); formulas derived.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sandbox.memory.activations import Config, Pass
from sandbox.memory.architectures import Shapes, entries
from sandbox.memory.moments import forward_only_moments, fused_moments, gradients, stepwise_moments
from sandbox.memory.states import Shape, state_of
from sandbox.memory.temporaries import DRAW, drawing, temporaries_of
from sandbox.models.initial import shapes_of
from sandbox.optimizers.base import Rule
from sandbox.optimizers.rso import RSO
from sandbox.shells.assignment import assign
from sandbox.shells.subspace import frame_of
from sandbox.shells.subspace_linear import MERGED

__all__ = ["Forecast", "Held", "forecast", "fused_forecast", "state_forecast", "state_of", "stepwise_forecast"]

Shell = Literal["stepwise", "fused", "in place", "subspace"]


@dataclass(frozen=True)
class Forecast:
    """Bytes by category.  moments: what each moment of the step has beside weights and state, by name."""

    weights: int
    activations: int
    gradients: int
    state: int
    temporaries: int
    moments: Mapping[str, int]

    @property
    def peak(self) -> int:
        return self.weights + self.state + max(self.moments.values())

    @property
    def at(self) -> str:
        """The moment of the peak."""
        return max(self.moments, key=lambda name: self.moments[name])


@dataclass(frozen=True)
class Held:
    """Bytes by category, activations left out. gradients: at the peak of backward, with what autograd holds back."""

    weights: int
    gradients: int
    state: int

    @property
    def total(self) -> int:
        """All three at once: an upper bound of their joint peak."""
        return self.weights + self.gradients + self.state


def forecast(
    config: Config, rules: Rule | Mapping[str, Rule], *, sequences: int, tokens: int, element: int = 4, shell: Shell = "stepwise"
) -> Forecast:
    """One training step after the first, in which every frame refreshes. "in place": two-point oracles with full directions.

    element: bytes a number, 4 or 8. Raises ValueError for another, and as `Pass`, `state_of` and `compressed` do.
    """
    if element not in (4, 8):
        raise ValueError(
            f"the moments of a step are known for 4 and 8 bytes a number, got {element}: narrower dtypes make wide copies; "
            "use stepwise_forecast, fused_forecast and Pass(...).saved for the categories"
        )
    x, shapes = Pass(config, sequences, tokens, element), shapes_of(config)
    if shell == "subspace":
        return _in_layers(config, compressed(config, rules), x)
    return planned(x, shapes, rules, shell)


def planned(x: Pass, shapes: Shapes, rules: Rule | Mapping[str, Rule], shell: Shell, ranks: Mapping[str, int] | None = None) -> Forecast:
    """The same for a pass and shapes that need not be those of its configuration, as after pruning; any shell but "subspace".

    ranks: of the directions of the in-place shell, where they are of low rank.
    """
    element = x.element
    assigned = assign(shapes, rules)
    steps = {name: temporaries_of(rule, shapes[name], element) for name, rule in assigned.items()}
    g = gradients(shapes, element, tied=x.config.tied)
    largest = element * max(math.prod(shape) for shape in shapes.values())
    if shell == "stepwise":
        kept, grads, moments = x.saved, g.total, stepwise_moments(x, g, max(steps.values()))
    elif shell == "fused":
        kept, grads, moments = x.saved, largest, fused_moments(x, g, shapes, steps)
    else:
        kept, grads, moments = 0, 0, forward_only_moments(x, shapes, steps, ranks or {})
    temporaries = moments["write"] if shell == "in place" else max(steps.values())
    return Forecast(g.total, kept, grads, state_forecast(shapes, rules, element=element), temporaries, moments)


def _in_layers(config: Config, rules: Mapping[str, Rule], x: Pass) -> Forecast:
    """With the coefficients in the place of the compressed weights: they are what is trained."""
    e, shapes = x.element, shapes_of(config)
    frames = {name: frame_of(rule) for name, rule in rules.items() if isinstance(frame_of(rule), RSO)}
    x = replace(x, rank=next(iter(frames.values())).rank)
    trained = {name: (shape[0], x.rank) if name in frames else shape for name, shape in shapes.items()}
    moved = {name: frames[name].inner if name in frames else rule for name, rule in rules.items()}
    state = state_forecast(trained, moved, element=e)
    bases = e * sum(sum(shapes[name]) * x.rank for name in frames)
    steps = [temporaries_of(rule, trained[name], e) for name, rule in moved.items()]
    step = max(*steps, *(in_layer(frame, shapes[name], e) for name, frame in frames.items()))
    g = gradients(trained, e, tied=config.tied)
    return Forecast(e * entries(shapes) + bases, x.saved, g.total, state, step, stepwise_moments(x, g, step))


def in_layer(frame: RSO, shape: Shape, element: int) -> int:
    """The most beside the coefficients B (m, r), their gradient and their state, in a step that ends a round:

    step       four tensors of the size of B, the new state, and the identity for a basis: coefficients pass through RSO's step
    decay      of W: some rows of W + B P^T, where there is weight decay
    merge      some rows of B P^T
    draw       the draw of P and what becomes of it
    new round  the draw, P, zeros for B, and a new inner state or what the old one becomes
    """
    (m, n), r = shape, frame.rank
    state, B, drawn = state_of(frame.inner, (m, r), element), element * m * r, DRAW * n * r
    step = state + 4 * B + element * r * r
    refreshed = {"keep": 0, "reset": state + B, "rotate": 2 * B if state else 0}[frame.on_refresh]
    merged = element * min(m * n, max(1, MERGED // n) * n)
    return max(step, merged, drawing(frame, n, element), drawn + element * n * r + B + refreshed)


def compressed(config: Config, rules: Rule | Mapping[str, Rule]) -> dict[str, Rule]:
    """The rules. Raises ValueError unless RSO of one rank has every matrix of the blocks, and no other tensor."""
    assigned = assign(shapes := shapes_of(config), rules)
    ranks = {name: frame_of(rule).rank for name, rule in assigned.items() if isinstance(frame_of(rule), RSO)}
    matrices = {name for name, shape in shapes.items() if len(shape) == 2 and name.startswith("blocks.")}
    if set(ranks) != matrices or len(set(ranks.values())) != 1:
        raise ValueError(
            f"the forecast of RSO layers needs one rank for all {len(matrices)} matrices of the blocks and for them alone, "
            f"got {len(ranks)} compressed tensors of ranks {sorted(set(ranks.values()))}"
        )
    return assigned


def state_forecast(shapes: Shapes, rules: Rule | Mapping[str, Rule], *, element: int = 4) -> int:
    """Bytes of the optimizer state of a whole model; one rule for all tensors, or a table that names each exactly once."""
    return sum(state_of(rule, shapes[name], element) for name, rule in assign(shapes, rules).items())


def stepwise_forecast(shapes: Shapes, rules: Rule | Mapping[str, Rule], *, element: int = 4, tied: Collection[str] = ()) -> Held:
    """Every gradient is there when the step begins. tied: names of tensors that embed the input and make the output too."""
    gradients = element * (entries(shapes) + 2 * entries(_chosen(shapes, tied)))
    return Held(element * entries(shapes), gradients, state_forecast(shapes, rules, element=element))


def fused_forecast(shapes: Shapes, rules: Rule | Mapping[str, Rule], *, element: int = 4, tied: Collection[str] = ()) -> Held:
    """Every gradient is used and freed during backward, so the largest moment counts, not the sum."""
    three = _chosen(shapes, tied)
    gradients = element * max(math.prod(shape) * (3 if name in three else 1) for name, shape in shapes.items())
    return Held(element * entries(shapes), gradients, state_forecast(shapes, rules, element=element))


def _chosen(shapes: Shapes, tied: Collection[str]) -> Shapes:
    unknown = [name for name in tied if name not in shapes]
    if unknown:
        raise ValueError(f"tied tensors must be parameters, got {unknown}; the parameters begin with {list(shapes)[:5]}")
    return {name: shapes[name] for name in shapes if name in set(tied)}
