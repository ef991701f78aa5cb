"""From samples to a number with an interval. A fit never sees the bound it will be judged by.

A `Sample` is what one seed of one setting gave. An estimator (chosen in the claim, before the run) turns samples into a `Fit`:

    Mean              mean over seeds, Student t interval
    RatioOfMeans      mean(a) / mean(b), a ratio of means and not a mean of ratios; linearised (delta-method) t interval
    PairedDifference  mean over seeds of a - b, t interval of the paired differences
    Range             [min, max] over seeds: for counts, deterministic equalities and bounds that must hold for every instance

What diverged keeps its sign: a fit of +inf says that what the claim speaks of diverged on a seed (in a comparison: the first key,
whatever the second did), a fit of -inf that only the baseline of a comparison did.

n equal samples of a statistical estimator are no certainty: their interval is a point, but their p-value is at least 2^-n, which is
what a sign test makes of n values on one side. So n equal samples decide at 95 % from n = 6 on. A number that cannot vary is a Range.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Sample:
    """values: what `measure` returned, plain JSON.  code, date: the version and the day of the run (empty when just measured)."""

    seed: int
    values: Mapping[str, Any]
    code: str = ""
    date: str = ""


@dataclass(frozen=True)
class Fit:
    """A measured number and the samples it came from.

    se: standard error over seeds.  df: degrees of freedom of the t interval; 0 means [least, most] is the range of the samples.
    level: two-sided confidence level of (low, high).  A sample that is not finite makes the fit `diverged`.
    baseline: the key that a comparison is made against, "" where the estimator compares nothing.
    """

    quantity: str
    value: float
    se: float
    df: int
    least: float
    most: float
    samples: tuple[Sample, ...]
    level: float = 0.95
    baseline: str = ""

    @property
    def diverged(self) -> bool:
        return not math.isfinite(self.value)

    @property
    def all_equal(self) -> bool:
        """Whether an estimate over seeds has no spread at all, so that its t interval is a point."""
        return self.df > 0 and self.se == 0 and not self.diverged

    @property
    def half_width(self) -> float:
        from scipy.stats import t

        return float(t.ppf(0.5 + self.level / 2, self.df)) * self.se if self.df else 0.0

    @property
    def low(self) -> float:
        return self.value - self.half_width if self.df else self.least

    @property
    def high(self) -> float:
        return self.value + self.half_width if self.df else self.most

    def at_level(self, level: float) -> "Fit":
        """The same fit with another confidence level."""
        return replace(self, level=level)

    def p_beyond(self, edge: float) -> float:
        """One-sided p-value of "the true value lies on the other side of `edge`"; 0 where no statistics are involved.

        2^-n where all n samples are equal, 1 where they lie on the edge.
        """
        if not self.df:
            return 0.0
        if self.se == 0:
            return 2.0 ** -(self.df + 1) if self.value != edge else 1.0
        from scipy.stats import t

        return float(t.sf(abs(self.value - edge) / self.se, self.df))


class Estimator(Protocol):
    def __call__(self, samples: Sequence[Sample], quantity: str) -> Fit: ...


@dataclass(frozen=True)
class Mean:
    key: str

    def __call__(self, samples: Sequence[Sample], quantity: str) -> Fit:
        return _t_fit(column(samples, self.key), samples, quantity)


@dataclass(frozen=True)
class PairedDifference:
    """mean(first - second): negative where `first` is the smaller one."""

    first: str
    second: str

    def __call__(self, samples: Sequence[Sample], quantity: str) -> Fit:
        a, b = column(samples, self.first), column(samples, self.second)
        return replace(_lost(a, b, samples, quantity) or _t_fit(a - b, samples, quantity), baseline=self.second)


@dataclass(frozen=True)
class RatioOfMeans:
    """mean(numerator) / mean(denominator); se = sd(a - ratio b) / (sqrt(n) |mean(b)|), the first-order error of the ratio.

    Raises ValueError where the mean of the denominators is 0.
    """

    numerator: str
    denominator: str

    def __call__(self, samples: Sequence[Sample], quantity: str) -> Fit:
        a, b = column(samples, self.numerator), column(samples, self.denominator)
        if lost := _lost(a, b, samples, quantity):
            return replace(lost, baseline=self.denominator)
        if abs(b.mean()) < 1e-300:
            raise ValueError(f"a ratio of means needs a denominator that is not 0; the mean of {self.denominator!r} is {b.mean()}")
        ratio = a.mean() / b.mean()
        fit = _t_fit((a - ratio * b) / b.mean(), samples, quantity)
        with np.errstate(divide="ignore", invalid="ignore"):  # one seed's denominator may be 0; the mean is not
            each = a / b
        se = 0.0 if _equal(each) else fit.se
        return replace(fit, value=float(ratio), se=se, least=float(each.min()), most=float(each.max()), baseline=self.denominator)


@dataclass(frozen=True)
class Range:
    key: str

    def __call__(self, samples: Sequence[Sample], quantity: str) -> Fit:
        x = column(samples, self.key)
        value = float(x.mean()) if np.isfinite(x).all() else _sign(x)
        return Fit(quantity, value, 0.0, 0, float(x.min()), float(x.max()), tuple(samples))


def column(samples: Sequence[Sample], key: str) -> np.ndarray:
    """(n,) values of `key`. Raises ValueError where a sample does not have it."""
    missing = [s.seed for s in samples if key not in s.values]
    if missing or not samples:
        raise ValueError(f"every sample needs the value {key!r}; missing for seeds {missing} of {len(samples)} samples")
    return np.array([float(s.values[key]) for s in samples])


def _t_fit(x: np.ndarray, samples: Sequence[Sample], quantity: str) -> Fit:
    n = len(x)
    if n < 2:
        raise ValueError(f"an interval over seeds needs at least 2 of them, got {n} for {quantity!r}; use Range for a deterministic number")
    if not np.isfinite(x).all():
        return Fit(quantity, _sign(x), 0.0, n - 1, float(x.min()), float(x.max()), tuple(samples))
    se = 0.0 if _equal(x) else float(x.std(ddof=1) / math.sqrt(n))
    return Fit(quantity, float(x.mean()), se, n - 1, float(x.min()), float(x.max()), tuple(samples))


def _lost(ours: np.ndarray, theirs: np.ndarray, samples: Sequence[Sample], quantity: str) -> Fit | None:
    """The fit of a comparison in which a side diverged: +inf where ours did on any seed, -inf where only theirs did, else None."""
    if np.isfinite(ours).all() and np.isfinite(theirs).all():
        return None
    sign = -math.inf if np.isfinite(ours).all() else math.inf
    return _t_fit(np.full(len(ours), sign), samples, quantity)


def _equal(x: np.ndarray) -> bool:
    """Whether all values are one number, up to the rounding of a few operations."""
    return bool(np.ptp(x) <= 4 * np.finfo(float).eps * np.abs(x).max())


def _sign(x: np.ndarray) -> float:
    """-inf where nothing but -inf is not finite, else +inf; not a number counts as +inf."""
    return -math.inf if (x[~np.isfinite(x)] == -math.inf).all() else math.inf


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Least-squares slope of y against x."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())


def contraction_factor(gap: Sequence[float], window: tuple[int, int]) -> float:
    """Geometric mean of gap[k + 1] / gap[k] over the half-open window of steps.

    Raises ValueError for a window that holds fewer than two of the steps, and where the gap is not positive at its ends.
    """
    first, last = window
    if not (0 <= first <= last - 2 and last <= len(gap)):
        raise ValueError(f"a contraction factor needs a window of at least 2 steps within 0..{len(gap)}, got {window}")
    start, end = float(gap[first]), float(gap[last - 1])
    if not (start > 0 and end > 0):
        raise ValueError(f"a contraction factor needs positive gaps, got {start} at step {first} and {end} at step {last - 1}")
    return (end / start) ** (1 / (last - 1 - first))


def plateau(values: Sequence[float], share: float = 0.5) -> float:
    """Mean of the last `share` of the values."""
    values = np.asarray(values, float)
    return float(values[len(values) - max(1, round(share * len(values))) :].mean())
