"""The worst case of a rule over a class of functions, by semidefinite programming: the third kernel, which knows no formula.

    worst_case(GradientDescent(lr=0.5), Functions(L=1.0), GRADIENT_SUM, Tree(steps=3))   ->  2 / (lr (2 - lr L))

The rule itself is run, on vectors whose inner products are unknown. A question about it is then the maximum of a linear function of the
Gram matrix of all weights and gradients and of the losses, under the conditions that say that one function of the class has these
gradients and losses. These conditions are necessary and sufficient, so the value is the worst case: in any dimension where one function
is asked for, and with as many columns as needed for a matrix.

Sources: Drori, Teboulle (2014), https://arxiv.org/abs/1206.3209; Taylor, Hendrickx, Glineur (2017),
https://arxiv.org/abs/1502.05666 (conditions); Goujaud et al. (2022), https://arxiv.org/abs/2201.04040 (PEPit); all recalled.
Needs the extra `dev`; without it everything here imports, and `worst_case` says what is missing.

Letters: L = smoothness, mu = least curvature (-L: any smooth function, 0: convex), K = steps, m = rows of a matrix.
"""

from dataclasses import dataclass
from typing import Any

import sympy

from sandbox.theory.worst_case_points import NotLinear, Rows, squared
from sandbox.theory.worst_case_questions import Path, Question, answered
from sandbox.theory.worst_case_space import Functions, Node, Space, WorstCase, require_solver


@dataclass(frozen=True)
class Tree:
    """steps: K.  rows: m of the weight.  draws: the equally likely draws of a refresh, as the frame's `draw` makes them.

    noise: variance of the gradient; every step then has two equally likely outcomes, g + xi and g - xi, with the worst xi.
    """

    steps: int
    rows: int = 1
    draws: tuple[Any, ...] = (None,)
    noise: float = 0.0


def worst_case(rule: Any, functions: Functions, question: Question, tree: Tree) -> WorstCase:
    """The largest value of the question over all functions of the class, starts and draws.

    Raises NotLinear (a ValueError) for a rule that is not linear in gradient and weight, ModuleNotFoundError without the extra `dev`.
    """
    require_solver()
    space = Space(functions)
    return answered(space, walked(rule, space, tree), question)


def why_not_linear(rule: Any, tree: Tree) -> str | None:
    """The sentence that `worst_case` would refuse this rule with, or None; needs no solver."""
    w, g = (Rows(sympy.symbols(f"{name}:{tree.rows}")) for name in "wg")
    try:
        with linear(rule):
            state = rule.init(w)
            for k in range(max(2, getattr(rule, "period", 0) + 1)):  # the first step of a rule may be another one than the second
                w, state = moved(rule, Node(w, g, 0, state), k, tree.draws[0])
    except NotLinear as refusal:
        return str(refusal)
    return None


def walked(rule: Any, space: Space, tree: Tree) -> Path:
    """Every outcome of the rule's own steps."""
    start = space.start(tree.rows)
    with linear(rule):
        level = [space.visit(start, rule.init(start))]
        levels = [tuple(level)]
        for k in range(tree.steps):
            level = [space.visit(*after) for node in level for after in outcomes(rule, space, tree, node, k)]
            levels.append(tuple(level))
    return Path(space, tuple(levels))


def outcomes(rule: Any, space: Space, tree: Tree, node: Node, k: int) -> list[tuple[Rows, Any]]:
    """The equally likely (weight, state) after step k."""
    return [
        moved(rule, node._replace(g=g), k, draw) for g in seen(space, tree, node.g) for draw in (tree.draws if due(rule, k) else (None,))
    ]


def due(rule: Any, k: int) -> bool:
    """Whether the rule is a frame that begins a round at step k."""
    period = getattr(rule, "period", 0)
    return bool(period) and k % period == 0


def moved(rule: Any, node: Node, k: int, draw: Any) -> tuple[Rows, Any]:
    """(weight, state) after step k, as every shell makes it."""
    state = rule.refresh(node.g, node.state, node.x, draw) if due(rule, k) else node.state
    delta, state = rule.step(node.g, state, node.x)
    return node.x + delta, state


def seen(space: Space, tree: Tree, g: Rows) -> list[Rows]:
    """The gradients that the rule may be given: g, or two around it."""
    if not tree.noise:
        return [g]
    xi = space.unknown(len(g.points))
    space.at_most(squared(xi), tree.noise)
    return [g + xi, g - xi]


class linear:
    """Whatever a rule cannot do with unknown numbers is told as one sentence that names the rule."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, NotLinear | TypeError | AttributeError):
            what = error if isinstance(error, NotLinear) else f"the rule does what unknown numbers cannot ({error})"
            raise NotLinear(f"no semidefinite worst case of {self.rule}: {what}") from error
