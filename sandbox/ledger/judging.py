"""Rows -> verdicts: scope, fit, judgement, and Holm's correction over the claims of one file.

The family of a claim is its experiment file: every statistical case (estimator other than Range, setting in scope) of every claim in the
file counts, whether it was asked for or has run. What has rows takes part with its p-value, what has none counts as p = 1. So naming fewer
claims on the command line never makes a verdict milder or harder; running more of the file can only make open verdicts decide.

A scope that only the run can tell is asked about rows that hold numbers. A nan among what it reads compares as false to everything, so
it would pass for an assumption that is met; where no other seed breaks the assumption the verdict is INCONCLUSIVE, with seed and value.
"""

import math
from collections import UserDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sandbox.fit import Range, Sample
from sandbox.ledger.claim import Claim, Grid, Rows, Setting, Task, setting_hash
from sandbox.ledger.result import Case
from sandbox.ledger.store import Row
from sandbox.theory.base import OutOfScope
from sandbox.verdict import Outcome, Verdict, holm, judge, out_of_scope


class Reader:
    """Rows of one subject as a plan asks for them; remembers which it gave in `used`."""

    def __init__(self, rows: dict[tuple[str, int], Row]):
        self.rows = rows
        self.used: set[tuple[str, int]] = set()
        self._hashes: dict[int, tuple[Setting, str]] = {}  # by identity: a plan hands in the same objects again and again
        self._samples: dict[tuple[str, int], tuple[Row, Sample]] = {}

    def __call__(self, setting: Setting, seed: int) -> Sample | None:
        if id(setting) not in self._hashes:
            self._hashes[id(setting)] = (setting, setting_hash(setting))
        key = (self._hashes[id(setting)][1], seed)
        row = self.rows.get(key)
        if row is None:
            return None
        self.used.add(key)
        made = self._samples.get(key)
        if made is None or made[0] is not row:
            made = self._samples[key] = (row, Sample(seed, row.values, row.code, row.date))
        return made[1]


_known: dict[tuple[int, str], tuple[Claim, float | None, str | None]] = {}  # by the claim's identity, which is kept alive here


def limit_or_reason(claim: Claim, setting: Setting) -> tuple[float | None, str | None]:
    """(the number to judge against, None), or (None, the assumption that fails at this setting).

    An assumption fails by the claim's own scope or by a condition of its bound. Worked out once per claim and setting.
    """
    key = (id(claim), setting_hash(setting))
    if key not in _known:
        _known[key] = (claim, *_worked_out(claim, setting))
    return _known[key][1:]


def _worked_out(claim: Claim, setting: Setting) -> tuple[float | None, str | None]:
    reason = claim.scope(setting) if claim.scope else None
    if reason is not None:
        return None, reason
    try:
        return claim.limit_at(setting), None
    except OutOfScope as error:
        return None, str(error)


def why_out(claim: Claim, setting: Setting) -> str | None:
    """The assumption that fails at this setting; None inside the scope."""
    return limit_or_reason(claim, setting)[1]


def missing(claim: Claim, rows: Rows) -> tuple[Task, ...]:
    """What must still run: what the plan misses, without the settings that are out of scope."""
    left = claim.plan.missing(rows)
    out = {setting_hash(task.setting): why_out(claim, task.setting) for task in _one_per_setting(left)}
    return tuple(task for task in left if out[setting_hash(task.setting)] is None)


def cases(claim: Claim, rows: Rows) -> tuple[Case, ...]:
    """A verdict per setting, before any correction; every row in scope must be there."""
    left = claim.plan.missing(rows)
    if left and not isinstance(claim.plan, Grid):  # a plan of stages never comes to its comparison where nothing may run
        return (Case(left[0].setting, out_of_scope(claim.kind, why_out(claim, left[0].setting))),)
    return tuple(Case(setting, verdict_of(claim, setting, samples)) for setting, samples in claim.plan.samples(rows))


def family_size(claims: Sequence[Claim]) -> int:
    """How many statistical cases these claims have when all of them have run."""
    return sum(_cases_in_scope(claim) for claim in claims if not isinstance(claim.estimate, Range))


def corrected(found: Mapping[str, Sequence[Case]], family: int) -> dict[str, tuple[Case, ...]]:
    """Holm's correction over all cases of one file, by claim id."""
    flat = [case.verdict for cases_ in found.values() for case in cases_]
    statistical = sum(verdict.fit is not None and verdict.fit.df > 0 for verdict in flat)
    verdicts = iter(holm(flat, max(family, statistical)))
    return {name: tuple(Case(case.setting, next(verdicts)) for case in cases_) for name, cases_ in found.items()}


def verdict_of(claim: Claim, setting: Setting, samples: Sequence[Sample]) -> Verdict:
    """Of one setting and all its rows, before any correction."""
    limit, reason = limit_or_reason(claim, setting)
    untold = None
    if reason is None and claim.scope_of_rows is not None:
        reason, untold = _asked_of_rows(claim, samples)
    if reason is not None:
        return out_of_scope(claim.kind, reason)
    verdict = judge(claim.estimate(samples, claim.quantity), claim.kind, limit=limit, tau=claim.tau, margin=claim.margin)
    return verdict if untold is None else replace(verdict, outcome=Outcome.INCONCLUSIVE, reason=untold, more_seeds=None)


class _Watched(UserDict):
    """The values of a row; remembers which of those that were read are not a number."""

    def __init__(self, values: Mapping[str, Any]):
        super().__init__(values)
        self.lost: dict[str, None] = {}

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if _has_nan(value):
            self.lost[name] = None
        return value


def _has_nan(value: Any) -> bool:
    return any(map(_has_nan, value)) if isinstance(value, list | tuple) else isinstance(value, float) and math.isnan(value)


def _asked_of_rows(claim: Claim, samples: Sequence[Sample]) -> tuple[str | None, str | None]:
    """(the assumption that fails at some seed, or None; why it cannot be told of some seed, or None)."""
    watched = [replace(sample, values=_Watched(sample.values)) for sample in samples]
    reason = claim.scope_of_rows(watched)
    lost = [sample for sample in watched if sample.values.lost]
    if not lost:
        return reason, None
    told = [sample for sample in samples if all(sample.seed != one.seed for one in lost)]
    names = ", ".join(f"{name} is nan at seed {sample.seed}" for sample in lost for name in sample.values.lost)
    return claim.scope_of_rows(told) if told else None, f"whether the claim applies cannot be told: {names}; look at what that run gave"


def _cases_in_scope(claim: Claim) -> int:
    if not isinstance(claim.plan, Grid):
        return 1
    return sum(why_out(claim, setting) is None for setting in claim.plan.settings)


def _one_per_setting(tasks: Sequence[Task]) -> list[Task]:
    return list({setting_hash(task.setting): task for task in tasks}.values())
