"""Random numbers as a pure function of integers: the one leaf that every room may import.

A draw is named by its key, for example (run seed, tensor index, step). The same key gives the same numbers in every
shell, on every rank and in every worker; nothing reads or moves a global seed. Numbers are drawn in float64 on the
CPU and cast afterwards, because `torch.randn` with one seed differs between float32 and float64.
"""

import hashlib

import torch
from torch import Tensor


def generator(*key: int) -> torch.Generator:
    """A CPU generator seeded by the whole key; keys that differ in one place give unrelated streams."""
    digest = hashlib.sha256(",".join(str(int(part)) for part in key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def normal(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Independent N(0, 1) entries, float64, on the CPU."""
    return torch.randn(shape, generator=rng, dtype=torch.float64)
