"""One small training run as the battery asks for it: two matrices, known gradients, any optimizer."""

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.draws import generator, normal

Make = Callable[[list[Any]], torch.optim.Optimizer]
Advance = Callable[[torch.optim.Optimizer, Tensor], None]
Weights = dict[str, nn.Parameter]
SHAPES = {"a": (8, 6), "b": (6, 8)}  # one wide and one tall, so that a low-rank method shows both of its sides


def plain(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """The three lines of every training loop."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@dataclass(frozen=True)
class Trial:
    make: Make
    advance: Advance = plain

    def weights(self) -> Weights:
        return {key: nn.Parameter(normal(shape, generator(i)).float()) for i, (key, shape) in enumerate(SHAPES.items())}

    def gradients(self, k: int) -> dict[str, Tensor]:
        """Of step k: a fixed direction and noise, so that moments have something to remember."""
        return {
            key: (normal(s, generator(7, i)) + 0.5 * normal(s, generator(8, i, k))).float() for i, (key, s) in enumerate(SHAPES.items())
        }

    def step(self, optimizer: torch.optim.Optimizer, w: Weights, g: Mapping[str, Tensor]) -> None:
        """One step under exactly these gradients: the loss is their inner product with the weights."""
        self.advance(optimizer, sum((w[key] * x).sum() for key, x in g.items()))

    def trained(self, steps: Iterable[int]) -> Weights:
        """The weights after these steps."""
        w = self.weights()
        self._walk(self.make(self.named(w)), w, steps)
        return w

    def broken(self, half: int, steps: int) -> Weights:
        """The same with a stop after `half` of them: the state goes through a file, the weights through a copy."""
        w = self.weights()
        optimizer = self.make(self.named(w))
        self._walk(optimizer, w, range(half))
        torch.save(optimizer.state_dict(), file := io.BytesIO())
        file.seek(0)
        again = {key: nn.Parameter(x.detach().clone()) for key, x in w.items()}
        optimizer = self.make(self.named(again))
        optimizer.load_state_dict(torch.load(file, weights_only=True))
        self._walk(optimizer, again, range(half, steps))
        return again

    def _walk(self, optimizer: torch.optim.Optimizer, w: Weights, steps: Iterable[int]) -> None:
        for k in steps:
            self.step(optimizer, w, self.gradients(k))

    def named(self, w: Weights) -> list[tuple[str, nn.Parameter]]:
        return list(w.items())

    def copies(self, w: Weights) -> dict[str, Tensor]:
        return {key: x.detach().clone() for key, x in w.items()}
