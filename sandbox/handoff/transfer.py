"""From sweeps to a rule: where the best learning rate lies, how it moves with width, and what a wrong one costs.

    best log rate     of a width and a seed: the vertex of the parabola through the smallest loss and its two neighbours, in log rate
    exponent          of a seed: the least-squares slope of the best log rates in log width
    rule              lr(n) = base_value (n / base_width)^value, value and log base_value means over seeds, with t intervals
    regret            of a predicted rate: with means L-, L0, L+ of the losses at half of it, at it and at twice it, slope
                      s = (L+ - L-) / 2 and curvature c = (L+ + L- - 2 L0) / 2 of the parabola in octaves: L0 - min = s^2 / (4 c)

What diverged, or ended above the cap, counts as the cap: what a model costs that has learned nothing. So a neighbour that diverged
pushes the vertex away from itself by a number, not by infinity. A smallest loss at the end of its grid stands for itself.

The parabola is a choice, not a law: losses rise faster on the side of large rates, which moves every vertex the same way.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sandbox.fit import Fit, Sample, column, slope


def best_log_rate(losses: Mapping[float, float], cap: float) -> float:
    """Natural logarithm of the best rate. losses: by rate, at least one. Raises ValueError where no run ended below the cap."""
    rates = sorted(losses)
    x, y = [math.log(rate) for rate in rates], [capped(losses[rate], cap) for rate in rates]
    i = min(range(len(y)), key=y.__getitem__)
    if y[i] >= cap:
        raise ValueError(f"no learning rate of {rates[0]:g} .. {rates[-1]:g} ended below {cap:.3g}, what guessing costs: try others")
    if i in (0, len(y) - 1):
        return x[i]
    return vertex(x[i - 1 : i + 2], y[i - 1 : i + 2])


def capped(loss: float, cap: float) -> float:
    return min(loss, cap) if math.isfinite(loss) else cap


def vertex(x: Sequence[float], y: Sequence[float]) -> float:
    """Where the parabola through three points, the middle one the lowest, is least; the middle one where all three are equal."""
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    if right == left:
        return x[1]
    return (x[0] + x[1]) / 2 - left * (x[2] - x[0]) / (2 * (right - left))


@dataclass(frozen=True)
class Line:
    """log best = at_base + exponent * log(point / base), of one seed."""

    exponent: float
    at_base: float
    base: float

    def rate(self, point: float) -> float:
        return math.exp(self.at_base + self.exponent * math.log(point / self.base))


def line(best: Mapping[float, float], base: float) -> Line:
    """best: log rate by width (or by what else was varied), at least two. Raises ValueError for fewer."""
    if len(best) < 2:
        raise ValueError(f"an exponent needs best rates at 2 widths at least, got {len(best)}")
    x, y = [math.log(point / base) for point in best], list(best.values())
    gradient = slope(x, y)
    return Line(gradient, float(np.mean(y) - gradient * np.mean(x)), base)


def mean_line(lines: Sequence[Line]) -> Line:
    """The rule that the seeds give together: means of exponents and of log rates."""
    return Line(float(np.mean([one.exponent for one in lines])), float(np.mean([one.at_base for one in lines])), lines[0].base)


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """t interval of the mean over seeds. Raises ValueError for fewer than two."""
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError(f"an interval over seeds needs at least 2 of them, got {len(values)}")
    half = float(t.ppf(0.5 + level / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return float(np.mean(values)) - half, float(np.mean(values)) + half


def rule(lines: Sequence[Line], points: Sequence[float]) -> dict[str, Any]:
    """What the lines of all seeds say together, as a card holds it: the exponent with its 95 % interval, and the rate at the base."""
    low, high = interval([one.exponent for one in lines])
    mean = mean_line(lines)
    known = {"value": mean.exponent, "low": low, "high": high, "base_width": int(mean.base), "base_value": mean.rate(mean.base)}
    return known | {"widths": list(points), "seeds": len(lines)}


@dataclass(frozen=True)
class Regret:
    """Estimator: what the predicted rate costs, in the unit of the loss, from paired losses at half of it, at it and at twice it.

    The standard error is that of s and c over seeds, carried through s^2 / (4 c) to first order, and the spread that s alone gives
    where it is 0, to second order: a regret near its minimum has no first-order spread. Where the parabola has no minimum
    (c <= 0) the regret is at least what the better neighbour gains: that, with its paired error, is returned. Losses are capped.
    """

    cap: float
    keys: tuple[str, str, str] = ("half", "predicted", "double")

    def __call__(self, samples: Sequence[Sample], quantity: str) -> Fit:
        low, at, high = (np.array([capped(x, self.cap) for x in column(samples, key)]) for key in self.keys)
        s, c = (high - low) / 2, (high + low - 2 * at) / 2
        n, S, C = len(s), s.mean(), c.mean()
        if C > 0:
            value = S * S / (4 * C)
            first = S / (2 * C) * s - S * S / (4 * C * C) * c
            second = s.var(ddof=1) / n / (4 * C) * 2**0.5
            se = math.hypot(first.std(ddof=1) / n**0.5, second)
        else:
            other = low if low.mean() < high.mean() else high
            value, se = max(float((at - other).mean()), 0.0), float((at - other).std(ddof=1) / n**0.5)
        each = np.maximum(at - np.minimum(low, high), 0.0)
        return Fit(quantity, float(value), float(se), n - 1, float(each.min()), float(each.max()), tuple(samples))
