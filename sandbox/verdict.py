"""Fit x limit -> verdict: the one place where a measurement meets a theorem.

Outcomes and rules are fixed (and no other words exist). With the interval [lo, hi], the limit b and the relative
resolution tau, the band is [b - tau |b|, b + tau |b|]:

    upper     VIOLATED if lo > band; ATTAINED if [lo, hi] inside the band; HOLDS if hi <= upper edge; else INCONCLUSIVE (lower: mirrored)
    equality  (also counts and rates) HOLDS inside the band; VIOLATED if disjoint from it; else INCONCLUSIVE
    ordering  of a paired difference against b = 0: HOLDS if hi < 0, VIOLATED if lo > 0
    parity    HOLDS if the 90 % interval lies inside [-margin, +margin], VIOLATED if outside, else INCONCLUSIVE

Out of scope is decided before measuring, except for an assumption that only the run can tell (`Claim.scope_of_rows`). Divergence inside
the scope is VIOLATED without a fit, with one exception: where only the baseline of a comparison diverged the claim is neither shown nor
refuted, so it is INCONCLUSIVE. The baseline is the second key of an estimator that compares two; a single value of an ordering or a
parity claim is a difference already, and -inf says the same there.

Where all samples are equal the interval is a point and would decide anything; there the p-value 2^-n (see `sandbox.fit`) must also be
at most the error probability of one side, (1 - level) / 2, else INCONCLUSIVE.
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

    more_seeds: how many seeds in all would decide at the measured value and spread, for INCONCLUSIVE, after Holm's correction at the
    corrected level; None where nobody can say.
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

    Raises ValueError for parity without a positive margin, a negative tau, or a limit that is not finite.
    """
    if not math.isfinite(limit):
        raise ValueError(f"a limit must be a finite number, or nothing can be compared with it; got {limit} for {fit.quantity!r}")
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
        return _diverged(Verdict(Outcome.VIOLATED, kind, fit, limit, tau, margin))
    band = _band(kind, limit, tau, margin)
    outcome, edges = _decide(fit, kind, *band)
    p = max((fit.p_beyond(edge) for edge in edges), default=0.0)
    verdict = Verdict(outcome, kind, fit, limit, tau, margin, p)
    if outcome is Outcome.INCONCLUSIVE:
        return replace(verdict, more_seeds=_seeds_to_decide(fit, kind, band))
    if fit.all_equal and p > (1 - fit.level) / 2:
        reason = f"all {fit.df + 1} samples are equal: their interval is a point, but a sign test can be no surer than p = {p:.2g}"
        return replace(verdict, outcome=Outcome.INCONCLUSIVE, reason=reason, more_seeds=_seeds_to_decide(fit, kind, band))
    return verdict


def _diverged(verdict: Verdict) -> Verdict:
    fit = verdict.fit
    if fit.value == -math.inf and (fit.baseline or verdict.kind in ("ordering", "parity")):
        key = f" ({fit.baseline})" if fit.baseline else ""
        return replace(verdict, outcome=Outcome.INCONCLUSIVE, reason=f"the baseline diverged{key}, which decides nothing about the claim")
    return replace(verdict, reason="a run diverged inside the scope of the claim")


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


def _seeds_to_decide(fit: Fit, kind: Kind, band: tuple[float, float]) -> int | None:
    """The least n whose half width, t(n - 1) sd / sqrt(n), is at most the distance to the edge that decides.

    That edge is the top of the band for upper, the bottom for lower, and the nearest one for all others. Equal samples need
    2^-n <= (1 - level) / 2. None for a range, for an estimate on the edge, and beyond 10^12 times n.
    """
    bottom, top = band
    edges = {"upper": (top,), "lower": (bottom,)}.get(kind, band)
    distance = min(abs(fit.value - edge) for edge in edges)
    if not fit.df or distance == 0:
        return None
    if fit.se > 1e6 * distance:
        return None
    if fit.se == 0:
        return math.ceil(-math.log2((1 - fit.level) / 2))
    return _least_seeds(fit, distance)


def _least_seeds(fit: Fit, distance: float) -> int:
    """By bisection, for the half width falls with n."""
    sd = fit.se * math.sqrt(fit.df + 1)

    def enough(n: int) -> bool:
        return replace(fit, se=sd / math.sqrt(n), df=n - 1).half_width <= distance

    most = fit.df + 1
    while not enough(most):
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if enough(middle) else (middle, most)
    return most


def holm(verdicts: Sequence[Verdict], family: int) -> tuple[Verdict, ...]:
    """Holm's step-down correction of many verdicts at once, in the order given.

    family: how many statistical verdicts the family has in all; absent ones count as p = 1, which is the cautious side.
    The verdict with the i-th smallest p, relative to its own error probability 1 - level (i from 0), is judged again
    with that probability divided by (family - i); from the first that does not survive, the divisor stays. Verdicts
    without statistics are left alone. What is open already keeps its outcome and its interval; `more_seeds` is then counted at
    the divisor that is left. Raises ValueError if the family is smaller than what it holds.
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
    open_before = {i for i, v in enumerate(verdicts) if v.outcome is Outcome.INCONCLUSIVE and v.more_seeds}
    return tuple(_more_seeds_again(v, divisor) if i in open_before else v for i, v in enumerate(corrected))


def _at_divisor(verdict: Verdict, divisor: int) -> Verdict:
    level = 1 - (1 - verdict.fit.level) / divisor
    return _judge_at_level(verdict.fit.at_level(level), verdict.kind, verdict.limit, verdict.tau, verdict.margin)


def _more_seeds_again(verdict: Verdict, divisor: int) -> Verdict:
    return replace(verdict, more_seeds=_at_divisor(verdict, max(divisor, 1)).more_seeds)


def _judge_again(verdict: Verdict, divisor: int) -> Verdict:
    if verdict.fit.diverged or divisor <= 1:
        return verdict
    again = _at_divisor(verdict, divisor)
    if again.outcome is Outcome.INCONCLUSIVE:
        return replace(again, reason=f"decided alone (p = {verdict.p:.2g}), not after Holm's correction by {divisor}")
    return replace(again, fit=verdict.fit, p=verdict.p)
