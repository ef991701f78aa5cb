"""The battery finds what is planted, and what it says of torch's, of other people's and of our optimizers."""

import contextlib
import importlib
import io

import pytest
import torch
from torch import nn

from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.problems.quadratic import Quadratic
from sandbox.run import run
from sandbox.shells.battery import QUESTIONS, Finding, Outcome, battery
from sandbox.shells.foreign import foreign
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

OURS = (
    GradientDescent(0.01, momentum=0.9),
    AdamW(0.01, weight_decay=0.1),
    AdamMini(0.01, n_blocks=2),
    AdaLomo(0.01, weight_decay=0.1),
    GaLore(Adam(0.01), rank=2, update_gap=3),
    RSO(AdamMini(0.01), rank=2, update_gap=4),
)
TORCH = {
    "SGD": foreign(torch.optim.SGD, lr=0.01, momentum=0.9),
    "AdamW": foreign(torch.optim.AdamW, lr=0.01),
    "Adafactor": foreign(torch.optim.Adafactor, lr=0.01),
}
JUDGED = len(QUESTIONS) - 2  # two are reports


def asked(make, **how) -> dict[str, Finding]:
    with contextlib.redirect_stdout(io.StringIO()):  # adam-mini prints its partition
        return {finding.name: finding for finding in battery(make, **how)}


def failing(findings: dict[str, Finding]) -> set[str]:
    return {name for name, finding in findings.items() if finding.outcome is Outcome.FAILS}


@pytest.mark.parametrize("shell", [Stepwise, Fused])
@pytest.mark.parametrize("rule", OURS, ids=repr)
def test_ours_keep_every_promise_and_refuse_what_is_not_finite(rule, shell):
    findings = asked(lambda p: shell(p, rule))
    assert not failing(findings)
    assert "raises FloatingPointError; after one nan in a gradient 0 of 96 weights" in findings["gradient that is not finite"].sentence


@pytest.mark.parametrize("name", TORCH)
def test_torch_keeps_them_too_and_lets_a_nan_into_the_weights(name):
    findings = asked(TORCH[name].build)
    assert [f.outcome for f in findings.values()].count(Outcome.HOLDS) == JUDGED
    poisoned = 48 if name == "Adafactor" else 1  # a norm over the matrix spreads one nan over all of it
    assert f"after one nan in a gradient {poisoned} of 96 weights are not finite" in findings["gradient that is not finite"].sentence


def test_bytes_of_state_are_counted():
    """SGD's one buffer; AdamW's two and a float32 counter of 4 bytes per tensor; nothing without momentum."""
    expected = {"SGD": 384, "AdamW": 2 * 384 + 2 * 4}
    assert all(
        f"{n} bytes in optimizer.state beside 384" in asked(TORCH[name].build)["bytes of state"].sentence for name, n in expected.items()
    )
    assert "0 bytes in optimizer.state" in asked(foreign(torch.optim.SGD, lr=0.1).build)["bytes of state"].sentence


class Faulty(torch.optim.SGD):
    """SGD with one fault, planted by name."""

    fault = ""

    def step(self, closure=None):
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None and self.fault != "gradient":
                    continue
                state = self.state[w]
                k = state["k"] = state.get("k", 0) + 1
                lr = 0.01 if self.fault == "rate" else self.param_groups[0]["lr"] if self.fault == "group" else group["lr"]
                delta = -lr * w.grad
                delta = {"sign": -delta, "constant": delta - lr, "random": delta * torch.rand(())}.get(self.fault, delta)
                w.data.add_(delta / k if self.fault == "count" else delta)

    def state_dict(self):
        return super().state_dict() | ({"state": {}} if self.fault == "count" else {})


FAULTS = {
    "": set(),
    "sign": {"first step goes downhill"},
    "constant": {"zero gradient moves nothing but decay"},
    "random": {"same run, same bits", "saved run continues with the same bits"},
    "count": {"saved run continues with the same bits"},
    "rate": {"scheduler is obeyed", "rates of groups are obeyed"},
    "group": {"rates of groups are obeyed"},
    "gradient": {"missing gradient is tolerated"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_where_it_is(fault):
    broken = type("Broken", (Faulty,), {"fault": fault})
    assert failing(asked(foreign(broken, lr=0.001).build)) == FAULTS[fault]


def test_an_exception_is_quoted():
    assert asked(foreign(type("B", (Faulty,), {"fault": "gradient"}), lr=0.01).build)["missing gradient is tolerated"].sentence.startswith(
        "raises TypeError: "
    )


class Model(nn.Module):
    def __init__(self, named) -> None:
        super().__init__()
        for name, w in named:
            self.register_parameter(name, w)


def lomo(module):
    return lambda named: module.Lomo(Model(named), lr=0.01)


PEERS = {
    "came_pytorch": (lambda m: foreign(m.CAME, lr=0.01).build, set()),
    # takes no groups, only named parameters
    "adam_mini": (lambda m: foreign(m.Adam_mini, takes="named", lr=0.01, dim=8, n_heads=2).build, {"rates of groups are obeyed"}),
    # the rate is an argument of fused_backward, and the constructor takes a model
    "lomo_optim": (lomo, {"rates of groups are obeyed", "scheduler is obeyed"}),
}


@pytest.mark.parametrize("package", PEERS)
def test_what_the_battery_says_of_other_packages(package):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install -e .[peers]")
    make, expected = PEERS[package]
    how = {"advance": lambda optimizer, loss: optimizer.fused_backward(loss, 0.01)} if package == "lomo_optim" else {}
    findings = asked(make(importlib.import_module(package)), **how)
    assert failing(findings) == expected
    assert "raises" not in findings["gradient that is not finite"].sentence  # none of them says anything


def test_a_foreign_optimizer_runs_where_our_rules_run():
    """torch's AdamW and ours on one problem, through the one loop: the same trace to float64 rounding."""
    problem = Quadratic((1.0, 2.0, 5.0))
    theirs = run(problem, foreign(torch.optim.AdamW, lr=0.05, weight_decay=0.1), steps=20, seed=0, schedule=lambda k: 1 / (k + 1))
    ours = run(problem, AdamW(0.05, weight_decay=0.1), steps=20, seed=0, schedule=lambda k: 1 / (k + 1))
    assert theirs.loss.tolist() == pytest.approx(ours.loss.tolist(), rel=1e-12) and ours.loss[-1] < ours.loss[0]


def test_a_rule_is_no_foreign_optimizer():
    with pytest.raises(ValueError, match="a foreign optimizer is a class of torch.optim.Optimizer, got Adam"):
        foreign(Adam(lr=0.1))
    assert foreign(torch.optim.SGD, lr=0.1) == foreign(torch.optim.SGD, lr=0.1)
