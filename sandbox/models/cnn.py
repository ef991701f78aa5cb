"""A small convolutional network on sequences: the third kind of model beside transformers and perceptrons.

    x <- relu(convolution(x)) for every layer, kernel k, zeros beyond the ends,   output = W mean over time of x + b

Letters: B batch, I input channels, T time, O outputs, N channels of a hidden layer.  Source: textbook.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sandbox.models.sizes import check_positive


@dataclass(frozen=True)
class CNNConfig:
    """inputs: I.  channels: N of each layer, in order, at least one.  outputs: O.  kernel: k, odd.

    init, std: as in `sandbox.models.mlp`.  Raises ValueError for a size of 0, no layer, and an even kernel.
    """

    inputs: int
    channels: tuple[int, ...]
    outputs: int
    kernel: int = 3
    init: Literal["normal", "lecun"] = "lecun"
    std: float = 0.02

    def __post_init__(self) -> None:
        check_positive(self, "inputs", "outputs", "kernel", "std")
        if min(self.channels, default=0) < 1 or self.kernel % 2 == 0:
            raise ValueError(f"a CNN needs a layer, channels > 0 and an odd kernel, got channels={self.channels} and kernel={self.kernel}")

    def module(self) -> nn.Module:
        return CNN(self)


class CNN(nn.Module):
    def __init__(self, config: CNNConfig) -> None:
        super().__init__()
        sizes = (config.inputs, *config.channels)
        pairs = zip(sizes, config.channels, strict=False)
        self.layers = nn.ModuleList(nn.Conv1d(n, m, config.kernel, padding=config.kernel // 2) for n, m in pairs)
        self.head = nn.Linear(sizes[-1], config.outputs)

    def forward(self, x_BIT: Tensor) -> Tensor:
        """Outputs, (B, O)."""
        for layer in self.layers:
            x_BIT = torch.relu(layer(x_BIT))
        return self.head(x_BIT.mean(-1))
