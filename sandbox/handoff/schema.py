"""The settings card as a file format: what may stand in it, and the digest that seals it.

    digest = sha256 of the JSON of everything else, keys sorted, separators ", " and ": ", ASCII

Unknown keys are refused everywhere, and so are numbers that are not finite. Optional parts are null, never left out.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = "theory-sandbox/card/1"
CANARY_STEPS = 10


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TensorPart(Part):
    """framed: the frame acts on this tensor.  n_blocks, dim: the blocks and the axis that they cut, where a rule has them
    (`sandbox.optimizers.adam_mini`).
    """

    framed: bool
    n_blocks: int | list[tuple[int, int]] | None
    dim: int | None


class OptimizerPart(Part):
    """See `sandbox.handoff.rules`."""

    rule: dict[str, Any]
    frame: dict[str, Any] | None = None
    shell: Literal["stepwise", "fused"]
    partition: dict[str, TensorPart] | None = None
    elsewhere: dict[str, Any] | None = None


class SchedulePart(Part):
    """Multiplier of lr: linear warm-up over `warmup` steps, then cosine from 1 to `floor` at `total`."""

    total: int
    warmup: int
    floor: float


class DataPart(Part):
    """sha256: of the whole text.  text: "kjv" or a path.  batch: windows per step.  context: tokens per window.

    dtype: of the weights.
    """

    sha256: str
    text: str
    part: Literal["pretrain", "tune", "all"]
    tokenizer: dict[str, Any]
    batch: int
    context: int
    steps: int
    held_out_tokens: int
    dtype: Literal["float32", "float64"]


class Transferred(Part):
    """A number carried to other widths, with its interval."""

    value: float
    low: float
    high: float
    widths: list[int]
    seeds: int


class EvidencePart(Part):
    """One claim that the settings rest on.  code, date: of the rows.  versions: of the packages that wrote the card."""

    claim: str
    statement: str
    outcome: Literal["ATTAINED", "HOLDS", "VIOLATED", "INCONCLUSIVE", "OUT_OF_SCOPE"]
    low: float | None
    value: float | None
    high: float | None
    limit: float | None
    margin: float | None
    seeds: int
    code: str
    date: str
    versions: dict[str, str]
    bound_digest: str | None


class CanaryPart(Part):
    """losses: before steps 0..9, in nats per token.  rtol: how far another machine may be off, relative.

    code: version of what computed them.
    """

    seed: int
    losses: Annotated[list[float], Field(min_length=CANARY_STEPS, max_length=CANARY_STEPS)]
    rtol: Annotated[float, Field(gt=0, lt=1)]
    code: str


class Card(Part):
    """Settings that a measurement stands behind. Nothing in it is executed."""

    version: Literal["theory-sandbox/card/1"] = Field(alias="schema")
    optimizer: OptimizerPart
    schedule: SchedulePart | None
    model: dict[str, Any]
    data: DataPart
    transfer: dict[str, Transferred] | None
    evidence: list[EvidencePart]
    canary: CanaryPart
    forecast: dict[str, int]
    unvalidated: list[str]
    digest: str

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True)


def digest_of(data: Mapping[str, Any]) -> str:
    """The seal of a card's plain data; its own `digest` does not count."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def sealed(data: Mapping[str, Any]) -> Card:
    """The card of plain data without a digest."""
    card = Card.model_validate({**data, "digest": ""}).as_json()
    return Card.model_validate(card | {"digest": digest_of(card)})
