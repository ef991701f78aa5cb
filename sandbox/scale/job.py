"""What a training job is told beside its card, and where it runs: options, ranks, device.

One process, or as many as torchrun has started (gloo on CPUs, nccl on CUDA devices). bfloat16 is FSDP's mixed precision, so one
process with it makes a group of one: the arithmetic is that of many.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

Device = Literal["cpu", "cuda"]
Precision = Literal["card", "bfloat16"]
Recompute = Literal["off", "blocks"]


@dataclass(frozen=True)
class Job:
    """steps: None for the card's number.  out: where files go; None writes none.

    model: another model than the card's, see `sandbox.scale.model`.  text, tokenizer: see `sandbox.scale.data`.  batch: windows of
    all ranks in one step.  context: tokens of a window.  lr: in the place of the card's, or of the predicted one.  rank: the same, of
    every frame that has one.
    precision: "bfloat16" computes forward and backward in it; weights, gradients and states keep the card's dtype.
    accumulate: backward passes in one step.  recompute: "blocks" keeps only the inputs of blocks for backward.
    compile: the backend of torch.compile for every block, None for none.  shell: in the place of the card's; the numbers are the
    same.  checkpoint_every, validate_every: steps; 0 for never.  peak_tflops: of one device, for MFU; None where it is known.
    start: "fresh" forgets the checkpoints that are there.  seed: of weights, batches and draws; None for the canary's.
    foresee: where the card goes with the bands of this job's model; nothing is trained then but narrow models.

    Raises ValueError for a number that is out of range.
    """

    steps: int | None = None
    device: Device = "cpu"
    out: Path | None = None
    model: str | None = None
    text: str | None = None
    tokenizer: str | None = None
    batch: int | None = None
    context: int | None = None
    lr: float | None = None
    rank: int | None = None
    precision: Precision = "card"
    accumulate: int = 1
    recompute: Recompute = "off"
    compile: str | None = None
    shell: Literal["stepwise", "fused", "subspace"] | None = None
    checkpoint_every: int = 100
    validate_every: int = 0
    peak_tflops: float | None = None
    start: Literal["resume", "fresh"] = "resume"
    tensorboard: Literal["off", "on"] = "off"
    seed: int | None = None
    foresee: Path | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"training needs steps >= 1, got {self.steps}")
        if self.device not in ("cpu", "cuda"):
            raise ValueError(f"the device must be 'cpu' or 'cuda', got {self.device!r}")
        for name in ("batch", "context", "accumulate", "rank"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        for name in ("checkpoint_every", "validate_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0 steps, where 0 means never, got {getattr(self, name)}")
        if self.lr is not None and not 0 <= self.lr < float("inf"):
            raise ValueError(f"lr must be a number >= 0, got {self.lr}")

    @property
    def is_the_cards_own(self) -> bool:
        """Whether the run is the one whose first ten losses are in the card."""
        return all(x is None for x in (self.model, self.text, self.tokenizer, self.batch, self.context, self.lr, self.rank, self.seed))


@dataclass(frozen=True)
class Ranks:
    """rank: of this process among `world`.  mesh: None where nothing is sharded."""

    rank: int
    world: int
    device: torch.device
    mesh: Any = None

    @property
    def here(self) -> int:
        """Ranks of this machine, which share its memory."""
        return min(self.world, int(os.environ.get("LOCAL_WORLD_SIZE", self.world)))

    def share(self, rows: Tensor) -> tuple[Tensor, float]:
        """This rank's part of the rows, and what its mean counts in the mean over ranks: 1 where the ranks divide the rows.

        A rank without any works on the first row for nothing, because all ranks must take part.
        """
        each = -(-len(rows) // self.world)
        mine = rows[self.rank * each : (self.rank + 1) * each]
        return (mine, len(mine) * self.world / len(rows)) if len(mine) else (rows[:1], 0.0)

    def total(self, values: Tensor) -> Tensor:
        """The sum over ranks of a float64 tensor on the CPU."""
        if self.mesh is None:
            return values
        place = values.to(self.device)
        dist.all_reduce(place)
        return place.cpu()

    def agree(self, problem: str | None) -> str | None:
        """The first problem that any rank has; every rank gets the same answer."""
        if self.mesh is None:
            return problem
        said: list[Any] = [None] * self.world
        dist.all_gather_object(said, problem)
        return next((text for text in said if text), None)

    def wait(self) -> None:
        if self.mesh is not None:
            dist.barrier()


@contextmanager
def ranks_of(job: Job) -> Iterator[Ranks]:
    """The group of this process: one that is there already, torchrun's, one of a single process for bfloat16, or none."""
    device = _device(job)
    made = not dist.is_initialized() and _begin(job, device)
    try:
        if not dist.is_initialized():
            yield Ranks(0, 1, device)
        else:
            mesh = dist.device_mesh.init_device_mesh(device.type, (dist.get_world_size(),))
            yield Ranks(dist.get_rank(), dist.get_world_size(), device, mesh)
        if made:
            dist.barrier()  # a rank that leaves while another is still at work takes the connection with it
    finally:
        if made:
            dist.destroy_process_group()


def _begin(job: Job, device: torch.device) -> bool:
    """Whether a group was made."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        dist.init_process_group(backend, device_id=device if device.type == "cuda" else None)
    elif job.precision != "card":
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    else:
        return False
    return True


def _device(job: Job) -> torch.device:
    """Raises ValueError where there is no such device for this process."""
    if job.device == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ValueError(
            f"device 'cuda' needs a CUDA device and a CUDA build of torch, and torch {torch.__version__} sees none; use device 'cpu'"
        )
    local, found = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if local >= found:
        raise ValueError(
            f"every process needs a CUDA device of its own, and this is process {local} of a machine with {found}; "
            f"give torchrun --nproc-per-node {found} at most"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)
