"""A run that is stopped, saved to a file and continued is the run that was not stopped, bit for bit: every rule and frame.

Nine steps, broken after the fifth: inside a round of every frame, with the refresh of step 7 still to come, so that old
coordinates, moments and products of decays are all needed again.
"""

import io

import pytest
import torch
from torch import nn

from sandbox.draws import generator, normal
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise
from tests.test_conformance import RULES, SHAPES, assigned, starts

BREAK, END = 5, 9


def weights(dtype: torch.dtype) -> dict[str, nn.Parameter]:
    return {key: nn.Parameter(w.to(dtype)) for key, w in starts(0).items()}


def move(optimizer: torch.optim.Optimizer, w: dict[str, nn.Parameter], steps: range) -> None:
    """The loss is the inner product of the weights and their gradients, so both shells see the same ones."""
    for k in steps:
        optimizer.zero_grad()
        sum((p * normal(SHAPES[key], generator(40, i, k)).to(p.dtype)).sum() for i, (key, p) in enumerate(w.items())).backward()
        optimizer.step()


def through_a_file(saved: dict) -> dict:
    torch.save(saved, file := io.BytesIO())
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shell", [Stepwise, Fused])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_a_saved_run_continues_with_the_same_bits(name, shell, dtype):
    straight, broken = weights(dtype), weights(dtype)
    move(shell(straight.items(), assigned(name), seed=1), straight, range(END))
    first = shell(broken.items(), assigned(name), seed=1)
    move(first, broken, range(BREAK))
    saved = through_a_file({"optimizer": first.state_dict(), "weights": {key: w.detach() for key, w in broken.items()}})
    resumed = {key: nn.Parameter(w) for key, w in saved["weights"].items()}
    second = shell(resumed.items(), assigned(name), seed=1)
    second.load_state_dict(saved["optimizer"])
    move(second, resumed, range(BREAK, END))
    assert all(torch.equal(straight[key], resumed[key]) for key in SHAPES)
    assert not any(torch.equal(resumed[key], broken[key]) for key in SHAPES)


@pytest.mark.parametrize("lost", ["m", "v", "b1_t", "step", "P"])
def test_a_run_that_loses_one_entry_of_its_state_goes_elsewhere(lost):
    """The control: without it the test above could not fail."""
    name = "galore"
    straight, broken = weights(torch.float64), weights(torch.float64)
    move(Stepwise(straight.items(), assigned(name), seed=1), straight, range(END))
    first = Stepwise(broken.items(), assigned(name), seed=1)
    move(first, broken, range(BREAK))
    saved = through_a_file(first.state_dict())
    entry = saved["state"][0]
    key = next(key for key in entry if key.rpartition(".")[2] == lost)
    entry[key] = entry[key] * 0 if isinstance(entry[key], torch.Tensor) else type(entry[key])(BREAK - 1)
    second = Stepwise(broken.items(), assigned(name), seed=1)
    second.load_state_dict(saved)
    move(second, broken, range(BREAK, END))
    assert not torch.equal(straight["wide"], broken["wide"])
