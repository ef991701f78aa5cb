"""Question: how much does a zeroth-order gradient scatter around the gradient, and do blocks, masks or more directions help?

Claims: E |ghat|^2 = (d+n+1)/n |g|^2 for Gaussian directions, (d+n-1)/n on the sphere and for signs, (d/B+2) and d/B for blocks, and
        d - 1 + 3/p over its own mean for a random mask; Gaussian blocks scatter more than as many whole directions, spherical
        ones less; no law tried is below d/n
Proof:  proofs/proof_two_point_moments.py proofs/proof_two_point_blocks.py
Cost:   about 3 s on one core
Run:    sandbox check zo.scatter.gaussian zo.blocks-help zo.blocks-help.sphere zo.scatter.least

A row is one draw of all directions of a step, at the origin of x^T H x / 2 + g^T x with lam_i = 1/i and central differences over eps = 1/2,
averaged over the d axes as g: then only |z|^4 varies, by 2 sqrt(2/d) = 0.5 of its mean at d = 32, or 1.6 % for 1024 rows; masks
that keep a quarter have 1.2, or 2.7 % for 2048. tau is 6 to 7 of these errors, so that Holm's correction leaves a verdict. On robust
regression there is one gradient, s^2 varies too (E s^4 = 3), and the error is 5 %: tau 0.35, which d and 2 d are not.
Predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.utils._pytree import tree_map

from sandbox.draws import generator
from sandbox.fit import PairedDifference, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid
from sandbox.oracles.base import Oracle
from sandbox.oracles.block_wise import BlocksAtOnce
from sandbox.oracles.forward_gradient import ForwardGradient
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import ORACLE_STREAM, Directions
from sandbox.perturbations.masks import RandomMask
from sandbox.problems.base import Params
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.theory import zeroth_order as zo
from sandbox.verdict import Outcome

BLOCKS = 4
DIM = 32
Law = Literal["gaussian", "sphere", "rademacher"]


@dataclass(frozen=True)
class Scatter:
    """n: whole directions.  kept: probability with which a mask keeps an entry."""

    law: Law = "gaussian"
    n: int = 1
    kept: float = 1.0


@dataclass(frozen=True)
class Tilted:
    """x^T H x / 2 + batch^T x, lam_i = 1/i in a Haar basis, x cut into BLOCKS tensors: at 0 the batch is the gradient."""

    @cached_property
    def hessian_dd(self) -> Tensor:
        return Quadratic(tuple(1 / (i + 1) for i in range(DIM))).hessian_dd

    def loss(self, params: Params, batch: Tensor) -> Tensor:
        x = torch.cat(list(params.values()))
        return x @ self.hessian_dd @ x / 2 + batch @ x


def squares(oracle: Oracle, seeds: tuple[int, ...]) -> Tensor:
    """(seeds,): |ghat|^2, mean over the axes as gradients, all under the draw of the seed."""
    problem, params = Tilted(), {f"x{b}": torch.zeros(DIM // BLOCKS, dtype=torch.float64) for b in range(BLOCKS)}
    _ = problem.hessian_dd  # drawn here, because vmap refuses random draws
    drawn = [oracle.draw(generator(seed, ORACLE_STREAM, 0), params) for seed in seeds]
    stacked = tree_map(lambda *leaves: torch.stack(leaves), *drawn)
    axes = torch.eye(DIM, dtype=torch.float64)

    def square(draw: Any, axis: Tensor) -> Tensor:
        return sum(g.square().sum() for g in oracle(problem, params, axis, draw)[1].values())

    return vmap(lambda draw: vmap(lambda axis: square(draw, axis))(axes).mean())(stacked)


def measure(setting: Scatter, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """|ghat|^2 of n whole directions and, for n > 1, of one slope per block; |g|^2 = 1, and |p g|^2, the square of a masked mean."""
    directions = Directions(setting.law, mask=RandomMask(1 - setting.kept) if setting.kept < 1 else None)
    rows = {"whole": squares(TwoPoint(eps=0.5, n=setting.n, directions=directions), seeds)}
    if setting.n > 1:
        rows["blocks"] = squares(BlocksAtOnce(tuple((f"x{b}",) for b in range(BLOCKS)), TwoPoint(eps=0.5, directions=directions)), seeds)
    exact = {"gradient": 1.0, "mean": setting.kept**2}
    return [{name: float(column[i]) for name, column in rows.items()} | exact for i in range(len(seeds))]


@dataclass(frozen=True)
class Regression:
    """slopes: "forward", exact anywhere, or "central" with eps = 1/2, exact on a quadratic alone."""

    slopes: Literal["central", "forward"]
    dim: int = 12


def measure_regression(setting: Regression, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    problem = SmoothNonconvex(setting.dim, 1, samples=4 * setting.dim)
    params = problem.start(0)
    oracle = ForwardGradient() if setting.slopes == "forward" else TwoPoint(eps=0.5)
    drawn = [oracle.draw(generator(seed, ORACLE_STREAM, 0), params) for seed in seeds]
    stacked = tree_map(lambda *leaves: torch.stack(leaves), *drawn)
    ghat = vmap(lambda draw: oracle(problem, params, None, draw)[1]["W"])(stacked)
    gradient = float(grad(lambda w: problem.loss(w, None))(params)["W"].square().sum())
    return [{"whole": float(g.square().sum()), "gradient": gradient} for g in ghat]


def out_of_reach(setting: Regression) -> str | None:
    return "a central difference over eps = 1/2 is the slope of a quadratic alone" if setting.slopes == "central" else None


def grid(*settings: Scatter | Regression, rows: int = 1024) -> Grid:
    return Grid(settings, seeds=tuple(range(rows)), chunk=rows)


GAUSSIAN = grid(Scatter(), Scatter(n=BLOCKS))
BLOCKWISE = grid(Scatter(n=BLOCKS))
SPHERICAL = grid(Scatter("sphere", BLOCKS), Scatter("rademacher", BLOCKS), rows=64)
MASKED = grid(Scatter(kept=0.25), rows=2048)
LESS = "E |ghat|^2 of blocks less that of as many whole directions, mean over gradients"


def on_estimates(**fields) -> Claim:
    """What the claims of this file have in common. The quantity is that of the bound, where there is one."""
    common = {
        "quantity": getattr(fields.get("bound"), "quantity", None),
        **dict(source="derived", known="derived", kind="equality", tier="quick", cost_s=0.6),
        "measure": measure,
        "estimate": RatioOfMeans("whole", "gradient"),
        "constants": lambda s: {"d": DIM, "n": s.n},
        "predicted": Outcome.HOLDS,
    }
    return Claim(**{key: value for key, value in (common | fields).items() if value is not None})


CLAIMS = (
    on_estimates(
        id="zo.scatter.gaussian",
        statement="with n Gaussian directions and exact slopes E |ghat|^2 = (d+n+1)/n |grad f|^2, for every eps on a quadratic",
        dossier="zo Z1",
        plan=GAUSSIAN,
        bound=zo.gaussian_second_moment,
        tau=0.1,
        subject="zo.blockwise",
    ),
    on_estimates(
        id="zo.scatter.regression",
        statement="... and on robust regression, which is not convex, with the forward gradient",
        dossier="zo Z1",
        plan=grid(Regression("forward"), Regression("central")),
        measure=measure_regression,
        bound=zo.gaussian_second_moment,
        constants=lambda s: {"d": s.dim, "n": 1},
        scope=out_of_reach,
        tau=0.35,
    ),
    on_estimates(
        id="zo.scatter.sphere",
        statement="on the sphere, and for independent signs, E |ghat|^2 is at most (d+n-1)/n |grad f|^2, and equal to it",
        source="Malladi et al. (2023), MeZO, 2305.17333, Lemma 2 for the sphere",
        known="read",
        dossier="zo Z1",
        kind="upper",
        plan=SPHERICAL,
        predicted=Outcome.ATTAINED,
        bound=zo.sphere_second_moment,
        tau=0.06,
        subject="zo.spherical",
    ),
    on_estimates(
        id="zo.scatter.random-mask",
        statement="a random mask that keeps entries with probability p has d - 1 + 3/p over the square of its own mean",
        dossier="zo B10",
        plan=MASKED,
        estimate=RatioOfMeans("whole", "mean"),
        bound=zo.random_mask_second_moment,
        constants=lambda s: {"d": DIM, "p": s.kept},
        tau=0.18,
        subject="zo.masked",
    ),
    on_estimates(
        id="zo.mask-helps",
        theorems=("two_point_moments",),
        statement="random sparsity does not raise the scatter of the estimate relative to its own mean",
        source="ZO-Bench (Zhang et al. 2024, 2402.11592) reports gains of modest random sparsity; its text was not read",
        known="second-hand",
        dossier="zo B10",
        kind="upper",
        quantity="E |ghat|^2 / |E ghat|^2, against d + 2 of no mask",
        plan=MASKED,
        estimate=RatioOfMeans("whole", "mean"),
        predicted=Outcome.VIOLATED,  # 43 against 34
        limit=DIM + 2.0,
        constants=None,
        subject="zo.masked",
    ),
    on_estimates(
        id="zo.blocks.gaussian",
        statement="B equal blocks with a Gaussian direction and a slope each have E |ghat|^2 = (d/B + 2) |grad f|^2",
        dossier="zo B8",
        plan=BLOCKWISE,
        estimate=RatioOfMeans("blocks", "gradient"),
        bound=zo.gaussian_blocks,
        constants=lambda s: {"d": DIM, "B": BLOCKS},
        tau=0.1,
        subject="zo.blockwise",
    ),
    on_estimates(
        id="zo.blocks-help",
        theorems=("two_point_blocks",),
        statement="one slope per block scatters less than as many slopes of whole Gaussian directions",
        source="ZO-Bench (Zhang et al. 2024, 2402.11592) reports a gain of block-wise estimates; its text was not read",
        known="second-hand",
        dossier="zo B8",
        kind="ordering",
        quantity=LESS,
        plan=BLOCKWISE,
        estimate=PairedDifference("blocks", "whole"),
        predicted=Outcome.VIOLATED,  # 10 against 9.25
        constants=None,
        subject="zo.blockwise",
    ),
    on_estimates(
        id="zo.blocks-help.sphere",
        theorems=("two_point_blocks",),
        statement="one slope per block scatters less than as many slopes of whole directions, on spheres and for signs",
        dossier="zo B8",
        kind="ordering",
        quantity=LESS,
        plan=SPHERICAL,
        estimate=PairedDifference("blocks", "whole"),
        constants=None,  # predicted: 8 against 8.75
        subject="zo.spherical",
    ),
    on_estimates(
        id="zo.scatter.least",
        statement="no directions drawn without looking scatter less than d/n on average over gradients, and spherical blocks meet it",
        dossier="zo Z7",
        kind="lower",
        plan=SPHERICAL,
        estimate=RatioOfMeans("blocks", "gradient"),
        predicted=Outcome.ATTAINED,
        bound=zo.least_scatter,
        tau=1e-9,
        subject="zo.spherical",
    ),
)
