"""Question: how much of a first step is the coordinate system, for Adam and for Adam-mini?

A gradient g and its image R g, R orthogonal: the first steps of a rule on both, the second turned back by R', and their
cosine. eps = 0, so that Adam moves by lr sign(g).

Claims: adam.turned-step.mean            Gaussian gradient, Haar rotation: the closed form in d, near 2 / pi
        adam.turned-step.lower           at least (2 - d) / d for any gradient and rotation
        adam.turned-step.of-one          of one gradient at least cos(acos c + acos(1 / sqrt d)), c = |g|_1 / (sqrt d |g|_2)
        adam.turned-step.attained        ... approached where the gradient is near an axis and R is the reflection that keeps it
        adam-mini.turned-step            1 for one block, whatever the gradient and the rotation
        adam-mini.turned-step.two-blocks a rotation that mixes two blocks leaves Adam-mini's step as it is: no
Proof:  proofs/proof_adam_mini_invariance.py
Cost:   2 s on one CPU core
Run:    sandbox check adam.turned-step.mean adam-mini.turned-step

The predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Mean, Range
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.problems.base import Facts, Params
from sandbox.problems.rotations import haar
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import adam_mini_steps
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Turn:
    """d: coordinates.  gradient: Gaussian, or 1 on the first axis and `small` elsewhere.  rotation: Haar, or 2 g g' / |g|^2 - I."""

    d: int
    method: Literal["adam", "adam-mini"] = "adam"
    gradient: Literal["gaussian", "axis"] = "gaussian"
    rotation: Literal["haar", "mirror"] = "haar"
    n_blocks: int = 1
    small: float = 1e-5


@dataclass(frozen=True)
class Slope:
    """loss = <g, x>, g of the seed, turned by the seed's rotation or not."""

    setting: Turn
    turned: Literal["no", "yes"]

    @property
    def facts(self) -> Facts:
        return Facts()

    def start(self, seed: int) -> Params:
        return {"x": torch.zeros(self.setting.d, dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> Tensor:
        g = gradient(self.setting, seed)
        return rotation(self.setting, seed) @ g if self.turned == "yes" else g

    def loss(self, params: Params, batch: Tensor) -> Tensor:
        return batch @ params["x"]


def gradient(setting: Turn, seed: int) -> Tensor:
    if setting.gradient == "gaussian":
        return normal((setting.d,), generator(seed, 0))
    g = torch.full((setting.d,), setting.small, dtype=torch.float64)
    g[0] = 1.0
    return g


def rotation(setting: Turn, seed: int) -> Tensor:
    if setting.rotation == "haar":
        return haar(setting.d, generator(seed, 1))
    g = gradient(setting, seed)
    return 2 * torch.outer(g, g) / (g @ g) - torch.eye(setting.d, dtype=torch.float64)


def cosines(setting: Turn, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    mini = AdamMini(0.1, eps=0.0, n_blocks=setting.n_blocks)
    rule = mini if setting.method == "adam-mini" else Adam(0.1, eps=0.0)
    plain, turned = (run_ensemble(Slope(setting, which), rule, steps=1, seeds=seeds) for which in ("no", "yes"))
    rows = []
    for seed, one, other in zip(seeds, plain, turned, strict=True):
        step, back = torch.from_numpy(one.final["x"]), rotation(setting, seed).T @ torch.from_numpy(other.final["x"])
        rows.append({"cosine": float(step @ back / step.norm() / back.norm())})
    return rows


def size(setting: Turn) -> dict[str, float]:
    return {"d": setting.d}


def shape(setting: Turn) -> dict[str, float]:
    """Of the gradient along the first axis, the same at every seed."""
    g = gradient(setting, 0)
    return {"d": setting.d, "c": float(g.abs().sum() / setting.d**0.5 / g.norm())}


def several_blocks(setting: Turn) -> str | None:
    return "the rotation mixes blocks, and the theorem turns each block in itself" if setting.n_blocks > 1 else None


HAAR = Grid(tuple(Turn(d) for d in (2, 8, 64)), seeds=tuple(range(1024)), chunk=1024)
MIRROR = Grid(tuple(Turn(d, gradient="axis", rotation="mirror") for d in (3, 8, 64)), seeds=(0,))
FEW = tuple(range(16))


def of_turns(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "adam-mini C9, T5",
        "tier": "quick",
        "cost_s": 0.5,
        "quantity": adam_mini_steps.TURNED,
        "measure": cosines,
        "estimate": Range("cosine"),
        "subject": "adam.turned-step",
    }
    return Claim(**(common | fields))


CLAIMS = (
    of_turns(
        id="adam.turned-step.mean",
        statement="Turning the coordinates turns Adam's first step by a mean cosine that is near 2 / pi in many dimensions.",
        kind="equality",
        quantity=adam_mini_steps.turned_first_step_mean.quantity,
        plan=HAAR,
        estimate=Mean("cosine"),
        bound=adam_mini_steps.turned_first_step_mean,
        constants=size,
        tau=0.06,  # d = 2: the spread of one cosine is about 0.5, of the mean of 1024 0.016, of its corrected interval 0.04
        predicted=Outcome.HOLDS,
    ),
    of_turns(
        id="adam.turned-step.lower",
        statement="No rotation turns Adam's first step further than to a cosine of (2 - d) / d.",
        kind="lower",
        plan=HAAR,
        bound=adam_mini_steps.turned_first_step,
        constants=size,
        tau=1e-9,  # rounding
        predicted=Outcome.HOLDS,
    ),
    of_turns(
        id="adam.turned-step.of-one",
        statement="No rotation turns Adam's first step on one gradient further than to cos(acos c + acos(1 / sqrt d)).",
        kind="lower",
        plan=Grid(tuple(Turn(d, gradient="axis", small=small) for d in (2, 5) for small in (0.1, 0.5)), seeds=tuple(range(512)), chunk=512),
        bound=adam_mini_steps.turned_first_step_of,
        constants=shape,
        predicted=Outcome.HOLDS,
    ),
    of_turns(
        id="adam.turned-step.attained",
        statement="A gradient near an axis and a reflection that keeps it turn Adam's first step around: a cosine of (2 - d) / d.",
        kind="lower",
        plan=MIRROR,
        bound=adam_mini_steps.turned_first_step,
        constants=size,
        tau=0.01,  # approached with 4 (d - 1) small / d; at d = 3 that is 3e-5 of 1/3
        predicted=Outcome.ATTAINED,
    ),
    of_turns(
        id="adam-mini.turned-step",
        theorems=("adam_mini_invariance",),
        statement="Turning the coordinates inside a block turns Adam-mini's first step by the same rotation and nothing else.",
        kind="equality",
        plan=Grid(
            (Turn(2, "adam-mini"), Turn(64, "adam-mini"), Turn(8, "adam-mini", "axis", "mirror"), Turn(8, "adam-mini", n_blocks=2)),
            seeds=FEW,
            chunk=16,
        ),
        limit=1.0,
        scope=several_blocks,
        tau=1e-9,  # rounding
        predicted=Outcome.HOLDS,
    ),
    of_turns(
        id="adam-mini.turned-step.two-blocks",
        theorems=("adam_mini_invariance",),
        statement="Turning the coordinates across two blocks turns Adam-mini's first step by the same rotation and nothing else.",
        kind="equality",
        plan=Grid((Turn(8, "adam-mini", n_blocks=2),), seeds=FEW, chunk=16),
        limit=1.0,
        tau=1e-9,  # rounding
        predicted=Outcome.VIOLATED,  # each block is scaled by its own rms, which the rotation changes
    ),
)
