"""A GPT-like transformer: LayerNorm, GELU, learned positions, biases, output head tied to the embedding or free.

    x <- E[token] + P[position]
    x <- x + Attention(LayerNorm(x));   x <- x + W_down gelu(W_up LayerNorm(x) + b) + b'      in every block
    logits = W_head LayerNorm(x)

Source: Radford et al. (2019), "Language models are unsupervised multitask learners", section 2.3 (recalled).
Departures from the paper: query, key and value are three matrices, not one fused matrix, so that a head is a chunk of
rows; no dropout; exact GELU.

Letters: B batch, T time, V vocabulary, D width, H heads, C = D / H, F hidden width of the feed-forward layer.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.models.attention import attend, merge_heads, split_heads
from sandbox.models.sizes import check_context, check_divides, check_positive


@dataclass(frozen=True)
class GPTConfig:
    """vocab: V.  width: D.  layers: number of blocks.  heads: H, divides D.  context: longest T, rows of the position
    table.

    tied: the head is the embedding matrix.  ffn: F, or None for 4 D.
    init, std: "normal" draws every matrix with `std` and divides the two matrices that write into the residual stream
    by sqrt(2 layers); "lecun" uses 1 / sqrt(fan-in) instead.  Raises ValueError where the sizes do not fit.
    """

    vocab: int
    width: int = 32
    layers: int = 2
    heads: int = 4
    context: int = 32
    tied: bool = True
    ffn: int | None = None
    init: Literal["normal", "lecun"] = "normal"
    std: float = 0.02

    def __post_init__(self) -> None:
        check_positive(self, "vocab", "width", "layers", "heads", "context", "hidden", "std")
        check_divides("heads", self.heads, "width", self.width)

    @property
    def hidden(self) -> int:
        return 4 * self.width if self.ffn is None else self.ffn

    def module(self) -> nn.Module:
        return GPT(self)


class Attention(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_heads = self.n_kv_heads = config.heads
        self.query, self.key, self.value, self.out = (nn.Linear(config.width, config.width) for _ in range(4))

    def forward(self, x_BTD: Tensor) -> Tensor:
        q, k, v = (split_heads(f(x_BTD), self.n_heads, 1) for f in (self.query, self.key, self.value))
        return self.out(merge_heads(attend(q, k, v)))


class FeedForward(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, config.hidden)
        self.down = nn.Linear(config.hidden, config.width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x_BTD)))


class Block(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.ffn_norm = nn.LayerNorm(config.width)
        self.ffn = FeedForward(config)

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD))
        return x_BTD + self.ffn(self.ffn_norm(x_BTD))


class GPT(nn.Module):
    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.width)
        self.position = nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight

    def hidden_states(self, tokens_BT: Tensor) -> Tensor:
        """The normalised residual stream, (B, T, D). Raises ValueError where T exceeds the context."""
        T = tokens_BT.shape[1]
        check_context(T, self.config.context)
        x_BTD = self.embedding(tokens_BT) + self.position(torch.arange(T, device=tokens_BT.device))
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.norm(x_BTD)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits of the next token at every position, (B, T, V)."""
        return self.head(self.hidden_states(tokens_BT))
