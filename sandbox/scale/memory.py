"""Whether a job fits, before anything of it is allocated: the forecast of sandbox/memory, dealt out to the ranks, against what is free.

    weights, gradients, state    as sandbox/memory counts them, divided by the ranks (FSDP2 shards each tensor by rows)
    one block, twice             gathered for forward and for backward, in the dtype of the pass; the tables of the root too
    activations                  what a pass of one rank keeps; with blocks recomputed, a residual stream for each and one whole block
    layers in subspaces          coefficients in the place of their weights, which stay beside them with their bases, without gradients

The sum is a lower bound of the peak: temporaries and the allocator come on top. `sandbox preflight` says where the peak lies.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sandbox.memory.activations import Pass
from sandbox.memory.forecasts import fused_forecast, stepwise_forecast
from sandbox.optimizers.base import Rule
from sandbox.scale.job import Job, Ranks
from sandbox.scale.plan import Plan
from sandbox.shells.compression import frame_of, framed

BFLOAT16 = 2  # bytes


@dataclass(frozen=True)
class Need:
    """Bytes of one rank."""

    weights: int
    gradients: int
    state: int
    gathered: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.state + self.gathered + self.activations


@dataclass(frozen=True)
class Tensors:
    """What moves: shapes and rules.  held: numbers of a tensor with what stands beside it.  ranks: of layers in subspaces."""

    shapes: dict[str, tuple[int, ...]]
    rules: dict[str, Rule]
    held: dict[str, int]
    ranks: list[int]


def tensors_of(plan: Plan) -> Tensors:
    shapes = dict(plan.trainee.shapes)
    frames = {name: frame_of(plan.rules[name]) for name in framed(plan.rules)} if plan.shell == "subspace" else {}
    moved = {name: (shape[0], frames[name].rank) if name in frames else shape for name, shape in shapes.items()}
    held = {name: math.prod(shape) + (sum(shape) * frames[name].rank if name in frames else 0) for name, shape in shapes.items()}
    rules = {name: frames[name].inner if name in frames else rule for name, rule in plan.rules.items()}
    return Tensors(moved, rules, held, [frame.rank for frame in frames.values()])


def need_of(plan: Plan, job: Job, ranks: Ranks) -> Need:
    element, tensors = torch.empty(0, dtype=getattr(torch, plan.problem.dtype)).element_size(), tensors_of(plan)
    formula = fused_forecast if plan.shell == "fused" else stepwise_forecast
    whole, world = formula(tensors.shapes, tensors.rules, element=element), ranks.world
    width = BFLOAT16 if job.precision == "bfloat16" else element
    rows = -(-plan.problem.batch_size // (world * job.accumulate))
    return Need(
        -(-element * sum(tensors.held.values()) // world),
        -(-whole.gradients // world),
        -(-whole.state // world),
        width * _gathered(tensors, plan.trainee.config.layers) if ranks.mesh is not None else 0,
        _activations(plan, job, rows, width, min(tensors.ranks, default=None)),
    )


def _gathered(tensors: Tensors, layers: int) -> int:
    """Numbers of the root's tables, and of one block with its gradients."""
    blocks = {name: n for name, n in tensors.held.items() if any(part.isdigit() for part in name.split("."))}
    gradients = sum(math.prod(tensors.shapes[name]) for name in blocks)
    return sum(tensors.held.values()) - sum(blocks.values()) + (sum(blocks.values()) + gradients) // layers


def _activations(plan: Plan, job: Job, rows: int, width: int, rank: int | None) -> int:
    """Without the squares of attention where its kernel keeps none (Hugging Face). rank: the least of layers in subspaces, or None."""
    config = plan.trainee.config
    one = Pass(config, rows, max(config.context, 2), width, rank=rank)
    scores = config.layers * (one.scores + one.mask) if plan.trainee.foreign is not None else 0
    if job.recompute == "off":
        return one.saved - scores
    kept = replace(one, config=replace(config, layers=1)).saved - scores // config.layers
    return kept + (config.layers - 1) * one.stream


def free_bytes(job: Job, ranks: Ranks) -> int | None:
    """What this rank may take: of its CUDA device, or its share of the machine's memory; None where the system does not say."""
    if ranks.device.type == "cuda":
        return int(torch.cuda.mem_get_info(ranks.device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)
    return None if found is None else found // ranks.here


def require_memory(plan: Plan, job: Job, ranks: Ranks) -> None:
    """Raises ValueError, on all ranks alike, where a rank has less memory than the job needs at least."""
    need, free, problem = need_of(plan, job, ranks), free_bytes(job, ranks), None
    if free is not None and need.total > free:
        parts = ", ".join(f"{name} {size:,}" for name, size in vars(need).items() if size)
        problem = (
            f"rank {ranks.rank} of {ranks.world} needs at least {need.total:,} bytes ({parts}) and has {free:,} free on {job.device}: "
            "give more ranks, --recompute blocks, --accumulate, --shell fused, or a smaller batch"
        )
    if problem := ranks.agree(problem):
        raise ValueError(problem)
