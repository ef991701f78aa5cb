"""What one claim gave: a verdict per setting, and one outcome for the claim."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.ledger.claim import Claim, Setting
from sandbox.ledger.tuning import edge_remark
from sandbox.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Case:
    setting: Setting
    verdict: Verdict


@dataclass(frozen=True)
class Result:
    """origin: measured now (or resumed from the store), recorded (rows of experiments/records/), or missing (never run).

    seconds: worker time that the rows cost.  error: one sentence where the claim's own code failed; such a result has no cases.
    """

    claim: Claim
    cases: tuple[Case, ...]
    origin: Literal["measured", "recorded", "missing"]
    date: str = ""
    code: str = ""
    seconds: float = 0.0
    error: str = ""

    @property
    def outcome(self) -> Outcome | None:
        return combined([case.verdict.outcome for case in self.cases]) if self.cases else None

    @property
    def agrees(self) -> bool:
        """Whether the run gives what the record says; never run contradicts nothing, an error does."""
        return not self.error and (self.outcome is None or self.outcome is self.claim.expected)

    @property
    def telling(self) -> Case | None:
        """The case that decided the outcome: the first with that outcome."""
        return next((case for case in self.cases if case.verdict.outcome is self.outcome), self.cases[0] if self.cases else None)

    @property
    def remark(self) -> str:
        """What a reader must know beside the verdict: a best learning rate at an edge of its grid, in any case; "" where nothing."""
        fits = [case.verdict.fit for case in self.cases if case.verdict.fit is not None]
        return next((remark for fit in fits if (remark := edge_remark(fit.samples))), "")

    def as_json(self) -> dict[str, Any]:
        """The published keys, strict JSON; numbers are those of the telling case."""
        verdict = self.telling.verdict if self.telling else None
        fit = verdict.fit if verdict else None
        return {
            "id": self.claim.id,
            "outcome": self.outcome.name if self.outcome else None,
            "predicted": self.claim.predicted.name,
            "found": self.claim.found.outcome.name if self.claim.found else None,
            "value": _finite(fit.value) if fit else None,
            "low": _finite(fit.low) if fit else None,
            "high": _finite(fit.high) if fit else None,
            "limit": _finite(verdict.limit) if verdict else None,
            "seeds": len(fit.samples) if fit else 0,
            "seconds": round(self.seconds, 2),
            "origin": self.origin,
            "date": self.date,
            "code": self.code,
            "statement": self.claim.statement,
            "quantity": self.claim.quantity,
            **{name: getattr(self.claim, name) for name in ("source", "known", "dossier", "kind", "tier", "cost_s")},
            "reason": verdict.reason if verdict else "",
            "more_seeds": verdict.more_seeds if verdict else None,
            "remark": self.remark,
            "error": self.error,
        }


def _finite(number: float | None) -> float | None:
    """JSON knows no infinity; a diverged number is null there, and `reason` says so."""
    return number if number is not None and math.isfinite(number) else None


def combined(outcomes: Sequence[Outcome]) -> Outcome:
    """One violation violates; else one open case leaves it open; else it holds; attained only where every case in scope attains."""
    inside = [outcome for outcome in outcomes if outcome is not Outcome.OUT_OF_SCOPE]
    if not inside:
        return Outcome.OUT_OF_SCOPE
    for outcome in (Outcome.VIOLATED, Outcome.INCONCLUSIVE, Outcome.HOLDS):
        if outcome in inside:
            return outcome
    return Outcome.ATTAINED
