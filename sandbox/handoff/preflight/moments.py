"""Bytes of one rank by category at every moment of a step, from a timeline and what the rules need.

    weights            what the rank keeps of them, bases of RSO layers among them
    states             of the optimizer; subspaces of low-rank directions among them
    gradients          complete ones
    activations        what forward keeps for backward, and the batch
    temporaries        gradients of activations, recomputed activations, what a step of the optimizer makes
    communication      gathered weights, buffers of messages
    workspace          of matrix products on a GPU

The peak is the moment at which the sum is largest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from sandbox.handoff.preflight.asked import BYTES, Ask
from sandbox.handoff.preflight.systems import Model, System
from sandbox.memory.forecasts import in_layer
from sandbox.memory.forward_mode import forward_gradient_forecast
from sandbox.memory.moments import drawing
from sandbox.memory.shards import rows_of_first, state_of_rank, step_of_model, step_of_rank
from sandbox.memory.temporaries import DRAW, subspaces, temporaries_of
from sandbox.memory.timeline import Parts, Segment, Timeline, held_gradients
from sandbox.optimizers.rso import RSO
from sandbox.shells.subspace import frame_of

INDEX = 8  # bytes of a token's number
FLOAT32 = 4
Moment = dict[str, int]  # bytes by category


@dataclass(frozen=True)
class Rank:
    """What does not change during a step, in bytes."""

    ask: Ask
    model: Model
    system: System

    @property
    def element(self) -> int:
        """Bytes of a number of weights and gradients."""
        if self.system.way == "forward mode":
            return FLOAT32
        return BYTES[self.ask.compute if self.system.way == "in place" else self.ask.weights]

    @property
    def world(self) -> int:
        """Ranks over which the tensors of this system are sharded."""
        return 1 if self.system.way in ("in place", "forward mode") else self.ask.world

    @property
    def layers(self) -> dict[str, RSO]:
        """The frames of compressed layers."""
        if self.system.way != "subspace":
            return {}
        return {name: frame_of(rule) for name, rule in self.system.rules.items() if isinstance(frame_of(rule), RSO)}

    def trained(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what is trained: coefficients in the place of compressed weights."""
        return {name: (shape[0], self.layers[name].rank) if name in self.layers else shape for name, shape in self.model.shapes.items()}

    def fixed(self) -> list[tuple[int, ...]]:
        """Shapes of what compressed layers hold beside coefficients: W and P."""
        found = [(self.model.shapes[name], (self.model.shapes[name][1], frame.rank)) for name, frame in self.layers.items()]
        return [shape for both in found for shape in both]

    def weights(self) -> int:
        return self.element * sum(prod(rows_of_first(shape, self.world)) for shape in (*self.trained().values(), *self.fixed()))

    def states(self) -> int:
        layers, shapes = self.layers, self.trained()
        moved = {name: layers[name].inner if name in layers else rule for name, rule in self.system.rules.items()}
        states = sum(state_of_rank(rule, shapes[name], self.world, self.element) for name, rule in moved.items())
        return states + sum(DRAW * rank * sum(self.model.shapes[name]) for name, rank in self.low_rank().items())

    def low_rank(self) -> dict[str, int]:
        """Ranks of the directions of the in-place way, where they are low."""
        if self.system.way != "in place" or self.system.rank is None:
            return {}
        return dict.fromkeys(self.model.compressible(), self.system.rank)

    def step(self) -> tuple[int, str]:
        """The most that the update has beside weights, gradients and states, and where."""
        layers, e = self.layers, self.element
        if not layers:
            return step_of_model(self.model.shapes, self.system.rules, self.world, e)
        shapes = self.model.shapes
        steps = {n: step_of_rank(self.system.rules[n], shapes[n], self.world, e) for n in shapes if n not in layers}
        steps |= {n: in_layer(frame, rows_of_first(shapes[n], self.world), e) for n, frame in layers.items()}
        name = max(steps, key=lambda n: steps[n])
        return steps[name], name


def moments(rank: Rank, line: Timeline, sequences: int) -> Iterator[tuple[str, Moment]]:
    """Every moment with its name. line: of so many sequences."""
    ask, way = rank.ask, rank.system.way
    base = {
        "weights": rank.weights(),
        "states": rank.states(),
        "gradients": 0,
        "activations": INDEX * sequences * (ask.tokens + 1),
        "temporaries": 0,
        "communication": 0,
        "workspace": ask.card.workspace if ask.card else 0,
    }
    made = {"stepwise": _held, "subspace": _held, "fused": _freed, "in place": _in_place}[way](rank, line)
    for name, parts in made:
        yield name, {category: size + parts.get(category, 0) for category, size in base.items()}


def _named(segment: Segment) -> str:
    place = "" if segment.block is None else f" (block {segment.block})"
    return segment.name.replace(".*.", ".i.") + place


def _bytes(parts: Parts, gradients: int = 0) -> Moment:
    return {"gradients": gradients, "activations": parts.saved, "temporaries": parts.other, "communication": parts.communication}


def _held(rank: Rank, line: Timeline) -> Iterator[tuple[str, Moment]]:
    for segment, gradients in zip(line, held_gradients(line), strict=True):
        yield f"up to {_named(segment)}", _bytes(segment.held, gradients)
    step, where = rank.step()
    yield f"the update of {where}", {"gradients": sum(s.adds for s in line), "temporaries": step}


def _freed(rank: Rank, line: Timeline) -> Iterator[tuple[str, Moment]]:
    for segment in line:
        yield f"up to {_named(segment)}", _bytes(segment.freed)
    for segment in line:
        name = segment.name if segment.block is None else segment.name.replace(".*.", f".{segment.block}.")
        if name in rank.model.shapes:
            step = step_of_rank(rank.system.rules[name], rank.model.shapes[name], rank.world, rank.element)
            moment = _bytes(segment.at_end, segment.adds)
            holder = "temporaries" if moment["temporaries"] >= segment.adds else "communication"
            moment[holder] -= segment.adds
            moment["temporaries"] += step
            yield f"the update of {name}", moment


def _in_place(rank: Rank, line: Timeline) -> Iterator[tuple[str, Moment]]:
    for segment in line:
        yield f"up to {_named(segment)}", _bytes(segment.freed)
    low = rank.low_rank()
    for name, r in low.items():  # all other subspaces are there while one is drawn
        m, n = rank.model.shapes[name]
        yield f"the subspaces of {name}", {"temporaries": max(0, subspaces(m, n, r) - DRAW * (m + n) * r)}
    for name, shape in rank.model.shapes.items():
        step = max(temporaries_of(rank.system.rules[name], shape, max(rank.element, 2)), drawing(shape, low.get(name)))
        yield f"the update of {name}", {"gradients": rank.element * prod(shape), "temporaries": step}


def forward_mode(ask: Ask, system: System, model: Model, sequences: int) -> tuple[str, Moment]:
    """The peak of the forward gradient, by the formulas: float32, attention written out, on every rank whole."""
    made = forward_gradient_forecast(ask.target.config, next(iter(system.rules.values())), sequences=sequences, tokens=ask.tokens)
    held = {"weights": made.weights, "states": made.state, "gradients": made.gradients, "activations": INDEX * sequences * (ask.tokens + 1)}
    rest = {"temporaries": made.peak - sum(held.values()), "communication": 0, "workspace": ask.card.workspace if ask.card else 0}
    return made.at, held | rest
