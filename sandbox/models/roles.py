"""What every parameter of a model is: its kind, which of its sides is input and which output, its heads, its ties.

The table is keyed by the class of the module that HOLDS the parameter's module (or the parameter), by exact qualified
name, and by exact attribute names below it. A class that is missing is an error that shows the row to add; parameter
names are never searched for substrings. Partitions, frame sides, learning-rate groups, Hessian blocks and memory read
the answer as data.

Where an outer and an inner class both claim a parameter, the outer one wins: a GPT says that its `position` table is
not an embedding of tokens. Subclasses count as their ancestor, because sharding replaces the class of a module by a
subclass.

Hugging Face rows: read in transformers 5.23, except Llama's and GPT-2's (recalled); LoRA's names in peft 0.21.
Departures: none, the table is ours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import nn

Kind = Literal[
    "query", "key", "value", "query_key_value", "attention_out", "ffn_in", "ffn_gate", "ffn_out",
    "query_key_value_by_head", "embedding", "position", "head", "hidden", "norm", "bias",
    "convolution", "experts_in", "experts_out", "router", "lora_a", "lora_b",
]  # fmt: skip


@dataclass(frozen=True)
class Role:
    """input_dims, output_dims: the tensor's axes that face the input and the output; an nn.Linear weight is (out, in):
    (1,) and (0,).

    n_heads, n_kv_heads: of the attention that holds the tensor, None elsewhere.  tied_to: the other names of the same
    tensor.
    """

    kind: Kind
    input_dims: tuple[int, ...]
    output_dims: tuple[int, ...]
    n_heads: int | None = None
    n_kv_heads: int | None = None
    tied_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """parameters: attribute path below the module -> role.  heads, kv_heads: attribute paths of the numbers of
    heads.
    """

    parameters: Mapping[str, Role]
    heads: str | None = None
    kv_heads: str | None = None


def linear(kind: Kind) -> Role:
    """The weight of an nn.Linear, (out, in)."""
    return Role(kind, (1,), (0,))


def conv1d(kind: Kind) -> Role:
    """The weight of a GPT-2 Conv1D, (in, out)."""
    return Role(kind, (0,), (1,))


TOKENS, POSITIONS = Role("embedding", (0,), (1,)), Role("position", (0,), (1,))  # a table is (rows looked up, features)
GAIN, BIAS = Role("norm", (), (0,)), Role("bias", (), (0,))


LORA = {"lora_A.default.weight": Role("lora_a", (1,), (0,)), "lora_B.default.weight": Role("lora_b", (1,), (0,))}


def row(*, heads: str | None = None, kv_heads: str | None = None, **layers: Role) -> Row:
    """A row from layer names with `__` for the dot; each layer has that weight and may have a bias.

    A layer that the package peft has wrapped keeps its weight one level lower, beside LoRA's two factors.
    """
    named = {layer.replace("__", "."): role for layer, role in layers.items()}
    weights = {f"{layer}{wrapped}.weight": role for layer, role in named.items() for wrapped in ("", ".base_layer")}
    biases = {f"{layer}{wrapped}.bias": BIAS for layer in named for wrapped in ("", ".base_layer")}
    factors = {f"{layer}.{path}": role for layer in named for path, role in LORA.items()}
    return Row(weights | biases | factors, heads, kv_heads)


OUR_ATTENTION = row(
    query=linear("query"), key=linear("key"), value=linear("value"), out=linear("attention_out"),
    heads="n_heads", kv_heads="n_kv_heads",
)  # fmt: skip
LLAMA_ATTENTION = row(
    q_proj=linear("query"), k_proj=linear("key"), v_proj=linear("value"), o_proj=linear("attention_out"),
    heads="config.num_attention_heads", kv_heads="config.num_key_value_heads",
)  # fmt: skip
GATED = row(gate=linear("ffn_gate"), up=linear("ffn_in"), down=linear("ffn_out"))
LLAMA_MLP = row(gate_proj=linear("ffn_gate"), up_proj=linear("ffn_in"), down_proj=linear("ffn_out"))
NORM = Row({"weight": GAIN, "bias": BIAS})
TABLE_ROW = Row({"weight": TOKENS})
CONVOLUTION = Row({"weight": Role("convolution", (1,), (0,)), "bias": BIAS})  # (out, in / groups, *kernel)
EXPERTS = Row({"gate_up_proj": Role("experts_in", (2,), (0, 1)), "down_proj": Role("experts_out", (2,), (0, 1))})  # (expert, out, in)
HF = "transformers.models"

TABLE: Mapping[str, Row] = {
    "sandbox.models.gpt.GPT": row(embedding=TOKENS, position=POSITIONS, head=linear("head")),
    "sandbox.models.gpt.Attention": OUR_ATTENTION,
    "sandbox.models.gpt.FeedForward": row(up=linear("ffn_in"), down=linear("ffn_out")),
    "sandbox.models.llama.Llama": row(embedding=TOKENS, head=linear("head")),
    "sandbox.models.llama.Attention": OUR_ATTENTION,
    "sandbox.models.llama.SwiGLU": GATED,
    "sandbox.models.llama.RMSNorm": NORM,
    "sandbox.models.classifier.Classifier": row(classes=linear("head")),
    "sandbox.models.sherl.Down": row(linear=linear("hidden")),
    "sandbox.models.sherl.Sherl": Row({**row(score=linear("hidden"), up=linear("hidden")).parameters, "gate": BIAS}),
    "sandbox.models.mlp.Hidden": row(linear=linear("hidden")),
    "sandbox.models.mlp.MLP": row(head=linear("head")),
    "sandbox.models.cnn.CNN": row(head=linear("head")),
    "sandbox.models.pruned_embedding.PrunedEmbedding": TABLE_ROW,
    "torch.nn.modules.sparse.Embedding": TABLE_ROW,
    "torch.nn.modules.conv.Conv1d": CONVOLUTION,
    "torch.nn.modules.conv.Conv2d": CONVOLUTION,
    "torch.nn.modules.conv.Conv3d": CONVOLUTION,
    "torch.nn.modules.normalization.LayerNorm": NORM,
    "torch.nn.modules.normalization.RMSNorm": NORM,
    "torch.nn.modules.activation.MultiheadAttention": Row(
        {
            "in_proj_weight": linear("query_key_value"), "in_proj_bias": BIAS,
            "q_proj_weight": linear("query"), "k_proj_weight": linear("key"), "v_proj_weight": linear("value"),
            "bias_k": BIAS, "bias_v": BIAS, "out_proj.weight": linear("attention_out"), "out_proj.bias": BIAS,
        },
        heads="num_heads", kv_heads="num_heads",
    ),
    "torch.nn.modules.transformer.TransformerEncoderLayer": row(linear1=linear("ffn_in"), linear2=linear("ffn_out")),
    f"{HF}.llama.modeling_llama.LlamaAttention": LLAMA_ATTENTION,
    f"{HF}.llama.modeling_llama.LlamaMLP": LLAMA_MLP,
    f"{HF}.llama.modeling_llama.LlamaRMSNorm": NORM,
    f"{HF}.llama.modeling_llama.LlamaForCausalLM": row(lm_head=linear("head")),
    f"{HF}.mixtral.modeling_mixtral.MixtralAttention": LLAMA_ATTENTION,
    f"{HF}.mixtral.modeling_mixtral.MixtralExperts": EXPERTS,
    f"{HF}.mixtral.modeling_mixtral.MixtralTopKRouter": Row({"weight": linear("router")}),
    f"{HF}.mixtral.modeling_mixtral.MixtralRMSNorm": NORM,
    f"{HF}.mixtral.modeling_mixtral.MixtralForCausalLM": row(lm_head=linear("head")),
    f"{HF}.gpt_neox.modeling_gpt_neox.GPTNeoXAttention": row(
        query_key_value=linear("query_key_value_by_head"), dense=linear("attention_out"),
        heads="config.num_attention_heads", kv_heads="config.num_attention_heads",
    ),
    f"{HF}.gpt_neox.modeling_gpt_neox.GPTNeoXMLP": row(dense_h_to_4h=linear("ffn_in"), dense_4h_to_h=linear("ffn_out")),
    f"{HF}.gpt_neox.modeling_gpt_neox.GPTNeoXForCausalLM": row(lm_head=linear("head")),
    f"{HF}.gpt2.modeling_gpt2.GPT2Attention": row(
        c_attn=conv1d("query_key_value"), c_proj=conv1d("attention_out"), heads="num_heads", kv_heads="num_heads"
    ),
    f"{HF}.gpt2.modeling_gpt2.GPT2MLP": row(c_fc=conv1d("ffn_in"), c_proj=conv1d("ffn_out")),
    f"{HF}.gpt2.modeling_gpt2.GPT2Model": row(wte=TOKENS, wpe=POSITIONS),
    f"{HF}.gpt2.modeling_gpt2.GPT2LMHeadModel": row(lm_head=linear("head")),
}  # fmt: skip


def qualified(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def row_of(module: nn.Module) -> Row | None:
    """The row of the module's class or of its nearest ancestor in the table, None where there is none."""
    names = (f"{cls.__module__}.{cls.__qualname__}" for cls in type(module).__mro__)
    return next((TABLE[name] for name in names if name in TABLE), None)


def number(module: nn.Module, path: str | None) -> int | None:
    """The integer at a dotted attribute path of the module; None without a path."""
    value: Any = module
    for attribute in path.split(".") if path else ():
        value = getattr(value, attribute)
    return value if path else None


def claims(model: nn.Module) -> Iterator[tuple[str, Role]]:
    """(parameter name, role) of every row that applies, outer modules first."""
    for prefix, module in model.named_modules(remove_duplicate=False):
        found = row_of(module)
        if found is None:
            continue
        heads, kv_heads = number(module, found.heads), number(module, found.kv_heads)
        for path, role in found.parameters.items():
            yield f"{prefix}.{path}" if prefix else path, replace(role, n_heads=heads, n_kv_heads=kv_heads)


def holder(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module whose class should have claimed `name`, and the attribute path below it."""
    parts = name.split(".")
    depth = max(len(parts) - 2, 0)
    return model.get_submodule(".".join(parts[:depth])), ".".join(parts[depth:])


def unknown(model: nn.Module, name: str) -> ValueError:
    parent, path = holder(model, name)
    return ValueError(
        f"no role is known for parameter {name!r}: its parent is a {qualified(parent)}, which claims no {path!r}. "
        f"Add to TABLE in sandbox/models/roles.py the row  {qualified(parent)!r}: "
        f"Row({{{path!r}: Role(kind=..., input_dims=(1,), output_dims=(0,))}}),  or pass roles={{{name!r}: Role(...)}}"
    )


def roles(model: nn.Module, roles: Mapping[str, Role] | None = None) -> dict[str, Role]:
    """The role of every parameter, keyed and ordered as `model.named_parameters()`; a tied tensor appears once, with
    its other names.

    roles: overrides by parameter name. Raises ValueError for a parameter without a role and for an override without a
    parameter.
    """
    given, claimed = dict(roles or {}), {}
    for name, role in claims(model):
        claimed.setdefault(name, role)
    aliases: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        aliases.setdefault(id(parameter), []).append(name)
    names = [same[0] for same in aliases.values()]
    if extra := sorted(set(given) - set(names)):
        raise ValueError(f"roles= names {extra}, but the model's {len(names)} parameters are {names}")
    found = {}
    for name, *others in aliases.values():
        if name not in given and name not in claimed:
            raise unknown(model, name)
        found[name] = replace(given.get(name, claimed.get(name)), tied_to=tuple(others))
    return found
