"""Attention against torch's own kernel, and the bookkeeping of heads."""

import pytest
import torch
import torch.nn.functional as F

from sandbox.draws import generator, normal
from sandbox.models.attention import attend, merge_heads, split_heads

B, T, G, R, C = 2, 5, 3, 2, 4


@pytest.fixture
def qkv():
    rng = generator(0)
    return normal((B, G, R, T, C), rng), normal((B, G, 1, T, C), rng), normal((B, G, 1, T, C), rng)


def test_agrees_with_the_kernel_of_torch(qkv):
    """Independent code: torch's kernel, with the key and value of a group repeated for each of its query heads."""
    q, k, v = qkv
    expected = F.scaled_dot_product_attention(q, k.expand_as(q), v.expand_as(q), is_causal=True)
    torch.testing.assert_close(attend(q, k, v), expected, rtol=1e-12, atol=1e-14)  # float64, 4-term sums


def test_the_first_position_sees_only_itself(qkv):
    q, k, v = qkv
    torch.testing.assert_close(attend(q, k, v)[..., 0, :], v[..., 0, :].expand(B, G, R, C), rtol=0, atol=0)


def test_equal_keys_average_the_past(qkv):
    """Closed form: all scores equal, so position t gets the mean of v_0 .. v_t."""
    q, k, v = qkv
    expected = v.cumsum(-2) / torch.arange(1, T + 1)[:, None]
    torch.testing.assert_close(attend(q, torch.ones_like(k), v), expected.expand_as(q), rtol=1e-12, atol=1e-14)


def test_a_head_is_a_chunk_of_consecutive_features():
    x = torch.arange(B * T * G * R * C).view(B, T, G * R * C)
    heads = split_heads(x, G, R)
    for g in range(G):
        for r in range(R):
            head = g * R + r
            assert torch.equal(heads[:, g, r], x[:, :, head * C : (head + 1) * C])
    assert torch.equal(merge_heads(heads), x)
