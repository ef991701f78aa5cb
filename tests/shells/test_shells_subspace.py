"""The subspace shell: the numbers of the RSO frame in the stepwise shell, layers that keep x P only, and what is refused."""

import copy
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sandbox.draws import generator, normal
from sandbox.memory.meters import saved_bytes
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.roles import roles
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import with_fields
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.parameter_scale import ParameterScale
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.stepwise import Stepwise
from sandbox.shells.subspace import Subspace
from sandbox.shells.subspace_linear import Projection, SubspaceLinear, merged, subspace_layers

CONFIG = GPTConfig(vocab=11, width=8, layers=2, heads=2, context=6)
LINEAR = ("query", "key", "value", "attention_out", "ffn_in", "ffn_out")
QKV = tuple(f"blocks.0.attention.{part}.weight" for part in ("query", "key", "value"))
RULES = {
    "adam, prox": RSO(Adam(0.02), rank=3, update_gap=4, eta=0.5),
    "momentum, gaussian": RSO(GradientDescent(0.05, momentum=0.9), rank=3, update_gap=4, law="gaussian"),
    "adam-mini, coordinate": RSO(AdamMini(0.02, n_blocks=2), rank=2, update_gap=3, law="coordinate", eta=2.0),
    "momentum, kept": RSO(GradientDescent(0.05, momentum=0.9), rank=3, update_gap=4, on_refresh="keep"),
    "adam, rotated": RSO(Adam(0.02), rank=3, update_gap=4, eta=0.5, on_refresh="rotate"),
    "decay around rso": WeightDecay(RSO(Adam(0.02), rank=3, update_gap=4, eta=0.5), weight_decay=0.2),
}


def table(model: nn.Module, rule) -> dict:
    """Positions, the second tensor, have a frame that draws, so that the keys of ordinary draws are seen too."""
    others = {"position": GoLore(Adam(0.01), rank=2, update_gap=5)}
    return {name: rule if role.kind in LINEAR else others.get(role.kind, Adam(0.01)) for name, role in roles(model).items()}


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> list[float]:
    losses = []
    for k in steps:
        tokens = torch.randint(11, (3, 7), generator=generator(8, k))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def small(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Two linear layers, the first with a bias; 4 -> 6 -> 3."""
    layers = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3, bias=False)).to(dtype)
    for i, p in enumerate(layers.parameters()):
        p.data = normal(tuple(p.shape), generator(i)).to(dtype)
    return layers


ADAM = Adam(0.1, betas=(0.9, 0.99))  # decays that bfloat16 can hold
SMALL = {"0.weight": RSO(ADAM, rank=2, update_gap=3), "0.bias": ADAM, "2.weight": RSO(ADAM, rank=2, update_gap=2)}


def move(layers: nn.Sequential, optimizer: Subspace, steps: range) -> None:
    for k in steps:
        optimizer.zero_grad()
        layers(normal((5, 4), generator(9, k)).to(layers[0].weight.dtype)).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", RULES)
def test_the_trajectory_is_that_of_the_frame_in_the_stepwise_shell(name):
    """13 steps, four rounds of 4 or five of 3, a rate that halves after 6, biases, norms and a tied table beside."""
    frame, layer = build(CONFIG, 0, torch.float64), build(CONFIG, 0, torch.float64)
    shells = [(frame, Stepwise(frame.named_parameters(), table(frame, RULES[name]), seed=3))]
    shells += [(layer, Subspace(layer, table(layer, RULES[name]), seed=3))]
    losses = []
    for model, optimizer in shells:
        losses.append(train(model, optimizer, range(6)))
        for group in optimizer.param_groups:
            group["lr"] /= 2
        losses[-1] += train(model, optimizer, range(6, 13))
    assert losses[1] == pytest.approx(losses[0], rel=1e-12)
    assert len(subspace_layers(layer)) == 12
    for key, w in merged(layer).items():
        torch.testing.assert_close(w, frame.state_dict()[key], rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(7, 4), (2, 5, 4)])
def test_the_gradients_of_the_layer(shape):
    """grad B = (grad W) P and grad x as of a plain layer with W + B P^T, and only x P is kept: r of n numbers a row."""
    layer = SubspaceLinear(small()[0], rank=2)
    for i, p in enumerate((layer.P, layer.B.data)):
        p.copy_(normal(tuple(p.shape), generator(20, i)))
    dense, x = layer.dense(), normal(shape, generator(22)).requires_grad_()
    seen = []
    for f in (layer, dense):
        y = f(x)
        seen.append((y, *torch.autograd.grad((y * normal(tuple(y.shape), generator(23))).sum(), (x, f.bias), retain_graph=True)))
        (y * normal(tuple(y.shape), generator(23))).sum().backward(inputs=[f.B if f is layer else f.weight])
    for ours, plain in zip(*seen, strict=True):
        torch.testing.assert_close(ours, plain, rtol=0, atol=1e-13)
    torch.testing.assert_close(layer.B.grad, dense.weight.grad @ layer.P, rtol=0, atol=1e-13)
    rows = x.numel() // 4
    assert saved_bytes(lambda: layer(x), [*layer.parameters(), *layer.buffers()]) == 8 * rows * 2
    assert saved_bytes(lambda: dense(x), dense.parameters()) == 8 * rows * 4


def test_layers_that_share_p_move_by_its_draw():
    """Against the frame with the draws that the stepwise shell would make for the first of the three."""
    model, rule = build(CONFIG, 0, torch.float64), RULES["adam, prox"]
    optimizer = Subspace(model, table(model, rule), share=[QKV], seed=3)
    position = list(dict(build(CONFIG, 0).named_parameters())).index(QKV[0])
    layers = [model.get_submodule(name.removesuffix(".weight")) for name in QKV]
    for k in (0, 4):
        P = rule.refresh(None, rule.init(layers[0].weight), layers[0].weight, rule.draw(generator(3, position, k), (8, 8))).P
        assert all(torch.equal(layer.P, P) for layer in layers)
        assert not torch.equal(model.blocks[0].attention.out.P, P)
        train(model, optimizer, range(4))


def test_sharing_changes_no_number_but_the_draw():
    """The same three layers with the same P, computed apart: gradients to rounding, and 2 b s r numbers more are kept."""
    model = build(CONFIG, 0, torch.float64)
    Subspace(model, table(model, RULES["adam, prox"]), share=[QKV], seed=3)
    attention, x = model.blocks[0].attention, normal((3, 6, 8), generator(5)).requires_grad_()
    seen, kept = [], []
    for apart in (False, True):
        for layer in (attention.query, attention.key, attention.value) if apart else ():
            layer.projection = Projection(1)
        seen.append(torch.autograd.grad(attention(x).square().sum(), [x, *attention.parameters()]))
        kept.append(saved_bytes(lambda: attention(x), [*attention.parameters(), *attention.buffers()]))
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    assert kept[1] - kept[0] == 8 * 2 * 3 * 6 * 3


def test_a_shared_projection_serves_one_x_once_to_each_reader():
    project, P = Projection(2), normal((4, 2), generator(0))
    x, other = normal((3, 4), generator(1)), normal((3, 4), generator(2))
    first = project(x, P)
    assert project(x, P) is first
    assert project._x is None and project._made is None  # nothing is held after the last reader
    project(x, P)
    torch.testing.assert_close(project(other, P), other @ P, rtol=0, atol=1e-14)  # a companion read something else
    for change in (x, P):
        stopped = Projection(2)
        stopped(x, P)  # a forward pass that stopped here, and then one of its inputs changed in place
        change.mul_(2)
        torch.testing.assert_close(stopped(x, P), x @ P, rtol=0, atol=1e-13)
    stopped = Projection(2)
    with torch.no_grad():
        stopped(x.requires_grad_(), P)
    assert stopped(x, P).requires_grad


def test_merged_is_the_plain_state_dict_and_removal_gives_the_plain_model():
    plain, model = build(CONFIG, 0, torch.float64), build(CONFIG, 0, torch.float64)
    optimizer = Subspace(model, table(model, RULES["adam, prox"]))
    assert all(torch.equal(merged(model)[key], w) for key, w in plain.state_dict().items())
    train(model, optimizer, range(6))  # into the second round: both W and B P^T have moved
    full, tokens = merged(model), torch.arange(6)[None]
    assert list(full) == list(plain.state_dict())
    assert all((full[key] - w).abs().max() > 1e-4 for key, w in plain.state_dict().items() if key.endswith("up.weight"))
    plain.load_state_dict(full)
    torch.testing.assert_close(plain(tokens), model(tokens), rtol=0, atol=1e-13)
    optimizer.remove()
    assert not subspace_layers(model) and [n for n, _ in model.named_parameters()] == [n for n, _ in plain.named_parameters()]
    assert torch.equal(plain(tokens), model(tokens))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_a_run_saved_inside_a_round_continues_with_the_same_bits(dtype):
    straight = small(dtype)
    move(straight, Subspace(straight, SMALL, seed=1), range(10))
    first = small(dtype)
    optimizer = Subspace(first, SMALL, seed=1)
    move(first, optimizer, range(5))
    torch.save({"model": first.state_dict(), "optimizer": optimizer.state_dict()}, file := io.BytesIO())
    file.seek(0)
    saved, second = torch.load(file, weights_only=True), small(dtype)
    again = Subspace(second, SMALL, seed=1)
    second.load_state_dict(saved["model"])
    again.load_state_dict(saved["optimizer"])
    move(second, again, range(5, 10))
    for key, w in straight.state_dict().items():
        assert torch.equal(w, second.state_dict()[key]), key


def test_the_state_is_that_of_the_inner_rule_on_the_coefficients():
    """P and B live in the layer, so the optimizer remembers m and v of B alone, (6, 2) and (3, 2)."""
    layers = small()
    optimizer = Subspace(layers, SMALL)
    move(layers, optimizer, range(1))
    shapes = {name: {k: tuple(x.shape) for k, x in optimizer.state[w].items() if isinstance(x, torch.Tensor)}
              for name, w in layers.named_parameters()}  # fmt: skip
    assert shapes == {"0.B": {"m": (6, 2), "v": (6, 2)}, "0.bias": {"m": (6,), "v": (6,)}, "2.B": {"m": (3, 2), "v": (3, 2)}}
    assert layers[0].B.grad.shape == (6, 2) and layers[0].W.grad is None
    other = Subspace(small(), SMALL | {"0.weight": RSO(GradientDescent(0.1), rank=2, update_gap=3)})
    other.param_groups[0]["lr"] = 0.07
    with pytest.raises(ValueError, match=r"must have the fields \['step'\] of Coefficients"):
        other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["lr"] == 0.07 and not any(other.state.values())  # as it was


def test_float32_states_beside_bfloat16_coefficients():
    """beta2 = 0.999 is refused in bfloat16 and taken with float32 states, which stay so through rounds and loading."""
    rules = SMALL | {"0.weight": RSO(Adam(0.1), rank=2, update_gap=3)}
    with pytest.raises(ValueError, match="the average 'v' of 0.weight has decay 0.999 in torch.bfloat16"):
        Subspace(small(torch.bfloat16), rules)
    layers = small(torch.bfloat16)
    optimizer = Subspace(layers, rules, state_dtype=torch.float32)
    for last in (2, 3, 5):
        move(layers, optimizer, range(last))
        optimizer.load_state_dict(optimizer.state_dict())
        assert all(optimizer.state[layers[0].B][key].dtype == torch.float32 for key in "mv")
        assert layers[0].B.dtype == layers[0].P.dtype == layers[0].W.dtype == torch.bfloat16


def test_a_gradient_that_is_not_finite_moves_nothing():
    layers = small()
    optimizer = Subspace(layers, SMALL | {"0.weight": WeightDecay(SMALL["0.weight"], 0.1)})
    move(layers, optimizer, range(1))
    before = {key: w.clone() for key, w in layers.state_dict().items()}
    for p in layers.parameters():
        p.grad = torch.ones_like(p)
    layers[2].B.grad[0, 1] = float("nan")
    with pytest.raises(
        FloatingPointError,
        match="1 of 6 entries of the gradient of 2.weight are not finite, or not .* in torch.float.., at step 1; no weight was moved",
    ):
        optimizer.step()
    assert all(torch.equal(before[key], w) for key, w in layers.state_dict().items())


def test_a_layer_without_a_gradient_keeps_its_round():
    layers = small()
    optimizer = Subspace(layers, SMALL)
    P, W = layers[0].P.clone(), layers[0].W.clone()
    for _ in range(4):
        layers[2].B.grad = torch.ones(3, 2, dtype=torch.float64)
        optimizer.step()
    assert torch.equal(layers[0].P, P) and torch.equal(layers[0].W, W) and not optimizer.state[layers[0].B]
    assert optimizer.state[layers[2].B]["step"] == 4 and not layers[2].B.any()


def test_a_closure_is_run_with_gradients():
    layers = small()
    optimizer = Subspace(layers, SMALL)

    def closure() -> torch.Tensor:
        loss = layers(torch.ones(2, 4, dtype=torch.float64)).square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() > layers(torch.ones(2, 4, dtype=torch.float64)).square().sum().item()


@pytest.mark.parametrize("bad", [float("nan"), 1e200])  # the last has no square in float64
@pytest.mark.parametrize(("policy", "moved", "skipped"), [("skip", False, 1), ("zero", True, 0)])
def test_policies_are_those_of_the_stepwise_shell(policy, moved, skipped, bad):
    layers = small()
    optimizer = Subspace(layers, SMALL, nonfinite=policy)
    before = {key: w.clone() for key, w in layers.state_dict().items()}
    for p in layers.parameters():
        p.grad = torch.ones_like(p)
    layers[2].B.grad[0, 1] = bad
    optimizer.step()
    assert all(w.isfinite().all() for w in layers.state_dict().values()) and optimizer.skipped == skipped
    assert all(torch.equal(before[key], w) != moved for key, w in layers.state_dict().items() if key[-1] in "Bbias")
    assert all(x.isfinite().all() for entry in optimizer.state.values() for x in entry.values() if isinstance(x, torch.Tensor))
    assert layers[2].B[0, 1] == 0  # a zero gradient at the first step of Adam
    with pytest.raises(ValueError, match="nonfinite must be one of"):
        Subspace(small(), SMALL, nonfinite="ignore")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_a_copy_of_model_and_optimizer_continues_with_the_same_bits_and_apart(copied):
    layers = small()
    optimizer = Subspace(layers, SMALL, seed=1)
    move(layers, optimizer, range(4))
    optimizer.zero_grad()
    others, again = copied((layers, optimizer))
    move(layers, optimizer, range(4, 9))
    assert not any(torch.equal(w, others.state_dict()[key]) for key, w in layers.state_dict().items() if key.endswith("B"))
    move(others, again, range(4, 9))
    assert all(torch.equal(w, others.state_dict()[key]) for key, w in layers.state_dict().items())


def test_a_group_may_come_later_with_an_ordinary_rule():
    layers, late = small(), nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = Subspace(layers, SMALL)
    optimizer.add_param_group({"params": [("late", late)], "rule": GradientDescent(0.5)})
    late.grad = torch.ones_like(late)
    optimizer.step()
    assert late.tolist() == [0.5] * 3 and optimizer.param_groups[-1]["param_names"] == ["late"]
    with pytest.raises(ValueError, match="compressed where the shell is made, so a later group cannot have RSO"):
        optimizer.add_param_group({"params": [("more", nn.Parameter(torch.ones(4, 4)))], "rule": RSO2})


def test_modules_that_read_a_weight_themselves_see_the_whole_of_it():
    """nn.MultiheadAttention never calls its output layer, and an encoder layer in eval mode none of its two."""
    torch_layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, dtype=torch.float64)
    model, x = nn.ModuleDict({"layer": torch_layer}), normal((2, 5, 8), generator(3))
    compressed = ("layer.self_attn.out_proj.weight", "layer.linear1.weight", "layer.linear2.weight")
    rules = {name: RSO2 if name in compressed else ADAM for name, _ in model.named_parameters()}
    optimizer = Subspace(model, rules)
    for _ in range(2):
        optimizer.zero_grad()
        torch_layer(x).square().sum().backward()
        optimizer.step()
    assert all(layer.B.detach().any() for layer in subspace_layers(model).values())
    trained = torch_layer(x).detach()
    with torch.no_grad():
        torch.testing.assert_close(torch_layer.eval()(x), trained, rtol=0, atol=1e-12)  # another order of sums


class Scaled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(6, 4), nn.Linear(4, 6, bias=False)
        self.head.weight = self.embedding.weight


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = self.second = nn.Linear(4, 4)


RSO2 = RSO(Adam(0.1), rank=2, update_gap=3)
REFUSED = [
    (lambda: nn.Sequential(Scaled(4, 6)), {"0.weight": RSO2, "0.bias": ADAM}, (), "0.weight must be the weight of .* belongs to a Scaled"),
    (Tied, {"embedding.weight": RSO2}, (), "embedding.weight must be the weight of an nn.Linear .* belongs to a Embedding"),
    (Twice, {"first.weight": RSO2, "first.bias": Adam(0.1)}, (), "first.weight is tied to second.weight"),
    (small, SMALL | {"0.bias": RSO2}, (), "0.bias must be the weight of an nn.Linear inside the model"),
    (small, SMALL | {"0.weight": with_fields(RSO2, side=0)}, (), "RSO of 0.weight must compress side 1, .* got side 0"),
    (small, SMALL | {"0.weight": with_fields(RSO2, rank=5)}, (), r"rank 5 needs a 2-D weight with side 1 >= rank, got shape \(6, 4\)"),
    (
        small,
        SMALL | {"0.weight": ParameterScale(RSO2)},
        (),
        "0.weight must be RSO, or WeightDecay around it, .* got ParameterScale",
    ),
    (small, {"0.weight": RSO2}, (), "2 without a rule"),
    (small, SMALL, [("0.weight", "2.weight")], "need the same inputs, rank, law and update_gap, got .*'0.weight': .4, 2, 'haar', 3."),
    (small, SMALL, [("0.weight", "0.bias")], "share must name weights that RSO compresses, each in one group, got '0.bias'"),
    (small, SMALL, [("0.weight",), ("0.weight",)], "each in one group, got '0.weight'"),
]


@pytest.mark.parametrize(("make", "rules", "shared", "sentence"), REFUSED, ids=[sentence[:30] for *_, sentence in REFUSED])
def test_what_cannot_be_compressed_is_refused_and_left_alone(make, rules, shared, sentence):
    model = make()
    before = [name for name, _ in model.named_parameters()]
    with pytest.raises(ValueError, match=sentence):
        Subspace(model, rules, share=shared)
    assert [name for name, _ in model.named_parameters()] == before and not subspace_layers(model)
