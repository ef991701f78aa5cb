"""The ensemble shell: what it records, what may vary, and what it refuses. Its trajectories: tests/test_conformance.py."""

import pytest
import torch

from sandbox.optimizers.adam import Adam
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells.ensemble import STRIDE, Runs, ensemble

H = 2.0


def parabola(params: dict, shift) -> tuple:
    """H/2 |x - shift|^2 for one run; without extra the shift is 0."""
    x = params["x"] - (shift if len(shift) else 0.0)
    return 0.5 * H * x.square().sum(), {"x": H * x}


def starts(n: int) -> dict[str, torch.Tensor]:
    return {"x": torch.arange(1.0, n + 1, dtype=torch.float64).unsqueeze(1)}


def test_each_run_has_its_own_rate_and_start():
    """x_k = (1 - lr H)^k x_0: losses and norms are known for every run and step."""
    lr = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    recorded = ensemble(parabola, GradientDescent(lr=9.0), Runs(starts(3), (0, 1, 2), {"lr": lr}), steps=5)
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64).unsqueeze(1) * (1 - lr * H).unsqueeze(1) ** torch.arange(6)
    torch.testing.assert_close(recorded.losses, 0.5 * H * x[:, :5] ** 2, rtol=1e-13, atol=0)
    torch.testing.assert_close(recorded.grad_norms, H * x[:, :5].abs(), rtol=1e-13, atol=0)
    torch.testing.assert_close(recorded.params["x"], x[:, 5:], rtol=1e-13, atol=0)


def test_records_every_so_many_steps():
    every = ensemble(parabola, Adam(lr=0.1), Runs(starts(2), (0, 1)), steps=7)
    third = ensemble(parabola, Adam(lr=0.1), Runs(starts(2), (0, 1)), steps=7, record_every=3)
    assert third.steps == (0, 3, 6)
    assert torch.equal(third.losses, every.losses[:, [0, 3, 6]])
    assert torch.equal(third.params["x"], every.params["x"])


def test_a_run_longer_than_one_stretch_is_one_run():
    """(1 - lr H)^k over two and a half strides, and every loss in its place."""
    steps = 5 * STRIDE // 2
    recorded = ensemble(parabola, GradientDescent(lr=0.01), Runs(starts(2), (0, 1)), steps=steps)
    x = starts(2)["x"] * (1 - 0.01 * H) ** torch.arange(steps, dtype=torch.float64)
    torch.testing.assert_close(recorded.losses, 0.5 * H * x**2, rtol=1e-12, atol=0)  # 50 roundings


def test_extra_is_cut_along_the_runs_and_follows_the_step():
    """With lr = 1/H one step lands on the shift of that run and step."""
    shifts = {k: torch.tensor([[10.0 * k], [20.0 * k]], dtype=torch.float64) for k in range(3)}
    recorded = ensemble(parabola, GradientDescent(1 / H), Runs(starts(2), (0, 1)), steps=3, extra=shifts.__getitem__)
    assert torch.equal(recorded.params["x"], shifts[2])


def test_schedule_multiplies_the_rate_of_each_step():
    """Factors (1, 0, 1/2) of lr = 1/(2H): x is halved, stays, and is multiplied by 3/4."""
    factors = (1.0, 0.0, 0.5)
    recorded = ensemble(parabola, GradientDescent(0.5 / H), Runs(starts(1), (0,)), steps=3, schedule=factors.__getitem__)
    torch.testing.assert_close(recorded.params["x"].item(), 0.5 * 0.75, rtol=1e-15, atol=0)


def test_watch_sees_the_stacked_weights_before_every_step_and_after_the_last():
    seen = {}
    ensemble(parabola, GradientDescent(0.5 / H), Runs(starts(2), (0, 1)), steps=2, watch=lambda k, p: seen.update({k: p}))
    assert {k: p["x"].flatten().tolist() for k, p in seen.items()} == {0: [1, 2], 1: [0.5, 1], 2: [0.25, 0.5]}


def test_the_callers_tensors_are_untouched_and_no_steps_change_nothing():
    params = starts(2)
    recorded = ensemble(parabola, Adam(lr=0.1), Runs(params, (0, 1)), steps=0)
    assert torch.equal(recorded.params["x"], params["x"]) and recorded.params["x"] is not params["x"]
    ensemble(parabola, Adam(lr=0.1), Runs(params, (0, 1)), steps=3)
    assert torch.equal(params["x"], starts(2)["x"])


def test_momentum_may_vary_although_the_rule_has_none():
    """Momentum 0 in run 0 is plain gradient descent; run 1 has the heavy ball's second step."""
    values = {"momentum": torch.tensor([0.0, 0.5])}
    same = {"x": torch.ones(2, 1, dtype=torch.float64)}
    x = ensemble(parabola, GradientDescent(lr=0.1), Runs(same, (0, 1), values), steps=2).params["x"].flatten()
    # x1 = 0.8; plain x2 = 0.64; heavy ball x2 = 0.8 - 0.1 (0.5 * 2 + 1.6) = 0.54
    torch.testing.assert_close(x, torch.tensor([0.64, 0.54], dtype=torch.float64), rtol=1e-14, atol=0)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"stacked over the 3 runs \(one per seed\), got {'x': 2, 'lr': 4}"):
        Runs(starts(2), (0, 1, 2), {"lr": torch.ones(4)})


def test_a_value_without_effect_is_refused():
    with pytest.raises(ValueError, match="Adam has no field 'momentum', so setting it"):
        ensemble(parabola, Adam(lr=0.1), Runs(starts(2), (0, 1), {"momentum": torch.ones(2)}), steps=1)


def test_a_frame_that_cannot_take_its_tensor_is_refused():
    with pytest.raises(ValueError, match=r"rank 2 needs a 2-D weight with both sides >= rank, got shape \(1,\)"):
        ensemble(parabola, GaLore(Adam(lr=0.1), rank=2), Runs(starts(2), (0, 1)), steps=1)
