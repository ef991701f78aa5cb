"""Question: how does the Hessian of a linear softmax near its start become block-diagonal as classes are added, and with what constant?

n Gaussian inputs in d dimensions, Gaussian weights with logits of variance s2; |H_ij|_F^2 = sum_nm w_n w_m (x_n'x_m)^2 / n^2 with
w = p_i p_j off the diagonal and p_i (1 - p_i) on it, exact for this data. gamma = d / n.

Claims: hessian.growth.constant   C |H_ij| / |H_ii| = sqrt((1 + gamma e^(2 s2)) / (1 + gamma e^(s2))), 256 classes and more
        hessian.growth.rate       the ratio falls with C like 1 / C, from 32 to 512 classes
        hessian.growth.constant.one   the constant is 1, as at weights of 0, also with logits of variance 1: no
        hessian.growth.constant.large-logits   the closed form at s2 = 9, where a few classes share the probability: no
Proof:  proofs/proof_hessian_softmax_limit.py
Cost:   7 s on one CPU core
Run:    sandbox check hessian.growth.constant hessian.growth.rate --tier full

The predictions were committed before the first run. Changed after it and a second
run, which left two open: 8 and 4 seeds -> 24 -> 48 fresh ones, 16 pairs -> 64.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Mean, slope
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.theory import hessian_blocks
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Data:
    """pairs: of neighbouring classes, at most, over which squared norms are averaged."""

    classes: int
    gamma: float
    inputs: int = 400
    logit_variance: float = 1.0
    pairs: int = 64


@dataclass(frozen=True)
class Growth:
    """The same at several numbers of classes."""

    sizes: tuple[int, ...] = (32, 64, 128, 256, 512)
    gamma: float = 1.0


def probabilities(setting: Data, x: Tensor, seed: int) -> Tensor:
    """(n, C)."""
    V = normal((setting.classes, setting.inputs), generator(seed, 1)) * (setting.logit_variance / setting.inputs) ** 0.5
    return torch.softmax(x @ V.T, 1)


def scaled_ratio(setting: Data, seed: int) -> float:
    """C |H_ij| / |H_ii|, a root of a ratio of means over the pairs."""
    x = normal((round(setting.inputs / setting.gamma), setting.inputs), generator(seed, 0))
    p = probabilities(setting, x, seed)[:, : 2 * setting.pairs]
    gram = (x @ x.T) ** 2
    squares = lambda w: float((w * (gram @ w)).sum(0).mean())  # noqa: E731
    return setting.classes * (squares(p[:, ::2] * p[:, 1::2]) / squares(p * (1 - p))) ** 0.5


def constant(setting: Data, seed: int) -> dict[str, float]:
    return {"constant": scaled_ratio(setting, seed)}


def rate(setting: Growth, seed: int) -> dict[str, float]:
    ratios = [scaled_ratio(Data(C, setting.gamma), seed) / C for C in setting.sizes]
    return {"slope": slope(np.log(setting.sizes), np.log(ratios))}


def of_growth(**fields) -> Claim:
    common = {
        "source": "derived; Dong et al. (arXiv:2505.02809) prove the rate (second-hand)",
        "known": "derived",
        "dossier": "adam-mini C14",
        "kind": "equality",
        "tier": "full",
        "cost_s": 0.5,
        "quantity": hessian_blocks.softmax_ratio_gaussian.quantity,
        "measure": per_seed(constant),
        "estimate": Mean("constant"),
        "bound": hessian_blocks.softmax_ratio_gaussian,
        "constants": lambda setting: {"gamma": setting.gamma, "logit_variance": setting.logit_variance},
        "predicted": Outcome.HOLDS,
        "subject": "hessian.growth.constant",
        # p_i p_j prefers inputs along both weights, |x|^2 = d + 8, so 16 / d = 4 % of the square, and e / C: 3 % in all
        "tau": 0.08,
    }
    return Claim(**(common | fields))


SEEDS = tuple(range(200, 248))
CLAIMS = (
    of_growth(
        id="hessian.growth.constant",
        statement="C times the block ratio of a linear softmax tends to sqrt((1 + gamma e^(2 s2)) / (1 + gamma e^(s2))).",
        plan=Grid((Data(256, 0.5), Data(512, 1.0), Data(512, 1.0, logit_variance=0.25)), SEEDS),
    ),
    of_growth(
        id="hessian.growth.rate",
        theorems=("hessian_softmax_limit",),
        statement="The block ratio of a linear softmax falls with the number of classes like 1 / C.",
        quantity="slope of log block ratio against log C",
        plan=Grid((Growth(),), seeds=SEEDS),
        measure=per_seed(rate),
        estimate=Mean("slope"),
        bound=None,
        constants=None,
        limit=-1.0,
        subject="hessian.growth.rate",
        tau=0.05,
    ),
    of_growth(
        id="hessian.growth.constant.one",
        theorems=("hessian_softmax_limit",),
        statement="C times the block ratio of a linear softmax tends to 1, whatever the logits.",
        plan=Grid((Data(512, 1.0),), SEEDS),
        bound=None,
        constants=None,
        limit=1.0,
        predicted=Outcome.VIOLATED,
    ),
    of_growth(
        id="hessian.growth.constant.large-logits",
        theorems=("hessian_softmax_limit",),
        statement="C times the block ratio is that closed form at logits of variance 9 too.",
        quantity="C times the block ratio at logits of variance 9",
        plan=Grid((Data(512, 1.0, logit_variance=9.0),), SEEDS),
        bound=None,
        constants=None,
        limit=hessian_blocks.softmax_ratio_gaussian.at(gamma=1.0, logit_variance=9.0),
        predicted=Outcome.VIOLATED,  # e^9 = 8000 far above C = 512: a few classes share the probability
    ),
)
