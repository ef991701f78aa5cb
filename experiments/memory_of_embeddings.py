"""Question: what can pruning an embedding save?

Claims: embedding-pruning.share           the table is 21, 31, 52, 69, 46 % of five encoders, the most that pruning can save
        embedding-pruning.bytes           float32 Adam: 16 (V - V') D bytes of weight, gradient and moments, measured
        embedding-pruning.bytes.with-map  the map from ids to rows counted in
Proof:  none; counts and meters
Cost:   1 s on one CPU core
Run:    sandbox check embedding-pruning.share embedding-pruning.bytes

Sizes of the encoders are those of their published configurations (recalled): twelve layers of width 768, or 24 of 1024; tables of
512 or 514 positions; the masked-language head shares the table. Predictions were written before the first run.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from sandbox.draws import generator
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.memory.meters import optimizer_bytes, tensor_bytes
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.pruned_embedding import prune
from sandbox.optimizers.adam import Adam
from sandbox.shells.stepwise import Stepwise
from sandbox.verdict import Outcome

VOCAB, WIDTH = 400, 16


@dataclass(frozen=True)
class Encoder:
    """segments: rows of the table of token types."""

    name: Literal["BERT-base", "RoBERTa-base", "mBERT", "XLM-R base", "XLM-R large"]
    vocab: int
    width: int
    layers: int
    positions: int
    segments: int


ENCODERS = (
    Encoder("BERT-base", 30522, 768, 12, 512, 2),
    Encoder("RoBERTa-base", 50265, 768, 12, 514, 1),
    Encoder("mBERT", 119547, 768, 12, 512, 2),
    Encoder("XLM-R base", 250002, 768, 12, 514, 1),
    Encoder("XLM-R large", 250002, 1024, 24, 514, 1),
)
PRINTED = dict(zip((e.name for e in ENCODERS), (21, 31, 52, 69, 46), strict=True))


def share(setting: Encoder, seed: int) -> dict[str, float]:
    """Percent of the parameters. A layer has 12 n^2 + 13 n, the pooler n^2 + n, the norm of the embeddings 2 n."""
    n = setting.width
    table = setting.vocab * n
    rest = (setting.positions + setting.segments + 2) * n + setting.layers * (12 * n * n + 13 * n) + n * n + n
    return {"percent": round(100 * table / (table + rest))}


@dataclass(frozen=True)
class Used:
    """How many of the 400 ids the data use."""

    ids: int


def saved(setting: Used, seed: int) -> dict[str, float]:
    """Bytes after a step with the full table minus those with the pruned one; parameters, gradients and moments, and all buffers."""
    used = torch.randperm(VOCAB, generator=generator(seed))[: setting.ids]
    full, pruned = (held(used, method) for method in ("full", "pruned"))
    return {"trained": full[0] - pruned[0], "all": sum(full) - sum(pruned)}


def held(used: torch.Tensor, method: Literal["full", "pruned"]) -> tuple[int, int]:
    """(bytes that training holds for the parameters, bytes of buffers)."""
    model: nn.Module = build(GPTConfig(vocab=VOCAB, width=WIDTH, layers=1, heads=2, context=8, tied=False), 0)
    if method == "pruned":
        prune(model, used, weight_decay=0.0)
    optimizer = Stepwise(model.named_parameters(), Adam(1e-3))
    tokens = used[torch.arange(9) % len(used)][None]
    F.cross_entropy(model(tokens[:, :-1])[0], tokens[0, 1:]).backward()
    optimizer.step()
    weights, gradients = tensor_bytes(model.parameters()), tensor_bytes(p.grad for p in model.parameters())
    return weights + gradients + optimizer_bytes(optimizer), tensor_bytes(model.buffers())


PAPER = "Williams & Aletras (arXiv:2309.08708)"
COUNT = dict(kind="equality", tier="quick", cost_s=0.5, known="derived")
BYTES = COUNT | dict(
    source="derived",
    dossier="zeroth E4",
    plan=Grid((Used(100), Used(9)), seeds=(0, 1)),
    measure=per_seed(saved),
    limit=lambda s: 16 * (VOCAB - s.ids) * WIDTH,
    subject="embedding-pruning.bytes",
)
CLAIMS = (
    Claim(
        id="embedding-pruning.share",
        statement="The embedding is 21, 31, 52, 69 and 46 % of BERT-base, RoBERTa-base, mBERT, XLM-R base and large.",
        source=f"{PAPER}; the shares from the dossier",
        dossier="zeroth 7.2",
        quantity="entries of the table / entries of the encoder, percent, rounded",
        plan=Grid(ENCODERS, seeds=(0,)),
        measure=per_seed(share),
        estimate=Range("percent"),
        limit=lambda s: PRINTED[s.name],
        predicted=Outcome.HOLDS,
        **COUNT,
    ),
    Claim(
        id="embedding-pruning.bytes",
        statement="With Adam in float32 pruning saves 16 (V - V') D bytes of weights, gradients and moments.",
        quantity="bytes of parameters, gradients and state that are saved",
        estimate=Range("trained"),
        predicted=Outcome.HOLDS,
        **BYTES,
    ),
    Claim(
        id="embedding-pruning.bytes.with-map",
        statement="... of everything that training holds.",
        quantity="bytes that are saved, buffers included",
        estimate=Range("all"),
        predicted=Outcome.VIOLATED,  # the map from ids to rows: 4 V bytes more
        **BYTES,
    ),
)
