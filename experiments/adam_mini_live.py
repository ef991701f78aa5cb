"""Question: with moving averages and a tuned learning rate, does one rate per block still beat Adam on block-diagonal quadratics?

The paper's case study freezes the second moment or leaves out momentum. Here both live.

Claims: adam-mini.live.no-momentum    betas (0, 0.999), constant rate: Adam-mini ends below Adam
        adam-mini.live.momentum       betas (0.9, 0.999), constant rate: it still does
        adam-mini.live.cosine         ... with a cosine to 0: a tie, within one power of ten of the loss
        adam.over-momentum.groups     blocks {1,2,3}, {99..101}, {4998..5000}: Adam ends below gradient descent with momentum
        adam.over-momentum.dealt      ... the same eigenvalues, dealt to all blocks alike: no
Proof:  none
Cost:   full tier, 25 s on one CPU core
Run:    sandbox check adam-mini.live.cosine --tier full

90 dimensions, three blocks of 30 with Haar rotations, kappa 5000; Gaussian start, alike in all blocks; 1,000 steps; both sides
tune over 6 rates a factor of 2 apart x 3 seeds and meet on 12 fresh ones. Values are log10 of the last loss over the first.
That homogeneous blocks take Adam's advantage away is the reading of Zhang et al. (2024b).

The predictions were committed before the first run of this file, with the dossier's single runs of the first three in view.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sandbox.fit import PairedDifference
from sandbox.ledger.claim import Claim
from sandbox.ledger.tuning import Tuned
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.block_quadratic import BlockQuadratic
from sandbox.problems.spectra import dealt, three_groups
from sandbox.run import Schedule
from sandbox.run_ensemble import run_ensemble
from sandbox.verdict import Outcome

ADAM_GRID = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
MOMENTUM_GRID = (2.5e-5, 5e-5, 1e-4, 2e-4, 4e-4, 8e-4)  # heavy ball with 0.9 is stable below 2 x 1.9 / 5000 = 7.6e-4
TUNE_SEEDS, SEEDS = (0, 1, 2), tuple(range(100, 112))


@dataclass(frozen=True)
class Setting:
    """beta1: of the averages; momentum has 0.9.  floor: what the cosine ends at, as a share of lr; 1 is a constant rate."""

    method: Literal["adam", "adam-mini", "momentum"]
    lr: float = 0.0
    beta1: float = 0.9
    floor: float = 1.0
    blocks: Literal["groups", "dealt"] = "groups"
    size: int = 30
    steps: int = 1000


def problem_of(setting: Setting) -> BlockQuadratic:
    groups = three_groups(setting.size)
    return BlockQuadratic(dealt(groups) if setting.blocks == "dealt" else groups)


def rule_of(setting: Setting) -> Rule:
    """Raises ValueError for an unknown method."""
    betas = (setting.beta1, 0.999)
    rules = {
        "adam": Adam(setting.lr, betas),
        "adam-mini": AdamMini(setting.lr, betas, n_blocks=3),
        "momentum": GradientDescent(setting.lr, momentum=0.9),
    }
    if setting.method not in rules:
        raise ValueError(f"method must be one of {sorted(rules)}, got {setting.method!r}")
    return rules[setting.method]


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """log10(last loss / first loss) of every seed; inf where the run diverged. A loss of 0 counts as the smallest double."""
    schedule = Schedule(setting.steps, floor=setting.floor)
    traces = run_ensemble(problem_of(setting), rule_of(setting), steps=setting.steps, seeds=seeds, schedule=schedule)
    return [{"log10": fall(trace.loss, setting.steps)} for trace in traces]


def fall(loss: np.ndarray, steps: int) -> float:
    if len(loss) < steps or not np.isfinite(loss).all():
        return math.inf
    return math.log10(max(loss[-1], np.finfo(float).tiny) / loss[0])


def tuned(ours: Setting, theirs: Setting) -> Tuned:
    grids = {"adam": ADAM_GRID, "adam-mini": ADAM_GRID, "momentum": MOMENTUM_GRID}
    return Tuned(ours, theirs, grids[ours.method], grids[theirs.method], TUNE_SEEDS, SEEDS, key="log10")


CASE = dict(
    source="Zhang et al. (2024), https://arxiv.org/abs/2406.16793, case study 1: one rate per block beats Adam",
    known="second-hand",
    dossier="adam-mini C8",
)
HETEROGENEITY = dict(
    source="Zhang et al. (2024b), https://arxiv.org/abs/2402.16788: Adam beats SGD where blocks differ in their spectra",
    known="second-hand",
    dossier="adam-mini C22",
)
COMMON = dict(
    tier="full",
    cost_s=8.0,
    measure=measure,
    subject="adam-mini.live",
    estimate=PairedDifference("ours", "theirs"),
)


def against_adam(slug: str, statement: str, predicted: Outcome = Outcome.HOLDS, **fields) -> Claim:
    how = {key: fields.pop(key) for key in ("beta1", "floor") if key in fields}
    own = dict(
        id=f"adam-mini.live.{slug}",
        statement=statement,
        kind="ordering",
        quantity="log10 of the fall of the loss, Adam-mini minus Adam",
        plan=tuned(Setting("adam-mini", **how), Setting("adam", **how)),
        predicted=predicted,
    )
    return Claim(**(COMMON | CASE | own | fields))


def over_momentum(blocks: str, statement: str, predicted: Outcome) -> Claim:
    return Claim(
        id=f"adam.over-momentum.{blocks}",
        statement=statement,
        kind="ordering",
        quantity="log10 of the fall of the loss, Adam minus gradient descent with momentum",
        plan=tuned(Setting("adam", blocks=blocks, floor=0.0), Setting("momentum", blocks=blocks, floor=0.0)),
        predicted=predicted,
        **COMMON,
        **HETEROGENEITY,
    )


CLAIMS = (
    against_adam("no-momentum", "Without momentum Adam-mini ends below Adam, moving averages and tuned rates.", beta1=0.0),
    against_adam("momentum", "With momentum it still ends below Adam, constant rate."),
    against_adam(
        "cosine",
        "With momentum and a cosine the two end within one power of ten of each other.",
        floor=0.0,
        kind="parity",
        margin=1.0,
    ),
    over_momentum("groups", "Where the blocks differ in their spectra Adam ends below momentum, both tuned.", Outcome.HOLDS),
    over_momentum("dealt", "Where all blocks have alike spectra Adam ends below momentum, both tuned.", Outcome.VIOLATED),
)
