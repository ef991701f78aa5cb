"""Block-wise zeroth-order gradients: one direction and one slope per block of tensors.

    at once    ghat_b = slope of f along (0, .., z_b, .., 0) times z_b, for every block b, all at the same w     2 n B passes
    in turn    the same for block k mod B at step k, and nothing for the others: Gauss-Seidel                      2 n

With B equal blocks, all at once, and exact slopes E |ghat|^2 = (d/B + 2) |g|^2 for Gaussian directions, and (d/B) |g|^2 for spheres and
signs, at B times the forward passes. As many whole directions have (d + B + 1)/B and (d + B - 1)/B: at equal passes Gaussian
blocks lose 1 - 1/B, while spheres and signs gain as much, and have the least that B slopes can have
(proofs/proof_two_point_blocks.py). Unequal blocks have sum_b (d_b + 2) |g_b|^2 and sum_b d_b |g_b|^2.

Blocks that share their numbers, as equal-shaped blocks do in the released code of ZO-Bench, which starts every block from the
same seed (`numbers="shared"`), change

    E ghat^T H ghat   by   sum over a != b of [tr(H_ab) g_a . g_b + g_b^T H_ab g_a]

Sources: ZO-Bench (Zhang et al. 2024, 2402.11592; the code was read, the text was not); moments derived.
Departures: there all blocks are visited within one step, on one batch; here `BlocksInTurn` visits one per step: give a
shell the same closure B times to get a sweep.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from sandbox.oracles.probing import LossAt, Measured, draw_probes, estimate
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import Directions, Probe
from sandbox.problems.base import Params, Problem

Blocks = tuple[tuple[str, ...], ...]
Numbers = Literal["independent", "shared"]


@dataclass(frozen=True)
class BlocksAtOnce:
    """blocks: names, every tensor in exactly one.  numbers: "shared" gives the tensors at one place of their blocks, if of
    one shape, the same numbers.

    Raises ValueError where the blocks do not cover the parameters once.
    """

    blocks: Blocks
    inner: TwoPoint = field(default_factory=TwoPoint)
    numbers: Numbers = "independent"

    @property
    def directions(self) -> Directions:
        return self.inner.directions

    def probes(self, names: Sequence[str]) -> tuple[Probe, ...]:
        check_blocks(self, names)
        return tuple(p for block in self.blocks for p in block_probes(block, names, n=self.inner.n, numbers=self.numbers))

    def coefficients(self, loss_at: LossAt, count: int, memory: None = None) -> Measured:
        return self.inner.coefficients(loss_at, count, memory)

    def at(self, k: int) -> "BlocksAtOnce":
        return replace(self, inner=self.inner.at(k))

    def draw(self, rng: torch.Generator, params: Params) -> tuple[Params, ...]:
        return draw_probes(self, rng, params)

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: tuple[Params, ...]) -> tuple[Tensor, Params]:
        return estimate(self, problem, params, batch, draw)[:2]


@dataclass(frozen=True)
class BlocksInTurn:
    """blocks: as above.  k: the step, set by `at`; block k mod B has a gradient, the others have zeros.

    The in-place shell moves the tensors of that block alone; other shells hand the zeros to the rule, which a rule
    with momentum answers with a step.
    """

    blocks: Blocks
    inner: TwoPoint = field(default_factory=TwoPoint)
    k: int | None = None

    @property
    def directions(self) -> Directions:
        return self.inner.directions

    def probes(self, names: Sequence[str]) -> tuple[Probe, ...]:
        check_blocks(self, names)
        if self.k is None:
            raise ValueError("BlocksInTurn must know the step, to choose its block; call at(k), as run() and the in-place shell do")
        return block_probes(self.blocks[self.k % len(self.blocks)], names, n=self.inner.n, numbers="independent")

    def coefficients(self, loss_at: LossAt, count: int, memory: None = None) -> Measured:
        return self.inner.coefficients(loss_at, count, memory)

    def at(self, k: int) -> "BlocksInTurn":
        return replace(self, inner=self.inner.at(k), k=k)

    def draw(self, rng: torch.Generator, params: Params) -> tuple[Params, ...]:
        return draw_probes(self, rng, params)

    def __call__(self, problem: Problem, params: Params, batch: Any, draw: tuple[Params, ...]) -> tuple[Tensor, Params]:
        return estimate(self, problem, params, batch, draw)[:2]


def block_probes(block: Sequence[str], names: Sequence[str], *, n: int, numbers: Numbers) -> tuple[Probe, ...]:
    """The n probes of one block; a tensor's place in the key is that in the block where numbers are shared."""
    place = {name: i for i, name in enumerate(block if numbers == "shared" else names)}
    return tuple(Probe({name: place[name] for name in block}, j) for j in range(n))


def check_blocks(oracle: BlocksAtOnce | BlocksInTurn, names: Sequence[str]) -> None:
    """Raises ValueError unless every name lies in exactly one block."""
    counts = Counter(name for block in oracle.blocks for name in block)
    wrong = sorted({name for name in names if counts[name] != 1} | (counts.keys() - set(names)))
    if wrong:
        raise ValueError(
            f"the {len(oracle.blocks)} blocks must hold each of the {len(names)} parameters exactly once; "
            f"missing, repeated or unknown: {', '.join(wrong[:5])}"
        )
