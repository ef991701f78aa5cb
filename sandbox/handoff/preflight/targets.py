"""Which model is asked about: a published size, a configuration of Hugging Face, or one of this package.

    a name                    sandbox/handoff/preflight/sizes.py
    FILE.json, FOLDER         {"model_type": "llama" | "gpt2", ...}: Hugging Face;  {"type": "LlamaConfig" | "GPTConfig", ...}: this package

Sizes are all that is used; nothing in a file is executed, and no text of it is shown unquoted. A field that is not known here is
refused, since it might change what a model needs; those that cannot are listed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from sandbox.handoff.plain_text import parsed, printable, require_harmless
from sandbox.handoff.preflight.sizes import SIZES
from sandbox.handoff.recipe import MODELS
from sandbox.handoff.rules import as_record
from sandbox.models.gpt import GPTConfig
from sandbox.models.hugging_face import as_theirs
from sandbox.models.llama import LlamaConfig

Config = GPTConfig | LlamaConfig
Code = Literal["hugging face", "own"]
MOST_BYTES = 1_000_000  # of a configuration
MOST_PARAMETERS = 10**13
SHOWN = 60  # characters of a reader's own text in an error


@dataclass(frozen=True)
class Target:
    """code: whose modules are run; the sizes mean the same in both.  dropout: share that a GPT-2 of Hugging Face leaves out."""

    name: str
    config: Config
    code: Code = "hugging face"
    dropout: float = 0.1

    def build(self, layers: int) -> nn.Module:
        """The model with so many blocks, to be called where drawing numbers costs nothing."""
        config = replace(self.config, layers=layers)
        return config.module() if self.code == "own" else _hugging_face(config, self.dropout)


def target_of(model: str, context: int | None = None) -> Target:
    """The model of a name or a file; context: longest text, in the place of the configuration's.

    Raises ValueError for no such model or file, for a file that is cut off or no configuration, for unknown fields, and for sizes that
    are no whole numbers above 0, absurd, or do not divide where they must.
    """
    if model in SIZES:
        return Target(model, _with_context(SIZES[model], context))
    path = Path(model)
    file = path / "config.json" if path.is_dir() else path
    if not file.is_file():
        raise ValueError(f"the model must be one of {', '.join(SIZES)}, or a configuration, and there is no file {_quoted(model)}")
    data = _read(file)
    if "type" in data:
        config = _plausible(as_record(data, MODELS))
        return Target(file.name[:SHOWN], _with_context(config, context), "own")
    family = data.get("model_type")
    if family not in FAMILIES:
        raise ValueError(
            f"{_quoted(file)} must have model_type {' or '.join(FAMILIES)}, or type {' or '.join(MODELS)}, got {_quoted(family)}"
        )
    config = _with_context(_plausible(FAMILIES[family](data)), context)
    return Target(file.name[:SHOWN], config, dropout=_share(data, "resid_pdrop", 0.1))


def _read(file: Path) -> dict[str, Any]:
    """Raises ValueError for a file that holds no JSON object, and for one that could not be shown on a terminal."""
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{_quoted(file)} has {file.stat().st_size:,} bytes, and no configuration of a model has more than {MOST_BYTES:,}")
    try:
        data = parsed(file.read_text(encoding="utf-8"))
        require_harmless(data)
    except (UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{_quoted(file)} is no whole JSON file of a model: {error}; copy it again") from None
    if not isinstance(data, dict):
        raise ValueError(f"{_quoted(file)} must hold a JSON object, got a {type(data).__name__}")
    return data


def _quoted(text: object) -> str:
    """A reader's own text, on one line and without what a terminal would act on."""
    return repr(printable(str(text), SHOWN))


# What says nothing about memory or sizes, at Hugging Face.
IDLE = frozenset(
    "architectures transformers_version torch_dtype dtype use_cache bos_token_id eos_token_id pad_token_id _name_or_path initializer_range "
    "attention_dropout attn_pdrop embd_pdrop resid_pdrop layer_norm_epsilon rms_norm_eps rope_theta rope_scaling rope_parameters "
    "pretraining_tp max_sequence_length task_specific_params summary_activation summary_first_dropout summary_proj_to_labels summary_type "
    "summary_use_proj scale_attn_weights scale_attn_by_inverse_layer_idx reorder_and_upcast_attn id2label label2id n_ctx".split()
)


def _llama(data: Mapping[str, Any]) -> LlamaConfig:
    known = {"model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"}
    known |= {"intermediate_size", "max_position_embeddings", "tie_word_embeddings", "hidden_act", "attention_bias", "mlp_bias", "head_dim"}
    _refuse_unknown(data, known)
    width, heads = _whole(data, "hidden_size"), _whole(data, "num_attention_heads")
    for name, value in {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}.items():
        _same(data, name, value)
    if data.get("head_dim") is not None and _whole(data, "head_dim") * heads != width:
        raise ValueError(f"head_dim x num_attention_heads must be hidden_size here, got {data['head_dim']} x {heads} and {width}")
    context = data.get("max_position_embeddings", data.get("max_sequence_length", 2048))
    return LlamaConfig(
        _whole(data, "vocab_size"),
        width,
        _whole(data, "num_hidden_layers"),
        heads,
        _whole({"max_position_embeddings": context}, "max_position_embeddings"),
        None if data.get("num_key_value_heads") is None else _whole(data, "num_key_value_heads"),
        _whole(data, "intermediate_size"),
        _flag(data, "tie_word_embeddings", False),
    )


def _gpt2(data: Mapping[str, Any]) -> GPTConfig:
    known = {
        "model_type",
        "vocab_size",
        "n_embd",
        "n_layer",
        "n_head",
        "n_positions",
        "n_inner",
        "activation_function",
        "tie_word_embeddings",
    }
    _refuse_unknown(data, known | {"add_cross_attention"})
    _same(data, "add_cross_attention", False)
    inner = None if data.get("n_inner") is None else _whole(data, "n_inner")
    sizes = [_whole(data, name) for name in ("vocab_size", "n_embd", "n_layer", "n_head", "n_positions")]
    return GPTConfig(*sizes, _flag(data, "tie_word_embeddings", True), inner)


FAMILIES: Mapping[str, Callable[[Mapping[str, Any]], Config]] = {"llama": _llama, "gpt2": _gpt2}


def _refuse_unknown(data: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(data) - known - IDLE):
        raise ValueError(
            f"{len(unknown)} fields of the configuration are not known here, the first is {_quoted(unknown[0])}: it may change what "
            "the model needs; take it out if it does not"
        )


def _whole(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    if type(value) is not int or not 1 <= value <= 2**40:
        raise ValueError(f"{name} must be a whole number above 0, got {_quoted(value) if name in data else 'none'}")
    return value


def _flag(data: Mapping[str, Any], name: str, default: bool) -> bool:
    value = data.get(name, default)
    if type(value) is not bool:
        raise ValueError(f"{name} must be true or false, got {_quoted(value)}")
    return value


def _share(data: Mapping[str, Any], name: str, default: float) -> float:
    value = data.get(name, default)
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise ValueError(f"{name} must be a number from 0 to below 1, got {_quoted(value)}")
    return value


def _same(data: Mapping[str, Any], name: str, value: Any) -> None:
    if data.get(name, value) != value:
        raise ValueError(f"memory is known for models with {name} {value!r}, got {_quoted(data[name])}")


def _plausible(config: Config) -> Config:
    """Raises ValueError for more parameters than any model has."""
    for name in ("vocab", "width", "layers", "heads", "groups", "context", "hidden"):
        value = getattr(config, name, 1)
        if type(value) is not int:
            raise ValueError(f"{name} of a model must be a whole number, got {_quoted(value)}")
    weights = config.layers * config.width * (config.width + config.hidden) + config.vocab * config.width
    if not math.isfinite(weights) or weights > MOST_PARAMETERS:
        raise ValueError(f"a model of more than {MOST_PARAMETERS:,} parameters is a slip, and these sizes give {weights:,}")
    return config


def _with_context(config: Config, context: int | None) -> Config:
    """Raises ValueError for a context that is longer than a table of positions."""
    if context is None:
        return config
    if context < 2:
        raise ValueError(f"the context must be at least 2 tokens, got {context}")
    if isinstance(config, GPTConfig) and context > config.context:
        raise ValueError(f"this model has {config.context} positions, got context {context}: choose at most that")
    return config if isinstance(config, GPTConfig) else replace(config, context=context)


def runnable(target: Target) -> Target:
    """The same, with the modules of this package where those of Hugging Face are not installed."""
    from importlib.util import find_spec

    return target if target.code == "own" or find_spec("transformers") else replace(target, code="own")


def _hugging_face(config: Config, dropout: float) -> nn.Module:
    """Their module of the same sizes, attention by the fused kernel, whose own dropout keeps nothing on a GPU and is left out."""
    from transformers import AutoModelForCausalLM

    theirs = as_theirs(config)
    if isinstance(config, GPTConfig):
        theirs.attn_pdrop, theirs.embd_pdrop, theirs.resid_pdrop = 0.0, dropout, dropout
    return AutoModelForCausalLM.from_config(theirs, attn_implementation="sdpa")
