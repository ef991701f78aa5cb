"""How alike second moments are inside a block, and what one number per block does to Adam's step.

    snr_b    = (mean v)^2 / var v  over the entries of block b                    SNR_K of SlimAdam is its mean over blocks
    step     s = m / sqrt(v) of Adam, s' = m / sqrt(mean_b v) of Adam-mini, entry by entry
    cosine   = <s, s'> / (|s| |s'|),     distance = |s' - s| / |s|
    noise    |m_i| ~ sqrt(v_i) independent of v:  distance = snr^-1/2 / 2 + O(1 / snr)

The last line (derived): with v = mean v (1 + e), E e^2 = 1 / snr, the step of an entry changes by the factor
sqrt(1 + e) = 1 + e / 2 + ... So snr >= 1 keeps the change near a half.

Var is that of the entries, over their number (not less one). eps is left out: it would only make both steps more alike.

Source: SlimAdam (Kalra et al., 2025), https://arxiv.org/abs/2503.01843, read second-hand; there K is an axis of a tensor,
here any partition: its rows for the mean over axis 1, its columns for axis 0. Departures: blocks of different sizes count
alike, as do rows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sandbox.curvature.block_mass import groups


@dataclass(frozen=True)
class StepChange:
    """Of Adam-mini's step against Adam's over the same moments: cosine, distance relative to Adam's, and what noise alone predicts."""

    cosine: float
    distance: float
    predicted: float


def snr(v: np.ndarray | Tensor, labels: np.ndarray | Tensor) -> np.ndarray:
    """(B,) of each block, ascending by label; inf for a block of equal entries, nan for one of zeros.

    Raises ValueError for negative entries and labels of the wrong number.
    """
    flat = _moments(v)
    found = []
    for b in groups(labels, len(flat)):
        mean, variance = flat[b].mean(), flat[b].var() if np.ptp(flat[b]) else 0.0
        found.append(mean**2 / variance if variance else np.inf if mean else np.nan)
    return np.array(found)


def mean_snr(v: np.ndarray | Tensor, labels: np.ndarray | Tensor) -> float:
    """SNR_K: the mean of `snr` over the blocks that have one and are not all equal. nan where there is none."""
    found = snr(v, labels)
    finite = found[np.isfinite(found)]
    return float(finite.mean()) if len(finite) else float("nan")


def along(shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Labels, shaped like a tensor, of the blocks that a mean over one axis makes: SlimAdam's K = {axis}.

    Raises ValueError for an axis that the tensor has not.
    """
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"a mean over axis {axis} needs a tensor with that axis, got the shape {shape}")
    rest = tuple(1 if d == axis % len(shape) else size for d, size in enumerate(shape))
    return np.broadcast_to(np.arange(int(np.prod(rest))).reshape(rest), shape)


def change_of_step(m: np.ndarray | Tensor, v: np.ndarray | Tensor, labels: np.ndarray | Tensor) -> StepChange:
    """Entries with v = 0 stand still in both. Raises ValueError where v < 0, no entry moves, or the numbers of entries differ."""
    flat, first = _moments(v), torch.as_tensor(m).detach().double().reshape(-1).numpy()
    shared, variance = np.empty_like(flat), 0.0
    if len(first) != len(flat):
        raise ValueError(f"both moments must be of the same entries, got {len(first)} first and {len(flat)} second moments")
    for b in groups(labels, len(flat)):
        mean = flat[b].mean()
        shared[b] = mean
        variance += len(b) * (flat[b].var() / mean**2 if mean else 0.0)
    moves = flat > 0
    adam, mini = first[moves] / np.sqrt(flat[moves]), first[moves] / np.sqrt(shared[moves])
    sizes = np.linalg.norm(adam), np.linalg.norm(mini)
    if not sizes[0]:
        raise ValueError(f"a step must move something, but none of {len(flat)} entries has a first and a second moment that are not 0")
    cosine, distance = float(adam @ mini / (sizes[0] * sizes[1])), float(np.linalg.norm(mini - adam) / sizes[0])
    return StepChange(cosine, distance, 0.5 * float(variance / len(flat)) ** 0.5)


def _moments(v: np.ndarray | Tensor) -> np.ndarray:
    flat = torch.as_tensor(v).detach().double().reshape(-1).numpy()
    if not (flat >= 0).all():
        raise ValueError(f"second moments must be >= 0, got a smallest of {flat.min():.3g}")
    return flat
