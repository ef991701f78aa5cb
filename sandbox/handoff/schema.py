"""The settings card as a file format: what may stand in it, and the digest that seals it.

    digest = sha256 of the JSON of everything else, keys sorted, separators ", " and ": ", ASCII

Unknown keys are refused everywhere, and so are numbers that are not finite. Optional parts are null, never left out.
`card.schema.json` beside this file is the same as a JSON schema, for readers in other languages.

Version 2 adds, to version 1: `lr_factor` of a tensor, `parametrisation`, `target`, and in `transfer` the base and the
regret.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sandbox.handoff.plain_text import require_harmless

SCHEMA = "theory-sandbox/card/2"
CANARY_STEPS = 10
MOST_RTOL = 1e-3  # a hundred times what the cards made here ask for: a canary that lets everything pass guards nothing


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TensorPart(Part):
    """framed: the frame acts on this tensor.  n_blocks, dim: the blocks and the axis that they cut, where a rule has them
    (`sandbox.optimizers.adam_mini`).  lr_factor: the tensor's lr is the lr of its rule times this.
    """

    framed: bool
    n_blocks: int | list[tuple[int, int]] | None
    dim: int | None
    lr_factor: Annotated[float, Field(gt=0)] = 1.0


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


class Band(Part):
    """Where a number must lie. Raises ValueError for an empty one."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low must be <= high, got {self.low:g} and {self.high:g}")
        return self


class ParametrisationPart(Part):
    """Which initial scales and factors of lr go with a width (`sandbox.handoff.parametrisation`).

    base_width: where all factors are 1.  exponents: of width / base_width, by kind of tensor.  rank_exponent: the same of the ranks of
    frames; null where there are none, or where nobody said it (a card may leave it out: it came later than the others).
    """

    name: Literal["standard", "mu"]
    base_width: Annotated[int, Field(gt=0)]
    exponents: dict[str, float]
    rank_exponent: float | None = None


class RegretPart(Band):
    """What the predicted number costs at `width` above the best one, in nats per token, with its interval."""

    value: float
    width: Annotated[int, Field(gt=0)]


class Transferred(Band):
    """How the best value of a quantity moves with width: value = d log quantity / d log width, low and high its interval.

    At width n it is base_value (n / base_width)^value.
    """

    value: float
    widths: list[int]
    seeds: int
    base_width: Annotated[int, Field(gt=0)]
    base_value: Annotated[float, Field(gt=0)]
    regret: RegretPart | None = None


class Loss10Part(Band):
    """Loss before step 10, extrapolated over `widths`."""

    widths: list[int]


class TargetPart(Part):
    """What must be seen at the size that the card is for.

    model: a configuration, as in `model`.  update_ratio: RMS(update) / RMS(weight) by kind of tensor and by step ("1", "2", "10").
    """

    model: dict[str, Any]
    parameters: int
    loss_0: Band
    update_ratio: dict[str, dict[Literal["1", "2", "10"], Band]]
    state_bytes: int
    gradient_bytes: int
    loss_10: Loss10Part


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
    rtol: Annotated[float, Field(gt=0, le=MOST_RTOL)]
    code: str


class Card(Part):
    """Settings that a measurement stands behind. Nothing in it is executed."""

    version: Literal["theory-sandbox/card/2"] = Field(alias="schema")
    optimizer: OptimizerPart
    schedule: SchedulePart | None
    model: dict[str, Any]
    data: DataPart
    parametrisation: ParametrisationPart | None = None
    transfer: dict[str, Transferred] | None
    target: TargetPart | None = None
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
    """The card of plain data without a digest. Raises ValueError for what no card may hold."""
    card = Card.model_validate({**data, "digest": ""}).as_json()
    require_harmless(card)
    return Card.model_validate(card | {"digest": digest_of(card)})


def json_schema() -> dict[str, Any]:
    """The format as a JSON schema (draft 2020-12), for readers in other languages; what is kept in `card.schema.json`."""
    found = Card.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA} | {k: v for k, v in found.items() if k != "title"}
