"""Roles: exact classes and exact attribute names, ties, overrides, and errors that show the row to add."""

import pytest
import torch
from torch import nn

from sandbox.models.classifier import ClassifierConfig
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import roles_of, shapes_of, skeleton
from sandbox.models.llama import LlamaConfig
from sandbox.models.mlp import MLPConfig
from sandbox.models.roles import TABLE, Role, roles

GPT = GPTConfig(vocab=11, width=8, layers=1, heads=2, context=6)
LLAMA = LlamaConfig(vocab=11, width=8, layers=1, heads=4, kv_heads=2, context=6)
CONFIGS = (GPT, LLAMA, MLPConfig(3, (4,), 2), ClassifierConfig(LLAMA, 3))


def impostor(path, **attributes):
    """A module whose class bears the qualified name of a class that is not installed here."""
    module, name = path.rsplit(".", 1)
    cls = type(name, (nn.Module,), {"__module__": module})
    made = cls()
    for attribute, value in attributes.items():
        setattr(made, attribute, value)
    return made


class Plain:
    """An object with attributes, for a config."""

    def __init__(self, **values):
        self.__dict__.update(values)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
def test_every_parameter_of_our_models_has_a_role_in_order(config):
    assert list(roles_of(config)) == [name for name, _ in skeleton(config).named_parameters()]


def test_kinds_of_a_llama_block():
    kinds = {name.removeprefix("blocks.0."): role.kind for name, role in roles_of(LLAMA).items()}
    assert kinds == {
        "embedding.weight": "embedding", "attention_norm.weight": "norm", "attention.query.weight": "query",
        "attention.key.weight": "key", "attention.value.weight": "value", "attention.out.weight": "attention_out",
        "ffn_norm.weight": "norm", "ffn.gate.weight": "ffn_gate", "ffn.up.weight": "ffn_in",
        "ffn.down.weight": "ffn_out", "norm.weight": "norm", "head.weight": "head",
    }  # fmt: skip


def test_the_position_table_is_not_an_embedding_of_tokens():
    found = roles_of(GPT)
    assert (found["position.weight"].kind, found["embedding.weight"].kind) == ("position", "embedding")
    assert found["norm.bias"].kind == found["blocks.0.attention.query.bias"].kind == "bias"


def test_heads_come_from_the_attention_that_holds_the_tensor():
    found = roles_of(LLAMA)
    for name in ("query", "key", "value", "out"):
        role = found[f"blocks.0.attention.{name}.weight"]
        assert (role.n_heads, role.n_kv_heads) == (4, 2)
    assert found["blocks.0.ffn.up.weight"].n_heads is None


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: type(c).__name__)
def test_the_axes_face_what_they_say(config):
    """Independent channel: the numbers of inputs and outputs that torch's own layers state."""
    for name, role in roles_of(config).items():
        shape, kind = shapes_of(config)[name], role.kind
        sizes = {"embedding": (11, 8), "position": (6, 8)}.get(kind)
        assert len(role.input_dims) + len(role.output_dims) == len(shape)
        if sizes:
            assert (shape[role.input_dims[0]], shape[role.output_dims[0]]) == sizes
        elif len(shape) == 2:
            layer = skeleton(config).get_submodule(name.removesuffix(".weight"))
            assert (shape[role.input_dims[0]], shape[role.output_dims[0]]) == (layer.in_features, layer.out_features)


def test_a_tied_head_appears_once_with_its_other_name():
    found = roles_of(GPT)
    assert "head.weight" not in found
    assert found["embedding.weight"].tied_to == ("head.weight",)
    assert roles_of(LLAMA)["embedding.weight"].tied_to == ()


def test_an_unknown_parent_shows_the_row_to_add():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.q_proj = nn.Linear(3, 4)

    with pytest.raises(ValueError) as caught:
        roles(nn.Sequential(Odd()))
    message = str(caught.value)
    assert "'0.q_proj.weight'" in message
    assert f"{Odd.__module__}.{Odd.__qualname__}': Row({{'q_proj.weight': Role(" in message
    assert "roles={'0.q_proj.weight': Role(...)}" in message


def test_a_familiar_name_below_an_unknown_parent_is_no_answer():
    """A rank-8 adapter named q_proj was taken for a query matrix by substring in a released optimizer; here it is an
    error.
    """
    with pytest.raises(ValueError, match="no role is known for parameter 'q_proj.weight'"):
        roles(nn.ModuleDict({"q_proj": nn.Linear(8, 8)}))


def test_an_override_gives_the_role_and_keeps_the_rest():
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.LayerNorm(4))
    mine = Role("ffn_in", (1,), (0,))
    assert roles(model, {"0.weight": mine}) == {
        "0.weight": mine,
        "1.weight": Role("norm", (), (0,)),
        "1.bias": Role("bias", (), (0,)),
    }


def test_an_override_without_a_parameter_is_refused():
    with pytest.raises(ValueError, match=r"roles= names \['1.wait'\], but the model's 2 parameters are"):
        roles(nn.Sequential(nn.LayerNorm(4)), {"1.wait": Role("norm", (), (0,))})


def test_a_subclass_counts_as_its_ancestor():
    """Sharding replaces the class of a module by a new subclass of it."""
    norm = nn.LayerNorm(4)
    norm.__class__ = type("ShardedLayerNorm", (nn.LayerNorm,), {"__module__": "elsewhere"})
    assert roles(norm)["weight"].kind == "norm"


def test_multihead_attention_of_torch():
    found = roles(nn.MultiheadAttention(8, 2))
    assert found["in_proj_weight"] == Role("query_key_value", (1,), (0,), 2, 2)
    assert found["out_proj.weight"].kind == "attention_out"
    apart = roles(nn.MultiheadAttention(8, 2, kdim=4, vdim=6))
    assert [apart[f"{x}_proj_weight"].kind for x in "qkv"] == ["query", "key", "value"]


def test_an_encoder_layer_of_torch_is_known_whole():
    kinds = [role.kind for role in roles(nn.TransformerEncoderLayer(8, 2, 16)).values()]
    weights = ["query_key_value", "attention_out", "ffn_in", "ffn_out", "norm", "norm"]
    assert kinds == [kind for weight in weights for kind in (weight, "bias")]


def test_llama_attention_by_class_name_alone():
    llama = "transformers.models.llama.modeling_llama.LlamaAttention"
    sizes = Plain(num_attention_heads=4, num_key_value_heads=2)
    layers = {f"{x}_proj": nn.Linear(8, 8, bias=False) for x in "qkvo"}
    found = roles(impostor(llama, config=sizes, **layers))
    assert [role.kind for role in found.values()] == ["query", "key", "value", "attention_out"]
    assert {(role.n_heads, role.n_kv_heads) for role in found.values()} == {(4, 2)}


def test_gpt2_stores_its_matrices_the_other_way_round():
    conv = impostor("transformers.pytorch_utils.Conv1D", weight=nn.Parameter(torch.zeros(8, 24)))
    found = roles(impostor("transformers.models.gpt2.modeling_gpt2.GPT2Attention", num_heads=2, c_attn=conv))
    assert found == {"c_attn.weight": Role("query_key_value", (0,), (1,), 2, 2)}


def test_our_rows_name_classes_that_exist():
    """A renamed class would leave a dead row."""
    from importlib import import_module

    for name in TABLE:
        module, cls = name.rsplit(".", 1)
        if module.startswith(("sandbox.", "torch.")):
            assert issubclass(getattr(import_module(module), cls), nn.Module)
