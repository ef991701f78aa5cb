"""The seed of the draws and the count of steps left out are saved, in every shell; another seed is refused."""

import copy
import io

import pytest
import torch
from torch import nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.oracles.two_point import TwoPoint
from sandbox.shells.fused import Fused
from sandbox.shells.in_place import InPlace
from sandbox.shells.stepwise import Stepwise
from sandbox.shells.subspace import Subspace

RULE = RSO(Adam(0.1), rank=2, update_gap=2)
SHELLS = {
    "stepwise": lambda model, seed: Stepwise(model.named_parameters(), RULE, seed=seed, nonfinite="skip"),
    "fused": lambda model, seed: Fused(model.named_parameters(), RULE, seed=seed, nonfinite="skip"),
    "subspace": lambda model, seed: Subspace(model, {"0.weight": RULE}, seed=seed, nonfinite="skip"),
    "in place": lambda model, seed: InPlace(model.named_parameters(), GradientDescent(0.1), TwoPoint(), seed=seed, nonfinite="skip"),
}
each_shell = pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)


def network() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 3, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(normal((3, 4), generator(0)))
    return model


def run(model: nn.Module, optimizer: torch.optim.Optimizer, factors: tuple[float, ...]) -> None:
    """One step per factor of the loss; a factor of nan leaves its step out."""
    for k, factor in enumerate(factors):
        x = normal((5, 4), generator(1, k))
        if isinstance(optimizer, InPlace):
            optimizer.step(lambda x=x, factor=factor: factor * model(x).square().sum())
        else:
            optimizer.zero_grad()
            (factor * model(x).square().sum()).backward()
            optimizer.step()


def saved_after_a_skip(shell) -> tuple[nn.Module, dict]:
    model = network()
    run(model, optimizer := shell(model, 5), (1.0, torch.nan, 1.0))
    torch.save(optimizer.state_dict(), file := io.BytesIO())
    file.seek(0)
    return model, torch.load(file, weights_only=True)


@each_shell
def test_seed_and_skipped_are_saved_and_loaded(shell):
    _, saved = saved_after_a_skip(shell)
    again = shell(network(), 5)
    assert again.skipped == 0
    again.load_state_dict(saved)
    assert again.skipped == 1 and again.state_dict()["param_groups"][0]["seed"] == 5
    assert copy.deepcopy(again).skipped == 1


@each_shell
def test_another_seed_is_refused_and_nothing_is_loaded(shell):
    _, saved = saved_after_a_skip(shell)
    other = shell(network(), 6)
    with pytest.raises(ValueError, match="come from seed 5 and the shell was made with seed 6, .*; make it with seed=5, or delete 'seed'"):
        other.load_state_dict(saved)
    assert not any(other.state.values()) and other.skipped == 0 and other.param_groups[0]["seed"] == 6


@each_shell
def test_a_checkpoint_that_says_no_seed_loads_and_the_next_one_says_it(shell):
    _, saved = saved_after_a_skip(shell)
    for group in saved["param_groups"]:
        del group["seed"], group["skipped"]
    other = shell(network(), 6)
    other.load_state_dict(saved)
    assert any(other.state.values()) and other.skipped == 0
    assert other.state_dict()["param_groups"][0]["seed"] == 6


def test_groups_of_another_shell_say_their_seed_too():
    """Its param_groups, handed over as they are, bring their settings; with another seed they are refused."""
    w = nn.Parameter(torch.ones(3))
    groups = Stepwise([("w", w)], Adam(0.3), seed=4).param_groups
    again = Stepwise(groups, Adam(0.1), seed=4)
    assert again.param_groups[0]["lr"] == 0.3 and again.param_groups[0]["param_names"] == ["w"]
    with pytest.raises(ValueError, match="come from seed 4 and the shell was made with seed 0"):
        Stepwise(groups, Adam(0.1))


def test_every_group_counts_and_a_later_one_does_not_set_the_count_back():
    w = {name: nn.Parameter(torch.ones(2)) for name in "ab"}
    optimizer = Stepwise([("a", w["a"])], GradientDescent(0.1), nonfinite="skip")
    w["a"].grad = torch.full((2,), torch.nan)
    optimizer.step()
    optimizer.add_param_group({"params": [("b", w["b"])]})
    optimizer.step()
    assert optimizer.skipped == 2 and [group["skipped"] for group in optimizer.param_groups] == [2, 2]
