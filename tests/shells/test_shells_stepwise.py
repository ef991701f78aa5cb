"""The stepwise shell is a torch.optim.Optimizer: groups, schedules, closures, state_dict, bfloat16."""

import copy
import io

import pytest
import torch
from torch import nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.stepwise import Stepwise

MATRIX_RULES = (
    GradientDescent(0.1, momentum=0.9),
    Adam(0.1),
    AdaLomo(0.1),
    GaLore(Adam(0.1), rank=2, update_gap=3),
    WeightDecay(RSO(Adam(0.1), rank=2, update_gap=3), weight_decay=0.1),
    GaLore(AdaLomo(0.1), rank=2, update_gap=3),
    RSO(AdamMini(0.1), rank=2, update_gap=4, law="coordinate"),
    WeightDecay(GaLore(AdamW(0.1, weight_decay=0.1), rank=2, update_gap=3), weight_decay=0.1),
)


def weights(dtype: torch.dtype = torch.float64) -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(normal((5, 4), generator(i)).to(dtype)) for i, name in enumerate("ab")}


def move(optimizer: Stepwise, w: dict[str, nn.Parameter], steps: range) -> None:
    for k in steps:
        for i, p in enumerate(w.values()):
            p.grad = normal((5, 4), generator(7, i, k)).to(p.dtype)
        optimizer.step()


def test_one_group_per_distinct_rule_with_names_and_rate():
    rules = {"a": Adam(lr=0.1), "b": GradientDescent(lr=0.2), "c": Adam(lr=0.1)}
    w = {**weights(), "c": nn.Parameter(torch.ones(2))}
    groups = Stepwise(w.items(), rules).param_groups
    assert [(g["lr"], g["param_names"]) for g in groups] == [(0.1, ["a", "c"]), (0.2, ["b"])]


def test_a_scheduler_of_torch_sets_the_rate():
    """Gradient descent under 1, 1/2, 1/4 of lr = 0.4 with gradient 1: w falls by 0.7."""
    w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = Stepwise([("w", w)], GradientDescent(lr=0.4))
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    for _ in range(3):
        w.grad = torch.ones(2, dtype=torch.float64)
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(w.detach(), torch.full((2,), -0.7, dtype=torch.float64), rtol=1e-15, atol=0)


def test_a_schedule_reaches_the_inner_rule_of_a_frame():
    """Adam's first step is lr * sign, so the step of a frame around it is linear in group['lr']."""
    moved = []
    for lr in (0.1, 0.2):
        w = weights()
        optimizer = Stepwise(w.items(), GaLore(Adam(lr=0.1), rank=2))
        optimizer.param_groups[0]["lr"] = lr
        move(optimizer, w, range(1))
        moved.append(w["a"].detach() - weights()["a"].detach())
    torch.testing.assert_close(moved[1], 2 * moved[0], rtol=1e-12, atol=1e-15)


def test_closure_is_run_with_gradients_and_its_loss_returned():
    w = nn.Parameter(torch.tensor([3.0]))
    optimizer = Stepwise([("w", w)], GradientDescent(lr=0.5))

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert w.item() == 0.0


def test_a_tensor_without_a_gradient_stays_and_does_not_count():
    w = weights()
    optimizer = Stepwise(w.items(), Adam(lr=0.1))
    before, w["a"].grad = w["b"].detach().clone(), torch.ones(5, 4, dtype=torch.float64)
    optimizer.step()
    assert torch.equal(w["b"], before) and not optimizer.state.get(w["b"])
    assert optimizer.state[w["a"]]["step"] == 1


BFLOAT16 = dict(state_dtype=torch.float32, rounding="stochastic")


@pytest.mark.parametrize("dtype, settings", [(torch.float64, {}), (torch.bfloat16, BFLOAT16)], ids=["float64", "bfloat16"])
@pytest.mark.parametrize("rule", MATRIX_RULES, ids=repr)
def test_continues_from_a_saved_state_with_the_same_bits(rule, dtype, settings):
    """Through torch.save with weights_only; torch alone would round float32 states beside bfloat16 weights."""
    straight, broken = weights(dtype), weights(dtype)
    move(Stepwise(straight.items(), rule, seed=5, **settings), straight, range(10))
    first = Stepwise(broken.items(), rule, seed=5, **settings)
    move(first, broken, range(5))
    torch.save(first.state_dict(), file := io.BytesIO())
    file.seek(0)
    second = Stepwise(broken.items(), rule, seed=5, **settings)
    second.load_state_dict(torch.load(file, weights_only=True))
    move(second, broken, range(5, 10))
    assert all(torch.equal(straight[name], broken[name]) for name in straight)


@pytest.mark.parametrize("rule", MATRIX_RULES, ids=repr)
def test_a_deep_copy_continues_with_the_same_bits_and_apart(rule):
    """Weights and optimizer copied together: the copy moves the copied weights and leaves the others alone."""
    w = weights()
    optimizer = Stepwise(w.items(), rule, seed=5)
    move(optimizer, w, range(5))
    copied, again = copy.deepcopy((w, optimizer))
    move(optimizer, w, range(5, 10))
    kept = w["a"].detach().clone()
    move(again, copied, range(5, 10))
    assert all(torch.equal(w[name], copied[name]) for name in w)
    move(again, copied, range(10, 11))
    assert torch.equal(w["a"], kept) and not torch.equal(copied["a"], kept)


def test_loading_keeps_the_scheduled_rate_and_copies_the_state():
    w = weights()
    first, second = Stepwise(w.items(), Adam(lr=0.1)), Stepwise(w.items(), Adam(lr=0.1))
    move(first, w, range(1))
    first.param_groups[0]["lr"] = 0.03
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["lr"] == 0.03
    assert second.state[w["a"]]["m"].data_ptr() != first.state[w["a"]]["m"].data_ptr()
    assert type(second.state[w["a"]]["b1_t"]) is float


def test_the_state_of_another_rule_is_refused():
    w = weights()
    adam, descent = Stepwise(w.items(), Adam(lr=0.1)), Stepwise(w.items(), GradientDescent(0.1, momentum=0.9))
    move(adam, w, range(1))
    with pytest.raises(ValueError, match=r"the state of a must have the fields \['b', 'step'\] of GradientDescent, got"):
        descent.load_state_dict(adam.state_dict())
    assert not descent.state and "betas" not in descent.param_groups[0]  # nothing was loaded by halves


def test_the_state_of_another_shape_is_refused():
    """Adam-mini by rows and Adam have the same fields, and a wider layer has the same rule."""
    w = weights()
    adam, rows = Stepwise(w.items(), Adam(lr=0.1)), Stepwise(w.items(), AdamMini(lr=0.1, n_blocks=5))
    move(adam, w, range(1))
    with pytest.raises(ValueError, match=r"'v' in the state of a must have shape \(5,\) for a weight of shape \(5, 4\), got \(5, 4\)"):
        rows.load_state_dict(adam.state_dict())
    wider = Stepwise([(name, nn.Parameter(torch.ones(5, 6))) for name in "ab"], Adam(lr=0.1))
    with pytest.raises(ValueError, match=r"'m' in the state of a must have shape \(5, 6\) .* got \(5, 4\); load it beside the weights"):
        wider.load_state_dict(adam.state_dict())


def test_the_same_tensors_in_another_order_are_refused():
    w = weights()
    first, second = Stepwise(w.items(), Adam(lr=0.1)), Stepwise(reversed(w.items()), Adam(lr=0.1))
    move(first, w, range(1))
    with pytest.raises(ValueError, match="matched by position, and its tensor 0 is a where the optimizer has b"):
        second.load_state_dict(first.state_dict())


def test_the_seed_and_the_position_decide_the_draws():
    def final(seed: int, start: int = 0) -> dict[str, nn.Parameter]:
        w = {name: nn.Parameter(torch.ones(5, 4)) for name in "ab"}
        move(Stepwise(w.items(), RSO(Adam(0.1), rank=2, update_gap=2), seed=seed), w, range(start, start + 3))
        return w

    assert torch.equal(final(1)["a"], final(1)["a"])
    assert not torch.equal(final(1)["a"], final(2)["a"])
    w = {name: nn.Parameter(torch.ones(5, 4)) for name in "ab"}
    for p in w.values():
        p.grad = torch.ones(5, 4)  # the same gradient: only the draw differs
    Stepwise(w.items(), RSO(Adam(0.1), rank=2, update_gap=2), seed=1).step()
    assert not torch.equal(w["a"], w["b"])


def test_no_draw_reads_or_moves_the_global_seed():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    w = weights()
    move(Stepwise(w.items(), RSO(Adam(0.1), rank=2, update_gap=2)), w, range(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_wide_step_is_added_before_it_is_rounded():
    """AdaLomo computes in float32: a bfloat16 weight is rounded once, after the sum, as its authors' code does."""
    w = nn.Parameter(normal((16, 16), generator(0)).to(torch.bfloat16))
    start, w.grad = w.detach().clone(), normal((16, 16), generator(1)).to(torch.bfloat16)
    rule = AdaLomo(lr=0.013)
    delta, _ = rule.step(w.grad, rule.init(start), start)
    Stepwise([("w", w)], rule).step()
    assert torch.equal(w, (start.float() + delta).to(torch.bfloat16))
    assert not torch.equal(w, start + delta.to(torch.bfloat16))  # or the test could not tell


def test_a_rule_that_cannot_take_its_tensor_is_refused_at_once():
    with pytest.raises(ValueError, match=r"rank 4 needs a 2-D weight with both sides >= rank, got shape \(3,\)"):
        Stepwise([("w", nn.Parameter(torch.ones(3)))], GaLore(Adam(lr=0.1), rank=4))


def test_a_tensor_under_two_names_is_refused():
    w = nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError, match="every tensor must be named once, got 2 names for 1 tensors"):
        Stepwise([("w", w), ("tied", w)], Adam(lr=0.1))
