"""Fine-tuning by SHERL from the base model: the tasks of sandbox/models/finetuning.py, the backbone frozen.

A problem's parameters are the trained ones alone: the route, and the linear head of a classification. The base weights
are constants of the loss, so an optimizer sees only what it may move and a meter counts only what is trained.

Letters: B batch, T context, K classes.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.models.base_model import load
from sandbox.models.finetuning import ByBook, ClassificationProblem, ContinuationProblem, Verses, base_weights
from sandbox.models.initial import initial, roles_of, shapes_of, skeleton
from sandbox.models.language import LanguageProblem
from sandbox.models.roles import Role
from sandbox.models.sherl import Route, SherlClassifierConfig, SherlConfig
from sandbox.problems.base import Facts, Params


@lru_cache(maxsize=4)
def frozen(base: str, dtype: str, config: SherlConfig | SherlClassifierConfig, device: torch.device) -> Params:
    """The base weights under the names that they have in the model; shared, so do not change them."""
    inside = "backbone." if isinstance(config, SherlConfig) else "backbone.backbone."
    renamed = {f"{inside}{name}": w.to(device) for name, w in base_weights(base, dtype).items()}
    return {name: renamed[name] for name in shapes_of(config) if name in renamed}


def trained(config: SherlConfig | SherlClassifierConfig) -> list[str]:
    """Names of the parameters that ask for a gradient, in order."""
    return [name for name, p in skeleton(config).named_parameters() if p.requires_grad]


def whole(problem: Any, params: Params) -> Params:
    """The trained parameters and the frozen ones, on the device of the trained."""
    device = next(iter(params.values())).device
    return {**frozen(problem.task.base, problem.task.dtype, problem.config, device), **params}


@dataclass(frozen=True)
class SherlContinuation:
    """task: text, batches and dtype.  route: the adapter."""

    task: ContinuationProblem = field(default_factory=ContinuationProblem)
    route: Route = Route()

    @property
    def config(self) -> SherlConfig:
        return SherlConfig(replace(load(self.task.base).config, context=self.task.context), self.route)

    @property
    def language(self) -> LanguageProblem:
        """The same text, batches and loss, of all parameters, the frozen ones included."""
        return replace(self.task.language, model=self.config)

    @property
    def facts(self) -> Facts:
        return Facts()

    @property
    def roles(self) -> dict[str, Role]:
        return {name: roles_of(self.config)[name] for name in trained(self.config)}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shapes_of(self.config)[name] for name in trained(self.config)}

    def module(self) -> nn.Module:
        return skeleton(self.config)

    def start(self, seed: int) -> Params:
        """Fresh trained parameters, drawn from the seed."""
        fresh = initial(self.config, seed, getattr(torch, self.task.dtype))
        return {name: fresh[name] for name in trained(self.config)}

    def batch(self, seed: int, step: int) -> Tensor:
        """(B, T + 1) token ids."""
        return self.task.batch(seed, step)

    def loss(self, params: Params, batch: Tensor) -> Tensor:
        """Nats per token."""
        return self.language.loss(whole(self, params), batch)

    def held_out(self, params: Params) -> float:
        return self.language.held_out(whole(self, params))


@dataclass(frozen=True)
class SherlClassification:
    """task: verses, batches and dtype.  route: the adapter; the linear head on the K classes is trained too."""

    task: ClassificationProblem = field(default_factory=ClassificationProblem)
    route: Route = Route()

    @property
    def config(self) -> SherlClassifierConfig:
        sherl = SherlConfig(replace(load(self.task.base).config, context=self.task.context), self.route)
        return SherlClassifierConfig(sherl, len(self.task.books))

    @property
    def facts(self) -> Facts:
        return Facts()

    @property
    def roles(self) -> dict[str, Role]:
        return {name: roles_of(self.config)[name] for name in trained(self.config)}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: shapes_of(self.config)[name] for name in trained(self.config)}

    def module(self) -> nn.Module:
        return skeleton(self.config)

    def start(self, seed: int) -> Params:
        """Fresh trained parameters, drawn from the seed."""
        fresh = initial(self.config, seed, getattr(torch, self.task.dtype))
        return {name: fresh[name] for name in trained(self.config)}

    def batch(self, seed: int, step: int) -> Verses:
        return self.task.batch(seed, step)

    @property
    def judged(self) -> ByBook:
        """The same verses and losses, of all parameters, the frozen ones included."""
        return replace(self.task.judged, model=self.config)

    def loss(self, params: Params, batch: Verses) -> Tensor:
        """Mean negative log likelihood of the book, in nats per verse."""
        return self.judged.loss(whole(self, params), batch)

    def held_out(self, params: Params) -> float:
        return self.judged.held_out(whole(self, params))

    def accuracy(self, params: Params) -> float:
        return self.judged.accuracy(whole(self, params))
