"""Fit x limit -> verdict: the one place where a measurement meets a theorem.

Outcomes and rules are fixed (and no other words exist). With the interval [lo, hi], the limit b and the relative
resolution tau, the band is [b - tau |b|, b + tau |b|]:

    upper     VIOLATED if lo > band; ATTAINED if [lo, hi] inside the band; HOLDS if hi <= upper edge; else INCONCLUSIVE (lower: mirrored)
    equality  (also counts and rates) HOLDS inside the band; VIOLATED if disjoint from it; else INCONCLUSIVE
    ordering  of a paired difference against b = 0: HOLDS if hi < 0, VIOLATED if lo > 0
    parity    HOLDS if the 90 % interval lies inside [-margin, +margin], VIOLATED if outside, else INCONCLUSIVE

Out of scope is decided before measuring. Divergence inside the scope is VIOLATED without a fit.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from sandbox.fit import Fit

Kind = Literal["upper", "lower", "equality", "ordering", "parity"]


class Outcome(Enum):
    """Each value is the sentence a reader of the report sees."""

    ATTAINED = "the measurement equals the limit: the bound is tight here"
    HOLDS = "the measurement is where the claim says"
    VIOLATED = "the measurement is where the claim says it cannot be"
    INCONCLUSIVE = "the interval straddles the limit: more seeds are needed"
    OUT_OF_SCOPE = "a condition of the claim fails here, so it promises nothing"


@dataclass(frozen=True)
class Verdict:
    """fit is None only when out of scope.  p: the largest one-sided p-value that the outcome rests on (0: no statistics).

    more_seeds: how many seeds in all would decide at the measured value and spread, for INCONCLUSIVE; None where nobody can say.
    """

    outcome: Outcome
    kind: Kind
    fit: Fit | None
    limit: float | None
    tau: float = 0.0
    margin: float | None = None
    p: float = 0.0
    reason: str = ""
    more_seeds: int | None = None


def judge(fit: Fit, kind: Kind, *, limit: float = 0.0, tau: float = 0.0, margin: float | None = None) -> Verdict:
    """The verdict at the fit's confidence level; parity takes the 90 % interval unless that level is higher than 0.95.

    Raises ValueError for parity without a positive margin, or a negative tau.
    """
    if tau < 0:
        raise ValueError(f"tau is a relative resolution and must be >= 0, got {tau} for {fit.quantity!r}")
    if kind == "parity":
        if not margin or margin <= 0:
            raise ValueError(f"a parity claim needs a margin > 0, got {margin} for {fit.quantity!r}")
        if fit.level <= 0.95:
            fit = fit.at_level(0.90)
    return _judge_at_level(fit, kind, limit, tau, margin)


def _judge_at_level(fit: Fit, kind: Kind, limit: float, tau: float, margin: float | None) -> Verdict:
    if fit.diverged:
        return Verdict(Outcome.VIOLATED, kind, fit, limit, tau, margin, reason="a run diverged inside the scope of the claim")
    outcome, edges = _decide(fit, kind, *_band(kind, limit, tau, margin))
    p = max((fit.p_beyond(edge) for edge in edges), default=0.0)
    more = _seeds_to_decide(fit, _band(kind, limit, tau, margin)) if outcome is Outcome.INCONCLUSIVE else None
    return Verdict(outcome, kind, fit, limit, tau, margin, p, more_seeds=more)


def out_of_scope(kind: Kind, reason: str) -> Verdict:
    """The verdict where an assumption fails; `reason` names it."""
    return Verdict(Outcome.OUT_OF_SCOPE, kind, None, None, reason=reason)


def _band(kind: Kind, limit: float, tau: float, margin: float | None) -> tuple[float, float]:
    if kind == "parity":
        return limit - margin, limit + margin
    width = tau * abs(limit)
    return limit - width, limit + width


def _decide(fit: Fit, kind: Kind, bottom: float, top: float) -> tuple[Outcome, tuple[float, ...]]:
    """The outcome and the edges of the band that it rests on."""
    low, high = fit.low, fit.high
    inside = bottom <= low and high <= top
    if kind == "upper":
        return _one_sided(low > top, inside, high <= top, top, (bottom, top))
    if kind == "lower":
        return _one_sided(high < bottom, inside, low >= bottom, bottom, (bottom, top))
    if kind == "ordering":
        return _one_sided(low > top, False, high < bottom, top, ())
    if inside:
        return Outcome.HOLDS, (bottom, top)
    if low > top:
        return Outcome.VIOLATED, (top,)
    if high < bottom:
        return Outcome.VIOLATED, (bottom,)
    return Outcome.INCONCLUSIVE, ()


def _one_sided(beyond: bool, inside: bool, within: bool, edge: float, band: tuple[float, ...]) -> tuple[Outcome, tuple[float, ...]]:
    if beyond:
        return Outcome.VIOLATED, (edge,)
    if inside:
        return Outcome.ATTAINED, band
    return (Outcome.HOLDS, (edge,)) if within else (Outcome.INCONCLUSIVE, ())


def _seeds_to_decide(fit: Fit, band: tuple[float, float]) -> int | None:
    """n * (half width / distance to the nearest edge)^2, rounded up: the half width falls like 1 / sqrt(n)."""
    distance = min(abs(fit.value - edge) for edge in band)
    if not fit.df or distance == 0:
        return None
    return math.ceil((fit.df + 1) * (fit.half_width / distance) ** 2)


def holm(verdicts: Sequence[Verdict], family: int) -> tuple[Verdict, ...]:
    """Holm's step-down correction of many verdicts at once, in the order given.

    family: how many statistical verdicts the family has in all; absent ones count as p = 1, which is the cautious side.
    The verdict with the i-th smallest p, relative to its own error probability 1 - level (i from 0), is judged again
    with that probability divided by (family - i); from the first that does not survive, the divisor stays. Verdicts
    without statistics are left alone. Raises ValueError if the family is smaller than what it holds.
    """
    rows = [i for i, v in enumerate(verdicts) if v.fit is not None and v.fit.df and v.outcome is not Outcome.INCONCLUSIVE]
    if family < len(rows):
        raise ValueError(f"a family of {family} cannot hold {len(rows)} statistical verdicts")
    corrected, divisor, stopped = list(verdicts), family, False
    for i in sorted(rows, key=lambda row: verdicts[row].p / (1 - verdicts[row].fit.level)):
        again = _judge_again(verdicts[i], divisor)
        corrected[i] = again
        stopped = stopped or again.outcome is Outcome.INCONCLUSIVE
        divisor = divisor if stopped else divisor - 1
    return tuple(corrected)


def _judge_again(verdict: Verdict, divisor: int) -> Verdict:
    if verdict.fit.diverged or divisor <= 1:
        return verdict
    level = 1 - (1 - verdict.fit.level) / divisor
    again = _judge_at_level(verdict.fit.at_level(level), verdict.kind, verdict.limit, verdict.tau, verdict.margin)
    if again.outcome is Outcome.INCONCLUSIVE:
        return replace(again, reason=f"decided alone (p = {verdict.p:.2g}), not after Holm's correction by {divisor}")
    return replace(again, fit=verdict.fit, p=verdict.p)
