"""Question: what do AdaLomo's normalised step and its rank-one second moment guarantee, and what do they not?

Claims: adalomo.step-bound           RMS of a step <= lr max(eps2, RMS(w)), whatever the gradients; attained
        adalomo.factored-error       D(V || V1) = S x mutual information of row and column
        adalomo.factored-noise       at a rank-one truth D / S = psi(N/2 + 1) - log(N/2) after N averages
        adalomo.factored-denoises    there the factored estimate has (n + m - 1) / (n m) of the full one's squared error
        adalomo.inverse-steps        worst case: on a diagonal gradient the step is inversely proportional to the gradient
        adalomo.superior-convergence "faster than LOMO": not on a diagonal quadratic, where AdaLomo stands still
        adalomo.is-adafactor         the rule is torch.optim.Adafactor with eps = (1e-30, 1e-3)
        adafactor.scale-invariance   and with torch's default eps it depends on the scale of the loss, which AdaLomo does not
Proof:  proofs/proof_rank_one_nmf.py
Cost:   5 s on one CPU core
Run:    sandbox check adalomo.step-bound adalomo.factored-error adalomo.superior-convergence

Notation: V = the second moment of an (n, m) matrix, V1 its factorisation, S = sum V, RMS(x) = sqrt(mean(x^2)).
decay_rate = -1 makes AdaLomo's running average the plain mean, so that N = number of steps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Mean, Range, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.averages import rms
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.theory import adalomo, factorisation
from sandbox.verdict import Outcome

TINY = 1e-300  # where a comparison divides by something that may be 0
ROUNDING = 1e-10  # float64, sums of up to 1e5 terms


def gradients(law: str, shape: tuple[int, int], steps: int, seed: int) -> Iterator[Tensor]:
    """`steps` gradients: easy, heavy-tailed, one entry at a time, of a size that jumps, or always the same."""
    for k in range(steps):
        z = normal(shape, generator(seed, k))
        if law == "cauchy":
            yield z / normal(shape, generator(seed, k, 1))
        elif law == "one entry":
            yield z * (torch.arange(z.numel()).reshape(shape) == (7 * k) % z.numel())
        elif law == "jumps":
            yield z * 10.0 ** (6 * (k % 10 == 9))
        else:
            yield torch.full(shape, 0.1).double() if law == "constant" else z


@dataclass(frozen=True)
class Walk:
    """start: RMS of the first weight, below eps2 = 1e-3 or above."""

    law: Literal["gaussian", "cauchy", "one entry", "jumps", "constant"]
    start: float
    lr: float = 0.01
    shape: tuple[int, int] = (12, 20)
    steps: int = 50


def largest_step(setting: Walk, seed: int) -> dict[str, float]:
    """The largest RMS of a step, each in units of what the bound allows at that weight times what it allows at the first."""
    rule = AdaLomo(setting.lr)
    w = normal(setting.shape, generator(seed))
    w = w * (setting.start / rms(w))
    state, worst, bound = rule.init(w), 0.0, adalomo.step_rms
    first = step_limit(setting)
    for g in gradients(setting.law, setting.shape, setting.steps, seed):
        allowed = setting.lr * max(rule.eps[1], float(rms(w)))
        delta, state = rule.step(g, state, w)
        worst = max(worst, float(rms(delta)) / allowed)
        w = w + delta
    return {"rms": worst * first}
