"""Random directions as a pure function of integers, in pieces: what zeroth-order estimates add to the weights.

    z = the numbers of (key, index of the tensor, direction, chunk of rows)        on the CPU

The key of a step is one integer from the step's generator, so one integer is all that a rank or a replay needs. A tensor is
drawn in chunks of rows, each from a generator of its own: nobody need hold more than one chunk, and a rank can
draw its own rows alone.

    gaussian     z ~ N(0, I_d)                                                          E |ghat|^2 = (d + 2) |g|^2
    sphere       uniform of length sqrt(d), d = all perturbed entries of all tensors                     d |g|^2
    rademacher   independent signs                                                                       d |g|^2

Sources: MeZO (Malladi et al. 2023, 2305.17333), Algorithm 1 and Lemma 2 (the sphere), its appendix (Gaussian); the moments
are derived, for a quadratic and a central difference (`sandbox.oracles.two_point`).
Departures from the reference code of MeZO and ZO-Bench: they draw all numbers of a model from one generator in the
order of the parameters, in the dtype and on the device of the weight.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from sandbox.draws import generator
from sandbox.perturbations.low_rank import Factors, LowRank
from sandbox.perturbations.masks import MagnitudeMask, RandomMask

Law = Literal["gaussian", "sphere", "rademacher"]
ORACLE_STREAM = 1_000_003  # keeps the draws of oracles apart from those of frames, which are keyed by the tensor's index
MASK_STREAM = 1_000_033  # the same for masks and directions, which are keyed by the number of the direction
LARGEST = 16.0  # a bound on a Gaussian number, but for one in 1e57
CHUNK = 2**16  # entries that are drawn at a time: 0.5 MiB in float64


@dataclass(frozen=True)
class Probe:
    """One direction, and the tensors that it moves. Tensors with one index get the same numbers.

    indices: name of a tensor -> its place in the key.  direction: the number of the direction within the step.
    """

    indices: Mapping[str, int]
    direction: int


class Chunk(NamedTuple):
    number: int
    rows: slice  # of dim 0; a 0-dim tensor has one row
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Directions:
    """mask: which entries are perturbed; None for all.  low_rank: directions U Z V^T for the matrices that it takes.

    dtype: of the numbers and of the sums with them. float32 draws other numbers than float64, about five times as fast on a CPU.
    """

    law: Law = "gaussian"
    mask: RandomMask | MagnitudeMask | None = None
    low_rank: LowRank | None = None
    dtype: torch.dtype = torch.float64

    def __post_init__(self) -> None:
        if self.dtype not in (torch.float64, torch.float32):
            raise ValueError(f"directions are drawn in torch.float64 or torch.float32, got {self.dtype}; the sums are cast to the weight's")
        if self.law not in get_args(Law):
            raise ValueError(f"law of the directions must be one of {', '.join(get_args(Law))}, got {self.law!r}")

    def at(self, k: int) -> "Directions":
        """The directions of step k: a low-rank subspace is redrawn from time to time."""
        return self if self.low_rank is None else replace(self, low_rank=self.low_rank.at(k))

    def thresholds(self, params: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
        """What a magnitude mask must know about each whole tensor; None for every other mask."""
        return {name: self.mask.threshold(w) if isinstance(self.mask, MagnitudeMask) else None for name, w in params.items()}

    def masked(self, z: Tensor, w: Tensor, threshold: Tensor | None) -> Tensor:
        """z with the entries zeroed that a magnitude mask leaves alone; any rows of a tensor."""
        return z if threshold is None else z * self.mask.kept(w, threshold)


@dataclass(frozen=True)
class Draws:
    """The numbers of one step, made when they are asked for: z before the magnitude mask and the length of the sphere.

    key: of the step.  factors: subspaces of low-rank directions by tensor, with the step of their refresh; it may be kept
    from step to step.
    """

    directions: Directions
    key: int
    factors: dict[str, tuple[int, Factors]] = field(default_factory=dict, compare=False)

    def chunk(self, probe: Probe, name: str, shape: tuple[int, ...], chunk: Chunk) -> Tensor:
        index, mask, law, dtype = probe.indices[name], self.directions.mask, self.directions.law, self.directions.dtype
        factors = self._factors(name, index, shape)
        if factors is None:
            z = _numbers(law, chunk.shape, generator(self.key, index, probe.direction, chunk.number), dtype)
        else:
            Z = _numbers(law, factors.core, generator(self.key, index, probe.direction), torch.float64)
            z = factors.rows(Z, chunk.rows).to(dtype)
        if isinstance(mask, RandomMask):
            rng = generator(self.key if mask.seed is None else mask.seed, index, MASK_STREAM, chunk.number)
            z = z * mask.kept(chunk.shape, rng).to(dtype)
        return z

    def whole(self, probe: Probe, name: str, shape: tuple[int, ...]) -> Tensor:
        """All rows, in the shape of the weight."""
        z = torch.empty(shape, dtype=self.directions.dtype)
        for chunk in chunks(shape):
            rows(z)[chunk.rows] = self.chunk(probe, name, shape, chunk)
        return z

    def largest(self, probe: Probe, name: str, shape: tuple[int, ...]) -> float:
        """A bound on |z|; that of a low rank is mu |Z|_F, since U and V have orthonormal columns."""
        largest = 1.0 if self.directions.law == "rademacher" else LARGEST
        factors = self._factors(name, probe.indices[name], shape)
        return largest if factors is None else largest * abs(factors.mu) * math.prod(factors.core) ** 0.5

    def prepare(self, probes: Iterable[Probe], params: Mapping[str, Tensor]) -> None:
        """Draws the subspaces that are due, now and not where a weight is first read; the old one of a tensor goes before its new one."""
        for probe in probes:
            for name, index in probe.indices.items():
                self._factors(name, index, tuple(params[name].shape))

    def _factors(self, name: str, index: int, shape: tuple[int, ...]) -> Factors | None:
        low_rank = self.directions.low_rank
        if low_rank is None or not low_rank.takes(name, shape):
            return None
        refreshed = low_rank.refreshed()
        if self.factors.get(name, (None,))[0] != refreshed:
            self.factors.pop(name, None)
            self.factors[name] = refreshed, low_rank.factors(index, shape)
        return self.factors[name][1]


def key_of(rng: torch.Generator) -> int:
    """The integer from which all directions of a step are drawn."""
    return int(torch.randint(2**62, (), generator=rng))


def chunks(shape: tuple[int, ...]) -> Iterator[Chunk]:
    """The rows of a tensor, CHUNK entries at a time or one row where a row is longer."""
    n_rows, row = (shape[0], tuple(shape[1:])) if shape else (1, ())
    each = max(1, CHUNK // max(1, math.prod(row)))
    for number, start in enumerate(range(0, n_rows, each)):
        stop = min(start + each, n_rows)
        yield Chunk(number, slice(start, stop), (stop - start, *row))


def rows(x: Tensor) -> Tensor:
    """x as something that has rows: a view of a 0-dim tensor as one row, any other tensor itself."""
    return x if x.ndim else x.unsqueeze(0)


def at_step(oracle: Any, k: int) -> Any:
    """What an oracle is at step k: itself, where it does not look at the count of steps (has no method `at`)."""
    return oracle.at(k) if hasattr(oracle, "at") else oracle


def require_real(params: Mapping[str, Tensor]) -> None:
    """Raises ValueError for a tensor that has no real direction: integers, booleans and complex numbers."""
    for name, w in params.items():
        if not w.is_floating_point():
            raise ValueError(f"{name} is {w.dtype}, and a perturbation needs real numbers; train it elsewhere, or as torch.view_as_real")


def _numbers(law: Law, shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype) -> Tensor:
    if law == "rademacher":
        return 2.0 * torch.randint(0, 2, shape, generator=rng, dtype=dtype) - 1.0
    return torch.randn(shape, generator=rng, dtype=dtype)
