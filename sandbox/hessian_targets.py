"""The models that `sandbox hessian` can be pointed at: a built-in one, a function of the user, a Hugging Face model in a folder.

    gpt, llama          a small transformer on real text, at several points of its training
    module:function     function() -> (model, criterion, batches), or a list of targets, or {title: (model, criterion, batches)}
                        with an nn.Module, criterion(outputs, targets) -> scalar, and batches of (inputs, targets)
    a folder            a causal language model that `transformers` wrote (config.json), or a folder of such folders, one for each
                        point of training (checkpoint-100, checkpoint-200, ...)

Partitions come from roles. A model of a class that `sandbox.models.roles` does not know is cut by rows and columns of its matrices.
"""

import importlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.curvature.objective import supervised
from sandbox.curvature.survey import Target
from sandbox.models import gpt, llama, partitions
from sandbox.models.cuts import Shapes, adam_mini
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.roles import Role, roles
from sandbox.models.text import corpus
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adamw import AdamW
from sandbox.problems.base import Params
from sandbox.run import run

BUILT_IN = {"gpt": gpt.GPTConfig, "llama": llama.LlamaConfig}


@dataclass(frozen=True)
class BuiltIn:
    """A transformer of one block on characters of a text; AdamW at 3e-3, looked at after each share of `steps`."""

    family: str
    width: int = 16
    steps: int = 0
    shares: tuple[float, ...] = (1.0,)
    seed: int = 0
    text: str = "kjv"

    def __post_init__(self) -> None:
        if self.steps < 0 or not self.shares or not all(0 <= share <= 1 for share in self.shares):
            raise ValueError(
                f"the Hessian is taken after shares in 0..1 of steps >= 0 of AdamW (0: at the start), got {self.steps} steps and the "
                f"shares {list(self.shares)}"
            )

    def targets(self) -> list[Target]:
        config = BUILT_IN[self.family](vocab=2, width=self.width, layers=1, heads=4, context=16)
        problem = fitted(LanguageProblem(config, text=self.text, tokenizer=Characters(), batch_size=8))
        wanted, kept = sorted({round(share * self.steps) for share in self.shares}), {}

        def watch(k: int, params: Params) -> None:
            if k in wanted:
                kept[k] = {name: w.clone() for name, w in params.items()}

        run(problem, AdamW(3e-3), steps=wanted[-1], seed=self.seed, watch=watch)
        cuts = cuts_of(problem.roles, problem.shapes, self.seed)
        batch = problem.batch(self.seed, self.steps)
        return [Target(f"{self.family} step {k}", problem.loss, params, (batch,), cuts) for k, params in kept.items()]


@dataclass(frozen=True)
class Choice:
    """What a caller says of the model and its data; each kind of target uses its own part. at: shares of steps, with commas."""

    width: int = 16
    steps: int = 0
    at: str = "1"
    text: str = "kjv"
    context: int = 32
    windows: int = 8
    seed: int = 0

    @property
    def shares(self) -> tuple[float, ...]:
        try:
            return tuple(float(part) for part in self.at.split(","))
        except ValueError as error:
            raise ValueError(f"--at takes shares of the steps with commas, such as 0,0.5,1, got {self.at!r}") from error


def targets_of(name: str, choice: Choice = Choice()) -> list[Target]:
    """The targets that a name stands for, see the module. Raises ValueError for a name that stands for nothing."""
    if name in BUILT_IN:
        return BuiltIn(name, choice.width, choice.steps, choice.shares, choice.seed, choice.text).targets()
    if not Path(name).exists() and re.fullmatch(r"[\w.]+:\w+", name):
        return of_function(name, choice.seed)
    return Folder(Path(name), choice.text, choice.context, choice.windows, choice.seed).targets()


def cuts_of(found: Mapping[str, Role], shapes: Shapes, seed: int) -> dict[str, partitions.Partition]:
    """Adam-mini's cut, the one by input, and random blocks of Adam-mini's sizes."""
    mini = partitions.from_blocks(adam_mini(found, shapes), shapes)
    return {"adam-mini": mini, "by input": partitions.by_column(found, shapes), "random": partitions.random_like(mini, seed)}


def plain_cuts(shapes: Shapes, seed: int) -> dict[str, partitions.Partition]:
    """By row, by column, and random blocks of the rows' sizes; vectors are whole."""
    rows, columns = (partitions.Partition({name: _along(shape, dim) for name, shape in shapes.items()}) for dim in (0, -1))
    return {"rows": rows, "columns": columns, "random": partitions.random_like(rows, seed)}


def _along(shape: tuple[int, ...], dim: int) -> Tensor:
    if len(shape) < 2:
        return torch.zeros(shape, dtype=torch.long)
    return torch.arange(shape[dim]).view([-1 if d == dim % len(shape) else 1 for d in range(len(shape))]).expand(shape).contiguous()


def of_module(title: str, model: nn.Module, loss: Callable[[Params, Any], Tensor], batches: Sequence[Any], seed: int) -> Target:
    """A target from any module; its parameters are those of `named_parameters`, where tied ones stand once."""
    params = dict(model.named_parameters())
    shapes = {name: tuple(p.shape) for name, p in params.items()}
    try:
        cuts, note = cuts_of(roles(model), shapes, seed), ""
    except ValueError as error:
        cuts, note = plain_cuts(shapes, seed), f"{title}: cut by rows and columns, because {error}"
    return Target(title, loss, params, tuple(batches), cuts, note)


def of_function(name: str, seed: int) -> list[Target]:
    """Raises ValueError where `module:function` cannot be imported or gives something else than targets."""
    module, _, function = name.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"the target {name!r} must be module:function that Python can import from here, but: {error}") from error
    try:
        made = make()
    except Exception as error:  # whatever the function of a caller raises
        raise ValueError(f"{name} must return a model, but stops with {type(error).__name__}: {error}; call it by itself first") from error
    if isinstance(made, list) and made and all(isinstance(one, Target) for one in made):
        return made
    named = made if isinstance(made, Mapping) and made else {function: made}
    return [_supervised(name, str(title), one, seed) for title, one in named.items()]


def _supervised(name: str, title: str, made: Any, seed: int) -> Target:
    whole = isinstance(made, tuple) and len(made) == 3 and isinstance(made[0], nn.Module) and callable(made[1])
    if not whole or not isinstance(made[2], list | tuple) or not made[2] or not all(_is_pair(batch) for batch in made[2]):
        shown = f"({', '.join(type(part).__name__ for part in made)})" if isinstance(made, tuple) else type(made).__name__
        raise ValueError(
            f"{name} must return (nn.Module, criterion(outputs, targets), [(inputs, targets), ...]) with at least one batch, such a tuple "
            f"by title, or a list of sandbox.curvature.survey.Target; got {shown} (a DataLoader goes in as list(loader))"
        )
    model, criterion, batches = made
    return of_module(title, model, supervised(model, criterion), batches, seed)


def _is_pair(batch: Any) -> bool:
    return isinstance(batch, list | tuple) and len(batch) >= 2


@dataclass(frozen=True)
class Folder:
    """windows of `context` tokens of a text, from its beginning.  Needs the extra `scale` (transformers)."""

    path: Path
    text: str = "kjv"
    context: int = 32
    windows: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.context < 1 or self.windows < 1:
            raise ValueError(f"a Hessian needs context >= 1 and windows >= 1, got {self.context} and {self.windows}")

    def targets(self) -> list[Target]:
        return [self._target(folder) for folder in checkpoints(self.path)]

    def _target(self, folder: Path) -> Target:
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise ValueError(
                f"a Hugging Face model needs the package transformers: pip install 'theory-sandbox[scale]' ({error})"
            ) from error
        how = {"local_files_only": True}
        try:
            model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32, **how).eval()
            tokens = AutoTokenizer.from_pretrained(folder, **how)(corpus(self.text).part("pretrain")[: self.characters])["input_ids"]
        except Exception as error:  # transformers, tokenizers and safetensors have exceptions of their own for broken files
            line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ValueError(
                f"{folder} must hold a causal language model and its tokenizer, as save_pretrained writes them: {line}"
            ) from error
        ids = torch.tensor(tokens[: self.windows * (self.context + 1)])
        if len(ids) < self.context + 1:
            raise ValueError(f"{self.text!r} gives {len(ids)} tokens, but one window takes {self.context + 1}; give a longer text")
        ids = ids[: len(ids) // (self.context + 1) * (self.context + 1)].view(-1, self.context + 1)
        return of_module(folder.name, model, next_token(model), [ids], self.seed)

    @property
    def characters(self) -> int:
        """More than enough of the text: a token of a language model is rarely longer than 16 characters."""
        return 16 * self.windows * (self.context + 1)


def next_token(model: nn.Module) -> Callable[[Params, Tensor], Tensor]:
    """Mean negative log likelihood of the tokens (B, T + 1) after the first, in nats per token."""

    def loss(params: Params, ids: Tensor) -> Tensor:
        made = torch.func.functional_call(model, dict(params), (), {"input_ids": ids[:, :-1], "use_cache": False})
        return F.cross_entropy(made.logits.flatten(0, 1), ids[:, 1:].flatten())

    return loss


def checkpoints(path: Path) -> list[Path]:
    """The folder itself where it holds a config.json, else its folders that do, by the numbers in their names.

    Raises ValueError where there is none.
    """
    if (path / "config.json").is_file():
        return [path]
    found = [folder for folder in path.iterdir() if (folder / "config.json").is_file()] if path.is_dir() else []
    if not found:
        raise ValueError(
            f"the target must be {' or '.join(BUILT_IN)}, module:function, or a folder with a config.json (or with folders that have one), "
            f"got {str(path)!r}"
        )
    return sorted(found, key=lambda folder: ([int(number) for number in re.findall(r"\d+", folder.name)], folder.name))
