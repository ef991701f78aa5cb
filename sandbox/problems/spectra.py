"""Spectra to build quadratics from: plain tuples of eigenvalues, in loss / param^2.

    log_spaced          low (high/low)^(i/(d-1))
    log_uniform         the two ends, and between them exp(U[log low, log high]), sorted
    power_law           top i^-exponent,  i = 1..d
    low_rank_plus_floor `rank` eigenvalues at top, the others at floor
    three_groups        the blocks of the quadratic study in Adam-mini (2406.16793): {1, 2, 3}, {99, 100, 101}, {4998,
    4999, 5000} dealt               the same eigenvalues dealt over the blocks like cards: the control with one global
    spectrum

Departures from the paper: the study draws each block's eigenvalues from its three values; `three_groups` cycles through
them, so that the condition number of a block is a known constant and not a random one.
"""

import math
from itertools import cycle, islice

import torch

from sandbox.draws import generator
from sandbox.problems.streams import STRUCTURE

Spectrum = tuple[float, ...]
GROUPS = ((1.0, 2.0, 3.0), (99.0, 100.0, 101.0), (4998.0, 4999.0, 5000.0))


def log_spaced(d: int, *, low: float, high: float) -> Spectrum:
    """d >= 2 eigenvalues at equal ratios from low to high, ascending."""
    _check_range(d, low, high)
    return (*(low * (high / low) ** (i / (d - 1)) for i in range(d - 1)), high)


def log_uniform(d: int, *, low: float, high: float, seed: int = 0) -> Spectrum:
    """d >= 2 eigenvalues, ascending; the ends are exactly low and high, so that L and mu are known."""
    _check_range(d, low, high)
    u = torch.rand(d - 2, generator=generator(STRUCTURE, seed), dtype=torch.float64).sort().values
    return (low, *(low * (high / low) ** float(v) for v in u), high)


def power_law(d: int, *, exponent: float, top: float = 1.0) -> Spectrum:
    """top * i^-exponent for i = d..1, ascending."""
    if d < 1 or top <= 0:
        raise ValueError(f"a power law needs d >= 1 and top > 0, got d={d}, top={top}")
    return tuple(sorted(top * i**-exponent for i in range(1, d + 1)))


def low_rank_plus_floor(d: int, *, rank: int, top: float, floor: float) -> Spectrum:
    """rank eigenvalues at top, d - rank at floor, ascending."""
    if not 0 < rank <= d or not 0 <= floor <= top:
        raise ValueError(f"need 0 < rank <= d and 0 <= floor <= top, got rank={rank}, d={d}, floor={floor}, top={top}")
    return (floor,) * (d - rank) + (top,) * rank


def three_groups(size: int) -> tuple[Spectrum, ...]:
    """Three blocks of `size` >= 3 eigenvalues: 1..3, 99..101 and 4998..5000, each value equally often where 3 divides
    size.
    """
    if size < 3:
        raise ValueError(f"a block of three_groups needs size >= 3, so that it holds both ends of its group, got {size}")
    return tuple(tuple(sorted(islice(cycle(group), size))) for group in GROUPS)


def dealt(blocks: tuple[Spectrum, ...]) -> tuple[Spectrum, ...]:
    """Blocks of the same sizes and with the same eigenvalues in all, dealt in ascending order to one block after the
    other.
    """
    hands: list[list[float]] = [[] for _ in blocks]
    turn = cycle(range(len(blocks)))
    for value in sorted(value for block in blocks for value in block):
        i = next(i for i in turn if len(hands[i]) < len(blocks[i]))
        hands[i].append(value)
    return tuple(tuple(hand) for hand in hands)


def _check_range(d: int, low: float, high: float) -> None:
    if d < 2 or not 0 < low <= high < math.inf:
        raise ValueError(f"need d >= 2 and 0 < low <= high < inf, got d={d}, low={low}, high={high}")
