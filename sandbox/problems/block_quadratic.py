"""Block-diagonal quadratics: curvature that is alike inside a block and differs between blocks.

    f(x) = 1/2 sum_b x_b^T H_b x_b,   H_b = Q_b diag(blocks[b]) Q_b^T,   Q_b independent and Haar

Source: the quadratic study of Zhang et al., "Adam-mini" (2406.16793), second-hand; 9 dimensions in follow-up texts, 90
recalled. The control of that study, the same global spectrum without the structure:
`BlockQuadratic(spectra.dealt(blocks))`.

Letters: d = dimension, b = block.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.problems.base import Facts, Params
from sandbox.problems.quadratic import check_spectrum, facts_of
from sandbox.problems.rotations import with_spectrum
from sandbox.problems.streams import START, STRUCTURE


@dataclass(frozen=True)
class BlockQuadratic:
    """blocks: one spectrum per diagonal block, in loss / param^2.  seed: draws the rotation of each block.

    start_scales: standard deviation of the start in each block; () = 1 everywhere, which is isotropic.
    """

    blocks: tuple[tuple[float, ...], ...]
    seed: int = 0
    start_scales: tuple[float, ...] = ()

    def __post_init__(self):
        for block in self.blocks:
            check_spectrum(block)
        if self.start_scales and len(self.start_scales) != len(self.blocks):
            raise ValueError(
                f"start_scales needs one number per block: {len(self.blocks)} blocks, {len(self.start_scales)} scales; "
                "leave it empty for a start that is alike in every block"
            )
        _ = self.hessian_dd  # drawn here, because vmap refuses random draws

    @cached_property
    def hessian_dd(self) -> Tensor:
        parts = (with_spectrum(block, generator(STRUCTURE, self.seed, b)) for b, block in enumerate(self.blocks))
        return torch.block_diag(*parts)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(block) for block in self.blocks)

    @cached_property
    def facts(self) -> Facts:
        return replace(facts_of(tuple(value for block in self.blocks for value in block)), blocks=self.sizes)

    def start(self, seed: int) -> Params:
        scales = torch.tensor(self.start_scales or (1.0,) * len(self.blocks), dtype=torch.float64)
        scale_d = scales.repeat_interleave(torch.tensor(self.sizes))
        return {"x": scale_d * normal((len(scale_d),), generator(START, seed))}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        x_d = params["x"]
        return 0.5 * (x_d @ self.hessian_dd @ x_d)
