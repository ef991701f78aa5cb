"""Adam-mini's blocks from roles: layouts and kinds that the authors' code misses, both versions, the control, the table."""

from math import prod

import pytest
import torch
from torch import nn

from sandbox.models.cuts import Blocks, adam_mini, table
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import roles_of, shapes_of
from sandbox.models.partitions import by_column, from_blocks
from sandbox.models.roles import Role, roles
from sandbox.optimizers.adam_mini import AdamMini


def cut_of(role: Role, shape: tuple[int, ...], version: str = "1.1") -> Blocks:
    return adam_mini({"w": role}, {"w": shape}, version=version)["w"]


STACKED = Role("query_key_value", (1,), (0,), n_heads=4, n_kv_heads=2)
BY_HEAD = Role("query_key_value_by_head", (1,), (0,), n_heads=2, n_kv_heads=2)


def test_a_fused_weight_with_grouped_queries():
    """4 heads of queries and 2 of keys and values, 3 rows each: 12 + 6 + 6 rows."""
    assert cut_of(STACKED, (24, 8)).stretches == ((12, 4), (6, 2), (6, 6))
    assert cut_of(STACKED, (24, 8), "1.0").stretches == ((12, 4), (6, 2), (6, 1))


def test_a_fused_weight_that_is_stored_head_after_head():
    assert cut_of(BY_HEAD, (18, 8)).stretches == ((3, 1), (3, 1), (3, 3)) * 2


def test_the_other_layout_is_cut_along_its_second_axis():
    gpt2 = Role("query_key_value", (0,), (1,), n_heads=2, n_kv_heads=2)
    assert cut_of(gpt2, (8, 24)) == Blocks("stretches", 12, 1, ((8, 2), (8, 2), (8, 8)))
    assert cut_of(Role("ffn_in", (0,), (1,)), (8, 32)) == Blocks("row", 32, 1)


@pytest.mark.parametrize(
    ("role", "shape", "count"),
    [
        (Role("lora_a", (1,), (0,)), (2, 16), 2),
        (Role("lora_b", (1,), (0,)), (16, 2), 16),
        (Role("convolution", (1,), (0,)), (6, 3, 2, 2), 6),
        (Role("experts_in", (2,), (0, 1)), (3, 8, 4), 24),
        (Role("router", (1,), (0,)), (3, 8), 3),
    ],
)
def test_other_weights_have_a_block_per_output_neuron(role, shape, count):
    """And the optimizer takes exactly these blocks: its second moment has one number for each."""
    cut = cut_of(role, shape)
    assert cut == Blocks("row", count, 0)
    assert AdamMini(0.1, n_blocks=cut.n_blocks, dim=cut.dim).init(torch.zeros(shape)).v.numel() == count


@pytest.mark.parametrize(
    "cut", [Blocks("stretches", 12, 1, ((8, 2), (8, 2), (8, 8))), Blocks("row", 24), Blocks("row", 4, 1), Blocks("row", 8, 1)]
)
def test_the_optimizer_averages_over_the_blocks_of_the_partition(cut):
    """The definition: entries with one label share one second moment, the mean of their squares."""
    shape = {"stretches": (5, 24), "row": (24, 4)}[cut.kind]
    g = torch.arange(1.0, prod(shape) + 1, dtype=torch.float64).view(shape).sin()
    labels = from_blocks({"w": cut}, {"w": shape}).labels["w"]
    rule = AdamMini(1.0, betas=(0.0, 0.5), eps=0.0, n_blocks=cut.n_blocks, dim=cut.dim)
    w = torch.zeros_like(g)
    delta, _ = rule.step(g, rule.init(w), w)
    for label in labels.unique():
        inside = labels == label
        expected = -g[inside] / g[inside].square().mean().sqrt()  # first step: bias correction cancels both averages
        torch.testing.assert_close(delta[inside], expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["embedding", "position", "head", "bias"])
def test_tables_and_heads_had_plain_adam_in_the_first_versions(kind):
    """Version 1.0, and biases in both."""
    role, shape = (Role("bias", (), (0,)), (6,)) if kind == "bias" else (Role(kind, (0,), (1,)), (6, 4))
    assert cut_of(role, shape, "1.0") == Blocks("entry", prod(shape))
    assert (cut_of(role, shape) == cut_of(role, shape, "1.0")) == (kind == "bias")


def test_partition_of_experts_follows_the_rows_of_each():
    labels = from_blocks({"w": Blocks("row", 6)}, {"w": (2, 3, 4)}).labels["w"]
    assert labels.view(6, 4).tolist() == [[i] * 4 for i in range(6)]


def test_by_input_is_the_control_of_curvature():
    """The same blocks for the optimizer as `by_column` has for the Hessian."""
    config = GPTConfig(vocab=11, width=8, layers=1, heads=2, context=6)
    mine = from_blocks(adam_mini(roles_of(config), shapes_of(config), version="by input"), shapes_of(config))
    control = by_column(roles_of(config), shapes_of(config))
    assert all(torch.equal(mine.labels[name], control.labels[name]) for name in control.labels)


def test_the_inputs_of_a_table_are_its_features():
    assert cut_of(Role("embedding", (0,), (1,)), (11, 8), "by input") == Blocks("row", 8, 1)
    assert cut_of(Role("value", (1,), (0,)), (6, 4), "by input") == Blocks("row", 4, 1)
    assert cut_of(Role("norm", (), (0,)), (8,), "by input") == Blocks("whole", 1)


def test_a_module_without_a_role_is_an_error_that_shows_the_row_to_add():
    class Home(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(ValueError, match="no role is known for parameter 'scale'.*Add to TABLE"):
        roles(Home())


def test_an_unknown_version_is_refused():
    with pytest.raises(ValueError, match="version of Adam-mini must be one of 1.1, 1.0, by input, got '2'"):
        adam_mini({}, {}, version="2")


def test_convolutions_have_roles_everywhere():
    found = roles(nn.Sequential(nn.Conv2d(3, 6, 2), nn.Conv1d(6, 4, 1)))
    assert [role.kind for role in found.values()] == ["convolution", "bias"] * 2


def test_output_axes_apart_are_refused():
    with pytest.raises(ValueError, match=r"output axes of 'w', \(0, 2\) of shape \(3, 4, 8\), must be neighbours"):
        cut_of(Role("experts_in", (1,), (0, 2)), (3, 4, 8))


@pytest.mark.parametrize("role", [Role("query_key_value", (1,), (0,)), STACKED])
def test_a_fused_weight_needs_its_heads(role):
    with pytest.raises(ValueError, match="fused query, key and value of 20 rows"):
        cut_of(role, (20, 8))


def test_the_table_shows_every_tensor_and_counts():
    config = GPTConfig(vocab=11, width=8, layers=1, heads=2, context=6, tied=True)
    known, shapes = roles_of(config), shapes_of(config)
    cuts = adam_mini(known, shapes)
    lines = table(known, shapes, cuts).splitlines()
    assert len(lines) == 2 + len(shapes)
    assert next(line for line in lines if line.startswith("embedding.weight")).split() == [
        "embedding.weight", "embedding", "11", "x", "8", "row", "0", "11", "head.weight",
    ]  # fmt: skip
    assert lines[-1].startswith(f"{sum(cut.count for cut in cuts.values())} second moments for {sum(map(prod, shapes.values()))} entries")


def test_models_of_other_people():
    """Real classes of transformers: fused weights both ways, experts, grouped queries; every parameter has its blocks."""
    package = pytest.importorskip("transformers", reason="the models of other people are an optional peer")
    tiny = dict(num_hidden_layers=1, num_attention_heads=4, hidden_size=16, intermediate_size=24, vocab_size=11)
    ids = dict(bos_token_id=0, eos_token_id=1, pad_token_id=2)
    models = [
        package.MixtralForCausalLM(package.MixtralConfig(**tiny, **ids, num_key_value_heads=2, num_local_experts=3)),
        package.GPTNeoXForCausalLM(package.GPTNeoXConfig(**tiny, **ids)),
        package.GPT2LMHeadModel(package.GPT2Config(n_layer=1, n_head=4, n_embd=16, vocab_size=11, n_positions=8, **ids)),
        package.LlamaForCausalLM(package.LlamaConfig(**tiny, **ids, num_key_value_heads=2)),
    ]
    for model in models:
        named = dict(model.named_parameters())
        cuts = adam_mini(roles(model), {name: tuple(w.shape) for name, w in named.items()})
        for name, w in named.items():
            state = AdamMini(0.1, n_blocks=cuts[name].n_blocks, dim=cuts[name].dim).init(w.detach())
            assert state.v.numel() == cuts[name].count
