"""The semidefinite program behind a worst case: points that a function was asked at, and the conditions that one function exists.

A function of the class with these gradients and losses exists exactly when `interpolation` <= 0 for every pair of points (Taylor,
Hendrickx, Glineur 2017, https://arxiv.org/abs/1502.05666, theorem 4, and for mu < 0 Rotaru, Glineur, Patrinos 2022,
https://arxiv.org/abs/2203.00775, theorem 3.1; both recalled). PEPit is imported where it is used.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import permutations
from typing import Any, NamedTuple

from sandbox.theory.worst_case_points import Rows, inner, squared

NEEDED = ("PEPit", "cvxpy", "clarabel")
AGREE = 1e-6  # Clarabel asks for 1e-8 of scaled residuals, and on trees it often stalls a little above; two values that agree are an answer


class Node(NamedTuple):
    """One outcome at one step: weight, gradient, loss, and the state of the rule."""

    x: Rows
    g: Rows
    f: Any
    state: Any


@dataclass(frozen=True)
class Functions:
    """All f with curvature in [mu, L], in loss / param^2. Raises ValueError unless -L <= mu < L."""

    L: float = 1.0
    mu: float = -1.0

    def __post_init__(self) -> None:
        if not (self.L > 0 and -self.L <= self.mu < self.L):
            raise ValueError(f"a class of functions needs L > 0 and -L <= mu < L, got L = {self.L} and mu = {self.mu}")


@dataclass(frozen=True)
class WorstCase:
    """attained: what an instance of the solver reaches.  certified: what its multipliers prove; both to its tolerance.

    Both are inf where the solver finds no limit.
    """

    attained: float
    certified: float

    @property
    def gap(self) -> float:
        """How far apart the two are, relatively to their size, or to 0.01 where that is less; 0 where both are inf."""
        return abs(self.certified - self.attained) / max(abs(self.attained), 0.01) if math.isfinite(self.attained) else 0.0


def require_solver() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"a semidefinite worst case needs {', '.join(missing)}: pip install -e .[dev]")


class Space:
    """One problem of PEPit: points, the function that is looked for, and what is known about it."""

    def __init__(self, functions: Functions) -> None:
        from PEPit import PEP

        self.functions, self.problem, self.nodes = functions, PEP(), []

    def unknown(self, rows: int) -> Rows:
        from PEPit import Point

        return Rows(tuple(Point() for _ in range(rows)))

    def origin(self, rows: int) -> Rows:
        from PEPit import Point

        return Rows(tuple(Point(is_leaf=False, decomposition_dict={}) for _ in range(rows)))

    def start(self, rows: int) -> Rows:
        """x_0 is the origin, or x* is where the class is convex: a worst case does not change when it is moved as a whole."""
        return self.origin(rows) if self.functions.mu < 0 else self.unknown(rows)

    def visit(self, x: Rows, state: Any = None, g: Rows | None = None) -> Node:
        """The function's gradient (unknown, or g) and loss at x."""
        from PEPit import Expression

        f = Expression() if self.nodes else Expression(is_leaf=False, decomposition_dict={})  # f(x_0) = 0
        self.nodes.append(Node(x, self.unknown(len(x.points)) if g is None else g, f, state))
        return self.nodes[-1]

    def at_most(self, expression: Any, limit: float) -> None:
        self.problem.add_constraint(expression <= limit)

    def star(self) -> Node:
        """A stationary point where the class is convex; else x is None, and f* a lower limit that need not be reached."""
        from PEPit import Expression

        origin, f_star = self.origin(len(self.nodes[0].x.points)), Expression()
        if self.functions.mu >= 0:
            self.nodes.append(Node(origin, origin, f_star, None))
            return self.nodes[-1]
        for node in self.nodes:
            self.at_most(f_star - node.f + squared(node.g) * (1 / (2 * self.functions.L)), 0.0)
        return Node(None, origin, f_star, None)

    def largest(self, measures: Sequence[Any]) -> WorstCase:
        """The largest value that the least of the measures can have."""
        for expression in measures:
            self.problem.set_performance_metric(expression)
        for one, other in permutations(self.nodes, 2):
            self.at_most(interpolation(one, other, self.functions), 0.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a status that is read below
            certified = self.problem.solve(verbose=0, solver="CLARABEL")
        status = self.problem.wrapper.prob.status
        if certified is None or status in ("unbounded", "unbounded_inaccurate"):
            return WorstCase(math.inf, math.inf)
        found = WorstCase(float(self.problem.objective.eval()), float(certified))
        if status not in ("optimal", "optimal_inaccurate") or found.gap > AGREE:
            raise ArithmeticError(
                f"the solver ends with the status {status!r} and the two values {found.attained:.9g} and {found.certified:.9g}, which "
                f"must agree to {AGREE:g}, relatively; scale the numbers or take fewer steps"
            )
        return found


def interpolation(one: Node, other: Node, functions: Functions) -> Any:
    """<= 0 for every pair: exactly when a function of the class has these gradients and losses (Taylor et al. 2017, theorem 4)."""
    L, mu = functions.L, functions.mu
    dx, dg = one.x - other.x, one.g - other.g
    curved = squared(dx - dg * (1 / L)) * (mu / (2 * (1 - mu / L)))
    return other.f - one.f + inner(other.g, dx) + squared(dg) * (1 / (2 * L)) + curved
