"""What a watch tells of a run: which tensor of a kind, at which step, relative to what; by weights that move by known amounts."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from sandbox.handoff.schema import Band
from sandbox.handoff.target import STEPS
from sandbox.models.roles import Role
from sandbox.optimizers.adamw import AdamW
from sandbox.scale.canaries import CanaryFailed
from sandbox.scale.data import Once
from sandbox.scale.foresee import Held, Part
from sandbox.scale.job import Ranks
from sandbox.scale.watch import Watch, whole_everywhere
from sandbox.shells.stepwise import Stepwise

ROLES = {"first": Role("query", (1,), (0,)), "second": Role("query", (1,), (0,)), "gone": Role("bias", (), (0,))}


class Moving:
    """Every entry of `first` grows by 0.1 k at step k, from 1; those of `second` ten times as much; losses are 100, 101, ..."""

    def __init__(self):
        self.model = nn.Module()
        self.model.first, self.model.second = nn.Parameter(torch.ones(3, 2)), nn.Parameter(torch.ones(3, 2))
        self.losses, self.ranks, self.before_update = [], Ranks(0, 1, torch.device("cpu")), None

    def step(self):
        k = len(self.losses) + 1
        with torch.no_grad():
            for w, size in ((self.model.first, 0.1), (self.model.second, 1.0)):
                w.grad = torch.zeros_like(w)
                w += size * k
        self.before_update()
        self.losses.append(99.0 + k)
        return self.losses[-1]


@pytest.fixture
def seen():
    watch = Watch(Moving(), ROLES)
    for _ in range(11):
        watch.step()
    return watch


def test_a_ratio_is_of_the_first_tensor_of_its_kind_to_what_it_was_before_the_step(seen):
    """Before step k the entries are 1 + 0.1 (k - 1) k / 2, and step k adds 0.1 k. Float32: 1e-6."""
    assert seen.ratios == {"query": {k: pytest.approx(0.1 * int(k) / (1 + 0.05 * (int(k) - 1) * int(k)), rel=1e-6) for k in STEPS}}


def test_the_losses_are_those_before_the_first_step_and_after_ten(seen):
    found = seen.seen()
    assert (found.loss_0, found.loss_10) == (100.0, 110.0) and found.ratios == seen.ratios


def test_the_loss_that_is_held_to_the_last_band_is_the_one_after_ten_steps():
    run, said = Moving(), []
    watch = Watch(run, ROLES)
    plan = SimpleNamespace(shell="stepwise", rules={}, trainee=SimpleNamespace(roles=ROLES))
    target = SimpleNamespace(loss_0=Band(low=0, high=1e9), loss_10=Band(low=109.5, high=110.5), update_ratio={})
    guard = Held(plan, watch, run, target, said.append)
    for _ in range(11):
        watch.step()
    guard.check()
    assert said == ["the first ten steps lie in the bands that the card foresees for this model"]
    run.losses[10] = 109.0
    with pytest.raises(CanaryFailed, match=r"the loss before step 10 must lie in \[109.5, 110.5\], and 109 came"):
        guard.check()


def test_gradients_are_counted_at_the_first_step_alone(seen):
    assert seen.gradients == 2 * 6 * 4


def test_parts_of_a_state_without_the_first_side_of_their_weight_lie_on_every_rank():
    """AdamW: two moments that are cut, and a count of steps, 8 bytes at most, that is not."""
    w = nn.Parameter(torch.ones(3, 2))
    shell = Stepwise([("w", w)], AdamW(0.1))
    w.grad = torch.ones(3, 2)
    shell.step()
    before = whole_everywhere(shell)
    shell.state[w]["basis"] = torch.ones(2, 3)
    assert before <= 8 and whole_everywhere(shell) == before + 24


def test_a_narrow_run_reads_its_own_steps_of_the_text_and_goes_on_from_its_beginning():
    source = Once(torch.arange(400), 0, batch_size=3, context=4, kept_out=4, name="numbers")
    assert source.steps == 32  # 99 windows of 4, one of them held out
    part = Part(source, 2, 11)
    assert torch.equal(part.batch(0), source.batch(11)[:2]) and torch.equal(part.batch(3), source.batch(14)[:2])
    assert torch.equal(part.batch(source.steps - 11), source.batch(0)[:2])
