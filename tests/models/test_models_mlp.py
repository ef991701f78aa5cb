"""The multilayer perceptron against its formula."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.models.initial import build, shapes_of
from sandbox.models.mlp import MLPConfig


def test_agrees_with_its_formula():
    model = build(MLPConfig(3, (4, 5), 2), seed=0, dtype=torch.float64)
    w = [p.detach() + 0.1 * normal(tuple(p.shape), generator(i)) for i, p in enumerate(model.parameters())]
    with torch.no_grad():
        for p, value in zip(model.parameters(), w, strict=True):
            p.copy_(value)
    x = normal((6, 3), generator(1))
    expected = torch.tanh(torch.tanh(x @ w[0].T + w[1]) @ w[2].T + w[3]) @ w[4].T + w[5]
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-14)


def test_without_hidden_layers_it_is_linear():
    assert shapes_of(MLPConfig(3, (), 2)) == {"head.weight": (2, 3), "head.bias": (2,)}


def test_refuses_empty_layers():
    with pytest.raises(ValueError, match=r"every hidden width must be > 0, got widths=\(4, 0\)"):
        MLPConfig(3, (4, 0), 2)
    with pytest.raises(ValueError, match="needs outputs > 0, got outputs=0"):
        MLPConfig(3, (4,), 0)
