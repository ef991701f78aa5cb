"""Question: is a step of Adam-mini faster than one of AdamW, where both have the same batch?

Claims: adam-mini.throughput.gpu       tokens a second at equal batch: at most as many as with torch's fused AdamW
        adam-mini.throughput.gpu.gain  the advertised 49.6 % more are there at equal batch: no
Proof:  none
Cost:   60 s on a GPU with 8 GB; nothing runs without one
Run:    sandbox check adam-mini.throughput.gpu --tier study

The published 5572.19 against 3725.59 tokens a second (Llama-2-7B, two A800) compare the largest batch that fits each
method. A step is not cheaper: the update is a few per cent of a step and one fused kernel in torch. So at equal batch
the gain should vanish, and what is left of it is memory. Here a Llama-like model of 0.1 billion parameters trains on
random tokens, first with one method, then with the other; their order is turned with every seed. Never run so far:
there was no GPU.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from sandbox.draws import generator
from sandbox.fit import RatioOfMeans
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.models.cuts import adam_mini
from sandbox.models.initial import build
from sandbox.models.llama import LlamaConfig
from sandbox.models.roles import roles
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.shells.stepwise import Stepwise
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Speed:
    """steps: timed ones, after `warmup` that are not."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    vocab: int = 32000
    context: int = 512
    batch: int = 8
    steps: int = 30
    warmup: int = 10
    lr: float = 1e-4


def our_adam_mini(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    blocks = adam_mini(roles(model), {name: w.shape for name, w in model.named_parameters()})
    rules = {name: AdamMini(lr, weight_decay=0.1, n_blocks=block.count) for name, block in blocks.items()}
    return Stepwise(model.named_parameters(), rules)


def fused_adamw(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.1, fused=True)


METHODS = {"adam-mini": our_adam_mini, "adamw": fused_adamw}


def require_gpu() -> None:
    """Raises ValueError where torch sees no CUDA device."""
    if not torch.cuda.is_available():
        raise ValueError(
            f"adam-mini.throughput.gpu times training steps on a CUDA device and torch {torch.__version__} sees none here; "
            "run `sandbox check adam-mini.throughput.gpu --tier study` on a machine with an NVIDIA GPU"
        )


def speeds(setting: Speed, seed: int) -> dict[str, float]:
    """Tokens a second of both methods, from the median time of a step."""
    require_gpu()
    names = sorted(METHODS, reverse=seed % 2 == 1)
    return {name: tokens_a_second(setting, METHODS[name], seed=seed, device="cuda") for name in names}


def tokens_a_second(setting: Speed, method: Callable[[nn.Module, float], torch.optim.Optimizer], *, seed: int, device: str) -> float:
    config = LlamaConfig(setting.vocab, setting.width, setting.layers, setting.heads, setting.context)
    model = build(config, seed).to(device)
    optimizer = method(model, setting.lr)
    shape = (setting.batch, setting.context + 1)
    tokens = torch.randint(setting.vocab, shape, generator=generator(seed)).to(device)
    times = [timed(model, optimizer, tokens) for _ in range(setting.warmup + setting.steps)]
    return setting.batch * setting.context / statistics.median(times[setting.warmup :])


def timed(model: nn.Module, optimizer: torch.optim.Optimizer, tokens: torch.Tensor) -> float:
    """Seconds of one training step, waiting for the device at both ends."""
    wait(tokens.device)
    start = time.perf_counter()
    logits = model(tokens[:, :-1])
    F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    optimizer.step()
    optimizer.zero_grad()
    wait(tokens.device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


SHARED = dict(
    known="second-hand",
    tier="study",
    cost_s=60,
    quantity="tokens a second of Adam-mini / tokens a second of fused AdamW, equal batch",
    plan=Grid((Speed(),), seeds=(0, 1, 2, 3, 4, 5)),
    measure=per_seed(speeds),
    estimate=RatioOfMeans("adam-mini", "adamw"),
    tau=0.02,  # clocks and the allocator: two runs of one method may differ by as much
    subject="adam-mini.throughput.gpu",
)
CLAIMS = (
    Claim(
        id="adam-mini.throughput.gpu",
        statement="At equal batch Adam-mini has at most the throughput of fused AdamW.",
        source="derived from the published explanation of Adam-mini (arXiv:2406.16793): freed memory makes room for a larger batch",
        dossier="adam-mini C32, 1.5",
        kind="upper",
        limit=1.0,
        predicted=Outcome.HOLDS,
        **SHARED,
    ),
    Claim(
        id="adam-mini.throughput.gpu.gain",
        statement="Adam-mini has 49.6 % more throughput than AdamW, also at equal batch.",
        source="Adam-mini (arXiv:2406.16793), figure 1 as its repository shows it",
        dossier="adam-mini 1.5",
        kind="lower",
        limit=1.496,
        predicted=Outcome.VIOLATED,
        **SHARED,
    ),
)
