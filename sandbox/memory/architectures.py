"""Shapes of published Llama models, and how Adam-mini cuts them, without a model object.

Sources: Llama 2 (Touvron et al., 2023, https://arxiv.org/abs/2307.09288), Llama 3 (2024,
https://arxiv.org/abs/2407.21783), TinyLlama (Zhang et al., 2024, https://arxiv.org/abs/2401.02385). The numbers of
the four constants are `recalled` from their published configurations and checked against the published parameter
counts. Parameter names are those of the Hugging Face implementation; no biases, untied output head.

The cut is the final one of Adam-mini (Zhang et al., 2024, https://arxiv.org/abs/2406.16793, releases from October
2024): query and key by head, value, output projection and feed-forward matrices by output row, embedding and output
head by token, each norm as a whole.
"""

import math
from dataclasses import dataclass

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Architecture:
    """width: model dimension.  ffn: inner dimension of the gated feed-forward.  n_kv_heads < n_heads: grouped-query attention."""

    name: str
    width: int
    n_layers: int
    ffn: int
    vocab: int
    n_heads: int
    n_kv_heads: int

    def __post_init__(self):
        if self.width % self.n_heads or self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"{self.name}: n_heads must divide width and n_kv_heads must divide n_heads, "
                f"got width {self.width}, n_heads {self.n_heads}, n_kv_heads {self.n_kv_heads}"
            )

    @property
    def kv_width(self) -> int:
        return self.width // self.n_heads * self.n_kv_heads


LLAMA_2_7B = Architecture("Llama-2-7B", 4096, 32, 11008, 32000, 32, 32)
LLAMA_2_13B = Architecture("Llama-2-13B", 5120, 40, 13824, 32000, 40, 40)
LLAMA_3_8B = Architecture("Llama-3-8B", 4096, 32, 14336, 128256, 32, 8)
TINYLLAMA_1_1B = Architecture("TinyLlama-1.1B", 2048, 22, 5632, 32000, 32, 4)


def llama_shapes(architecture: Architecture) -> Shapes:
    """Every parameter with its shape (out, in), in the order of the model."""
    a = architecture
    shapes: Shapes = {"model.embed_tokens.weight": (a.vocab, a.width)}
    for layer in range(a.n_layers):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, (shape, _) in _layer(a).items()}
    return shapes | {"model.norm.weight": (a.width,), "lm_head.weight": (a.vocab, a.width)}


def adam_mini_blocks(architecture: Architecture) -> dict[str, int]:
    """Number of equal consecutive chunks along dim 0 that share one second moment, for every parameter of `llama_shapes`."""
    a = architecture
    counts = {"model.embed_tokens.weight": a.vocab}
    for layer in range(a.n_layers):
        counts |= {f"model.layers.{layer}.{name}": count for name, (_, count) in _layer(a).items()}
    return counts | {"model.norm.weight": 1, "lm_head.weight": a.vocab}


def entries(shapes: Shapes) -> int:
    """N, the number of parameters."""
    return sum(math.prod(shape) for shape in shapes.values())


def _layer(a: Architecture) -> dict[str, tuple[tuple[int, ...], int]]:
    """name -> (shape, Adam-mini's number of blocks) in one layer."""
    return {
        "self_attn.q_proj.weight": ((a.width, a.width), a.n_heads),
        "self_attn.k_proj.weight": ((a.kv_width, a.width), a.n_kv_heads),
        "self_attn.v_proj.weight": ((a.kv_width, a.width), a.kv_width),
        "self_attn.o_proj.weight": ((a.width, a.width), a.width),
        "mlp.gate_proj.weight": ((a.ffn, a.width), a.ffn),
        "mlp.up_proj.weight": ((a.ffn, a.width), a.ffn),
        "mlp.down_proj.weight": ((a.width, a.ffn), a.width),
        "input_layernorm.weight": ((a.width,), 1),
        "post_attention_layernorm.weight": ((a.width,), 1),
    }
