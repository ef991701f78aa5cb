"""What every rule and frame must satisfy, in every shell. A new rule adds one line to RULES.

The pure loop is the reference: rule, state and weight, nothing else. The shells share the rule with it, so this tests shells; the
equations are tested in tests/optimizers/ against other people's code.
"""

import os
import shutil

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from sandbox.draws import generator, normal
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import advance, due, with_fields
from sandbox.optimizers.came import CAME
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.parameter_scale import ParameterScale
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.optimizers.subzero import SubZero
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.ensemble import Runs, ensemble
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

LR = 0.05
ADAM = Adam(LR)
RULES = {
    "gradient descent": GradientDescent(LR),
    "momentum": GradientDescent(LR, momentum=0.9),
    "momentum, damped": GradientDescent(LR, momentum=0.9, dampening=0.5),
    "momentum, nesterov": GradientDescent(LR, momentum=0.9, nesterov="on"),
    "sign descent": SignDescent(LR),
    "adam": ADAM,
    "adamw": AdamW(LR, weight_decay=0.1),
    "adam-mini, whole": AdamMini(LR),
    "adam-mini, rows": AdamMini(LR, weight_decay=0.1, n_blocks=6),
    "adam-mini, heads": AdamMini(LR, n_blocks=3),
    "adalomo": AdaLomo(LR, weight_decay=0.1),
    "adalomo, unscaled": AdaLomo(LR, parameter_scale="off"),
    "adafactor": Adafactor(LR, weight_decay=0.1),
    "adafactor, averaged": Adafactor(LR, beta1=0.9, parameter_scale="off"),
    "adafactor, relative step": Adafactor(LR, relative_step="plain"),
    "adafactor, warmup": Adafactor(LR, relative_step="warmup"),
    "came": CAME(LR, weight_decay=0.1),
    "parameter scale of adam": ParameterScale(ADAM),
    "decay around parameter scale": WeightDecay(ParameterScale(Adafactor(LR, parameter_scale="off")), weight_decay=0.1),
}
FRAMES = {
    "galore": GaLore(ADAM, rank=2, update_gap=7),
    "galore of adam-mini": GaLore(AdamMini(LR, n_blocks=2), rank=2, update_gap=7),
    "galore, both sides": GaLore(GradientDescent(LR, momentum=0.9), rank=2, update_gap=7, side="both"),
    "galore, side 0, reset": GaLore(ADAM, rank=2, update_gap=7, side=0, on_refresh="reset"),
    "galore, long side, rotate": GaLore(AdamMini(LR), rank=2, update_gap=7, side="long", on_refresh="rotate"),
    "galore of adafactor": GaLore(Adafactor(LR), rank=2, update_gap=7),
    "galore of adalomo": ParameterScale(GaLore(AdaLomo(LR, parameter_scale="off"), rank=2, update_gap=7)),
    "galore of came": GaLore(CAME(LR), rank=2, update_gap=7, on_refresh="rotate"),
    "golore": GoLore(ADAM, rank=2, update_gap=7),
    "golore after galore": GoLore(GradientDescent(LR, momentum=0.9), rank=2, update_gap=7, random_from=7, side=0),
    "golore of gwt": GoLore(GWT(ADAM, level=1), rank=2, update_gap=7, on_refresh="reset"),
    "i3s": I3S(ADAM, rank=2, update_gap=7),
    "i3s of adam-mini, side 1": I3S(AdamMini(LR, n_blocks=2), rank=2, update_gap=7, side=1),
    "rso, haar": RSO(ADAM, rank=2, update_gap=7, eta=1.0),
    "rso, gaussian": RSO(GradientDescent(LR, momentum=0.9), rank=2, update_gap=7, law="gaussian"),
    "rso, coordinate, side 0": RSO(ADAM, rank=2, update_gap=7, law="coordinate", side=0),
    "rso, rotate": RSO(ADAM, rank=2, update_gap=7, eta=1.0, on_refresh="rotate"),
    "rso, keep, side 0": RSO(ADAM, rank=2, update_gap=7, side=0, on_refresh="keep"),
    "decay around rso": WeightDecay(RSO(ADAM, rank=2, update_gap=7, eta=0.5), weight_decay=0.1),
    "scale around rso of adalomo": ParameterScale(RSO(AdaLomo(LR, parameter_scale="off"), rank=2, update_gap=7)),
    "gwt": GWT(ADAM),
    "gwt of adam-mini, level 1": GWT(AdamMini(LR, n_blocks=2), level=1),
    "gwt of adalomo, clipped": GWT(AdaLomo(LR), level=1, details="clipped"),
    "gwt of momentum, unlimited": GWT(GradientDescent(LR, momentum=0.9), growth_limit=None),
    "gwt of adafactor": GWT(Adafactor(LR, beta1=0.9)),
    "decay around gwt, dropped": WeightDecay(GWT(ADAM, details="dropped"), weight_decay=0.1),
    "sgc": SGC(ADAM, sparsity=6, measurements=24),
    "sgc of adam-mini, redrawn": SGC(AdamMini(LR, n_blocks=4), sparsity=4, measurements=16, update_gap=7),
    "sgc of descent": SGC(GradientDescent(LR), sparsity=4, measurements=24),
    "sgc, two moments": SGCAdam(LR, sparsity=6, measurements=24),
    "mesgc": SGC(ADAM, sparsity=8, measurements=24, chunks=2),
    "mesgc of adalomo": SGC(AdaLomo(LR), sparsity=8, measurements=24, chunks=2),
    "mesgc, two moments": SGCAdam(LR, sparsity=8, measurements=24, chunks=2, update_gap=7),
    "cesgc": CESGC(SGC(ADAM, sparsity=4, measurements=12), rank=2, update_gap=7),
    "cesgc, two moments": CESGC(SGCAdam(LR, sparsity=4, measurements=12, chunks=2), rank=2, update_gap=7),
    "subzero": SubZero(GradientDescent(LR), rank=2, update_gap=7),
    "subzero of adam": SubZero(ADAM, rank=3, update_gap=7, gradient="backprop"),
    "subzero of adam-mini": SubZero(AdamMini(LR, n_blocks=2), rank=2, update_gap=7),
    "subzero of adalomo": SubZero(AdaLomo(LR), rank=2, update_gap=7),
    "subzero, most square": SubZero(GradientDescent(LR, momentum=0.9), rank=5, update_gap=7, shape="most square"),
}
RULES |= FRAMES
MATRIX_ONLY = set(FRAMES)
DECAYING = {"adamw", "adam-mini, rows", "adalomo", "adafactor", "came", "decay around parameter scale", "decay around rso"}
DECAYING |= {"decay around gwt, dropped"}
each_rule = pytest.mark.parametrize("name", RULES)
MIX_IN, MIX_OUT = normal((8, 5), generator(90)), normal((12, 5), generator(91))
SHAPES = {"wide": (6, 8), "tall": (12, 4), "vector": (6,)}


def starts(seed: int) -> dict[str, Tensor]:
    return {key: normal(shape, generator(seed, i)) for i, (key, shape) in enumerate(SHAPES.items())}


def loss(params: dict[str, Tensor]) -> Tensor:
    """Smooth, not convex, and coupling all three tensors; every entry has its own gradient."""
    x = torch.tanh(params["wide"] @ MIX_IN) + params["vector"].unsqueeze(1)
    y = params["tall"].T @ MIX_OUT + x[:4]
    return torch.log1p(x.square()).sum() + torch.log1p((y - 1).square()).sum()


def assigned(name: str) -> dict:
    """A frame needs matrices, so the vector then has gradient descent."""
    return {key: RULES[name] if key != "vector" or name not in MATRIX_ONLY else GradientDescent(LR) for key in SHAPES}


def pure_loop(name: str, *, seed: int, steps: int, lr: float) -> tuple[dict[str, Tensor], list[float]]:
    """The reference; draws come from (seed, position of the tensor, step)."""
    rules = {key: with_fields(rule, lr=lr) for key, rule in assigned(name).items()}
    params, losses = starts(seed), []
    states = {key: rules[key].init(w) for key, w in params.items()}
    for k in range(steps):
        grads, value = torch.func.grad_and_value(loss)(params)
        losses.append(value.item())
        for i, key in enumerate(params):
            rule, w = rules[key], params[key]
            draw = rule.draw(generator(seed, i, k), tuple(w.shape)) if due(rule, k) else None
            delta, states[key] = advance(rule, grads[key], states[key], w, k, draw)
            params[key] = w + delta
    return params, losses


@each_rule
@pytest.mark.parametrize("shell", [Stepwise, Fused])
def test_torch_shells_follow_the_pure_loop(name, shell):
    """15 steps, refreshes at 0, 7 and 14. Same rule, same numbers: only autograd's order of sums may differ."""
    expected, losses = pure_loop(name, seed=3, steps=15, lr=0.02)
    leaves = {key: nn.Parameter(w) for key, w in starts(3).items()}
    optimizer = shell(leaves.items(), assigned(name), seed=3)
    for group in optimizer.param_groups:
        group["lr"] = 0.02
    for k in range(15):
        optimizer.zero_grad()
        value = loss(leaves)
        value.backward()
        optimizer.step()
        assert value.item() == pytest.approx(losses[k], rel=1e-12)
    for key, w in leaves.items():
        torch.testing.assert_close(w.detach(), expected[key], rtol=0, atol=1e-12)


@each_rule
@pytest.mark.parametrize("execution", ["recorded", pytest.param("compiled", marks=pytest.mark.slow)])
def test_every_way_of_running_a_step_follows_the_pure_loop(name, execution, tmp_path, monkeypatch):
    """15 steps, refreshes at 0, 7 and 14, another rate at each. Sums in another order: 1e-11, as CAME divides by a small difference."""
    if execution == "compiled" and not shutil.which(os.environ.get("CXX", "g++")):
        pytest.skip("no C++ compiler on this machine: execution='compiled' is not offered here")
    monkeypatch.setenv("SANDBOX_CACHE", str(tmp_path))
    plain, other = ({key: nn.Parameter(w) for key, w in starts(3).items()} for _ in range(2))
    shells = [Stepwise(leaves.items(), assigned(name), seed=3, execution=way) for leaves, way in ((plain, "plain"), (other, execution))]
    for k in range(15):
        for leaves, optimizer in zip((plain, other), shells, strict=True):
            optimizer.zero_grad()
            loss(leaves).backward()
            for group in optimizer.param_groups:
                group["lr"] = LR / (1 + k)
            optimizer.step()
    for key, w in plain.items():
        torch.testing.assert_close(other[key].detach(), w.detach(), rtol=0, atol=1e-11)


@each_rule
def test_ensembles_follow_the_single_runs(name):
    """30 steps of 3 runs that differ in start, seed and learning rate; 1e-10 is the project's promise in float64."""
    rates, seeds = (0.01, 0.02, 0.04), (3, 4, 5)
    stacked = {key: torch.stack([starts(seed)[key] for seed in seeds]) for key in SHAPES}

    def loss_and_grads(params: dict, extra: tuple) -> tuple:
        return tuple(reversed(torch.func.grad_and_value(loss)(params)))

    runs = Runs(stacked, seeds, {"lr": torch.tensor(rates, dtype=torch.float64)})
    recorded = ensemble(loss_and_grads, assigned(name), runs, steps=30)
    for i in range(3):
        params, losses = pure_loop(name, seed=seeds[i], steps=30, lr=rates[i])
        assert recorded.losses[i].tolist() == pytest.approx(losses, rel=1e-10)
        for key, w in params.items():
            torch.testing.assert_close(recorded.params[key][i], w, rtol=0, atol=1e-10)


@each_rule
def test_a_step_is_pure(name):
    """Same inputs, same bits; weight, gradient and state are left as they were."""
    rule, w, g = RULES[name], normal((6, 8), generator(0)), normal((6, 8), generator(1))
    state = rule.init(w)
    draw = rule.draw(generator(2), (6, 8)) if due(rule, 0) else None
    copies = [x.clone() for x in (w, g, *tensors(state))]
    first, second = (advance(rule, g, state, w, 0, draw) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(second), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(copies, (w, g, *tensors(state)), strict=True))


@each_rule
def test_a_zero_gradient_moves_nothing(name):
    """Apart from weight decay, which points straight at the origin."""
    rule, w, g = RULES[name], normal((6, 8), generator(0)), torch.zeros(6, 8, dtype=torch.float64)
    draw = rule.draw(generator(2), (6, 8)) if due(rule, 0) else None
    delta, _ = advance(rule, g, rule.init(w), w, 0, draw)
    if name in DECAYING:
        assert torch.nn.functional.cosine_similarity(delta.flatten(), -w.flatten(), dim=0) > 1 - 1e-12
    else:
        assert not delta.any()


@each_rule
def test_the_first_step_goes_downhill(name):
    """To first order, without the part of the decay, which does not look at the loss."""
    rule = with_fields(RULES[name], weight_decay=0.0) if name in DECAYING else RULES[name]
    w, g = normal((6, 8), generator(0)), normal((6, 8), generator(1))
    draw = rule.draw(generator(2), (6, 8)) if due(rule, 0) else None
    delta, _ = advance(rule, g, rule.init(w), w, 0, draw)
    assert (delta * g).sum() < 0


@each_rule
def test_no_tensor_of_a_state_is_a_number_in_disguise(name):
    """Numbers are Python floats: a float32 tensor would hold 1 - 0.999 to four digits, and a bfloat16 one not at all."""
    w = normal((6, 8), generator(0)).float()
    state = RULES[name].init(w)
    draw = RULES[name].draw(generator(2), (6, 8)) if due(RULES[name], 0) else None
    _, state = advance(RULES[name], w, state, w, 0, draw)
    assert all(x.ndim > 0 and x.dtype == torch.float32 for x in tensors(state))
    assert all(type(x) is float for x in tree_leaves(state) if not isinstance(x, Tensor))


@each_rule
def test_a_saved_bfloat16_run_continues_with_the_same_bits(name):
    def trained(steps: range, leaves: dict, saved: dict | None) -> dict:
        optimizer = Stepwise(leaves.items(), assigned(name), seed=1, state_dtype=torch.float32)
        optimizer.load_state_dict(saved) if saved else None
        for k in steps:
            for i, w in enumerate(leaves.values()):
                w.grad = normal(tuple(w.shape), generator(40, i, k)).to(w.dtype)
            optimizer.step()
        return optimizer.state_dict()

    straight, broken = ({key: nn.Parameter(w.bfloat16()) for key, w in starts(0).items()} for _ in range(2))
    trained(range(10), straight, None)
    trained(range(5, 10), broken, trained(range(5), broken, None))
    assert all(torch.equal(straight[key], broken[key]) for key in SHAPES)


@each_rule
def test_a_rule_is_a_value(name):
    """Equal settings are equal rules with equal hashes (one parameter group), and the learning rate can be read."""
    assert hash(RULES[name]) == hash(with_fields(RULES[name], lr=LR)) and RULES[name] == with_fields(RULES[name], lr=LR)
    assert learning_rate(RULES[name]) == LR


def tensors(state) -> list[Tensor]:
    return [x for x in tree_leaves(state) if isinstance(x, Tensor)]
