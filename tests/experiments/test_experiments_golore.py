"""The GaLore claims as records, and their checkers under planted faults.

Nothing here is a number of a run. Independent channels: a projection written out by hand for the floor of the random
basis, and a list of six numbers that shrinks by hand for GaLore under batches and normal noise.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sandbox.ledger.judging import why_out
from sandbox.problems.golore_counterexample import GoLoreCounterexample, true_gradient_norm2
from sandbox.verdict import Outcome


@pytest.mark.parametrize("method, lr", [("galore-sgd", 0.3), ("galore-adam", 0.05)])
def test_galore_stalls_at_any_learning_rate_and_seed(module, claim, method, lr, verdict_of):
    setting = module["golore_counterexample"].Setting(method, lr, steps=30, update_gap=7)
    assert verdict_of(claim["galore.counterexample-stall"], setting, (11, 12)).outcome is Outcome.HOLDS


def test_a_projection_that_sees_the_signal_is_no_stall(module, claim, monkeypatch, verdict_of):
    """Noise below the signal (sigma/2 start drawn for sigma, noise 0.4 of it): the leading directions are those of
    the gradient.
    """
    file = module["golore_counterexample"]

    class Quiet(GoLoreCounterexample):
        def batch(self, seed, step):
            return 0.4 * super().batch(seed, step)

    monkeypatch.setattr(file, "PROBLEM", Quiet())
    setting = file.Setting("galore-sgd", 0.05, steps=30)
    assert verdict_of(claim["galore.counterexample-stall"], setting, (0, 1)).outcome is Outcome.VIOLATED


def test_the_closed_form_of_full_gradient_descent_needs_its_learning_rate(module, claim, monkeypatch, verdict_of):
    file, one = module["golore_counterexample"], claim["galore.counterexample.full-gradient"]
    setting = file.Setting("sgd", 0.1, steps=40)
    assert verdict_of(one, setting, (5, 6)).outcome is Outcome.HOLDS
    rule_of = file.rule_of
    monkeypatch.setattr(file, "rule_of", lambda s: rule_of(replace(s, lr=1.01 * s.lr)))
    assert verdict_of(one, setting, (5, 6)).outcome is Outcome.VIOLATED


def test_the_floor_of_the_random_basis_balances_noise_and_pull(module, claim):
    """One step from the stationary second moment, E |X_top|^2 = floor spread over entries, must return it: by Monte
    Carlo over Pi.

    20,000 projections, made by QR here: the step changes |X_top|^2 by a few per cent of itself, known to 1 %.
    """
    setting = module["golore_counterexample"].Setting("random-basis", 0.2, 1)
    n, r, k, rng = 10, 4, 6, np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((20_000, n, r)))[0]
    Pi = Q @ Q.transpose(0, 2, 1)
    pull = 1 - np.square(np.eye(k) - setting.lr * Pi[:, :k, :k]).sum((1, 2)).mean() / k
    noise = setting.lr**2 * np.square(Pi[:, :k, k:]).sum((1, 2)).mean()
    floor = claim["galore.counterexample.random-basis"].limit_at
    assert floor(setting) == pytest.approx(noise / pull, rel=0.02)
    small = replace(setting, lr=1e-6)
    assert floor(small) == pytest.approx(small.lr * r * (n - r) ** 2 / (2 * (n - 1) * (n + 2)), rel=1e-5)


def test_the_random_basis_settles_at_its_floor_and_a_wrong_step_elsewhere(module, claim, monkeypatch, verdict_of):
    """96 seeds x 60 steps that forget each other in about 4: a standard error near 1 %, against a tau of 5 %."""
    file, one = module["golore_counterexample"], claim["galore.counterexample.random-basis"]
    setting = file.Setting("random-basis", 0.3, steps=120)
    assert verdict_of(one, setting, range(300, 396)).outcome is Outcome.HOLDS
    rule_of = file.rule_of
    monkeypatch.setattr(file, "rule_of", lambda s: rule_of(replace(s, lr=1.5 * s.lr)))
    assert verdict_of(one, setting, range(300, 396)).outcome is Outcome.VIOLATED


def test_the_recorded_gradient_of_the_counterexample_is_the_true_one_plus_known_noise(module):
    """`wander` subtracts r sigma^2: xi = +-1 on r diagonal entries that the objective's gradient never touches."""
    problem, params = GoLoreCounterexample(), GoLoreCounterexample().start(2)
    g = torch.func.grad(problem.loss)(params, problem.batch(2, 0))["X"]
    assert float(g.square().sum() - problem.rank * problem.sigma**2) == pytest.approx(
        float(true_gradient_norm2(problem, params)), rel=1e-12
    )


@pytest.mark.parametrize("method", ["galore-momentum", "galore-adam-mini", "galore-adalomo"])
def test_other_rules_stall_too_and_a_decay_of_the_whole_matrix_does_not(module, claim, method, monkeypatch, verdict_of):
    """The docstring's boundary: what moves X outside of P moves f. lr = 0.02, decay 0.1: a factor of 0.998 a step."""
    file, one = module["golore_counterexample"], claim["galore.counterexample-stall.any-rule"]
    setting = file.Setting(method, 0.02, steps=30, update_gap=3)
    assert verdict_of(one, setting, (21, 22)).outcome is Outcome.HOLDS
    moved = file.run(file.PROBLEM, file.rule_of(setting), steps=30, seed=21).final["X"] - file.PROBLEM.start(21)["X"].numpy()
    assert np.abs(moved).max() > 1e-3 and np.abs(moved[:6]).max() < 1e-12  # it works, on the rows that f does not see

    class Decayed(file.GaLore):
        def step(self, g, state, w):
            delta, state = super().step(g, state, w)
            return delta - 0.002 * w, state

    monkeypatch.setattr(file, "GaLore", Decayed)
    assert verdict_of(one, setting, (21, 22)).outcome is Outcome.VIOLATED


def six_numbers(xi, lr, start=0.5, rank=4):
    """Singular values of X_11 after noise of the sizes |xi|: those of the `rank` largest that exceed the noise shrink."""
    s = np.full(6, start)
    for size in np.abs(xi):
        top = np.argsort(-s, kind="stable")[:rank]
        s[top[s[top] > size]] *= 1 - lr
    return s


@pytest.mark.parametrize(("batch", "law"), [(5, "rademacher"), (6, "rademacher"), (1, "gaussian")])
def test_the_run_is_six_numbers_that_shrink_when_they_exceed_the_noise(module, batch, law):
    """Same draws, no matrix, to rounding. No batch here can tie with sigma / 2 at the start, as 4 would."""
    file, setting = module["golore_batches_and_noise"], module["golore_batches_and_noise"].Noise(batch, 0.15, 60, law)
    problem = replace(file.PROBLEM, batch_size=batch, law=law)
    for seed, row in zip((3, 4), file.shrink(setting, (3, 4)), strict=True):
        xi = [float(problem.batch(seed, k)) for k in range(60)]
        middle, last = six_numbers(xi[:30], 0.15), six_numbers(xi, 0.15)
        assert row["last"] == pytest.approx((last**2).sum(), rel=1e-12)
        assert row["fall"] == pytest.approx(np.log((middle**2).sum() / (last**2).sum()) / 30, rel=1e-9, abs=1e-14)
        assert row["growth"] == pytest.approx(((1 / last).mean() - (1 / middle).mean()) / 30, rel=1e-9, abs=1e-13)


def test_the_laws_of_batches_against_the_six_numbers(module, claim):
    """Without matrices there is room for long runs: 2,000 refreshes for even batches, 300 runs for normal noise."""
    file, rng = module["golore_batches_and_noise"], np.random.default_rng(1)
    odd = six_numbers(rng.choice([-1, 1], (800, 7)).mean(1), 0.1)
    assert (odd**2).sum() == pytest.approx(file.odd_batch_stall(file.Noise(7, 0.1, 1)), rel=1e-12)
    assert np.all((odd < 1 / 7) & (odd >= 0.9 / 7))
    zero = rng.choice([-1, 1], (2_000, 6)).mean(1)
    ends = [(six_numbers(zero[:k], 0.01) ** 2).sum() for k in (400, 2_000)]
    expected = file.even_batch_fall(file.Noise(6, 0.01, 1))  # p = 20/64 over 1600: a standard error of 3.7 %
    assert np.log(ends[0] / ends[1]) / 1_600 == pytest.approx(expected, rel=0.15)
    growth = []
    for _ in range(300):
        xi = rng.standard_normal(300)
        growth.append(((1 / six_numbers(xi, 0.1)).mean() - (1 / six_numbers(xi[:100], 0.1)).mean()) / 200)
    error = np.std(growth) / 300**0.5
    law = claim["galore.counterexample.normal-noise"].limit_at(file.Noise(1, 0.1, 1))
    assert abs(np.mean(growth) - law) < 4 * error and 4 * error < 0.1 * law


def test_a_claim_about_batches_fails_where_the_batch_is_another(module, claim, monkeypatch, verdict_of):
    file = module["golore_batches_and_noise"]
    odd, even, normal = (claim[f"galore.counterexample.{x}"] for x in ("odd-batch", "even-batch", "normal-noise"))
    assert verdict_of(odd, file.Noise(5, 0.1, 120), range(30, 34)).outcome is Outcome.HOLDS
    assert verdict_of(even, file.Noise(2, 0.1, 160), range(30, 94)).outcome is Outcome.HOLDS
    kept = file.replace
    monkeypatch.setattr(file, "replace", lambda problem, **to: kept(problem, batch_size=to["batch_size"] + 1, law="rademacher"))
    assert verdict_of(odd, file.Noise(5, 0.1, 120), range(30, 34)).outcome is Outcome.VIOLATED
    assert verdict_of(even, file.Noise(2, 0.1, 160), range(30, 94)).outcome is Outcome.VIOLATED
    assert verdict_of(normal, file.Noise(1, 0.1, 160, "gaussian"), range(30, 94)).outcome is Outcome.VIOLATED


def test_a_start_above_the_noise_is_out_of_scope_and_the_stall_fails_there(module, claim, verdict_of):
    file, one = module["golore_stall_starts"], claim["galore.stall.any-start"]
    assert [setting.most for setting in one.plan.settings if why_out(one, setting)] == [1.5]
    assert verdict_of(one, file.Start(0.3, 0.9, steps=20), (7, 8)).outcome is Outcome.HOLDS
    assert verdict_of(one, file.Start(0.3, 1.2, steps=20), (7, 8)).outcome is Outcome.VIOLATED


def test_the_end_of_a_start_above_the_noise_by_hand_and_under_another_rate(module, claim, monkeypatch, verdict_of):
    """0.85, 0.95, ..., 1.35 at lr 0.3: the last four are multiplied by 0.7, once."""
    file, one = module["golore_stall_starts"], claim["galore.stall.above-noise"]
    setting = file.Start(0.85, 1.35, lr=0.3, steps=30)
    expected = 0.85**2 + 0.95**2 + 0.49 * (1.05**2 + 1.15**2 + 1.25**2 + 1.35**2)
    assert file.walk(setting, 5)["last"] == pytest.approx(expected, rel=1e-9)
    assert verdict_of(one, setting, (5, 6)).outcome is Outcome.HOLDS
    descent = file.GradientDescent
    monkeypatch.setattr(file, "GradientDescent", lambda lr: descent(0.99 * lr))
    assert verdict_of(one, setting, (5, 6)).outcome is Outcome.VIOLATED


def test_a_basis_that_sees_the_signal_moves_from_every_start(module, claim, monkeypatch, verdict_of):
    """One direction more than the noise has: a signal direction is in the basis."""
    file, one = module["golore_stall_starts"], claim["galore.stall.any-start"]
    frame = file.GaLore
    monkeypatch.setattr(file, "GaLore", lambda inner, rank, gap, scale: frame(inner, rank + 1, gap, scale=scale))
    for inner in ("descent", "adam"):
        assert verdict_of(one, file.Start(0.3, 0.9, inner, steps=20), (7, 8)).outcome is Outcome.VIOLATED
