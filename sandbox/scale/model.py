"""What is trained: the card's own model, another one of this package, or a Llama or GPT-2 of Hugging Face.

    --model llama-60m, ...                                               a size of sandbox/handoff/preflight/sizes.py, of Hugging Face
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
from sandbox.handoff.preflight.sizes import SIZES
from sandbox.handoff.recipe import MODELS
from sandbox.handoff.rules import as_record
from sandbox.models.gpt import GPTConfig
from sandbox.models.hugging_face import as_ours, as_theirs, foreign_of, module_of, stored_in, tensor_of
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
            model = module_of(self.foreign)
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
        stored = stored_in(self.folder) if self.folder else {}
        if stored:
            return lambda name: tensor_of(stored, name, self.shapes[name], self.folder).to(dtype)
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
    if model in SIZES:
        config = SIZES[model] if context is None else replace(SIZES[model], context=context)
        return Trainee(config, as_theirs(config))
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
    foreign = foreign_of(data, context)
    return Trainee(as_ours(foreign, context), foreign, path if path.is_dir() and any(path.glob("*.safetensors")) else None)


def _json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"the model {str(file)!r} must be a JSON configuration: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"the model {str(file)!r} must be a JSON configuration, got a {type(data).__name__}")
    return data
