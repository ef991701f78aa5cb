"""What inner steps times rounds of RSO cost, read off the frame and off the inner rule, at a proximal weight eta = t / Lhat.

    rounds   |grad f|^2 / (Lhat decrease) of one exact round on L |W|^2 / 2, where the constant C(t) is attained
    q        the largest factor per step by which the inner rule shrinks a subproblem of curvatures 1/eta - Lhat to 1/eta + Lhat:
             the spectral radius of its linear map on (weight, state)

Units: L = Lhat = 1. The steps of the inner rules have a length c, their `share` of 1 / (1/eta + Lhat).
"""

import numpy as np
import torch

from sandbox.optimizers.gradient_descent import GradientDescent, MomentumState
from sandbox.optimizers.rso import RSO
from sandbox.problems.matrix_quadratic import isotropic
from sandbox.run import run


def rounds_at(t: float) -> float:
    """|grad f|^2 over Lhat times the decrease, of one round at L = 1 and r = m, whose step 1 / (1 + 1/t) is exact."""
    problem = isotropic(1.0, 2)
    trace = run(problem, RSO(GradientDescent(1 / (1 + 1 / t)), rank=2, update_gap=1, eta=t, side=0), steps=1, seed=0)
    end = float(problem.loss({"W": torch.from_numpy(trace.final["W"])}, None))
    return float(trace.grad_norm[0] ** 2 / (trace.loss[0] - end))


def gradient_steps(share: float, t: float) -> GradientDescent:
    return GradientDescent(share / (1 + 1 / t))


def nesterov_steps(share: float, t: float) -> GradientDescent:
    """Momentum (1 - p) / (1 + p), p = sqrt(c / kappa), kappa = (1 + t) / (1 - t)."""
    p = (share * (1 - t) / (1 + t)) ** 0.5
    return GradientDescent(share / (1 + 1 / t), momentum=(1 - p) / (1 + p), nesterov="on")


def factor(rule: GradientDescent, curvature: float) -> float:
    """Spectral radius of (w, b) -> (w, b) after a step on curvature w^2 / 2, from the steps of (1, 0) and (0, 1)."""
    columns = []
    for w, b in torch.eye(2, dtype=torch.float64):
        started = rule.init(w)
        state = MomentumState(b) if isinstance(started, MomentumState) else started
        delta, after = rule.step(curvature * w, state, w)
        columns.append([float(w + delta), float(after.b) if isinstance(after, MomentumState) else 0.0])
    return float(np.abs(np.linalg.eigvals(np.array(columns))).max())


def log_factor(rule: GradientDescent, t: float) -> float:
    """-log q: the residual falls by e in 1 / -log q steps, on the slower of the two extreme curvatures."""
    return -float(np.log(max(factor(rule, 1 / t - 1), factor(rule, 1 / t + 1))))
