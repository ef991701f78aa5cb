"""The loops against the pure step, to rounding; how often they pass over a weight; what happens where they cannot be made."""

import os
import shutil
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.shells import compiled
from sandbox.shells.compiled import Compiled, NoCompiler
from sandbox.shells.execution import Block, Plain, settings
from sandbox.shells.flat_state import structure, write
from sandbox.shells.passes import CannotLoop, Layout
from sandbox.shells.program import read_step

HERE = shutil.which(os.environ.get("CXX", "g++")) is not None
needs_compiler = pytest.mark.skipif(not HERE, reason="no C++ compiler on this machine: execution='compiled' is not offered here")
RULES = {
    "gradient descent": GradientDescent(0.05),
    "momentum": GradientDescent(0.05, momentum=0.9),
    "adamw": AdamW(0.05, weight_decay=0.1),
    "adam-mini, whole": AdamMini(0.05, weight_decay=0.1),
    "adam-mini, rows": AdamMini(0.05, n_blocks=6),
    "adam-mini, heads": AdamMini(0.05, n_blocks=3),
    "adalomo": AdaLomo(0.05, weight_decay=0.1),
    "adafactor": Adafactor(0.05),
    "came": CAME(0.05),
}
SHAPES = [(6, 8), (6,), (66, 5), (6, 2, 4)]  # 66 rows: column sums are moved to float64 twice, and a rest


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory):
    """Compiled steps of these tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANDBOX_CACHE", str(tmp_path_factory.mktemp("steps")))
        yield


def block(rule, shape=(6, 8), dtype=torch.float64, key=0, g=None) -> Block:
    w = normal(shape, generator(7, key)).to(dtype)
    g = normal(shape, generator(8, key)).to(dtype) if g is None else g
    state, entry = rule.init(w), {}
    write(state, structure(state), entry)
    return Block(rule, settings({"lr": 0.05}), w, g, structure(state), entry)


def moved(way, blocks: list[Block], steps: int = 3) -> list:
    """Weights and states after steps with changing rates and gradients."""
    for k in range(steps):
        now = settings({"lr": 0.05 / (1 + k)})
        way.move_all([b._replace(settings=now, g=b.g * (1 + 0.3 * k) + 0.1 * b.w) for b in blocks])
    return [x for b in blocks for x in (b.w, *b.entry.values())]


def assert_same(found: list, expected: list, atol: float) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=0, atol=atol)


@needs_compiler
@pytest.mark.parametrize("name", RULES)
def test_the_loops_compute_the_pure_step(name):
    """Four shapes in one call. 1e-12: rounding of numbers below 10, enlarged by CAME's division by small differences."""
    ends = [moved(way, [block(RULES[name], s, key=i) for i, s in enumerate(SHAPES)]) for way in (Compiled(), Plain())]
    assert_same(*ends, 1e-12)


@needs_compiler
def test_two_threads_compute_the_same_bits():
    """A block is the work of one thread."""
    ends = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        ends.append(moved(Compiled(), [block(RULES["adalomo"], s, key=i) for i, s in enumerate(SHAPES)]))
    torch.set_num_threads(1)
    assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(*ends, strict=True))


@needs_compiler
def test_long_columns_keep_their_digits():
    """60000 equal float32 squares per column: summed one after the other in float32 they would be off by 1e-4 relative."""
    b = block(AdaLomo(0.05), (60000, 4), torch.float32, g=torch.full((60000, 4), 0.1))
    Compiled().move_all([b])
    torch.testing.assert_close(b.entry["c"], torch.full((4,), 0.1) ** 2, rtol=4 * 32 * torch.finfo(torch.float32).eps, atol=0)


@pytest.mark.parametrize("rule, passes", [(Adam(0.1), 1), (AdamMini(0.1, n_blocks=6), 2), (AdaLomo(0.1), 3), (CAME(0.1), 4)])
def test_the_number_of_passes(rule, passes):
    """One more than the longest chain of sums that wait for each other. CAME: g^2; the size of u; the instability of m; the step."""
    layout = Layout(read_step(block(rule)))
    assert layout.passes == passes and not layout.stored


def test_products_of_matrices_are_not_looped():
    with pytest.raises(CannotLoop, match="mm"):
        Layout(read_step(block(GaLore(Adam(0.05), rank=2))))


@needs_compiler
@pytest.mark.parametrize("rule, dtype", [(GaLore(Adam(0.05), rank=2), torch.float64), (AdaLomo(0.05), torch.bfloat16)])
def test_what_cannot_be_looped_runs_beside_what_can(rule, dtype):
    """The first weight of each list runs recorded, the second in loops."""
    ends = [moved(way, [block(rule, dtype=dtype), block(Adam(0.05), key=1)]) for way in (Compiled(), Plain())]
    assert_same(*ends, 1e-13)


@needs_compiler
def test_any_layout_of_weight_and_gradient():
    ends = []
    for way in (Compiled(), Plain()):
        b = block(RULES["adamw"])
        w = normal((8, 6), generator(3)).T
        write(b.rule.init(w), b.structure, b.entry)
        ends.append(moved(way, [b._replace(w=w)]))
    assert_same(*ends, 1e-14)


@needs_compiler
def test_a_new_state_tensor_and_a_missing_gradient():
    """The table of addresses is kept between calls only while the tensors are the same."""
    ends = []
    for way in (Compiled(), Plain()):
        blocks = [block(Adam(0.05), key=i) for i in range(3)]
        moved(way, blocks, 2)
        old = blocks[1].entry["m"]
        blocks[1].entry["m"], kept = torch.ones_like(old), old.clone()
        moved(way, blocks[1:], 1)
        assert torch.equal(old, kept)
        moved(way, blocks, 1)
        ends.append([x for b in blocks for x in (b.w, *b.entry.values())])
    assert_same(*ends, 1e-14)


class Many(NamedTuple):
    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor
    e: Tensor
    f: Tensor
    h: Tensor
    i: Tensor
    j: Tensor
    k: Tensor
    l: Tensor


@dataclass(frozen=True)
class EveryOperation:
    """No optimizer: every expression of the table, on full, row and column shapes."""

    lr: float

    def init(self, w: Tensor) -> Many:
        return Many(*(torch.ones_like(w) for _ in range(8)), w.new_ones(w.shape[0]), w.new_ones(w.shape[1]), w.new_ones(w.shape[0] // 2))

    def step(self, g: Tensor, state: Many, w: Tensor) -> tuple[Tensor, Many]:
        x = g.abs() + 0.5
        rows, columns = x.sum(1), (x * w).sum(0)
        return g.T.reshape(w.shape) * self.lr, Many(
            x.exp() - x.log() + (1 - x) * x.reciprocal() + x.rsqrt(),
            g.clamp(-0.1, 0.2) + g.clamp_min(0.3) - g.clamp_max(0.4),
            torch.maximum(g, w) * 2 + torch.minimum(g, w).sign(),
            torch.where(g > w, g, -w) + torch.where(g <= 0, g.square(), x**0.5),
            torch.addcmul(w, g, x, value=0.3) + torch.addcdiv(w, g, x, value=-0.7) + torch.add(g, w, alpha=2) - torch.sub(g, w, alpha=3),
            x**-0.5 + x**3 - x**2.5 + x**-1 + (rows.sqrt().unsqueeze(1) - columns.abs()) / 7,
            w.lerp(g, 0.8) + w.lerp(g, self.lr) + torch.where(g >= w, g, w) + torch.where(g < w, g, w) + w.lerp(g, x / 4),
            (x - x.sum(1, keepdim=True) / 3 + x.sum() / 5).clone(),
            rows + (rows * rows).sum(),
            columns.neg() - rows.sum() * 0.01,
            x.view(-1, 2, w.shape[1]).sum((1, 2)),
        )


@needs_compiler
def test_every_expression_is_that_of_torch():
    """1e-12: values below 1e3, a few roundings each. NaN and infinity must come out where they do in torch."""
    ends = []
    for way in (Compiled(), Plain()):
        b = block(EveryOperation(0.05), (8, 6))
        b.g[2, 3], b.g[5, 1] = float("nan"), float("inf")
        way.move_all([b])
        ends.append([b.w, *b.entry.values()])
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)


@needs_compiler
def test_a_step_is_compiled_once_per_machine(monkeypatch):
    blocks = [block(Adam(0.05))]
    moved(Compiled(), blocks, 1)
    monkeypatch.setattr(compiled.subprocess, "run", None)  # whoever compiles again fails
    moved(Compiled(), blocks, 1)


def test_without_a_compiler_it_says_so(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(NoCompiler, match="needs a C\\+\\+ compiler"):
        Compiled()


@needs_compiler
def test_what_a_compiler_refuses_is_shown():
    with pytest.raises(NoCompiler, match="error"):
        compiled.built("this is no C++")
