"""What every rule and frame must satisfy, in every shell. A new rule adds one line to RULES.

The pure loop is the reference: rule, state and weight, nothing else. The shells share the rule with it, so this tests shells; the
equations are tested in tests/optimizers/ against other people's code.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from sandbox.draws import generator, normal
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import advance, due, with_fields
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.settings import learning_rate
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.ensemble import Runs, ensemble
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise

LR = 0.05
RULES = {
    "gradient descent": GradientDescent(LR),
    "momentum": GradientDescent(LR, momentum=0.9),
    "adam": Adam(LR),
    "adamw": AdamW(LR, weight_decay=0.1),
    "adam-mini, whole": AdamMini(LR),
    "adam-mini, rows": AdamMini(LR, weight_decay=0.1, n_blocks=6),
    "adam-mini, heads": AdamMini(LR, n_blocks=3),
    "adalomo": AdaLomo(LR, weight_decay=0.1),
    "galore": GaLore(Adam(LR), rank=2, update_gap=7),
    "galore of adam-mini": GaLore(AdamMini(LR, n_blocks=2), rank=2, update_gap=7),
    "rso, haar": RSO(Adam(LR), rank=2, update_gap=7, eta=1.0),
    "rso, gaussian": RSO(GradientDescent(LR, momentum=0.9), rank=2, update_gap=7, law="gaussian"),
    "rso, coordinate, side 0": RSO(Adam(LR), rank=2, update_gap=7, law="coordinate", side=0),
    "decay around rso": WeightDecay(RSO(Adam(LR), rank=2, update_gap=7, eta=0.5), weight_decay=0.1),
}
MATRIX_ONLY = {name for name, rule in RULES.items() if getattr(rule, "period", 0)}
DECAYING = {"adamw", "adam-mini, rows", "adalomo", "decay around rso"}
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
        optimizer = Stepwise(leaves.items(), assigned(name), seed=1)
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
