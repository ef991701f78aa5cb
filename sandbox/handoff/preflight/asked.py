"""What is asked: a model, a card, ranks, a batch; refused in a sentence where it makes no sense."""

from dataclasses import dataclass
from typing import Literal

import torch

from sandbox.handoff.preflight.hardware import Card
from sandbox.handoff.preflight.targets import Target

Dtype = Literal["float32", "bfloat16"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
BYTES = {"float32": 4, "bfloat16": 2}
MOST_RANKS, MOST_BATCH = 100_000, 10_000_000
CUDA_GRANULE = 512  # bytes in which PyTorch's CUDA allocator hands out memory


@dataclass(frozen=True)
class Ask:
    """card: None for the CPU of this machine, where nothing is rounded and no workspace is held.  batch: sequences of all ranks in a step.

    context: tokens of one; None for the model's.  weights: dtype that a rank keeps, and so that of gradients and states but for rules that
    keep float32 themselves.  compute: of forward and backward.  layers: "all" runs every block on fake tensors.

    Raises ValueError for numbers out of range, and where the ranks do not divide the batch.
    """

    target: Target
    card: Card | None
    world: int = 1
    batch: int = 1
    context: int | None = None
    weights: Dtype = "float32"
    compute: Dtype = "bfloat16"
    recompute: Literal["off", "blocks"] = "off"
    layers: Literal["few", "all"] = "few"

    def __post_init__(self) -> None:
        for name, most in {"world": MOST_RANKS, "batch": MOST_BATCH}.items():
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be 1 .. {most:,}, got {getattr(self, name):,}")
        for name in ("weights", "compute"):
            if getattr(self, name) not in DTYPES:
                raise ValueError(f"{name} must be {' or '.join(DTYPES)}, got {getattr(self, name)!r}")
        if self.batch % self.world:
            near = max(1, round(self.batch / self.world)) * self.world
            raise ValueError(
                f"the batch counts sequences of all ranks, so {self.world} ranks must divide it, but {self.batch} leaves "
                f"{self.batch % self.world}; choose {near}"
            )
        if not 2 <= self.tokens <= self.target.config.context:
            raise ValueError(f"the context must be 2 .. {self.target.config.context:,} tokens for this model, got {self.tokens:,}")

    @property
    def tokens(self) -> int:
        return self.target.config.context if self.context is None else self.context

    @property
    def sequences(self) -> int:
        """Of one rank."""
        return self.batch // self.world

    @property
    def is_sharded(self) -> bool:
        """FSDP2 runs on one rank too where it is to compute in another dtype than that of the weights."""
        return self.world > 1 or self.weights != self.compute

    @property
    def granule(self) -> int:
        return 1 if self.card is None else CUDA_GRANULE
