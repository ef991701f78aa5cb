"""The optimizer state in CPU memory: bytes over the bus in one step, and the time that they cost.

                              to the CPU            to the GPU
    update on the CPU         gradients   e N       weights   e N
    update on the GPU         new state   S         old state S

so the state travels more cheaply than the gradients do where S < e N: for AdaLomo, not for Adam (S = 8 N in float32).

    seconds = max(to the CPU, to the GPU) / bandwidth          both ways at once
            = (to the CPU + to the GPU) / bandwidth            one way at a time

bandwidth: bytes per second and direction, measured (a copy of a pinned tensor) or stated (PCIe 4 x16: 32e9 nominal, recalled). Time
that computation hides is the caller's to subtract. Source: derived.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sandbox.memory.architectures import Shapes, entries
from sandbox.memory.forecasts import state_forecast
from sandbox.optimizers.base import Rule


@dataclass(frozen=True)
class Traffic:
    """Bytes in one step."""

    to_cpu: int
    to_gpu: int

    def seconds(self, bandwidth: float, ways: Literal["both at once", "one at a time"] = "both at once") -> float:
        """bandwidth: bytes per second in each direction. Raises ValueError unless it is > 0."""
        if not bandwidth > 0:
            raise ValueError(f"bandwidth must be > 0 bytes per second, got {bandwidth}; PCIe 4 with 16 lanes has about 25e9 in practice")
        return (max(self.to_cpu, self.to_gpu) if ways == "both at once" else self.to_cpu + self.to_gpu) / bandwidth


def offload(
    shapes: Shapes,
    rules: Rule | Mapping[str, Rule],
    *,
    element: int = 4,
    state_element: int = 4,
    update: Literal["on the CPU", "on the GPU"] = "on the CPU",
) -> Traffic:
    """element: bytes of a weight and of a gradient.  state_element: bytes of a number that the rule sees."""
    if update == "on the CPU":
        return Traffic(element * entries(shapes), element * entries(shapes))
    state = state_forecast(shapes, rules, element=state_element)
    return Traffic(state, state)
