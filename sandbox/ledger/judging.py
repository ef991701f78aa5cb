"""Rows -> verdicts: scope, fit, judgement, and Holm's correction over the claims of one file.

The family of a claim is its experiment file: every statistical case (estimator other than Range, setting in scope) of every claim in the
file counts, whether it was asked for or has run. What has rows takes part with its p-value, what has none counts as p = 1. So naming fewer
claims on the command line never makes a verdict milder or harder; running more of the file can only make open verdicts decide.
"""

from collections.abc import Mapping, Sequence

from sandbox.fit import Range, Sample
from sandbox.ledger.claim import Claim, Grid, Rows, Setting, Task, setting_hash
from sandbox.ledger.result import Case
from sandbox.ledger.store import Row
from sandbox.theory.base import OutOfScope
from sandbox.verdict import Verdict, holm, judge, out_of_scope


class Reader:
    """Rows of one subject as a plan asks for them; remembers which it gave in `used`."""

    def __init__(self, rows: dict[tuple[str, int], Row]):
        self.rows = rows
        self.used: set[tuple[str, int]] = set()
        self._hashes: dict[int, tuple[Setting, str]] = {}  # by identity: a plan hands in the same objects again and again

    def __call__(self, setting: Setting, seed: int) -> Sample | None:
        if id(setting) not in self._hashes:
            self._hashes[id(setting)] = (setting, setting_hash(setting))
        key = (self._hashes[id(setting)][1], seed)
        if key not in self.rows:
            return None
        self.used.add(key)
        row = self.rows[key]
        return Sample(seed, row.values, row.code, row.date)


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
    return tuple(Case(setting, _verdict(claim, setting, samples)) for setting, samples in claim.plan.samples(rows))


def family_size(claims: Sequence[Claim]) -> int:
    """How many statistical cases these claims have when all of them have run."""
    return sum(_cases_in_scope(claim) for claim in claims if not isinstance(claim.estimate, Range))


def corrected(found: Mapping[str, Sequence[Case]], family: int) -> dict[str, tuple[Case, ...]]:
    """Holm's correction over all cases of one file, by claim id."""
    flat = [case.verdict for cases_ in found.values() for case in cases_]
    statistical = sum(verdict.fit is not None and verdict.fit.df > 0 for verdict in flat)
    verdicts = iter(holm(flat, max(family, statistical)))
    return {name: tuple(Case(case.setting, next(verdicts)) for case in cases_) for name, cases_ in found.items()}


def _verdict(claim: Claim, setting: Setting, samples: Sequence[Sample]) -> Verdict:
    limit, reason = limit_or_reason(claim, setting)
    if reason is None and claim.scope_of_rows is not None:
        reason = claim.scope_of_rows(samples)
    if reason is not None:
        return out_of_scope(claim.kind, reason)
    return judge(claim.estimate(samples, claim.quantity), claim.kind, limit=limit, tau=claim.tau, margin=claim.margin)


def _cases_in_scope(claim: Claim) -> int:
    if not isinstance(claim.plan, Grid):
        return 1
    return sum(why_out(claim, setting) is None for setting in claim.plan.settings)


def _one_per_setting(tasks: Sequence[Task]) -> list[Task]:
    return list({setting_hash(task.setting): task for task in tasks}.values())
