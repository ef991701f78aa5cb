"""Which verdicts can stand behind a card, and how a card quotes them."""

import math
from collections.abc import Sequence

from sandbox.handoff.schema import Card, EvidencePart
from sandbox.ledger.code_version import torch_version
from sandbox.ledger.result import Result
from sandbox.verdict import Outcome

STRONG = (Outcome.ATTAINED, Outcome.HOLDS)
UNVALIDATED = "UNVALIDATED:"


def evidence_of(result: Result) -> EvidencePart:
    """What a result says, as a card quotes it. Raises ValueError where nothing was run."""
    claim = result.claim
    if result.outcome is None:
        raise ValueError(f"a card needs verdicts that hold; {weakness_of(result)}")
    verdict = result.telling.verdict
    fit = verdict.fit
    return EvidencePart(
        claim=claim.id,
        statement=claim.statement,
        outcome=result.outcome.name,
        low=fit and _finite(fit.low),
        value=fit and _finite(fit.value),
        high=fit and _finite(fit.high),
        limit=_finite(verdict.limit),
        margin=verdict.margin,
        seeds=len(fit.samples) if fit else 0,
        code=result.code,
        date=result.date,
        versions={"torch": torch_version()},
        bound_digest=claim.bound.digest if claim.bound else None,
    )


def require_strong(results: Sequence[Result]) -> None:
    """Raises ValueError at the first verdict that is no support, with its claim."""
    for result in results:
        if not is_strong(result):
            raise ValueError(f"a card needs verdicts that hold; {weakness_of(result)}")


def is_strong(result: Result) -> bool:
    return not result.error and result.outcome in STRONG


def weakness_of(result: Result) -> str:
    return f"{result.claim.id} failed: {result.error}" if result.error else weakness(result.claim.id, result.outcome)


def weakness(claim_id: str, outcome: Outcome | None) -> str:
    """`ID is OUTCOME: its sentence`."""
    return f"{claim_id} is {outcome.name}: {outcome.value}" if outcome else f"{claim_id} was never run"


def confession(result: Result) -> str:
    """The line by which a card that was made all the same says so; `verify` looks for its beginning."""
    return f"{UNVALIDATED} {result.claim.id} {f'is {result.outcome.name}' if result.outcome else 'was never run'}"


def confessions(card: Card) -> list[str]:
    """The claims of which a card says itself that they are weak."""
    return [line for line in card.unvalidated if line.startswith(UNVALIDATED)]


def confessed(claim_id: str, lines: Sequence[str]) -> bool:
    return any(line.startswith((f"{UNVALIDATED} {claim_id} is ", f"{UNVALIDATED} {claim_id} was ")) for line in lines)


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
