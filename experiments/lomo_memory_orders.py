"""Question: what does the peak of gradient memory follow from, beside the largest tensor?

Claims: lomo.gradient-memory.scanned           with the hook of LOMO's reference code, the largest pair of neighbours in order of arrival
        lomo.gradient-memory.scanned.largest   ... and not the largest tensor
        lomo.gradient-memory.tied.turned       a tied head written as (W x^T)^T takes two copies of the embedding, not three
        lomo.gradient-memory.half              half precision, updated through float32 copies: 10 bytes per entry of the largest tensor
        lomo.gradient-memory.half.stored       ... and not the 2 that are stored
Proof:  proofs/proof_lomo_memory.py
Cost:   3 s on one CPU core
Run:    sandbox check lomo.gradient-memory.scanned lomo.gradient-memory.tied.turned

The reference hook (github.com/OpenLMLab/LOMO, lomo_optim/lomo.py, read) runs when the gradient of a tensor is computed and before it is
stored, applies and frees every gradient that is stored already, and leaves its own to the next. Models are Llama-like: no biases, so
that no two gradients come from one node. All predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.draws import generator
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.memory.allocator import allocations
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.llama import LlamaConfig
from sandbox.theory import lomo_memory
from sandbox.verdict import Outcome

TOKENS = 2  # so few that gradients of activations are small beside those of weights
ACTIVATIONS = 0.1  # tau: at most some 2 * 512 numbers of activations, several of them, beside tensors of 32768
LR = 0.01


@dataclass(frozen=True)
class Setting:
    """wide: the feed-forward matrices are the largest, three equal neighbours in a block; tied: the embedding is, and is the head."""

    model: Literal["wide", "tied, turned"]
    hook: Literal["scan", "free", "float32 copies"]
    dtype: Literal["float32", "bfloat16"] = "float32"


def model_of(setting: Setting, seed: int) -> nn.Module:
    if setting.model == "wide":
        config = LlamaConfig(vocab=64, width=64, layers=2, heads=4, kv_heads=2, context=4, ffn=512, tied=False)
    else:
        config = GPTConfig(vocab=2048, width=64, layers=2, heads=4, context=4, tied=True)
    return build(config, seed).to(getattr(torch, setting.dtype))


def loss_of(setting: Setting, model: nn.Module, seed: int) -> Tensor:
    tokens = torch.randint(model.config.vocab, (1, TOKENS + 1), generator=generator(seed))
    h_TD = model.hidden_states(tokens[:, :-1])[0]
    W_VD = model.head.weight
    logits = (W_VD @ h_TD.t()).t() if setting.model == "tied, turned" else F.linear(h_TD, W_VD)
    return F.cross_entropy(logits.float(), tokens[0, 1:])


def attach(setting: Setting, model: nn.Module) -> None:
    weights = list(model.parameters())
    if setting.hook == "scan":
        for w in weights:
            w.register_hook(lambda arriving: apply_stored(weights))
    else:
        update = in_float32 if setting.hook == "float32 copies" else drop
        for w in weights:
            w.register_post_accumulate_grad_hook(update)


@torch.no_grad()
def apply_stored(weights: list[nn.Parameter]) -> None:
    for w in weights:
        if w.grad is not None:
            w.sub_(w.grad.mul_(LR))
            w.grad = None


def drop(w: nn.Parameter) -> None:
    w.grad = None


@torch.no_grad()
def in_float32(w: nn.Parameter) -> None:
    """As LOMO's code in half precision: float32 copies of gradient and weight, both alive until the weight is written back."""
    gradient, weight = w.grad.float(), w.data.float()
    weight.add_(gradient, alpha=-LR)
    w.data.copy_(weight)
    w.grad = None


def measure(setting: Setting, seed: int) -> dict[str, float]:
    """Peak bytes of one backward over the bytes of the largest tensor."""
    model = model_of(setting, seed)
    attach(setting, model)
    largest = max(w.numel() * w.element_size() for w in model.parameters())
    return {"peak": allocations(loss_of(setting, model, seed).backward).peak / largest}


def arrivals(setting: Setting, model: nn.Module, seed: int) -> list[int]:
    """Entries of the tensors in the order in which their gradients are complete."""
    seen: list[int] = []
    handles = [w.register_post_accumulate_grad_hook(lambda w: seen.append(w.numel())) for w in model.parameters()]
    loss_of(setting, model, seed).backward()
    for handle in handles:
        handle.remove()
    model.zero_grad(set_to_none=True)
    return seen


def pair_of(setting: Setting) -> float:
    """What the bound gives in units of the largest tensor: a number of the shapes, the same for every seed."""
    sizes = arrivals(setting, model_of(setting, 0), 0)
    return lomo_memory.scanned.at(largest=1.0, pair=max(map(sum, zip(sizes, sizes[1:], strict=False))) / max(sizes))


SCAN, TURNED, HALF = Setting("wide", "scan"), Setting("tied, turned", "free"), Setting("wide", "float32 copies", "bfloat16")
COMMON = dict(
    known="derived",
    tier="quick",
    cost_s=0.5,
    source="derived",
    dossier="lomo C2, T20, T21, T22",
    quantity="most bytes that one backward adds / bytes of the largest tensor",
    measure=per_seed(measure),
    estimate=Range("peak"),
    tau=ACTIVATIONS,
)
CLAIMS = (
    Claim(
        id="lomo.gradient-memory.scanned",
        theorems=("lomo_memory",),
        statement="With LOMO's reference hook backward holds the largest pair of gradients that arrive one after the other.",
        kind="equality",
        plan=Grid((SCAN,), seeds=(0, 1)),
        limit=pair_of,
        predicted=Outcome.HOLDS,
        **COMMON,
    ),
    Claim(
        id="lomo.gradient-memory.scanned.largest",
        theorems=("lomo_memory",),
        statement="With LOMO's reference hook backward holds no more than the largest tensor.",
        kind="upper",
        plan=Grid((SCAN,), seeds=(0, 1)),
        limit=1.0,
        predicted=Outcome.VIOLATED,
        subject="lomo.gradient-memory.scanned",
        **COMMON | {"source": "LOMO (arXiv:2306.09782), Table 1", "known": "read"},
    ),
    Claim(
        id="lomo.gradient-memory.tied.turned",
        theorems=("lomo_memory",),
        statement="A tied head written as (W x^T)^T needs two copies of the embedding in backward, for torch can sum its part in place.",
        kind="equality",
        plan=Grid((TURNED,), seeds=(0, 1)),
        limit=lambda s: lomo_memory.tied.at(shared=1.0, between=0.0, outside=0.0, copies=2),
        predicted=Outcome.HOLDS,
        **COMMON,
    ),
    Claim(
        id="lomo.gradient-memory.half",
        theorems=("lomo_memory",),
        statement="In half precision, updated through float32 copies, backward holds 10 bytes per entry of the largest tensor: 5 times it.",
        kind="equality",
        plan=Grid((HALF,), seeds=(0, 1)),
        limit=lambda s: lomo_memory.updated.at(entries=1.0, stored=2, temporary=8) / 2,
        predicted=Outcome.HOLDS,
        **COMMON,
    ),
    Claim(
        id="lomo.gradient-memory.half.stored",
        theorems=("lomo_memory",),
        statement="In half precision backward holds no more than the largest tensor.",
        kind="upper",
        plan=Grid((HALF,), seeds=(0, 1)),
        limit=1.0,
        predicted=Outcome.VIOLATED,
        subject="lomo.gradient-memory.half",
        **COMMON | {"source": "LOMO (arXiv:2306.09782), Table 1", "known": "read"},
    ),
)
