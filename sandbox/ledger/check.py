"""`check`: run what is missing, judge everything, and say for every claim where its numbers come from.

A claim that is not run now shows its stored rows of this code version, else its recorded rows, else nothing.
"""

from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from sandbox.ledger import records
from sandbox.ledger.claim import Claim
from sandbox.ledger.collect import Experiment
from sandbox.ledger.execute import InProcess, Progress, Run, Work
from sandbox.ledger.judging import Reader, cases, corrected, family_size, missing
from sandbox.ledger.result import Case, Result
from sandbox.ledger.store import Store


@dataclass(frozen=True)
class Orders:
    """run: ids to run where rows are missing.  anew: those of them whose stored rows are not used.  slots: tasks in flight at a time.

    going_on: those of them that take their recorded rows, of whatever code version, where nothing is stored; each keeps its version.
    """

    run: Collection[str] = ()
    anew: Collection[str] = ()
    slots: int = 1
    going_on: Collection[str] = ()


def check(
    experiments: Sequence[Experiment],
    store: Store,
    orders: Orders | None = None,
    *,
    executor: Executor | None = None,
    progress: Progress = lambda done, total, text: None,
) -> tuple[Result, ...]:
    """A result for every claim of every experiment, in their order; only the ids in `orders.run` are run.

    Raises ValueError where the ledger or a record cannot be read or written. What goes wrong inside a claim is in its `Result.error`.
    """
    orders = orders or Orders()
    works = [work for experiment in experiments for work in _works(experiment, store, orders)]
    to_run = [work for work in works if work.claim.id in orders.run]
    errors = Run(to_run, store, executor or InProcess(), orders.slots, progress)()
    works = _with_stored_siblings(works, store, orders)
    results = []
    for experiment in experiments:
        results += _judged(experiment, [work for work in works if work.experiment is experiment], errors)
    return tuple(results)


def record(experiments: Sequence[Experiment], store: Store, ids: Collection[str], going_on: Collection[str] = ()) -> tuple[list, list[str]]:
    """Export the rows of these claims at this code version: (paths written, ids left out because rows are missing).

    going_on: those of them that were completed from a record; its rows count as there, and keep their version.
    """
    paths, incomplete = [], []
    for experiment in experiments:
        works = [work for work in _works(experiment, store, Orders(going_on=going_on)) if work.claim.id in ids]
        whole = [work for work in works if not missing(work.claim, work.rows)]
        incomplete += [work.claim.id for work in works if work not in whole]
        if whole:
            paths.append(records.write(experiment, {work.claim.rows_of: work.rows.rows for work in whole}))
    return paths, incomplete


def _works(experiment: Experiment, store: Store, orders: Orders) -> list[Work]:
    """Claims that share a subject share one dictionary of rows."""
    anew = {claim.rows_of for claim in experiment.claims if claim.id in orders.anew}
    subjects = {claim.rows_of for claim in experiment.claims}
    rows = {subject: {} if subject in anew else store.rows(subject, experiment.code) for subject in subjects}
    if going_on := {claim.rows_of for claim in experiment.claims if claim.id in orders.going_on}:
        recorded = records.read(experiment)
        rows |= {subject: recorded.get(subject, {}) | rows[subject] for subject in going_on}
    return [Work(experiment, claim, Reader(rows[claim.rows_of])) for claim in experiment.claims]


def _with_stored_siblings(works: Sequence[Work], store: Store, orders: Orders) -> list[Work]:
    """Claims that were not asked for, but share a subject with one that ran anew, see the store as it is after the run."""
    anew = {work.subject for work in works if work.claim.id in orders.anew}
    stored = {(code, subject): store.rows(subject, code) for code, subject in anew}
    asked = lambda work: work.subject not in anew or work.claim.id in orders.run  # noqa: E731
    return [work if asked(work) else replace(work, rows=Reader(stored[work.subject])) for work in works]


@dataclass(frozen=True)
class _Evidence:
    claim: Claim
    cases: tuple[Case, ...] = ()
    rows: Reader | None = None
    origin: str = "missing"
    error: str = ""


def _judged(experiment: Experiment, works: Sequence[Work], errors: dict[str, str]) -> list[Result]:
    recorded = records.read(experiment)
    found = [_evidence(work, Reader(recorded.get(work.claim.rows_of, {})), errors.get(work.claim.id, "")) for work in works]
    final = corrected({e.claim.id: e.cases for e in found}, _family(experiment))
    return [_result(evidence, final[evidence.claim.id]) for evidence in found]


def _family(experiment: Experiment) -> int:
    whole = []
    for claim in experiment.claims:
        try:
            whole.append(family_size([claim]))
        except Exception:  # such a claim shows its error as its result; it counts as one case here
            whole.append(1)
    return sum(whole)


def _evidence(work: Work, recorded: Reader, error: str) -> _Evidence:
    claim = work.claim
    try:
        if not missing(claim, work.rows):
            work.rows.used.clear()
            return _Evidence(claim, cases(claim, work.rows), work.rows, "measured")
        if not error and not missing(claim, recorded):
            return _Evidence(claim, cases(claim, recorded), recorded, "recorded")
    except Exception as problem:  # the claim's own code: its plan, scope, constants or estimator
        error = error or f"{type(problem).__name__}: {problem}"
    return _Evidence(claim, error=error)


def _result(evidence: _Evidence, final: tuple[Case, ...]) -> Result:
    used = [evidence.rows.rows[key] for key in evidence.rows.used] if evidence.rows else []
    return Result(
        evidence.claim,
        final,
        evidence.origin,
        date=max((row.date for row in used), default=""),
        code=used[0].code if used else "",
        seconds=sum(row.seconds for row in used),
        error=evidence.error,
    )
