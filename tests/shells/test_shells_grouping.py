"""Parameter groups in torch's form and in named form, their settings, learning rates that cannot be used, schedulers."""

import math

import pytest
import torch
from torch import nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.fused import Fused
from sandbox.shells.grouping import live, overridden
from sandbox.shells.slot import scheduled
from sandbox.shells.stepwise import Stepwise

each_shell = pytest.mark.parametrize("shell", [Stepwise, Fused])


def matrices(*names: str) -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(normal((4, 3), generator(i))) for i, name in enumerate(names)}


def train(optimizer: torch.optim.Optimizer, w: dict[str, nn.Parameter], steps: int) -> None:
    for k in range(steps):
        optimizer.zero_grad()
        sum((x * normal((4, 3), generator(5, i, k))).sum() for i, x in enumerate(w.values())).backward()
        optimizer.step()


@each_shell
@pytest.mark.parametrize("named", ["tensors", "pairs", "param_names"])
def test_groups_of_torch_against_torch(shell, named):
    """Other rate, decay and betas per group: 20 steps of torch.optim.AdamW with the same groups; float64 rounding."""
    ours, theirs = matrices("a", "b", "c"), matrices("a", "b", "c")

    def groups(w: dict) -> list[dict]:
        form = {"tensors": lambda *n: {"params": [w[x] for x in n]}, "pairs": lambda *n: {"params": [(x, w[x]) for x in n]}}
        form["param_names"] = lambda *n: {"params": [w[x] for x in n], "param_names": list(n)}
        make = form[named] if w is ours else form["tensors"]
        return [{**make("a", "b"), "lr": 0.02}, {**make("c"), "weight_decay": 0.0, "betas": (0.8, 0.99)}]

    train(shell(groups(ours), AdamW(0.01, weight_decay=0.1)), ours, 20)
    train(torch.optim.AdamW(groups(theirs), lr=0.01, weight_decay=0.1), theirs, 20)
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-12, atol=1e-14)


@each_shell
def test_plain_tensors_and_names_give_the_same_run(shell):
    named, plain = matrices("a", "b"), matrices("a", "b")
    optimizer = shell(plain.values(), GaLore(Adam(0.1), rank=2))
    assert optimizer.param_groups[0]["param_names"] == ["param_0", "param_1"]
    train(shell(named.items(), GaLore(Adam(0.1), rank=2)), named, 3)
    train(optimizer, plain, 3)
    assert all(torch.equal(named[key], plain[key]) for key in named)


def test_groups_keep_their_order_and_number_though_their_rules_are_equal():
    w = matrices("a", "b")
    optimizer = Stepwise([{"params": [w["a"]]}, {"params": w["b"]}], Adam(lr=0.1))
    assert [g["param_names"] for g in optimizer.param_groups] == [["param_0"], ["param_1"]]


def test_a_table_of_rules_and_a_rule_of_its_own_go_with_groups():
    w = matrices("a", "b", "c")
    form = [{"params": [("a", w["a"]), ("b", w["b"])], "lr": 0.5}, {"params": [("c", w["c"])], "rule": GradientDescent(0.3)}]
    groups = Stepwise(form, {"a": Adam(0.1), "b": GradientDescent(0.2)}).param_groups
    assert [(g["param_names"], g["lr"]) for g in groups] == [(["a"], 0.5), (["b"], 0.5), (["c"], 0.3)]


@each_shell
def test_a_group_may_come_later_and_draws_go_on_from_its_position(shell):
    """Adding c after two steps, against a shell that has had it all along with no gradient."""
    late, early, rule = matrices("a", "b", "c"), matrices("a", "b", "c"), RSO(Adam(0.1), rank=2, update_gap=2)
    optimizer, other = shell([(key, late[key]) for key in "ab"], rule, seed=3), shell(early.items(), rule, seed=3)
    for w, o in ((late, optimizer), (early, other)):
        train(o, {key: w[key] for key in "ab"}, 2)
    optimizer.add_param_group({"params": [("c", late["c"])], "lr": 0.1, "eps": 1e-8})
    for w, o in ((late, optimizer), (early, other)):
        train(o, w, 3)
    assert all(torch.equal(late[key], early[key]) for key in late)
    assert optimizer.state[late["c"]]["step"] == 3 and len(optimizer.param_groups) == 2


def test_a_late_group_beside_a_table_needs_its_rule_and_a_known_tensor_is_refused():
    w = matrices("a", "b")
    optimizer = Stepwise([("a", w["a"])], {"a": Adam(0.1)})
    with pytest.raises(ValueError, match='made with a table of rules, which says nothing of new tensors; give the group a "rule"'):
        optimizer.add_param_group({"params": [("b", w["b"])]})
    with pytest.raises(ValueError, match="a tensor can be in one group, and again is there already"):
        optimizer.add_param_group({"params": [("again", w["a"])], "rule": Adam(0.2)})
    with pytest.raises(ValueError, match="a tensor can be in one group, and a is there already"):
        optimizer.add_param_group({"params": [("a", w["b"])], "rule": Adam(0.2)})
    optimizer.add_param_group({"params": [("b", w["b"])], "rule": Adam(0.2)})
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.2]


def test_a_setting_without_effect_is_refused():
    w = matrices("a")
    with pytest.raises(ValueError, match="Adam has no field 'momentum', so setting it to 0.9 in a group would have no effect"):
        Stepwise([{"params": [w["a"]], "momentum": 0.9}], GaLore(Adam(0.1), rank=2))
    with pytest.raises(ValueError, match=r"rules must name parameters of the groups alone, got \['typo'\], 1 of which no group has"):
        Stepwise([{"params": w.items()}], {"a": Adam(0.1), "typo": Adam(0.1)})
    with pytest.raises(ValueError, match="every group must have parameters, got none in group 1; leave it out"):
        Stepwise([{"params": [w["a"]]}, {"params": []}], Adam(0.1))
    with pytest.raises(ValueError, match="a shell needs at least one parameter, got none"):
        Stepwise([], Adam(0.1))


def test_settings_of_a_group_reach_every_level_and_are_checked():
    rule = overridden(GaLore(Adam(0.1), rank=2), {"scale": 0.5, "eps": 1e-6})
    assert rule == GaLore(Adam(0.1, eps=1e-6), rank=2, scale=0.5)
    with pytest.raises(ValueError, match=r"betas of Adam must lie in \[0, 1\), got beta2 = 1.5"):
        overridden(rule, {"betas": (0.9, 1.5)})
    assert set(live(rule)) == {"scale", "lr", "betas", "eps"}  # counts are fixed
    assert live(WeightDecay(AdamW(0.1, weight_decay=0.2), weight_decay=0.3))["weight_decay"] == 0.3  # the one that overrides meet


@each_shell
@pytest.mark.parametrize("lr", [-0.1, math.nan])
def test_a_rate_that_is_negative_or_nan_is_refused_at_once_and_in_a_schedule(shell, lr):
    w = matrices("a")
    for make in (lambda: Adam(lr), lambda: shell([{"params": [w["a"]], "lr": lr}], Adam(0.1))):
        with pytest.raises(ValueError, match=f"lr of Adam must be >= 0, got {lr}"):
            make()
    optimizer = shell(w.items(), Adam(0.1))
    for value in (lr, torch.tensor(lr)):
        optimizer.param_groups[0]["lr"] = value
        with pytest.raises(ValueError, match="lr must be a number >= 0, got .* in the group of a; look at the schedule"):
            train(optimizer, w, 1)
        shell is Fused and optimizer.step()
    assert torch.equal(w["a"], matrices("a")["a"])


@each_shell
@pytest.mark.parametrize(
    "lr, said", [("0.1", "a number or a 0-dim tensor, got '0.1'"), (None, "a number or .*, got None"), (math.inf, "finite, got inf")]
)
def test_a_rate_that_is_no_finite_number_is_refused_at_once_and_in_a_schedule(shell, lr, said):
    w = matrices("a")
    with pytest.raises(ValueError, match=f"lr must be {said} in the group of param_0"):
        shell([{"params": [w["a"]], "lr": lr}], GaLore(Adam(0.1), rank=2))
    optimizer = shell(w.items(), Adam(0.1))
    optimizer.param_groups[0]["lr"] = lr
    with pytest.raises(ValueError, match=f"lr must be {said} in the group of a"):
        train(optimizer, w, 1)
    assert torch.equal(w["a"], matrices("a")["a"])


@each_shell
def test_a_rule_that_was_made_with_an_infinite_rate_is_refused(shell):
    with pytest.raises(ValueError, match="lr must be finite, got inf in the group of a"):
        shell(matrices("a").items(), Adam(math.inf))


@each_shell
def test_a_schedule_made_late_goes_on_from_initial_lr(shell):
    """torch's convention: last_epoch != -1 needs initial_lr in every group. The rates of torch.optim under the same schedule."""
    ours, theirs, rates = matrices("a", "b"), matrices("a", "b"), []
    for w, make in ((ours, lambda groups: shell(groups, Adam(0.1))), (theirs, torch.optim.Adam)):
        optimizer = make([{"params": [w["a"]], "lr": 0.025, "initial_lr": 0.1}, {"params": [w["b"]], "lr": 0.5, "initial_lr": 2.0}])
        schedule, seen = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9, last_epoch=4), []
        for _ in range(3):
            seen.append([group["lr"] for group in optimizer.param_groups])
            train(optimizer, w, 1)
            schedule.step()
        rates.append(seen)
    assert rates[0] == rates[1] and rates[0][0] != rates[0][1]


def test_initial_lr_stays_with_its_group():
    """Other groups, and those that come later, have none of it; one that is no number is refused."""
    w = matrices("a", "b", "c")
    optimizer = Stepwise(
        [{"params": [w["a"], w["b"]], "initial_lr": 0.3, "param_names": ["a", "b"]}], {"a": Adam(0.1), "b": GradientDescent(0.1)}
    )
    optimizer.add_param_group({"params": [("c", w["c"])], "rule": Adam(0.1)})
    assert [group.get("initial_lr") for group in optimizer.param_groups] == [0.3, 0.3, None]
    with pytest.raises(ValueError, match="initial_lr must be a number or a 0-dim tensor, got '1' in the group of param_0"):
        Stepwise([{"params": [w["a"]], "initial_lr": "1"}], Adam(0.1))


def test_a_rate_of_several_numbers_is_refused():
    w = matrices("a")
    optimizer = Stepwise(w.items(), Adam(0.1))
    optimizer.param_groups[0]["lr"] = torch.ones(3)
    with pytest.raises(ValueError, match=r"lr must be one number, got a tensor of shape \(3,\) in the group of a"):
        scheduled(optimizer.param_groups[0], optimizer._slots)


@each_shell
def test_a_tensor_as_rate_follows_a_scheduler_and_leaves_the_rule_alone(shell):
    """Halved twice: the run of the Python number. float64, so that 0.1 is the same number."""
    lr = torch.tensor(0.1, dtype=torch.float64)
    by_tensor, by_float = matrices("a"), matrices("a")
    for w, rate in ((by_tensor, lr), (by_float, 0.1)):
        optimizer = shell(w.items(), Adam(rate))
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        for _ in range(3):
            train(optimizer, w, 1)
            schedule.step()
    torch.testing.assert_close(by_tensor["a"], by_float["a"], rtol=1e-14, atol=1e-15)
    assert lr.item() == 0.1
    again = shell(by_tensor.items(), Adam(lr))
    again.load_state_dict(optimizer.state_dict())
    assert float(again.param_groups[0]["lr"]) == 0.0125


SCHEDULERS = {
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=5),
    "linear": lambda o: torch.optim.lr_scheduler.LinearLR(o, total_iters=4),
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.05, total_steps=10, cycle_momentum=False),
    "chain": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o, [torch.optim.lr_scheduler.ConstantLR(o, 0.5, 2), torch.optim.lr_scheduler.StepLR(o, 2)], milestones=[3]
    ),
}


@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_schedulers_of_torch_against_torch(scheduler):
    """8 steps of AdamW in float64."""
    ours, theirs = matrices("a", "b"), matrices("a", "b")
    peer = torch.optim.AdamW(theirs.values(), 0.02, weight_decay=0.1)
    for w, optimizer in ((ours, Stepwise(ours.items(), AdamW(0.02, weight_decay=0.1))), (theirs, peer)):
        schedule = scheduler(optimizer)
        for k in range(8):
            optimizer.zero_grad()
            sum((x * normal((4, 3), generator(5, i, k))).sum() for i, x in enumerate(w.values())).backward()
            optimizer.step()
            schedule.step()
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-12, atol=1e-14)


CYCLES = {
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.05, total_steps=10),
    "cyclic": lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.05, step_size_up=2),
}


@pytest.mark.parametrize("scheduler", CYCLES.values(), ids=CYCLES)
def test_a_cycle_of_momentum_moves_beta1_and_keeps_the_average_unbiased(scheduler):
    """Under a constant gradient an unbiased m is that gradient, so Adam steps by lr whatever beta1 does. torch's Adam divides by
    1 - beta1^t with the present beta1, which is right for a constant one alone; there we differ on purpose.
    """
    distance, moved = {}, 0.0
    for name in ("ours", "torch"):
        w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        optimizer = Stepwise([("w", w)], Adam(0.01, eps=0.0)) if name == "ours" else torch.optim.Adam([w], 0.01, eps=0.0)
        schedule, rates, decays = scheduler(optimizer), [], []
        for _ in range(8):
            rates.append(optimizer.param_groups[0]["lr"])
            decays.append(optimizer.param_groups[0]["betas"][0])
            w.grad = torch.ones(2, dtype=torch.float64)
            optimizer.step()
            schedule.step()
        distance[name] = (-w[0].item() - sum(rates)) / sum(rates)
        moved = optimizer.state[w].get("b1_t", moved)
    assert max(decays) - min(decays) > 0.05 and moved == pytest.approx(math.prod(decays), rel=1e-12)
    assert abs(distance["ours"]) < 1e-12 < 1e-3 < abs(distance["torch"])
