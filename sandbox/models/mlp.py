"""A multilayer perceptron: the smallest network with hidden layers.

    x <- tanh(W_l x + b_l) for every hidden layer,   output = W x + b

Letters: B batch, I inputs, O outputs, N a hidden width.  Source: textbook.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sandbox.models.sizes import check_positive


@dataclass(frozen=True)
class MLPConfig:
    """inputs: I.  widths: N of each hidden layer, in order; () makes the model linear.  outputs: O.

    init, std: "lecun" draws with 1 / sqrt(fan-in), "normal" with `std`; biases start at 0.  Raises ValueError for a
    size of 0.
    """

    inputs: int
    widths: tuple[int, ...]
    outputs: int
    init: Literal["normal", "lecun"] = "lecun"
    std: float = 0.02

    def __post_init__(self) -> None:
        check_positive(self, "inputs", "outputs", "std")
        if min(self.widths, default=1) < 1:
            raise ValueError(f"every hidden width must be > 0, got widths={self.widths}")

    def module(self) -> nn.Module:
        return MLP(self)


class Hidden(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x_BN: Tensor) -> Tensor:
        return torch.tanh(self.linear(x_BN))


class MLP(nn.Module):
    def __init__(self, config: MLPConfig) -> None:
        super().__init__()
        sizes = (config.inputs, *config.widths)
        self.hidden = nn.ModuleList(Hidden(n, m) for n, m in zip(sizes, config.widths, strict=False))
        self.head = nn.Linear(sizes[-1], config.outputs)

    def forward(self, x_BI: Tensor) -> Tensor:
        """Outputs, (B, O)."""
        for layer in self.hidden:
            x_BI = layer(x_BI)
        return self.head(x_BI)
