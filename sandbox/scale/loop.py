"""The loop of a training job: batch, backward, step, and what is measured on the way. Every rank runs it; rank 0 speaks.

    loss = mean over all windows of all ranks, in nats per token; each rank takes its rows, and FSDP averages the gradients
    MFU  = (6 N + 12 L D T) tokens per second / (ranks x peak)      N without tables that are only looked up; attention in full

Source: MFU as in Chowdhery et al. (2022), https://arxiv.org/abs/2204.02311, appendix B (recalled).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.draws import generator
from sandbox.models.language import CHUNK
from sandbox.scale.data import Source
from sandbox.scale.job import Ranks
from sandbox.scale.model import Trainee, logits_of

NOISE = 0x44  # last part of the key of dropout
PEAK = {"H200": 989, "H100": 989, "A100": 312, "L40S": 362, "B200": 2250}  # TFLOP/s of dense bfloat16, from the makers' data sheets


@dataclass
class Run:
    """A model and its optimizer with all they need, in the middle of a training. base: the lr of every group without the schedule.

    seed: of dropout.  losses: before every step made, nats per token.  before_update: called when all gradients are there.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    source: Source
    schedule: Callable[[int], float] | None
    ranks: Ranks
    seed: int
    accumulate: int = 1
    losses: list[float] = field(default_factory=list)
    before_update: Callable[[], None] | None = None
    base: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.base = [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> float:
        """One step; returns the loss before it. Raises DataEnded before anything has moved."""
        k = len(self.losses)
        batch = self.source.batch(k)
        factor = self.schedule(k) if self.schedule else 1.0
        for group, lr in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = lr * factor
        self.optimizer.zero_grad()
        total = 0.0
        for i, part in enumerate(batch.chunk(self.accumulate)):
            self._noise(k, i)
            rows, weight = self.ranks.share(part)
            loss, weight = loss_of(self.model, rows.to(self.ranks.device)), weight / self.accumulate
            (loss if weight == 1 else loss * weight).backward()
            total += float(loss.detach()) * weight
        if self.before_update is not None:
            self.before_update()
        self.optimizer.step()
        self.losses.append(float(self.ranks.total(torch.tensor(total, dtype=torch.float64))) / self.ranks.world)
        return self.losses[-1]

    def _noise(self, k: int, part: int) -> None:
        """Dropout, where a model has any, as a function of (seed, step, rank)."""
        if any(isinstance(module, nn.Dropout) and module.p for module in self.model.modules()):
            key = torch.randint(2**62, (1,), generator=generator(self.seed, k, self.ranks.rank * 2**16 + part, NOISE))
            torch.manual_seed(int(key))

    @torch.no_grad()
    def held_out(self) -> float:
        """Mean loss over the held-out windows, which the ranks share chunk by chunk."""
        windows, world = self.source.held_out(), self.ranks.world
        chunks = windows.split(max(CHUNK // (windows.shape[1] - 1), 1))
        self.model.eval()
        total = 0.0
        for first in range(0, len(chunks), world):
            mine = first + self.ranks.rank
            chunk = chunks[min(mine, len(chunks) - 1)]
            loss = loss_of(self.model, chunk.to(self.ranks.device)).double().item()
            total += loss * len(chunk) if mine < len(chunks) else 0.0
        self.model.train()
        return float(self.ranks.total(torch.tensor(total, dtype=torch.float64))) / len(windows)


def loss_of(model: nn.Module, rows: Tensor) -> Tensor:
    """Mean negative log likelihood of rows[:, 1:], in nats per token; rows is (b, T + 1)."""
    logits_bTV = logits_of(model, rows[:, :-1])
    return F.cross_entropy(logits_bTV.flatten(0, 1), rows[:, 1:].flatten())


class Pace:
    """Tokens per second since it was made, MFU, and the time that is left. tokens: of one step.

    peak: of one device, in TFLOP/s; None where nobody knows it.
    """

    def __init__(self, trainee: Trainee, tokens: int, ranks: Ranks, peak: float | None) -> None:
        self._tokens, self._made, self._since = tokens, 0, time.perf_counter()
        self._flops, self._peak = flops_per_token(trainee), None if peak is None else peak * 1e12 * ranks.world

    def made(self) -> None:
        self._made += 1

    @property
    def tokens_per_second(self) -> float:
        return self._tokens * self._made / max(time.perf_counter() - self._since, 1e-9)

    @property
    def mfu(self) -> float | None:
        return None if self._peak is None else self._flops * self.tokens_per_second / self._peak

    def line(self, left: int) -> str:
        """left: steps to go."""
        seconds = left * self._tokens / max(self.tokens_per_second, 1e-9)
        mfu = "" if self.mfu is None else f", MFU {100 * self.mfu:.1f} %"
        return f"{self.tokens_per_second:,.0f} tokens/s{mfu}, {int(seconds) // 60} min {int(seconds) % 60} s left"


def flops_per_token(trainee: Trainee) -> float:
    config, roles = trainee.config, trainee.roles
    looked_up = sum(math.prod(trainee.shapes[n]) for n, r in roles.items() if r.kind in ("embedding", "position") and not r.tied_to)
    return 6 * (trainee.parameters - looked_up) + 12 * config.layers * config.width * config.context


def peak_of(device: torch.device, precision: str, given: float | None) -> float | None:
    """TFLOP/s of one device: as given, or of its kind in bfloat16."""
    if given is not None or device.type != "cuda" or precision != "bfloat16":
        return given
    name = torch.cuda.get_device_name(device)
    return next((float(peak) for kind, peak in PEAK.items() if kind in name), None)
