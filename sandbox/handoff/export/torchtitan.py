"""A card as a configuration of torchtitan 0.3: Python, for its config registry.

AdamW and Adam have native names there, with one parameter group per learning rate, so the factors of a parametrisation survive. Everything
else is the card's own shell inside torchtitan's container (`sandbox.handoff.titan`), which loses nothing.

Written out are also what its defaults would change: gradients are clipped at norm 1 there, and weights cast to bfloat16.

torchtitan's warm-up and cosine are ours to the last step (its factor before step k is (k + 1) / warmup, then cosine to min_lr_factor).
Patterns are those of its Llama, whose tensors are found by (kind -> name); the first pattern that fits a name wins.

Source: torchtitan 0.3.0, components/optimizer (read; run on a CPU in tests/handoff/test_handoff_titan.py where it is installed).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sandbox.handoff.export.words import Exported, Lost
from sandbox.handoff.schema import Card

PATTERNS = {
    "query": r"attention\.qkv_linear\.", "key": r"attention\.qkv_linear\.", "value": r"attention\.qkv_linear\.",
    "attention_out": r"attention\.wo\.", "ffn_gate": r"feed_forward\.w1\.", "ffn_out": r"feed_forward\.w2\.",
    "ffn_in": r"feed_forward\.w3\.", "norm": r"norm\.weight$", "embedding": r"tok_embeddings\.", "head": r"lm_head\.",
}  # fmt: skip
NATIVE = ("AdamW", "Adam")
HEAD = '''"""Optimizer, schedule and training of a settings card, for a config registry of torchtitan 0.3.

{remarks}
"""
'''
NATIVE_TEXT = """
from torchtitan.components.optimizer import LRSchedulersContainer, OptimizersContainer, ParamGroupConfig

OPTIMIZER = OptimizersContainer.Config(
    implementation="for-loop",
    param_groups=[
{groups}
    ],
)
LR_SCHEDULER = LRSchedulersContainer.Config({schedule})
"""
SHELL_TEXT = """
from sandbox.handoff.titan import CardOptimizers, schedule

CARD = {path!r}
OPTIMIZER = CardOptimizers.Config(card=CARD)
LR_SCHEDULER = schedule(CARD, steps={steps})
"""
TRAINING = """
from torchtitan.config import TrainingConfig

TRAINING = TrainingConfig(
    local_batch_size={batch},
    global_batch_size={batch},
    seq_len={context},
    max_norm=float("inf"),
    steps={steps},
    dtype="float32",
    mixed_precision_param="float32",
    mixed_precision_reduce="float32",
)
"""


def torchtitan(card: Card, kinds: Mapping[str, str], path: str) -> Exported:
    """The Python file of a card. kinds: kind of every tensor of the card's model, by name.  path: of the card, for its own shell."""
    native = card.optimizer.rule["type"] in NATIVE and card.optimizer.frame is None and card.optimizer.shell == "stepwise"
    lost = [Lost("initial weights", str(card.model.get("init")), "those that the model is made with, at every width")]
    lost += [Lost("data", "batches by seed and step", "torchtitan draws its own batches, by its own seed")]
    if card.data.dtype != "float32":
        lost.append(Lost("dtype", card.data.dtype, "training.dtype and mixed precision are set there"))
    names = {"batch": card.data.batch, "steps": card.data.steps, "context": card.data.context}
    if native:
        groups = group_settings(card, kinds)
        lines = [
            f"        ParamGroupConfig(pattern={pattern!r}, optimizer_name={name!r}, optimizer_kwargs={kwargs!r}),"
            for pattern, name, kwargs in groups
        ]
        body = NATIVE_TEXT.format(groups="\n".join(lines), schedule=_schedule(card))
    else:
        body = SHELL_TEXT.format(path=path, **names)
    remarks = "\n".join(["Not carried over from the card:", *(f"    {one}" for one in lost)])
    return Exported("torchtitan", HEAD.format(remarks=remarks) + body + TRAINING.format(**names), "py", tuple(lost), same_code=not native)


def group_settings(card: Card, kinds: Mapping[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    """(pattern, name, arguments) per learning rate; the commonest comes last, for all that is left.

    Raises ValueError where one pattern would need two rates.
    """
    rule, partition = card.optimizer.rule, card.optimizer.partition or {}
    factors: dict[str, float] = {}
    for name, kind in kinds.items():
        factor = partition[name].lr_factor if name in partition else 1.0
        pattern = PATTERNS.get(kind)
        if factors.setdefault(pattern or kind, factor) != factor or (pattern is None and factor != 1):
            raise ValueError(f"torchtitan groups tensors by name, and {name!r} of kind {kind!r} would need a rate of its own")
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in rule.items() if key not in ("type", "lr")}
    rates: dict[float, list[str]] = {}
    for pattern, factor in factors.items():
        rates.setdefault(factor, []).append(pattern)
    ordered = sorted(rates, key=lambda factor: len(rates[factor]))
    patterns = {factor: "|".join(rates[factor]) for factor in ordered[:-1]} | {ordered[-1]: ".*"}
    return [(patterns[factor], rule["type"], {"lr": rule["lr"] * factor, **arguments}) for factor in ordered]


def native_optimizer(card: Card, kinds: Mapping[str, str], model: nn.Module) -> torch.optim.Optimizer:
    """What torchtitan makes of the native text, on the card's own model: torch's class, one group per rate."""
    rates = {name: (card.optimizer.partition or {}).get(name) for name in kinds}
    rule = card.optimizer.rule
    groups: dict[float, list[nn.Parameter]] = {}
    for name, w in model.named_parameters():
        groups.setdefault(rule["lr"] * (rates[name].lr_factor if rates[name] else 1.0), []).append(w)
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in rule.items() if key not in ("type", "lr")}
    made = [{"params": tensors, "lr": lr} for lr, tensors in groups.items()]
    return {"AdamW": torch.optim.AdamW, "Adam": torch.optim.Adam}[rule["type"]](made, **arguments, foreach=False, fused=False)


def _schedule(card: Card) -> str:
    part = card.schedule
    if part is None:
        return f"warmup_steps=0, total_steps={card.data.steps}, decay_ratio=0.0, min_lr_factor=1.0"
    return (
        f'warmup_steps={part.warmup}, total_steps={part.total}, decay_ratio=None, decay_type="cosine", min_lr_factor={float(part.floor)!r}'
    )
