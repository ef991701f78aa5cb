"""How unlike the spectra of blocks are: Jensen-Shannon distance over all pairs, with every choice that its value hangs on stated.

    p_b(x)     = sum_k weight_k normal(x - node_k, sigma)           smoothed spectrum of block b, integral 1
    D(p, q)    = (1/2) int p ln(p / m) + (1/2) int q ln(q / m),     m = (p + q) / 2           divergence, in [0, ln 2]
    distance   = sqrt(D)                                            a metric, in [0, sqrt(ln 2)]

Natural logarithm; all blocks on one grid of equal steps of sigma / STEPS at most, TAILS sigma beyond the outermost nodes;
each p_b sums to 1 over the grid. Chosen by the caller, and to be varied by whoever claims anything:

    scale      "none": eigenvalues as they are.  "top": each spectrum over its own largest |eigenvalue|.  "rms": over
               sqrt(mean lambda^2) = |H_b|_F / sqrt(d_b).  "trace": over tr H_b / d_b, which must be positive.
    axis       "linear", or "log": x = log10 |eigenvalue|, sign dropped, everything below 10^-FLOOR of the largest set there
    sigma      on the axis; for "linear" in the units of scaled eigenvalues ("absolute"), or as a share of the range of all
               nodes together ("relative"); for "log" in decades, or as such a share

With "none" and an absolute sigma this is what "Why Transformers need Adam" plots, and any two blocks whose spectra are
narrower than sigma are then alike, whatever they are. A spectrum over its own scale does not change when its block is
multiplied by a positive number. No two choices give comparable numbers; their order of models may differ too.

Source: Zhang et al. (2024), https://arxiv.org/abs/2402.16788, read second-hand: their JS^0 is a mean over pairs, without
its logarithm, grid, width or normalisation; values above ln 2 that are told of it are no divergence of densities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from scipy.ndimage import gaussian_filter1d

from sandbox.curvature.density import TAILS, Density

Scale = Literal["none", "top", "rms", "trace"]
Axis = Literal["linear", "log"]
STEPS = 8  # grid steps per sigma: sums of a normal are then its integral to rounding
FLOOR = 12.0  # decades below the largest |eigenvalue| of all blocks that a logarithmic axis still shows
POINTS = 1_000_000  # of a grid at most


@dataclass(frozen=True)
class Spectrum:
    """Nodes, in loss / param^2, and weights >= 0 with sum 1."""

    nodes: np.ndarray
    weights: np.ndarray

    def over(self, scale: Scale) -> "Spectrum":
        """Divided by its own scale. Raises ValueError for an unknown one and where it is not positive."""
        if scale not in get_args(Scale):
            raise ValueError(f"scale must be one of {list(get_args(Scale))}, got {scale!r}")
        size = {
            "none": 1.0,
            "top": float(np.abs(self.nodes).max()),
            "rms": float(self.weights @ np.square(self.nodes)) ** 0.5,
            "trace": float(self.weights @ self.nodes),
        }[scale]
        if not size > 0:
            raise ValueError(
                f"a spectrum over its own {scale!r} needs that to be positive, got {size:.3g}: take 'top' or 'rms', or leave it out"
            )
        return Spectrum(self.nodes / size, self.weights)


@dataclass(frozen=True)
class Heterogeneity:
    """divergence: (B, B) D of all pairs, natural logarithm, 0 on the diagonal.  sigma: the width on the axis.  n_points: of the grid."""

    names: tuple[str, ...]
    divergence: np.ndarray
    sigma: float
    n_points: int

    @property
    def distance(self) -> np.ndarray:
        return np.sqrt(self.divergence)

    @property
    def mean_divergence(self) -> float:
        """Over the pairs of different blocks."""
        return float(self.divergence[_pairs(self.divergence)].mean())

    @property
    def mean_distance(self) -> float:
        return float(self.distance[_pairs(self.divergence)].mean())


def exact(H: np.ndarray) -> Spectrum:
    """All eigenvalues of a symmetric block, with equal weights."""
    nodes = np.linalg.eigvalsh(H)
    return Spectrum(nodes, np.full(len(nodes), 1.0 / len(nodes)))


def quadrature(density: Density) -> Spectrum:
    """The nodes of all probes of a Lanczos density, each probe with the same share."""
    return Spectrum(np.concatenate(density.nodes), np.concatenate(density.weights) / len(density.nodes))


def heterogeneity(
    spectra: Mapping[str, Spectrum],
    *,
    sigma: float,
    width: Literal["absolute", "relative"] = "relative",
    scale: Scale = "none",
    axis: Axis = "linear",
) -> Heterogeneity:
    """The distances between all pairs of at least two spectra.

    Raises ValueError for sigma <= 0, unknown choices, a range that is 0 beside a relative width, and one that the grid cannot show.
    """
    if len(spectra) < 2 or not sigma > 0 or width not in ("absolute", "relative") or axis not in get_args(Axis):
        raise ValueError(
            f"heterogeneity needs two spectra, sigma > 0, a width 'absolute' or 'relative' and an axis of {list(get_args(Axis))}, "
            f"got {len(spectra)}, {sigma}, {width!r} and {axis!r}"
        )
    places = _on_axis([one.over(scale) for one in spectra.values()], axis)
    low, high = min(one.nodes.min() for one in places), max(one.nodes.max() for one in places)
    wide = sigma * (high - low) if width == "relative" else sigma
    n_points = int((high - low + 2 * TAILS * wide) / wide * STEPS) + 2 if wide else POINTS + 1
    if n_points > POINTS:
        raise ValueError(
            f"a grid of {STEPS} points per width must show the whole range in {POINTS:,} points, got sigma {wide:.3g} on a range of "
            f"{high - low:.3g}: take a larger width, a scale of each block's own, or axis='log'"
        )
    masses = [_smoothed(one, low - TAILS * wide, wide / STEPS, n_points) for one in places]
    divergence = np.zeros((len(masses), len(masses)))
    for i, j in combinations(range(len(masses)), 2):
        divergence[i, j] = divergence[j, i] = jensen_shannon(masses[i], masses[j])
    return Heterogeneity(tuple(spectra), divergence, float(wide), n_points)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """D of two distributions on the same points, each with sum 1, in nats; 0 ln 0 = 0 and never below 0 by rounding."""
    m = (p + q) / 2.0
    return max(0.5 * (_relative_entropy(p, m) + _relative_entropy(q, m)), 0.0)


def _relative_entropy(p: np.ndarray, m: np.ndarray) -> float:
    there = p > 0
    return float((p[there] * np.log(p[there] / m[there])).sum())


def _on_axis(spectra: list[Spectrum], axis: Axis) -> list[Spectrum]:
    if axis == "linear":
        return spectra
    least = 10.0**-FLOOR * max(float(np.abs(one.nodes).max()) for one in spectra)
    if not least > 0:
        raise ValueError("a logarithmic axis needs an eigenvalue that is not 0, but all of all blocks are")
    return [Spectrum(np.log10(np.maximum(np.abs(one.nodes), least)), one.weights) for one in spectra]


def _smoothed(one: Spectrum, start: float, step: float, n_points: int) -> np.ndarray:
    """(n_points,) with sum 1: each node shared between its two neighbours on the grid, then spread by STEPS steps."""
    place = (one.nodes - start) / step
    left = np.floor(place).astype(np.int64)
    right = place - left
    masses = np.zeros(n_points)
    np.add.at(masses, left, one.weights * (1.0 - right))
    np.add.at(masses, left + 1, one.weights * right)
    spread = gaussian_filter1d(masses, STEPS, mode="constant", truncate=TAILS)
    return spread / spread.sum()


def _pairs(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(len(table), k=1)
