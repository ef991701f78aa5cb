"""A settings card inside torchtitan: its optimizer container with the card's own shell in it. Needs torchtitan 0.3 beside this package.

    # in a config registry of torchtitan
    optimizer=CardOptimizers.Config(card="adalomo.json")
    lr_scheduler=schedule("adalomo.json", steps=training.steps)

torchtitan saves and loads optimizer states by name, one tensor at a time, and the flat states of our shells fit that as they are. One
thing is done otherwise: before the first step it makes states by a step with zero gradients, and a frame that takes its basis from the
gradient would keep that of a zero matrix until its next refresh. Here a state that is not there yet is the rule's fresh one at step 0.

Source: torchtitan 0.3.0, components/optimizer (read, and run on a CPU). Its `fused` and `foreach` settings and its parameter groups by
regular expression have no meaning here, because the card says what each tensor gets: they are refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchtitan.components.optimizer import LRSchedulersContainer, OptimizersContainer

from sandbox.handoff.for_trainers import SHELLS, rules_for, usable
from sandbox.handoff.schema import Card
from sandbox.models.roles import TOKENS, Role, Row, linear, number, row
from sandbox.optimizers.base import Rule
from sandbox.shells.flat_state import structure, write

TABLE = {
    "torchtitan.models.common.decoder.Decoder": row(tok_embeddings=TOKENS, lm_head=linear("head")),
    "torchtitan.models.common.feed_forward.FeedForward": row(w1=linear("ffn_gate"), w2=linear("ffn_out"), w3=linear("ffn_in")),
    "torchtitan.models.common.attention.GQAttention": row(
        qkv_linear__wq=linear("query"), qkv_linear__wk=linear("key"), qkv_linear__wv=linear("value"), wo=linear("attention_out"),
        qkv_linear__wqkv=linear("query_key_value_by_head"), heads="n_heads", kv_heads="n_kv_heads",
    ),
}  # fmt: skip


class CardOptimizers(OptimizersContainer):
    """One shell per part of the model. Raises ValueError as `sandbox.handoff.optimizer` does."""

    @dataclass(kw_only=True, slots=True)
    class Config(OptimizersContainer.Config):
        card: str = ""
        """Path of a settings card."""

        lr: float | None = None
        """In the place of the learning rate that the card predicts for the model's width."""

    def __init__(self, config: Config, *, model_parts: list[nn.Module]) -> None:
        if config.param_groups or config.optimizer_factory_kwargs_by_name:
            raise ValueError("a card says what each tensor gets: leave param_groups and optimizer_factory_kwargs_by_name empty")
        self.card, self.model_parts = usable(Path(config.card)), model_parts
        self._rules = [rules_for(self.card, part, lr=config.lr, overrides=overrides(part)) for part in model_parts]
        self.optimizers = [_shell(self.card, part, rules) for part, rules in zip(model_parts, self._rules, strict=True)]
        tensors = [w for made in self.optimizers for group in made.param_groups for w in group["params"]]
        self._validate_params(tensors)
        self._post_init(tensors)

    def state_dict(self) -> dict[str, Any]:
        self._begin()
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._begin()
        super().load_state_dict(state_dict)

    def _begin(self) -> None:
        """Fresh states where there are none, so that nothing has to be made by a step."""
        for part, rules, made in zip(self.model_parts, self._rules, self.optimizers, strict=True):
            tensors = dict(part.named_parameters())
            for name, rule in rules.items():
                if not made.state[tensors[name]]:
                    made.state[tensors[name]] = fresh(rule, tensors[name])


def schedule(card: str, steps: int) -> LRSchedulersContainer.Config:
    """The card's schedule in torchtitan's words, the same factors; constant where the card has none."""
    part = usable(Path(card)).schedule
    if part is None:
        return LRSchedulersContainer.Config(warmup_steps=0, total_steps=steps, decay_ratio=0.0, min_lr_factor=1.0)
    return LRSchedulersContainer.Config(
        warmup_steps=part.warmup, total_steps=part.total, decay_ratio=None, decay_type="cosine", min_lr_factor=part.floor
    )


def fresh(rule: Rule, w: torch.Tensor) -> dict[str, Any]:
    """The entry of a tensor before its first step, as the shells keep it."""
    state = rule.init(w.detach())
    entry: dict[str, Any] = {"step": 0}
    write(state, structure(state), entry)
    return entry


def overrides(model: nn.Module) -> dict[str, Role]:
    """The roles of torchtitan's Llama, which no other table has."""
    names = {name for name, _ in model.named_parameters()}
    return {name: role for name, role in _claims(model) if name in names}


def _claims(model: nn.Module) -> Iterator[tuple[str, Role]]:
    for prefix, module in model.named_modules():
        found = _row_of(module)
        if found is None:
            continue
        heads, kv_heads = number(module, found.heads), number(module, found.kv_heads)
        for path, role in found.parameters.items():
            yield f"{prefix}.{path}" if prefix else path, Role(role.kind, role.input_dims, role.output_dims, heads, kv_heads)


def _row_of(module: nn.Module) -> Row | None:
    names = (f"{cls.__module__}.{cls.__qualname__}" for cls in type(module).__mro__)
    return next((TABLE[name] for name in names if name in TABLE), None)


def _shell(card: Card, model: nn.Module, rules: dict[str, Rule]) -> torch.optim.Optimizer:
    tensors = dict(model.named_parameters())
    return SHELLS[card.optimizer.shell]([(name, tensors[name]) for name in rules], rules, seed=card.canary.seed)
