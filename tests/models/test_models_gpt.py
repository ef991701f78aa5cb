"""The GPT-like model against torch's own transformer layer, against a count on paper, and its refusals."""

import pytest
import torch
from torch import nn

from sandbox.models.gpt import GPT, GPTConfig
from sandbox.models.initial import build, shapes_of

SMALL = GPTConfig(vocab=11, width=8, layers=2, heads=2, context=6, std=0.3)


def torch_layer(block, config):
    """torch's own pre-norm layer with the weights of one of our blocks."""
    layer = nn.TransformerEncoderLayer(
        config.width, config.heads, config.hidden, 0.0, "gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )
    a, f = block.attention, block.ffn
    with torch.no_grad():
        layer.self_attn.in_proj_weight.copy_(torch.cat((a.query.weight, a.key.weight, a.value.weight)))
        layer.self_attn.in_proj_bias.copy_(torch.cat((a.query.bias, a.key.bias, a.value.bias)))
    pairs = (
        (layer.self_attn.out_proj, a.out), (layer.linear1, f.up), (layer.linear2, f.down),
        (layer.norm1, block.attention_norm), (layer.norm2, block.ffn_norm),
    )  # fmt: skip
    for theirs, ours in pairs:
        theirs.load_state_dict(ours.state_dict())
    return layer.train()  # in eval mode torch takes a fused path


def jitter(model):
    """Move gains and biases off 1 and 0, so that a forgotten one shows."""
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1 * torch.randn(p.shape, generator=rng, dtype=torch.float64)
    return model


def test_agrees_with_the_transformer_layers_of_torch():
    """Independent code: embedding + position, two layers of torch.nn, LayerNorm and head by formula."""
    model = jitter(build(SMALL, seed=0, dtype=torch.float64))
    tokens = torch.tensor([[1, 5, 3, 10, 0], [7, 7, 2, 4, 9]])
    x = model.embedding.weight[tokens] + model.position.weight[:5]
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    for block in model.blocks:
        x = torch_layer(block, SMALL)(x, src_mask=mask)
    centred = x - x.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * model.norm.weight + model.norm.bias
    torch.testing.assert_close(model(tokens), normed @ model.embedding.weight.T, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("tied", [True, False])
def test_number_of_parameters_on_paper(tied):
    """V D + T D + layers (4 D^2 + 2 D F  weights, 5 D + F biases, 4 D norms) + 2 D, and V D more when the head is
    free.
    """
    config = GPTConfig(vocab=50, width=12, layers=3, heads=3, context=7, tied=tied, ffn=20)
    V, D, T, F = 50, 12, 7, 20
    expected = V * D + T * D + 3 * (4 * D * D + 2 * D * F + 5 * D + F + 4 * D) + 2 * D + (0 if tied else V * D)
    assert sum(p.numel() for p in GPT(config).parameters()) == expected
    assert sum(torch.Size(shape).numel() for shape in shapes_of(config).values()) == expected


def test_hidden_width_is_four_times_the_width_unless_given():
    assert shapes_of(GPTConfig(vocab=5, width=8, heads=2))["blocks.0.ffn.up.weight"] == (32, 8)
    assert shapes_of(GPTConfig(vocab=5, width=8, heads=2, ffn=6))["blocks.0.ffn.up.weight"] == (6, 8)


def test_refuses_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"heads must divide width, but 10 / 4 leaves 2: choose width as a multiple of 4"):
        GPTConfig(vocab=5, width=10, heads=4)
    with pytest.raises(ValueError, match="GPTConfig needs vocab > 0, got vocab=0"):
        GPTConfig(vocab=0)
    with pytest.raises(ValueError, match="needs hidden > 0, got hidden=0"):
        GPTConfig(vocab=5, ffn=0)


def test_refuses_a_sequence_longer_than_its_context():
    with pytest.raises(ValueError, match="7 tokens exceeds the context of 6"):
        build(SMALL, seed=0)(torch.zeros(1, 7, dtype=torch.long))
