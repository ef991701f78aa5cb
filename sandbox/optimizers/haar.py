"""The Haar wavelet transform along the last dimension, orthonormal, `level` times. Haar (1910); Mallat, "A wavelet tour
of signal processing", section 7 (recalled).

    a_j = (a_even + a_odd) / sqrt 2,   d_j = (a_even - a_odd) / sqrt 2,   a_0 = x,   j = 1 ... level

x (..., n) is filled up with zeros to a multiple of 2^level. The coefficients are 2^level tensors of one shape (..., k),
k = ceil(n / 2^level): first a = a_level, then d_level, then d_(level-1) dealt out into its even and its odd
positions, and so on, so that position i of every tensor belongs to the same 2^level neighbours of x. They are sums and
differences of neighbours along the last dimension, which is never a sharded one.
"""

import torch
from torch import Tensor

ROOT = 0.5**0.5


def coefficients(x: Tensor, level: int) -> list[Tensor]:
    """2^level tensors (..., k): the approximation first, then the details, coarse ones first."""
    k = pieces(x.shape[-1], level)
    a, details = filled_up(x, k * 2**level), []
    for j in range(1, level + 1):
        pairs = a.unflatten(-1, (-1, 2))
        even, odd = pairs[..., 0], pairs[..., 1]
        a, d = (even + odd) * ROOT, (even - odd) * ROOT
        dealt = d.unflatten(-1, (k, 2 ** (level - j)))
        details = [dealt[..., i] for i in range(2 ** (level - j))] + details
    return [a, *details]


def assembled(parts: list[Tensor], n: int) -> Tensor:
    """x (..., n), of which `parts` are the coefficients."""
    a, rest = parts[0], list(parts[1:])
    while rest:
        count = a.shape[-1] // parts[0].shape[-1]
        d, rest = torch.stack(rest[:count], -1).flatten(-2), rest[count:]
        a = torch.stack([(a + d) * ROOT, (a - d) * ROOT], -1).flatten(-2)
    return a[..., :n]


def pieces(n: int, level: int) -> int:
    """ceil(n / 2^level)"""
    return -(-n // 2**level)


def filled_up(x: Tensor, n: int) -> Tensor:
    """x with zeros behind it, n long."""
    missing = n - x.shape[-1]
    return torch.cat([x, torch.zeros_like(x[..., :missing])], -1) if missing else x
