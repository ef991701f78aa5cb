"""A claim: a sentence of a paper as an executable record, with its prediction committed before the first run.

A file in experiments/ exposes `CLAIMS: tuple[Claim, ...]`; nothing else is collected. Flow of one claim:

    plan -> tasks (setting, seed) -> measure(setting, seeds) -> one row of plain numbers a seed -> estimate -> Fit -> judge -> Verdict

A plan names the tasks that are still missing, given the rows that are there; the default is every setting x every seed, and
`sandbox.ledger.tuning.Tuned` is the two-stage plan of training claims (tune both sides with one budget, then fresh paired seeds).
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from sandbox.fit import Estimator, Sample
from sandbox.theory.base import Bound
from sandbox.verdict import Kind, Outcome

Setting = Any  # a frozen dataclass of plain numbers, strings and tuples of them
Values = Mapping[str, Any]  # plain JSON
Tier = Literal["quick", "full", "study"]
TIERS: tuple[Tier, ...] = ("quick", "full", "study")


@dataclass(frozen=True)
class Found:
    """What a run gave where it differs from the prediction; the prediction stays."""

    outcome: Outcome
    date: str
    why: str


@dataclass(frozen=True)
class Task:
    """One thing to run: one setting with one or several seeds, in one worker call."""

    setting: Setting
    seeds: tuple[int, ...]


class Rows(Protocol):
    """The rows of one subject that are there already: `rows(setting, seed)` is a Sample, or None."""

    def __call__(self, setting: Setting, seed: int) -> Sample | None: ...


class Plan(Protocol):
    def missing(self, rows: Rows) -> tuple[Task, ...]:
        """What can and must be run now; () when the claim can be judged."""
        ...

    def samples(self, rows: Rows) -> tuple[tuple[Setting, tuple[Sample, ...]], ...]:
        """Per setting that gets a verdict, its samples in the order of the seeds."""
        ...


@dataclass(frozen=True)
class Grid:
    """Every setting x every seed, `chunk` seeds to a worker call (an ensemble takes them all at once).

    Raises ValueError where a setting or a seed stands twice: a copy would count as an independent sample, or case.
    """

    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    chunk: int = 1

    def __post_init__(self):
        refuse_repeated("settings of a grid", self.settings)
        refuse_repeated("seeds of a grid", self.seeds)
        if self.chunk < 1:
            raise ValueError(f"a worker call takes at least 1 seed, got chunk {self.chunk}")

    def missing(self, rows: Rows) -> tuple[Task, ...]:
        tasks = []
        for setting in self.settings:
            left = [seed for seed in self.seeds if rows(setting, seed) is None]
            tasks += [Task(setting, tuple(left[i : i + self.chunk])) for i in range(0, len(left), self.chunk)]
        return tuple(tasks)

    def samples(self, rows: Rows) -> tuple[tuple[Setting, tuple[Sample, ...]], ...]:
        return tuple((setting, tuple(rows(setting, seed) for seed in self.seeds)) for setting in self.settings)


@dataclass(frozen=True)
class Claim:
    """id: `system.slug`.  known: how well the source is known.  dossier: e.g. `rso C1`.  cost_s: seconds on one core.

    quantity: what is measured, in words with units; a Bound's own quantity must be the same words.
    measure(setting, seeds): one dict of plain numbers per seed; `per_seed` makes it from a function of one seed.
    limit: where there is no Bound: a number, or a function of the setting (a count from shapes, a published figure).
    theorems: what the claim is about besides the theorem of its bound, each `x` for proofs/proof_x.py: one that it meets in other units,
    or breaks.
    constants(setting): the numbers that the bound is evaluated at.  scope(setting): the assumption that fails there, or None.
    scope_of_rows(samples): the same where only the run can tell, as a curvature along its path; None where all seeds meet the assumption.
    margin: of a parity claim.  tau: relative resolution; 0 for counts and deterministic equalities.
    subject: whose rows these are; claims that share runs name one subject. Default: the id.
    """

    id: str
    statement: str
    source: str
    known: Literal["read", "second-hand", "derived", "recalled"]
    dossier: str
    kind: Kind
    tier: Tier
    cost_s: float
    quantity: str
    plan: Plan
    measure: Callable[[Setting, tuple[int, ...]], Sequence[Values]]
    estimate: Estimator
    predicted: Outcome
    bound: Bound | None = None
    theorems: tuple[str, ...] = ()
    limit: float | Callable[[Setting], float] | None = None
    constants: Callable[[Setting], Mapping[str, float]] | None = None
    scope: Callable[[Setting], str | None] | None = None
    scope_of_rows: Callable[[Sequence[Sample]], str | None] | None = None
    margin: float | None = None
    tau: float = 0.0
    subject: str = ""
    found: Found | None = None

    def __post_init__(self):
        if "." not in self.id or self.id != self.id.lower() or " " in self.id:
            raise ValueError(f"a claim id reads `system.slug` in lower case, got {self.id!r}")
        if self.bound is not None and self.bound.quantity != self.quantity:
            raise ValueError(f"{self.id}: the claim measures {self.quantity!r} but the bound limits {self.bound.quantity!r}")
        if self.kind in ("upper", "lower", "equality") and (self.bound is None) == (self.limit is None):
            raise ValueError(f"{self.id}: a claim of kind {self.kind!r} needs a bound or a limit, and not both")
        if self.bound is not None and self.constants is None and self.bound.symbols:
            raise ValueError(f"{self.id}: the bound needs the constants {self.bound.symbols}; give constants=")
        if (self.margin is None) == (self.kind == "parity"):
            raise ValueError(f"{self.id}: margin belongs to parity claims and only to them, got kind {self.kind!r}, margin {self.margin}")
        self._refuse_what_has_no_effect()

    def _refuse_what_has_no_effect(self) -> None:
        if len(set(self.about)) < len(self.about):
            own = theorem_of(self.bound)
            raise ValueError(f"{self.id}: a theorem is named once, and that of the bound ({own}) not at all, got {self.theorems}")
        if self.constants is not None and self.bound is None:
            raise ValueError(f"{self.id}: constants are what a bound is evaluated at, and this claim has no bound; leave them out")
        against_zero = self.kind == "ordering" and self.bound is None and not self.limit
        if self.tau and (self.kind == "parity" or against_zero):
            other = "the margin is its resolution" if self.kind == "parity" else "it is relative to a limit, which is 0 here"
            raise ValueError(f"{self.id}: tau {self.tau} would have no effect on a claim of kind {self.kind!r}: {other}; leave it out")

    @property
    def about(self) -> tuple[str, ...]:
        """The theorems that the claim is about, that of its bound first."""
        own = theorem_of(self.bound)
        return (own, *self.theorems) if own else self.theorems

    @property
    def rows_of(self) -> str:
        return self.subject or self.id

    @property
    def expected(self) -> Outcome:
        """What a run must give for `sandbox check` to be content: found where there is one, else predicted."""
        return self.found.outcome if self.found else self.predicted

    def limit_at(self, setting: Setting) -> float:
        """The number to judge against. Raises sandbox.theory.base.OutOfScope where the bound does not apply."""
        if self.bound is not None:
            return self.bound.at(**(self.constants(setting) if self.constants else {}))
        if callable(self.limit):
            return float(self.limit(setting))
        return 0.0 if self.limit is None else float(self.limit)


def theorem_of(bound: Bound | None) -> str | None:
    """`x` where the bound is proved in proofs/proof_x.py, None where it is not."""
    return Path(bound.proof).stem.removeprefix("proof_") if bound is not None and bound.proof else None


def refuse_repeated(what: str, entries: Sequence[Any]) -> None:
    """Raises ValueError, naming the first few, where entries are equal."""
    repeated = [entry for i, entry in enumerate(entries) if entry in entries[:i]]
    if repeated:
        raise ValueError(f"the {what} must differ, but {len(repeated)} of {len(entries)} stand there before: {repeated[:3]}")


def per_seed(one: Callable[[Setting, int], Values]) -> Callable[[Setting, tuple[int, ...]], list[Values]]:
    """A `measure` from a function of (setting, seed)."""

    def measure(setting: Setting, seeds: tuple[int, ...]) -> list[Values]:
        return [one(setting, seed) for seed in seeds]

    measure.__wrapped__ = one
    return measure


def plain(setting: Setting) -> dict[str, Any]:
    """A setting as plain JSON, with its class name, for workers, hashes and the store."""
    return {"type": type(setting).__name__, **json.loads(json.dumps(dataclasses.asdict(setting)))}


def setting_hash(setting: Setting) -> str:
    """First 16 hex digits of the sha256 of the sorted-key JSON of the setting."""
    return hashlib.sha256(json.dumps(plain(setting), sort_keys=True).encode()).hexdigest()[:16]
