"""Question: how many numbers does a block keep for backward, and how many are summed over ranks?

Claims: rso.block-activations         GELU block: 14 bsn + bhs^2 -> 7 bsn + 6 bsr + bhs^2 with RSO layers
        rso.block-activations.relu    with ReLU the saving is 3 bsn - 6 bsr only
        rso.block-activations.swiglu  21 % of a SwiGLU block with f = 8n/3, r = n/4, norms counted and scores not
        rso.all-reduce                9 nr numbers a block in the place of 12 n^2
        lora.block-activations        LoRA keeps 6 bsr more than full training
        sherl.activations             affine in the late blocks, without the redundancies
        sherl.activations.redundancy  ... and with them
Proof:  none; counts of the meter against formulas
Cost:   2 s on one CPU core
Run:    sandbox check rso.block-activations lora.block-activations sherl.activations

A re-run of RSO by others (PRAC, arXiv:2602.23111, Table 2) measured 13 to 16 % of the whole memory where rank is a quarter or a
third of the width; the 21 % is of the activations of a block, so the two do not contradict each other, and neither confirms the
other. Predictions were written before the first run of this file; the first three counts were known from the formulas' own tests.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.memory.meters import saved_bytes
from sandbox.models import gpt, llama
from sandbox.models.initial import build
from sandbox.models.sherl import Route, SherlConfig
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.rso import RSO
from sandbox.shells.subspace import Subspace
from sandbox.verdict import Outcome

B, S, N, H = 2, 6, 24, 4  # b, s, n, h
BSN, BHSS = B * S * N, B * H * S * S
SWIGLU_F = 8 * N // 3


@dataclass(frozen=True)
class Kept:
    """One block with full weights, with RSO layers, or with LoRA beside frozen weights."""

    nonlinearity: Literal["gelu", "relu", "swiglu"]
    rank: int
    method: Literal["rso", "lora"] = "rso"


class ReLU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(N, 4 * N), nn.Linear(4 * N, N)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.relu(self.up(x)))


class LoRA(nn.Module):
    """x W^T + (x A^T) B^T, W frozen."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.A = nn.Linear(linear.in_features, rank, bias=False)
        self.B = nn.Linear(rank, linear.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.B(self.A(x))


def block_of(setting: Kept) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A block, and what it wants beside x."""
    with torch.random.fork_rng(devices=[]):
        if setting.nonlinearity == "swiglu":
            turn = llama.angles(torch.arange(S), N // H, 1e4)
            return llama.Block(llama.LlamaConfig(vocab=5, width=N, heads=H, ffn=SWIGLU_F)), (turn.cos().float(), turn.sin().float())
        block = gpt.Block(gpt.GPTConfig(vocab=5, width=N, heads=H))
        if setting.nonlinearity == "relu":
            block.ffn = ReLU()
        return block, ()


def changed(block: nn.Module, setting: Kept) -> None:
    if setting.method == "rso":
        rule = RSO(Adam(0.1), setting.rank, update_gap=10)
        Subspace(block, {name: rule if p.ndim == 2 else Adam(0.1) for name, p in block.named_parameters()})
        return
    for path in [path for path, layer in block.named_modules() if isinstance(layer, nn.Linear)]:
        parent, _, name = path.rpartition(".")
        setattr(block.get_submodule(parent), name, LoRA(block.get_submodule(path), setting.rank))


def numbers(block: nn.Module, extra: tuple[Tensor, ...]) -> tuple[float, float]:
    """(numbers kept, those of the two norms): float32; without the mask (s^2 bytes) and the angles."""
    own = [*block.parameters(), *block.buffers()]
    x = normal((B, S, N), generator(0)).float().requires_grad_()
    total = saved_bytes(lambda: block(x, *extra), own) - S * S - sum(4 * t.numel() for t in extra)
    norms = sum(saved_bytes(lambda norm=norm: norm(x), own) for norm in (block.attention_norm, block.ffn_norm))
    return total / 4, norms / 4


def kept(setting: Kept, seed: int) -> dict[str, float]:
    block, extra = block_of(setting)
    full, norms = numbers(block, extra)
    changed(block, setting)
    ours, _ = numbers(block, extra)
    bsr = B * S * setting.rank
    return {
        "after": ours - norms,
        "before": full - norms,
        "saved, bsn": (full - ours + 6 * bsr) / BSN,
        "percent": 100 * (full - ours) / (full - BHSS),
        "more, bsr": (ours - full) / bsr,
    }


@dataclass(frozen=True)
class Summed:
    width: int
    rank: int


def summed(setting: Summed, seed: int) -> dict[str, float]:
    """Entries of all gradients of matrices after a backward through one block, over nr."""
    with torch.random.fork_rng(devices=[]):
        block = gpt.Block(gpt.GPTConfig(vocab=5, width=setting.width, heads=2))
    changed(block, Kept("gelu", setting.rank))
    block(normal((2, 3, setting.width), generator(seed)).float()).sum().backward()
    entries = sum(p.grad.numel() for p in block.parameters() if p.grad.ndim == 2)
    return {"nr": entries / (setting.width * setting.rank)}


@dataclass(frozen=True)
class Late:
    """Six blocks, of which 1, 2, 3, 4 are late."""

    redundancy: Literal["on", "off"]
    family: Literal["gpt", "llama"] = "gpt"


def late(setting: Late, seed: int) -> dict[str, float]:
    """Largest second difference of the saved bytes over the late blocks, in percent of the mean first difference."""
    config = (gpt.GPTConfig if setting.family == "gpt" else llama.LlamaConfig)(vocab=11, width=16, layers=6, heads=4, context=8)
    tokens = torch.randint(11, (2, 8), generator=generator(seed))
    saved = []
    for blocks in (1, 2, 3, 4):
        model = build(SherlConfig(config, Route(late=blocks, redundancy=setting.redundancy)), 0)
        saved.append(saved_bytes(lambda model=model: model(tokens), [*model.parameters(), *model.buffers()]))
    first = [b - a for a, b in zip(saved, saved[1:], strict=False)]
    second = max(abs(b - a) for a, b in zip(first, first[1:], strict=False))
    return {"percent": 100 * second * len(first) / sum(first)}


RSO_PAPER = "RSO (arXiv:2502.07222), memory section; counts derived"
COUNT = dict(known="derived", kind="equality", tier="quick", cost_s=0.3)
BLOCK = dict(source=RSO_PAPER, dossier="rso C25", measure=per_seed(kept), subject="rso.block-activations", **COUNT)
SHERL = COUNT | dict(
    source="SHERL (arXiv:2407.07523), its design; count derived",
    dossier="zeroth H2",
    quantity="largest second difference / mean first difference, percent",
    measure=per_seed(late),
    estimate=Range("percent"),
    limit=0.0,
    subject="sherl.activations",
)
GELU = tuple(Kept("gelu", rank) for rank in (2, 6))
CLAIMS = (
    Claim(
        id="rso.block-activations",
        statement="A GELU block keeps 7 bsn + 6 bsr + bhs^2 numbers with RSO in the place of 14 bsn + bhs^2.",
        quantity="numbers that autograd keeps, norms excluded",
        plan=Grid(GELU, seeds=(0,)),
        estimate=Range("after"),
        limit=lambda s: 7 * BSN + 6 * B * S * s.rank + BHSS,
        predicted=Outcome.HOLDS,
        **BLOCK,
    ),
    Claim(
        id="rso.block-activations.relu",
        statement="With ReLU, whose output is the input of the next layer, 3 bsn are saved and 6 bsr added.",
        quantity="(numbers kept with full weights - with RSO + 6 bsr) / bsn",
        plan=Grid((Kept("relu", 2), Kept("relu", 6)), seeds=(0,)),
        estimate=Range("saved, bsn"),
        limit=3.0,
        predicted=Outcome.HOLDS,
        **BLOCK,
    ),
    Claim(
        id="rso.block-activations.swiglu",
        statement="At f = 8n/3 and r = n/4 RSO saves 21 % of what a SwiGLU block keeps, attention weights apart.",
        quantity="numbers saved / numbers kept with full weights, norms counted, attention weights not, percent",
        plan=Grid((Kept("swiglu", N // 4),), seeds=(0,)),
        estimate=Range("percent"),
        limit=21.0,
        tau=0.024,  # half of the last digit
        predicted=Outcome.HOLDS,
        found=Found(
            Outcome.VIOLATED,
            "2026-11-22",
            "18.9 %: an RMSNorm written out keeps two streams, not one, so (3n + f - 7r) / (10n + 4f) and not 8n",
        ),
        **BLOCK,
    ),
    Claim(
        id="lora.block-activations",
        statement="LoRA keeps 6 bsr numbers more than full training: it saves no activation.",
        quantity="(numbers kept with LoRA - with full weights) / bsr",
        plan=Grid((Kept("gelu", 2, "lora"), Kept("gelu", 6, "lora")), seeds=(0,)),
        estimate=Range("more, bsr"),
        limit=6.0,
        predicted=Outcome.HOLDS,
        **BLOCK,
    ),
    Claim(
        id="rso.all-reduce",
        statement="Data-parallel RSO sums 9 nr numbers a block where full training sums 12 n^2.",
        source="derived",
        dossier="rso 1.5",
        quantity="entries of the gradients of matrices / nr",
        plan=Grid((Summed(8, 2), Summed(12, 3)), seeds=(0,)),
        measure=per_seed(summed),
        estimate=Range("nr"),
        limit=9.0,
        predicted=Outcome.HOLDS,
        **COUNT,
    ),
    Claim(
        id="sherl.activations",
        statement="What SHERL keeps for backward is affine in the number of late blocks (redundancies off).",
        plan=Grid((Late("off"), Late("off", "llama")), seeds=(0,)),
        predicted=Outcome.HOLDS,
        **SHERL,
    ),
    Claim(
        id="sherl.activations.redundancy",
        statement="... with the redundancies of the features, which are N^2 numbers a token for N features.",
        plan=Grid((Late("on"), Late("on", "llama")), seeds=(0,)),
        predicted=Outcome.VIOLATED,
        **SHERL,
    ),
)
