"""The loop against the bare rule on pencil-and-paper problems, and the three shells against each other.

Independent channels: closed forms of gradient descent on quadratics; a written-out loop over `advance`; an ensemble
against single runs.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import advance, with_fields
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.subzero import SubZero, alignment, subspace
from sandbox.oracles.backprop import Backprop
from sandbox.oracles.block_wise import BlocksInTurn
from sandbox.oracles.noisy import Noisy
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import Directions
from sandbox.perturbations.low_rank import LowRank
from sandbox.problems.base import Facts
from sandbox.problems.golore_counterexample import GoLoreCounterexample
from sandbox.problems.matrix_quadratic import MatrixQuadratic, isotropic
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.smooth_nonconvex import SmoothNonconvex
from sandbox.run import ORACLE_STREAM, Schedule, run
from sandbox.run_ensemble import run_ensemble

QUADRATIC = Quadratic((0.5, 1.0, 4.0))
MATRIX = MatrixQuadratic((0.5, 1.0, 2.0, 4.0, 4.0), columns=3)
ROUNDS = RSO(GradientDescent(0.05), rank=2, update_gap=3, side=0)
ROUNDING = {"rtol": 1e-10, "atol": 1e-12}  # float64, tens of steps: sums in another order


class TwoTensors:
    """The squared distance of the product of two tensors from ones."""

    facts = Facts()

    def start(self, seed):
        return {name: normal((3, 2), generator(seed, i)) for i, name in enumerate("ab")}

    def batch(self, seed, step):
        return None

    def loss(self, params, batch):
        return (params["a"] @ params["b"].T - 1).square().sum()


def same(first, second) -> bool:
    """Whether two traces hold the same bits."""
    return (
        np.array_equal(first.loss, second.loss)
        and np.array_equal(first.grad_norm, second.grad_norm)
        and all(np.array_equal(first.final[name], second.final[name]) for name in first.final)
    )


def test_gradient_descent_follows_its_closed_form():
    """H = L I: w_k = (1 - lr L)^k w_0, so loss_k = loss_0 (1 - lr L)^2k and |g_k| = L |w_k|."""
    trace = run(isotropic(2.0, 4, 3), GradientDescent(0.1), steps=30, seed=0)
    start = isotropic(2.0, 4, 3).start(0)["W"].numpy()
    k = np.arange(30)
    np.testing.assert_allclose(trace.loss, np.square(start).sum() * 0.8 ** (2 * k), rtol=1e-12)
    np.testing.assert_allclose(trace.grad_norm, 2 * np.linalg.norm(start) * 0.8**k, rtol=1e-12)
    np.testing.assert_allclose(trace.final["W"], 0.8**30 * start, rtol=1e-12)
    assert trace.status == "finished" and len(trace.loss) == len(trace.grad_norm) == 30


@pytest.mark.parametrize("rule", [Adam(0.1), ROUNDS], ids=["adam", "rso"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_another_run(rule):
    first, again, other = (run(MATRIX, rule, steps=12, seed=seed) for seed in (3, 3, 4))
    assert same(first, again)
    assert not np.array_equal(first.loss, other.loss)


def test_the_seed_reaches_the_frame_and_the_noise_and_not_only_the_start():
    """Two seeds, but one start: only draws of the basis, and only noise, can tell the runs apart."""

    class OneStart(MatrixQuadratic):
        def start(self, seed):
            return super().start(0)

    problem = OneStart(MATRIX.spectrum, MATRIX.columns)
    frames = [run(problem, ROUNDS, steps=2, seed=seed).loss for seed in (0, 1)]
    noises = [run(problem, GradientDescent(0.05), steps=2, seed=seed, oracle=Noisy(1.0)).loss for seed in (0, 1)]
    assert frames[0][0] == frames[1][0] and frames[0][1] != frames[1][1]
    assert noises[0][0] == noises[1][0] and noises[0][1] != noises[1][1]


def test_a_trace_can_be_repeated_from_what_it_holds():
    trace = run(MATRIX, {"W": ROUNDS}, steps=9, seed=5, oracle=Noisy(0.3))
    assert same(trace, run(trace.problem, trace.rules, steps=len(trace.loss), seed=trace.seed, oracle=trace.oracle))


def test_the_loop_is_the_bare_rule_with_the_documented_draws():
    """Written out by hand: frames draw from (seed, tensor index, step), the oracle from (seed, its stream, step)."""
    oracle, w, state = Noisy(0.3), MATRIX.start(7)["W"], ROUNDS.init(MATRIX.start(7)["W"])
    for k in range(7):
        noise = oracle.draw(generator(7, ORACLE_STREAM, k), {"W": w})
        _, grads = oracle(MATRIX, {"W": w}, None, noise)
        frame = ROUNDS.draw(generator(7, 0, k), tuple(w.shape)) if k % 3 == 0 else None
        delta, state = advance(ROUNDS, grads["W"], state, w, k, frame)
        w = w + delta
    np.testing.assert_allclose(run(MATRIX, ROUNDS, steps=7, seed=7, oracle=oracle).final["W"], w.numpy(), **ROUNDING)


def test_a_schedule_multiplies_the_learning_rate():
    """Loss factor at step k is (1 - lr s(k) L)^2, exactly, on L |w|^2 / 2."""
    schedule = Schedule(total=8, warmup=2, floor=0.1)
    trace = run(isotropic(1.0, 3), GradientDescent(0.2), steps=9, seed=0, schedule=schedule)
    expected = [(1 - 0.2 * schedule(k)) ** 2 for k in range(8)]
    np.testing.assert_allclose(trace.loss[1:] / trace.loss[:-1], expected, rtol=1e-12)


def test_the_schedule_warms_up_and_falls_to_its_floor():
    schedule = Schedule(total=100, warmup=10, floor=0.1)
    assert [schedule(k) for k in (0, 4, 9, 10)] == [0.1, 0.5, 1.0, 1.0]
    assert schedule(55) == pytest.approx(0.55, abs=1e-12)  # halfway down the cosine: the mean of 1 and the floor
    assert schedule(100) == schedule(1000) == pytest.approx(0.1, abs=1e-12)
    assert Schedule(total=100)(57) == 1.0  # without a floor it stays where it is


@pytest.mark.parametrize("shell", ["stepwise", "fused"])
def test_divergence_is_a_status_and_ends_the_run(shell):
    """lr L = 3: w grows by 2 per step, loss by 4, so float64 overflows after about 512 steps, long before 2000."""
    trace = run(isotropic(1.0, 2), GradientDescent(3.0), steps=2000, seed=0, shell=shell)
    assert trace.status == "diverged" and 500 < len(trace.loss) < 530
    assert np.isfinite(trace.loss[:-1]).all() and not math.isfinite(trace.loss[-1])


def test_a_last_step_to_infinity_is_divergence_too():
    trace = run(isotropic(100.0, 2), GradientDescent(1e308), steps=1, seed=0)
    assert math.isfinite(trace.loss[0]) and trace.status == "diverged"


def test_watch_sees_the_parameters_before_each_step_and_after_the_last():
    def norm_at_even(k, params):
        assert not params["W"].requires_grad
        return {"norm": float(params["W"].norm())} if k % 2 == 0 else None

    trace = run(isotropic(2.0, 3), GradientDescent(0.1), steps=4, seed=0, watch=norm_at_even)
    assert list(trace.watched) == [0, 2, 4]
    start = trace.watched[0]["norm"]
    assert [trace.watched[k]["norm"] for k in (2, 4)] == pytest.approx([0.8**2 * start, 0.8**4 * start], rel=1e-12)
    np.testing.assert_allclose(np.linalg.norm(trace.final["W"]), trace.watched[4]["norm"], rtol=1e-14)


@pytest.mark.parametrize("rule", [GradientDescent(0.1, 0.9), Adam(0.1), GaLore(Adam(0.1), 2, 3), ROUNDS], ids=repr)
def test_fused_gives_the_bits_of_stepwise(rule):
    stepwise, fused = (run(MATRIX, rule, steps=8, seed=1, shell=shell) for shell in ("stepwise", "fused"))
    assert same(stepwise, fused)


def test_fused_refuses_another_oracle():
    with pytest.raises(ValueError, match=r"its oracle is Backprop, got Noisy\(sigma=0.5.*use the stepwise shell"):
        run(MATRIX, ROUNDS, steps=1, seed=0, oracle=Noisy(0.5), shell="fused")


LOW_RANK = LowRank(SubZero(GradientDescent(0.01), rank=2, update_gap=4), subspace, alignment, seed=3)
CASES = {
    "redrawn directions": (MATRIX, GradientDescent(0.01), TwoPoint(directions=Directions(low_rank=LOW_RANK))),
    "blocks in turn": (TwoTensors(), GradientDescent(0.01, 0.9), BlocksInTurn((("a",), ("b",)))),
    "noise": (MATRIX, ROUNDS, Noisy(0.3)),
    "adam": (QUADRATIC, Adam(0.1), Backprop()),
    "batches": (GoLoreCounterexample(), GaLore(Adam(0.05), 4, 5, scale=1.0), Backprop()),
    "nonconvex": (SmoothNonconvex(rows=5, columns=2, samples=20), RSO(Adam(0.1), 2, 4, side=0), Backprop()),
    "table": (MATRIX, {"W": GradientDescent(0.05, 0.9)}, Noisy(0.1, law="student3")),
}


@pytest.mark.parametrize("problem, rules, oracle", CASES.values(), ids=CASES)
def test_an_ensemble_makes_the_trajectories_of_single_runs(problem, rules, oracle):
    seeds, schedule = (4, 0, 9), Schedule(20, warmup=5, floor=0.0)
    looks = {"watch": lambda k, params: {"size": next(iter(params.values())).flatten(1).norm(dim=1)} if k % 6 == 0 else {}}
    traces = run_ensemble(problem, rules, steps=20, seeds=seeds, oracle=oracle, schedule=schedule, **looks)
    for seed, ours in zip(seeds, traces, strict=True):
        single = run(problem, rules, steps=20, seed=seed, oracle=oracle, schedule=schedule)
        np.testing.assert_allclose(ours.loss, single.loss, **ROUNDING)
        np.testing.assert_allclose(ours.grad_norm, single.grad_norm, **ROUNDING)
        for name in single.final:
            np.testing.assert_allclose(ours.final[name], single.final[name], **ROUNDING)
        assert (ours.seed, ours.shell, ours.status) == (seed, "ensemble", "finished")
        assert list(ours.watched) == [0, 6, 12, 18]
    in_stretches = run_ensemble(problem, rules, steps=20, seeds=seeds, oracle=oracle, schedule=schedule)
    for ours, looked_at in zip(in_stretches, traces, strict=True):
        np.testing.assert_allclose(ours.loss, looked_at.loss, **ROUNDING)


@dataclass(frozen=True)
class Counting(Backprop):
    """Counts how often it is asked for numbers; gives them, unused, where noisy."""

    noisy: bool = False
    asked: list = field(default_factory=list)

    def draw(self, rng, params):
        self.asked.append(rng.initial_seed())
        return torch.randn((), generator=rng) if self.noisy else None


@pytest.mark.parametrize("noisy", [False, True])
def test_an_ensemble_asks_one_run_where_nothing_is_random_and_every_run_where_something_is(noisy):
    oracle = Counting(noisy)
    run_ensemble(QUADRATIC, GradientDescent(0.1), steps=4, seeds=(5, 6, 7), oracle=oracle)
    asked = [generator(seed, ORACLE_STREAM, k).initial_seed() for k in range(4) for seed in ((5, 6, 7) if noisy else (5,))]
    assert oracle.asked == asked


def test_values_are_one_setting_per_run_and_a_trace_names_its_own():
    rates = (0.02, 0.05, 0.1)
    traces = run_ensemble(MATRIX, ROUNDS, steps=10, seeds=(1, 1, 2), values={"lr": rates})
    for lr, ours in zip(rates, traces, strict=True):
        single = run(MATRIX, RSO(GradientDescent(lr), rank=2, update_gap=3, side=0), steps=10, seed=ours.seed)
        np.testing.assert_allclose(ours.final["W"], single.final["W"], **ROUNDING)
        assert ours.rules == single.rules


def test_an_ensemble_watches_the_weights_before_each_step_and_after_the_last():
    def size(k, stacked):
        return {"norm": stacked["W"].flatten(1).norm(dim=1)}

    traces = run_ensemble(isotropic(2.0, 3), GradientDescent(0.1), steps=3, seeds=(0, 1), watch=size)
    for trace in traces:
        start = float(isotropic(2.0, 3).start(trace.seed)["W"].norm())
        assert [trace.watched[k]["norm"] for k in range(4)] == pytest.approx([0.8**k * start for k in range(4)], rel=1e-12)


def test_one_diverging_run_does_not_disturb_the_others():
    wild, calm = run_ensemble(
        isotropic(1.0, 2),
        GradientDescent(1.0),
        steps=600,
        seeds=(0, 1),
        values={"lr": (3.0, 0.1)},
        watch=lambda k, params: {"k": torch.full((2,), float(k))},
    )
    single = run(isotropic(1.0, 2), GradientDescent(3.0), steps=600, seed=0)
    assert (wild.status, calm.status) == ("diverged", "finished")
    assert len(wild.loss) == len(single.loss) and len(calm.loss) == 600
    assert list(wild.watched) == list(range(len(wild.loss))) and list(calm.watched)[-1] == 600


FRAMES = {
    "galore": GaLore(GradientDescent(1.0), rank=2, update_gap=1, scale=1.0),
    "rso": RSO(GradientDescent(1.0), rank=2, update_gap=1, side=0),
    "coordinate": RSO(GradientDescent(1.0), rank=2, update_gap=1, side=0, law="coordinate"),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_frame_that_refreshes_at_every_step_diverges_with_a_status_and_alone(frame):
    """lr L = 400: the steps multiply the compressed part, until float64 overflows and the gradient is not finite."""
    problem, calls = isotropic(1.0, 4, 3), {"steps": 400, "seed": 0}
    for shell in ("stepwise", "fused"):
        single = run(problem, with_fields(frame, lr=400.0), shell=shell, **calls)
        assert single.status == "diverged" and len(single.loss) < 400
    wild, calm = run_ensemble(problem, frame, steps=400, seeds=(0, 1), values={"lr": (400.0, 0.1)})
    assert (wild.status, calm.status) == ("diverged", "finished") and len(wild.loss) == len(single.loss)
    np.testing.assert_allclose(calm.loss, run(problem, with_fields(frame, lr=0.1), steps=400, seed=1).loss, **ROUNDING)


@pytest.mark.parametrize("total, warmup", [(10, 11), (10, -1), (-1, 0)])
def test_a_schedule_that_warms_up_longer_than_it_lasts_is_refused(total, warmup):
    with pytest.raises(ValueError, match=f"0 <= warmup <= total, got warmup {warmup} and total {total}"):
        Schedule(total, warmup)


def test_a_wrong_ensemble_says_so():
    with pytest.raises(ValueError, match="needs at least one seed"):
        run_ensemble(MATRIX, ROUNDS, steps=1, seeds=())
    with pytest.raises(ValueError, match=r"stacked over the 2 runs .* got \{'lr': 3\}"):
        run_ensemble(MATRIX, ROUNDS, steps=1, seeds=(0, 1), values={"lr": (0.1, 0.2, 0.3)})
    with pytest.raises(ValueError, match="no field 'warmth'"):
        run_ensemble(MATRIX, ROUNDS, steps=1, seeds=(0,), values={"warmth": (0.1,)})
