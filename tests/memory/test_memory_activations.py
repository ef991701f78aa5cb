"""Saved tensors: formula = meter to the byte, for both families, tied and untied, every dtype, and frozen or compressed blocks."""

import itertools

import pytest
import torch
from torch import nn

from sandbox.draws import generator
from sandbox.memory.activations import Pass
from sandbox.memory.meters import saved_bytes
from sandbox.memory.training import next_token_loss
from sandbox.models.classifier import ClassifierConfig
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.models.llama import LlamaConfig
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.rso import RSO
from sandbox.shells.subspace import Subspace

SIZES = dict(vocab=11, width=16, layers=2, heads=4, context=8)
CONFIGS = [
    GPTConfig(**SIZES, tied=False),
    GPTConfig(**SIZES | dict(layers=3, heads=2, ffn=40), tied=True),
    LlamaConfig(**SIZES, tied=False),
    LlamaConfig(**SIZES | dict(layers=1, ffn=24), kv_heads=2, tied=True),
    LlamaConfig(**SIZES, kv_heads=1, tied=True),
]
BATCHES = [(2, 6), (3, 8), (1, 4), (2, 2)]


def batch_of(config, sequences: int, tokens: int) -> torch.Tensor:
    return torch.randint(config.vocab, (sequences, tokens + 1), generator=generator(sequences, tokens))


def kept(model: nn.Module, batch: torch.Tensor) -> int:
    return saved_bytes(next_token_loss(model, batch), [*model.parameters(), *model.buffers()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_a_pass_keeps_what_the_formula_says(dtype):
    element, wrong = torch.empty(0, dtype=dtype).element_size(), []
    for config, (sequences, tokens) in itertools.product(CONFIGS, BATCHES):
        seen = kept(build(config, 0, dtype), batch_of(config, sequences, tokens))
        formula = Pass(config, sequences, tokens, element).saved
        wrong += [(config, sequences, tokens, formula, seen)] if formula != seen else []
    assert not wrong


@pytest.mark.parametrize("config", CONFIGS[:4], ids=lambda c: f"{type(c).__name__}-{c.layers}")
def test_compressed_blocks_keep_what_the_formula_says(config):
    """RSO of rank 3 in every matrix of the blocks: bsr for every linear layer in the place of its input."""
    model = build(config, 0)
    rule = RSO(Adam(0.1), 3, update_gap=10)
    compressed = {n: rule if p.ndim == 2 and n.startswith("blocks.") else Adam(0.1) for n, p in model.named_parameters()}
    Subspace(model, compressed)
    assert kept(model, batch_of(config, 2, 6)) == Pass(config, 2, 6, rank=3).saved


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{type(c).__name__}-{c.layers}")
@pytest.mark.parametrize(("sequences", "tokens"), BATCHES)
def test_a_frozen_block_keeps_what_the_formula_says(config, sequences, tokens):
    """A block alone, whose input asks for a gradient and whose weights do not; the rotation is common to all blocks."""
    block = build(config, 0).blocks[0].requires_grad_(False)
    half = torch.ones(tokens, config.width // config.heads // 2)
    extra = () if isinstance(config, GPTConfig) else (half, half)
    x = torch.ones(sequences, tokens, config.width, requires_grad=True)
    assert saved_bytes(lambda: block(x, *extra), [*block.parameters(), *extra]) == Pass(config, sequences, tokens).frozen_block


def test_the_formula_of_the_documentation():
    """b, s, n, h, f, V, L = 2, 6, 16, 4, 64, 11, 2 in float32: u = 768, a = 1152, F = 3072, v = 528, t = 48."""
    x = Pass(CONFIGS[0], 2, 6)
    assert (x.stream, x.scores, x.hidden, x.logits, x.per_token) == (768, 1152, 3072, 528, 48)
    assert x.block == 8 * 768 + 2 * 3072 + 1152 + 4 * 48 + 36
    assert x.saved == 2 * x.block + 2 * 768 + 2 * 48 + 528 + 8 * 12 + 4 + 8 * 14 + 8 * 6
    y = Pass(LlamaConfig(**SIZES, ffn=64), 2, 6)
    assert y.block == 10 * 768 + 4 * 3072 + 1152 + 2 * 48 + 36
    assert y.saved == 2 * y.block + 3 * 768 + 48 + 528 + 8 * 12 + 4 + 8 * 14 + 4 * 6 * 16 // 4


def test_refusals():
    with pytest.raises(ValueError, match="GPTConfig and LlamaConfig, got ClassifierConfig; measure them"):
        Pass(ClassifierConfig(CONFIGS[0], 2), 1, 2)
    for sequences, tokens in ((0, 4), (1, 9), (1, 1)):
        with pytest.raises(ValueError, match=rf"2 \.\. 8 tokens \(the context\), got {sequences} of {tokens}"):
            Pass(CONFIGS[0], sequences, tokens)
