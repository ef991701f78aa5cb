"""The Llama-like model: rotations are rotations, the norm is its formula, and the whole against loops over complex
numbers.
"""

import numpy as np
import pytest
import torch
from torch import nn

from sandbox.draws import generator, normal
from sandbox.models.initial import build, initial, shapes_of
from sandbox.models.llama import Llama, LlamaConfig, RMSNorm, angles, rotate

CONFIG = LlamaConfig(vocab=11, width=16, layers=2, heads=4, kv_heads=2, context=8, ffn=12, std=0.4, eps=1e-3)


def turned(x, times, base=10000.0):
    turn = angles(torch.as_tensor(times), x.shape[-1], base)
    return rotate(x, turn.cos(), turn.sin())


def test_a_rotation_keeps_the_length():
    x = normal((3, 7, 8), generator(0))
    torch.testing.assert_close(turned(x, range(7)).norm(dim=-1), x.norm(dim=-1), rtol=1e-13, atol=0)


def test_time_zero_is_not_turned():
    x = normal((1, 8), generator(0))
    assert torch.equal(turned(x, [0]), x)


def test_products_depend_on_the_distance_in_time_only():
    """<R_s q, R_t k> = <R_{s+5} q, R_{t+5} k>, the defining identity."""
    q, k = normal((1, 8), generator(0)), normal((1, 8), generator(1))
    near = (turned(q, [3]) * turned(k, [1])).sum()
    far = (turned(q, [8]) * turned(k, [6])).sum()
    other = (turned(q, [3]) * turned(k, [2])).sum()
    torch.testing.assert_close(near, far, rtol=1e-12, atol=1e-13)
    assert abs(near - other) > 1e-3  # the identity would hold trivially without a rotation


def test_the_angle_of_every_pair():
    """t base^(-2 i / C), by hand for C = 4, base = 100: 1 and 1/10 per step."""
    torch.testing.assert_close(angles(torch.tensor([0, 3]), 4, 100.0), torch.tensor([[0, 0], [3, 0.3]], dtype=torch.float64))


def test_norm_is_its_formula():
    """Independent code: torch.nn.RMSNorm; and by hand, (3, 4) with eps = 0 has mean square 12.5."""
    x = normal((5, 16), generator(2))
    ours, theirs = RMSNorm(16, 0.1).double(), nn.RMSNorm(16, 0.1).double()
    with torch.no_grad():
        ours.weight.copy_(normal((16,), generator(3)))
        theirs.weight.copy_(ours.weight)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(RMSNorm(2, 0.0)(torch.tensor([3.0, 4.0])), torch.tensor([3.0, 4.0]) / 12.5**0.5)


def rms(x, gain):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + CONFIG.eps) * gain


def complex_attention(y, w, prefix):
    """One loop per query head; a pair of features is one complex number that is multiplied by exp(i angle)."""
    T, C, out = len(y), 4, []
    frequency = CONFIG.base ** (-np.arange(2) / 2)
    phase = np.exp(1j * np.arange(T)[:, None] * frequency)
    q, k, v = (y @ w[f"{prefix}.{name}.weight"].T for name in ("query", "key", "value"))
    for head in range(CONFIG.heads):
        group = head // 2
        qc = (q[:, head * C : head * C + 2] + 1j * q[:, head * C + 2 : head * C + 4]) * phase
        kc = (k[:, group * C : group * C + 2] + 1j * k[:, group * C + 2 : group * C + 4]) * phase
        scores = np.exp((qc @ kc.conj().T).real / 2) * np.tril(np.ones((T, T)))  # sqrt(C) = 2
        out.append(scores / scores.sum(1, keepdims=True) @ v[:, group * C : (group + 1) * C])
    return np.concatenate(out, 1) @ w[f"{prefix}.out.weight"].T


def test_agrees_with_loops_over_complex_numbers():
    """Independent channel: numpy, one sequence, rotation as a complex product, silu written out."""
    model = build(CONFIG, seed=0, dtype=torch.float64)
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p += 0.1 * normal(tuple(p.shape), generator(9, i))
    w = {name: p.detach().numpy() for name, p in model.named_parameters()}
    tokens = [3, 10, 0, 7, 7]
    x = w["embedding.weight"][tokens]
    for n in range(CONFIG.layers):
        x = x + complex_attention(rms(x, w[f"blocks.{n}.attention_norm.weight"]), w, f"blocks.{n}.attention")
        y = rms(x, w[f"blocks.{n}.ffn_norm.weight"])
        gate, up = y @ w[f"blocks.{n}.ffn.gate.weight"].T, y @ w[f"blocks.{n}.ffn.up.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w[f"blocks.{n}.ffn.down.weight"].T
    expected = rms(x, w["norm.weight"]) @ w["head.weight"].T
    np.testing.assert_allclose(model(torch.tensor([tokens])).detach().numpy()[0], expected, rtol=1e-10, atol=1e-11)


def test_shared_keys_equal_full_attention_with_repeated_keys():
    """kv_heads = G is the same function as kv_heads = H whose key and value rows are repeated for the heads of a
    group.
    """
    full = LlamaConfig(**{**CONFIG.__dict__, "kv_heads": 4})
    few = initial(CONFIG, 0, torch.float64)
    many = dict(few)
    for name in few:
        if ".key." in name or ".value." in name:
            many[name] = few[name].view(2, 4, 16).repeat_interleave(2, 0).reshape(16, 16)
    tokens = torch.tensor([[1, 2, 3, 4, 5]])
    one = torch.func.functional_call(Llama(CONFIG).double(), few, (tokens,))
    two = torch.func.functional_call(Llama(full).double(), many, (tokens,))
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("tied", [True, False])
def test_number_of_parameters_on_paper(tied):
    """V D + layers (2 D^2 + 2 D^2 G / H + 3 D F + 2 D) + D, and V D more when the head is free."""
    config = LlamaConfig(vocab=50, width=16, layers=3, heads=4, kv_heads=2, ffn=20, tied=tied)
    V, D, F = 50, 16, 20
    expected = V * D + 3 * (2 * D * D + 2 * D * D // 2 + 3 * D * F + 2 * D) + D + (0 if tied else V * D)
    assert sum(p.numel() for p in Llama(config).parameters()) == expected
    assert sum(torch.Size(shape).numel() for shape in shapes_of(config).values()) == expected


def test_default_hidden_width():
    """8 D / 3 = 85.3 rounds up to 88, a multiple of 8; 8 * 48 / 3 = 128 stays."""
    assert LlamaConfig(vocab=5, width=32).hidden == 88
    assert LlamaConfig(vocab=5, width=48).hidden == 128


def test_refuses_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"kv_heads must divide heads, but 4 / 3 leaves 1"):
        LlamaConfig(vocab=5, heads=4, kv_heads=3)
    with pytest.raises(ValueError, match=r"must divide width / heads, but 3 / 2 leaves 1"):
        LlamaConfig(vocab=5, width=12, heads=4)
    with pytest.raises(ValueError, match="heads must divide width, but 30 / 4 leaves 2"):
        LlamaConfig(vocab=5, width=30, heads=4)
    with pytest.raises(ValueError, match="9 tokens exceeds the context of 8"):
        build(CONFIG, seed=0)(torch.zeros(1, 9, dtype=torch.long))
