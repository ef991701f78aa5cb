"""Which verdicts can stand behind a card, and how a card quotes them."""

from sandbox.handoff.schema import EvidencePart
from sandbox.ledger.code_version import torch_version
from sandbox.ledger.result import Result
from sandbox.verdict import Outcome

STRONG = (Outcome.ATTAINED, Outcome.HOLDS)


def evidence_of(result: Result) -> EvidencePart:
    """What a result says, as a card quotes it. Raises ValueError where it is no support."""
    claim = result.claim
    if result.outcome not in STRONG:
        raise ValueError(f"a card needs verdicts that hold; {weakness(claim.id, result.outcome)}")
    verdict = result.telling.verdict
    return EvidencePart(
        claim=claim.id,
        statement=claim.statement,
        outcome=result.outcome.name,
        low=verdict.fit.low,
        value=verdict.fit.value,
        high=verdict.fit.high,
        limit=verdict.limit,
        margin=verdict.margin,
        seeds=len(verdict.fit.samples),
        code=result.code,
        date=result.date,
        versions={"torch": torch_version()},
        bound_digest=claim.bound.digest if claim.bound else None,
    )


def weakness(claim_id: str, outcome: Outcome | None) -> str:
    """`ID is OUTCOME: its sentence`."""
    return f"{claim_id} is {outcome.name}: {outcome.value}" if outcome else f"{claim_id} was never run"
