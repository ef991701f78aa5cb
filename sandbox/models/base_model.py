"""The kept base model: its card, its weights checked against the card's hash, its tokenizer.

The folder holds model.safetensors, tokenizer.json and card.json; `experiments/base_model.py` makes it. Weights are read
as safetensors, so that nothing in the file is executed.
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sandbox.models.initial import shapes_of
from sandbox.models.llama import LlamaConfig
from sandbox.models.text import upward
from sandbox.models.tokenizers import Kept
from sandbox.problems.base import Params

BASE = "experiments/records/base_model"


@dataclass(frozen=True)
class BaseModel:
    """card: what the training recorded.  params: float32, named as the parameters of `config.module()`."""

    card: dict[str, Any] = field(repr=False)
    config: LlamaConfig
    tokenizer: Kept
    params: Params = field(repr=False)


def folder_of(base: str) -> Path:
    """The folder itself where it exists, otherwise below the nearest project folder. Raises ValueError where it is
    nowhere.
    """
    found = upward(base)
    roots = (Path(base), *((found / base,) if found else ()), Path(__file__).parents[2] / base)
    for folder in roots:
        if (folder / "card.json").is_file():
            return folder.resolve()
    raise ValueError(f"the base model {base!r} has no card.json: train it by `python experiments/base_model.py`, or name its folder")


@lru_cache(maxsize=4)
def load(base: str = BASE) -> BaseModel:
    """Raises ValueError where a file is missing or is not the one that the card describes."""
    from safetensors.torch import load as tensors

    folder = folder_of(base)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    weights = checked(folder / "model.safetensors", card["weights_sha256"])
    checked(folder / "tokenizer.json", card["tokenizer"]["sha256"])
    config, loaded = LlamaConfig(**card["model"]), tensors(weights)  # safetensors returns names in no fixed order
    return BaseModel(card, config, Kept(str(folder / "tokenizer.json")), {name: loaded[name] for name in shapes_of(config)})


def checked(path: Path, sha256: str) -> bytes:
    """The bytes of a file. Raises ValueError where it is missing or its hash is another."""
    if not path.is_file():
        raise ValueError(f"{path.name} is missing beside {path.parent / 'card.json'}: restore it, or train the base model anew")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path.name} ({len(content)} bytes) has sha256 {found[:12]}..., its card says {sha256[:12]}...: "
            f"it was changed or cut after training; restore it, or train the base model anew"
        )
    return content
