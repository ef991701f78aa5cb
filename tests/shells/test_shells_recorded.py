"""The replay against the pure step: same state bits, same weights to a few units in the last place, one program for all steps."""

import copy
import os
import shutil
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Empty
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells import recorded
from sandbox.shells.execution import Block, Plain, settings
from sandbox.shells.flat_state import structure, write
from sandbox.shells.fused import Fused
from sandbox.shells.numbers import CannotReplay, Number, Tape
from sandbox.shells.program import read_step
from sandbox.shells.recorded import Plan, Recorded
from sandbox.shells.stepwise import Stepwise

RULES = {
    "gradient descent": GradientDescent(0.05),
    "momentum": GradientDescent(0.05, momentum=0.9),
    "adam": Adam(0.05),
    "adamw": AdamW(0.05, weight_decay=0.1),
    "adam-mini, whole": AdamMini(0.05, weight_decay=0.1),
    "adam-mini, rows": AdamMini(0.05, n_blocks=6),
    "adam-mini, heads": AdamMini(0.05, n_blocks=3),
    "adalomo": AdaLomo(0.05, weight_decay=0.1),
    "adafactor": Adafactor(0.05),
    "came": CAME(0.05),
    "decay around momentum": WeightDecay(GradientDescent(0.05, momentum=0.9), weight_decay=0.1),
}
SHAPES = {"matrix": (6, 8), "vector": (6,), "three sides": (6, 2, 4)}
each_rule = pytest.mark.parametrize("name", RULES)
each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def block(rule, shape=(6, 8), dtype=torch.float64, key=0, **values) -> Block:
    """A weight with its first gradient and the state that the rule gives it."""
    w, g = normal(shape, generator(7, key)).to(dtype), normal(shape, generator(8, key)).to(dtype)
    state, entry = rule.init(w), {}
    write(state, structure(state), entry)
    return Block(rule, settings({"lr": 0.05} | values), w, g, structure(state), entry)


def run(way, b: Block, steps: int, schedule=lambda k: {"lr": 0.05 / (1 + k)}) -> list:
    """Weight and state after `steps` steps with a learning rate and a gradient that change."""
    for k in range(steps):
        g = b.g * (1 + 0.3 * k) + 0.1 * b.w
        way.move_all([b._replace(settings=settings(schedule(k)), g=g)])
    return [b.w, *b.entry.values()]


def assert_same(found: list, expected: list, atol: float) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=0, atol=atol)


@each_rule
@each_shape
def test_the_first_state_has_the_same_bits_and_the_weight_the_same_digits(name, shape):
    """The operations are the same; the last sum is rounded in another order: three roundings of numbers below 4."""
    (w, *state), (expected, *plain) = (run(way, block(RULES[name], shape), 1) for way in (Recorded(), Plain()))
    assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(state, plain, strict=True))
    torch.testing.assert_close(w, expected, rtol=0, atol=3 * 4 * torch.finfo(w.dtype).eps)


@each_rule
def test_ten_steps_with_a_schedule(name):
    """1e-11: the last digit of a weight enters the next gradient, and CAME divides by the root of a small difference."""
    assert_same(run(Recorded(), block(RULES[name]), 10), run(Plain(), block(RULES[name]), 10), 1e-11)


def test_a_schedule_needs_no_second_program(monkeypatch):
    ends = []
    for way in (Recorded(), Plain()):
        b = block(AdamW(0.05))
        run(way, b, 1)
        monkeypatch.setattr(recorded, "read_step", None)  # whoever reads a step again fails
        ends.append(run(way, b, 5))
        monkeypatch.undo()
    assert_same(*ends, 1e-13)


def test_a_schedule_of_betas_and_decay():
    def schedule(k: int) -> dict:
        return {"lr": 0.05, "betas": (0.9 - 0.1 * k, 0.99), "weight_decay": 0.1 * k}

    rule = AdamW(0.05)
    assert_same(run(Recorded(), block(rule), 4, schedule), run(Plain(), block(rule), 4, schedule), 1e-13)


def test_many_tensors_share_the_scratch_of_the_largest():
    """AdamW needs one value that is neither weight nor state; 40 entries are the largest tensor."""
    way = Recorded()
    way.move_all([block(AdamW(0.05), shape, key=i) for i, shape in enumerate([(4, 5), (8, 5), (3,), (8, 5)])])
    assert [x.numel() for x in way._arena.values()] == [40]


def test_tensors_that_are_put_into_the_state_are_used():
    """As load_state_dict does; the old tensors must be left alone."""
    ways, ends = (Recorded(), Plain()), []
    for way in ways:
        b = block(Adam(0.05))
        run(way, b, 2)
        old = b.entry["m"]
        b.entry["m"], kept = torch.ones_like(old), old.clone()
        ends.append(run(way, b, 1))
        assert torch.equal(old, kept)
    assert_same(*ends, 1e-14)


@pytest.mark.parametrize("name", ["adam", "adam-mini, heads", "came"])
def test_any_layout_of_weight_and_gradient(name):
    def transposed(way) -> list:
        b = block(RULES[name])
        w = normal((8, 6), generator(3)).T
        write(RULES[name].init(w), b.structure, b.entry)
        return run(way, b._replace(w=w), 3)

    assert_same(transposed(Recorded()), transposed(Plain()), 1e-13)


def test_a_frame_runs_between_its_refreshes():
    """The replay sees P as a tensor like any other; it leaves out P^T W, which Adam does not read."""
    ends = []
    for way in (Recorded(), Plain()):
        b = block(GaLore(Adam(0.05), rank=2))
        b.entry["P"] = torch.linalg.qr(normal((6, 2), generator(5))).Q
        ends.append(run(way, b, 4))
    assert_same(*ends, 1e-13)
    products = [line for line in Plan(read_step(block(GaLore(Adam(0.05), rank=2)))).lines if "mm" in line]
    assert len(products) == 2


def test_a_bfloat16_weight_is_rounded_once():
    """Its state and its step are float32, so the sum stays as it is written: same bits."""
    found, expected = (run(way, block(AdaLomo(0.05, weight_decay=0.1), dtype=torch.bfloat16), 5) for way in (Recorded(), Plain()))
    assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(found, expected, strict=True))


def test_a_decay_of_zero_costs_nothing():
    plain, decaying = (Plan(read_step(block(AdamMini(0.05, weight_decay=wd)))).lines for wd in (0.0, 0.1))
    assert len(decaying) == len(plain) + 1


class Two(NamedTuple):
    t: float
    a: Tensor
    b: Tensor


@dataclass(frozen=True)
class Odd:
    """A rule that breaks one promise of the contract, or stretches it."""

    lr: float
    how: str

    def init(self, w: Tensor) -> Two:
        a = torch.zeros_like(w)
        return Two(1.0, a, a if self.how == "shared" else torch.ones_like(w))

    def step(self, g: Tensor, state: Two, w: Tensor) -> tuple[Tensor, Two]:
        t, a, b = state
        if self.how == "branches":
            return (g if t > 1 else -g), state
        if self.how == "swaps":
            return -self.lr * g, Two(t, b, a)
        if self.how == "grows":
            return -self.lr * g, Two(t, a.double(), b)
        if self.how == "reads w twice":
            return g - (w * w) * self.lr - w * 0.5, Two(t + 1, a + g, w * 1.0)
        if self.how == "reads old values late":
            new = a.lerp(g, 0.5)
            return (new - a) * (b - g.T @ new), Two(t / 2, new, (new @ b).T + a)
        if self.how == "shared":
            return -self.lr * (a + b), Two(t, a + g, b - 2 * g)
        if self.how == "multiplies":
            return ((g + a) @ (g - b)).square() * -self.lr, Two(t, (a + g) @ g, b @ g)  # the factors of the first product die in it
        return -self.lr * g, state


REFUSED = {"branches": "compared", "swaps": "replayed", "grows": "keep its shape"}


@pytest.mark.parametrize("how, sentence", REFUSED.items())
def test_a_step_without_a_program_says_why(how, sentence):
    with pytest.raises(CannotReplay, match=sentence):
        read_step(block(Odd(0.1, how), (4, 4), torch.float32))


@pytest.mark.parametrize("how", [*REFUSED, "shared"])
def test_a_step_without_a_program_moves_in_the_plain_way(how):
    ends = [run(way, block(Odd(0.1, how), (4, 4), torch.float32), 2) for way in (Recorded(), Plain())]
    assert_same(*ends, 0)


@pytest.mark.parametrize("how", ["reads w twice", "reads old values late", "multiplies"])
def test_nothing_is_overwritten_before_its_last_reader(how):
    ends = [run(way, block(Odd(0.1, how), (4, 4)), 2) for way in (Recorded(), Plain())]
    assert_same(*ends, 1e-12)


def test_a_rule_without_a_state():
    b = block(GradientDescent(0.05))
    assert b.structure.build is Empty or b.entry == {}
    assert_same(run(Recorded(), b, 2), run(Plain(), block(GradientDescent(0.05)), 2), 1e-15)


def test_numbers_write_down_what_is_done_to_them():
    tape = Tape()
    x, y = tape.number(3.0, "x"), tape.number(5.0, "y")
    z = -((2 - x * y) ** 2) / (y - 1) + 0.5**x
    assert float(z) == -((2 - 15) ** 2) / 4 + 0.125
    names = {"x": 3.0, "y": 5.0}
    exec("\n".join(tape.lines), names)
    assert names[z.name] == float(z) and isinstance(z, Number)
    with pytest.raises(ValueError, match="compared"):
        max(x, 1.0)


SHELLS = [(Stepwise, "recorded"), (Fused, "recorded"), (Stepwise, "compiled"), (Fused, "compiled")]


@pytest.mark.parametrize("shell, execution", SHELLS)
def test_the_shells_take_a_way(shell, execution, tmp_path, monkeypatch):
    """12 steps with a refresh, a schedule, a saved state put back and a copy: like the plain shell. 1e-11 as above."""
    if execution == "compiled" and shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("no C++ compiler on this machine")
    monkeypatch.setenv("SANDBOX_CACHE", str(tmp_path))
    ends = [trained(shell, way) for way in (execution, "plain")]
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def trained(shell, execution) -> list[Tensor]:
    leaves = {key: nn.Parameter(normal(shape, generator(1, i))) for i, (key, shape) in enumerate(SHAPES.items())}
    rules = {"matrix": GaLore(Adam(0.05), rank=2, update_gap=5), "vector": AdamW(0.05), "three sides": AdaLomo(0.05)}
    optimizer = shell(leaves.items(), rules, execution=execution)
    for k in range(12):
        optimizer.param_groups[0]["lr"] = 0.05 / (1 + k)
        if k == 7:
            optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        sum(torch.log1p((w - 1).square()).sum() for w in leaves.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return [w.detach() for w in leaves.values()]


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="execution must be one of"):
        Stepwise([nn.Parameter(torch.ones(2))], Adam(0.1), execution="fast")


def test_a_copied_shell_goes_on():
    """A copy has its own scratch and its own programs."""
    w = nn.Parameter(torch.ones(3, dtype=torch.float64))
    first = Stepwise([w], Adam(0.1), execution="recorded")
    w.grad = torch.ones_like(w)
    first.step()
    second = copy.deepcopy(first)
    (v,) = second.param_groups[0]["params"]
    v.grad = w.grad.clone()
    for optimizer in (first, second):
        optimizer.step()
    assert v is not w and torch.equal(v, w)


def test_another_precision_stays_plain():
    """float32 states beside bfloat16 weights belong to the shell, which knows how to round: same bits."""
    ends = []
    for execution in ("recorded", "plain"):
        w = nn.Parameter(normal((6, 8), generator(1)).bfloat16())
        optimizer = Stepwise([w], Adam(0.05), state_dtype=torch.float32, execution=execution)
        for _ in range(3):
            w.grad = w.detach() ** 2
            optimizer.step()
        ends.append((w, optimizer.state[w]["m"]))
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True)) and ends[0][1].dtype == torch.float32
