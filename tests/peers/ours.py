"""The rules of this project as contenders: which rule each tensor of the small transformer gets, and in which shell."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.models.cuts import Version, adam_mini
from sandbox.models.roles import roles
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.shells.fused import Fused
from sandbox.shells.stepwise import Stepwise
from tests.peers.training import Advance, Contender

MATRICES = ("query", "key", "value", "out", "gate", "up", "down")  # what GaLore projects


@dataclass(frozen=True)
class DecayAfter:
    """w <- (1 - lr wd) (w + the step of inner): the order of galore_torch, where WeightDecay decays the weight before the step."""

    inner: Rule
    rate: float  # lr wd

    @property
    def period(self) -> int:
        return getattr(self.inner, "period", 0)

    def init(self, w: Tensor) -> State:
        return self.inner.init(w)

    def draw(self, rng: torch.Generator, shape: tuple[int, ...]) -> None:
        return None

    def refresh(self, g: Tensor, state: State, w: Tensor, draw: Tensor | None) -> State:
        return self.inner.refresh(g, state, w, draw)

    def step(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        delta, state = self.inner.step(g, state, w)
        return delta - self.rate * (w + delta), state


@dataclass(frozen=True)
class UncorrectedEps:
    """Adam as galore_torch writes it, m / (sqrt(v) + eps): its eps counts 1 / sqrt(1 - b2^t) times, 32 times at the first step."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-6

    def init(self, w: Tensor) -> State:
        return Adam(self.lr).init(w)

    def step(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        c = (1 - self.betas[1] * state.b2_t) ** 0.5
        return Adam(self.lr, self.betas, self.eps / c).step(g, state, w)


def named(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters())


def stepping(optimizer: torch.optim.Optimizer) -> Advance:
    """The usual loop."""

    def advance(loss: Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return advance


def stepwise(model: nn.Module, rules: Rule | Mapping[str, Rule]) -> Advance:
    return stepping(Stepwise(model.named_parameters(), rules))


def fusing(model: nn.Module, rule: Rule, clip_grad_norm: float | None) -> Advance:
    """The fused shell, with a second backward where the global norm is clipped."""
    optimizer = Fused(model.named_parameters(), rule)

    def advance(loss: Tensor) -> None:
        if clip_grad_norm is not None:
            with optimizer.measuring(clip_grad_norm):
                loss.backward(retain_graph=True)
        loss.backward()
        optimizer.step()

    return advance


def start_rule(model: nn.Module, *, rule: type, weight_decay_around: float = 0.0, **settings: Any) -> Advance:
    made = rule(**settings)
    return stepwise(model, WeightDecay(made, weight_decay_around) if weight_decay_around else made)


def start_lomo(model: nn.Module, *, lr: float, clip_grad_norm: float | None = None, weight_decay: float = 0.0) -> Advance:
    rule = GradientDescent(lr)
    return fusing(model, WeightDecay(rule, weight_decay) if weight_decay else rule, clip_grad_norm)


def start_adalomo(model: nn.Module, *, clip_grad_norm: float | None = None, **settings: Any) -> Advance:
    return fusing(model, AdaLomo(**settings), clip_grad_norm)


def start_capped_adafactor(model: nn.Module, *, lr: float) -> Advance:
    """The rate of torch, min(lr, 1/sqrt(t)), as a schedule."""
    optimizer = Stepwise(model.named_parameters(), Adafactor(lr))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1.0, 1 / (lr * (k + 1) ** 0.5)))
    advance_once = stepping(optimizer)

    def advance(loss: Tensor) -> None:
        advance_once(loss)
        schedule.step()

    return advance


def start_adam_mini(
    model: nn.Module, *, version: Version = "1.1", whole: tuple[str, ...] = (), weight_decay: float = 0.0, **rest: Any
) -> Advance:
    """whole: layers whose weight is left in one block.  No decay on gains, which both packages exempt by name."""
    shapes = {name: tuple(w.shape) for name, w in named(model).items()}
    rules = {}
    for name, cut in adam_mini(roles(model), shapes, version=version).items():
        decay = 0.0 if "norm" in name else weight_decay
        parts = {} if name.split(".")[-2] in whole else {"n_blocks": cut.n_blocks, "dim": cut.dim}
        rules[name] = AdamMini(weight_decay=decay, **parts, **rest)
    return stepwise(model, rules)


def start_galore(
    model: nn.Module,
    *,
    square: int | str = 1,
    after: float = 0.0,
    weight_decay: float = 0.0,
    frame: tuple = (),
    inner: type = UncorrectedEps,
    **adam: Any,
) -> Advance:
    """GaLore with Adam on the matrices of the blocks, Adam elsewhere.

    square: the side of square matrices (galore_torch's is 1, the paper's "short").  after, weight_decay: decay after or before the step.
    """

    def rule(name: str, w: Tensor) -> Rule:
        made: Rule = inner(**adam)
        if name.split(".")[-2] in MATRICES:
            made = GaLore(made, side=square if w.shape[0] == w.shape[1] else "short", **dict(frame))
        if after:
            return DecayAfter(made, adam["lr"] * after)
        return WeightDecay(made, weight_decay) if weight_decay else made

    return stepwise(model, {name: rule(name, w) for name, w in named(model).items()})


def contender(name: str, start: Any, **settings: Any) -> Contender:
    return Contender("sandbox", name, start, tuple(settings.items()))


def _rule(rule: type) -> Any:
    start = partial(start_rule, rule=rule)
    return partial(contender, rule.__name__, start)


gradient_descent, adam, adamw, adafactor, came = map(_rule, (GradientDescent, Adam, AdamW, Adafactor, CAME))
lomo = partial(contender, "Fused(GradientDescent)", start_lomo)
adalomo = partial(contender, "Fused(AdaLomo)", start_adalomo)
capped_adafactor = partial(contender, "Adafactor, lr at most 1/sqrt(t)", start_capped_adafactor)
mini = partial(contender, "AdamMini", start_adam_mini)
galore = partial(contender, "GaLore(Adam)", partial(start_galore, inner=Adam))
galore_with_their_eps = partial(contender, "GaLore(Adam with uncorrected eps)", start_galore)
