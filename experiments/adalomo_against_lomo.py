"""Question: does AdaLomo converge faster than LOMO, as its abstract says of theory?

Claims: adalomo.superior-convergence                    on diagonal matrix quadratics: no, it hardly moves
        adalomo.superior-convergence.well-conditioned   on a vector quadratic with condition number 10: no
        adalomo.superior-convergence.ill-conditioned    on axis-aligned ones with 1e3 and 1e4: not in loss
        adalomo.superior-convergence.distance           on those, in distance to the minimiser: yes (claimed after the
                                                        loss was seen)
Proof:  none; the counter-example rests on adalomo.inverse-steps (steps go as 1 / gradient on a diagonal gradient)
Cost:   3 s on one CPU core
Run:    sandbox check adalomo.superior-convergence

The theorem behind the sentence was not found; only the abstract was read. LOMO takes the step 1 / L throughout.
AdaLomo takes 0.03 with linear decay on the first problem, 0.02 (relative to RMS(w)) on the others: rates at which it
does well where it can.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sandbox.fit import PairedDifference, Range
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.base import Facts, Params
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.spectra import log_spaced
from sandbox.run import run
from sandbox.shells.ensemble import Runs, ensemble
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class DiagonalTarget:
    """f(W) = 1/2 sum_k h_k (W_kk - 1)^2 for a square W; entries off the diagonal do nothing.

    The start is 3 times the identity: a start beyond 0 would stop any rule that scales its step by RMS(w) on the way.
    """

    curvatures: tuple[float, ...]

    @property
    def facts(self) -> Facts:
        return Facts(L=max(self.curvatures), f_star=0.0)

    def start(self, seed: int) -> Params:
        return {"W": 3 * torch.eye(len(self.curvatures), dtype=torch.float64)}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        h = torch.tensor(self.curvatures, dtype=torch.float64)
        return 0.5 * (h * (params["W"].diagonal() - 1).square()).sum()


@dataclass(frozen=True)
class Diagonal:
    curvatures: tuple[float, ...]
    lr: float = 0.03
    steps: int = 1000


def last_losses(setting: Diagonal, seed: int) -> dict[str, float]:
    problem = DiagonalTarget(setting.curvatures)
    linear = lambda k: 1 - k / setting.steps  # noqa: E731
    ours = run(problem, AdaLomo(setting.lr), steps=setting.steps, seed=seed, schedule=linear).loss
    theirs = run(problem, GradientDescent(1 / problem.facts.L), steps=setting.steps, seed=seed).loss
    return {"first": ours[0], "adalomo": ours[-1], "lomo": theirs[-1], "difference": ours[-1] - theirs[-1]}


@dataclass(frozen=True)
class Aligned:
    """A quadratic of a vector whose axes are the eigenvectors, eigenvalues at equal ratios."""

    condition: float
    d: int = 16
    lr: float = 0.02
    steps: int = 300


def descents(setting: Aligned, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """log10 of last over first, of the loss and of the distance to the minimiser 0, for both methods and every seed."""
    problem = Quadratic(log_spaced(setting.d, low=1.0, high=setting.condition), basis="axes")
    gradient = torch.func.grad_and_value(lambda params: problem.loss(params, None))
    starts = torch.stack([problem.start(seed)["x"] for seed in seeds])
    columns = {}
    for name, rule in (("adalomo", AdaLomo(setting.lr)), ("lomo", GradientDescent(1 / problem.facts.L))):
        made = ensemble(lambda x, _: gradient(x)[::-1], rule, Runs({"x": starts}, seeds), steps=setting.steps + 1)
        last = made.params["x"].norm(dim=1) / starts.norm(dim=1)
        columns[f"{name}_loss"] = (made.losses[:, -1] / made.losses[:, 0]).log10()
        columns[f"{name}_distance"] = last.log10()
    return [{name: float(column[i]) for name, column in columns.items()} for i in range(len(seeds))]


SEEDS = tuple(range(20))  # 5 were planned; they left the ill-conditioned loss open, and the verdict asked for more
ILL = (Aligned(1e3), Aligned(1e4))
SHARED = dict(
    source="AdaLomo (arXiv:2310.10195), abstract of the ACL version",
    known="read",
    dossier="lomo C12",
    kind="ordering",
    tier="quick",
)
CLAIMS = (
    Claim(
        id="adalomo.superior-convergence",
        statement="AdaLomo converges faster than LOMO: on quadratics of the diagonal of a matrix.",
        quantity="last loss of AdaLomo - last loss of LOMO",
        plan=Grid((Diagonal((1e-6, 1.0, 1.0, 1.0)), Diagonal((1e-2, 1.0, 1.0, 1.0))), seeds=(0,)),
        measure=per_seed(last_losses),
        estimate=Range("difference"),
        predicted=Outcome.VIOLATED,  # the entry with the smallest gradient takes all the step
        cost_s=3,
        **SHARED,
    ),
    Claim(
        id="adalomo.superior-convergence.well-conditioned",
        statement="AdaLomo converges faster than LOMO: on a quadratic with condition number 10.",
        quantity="log10(last loss / first), AdaLomo - LOMO",
        plan=Grid((Aligned(10.0),), seeds=SEEDS, chunk=len(SEEDS)),
        measure=descents,
        estimate=PairedDifference("adalomo_loss", "lomo_loss"),
        predicted=Outcome.VIOLATED,
        cost_s=1,
        **SHARED,
    ),
    Claim(
        id="adalomo.superior-convergence.ill-conditioned",
        statement=("AdaLomo converges faster than LOMO: the loss of axis-aligned quadratics with condition numbers 1e3 and 1e4."),
        quantity="log10(last loss / first), AdaLomo - LOMO",
        plan=Grid(ILL, seeds=SEEDS, chunk=len(SEEDS)),
        measure=descents,
        estimate=PairedDifference("adalomo_loss", "lomo_loss"),
        predicted=Outcome.HOLDS,
        found=Found(
            Outcome.VIOLATED,
            "2026-11-22",
            "AdaLomo shrinks all coordinates alike, so its loss falls like the squared distance; LOMO empties the "
            "steep ones first, and they hold the loss. The prediction came from a count of steps to 1 % of the "
            "distance, which is the claim below.",
        ),
        subject="adalomo.superior-convergence.well-conditioned",
        cost_s=1,
        **SHARED,
    ),
    Claim(
        id="adalomo.superior-convergence.distance",
        statement=("AdaLomo converges faster than LOMO: the distance to the minimiser of the same ill-conditioned quadratics."),
        quantity="log10(last distance / first), AdaLomo - LOMO",
        plan=Grid(ILL, seeds=SEEDS, chunk=len(SEEDS)),
        measure=descents,
        estimate=PairedDifference("adalomo_distance", "lomo_distance"),
        predicted=Outcome.HOLDS,
        subject="adalomo.superior-convergence.well-conditioned",
        cost_s=1,
        **SHARED | {"dossier": "lomo C12, T15"},
    ),
)
