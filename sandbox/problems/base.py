"""What is minimised, and the facts that theory may assume about it.

A problem is a frozen record of plain numbers, so that it is its own serialisation. Its loss is a pure function of the
parameters and of a batch, and a batch is a pure function of (seed, step): two optimizers that share a seed see the same data.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

Params = dict[str, Tensor]


@dataclass(frozen=True)
class Facts:
    """What is known for certain; None means unknown, never zero.

    L: smoothness constant, loss / param^2.  mu: strong convexity (or PL) constant, loss / param^2.  f_star: infimum of the loss.
    spectrum: eigenvalues of the (constant) Hessian, ascending.  blocks: sizes of its diagonal blocks, in order.
    """

    L: float | None = None
    mu: float | None = None
    f_star: float | None = None
    spectrum: tuple[float, ...] | None = None
    blocks: tuple[int, ...] | None = None


@runtime_checkable
class Problem(Protocol):
    @property
    def facts(self) -> Facts: ...

    def start(self, seed: int) -> Params:
        """Parameters at step 0: a dict of leaf-free tensors (float64 for synthetic problems), a pure function of the seed."""
        ...

    def batch(self, seed: int, step: int) -> Any:
        """The data of one step, a pure function of (seed, step); None for a deterministic problem."""
        ...

    def loss(self, params: Params, batch: Any) -> Tensor:
        """0-dim loss; differentiable twice; works under torch.func.vmap and torch.func.grad."""
        ...
