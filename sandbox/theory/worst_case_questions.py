"""What is asked about the path of a rule: which number is to be as large as possible, and what is given to be at most 1."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sandbox.theory.worst_case_points import Rows, squared
from sandbox.theory.worst_case_space import Node, Space, WorstCase


@dataclass(frozen=True)
class Path:
    """levels: the equally likely outcomes at the steps 0..K."""

    space: Space
    levels: tuple[tuple[Node, ...], ...]

    @cached_property
    def star(self) -> Node:
        """A minimiser, known only to questions that speak of it: without it fewer conditions bind a function."""
        return self.space.star()


@dataclass(frozen=True)
class Question:
    """How large `measure` can be while every expression of `given` is at most 1; of several measures, their minimum."""

    measure: Callable[[Path], Sequence[Any]]
    given: Callable[[Path], Sequence[Any]]


def answered(space: Space, path: Path, question: Question) -> WorstCase:
    measures = question.measure(path)
    for expression in question.given(path):
        space.at_most(expression, 1.0)
    return space.largest(measures)


def mean(values: Sequence[Any]) -> Any:
    return sum(values[1:], values[0]) * (1 / len(values))


def gradients(path: Path) -> list[Any]:
    """E |g_k|^2 for k = 0..K."""
    return [mean([squared(node.g) for node in level]) for level in path.levels]


def gradient_sum(path: Path) -> list[Any]:
    first, *rest = gradients(path)[:-1]
    return [sum(rest, first)]


def least_gradient(path: Path) -> list[Any]:
    return gradients(path)


def last_gradient(path: Path) -> list[Any]:
    return gradients(path)[-1:]


def last_gap(path: Path) -> list[Any]:
    return [mean([node.f for node in path.levels[-1]]) - path.star.f]


def last_distance(path: Path) -> list[Any]:
    return [mean([squared(node.x - _minimiser(path)) for node in path.levels[-1]])]


def decrease(path: Path) -> list[Any]:
    return [path.levels[0][0].f - mean([node.f for node in path.levels[-1]])]


def gap(path: Path) -> list[Any]:
    return [path.levels[0][0].f - path.star.f]


def distance(path: Path) -> list[Any]:
    return [squared(path.levels[0][0].x - _minimiser(path))]


def _minimiser(path: Path) -> Rows:
    if path.star.x is None:
        raise ValueError("a distance needs a minimiser, and a class with mu < 0 promises none; take mu >= 0, or a gap")
    return path.star.x


GRADIENT_SUM = Question(gradient_sum, decrease)
GRADIENT_SUM_FROM_GAP = Question(gradient_sum, gap)
LEAST_GRADIENT = Question(least_gradient, decrease)
LEAST_GRADIENT_FROM_GAP = Question(least_gradient, gap)
GAP_FROM_GAP = Question(last_gap, gap)
GAP_FROM_DISTANCE = Question(last_gap, distance)
DISTANCE_FROM_DISTANCE = Question(last_distance, distance)
GRADIENT_FROM_DISTANCE = Question(last_gradient, distance)
GRADIENT_FROM_GAP = Question(last_gradient, gap)
