"""What is trained: the card's own model, another one of this package, or a Llama or GPT-2 of Hugging Face.

    --model CONFIG.json    {"type": "LlamaConfig", "vocab": 512, ...}    a record of `sandbox.models`
                           {"model_type": "llama", ...}                  a configuration of Hugging Face, drawn anew
    --model FOLDER         config.json and, where they are there, *.safetensors, from which the training then starts

Initial numbers are drawn as those of our own models: by role, from (seed, position of the tensor), in float64 on the CPU. Hugging Face
models draw with `initializer_range` (Llama's writers into the residual stream too are scaled down here, as GPT-2's are).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.draws import generator
from sandbox.handoff.recipe import MODELS
from sandbox.handoff.rules import as_record
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import WEIGHTS, draw
from sandbox.models.llama import LlamaConfig
from sandbox.models.roles import Role, roles

Config = GPTConfig | LlamaConfig
FAMILIES = ("llama", "gpt2")


@dataclass(frozen=True)
class Trainee:
    """config: the sizes, as a record of this package.  foreign: the same as Hugging Face's configuration, or None.

    folder: where weights to start from lie, or None.
    """

    config: Config
    foreign: Any = None
    folder: Path | None = None

    def module(self, dtype: torch.dtype = torch.float32) -> nn.Module:
        """The module with parameters of this dtype on the meta device; what Hugging Face keeps in buffers is computed."""
        if self.foreign is None:
            with torch.device("meta"):
                model = self.config.module()
        else:
            model = _hugging_face(self.foreign)
        for p in model.parameters():
            p.data = p.data.to(dtype)
        return model

    @cached_property
    def skeleton(self) -> nn.Module:
        """One such module, to be looked at."""
        return self.module()

    @property
    def roles(self) -> dict[str, Role]:
        return roles(self.skeleton)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(p.shape) for name, p in self.skeleton.named_parameters()}

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.skeleton.parameters())

    def numbers(self, seed: int, dtype: torch.dtype, factors: Mapping[str, float] | None = None) -> Callable[[str], Tensor]:
        """name -> initial tensor, on the CPU. factors: of the initial scale, by name.

        Raises ValueError, at the call, for a tensor that the folder does not hold in this shape.
        """
        stored = _stored(self.folder) if self.folder else {}
        if stored:
            return lambda name: _read(stored, name, self.shapes[name], self.folder).to(dtype)
        found, shapes, index = self.roles, self.shapes, {name: i for i, name in enumerate(self.shapes)}
        scale = factors or {}

        def number(name: str) -> Tensor:
            w = draw(self.config, found[name], shapes[name], generator(seed, index[name], 0, WEIGHTS))
            return (w * scale.get(name, 1.0)).to(dtype)

        return number


def logits_of(model: nn.Module, tokens_BT: Tensor) -> Tensor:
    """(B, T, V), in float32 at least."""
    out = model(tokens_BT)
    logits = out if isinstance(out, Tensor) else out.logits
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def trainee_of(model: str | None, own: Config, context: int | None) -> Trainee:
    """Raises ValueError for a file that is no configuration, for other families, and for sizes that do not fit."""
    if model is None:
        return Trainee(own if context is None else replace(own, context=context))
    path = Path(model)
    file = path / "config.json" if path.is_dir() else path
    data = _json(file)
    if data.get("type") in MODELS:
        config = as_record(data, MODELS)
        return Trainee(config if context is None else replace(config, context=context))
    if data.get("model_type") not in FAMILIES:
        raise ValueError(
            f"{file} must be a configuration with type {' or '.join(MODELS)}, or of Hugging Face with model_type "
            f"{' or '.join(FAMILIES)}, got type {data.get('type')!r} and model_type {data.get('model_type')!r}"
        )
    foreign = _foreign(data, context)
    return Trainee(as_ours(foreign, context), foreign, path if path.is_dir() and any(path.glob("*.safetensors")) else None)


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


def as_theirs(config: LlamaConfig) -> Any:
    """Hugging Face's configuration of a Llama of ours, which computes the same function of the same numbers."""
    _require_transformers()
    from transformers import LlamaConfig as Theirs

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


def _json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"the model {str(file)!r} must be a JSON configuration: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"the model {str(file)!r} must be a JSON configuration, got a {type(data).__name__}")
    return data


def _require_transformers() -> None:
    from importlib.util import find_spec

    if find_spec("transformers") is None or find_spec("accelerate") is None:
        raise ValueError("models of Hugging Face need transformers and accelerate: pip install 'theory-sandbox[scale]'")


def _foreign(data: dict[str, Any], context: int | None) -> Any:
    _require_transformers()
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


def _hugging_face(foreign: Any) -> nn.Module:
    _require_transformers()
    from accelerate import init_empty_weights
    from transformers import AutoModelForCausalLM

    with init_empty_weights(include_buffers=False), torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_config(foreign, attn_implementation="sdpa").train()
    model.tie_weights()
    return model


def _stored(folder: Path) -> dict[str, Path]:
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


def _read(stored: Mapping[str, Path], name: str, shape: tuple[int, ...], folder: Path | None) -> Tensor:
    from safetensors import safe_open

    key = next((key for key in (name, name.partition(".")[2]) if key in stored), None)  # GPT-2's files leave out "transformer."
    if key is None:
        raise ValueError(f"{folder} holds {len(stored)} tensors and none is {name!r}: its weights are of another model")
    with safe_open(stored[key], "pt") as tensors:
        w = tensors.get_tensor(key)
    if tuple(w.shape) != shape:
        raise ValueError(f"{name!r} in {stored[key]} has shape {tuple(w.shape)}, but the configuration says {shape}")
    return w
