"""A Llama-like transformer: RMSNorm, rotary positions, SwiGLU, grouped-query attention, no biases.

    RMSNorm(x) = g x / sqrt(mean(x^2) + eps)
    x <- x + Attention(RMSNorm(x)) with q, k rotated;   x <- x + W_out (silu(W_gate y) * W_in y), y = RMSNorm(x)
    rotation at time t: the pair (x_i, x_{i + C/2}) turns by the angle t base^(-2 i / C), i = 0 .. C/2 - 1

Source: Touvron et al. (2023), section 2.2, https://arxiv.org/abs/2302.13971 (recalled); rotations: Su et al. (2021),
section 3.2.2, https://arxiv.org/abs/2104.09864 (recalled).  Departures from the papers: pairs are (i, i + C/2), as in
the published Llama weights for Hugging Face, where Su et al. pair neighbours: the same model up to a permutation of
rows inside each head.

Letters: B batch, T time, V vocabulary, D width, H heads, G key-value heads, C = D / H, F hidden width of the
feed-forward layer.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.models.attention import attend, merge_heads, split_heads
from sandbox.models.sizes import check_context, check_divides, check_positive


@dataclass(frozen=True)
class LlamaConfig:
    """vocab: V.  width: D.  layers: number of blocks.  heads: H, divides D, D / H even.  kv_heads: G, divides H; None
    for H.

    context: longest T.  ffn: F, or None for 8 D / 3 rounded up to a multiple of 8.  tied: the head is the embedding
    matrix. init, std: as in GPTConfig.  base, eps: of the rotation and of RMSNorm.  Raises ValueError where the sizes
    do not fit.
    """

    vocab: int
    width: int = 32
    layers: int = 2
    heads: int = 4
    context: int = 32
    kv_heads: int | None = None
    ffn: int | None = None
    tied: bool = False
    init: Literal["normal", "lecun"] = "normal"
    std: float = 0.02
    base: float = 10000.0
    eps: float = 1e-5

    def __post_init__(self) -> None:
        check_positive(self, "vocab", "width", "layers", "heads", "groups", "context", "hidden", "std", "base", "eps")
        check_divides("heads", self.heads, "width", self.width)
        check_divides("kv_heads", self.groups, "heads", self.heads)
        check_divides("2 (rotated pairs)", 2, "width / heads", self.width // self.heads)

    @property
    def groups(self) -> int:
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def hidden(self) -> int:
        return -(-self.width // 3) * 8 if self.ffn is None else self.ffn

    def module(self) -> nn.Module:
        return Llama(self)


def angles(time: Tensor, head_width: int, base: float) -> Tensor:
    """Angle of each pair at each time, (T, C / 2), float64."""
    pair = torch.arange(head_width // 2, dtype=torch.float64, device=time.device)
    return time.double()[:, None] * base ** (-2 * pair / head_width)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (x_i, x_{i + C/2}) of the last axis; cos and sin are (T, C / 2), x is (..., T, C)."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        return x_BTD * torch.rsqrt(x_BTD.square().mean(-1, keepdim=True) + self.eps) * self.weight


class Attention(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads = config.heads, config.groups
        shared = config.width // config.heads * config.groups
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, shared, bias=False)
        self.value = nn.Linear(config.width, shared, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)

    def forward(self, x_BTD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q = split_heads(self.query(x_BTD), self.n_kv_heads, self.n_heads // self.n_kv_heads)
        k = split_heads(self.key(x_BTD), self.n_kv_heads, 1)
        v = split_heads(self.value(x_BTD), self.n_kv_heads, 1)
        return self.out(merge_heads(attend(rotate(q, cos, sin), rotate(k, cos, sin), v)))


class SwiGLU(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x_BTD)) * self.up(x_BTD))


class Block(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.width, config.eps)
        self.ffn = SwiGLU(config)

    def forward(self, x_BTD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x_BTD = x_BTD + self.attention(self.attention_norm(x_BTD), cos, sin)
        return x_BTD + self.ffn(self.ffn_norm(x_BTD))


class Llama(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.eps)
        self.head = nn.Linear(config.width, config.vocab, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight

    def hidden_states(self, tokens_BT: Tensor) -> Tensor:
        """The normalised residual stream, (B, T, D). Raises ValueError where T exceeds the context."""
        config, T = self.config, tokens_BT.shape[1]
        check_context(T, config.context)
        x_BTD = self.embedding(tokens_BT)
        turn = angles(torch.arange(T, device=tokens_BT.device), config.width // config.heads, config.base)
        cos, sin = turn.cos().to(x_BTD.dtype), turn.sin().to(x_BTD.dtype)
        for block in self.blocks:
            x_BTD = block(x_BTD, cos, sin)
        return self.norm(x_BTD)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits of the next token at every position, (B, T, V)."""
        return self.head(self.hidden_states(tokens_BT))
