"""One small transformer, trained 50 steps by any optimizer, and how far apart two such trainings end.

    difference   of two contenders: |theirs - ours|_2 / |ours - start|_2, all weights in one vector, and the same with the largest
                 entry in the place of the 2-norm
    one digit    the same of a contender and itself, when each starting weight is changed by one last digit (sign at random)
    allowed      STEPS times one digit

Why `allowed`: two codes of one equation differ by roundings, which enter at every step. A step's roundings move a weight by no
more than about one last digit of it, and what enters at step k has less time to grow than what is there at the start. So the
sum over the steps stays below STEPS times what one digit at the start does. This holds where rounding acts on weights;
roundings of an update are smaller, because the update is smaller than the weight.

The transformer has no biases, because a key's bias has a gradient of exactly zero, so that what arrives is rounding, and every
rule that divides by the gradient's size would blow it up to a full step. Tokens follow a noisy linear recursion, so there is
something to learn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.draws import generator
from sandbox.models.initial import build
from sandbox.models.llama import LlamaConfig

STEPS = 50
MODEL = LlamaConfig(vocab=29, width=16, layers=1, heads=4, kv_heads=2, context=12, ffn=24, init="lecun")
BATCH = 4

DType = Literal["float32", "float64"]
Advance = Callable[[Tensor], None]  # takes the loss, runs backward and moves the weights


@dataclass(frozen=True)
class Contender:
    """An optimizer of some package with its settings; start(model, **settings) attaches it and returns what moves the weights.

    computes: in which precision, where the weights are float64.
    """

    package: str
    name: str
    start: Callable[..., Advance]
    settings: tuple[tuple[str, Any], ...] = ()
    computes: DType = "float64"

    def __str__(self) -> str:
        return f"{self.package} {self.name}"

    @property
    def written(self) -> str:
        """The settings as text; a frame's are (name, value) pairs of their own."""
        flat = [pair for name, value in self.settings for pair in (value if name == "frame" else [(name, value)])]
        return ", ".join(f"{name}={value}" for name, value in flat)


class Gap(NamedTuple):
    """Relative to the distance moved."""

    norm: float  # of 2-norms
    largest: float  # of largest entries

    def within(self, other: "Gap") -> bool:
        return self.norm <= other.norm and self.largest <= other.largest


@cache
def tokens(step: int) -> Tensor:
    """(BATCH, context + 1): x_{t+1} = 5 x_t + 0, 1 or 2 modulo the vocabulary."""
    rng = generator(7, step)
    x = [torch.randint(MODEL.vocab, (BATCH,), generator=rng)]
    for _ in range(MODEL.context):
        x.append((5 * x[-1] + torch.randint(3, (BATCH,), generator=rng)) % MODEL.vocab)
    return torch.stack(x, 1)


def flat(model: nn.Module) -> Tensor:
    return torch.cat([w.detach().double().flatten() for w in model.parameters()])


@torch.no_grad()
def nudge(model: nn.Module, relative: float) -> None:
    """w <- w (1 +- relative), the signs at random."""
    rng = generator(8)
    for w in model.parameters():
        signs = torch.randint(2, w.shape, generator=rng) * 2.0 - 1.0
        w.copy_(w.double() * (1 + relative * signs.double()))


def started(dtype: DType) -> nn.Module:
    return build(MODEL, seed=0, dtype=getattr(torch, dtype))


@cache
def trained(contender: Contender, dtype: DType, nudged: float = 0.0) -> Tensor:
    """All weights after STEPS steps, float64."""
    model = started(dtype)
    nudge(model, nudged)
    advance = contender.start(model, **dict(contender.settings))
    for k in range(STEPS):
        x = tokens(k)
        advance(F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()))
    end = flat(model)
    if not end.isfinite().all():
        raise ValueError(f"{contender} ({contender.written}) must end at finite weights in {dtype}, and {(~end.isfinite()).sum()} are not")
    return end


def gap(a: Contender, b: Contender, dtype: DType) -> Gap:
    """How far b ends from a, relative to how far a moved."""
    return relative(trained(a, dtype), trained(b, dtype), dtype)


@cache
def start(dtype: DType) -> Tensor:
    return flat(started(dtype))


def relative(a: Tensor, b: Tensor, dtype: DType) -> Gap:
    moved = a - start(dtype)
    return Gap(((b - a).norm() / moved.norm()).item(), ((b - a).abs().max() / moved.abs().max()).item())


def precision(a: Contender, b: Contender, dtype: DType) -> DType:
    """The coarsest of the weights' and the two contenders'."""
    return "float32" if "float32" in (dtype, a.computes, b.computes) else "float64"


def one_digit(a: Contender, dtype: DType, digits: DType) -> Gap:
    """What one last digit of `digits` on every starting weight does to a training in dtype."""
    return relative(trained(a, dtype), trained(a, dtype, torch.finfo(getattr(torch, digits)).eps), dtype)


def allowed(a: Contender, b: Contender, dtype: DType) -> Gap:
    return Gap(*(STEPS * x for x in one_digit(a, dtype, precision(a, b, dtype))))
