"""Numbers that one transformer block keeps for backward, and numbers that data-parallel training sums per step, with
full weights and with RSO layers (rank r, sandbox/shells/subspace.py).

A layer that reads x keeps x, or x P. Attention keeps query, key and value and the weights after the softmax, written
out. The nonlinearity keeps what its derivative needs: GELU its input, ReLU its output (which is the input of the next
layer, kept once), SwiGLU silu's input and both factors of the product.

                full                          RSO                       gradients, f = 4n: full   RSO
    GELU        6 bsn + 2 bsf + bhs^2         3 bsn + bsf + 6 bsr + bhs^2         12 n^2          9 nr
    ReLU        6 bsn + bsf + bhs^2           3 bsn + bsf + 6 bsr + bhs^2
    SwiGLU      6 bsn + 4 bsf + bhs^2         3 bsn + 3 bsf + 7 bsr + bhs^2

Query, key and value may share one P: 2 bsr fewer. Not counted: norms; the s^2 bytes of the causal mask; the angles of
rotary positions, s n / h numbers (sine and cosine), made once for all blocks.

Source: own counts; the paper's table was recalled as 15 bsn + 2 bhs^2 -> 8 bsn + 4 bsr + 2 bhs^2, whose difference
7 bsn - 4 bsr is the one here with a shared P. Letters: b sequences, s tokens each, n width, h heads, f width of the
feed-forward layer, r rank.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Nonlinearity = Literal["gelu", "relu", "swiglu"]


@dataclass(frozen=True)
class Block:
    """b, s, n, h, f of one block, with as many key-value heads as heads."""

    sequences: int
    tokens: int
    width: int
    heads: int
    ffn: int
    nonlinearity: Nonlinearity = "gelu"

    @property
    def attention(self) -> int:
        """Query, key, value and the weights after the softmax."""
        return 3 * self.sequences * self.tokens * self.width + self.sequences * self.heads * self.tokens**2

    @property
    def between(self) -> int:
        """What the nonlinearity keeps, in units of bsf, ReLU's output included."""
        return self.sequences * self.tokens * self.ffn * (3 if self.nonlinearity == "swiglu" else 1)


def saved_full(block: Block) -> int:
    """Numbers kept by one block with full weights."""
    inputs = 3 * block.width + (0 if block.nonlinearity == "relu" else block.ffn)
    return block.attention + block.between + block.sequences * block.tokens * inputs


def saved_subspace(block: Block, rank: int, *, projections: int | None = None) -> int:
    """Numbers kept by one block of RSO layers. projections: distinct x P, by default one per layer."""
    layers = 7 if block.nonlinearity == "swiglu" else 6
    return block.attention + block.between + block.sequences * block.tokens * rank * (projections or layers)


def summed_over_ranks(shapes: Mapping[str, tuple[int, ...]], ranks: Mapping[str, int]) -> int:
    """Numbers that data-parallel training all-reduces per step: m r for a compressed weight (m, n), else all entries.

    P comes from a shared seed and the merge is local, so neither is sent. ranks: of the compressed weights, by name.
    Raises ValueError where `ranks` names no matrix.
    """
    if wrong := [name for name in ranks if len(shapes.get(name, ())) != 2]:
        raise ValueError(f"ranks must name matrices among the {len(shapes)} shapes, got {wrong[0]!r} with {shapes.get(wrong[0])}")
    return sum(shape[0] * ranks[name] if name in ranks else math.prod(shape) for name, shape in shapes.items())
