"""Llama and GPT-2 of Hugging Face: their configurations and ours, their names and ours, the weights of a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.models.gpt import GPTConfig
from sandbox.models.llama import LlamaConfig

Config = GPTConfig | LlamaConfig


def as_ours(foreign: Any, context: int | None = None) -> Config:
    """The sizes of a configuration of Hugging Face."""
    if foreign.model_type == "gpt2":
        return GPTConfig(
            foreign.vocab_size,
            width=foreign.n_embd,
            layers=foreign.n_layer,
            heads=foreign.n_head,
            context=foreign.n_positions,
            tied=foreign.tie_word_embeddings,
            ffn=foreign.n_inner,
            std=foreign.initializer_range,
        )
    return LlamaConfig(
        foreign.vocab_size,
        width=foreign.hidden_size,
        layers=foreign.num_hidden_layers,
        heads=foreign.num_attention_heads,
        context=context or foreign.max_position_embeddings,
        kv_heads=foreign.num_key_value_heads,
        ffn=foreign.intermediate_size,
        tied=foreign.tie_word_embeddings,
        std=foreign.initializer_range,
        base=foreign.rope_parameters["rope_theta"],
        eps=foreign.rms_norm_eps,
    )


def as_theirs(config: Config) -> Any:
    """Hugging Face's configuration of the same sizes; their Llama computes the same function of the same numbers as ours."""
    require_transformers()
    from transformers import GPT2Config
    from transformers import LlamaConfig as Theirs

    if isinstance(config, GPTConfig):
        return GPT2Config(
            vocab_size=config.vocab,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            n_positions=config.context,
            n_inner=config.ffn,
            tie_word_embeddings=config.tied,
            initializer_range=config.std,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=None,
        )
    return Theirs(
        vocab_size=config.vocab,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.groups,
        intermediate_size=config.hidden,
        max_position_embeddings=config.context,
        tie_word_embeddings=config.tied,
        initializer_range=config.std,
        rms_norm_eps=config.eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.base},
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )


OUR_NAME = {  # the last parts of a Llama's names at Hugging Face, and here
    "embed_tokens": "embedding", "q_proj": "attention.query", "k_proj": "attention.key", "v_proj": "attention.value",
    "o_proj": "attention.out", "gate_proj": "ffn.gate", "up_proj": "ffn.up", "down_proj": "ffn.down",
    "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm", "norm": "norm", "lm_head": "head",
}  # fmt: skip


def our_name(name: str) -> str:
    """The name in our Llama of a parameter of Hugging Face's."""
    *path, layer, _ = name.split(".")
    block = next((f"blocks.{part}." for part in path if part.isdigit()), "")
    return f"{block}{OUR_NAME[layer]}.weight"


def require_transformers() -> None:
    from importlib.util import find_spec

    if find_spec("transformers") is None or find_spec("accelerate") is None:
        raise ValueError("models of Hugging Face need transformers and accelerate: pip install 'theory-sandbox[scale]'")


def foreign_of(data: dict[str, Any], context: int | None) -> Any:
    require_transformers()
    from transformers import GPT2Config
    from transformers import LlamaConfig as Theirs

    family = {"llama": Theirs, "gpt2": GPT2Config}[data["model_type"]]
    rest = {key: value for key, value in data.items() if key != "model_type"}
    try:
        found = family(**rest | {"use_cache": False})
    except Exception as error:  # their own kinds of errors, and those of their validators
        raise ValueError(f"this is no configuration of {data['model_type']}: {' '.join(str(error).split())}") from error
    if context is not None and context > found.max_position_embeddings:
        raise ValueError(f"the model reads at most {found.max_position_embeddings} tokens, got context {context}")
    return found


def module_of(foreign: Any) -> nn.Module:
    require_transformers()
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM

    with init_empty_weights(include_buffers=False), torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_config(foreign, attn_implementation="sdpa").train()
    model.tie_weights()
    return model


def stored_in(folder: Path) -> dict[str, Path]:
    """Tensor -> file. Raises ValueError for a file that is cut off."""
    from safetensors import SafetensorError, safe_open

    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, "pt") as tensors:
                found |= dict.fromkeys(tensors.keys(), file)
        except SafetensorError as error:
            raise ValueError(f"{file} cannot be read as safetensors ({error}): copy it again") from error
    return found


def tensor_of(stored: Mapping[str, Path], name: str, shape: tuple[int, ...], folder: Path | None) -> Tensor:
    from safetensors import safe_open

    key = next((key for key in (name, name.partition(".")[2]) if key in stored), None)  # GPT-2's files leave out "transformer."
    if key is None:
        raise ValueError(f"{folder} holds {len(stored)} tensors and none is {name!r}: its weights are of another model")
    with safe_open(stored[key], "pt") as tensors:
        w = tensors.get_tensor(key)
    if tuple(w.shape) != shape:
        raise ValueError(f"{name!r} in {stored[key]} has shape {tuple(w.shape)}, but the configuration says {shape}")
    return w
