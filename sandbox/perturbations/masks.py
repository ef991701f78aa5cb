"""Which entries of a weight a zeroth-order estimate perturbs, and therefore moves.

    z <- m * z,   m in {0, 1};   with k kept entries   E ghat = m * g,   E |ghat|^2 = (k + 2) |m * g|^2   (Gaussian z)

    random      every entry is zeroed with probability `sparsity`, whatever the weights are
    magnitude   the floor(sparsity * numel) entries of largest |w| of each tensor are zeroed (or of smallest: keep="large");
                what is as large as the last one kept is kept too, so a tensor of one value (a fresh gain or bias) is kept whole

Sources: ZO-Bench (Zhang et al. 2024, 2402.11592), random sparsity; Sparse-MeZO (Liu et al. 2024, 2402.15751), which
perturbs the small weights. The moments are derived.
Departures from the papers: in the released code of ZO-Bench the random mask zeroes where a STANDARD NORMAL number lies
below s, so the real sparsity is Phi(s): 0.54, 0.69, 0.82 for 0.1, 0.5, 0.9. `compared="standard normal"` repeats that;
the default compares a uniform number. There, with several directions, the mask is on the perturbation and not on the
update; here it is on both. Sparse-MeZO fixes its thresholds before training; here they are taken from the weights of
the step.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import normal


@dataclass(frozen=True)
class RandomMask:
    """sparsity: share of zeroed entries, in [0, 1).  seed: None draws the mask anew at every step; an int fixes it."""

    sparsity: float
    seed: int | None = None
    compared: Literal["uniform", "standard normal"] = "uniform"

    def __post_init__(self) -> None:
        _check_sparsity(self)
        if self.compared not in ("uniform", "standard normal"):
            raise ValueError(f'compared must be "uniform" or "standard normal", got {self.compared!r}')

    def kept(self, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
        """1 where an entry is perturbed, 0 where it is not; float64, on the CPU."""
        u = torch.rand(shape, generator=rng, dtype=torch.float64) if self.compared == "uniform" else normal(shape, rng)
        return (u >= self.sparsity).to(torch.float64)


@dataclass(frozen=True)
class MagnitudeMask:
    """sparsity: share of zeroed entries of each tensor, in [0, 1).  keep: the side of |w| that is perturbed."""

    sparsity: float
    keep: Literal["small", "large"] = "small"

    def __post_init__(self) -> None:
        _check_sparsity(self)
        if self.keep not in ("small", "large"):
            raise ValueError(f'keep must be "small" or "large", got {self.keep!r}')

    def threshold(self, w: Tensor) -> Tensor:
        """The outermost |w| that is still perturbed, 0-dim; infinite for a tensor without entries."""
        zeroed = int(self.sparsity * w.numel())
        rank = w.numel() - zeroed if self.keep == "small" else zeroed + 1
        return w.abs().flatten().kthvalue(rank).values if w.numel() else w.new_tensor(float("inf"))

    def kept(self, w: Tensor, threshold: Tensor) -> Tensor:
        """True where an entry is perturbed; w may be any rows of the tensor that the threshold was taken from."""
        return w.abs() <= threshold if self.keep == "small" else w.abs() >= threshold


def _check_sparsity(mask: RandomMask | MagnitudeMask) -> None:
    if not 0 <= mask.sparsity < 1:
        raise ValueError(f"sparsity of {type(mask).__name__} is the share of zeroed entries and must lie in [0, 1), got {mask.sparsity}")
