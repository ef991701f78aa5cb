"""Whether a job fits, before anything of it is allocated: the forecast of sandbox/memory, dealt out to the ranks, against what is free.

    weights, gradients, state    as sandbox/memory counts them, divided by the ranks (FSDP2 shards each tensor by rows)
    one block, twice             gathered for forward and for backward, in the dtype of the pass; the tables of the root too
    activations                  what a pass of one rank keeps; with blocks recomputed, a residual stream for each and one whole block

The sum is a lower bound of the peak: temporaries and the allocator come on top. `sandbox preflight` says where the peak lies.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sandbox.memory.activations import Pass
from sandbox.memory.forecasts import fused_forecast, stepwise_forecast
from sandbox.scale.job import Job, Ranks
from sandbox.scale.plan import Plan

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


def need_of(plan: Plan, job: Job, ranks: Ranks) -> Need:
    element, shapes = torch.empty(0, dtype=getattr(torch, plan.problem.dtype)).element_size(), plan.trainee.shapes
    formula = fused_forecast if plan.shell == "fused" else stepwise_forecast
    whole, world = formula(shapes, plan.rules, element=element), ranks.world
    width = BFLOAT16 if job.precision == "bfloat16" else element
    rows = -(-plan.problem.batch_size // (world * job.accumulate))
    return Need(
        -(-whole.weights // world),
        -(-whole.gradients // world),
        -(-whole.state // world),
        _gathered(plan, width) if ranks.mesh is not None else 0,
        _activations(plan, job, rows, width),
    )


def _gathered(plan: Plan, width: int) -> int:
    """The root's tables, and one block with its gradients."""
    sizes = {name: math.prod(shape) for name, shape in plan.trainee.shapes.items()}
    blocks = sum(n for name, n in sizes.items() if any(part.isdigit() for part in name.split(".")))
    return width * (sum(sizes.values()) - blocks + 2 * blocks // plan.trainee.config.layers)


def _activations(plan: Plan, job: Job, rows: int, width: int) -> int:
    """Without the squares of attention where its kernel keeps none (Hugging Face)."""
    config = plan.trainee.config
    one = Pass(config, rows, max(config.context, 2), width)
    scores = config.layers * (one.scores + one.mask) if plan.trainee.foreign is not None else 0
    if job.recompute == "off":
        return one.saved - scores
    kept = Pass(replace(config, layers=1), rows, max(config.context, 2), width).saved - scores // config.layers
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
