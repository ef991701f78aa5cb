"""The directions of one step beside weights that are never written: w + c z and c z, a chunk of rows at a time.

Beside its result a call holds a chunk or two. Numbers are added and multiplied in the dtype of the directions, float64 by
default, and rounded once, to the dtype of the weight; `sandbox.oracles.probing` does the same with whole tensors, so
both give the same bits.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sandbox.perturbations.directions import Chunk, Draws, Probe, chunks, rows

Multipliers = Mapping[int, float]  # number of a probe -> c


class InChunks:
    """What depends on more than one chunk is found here, once: thresholds of magnitude masks, lengths on the sphere."""

    def __init__(self, draws: Draws, probes: Sequence[Probe], params: Mapping[str, Tensor]) -> None:
        self._draws, self.probes = draws, tuple(probes)
        self._thresholds = draws.directions.thresholds(params)
        sphere = draws.directions.law == "sphere"
        self._lengths = [self._length(probe, params) if sphere else 1.0 for probe in self.probes]

    def moved(self, name: str, w: Tensor, multipliers: Multipliers) -> Tensor:
        """w + sum of c z, a new tensor in the dtype of w; w itself where no probe moves it."""
        return self._sum(name, w, multipliers, base=w) if any(name in self.probes[i].indices for i in multipliers) else w

    def combined(self, name: str, w: Tensor, multipliers: Multipliers) -> Tensor:
        """The sum of c z, in the dtype of w."""
        return self._sum(name, w, multipliers, base=None)

    def touching(self, name: str) -> list[int]:
        """The probes that move this tensor."""
        return [i for i, probe in enumerate(self.probes) if name in probe.indices]

    def largest(self, i: int, name: str, w: Tensor) -> float:
        """A bound on |z| in w."""
        return self._lengths[i] * self._draws.largest(self.probes[i], name, tuple(w.shape))

    def _sum(self, name: str, w: Tensor, multipliers: Multipliers, base: Tensor | None) -> Tensor:
        out = torch.empty_like(w)
        used = [(i, c) for i, c in multipliers.items() if name in self.probes[i].indices]
        for chunk in chunks(tuple(w.shape)):
            total = torch.zeros(chunk.shape, dtype=self._draws.directions.dtype)
            for i, c in used:
                total += self._chunk(self.probes[i], name, w, chunk).mul_(self._lengths[i] * c)
            here = total.to(w.device)
            rows(out)[chunk.rows] = here if base is None else here + rows(base)[chunk.rows]
        return out

    def _chunk(self, probe: Probe, name: str, w: Tensor, chunk: Chunk) -> Tensor:
        z = self._draws.chunk(probe, name, tuple(w.shape), chunk)
        threshold = self._thresholds[name]
        return z if threshold is None else self._draws.directions.masked(z, rows(w)[chunk.rows].cpu(), threshold.cpu())

    def _length(self, probe: Probe, params: Mapping[str, Tensor]) -> float:
        """sqrt(d) / |z| over all entries that the probe perturbs; 0 where it perturbs none."""
        square, count = 0.0, 0
        for name in probe.indices:
            for chunk in chunks(tuple(params[name].shape)):
                z = self._chunk(probe, name, params[name], chunk)
                square, count = square + float(z.double().square().sum()), count + int(z.count_nonzero())
        return (count / square) ** 0.5 if square else 0.0


def norm_of(x: Tensor) -> float:
    """Euclidean norm in float64, without a float64 copy of x."""
    return sum(float(rows(x)[chunk.rows].double().square().sum()) for chunk in chunks(tuple(x.shape))) ** 0.5
