"""The convolutional network against its formula, its roles and its start."""

import pytest
import torch

from sandbox.draws import generator, normal
from sandbox.models.cnn import CNNConfig
from sandbox.models.initial import build, initial, roles_of, shapes_of


def test_agrees_with_its_formula():
    model = build(CNNConfig(2, (3,), 4), seed=0, dtype=torch.float64)
    x = normal((5, 2, 7), generator(1))
    w, b = model.layers[0].weight, model.layers[0].bias
    padded = torch.cat((torch.zeros(5, 2, 1), x, torch.zeros(5, 2, 1)), -1)
    windows = torch.stack([padded[..., t : t + 3] for t in range(7)], 1)  # (B, T, I, k)
    hidden = torch.relu(torch.einsum("btik,oik->bto", windows, w) + b)
    expected = hidden.mean(1) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-14)


def test_a_convolution_starts_with_the_fan_in_of_channels_and_kernel():
    config = CNNConfig(16, (400,), 2, kernel=5)
    found = initial(config, 0, torch.float64)["layers.0.weight"]
    assert found.shape == (400, 16, 5)
    assert float(found.std()) * 80**0.5 == pytest.approx(1.0, abs=4 / (2 * 32000) ** 0.5)  # 4 standard errors of a standard deviation


def test_every_tensor_has_a_role():
    config = CNNConfig(2, (3, 4), 5)
    kinds = {name: role.kind for name, role in roles_of(config).items()}
    assert kinds == {
        "layers.0.weight": "convolution", "layers.0.bias": "bias", "layers.1.weight": "convolution", "layers.1.bias": "bias",
        "head.weight": "head", "head.bias": "bias",
    }  # fmt: skip
    assert shapes_of(config)["layers.1.weight"] == (4, 3, 3)


def test_refuses_empty_layers_and_even_kernels():
    with pytest.raises(ValueError, match="a CNN needs a layer"):
        CNNConfig(2, (), 2)
    with pytest.raises(ValueError, match="an odd kernel"):
        CNNConfig(2, (3,), 2, kernel=4)
