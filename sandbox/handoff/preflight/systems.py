"""Every system of the field, by name: rules for the tensors of a model, the way in which they are applied, and what it costs to compute.

    way            gradients                      model of a rank                    activations
    stepwise       all, until the step            sharded                            kept
    fused          of one block at a time         sharded                            kept
    subspace       coefficients of the blocks     sharded, bases too                 the inputs of compressed layers are x P
    in place       none                           whole                              none
    forward mode   estimated, whole               whole                              none, but each has its tangent

Frames have the matrices of the blocks, and the rule inside them has all other tensors, as in the papers; rank: a quarter of the width
(GaLore's own choice for 60M, 1B and 7B), 64 at most for SubZero. SGC measures a whole matrix by as many numbers as the rank, MESGC, the
two moments of `sgc-adam` and CESGC every row by an eighth of its entries (the papers' own numbers are not known). Numbers such as
lr and betas do not matter here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from sandbox.memory.states import Shape
from sandbox.models.cuts import adam_mini
from sandbox.models.roles import Role
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.came import CAME
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.optimizers.sign_descent import SignDescent

Way = Literal["stepwise", "fused", "subspace", "in place", "forward mode"]
WHOLE: tuple[Way, ...] = ("in place", "forward mode")
SUBZERO_RANK = 64
MEASURED = 8  # entries of a row for each of its measurements
LR = 1e-3


@dataclass(frozen=True)
class System:
    """rules: of every tensor, by name.  rank: of layers or directions that have one, None elsewhere.

    passes: forward passes in a step, where nothing is differentiated backwards.
    """

    name: str
    way: Way
    rules: Mapping[str, Rule]
    rank: int | None = None
    passes: int = 0


@dataclass(frozen=True)
class Model:
    """What rules are chosen by. roles, shapes: of every tensor.  width: of the residual stream."""

    roles: Mapping[str, Role]
    shapes: Mapping[str, Shape]
    width: int

    def compressible(self) -> list[str]:
        """The matrices of the blocks."""
        outside = ("embedding", "position", "head")
        return [name for name, shape in self.shapes.items() if len(shape) == 2 and self.roles[name].kind not in outside]


Frame = Callable[[Shape, int], Rule]


def by_rows(shape: Shape) -> dict[str, int]:
    """A chunk for every row."""
    rows, each = shape[0], -(-shape[1] // MEASURED)
    return dict(sparsity=rows * max(1, each // 4), measurements=rows * each, chunks=rows)


PLAIN: Mapping[str, tuple[Rule, Way]] = {
    "adamw": (AdamW(LR), "stepwise"),
    "adam": (Adam(LR), "stepwise"),
    "sgd": (GradientDescent(LR), "stepwise"),
    "lomo": (GradientDescent(LR), "fused"),
    "adalomo": (AdaLomo(LR), "fused"),
    "adafactor": (Adafactor(LR), "stepwise"),
    "came": (CAME(LR), "stepwise"),
}
FRAMED: Mapping[str, tuple[Frame, Way]] = {
    "galore": (lambda shape, rank: GaLore(Adam(LR), rank), "stepwise"),
    "galore-fused": (lambda shape, rank: GaLore(Adam(LR), rank), "fused"),
    "golore": (lambda shape, rank: GoLore(Adam(LR), rank), "stepwise"),
    "i3s": (lambda shape, rank: I3S(Adam(LR), rank), "stepwise"),
    "gwt": (lambda shape, rank: GWT(Adam(LR), 2), "stepwise"),
    "sgc": (lambda shape, rank: SGC(Adam(LR), max(1, rank // 4), rank), "stepwise"),
    "mesgc": (lambda shape, rank: SGC(Adam(LR), **by_rows(shape)), "stepwise"),
    "sgc-adam": (lambda shape, rank: SGCAdam(LR, **by_rows(shape)), "stepwise"),
    "cesgc": (lambda shape, rank: CESGC(SGC(Adam(LR), **by_rows((rank, max(shape)))), rank), "stepwise"),
    "rso": (lambda shape, rank: RSO(Adam(LR), rank, 200), "subspace"),
    "rso-stepwise": (lambda shape, rank: RSO(Adam(LR), rank, 200), "stepwise"),
}
IN_PLACE: Mapping[str, tuple[Rule, int]] = {
    "mezo": (GradientDescent(LR), 2),
    "zo-momentum": (GradientDescent(LR, momentum=0.9), 2),
    "zo-conservative": (GradientDescent(LR), 5),
    "zo-sign": (SignDescent(LR), 2),
    "zo-adam": (Adam(LR), 2),
    "subzero": (GradientDescent(LR), 2),
}
NAMES = (*PLAIN, "adam-mini", *FRAMED, *IN_PLACE, "forward-gradient")


def system(name: str, model: Model, rank: int | None = None) -> System:
    """Raises ValueError for another name, and for a rank that does not fit the matrices of the blocks."""
    require_name(name)
    if name in PLAIN:
        rule, way = PLAIN[name]
        return System(name, way, dict.fromkeys(model.shapes, rule))
    if name == "adam-mini":
        cuts = adam_mini(model.roles, model.shapes)
        return System(name, "stepwise", {n: AdamMini(LR, n_blocks=cut.n_blocks, dim=cut.dim) for n, cut in cuts.items()})
    if name in FRAMED:
        frame, way = FRAMED[name]
        rank = fitting(model, rank or max(1, model.width // 4))
        framed = set(model.compressible())
        rules = {n: frame(shape, rank) if n in framed else Adam(LR) for n, shape in model.shapes.items()}
        return System(name, way, rules, rank if way == "subspace" else None)
    if name in IN_PLACE:
        rule, passes = IN_PLACE[name]
        low = fitting(model, rank or min(SUBZERO_RANK, max(1, model.width // 4))) if name == "subzero" else None
        return System(name, "in place", dict.fromkeys(model.shapes, rule), low, passes)
    return System(name, "forward mode", dict.fromkeys(model.shapes, GradientDescent(LR)), passes=1)


def require_name(name: str) -> None:
    """Raises ValueError for a system that is not of the field."""
    if name not in NAMES:
        raise ValueError(f"the optimizer must be one of {', '.join(NAMES)}, got {name[:40]!r}")


def fitting(model: Model, rank: int) -> int:
    """The rank. Raises ValueError where a matrix of the blocks is smaller."""
    short = {name: min(model.shapes[name]) for name in model.compressible()}
    least = min(short, key=lambda name: short[name])
    if not 1 <= rank <= short[least]:
        raise ValueError(f"the rank must be 1 .. {short[least]}, the short side of {least}, got {rank}")
    return rank
