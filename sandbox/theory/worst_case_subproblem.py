"""The worst case of rounds that solve a subproblem, by semidefinite programming.

    F(B) = f(W + P B) + |B|^2 / (2 eta),   W+ = W + P B~,   B~ a stationary point B* of F, or what an accuracy lets pass for it

No rule has such a step, because it looks at the gradient where it ends; so the round is written down as the condition that the
theorems assume. `accept` turns an attempt into expressions that must be <= 0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sandbox.theory.worst_case_points import Rows, squared
from sandbox.theory.worst_case_questions import Path, Question, answered
from sandbox.theory.worst_case_space import Functions, Node, Space, WorstCase, require_solver

Matrix = Sequence[Sequence[float]]
IDENTITY = ((1.0,),)


class Attempt(NamedTuple):
    """excess: F(B~) - F(B*).  start: F(0) - F(B*).  residual: |grad F(B~)|^2.  gradient: |grad F(0)|^2 = |P^T grad f(W)|^2."""

    excess: Any
    start: Any
    residual: Any
    gradient: Any


@dataclass(frozen=True)
class Rounds:
    """count: K.  eta: of the proximal term.  bases: equally likely P (m, r).  accept: None for exact solutions.

    least: of a start and its P, some B that must not beat B*; an argmin needs it where F is not convex, for stationarity is less.
    """

    count: int
    eta: float
    bases: tuple[Matrix, ...] = (IDENTITY,)
    accept: Callable[[Attempt], Sequence[Any]] | None = None
    least: Callable[[Node, Matrix], Sequence[Rows]] | None = None


def worst_rounds(rounds: Rounds, functions: Functions, question: Question) -> WorstCase:
    """The largest value of the question over all functions, starts and solutions that are accepted; a node's state is its Attempt."""
    require_solver()
    space = Space(functions)
    level = [space.visit(space.start(len(rounds.bases[0])))]
    levels = [tuple(level)]
    for _ in range(rounds.count):
        level = [one_round(space, node, P, rounds) for node in level for P in rounds.bases]
        levels.append(tuple(level))
    return answered(space, Path(space, tuple(levels)), question)


def one_round(space: Space, node: Node, P: Matrix, rounds: Rounds) -> Node:
    solved, value = exact(space, node, P, rounds.eta)
    for B in rounds.least(node, P) if rounds.least else ():
        other = space.visit(node.x + B.combined(P))
        space.at_most(value - other.f - squared(B) * (1 / (2 * rounds.eta)), 0.0)
    if rounds.accept is None:
        return solved
    B = space.unknown(len(P[0]))
    tried = space.visit(node.x + B.combined(P))
    reached = tried.f + squared(B) * (1 / (2 * rounds.eta))
    residual = tried.g.combined(transposed(P)) + B * (1 / rounds.eta)
    attempt = Attempt(reached - value, node.f - value, squared(residual), squared(node.g.combined(transposed(P))))
    for expression in rounds.accept(attempt):
        space.at_most(expression, 0.0)
    return tried._replace(state=attempt)


def exact(space: Space, node: Node, P: Matrix, eta: float) -> tuple[Node, Any]:
    """(W + P B*, F(B*)) for a stationary point: B* = -eta P^T grad f(W + P B*)."""
    g = space.unknown(len(P))
    B = g.combined(transposed(P)) * -eta
    solved = space.visit(node.x + B.combined(P), g=g)
    return solved, solved.f + squared(B) * (1 / (2 * eta))


def transposed(P: Matrix) -> list[list[float]]:
    return [list(column) for column in zip(*P, strict=True)]
