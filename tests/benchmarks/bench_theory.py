"""Runs a second of the theory experiments: through the ensemble shell, and in a plain loop of single runs. Prints a table.

    python tests/benchmarks/bench_theory.py

Both columns make the same runs: same rules, starts, draws and records, float64, one thread (the last losses are compared). `run` drives
the stepwise shell and autograd, as a script would; of it a few runs are timed. The best of three rounds counts, and the first vmap of
a process, about a second, is left out.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.oracles.base import Oracle
from sandbox.oracles.noisy import Noisy
from sandbox.oracles.two_point import TwoPoint
from sandbox.problems.base import Problem
from sandbox.problems.matrix_quadratic import MatrixQuadratic, isotropic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.problems.spectra import log_spaced
from sandbox.run import run
from sandbox.run_ensemble import run_ensemble

TIMED, ROUNDS = 4, 3


class Experiment(NamedTuple):
    problem: Problem
    rule: Rule
    steps: int
    runs: int
    oracle: Oracle | None = None


ILL = MatrixQuadratic(log_spaced(32, low=0.01, high=1.0), 2)
EXPERIMENTS = {
    "gradient descent, ill-conditioned": Experiment(ILL, GradientDescent(1.0), 200, 256),
    "gradient descent, nonconvex": Experiment(SmoothNonconvex(12, 2, samples=48), GradientDescent(0.3), 200, 256),
    "SGD with noise": Experiment(isotropic(1.0, 16, 4), GradientDescent(0.3), 200, 256, Noisy(0.1)),
    "Adam, ill-conditioned": Experiment(ILL, Adam(0.01), 200, 256),
    "RSO, a Haar basis a step": Experiment(isotropic(1.0, 16, 4), RSO(GradientDescent(0.25), 4, update_gap=1, side=0), 60, 256),
    "RSO, coordinates every 8 steps": Experiment(
        ILL, RSO(GradientDescent(0.25, momentum=0.5), 8, update_gap=8, law="coordinate", side=0), 200, 256
    ),
    "RSO with two-point gradients": Experiment(
        isotropic(1.0, 16, 1), RSO(GradientDescent(0.01), 4, update_gap=1, side=0), 60, 256, TwoPoint()
    ),
}


def seconds(call: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def together(one: Experiment, seeds: tuple[int, ...]) -> list[float]:
    traces = run_ensemble(one.problem, one.rule, steps=one.steps, seeds=seeds, oracle=one.oracle)
    return [float(trace.loss[-1]) for trace in traces]


def alone(one: Experiment, seeds: tuple[int, ...]) -> list[float]:
    return [float(run(one.problem, one.rule, steps=one.steps, seed=seed, oracle=one.oracle).loss[-1]) for seed in seeds]


def compare(name: str, one: Experiment) -> None:
    seeds, few = tuple(range(one.runs)), tuple(range(TIMED))
    fast, slow = [], []
    for _ in range(ROUNDS):
        ensemble_s, last = seconds(lambda: together(one, seeds))
        loop_s, expected = seconds(lambda: alone(one, few))
        np.testing.assert_allclose(last[:TIMED], expected, rtol=1e-6)  # the same runs to rounding, which Adam amplifies
        fast.append(one.runs / ensemble_s)
        slow.append(TIMED / loop_s)
    print(f"{name:34s} {one.steps:6d} {max(slow):10.1f} {max(fast):10.0f} {max(fast) / max(slow):8.0f}")


def main() -> None:
    torch.set_num_threads(1)
    together(EXPERIMENTS["gradient descent, ill-conditioned"]._replace(steps=2), (0, 1))
    print("runs a second                       steps       loop   ensemble    ratio")
    for name, one in EXPERIMENTS.items():
        compare(name, one)


if __name__ == "__main__":
    main()
