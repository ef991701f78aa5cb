"""Question: how large are GWT's steps beside Adam's?

Claims: on white noise sqrt(a (1 - b1^(2t)) / N + 1 - 1/N) / (1 - b1^t), a = (1-b1)/(1+b1), so scale 0.263 at level 2 gives Adam's size and
        the published 0.25 is within a tenth; where b2 is so small that v spreads, steps are larger, by the root of E 1/v
Proof:  proofs/proof_gwt_scale.py
Cost:   about 2 s on one core
Run:    sandbox check gwt.scale gwt.scale.restored gwt.scale.published gwt.scale.limiter

Noise: an almost flat loss (curvature 1e-9) whose gradients are N(0, 1), Adam inside with b2 = 0.9999, so that v is an average over all
120 steps and spreads by sqrt(2/120) entry by entry: E 1/v is 1.7 % above 1. No limiter.
Broken assumption: the limiter of the authors' code (1.01) is out of scope. The size |N_0| of 128 averaged coefficients moves by some
per cent a step at random and may rise by 1 % only, so it follows the lower envelope, and the whole step shrinks with it.

Second broken assumption: v at its mean. With b2 = 0.8 it is an average over about 9 steps, v = sum w_j z_j^2 with w_j = (1 - b2) b2^j,
so E 1/v = integral over t > 0 of prod (1 + 2 w_j t)^(-1/2) = 1.3, and details, which are independent of v, are that much larger in mean
square. The share of the approximation, 2 %, is left as it is. Both claims were added later and committed before they ran.

Written and committed before the first run of these settings; the code was tried on other seeds. The claims about
first steps and opposite signs stood here and have moved to gwt_opposite_signs.py after their first run.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sandbox.fit import Mean, PairedDifference, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gwt import GWT
from sandbox.oracles.noisy import Noisy
from sandbox.problems.matrix_quadratic import isotropic
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import wavelet
from sandbox.verdict import Outcome

LR, B1, B2, LAST = 1e-3, 0.9, 0.9999, 20
CODE = "derived, for the update of the authors' repository (zqOuO/GWT), read; https://arxiv.org/abs/2501.07237"


@dataclass(frozen=True)
class Noise:
    """scale: of GWT; 0 stands for the one that restores Adam's size."""

    level: int
    steps: int
    scale: float = 1.0
    limiter: Literal["off", "on"] = "off"


@dataclass(frozen=True)
class ShortMemory:
    level: int
    b2: float
    steps: int = 60


def gwt_of(setting: Noise) -> GWT:
    scale = setting.scale or wavelet.restoring_scale.at(level=setting.level, b1=B1)
    limit = 1.01 if setting.limiter == "on" else None
    return GWT(Adam(LR, (B1, B2)), setting.level, scale=scale, growth_limit=limit)


def step_size(rule: Rule, steps: int, seeds: tuple[int, ...]) -> list[float]:
    """Root mean square of the last 20 steps over lr, under N(0, 1) gradients."""
    seen: list[Tensor] = []

    def look(k: int, params: dict[str, Tensor]) -> None:
        if k >= steps - LAST:
            seen.append(params["W"].clone())

    run_ensemble(isotropic(1e-9, 16, 32), rule, steps=steps, seeds=seeds, oracle=Noisy(1.0), watch=look)
    squares = [(b - a).square().mean((-2, -1)) for a, b in zip(seen, seen[1:], strict=False)]
    return (torch.stack(squares).mean(0).sqrt() / LR).tolist()


def alone(setting: Noise, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    rule = gwt_of(setting)
    return [{"over_scale": x / rule.scale} for x in step_size(rule, setting.steps, seeds)]


def short(setting: ShortMemory, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    rule = GWT(Adam(LR, (B1, setting.b2)), setting.level, scale=1.0, growth_limit=None)
    return [{"over_scale": x} for x in step_size(rule, setting.steps, seeds)]


def mean_inverse(b2: float) -> float:
    """E 1/v, v the stationary average of squares of N(0, 1): the trapezoidal rule in log t."""
    weights, log_t = (1 - b2) * b2 ** np.arange(400), np.linspace(-20.0, 20.0, 4001)
    logarithm = -0.5 * np.log1p(2 * weights * np.exp(log_t)[:, None]).sum(1) + log_t
    return float(np.trapezoid(np.exp(logarithm), log_t))


def short_memory_size(setting: ShortMemory) -> float:
    N, share = 2**setting.level, (1 - B1) / (1 + B1)
    return (share / N + (1 - 1 / N) * mean_inverse(setting.b2)) ** 0.5


def beside(setting: Noise, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """GWT as it is, and under the same noise the same without its limiter, where it has one, else Adam."""
    rule = gwt_of(setting)
    other = replace(rule, growth_limit=None) if setting.limiter == "on" else rule.inner
    sizes = [step_size(one, setting.steps, seeds) for one in (rule, other)]
    return [{"gwt": x, "other": y} for x, y in zip(*sizes, strict=True)]


def constants(setting: Noise | ShortMemory) -> dict[str, float]:
    return {"level": setting.level, "b1": B1, "t": setting.steps}


SEEDS = tuple(range(16))
LIMITED = Noise(2, 120, limiter="on")
SHORT = Grid((ShortMemory(2, 0.8), ShortMemory(3, 0.8)), SEEDS, 16)
ADAM_SIZE = "root mean square of a step over that of Adam's, white noise"


def on_gwt(**fields) -> Claim:
    common = {
        "source": CODE,
        "known": "derived",
        "dossier": "gwt W3",
        "kind": "equality",
        "tier": "quick",
        "cost_s": 0.5,
        "measure": beside,
        "predicted": Outcome.HOLDS,
        "tau": 0.03,  # 16 seeds x 20 steps x 512 entries: 0.5 % beside Adam; v from 120 steps: up to 0.9 %
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_gwt(
        id="gwt.scale",
        statement="on white noise a step of GWT has the size sqrt(a (1 - b1^(2t)) / N + 1 - 1/N) / (1 - b1^t) times lr scale",
        quantity=wavelet.step_rms.quantity,
        plan=Grid((Noise(2, 120), Noise(3, 120), LIMITED), SEEDS, 16),
        measure=alone,
        estimate=Mean("over_scale"),
        bound=wavelet.step_rms,
        constants=constants,
        scope=lambda setting: "the growth limiter acts" if setting.limiter == "on" else None,
    ),
    on_gwt(
        id="gwt.scale.restored",
        theorems=("gwt_scale",),
        statement="with scale = sqrt(a / (a/N + 1 - 1/N)) its steps are as large as Adam's on white noise",
        quantity=ADAM_SIZE,
        plan=Grid((Noise(1, 120, scale=0.0),), SEEDS, 16),
        estimate=RatioOfMeans("gwt", "other"),
        limit=1.0,
    ),
    on_gwt(
        id="gwt.scale.published",
        theorems=("gwt_scale",),
        statement="the published scale 0.25 at level 2 is Adam's size on white noise to a tenth",
        source=CODE + "; that the default was chosen for this reason is our reading",
        quantity=ADAM_SIZE,
        plan=Grid((Noise(2, 120, scale=0.25),), SEEDS, 16),
        estimate=RatioOfMeans("gwt", "other"),
        limit=1.0,
        tau=0.1,
    ),
    on_gwt(
        id="gwt.scale.limiter",
        theorems=("gwt_scale",),
        statement="with the published growth limit 1.01 steps on white noise are smaller than without",
        dossier="gwt W8",
        kind="ordering",
        quantity="root mean square of a step, with the limiter less without",
        plan=Grid((LIMITED,), SEEDS, 16),
        estimate=PairedDifference("gwt", "other"),
        tau=0.0,
    ),
    on_gwt(
        id="gwt.scale.short-memory",
        theorems=("gwt_scale",),
        statement="with b2 = 0.8 steps on white noise are larger by the root of E 1/v, a seventh",
        quantity=wavelet.step_rms.quantity,
        plan=SHORT,
        measure=short,
        estimate=Mean("over_scale"),
        limit=short_memory_size,
        tau=0.04,
    ),
    on_gwt(
        id="gwt.scale.short-memory.as-long",
        statement="the size does not depend on b2",
        source="an assumption left out, to be tested",
        quantity=wavelet.step_rms.quantity,
        plan=SHORT,
        measure=short,
        estimate=Mean("over_scale"),
        bound=wavelet.step_rms,
        constants=constants,
        predicted=Outcome.VIOLATED,
        subject="gwt.scale.short-memory",
    ),
)
